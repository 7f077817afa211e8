"""Smoothing with missing samples is the weighted mean over those that are there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastconv
from fastconv import ndimage

# ---------------------------------------------------------------- the definition


def mean(x, w, weights, mode="reflect", cval=0.0):
    """Sum of w*v*x over sum of w*v, correlated, by padding and a loop over windows."""
    pads = [(k // 2, k - 1 - k // 2) for k in w.shape]
    rule = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge"}.get(mode, mode)
    options = {"constant_values": cval} if rule == "constant" else {}
    values = np.where(weights > 0, x, 0.0)
    values = np.pad(values, pads, rule, **options)
    options = {"constant_values": 1} if rule == "constant" else {}
    there = np.pad(weights.astype(float), pads, rule, **options)
    out, counts = np.empty(x.shape), np.empty(x.shape)
    for i in np.ndindex(*x.shape):
        window = tuple(slice(a, a + k) for a, k in zip(i, w.shape, strict=True))
        below = (there[window] * w).sum()
        counts[i] = ((there[window] > 0) & (w != 0)).sum()
        out[i] = (values[window] * there[window] * w).sum() / below if counts[i] else np.nan
    return out, counts


@st.composite
def pictures(draw):
    """Samples with gaps, a positive filter, and weights."""
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(4, {1: 30, 2: 8, 3: 5}[ndim])) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.standard_normal(shape)
    x[rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.8]))] = np.nan
    w = rng.random(tuple(int(k) for k in rng.integers(1, 4, ndim))) + 0.1
    w[rng.random(w.shape) < 0.2] = 0.0
    w.flat[0] = 0.5
    weights = rng.integers(0, 3, shape).astype(float)
    return (
        x,
        w,
        weights,
        draw(st.sampled_from(["reflect", "mirror", "nearest", "wrap", "constant"])),
    )


@given(pictures(), st.booleans(), st.integers(0, 4), st.sampled_from(["omit", "interpolate"]))
def test_a_result_is_the_weighted_mean_over_what_is_there(picture, weighted, least, policy):
    x, w, weights, mode = picture
    there = np.where(np.isnan(x), 0.0, weights if weighted else 1.0)
    want, counts = mean(np.nan_to_num(x), w, there, mode, 0.7)
    want[counts < max(least, 1)] = np.nan
    if policy == "interpolate":
        want = np.where(there > 0, x, want)
    ours = ndimage.correlate(
        x, w, mode=mode, cval=0.7, nan_policy=policy, min_count=least,
        sample_weights=weights if weighted else None,
    )  # fmt: skip
    np.testing.assert_allclose(ours, want, rtol=1e-12, atol=1e-12)


@given(pictures())
def test_a_mask_is_a_nan_that_is_omitted(picture):
    x, w, _, mode = picture
    gaps = np.isnan(x)
    full = np.where(gaps, 7.0, x)
    masked = ndimage.convolve(full, w, mode=mode, mask=gaps)
    omitted = ndimage.convolve(x, w, mode=mode, nan_policy="omit")
    np.testing.assert_array_equal(masked, omitted)


@given(pictures())
def test_without_gaps_an_unnormalised_result_is_the_plain_one(picture):
    x, w, _, mode = picture
    x = np.nan_to_num(x)
    ours = ndimage.convolve(x, w, mode=mode, nan_policy="omit", normalize=False)
    np.testing.assert_allclose(ours, ndimage.convolve(x, w, mode=mode), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gaussian_filter", "uniform_filter"])
@pytest.mark.parametrize("shape", [(50,), (40, 30), (12, 11, 10)])
@pytest.mark.parametrize("least", [1, 5, 9, 25, 27])
@pytest.mark.parametrize("mode", ["nearest", "constant"])
def test_separable_smoothing_is_the_mean_over_the_product_of_its_filters(name, shape, least, mode):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    x[rng.random(shape) < 0.4] = np.nan
    impulse = np.zeros((9,) * len(shape))
    impulse[(4,) * len(shape)] = 1.0
    size = {"gaussian_filter": 0.9, "uniform_filter": 3}[name]
    w = getattr(ndimage, name)(impulse, size, mode="constant")
    want, counts = mean(np.nan_to_num(x), w, ~np.isnan(x), mode, 0.7)
    want[counts < least] = np.nan
    ours = getattr(ndimage, name)(x, size, mode=mode, cval=0.7, nan_policy="omit", min_count=least)
    np.testing.assert_allclose(ours, want, rtol=1e-12, atol=1e-12)
    along = getattr(ndimage, name + "1d")(x, size, 0, nan_policy="omit")
    line = w.reshape(9, -1).sum(1)[(slice(None),) + (None,) * (len(shape) - 1)]
    want, _ = mean(np.nan_to_num(x), line, ~np.isnan(x))
    np.testing.assert_allclose(along, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "width"), [("gaussian_filter", 0), ("uniform_filter", 1)])
@pytest.mark.parametrize("dtype", ["d", "f", "i", "D"])
def test_of_windows_of_one_sample_those_that_miss_it_have_no_mean(name, width, dtype):
    x = np.arange(12).astype(dtype).reshape(3, 4)
    gone = x.real % 3 == 0
    for axes in ((0, 1), (1,), ()):
        ours = getattr(ndimage, name)(x, width, mask=gone, axes=axes)
        np.testing.assert_array_equal(ours, np.where(gone, np.nan, x))
        ours = getattr(ndimage, name)(x, width, sample_weights=1.0 - gone, axes=axes)
        np.testing.assert_array_equal(ours, np.where(gone, np.nan, x))
        assert np.isnan(getattr(ndimage, name)(x, width, mask=gone, min_count=2, axes=axes)).all()


@pytest.mark.parametrize("workers", [1, 3])
def test_many_bands_give_what_one_gives(workers):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 300))
    x[rng.random(x.shape) < 0.3] = np.nan
    ours = ndimage.gaussian_filter(x, 2, nan_policy="omit", workers=workers, mode="constant")
    values, there = np.nan_to_num(x), (~np.isnan(x)).astype(float)
    above = ndimage.gaussian_filter(values, 2, mode="constant")
    below = ndimage.gaussian_filter(there, 2, mode="constant", cval=1)
    np.testing.assert_array_equal(ours, above / below)


@given(pictures(), st.integers(0, 4), st.sampled_from(["omit", "interpolate"]))
def test_complex_samples_miss_what_one_part_misses(picture, least, policy):
    x, w, weights, mode = picture
    rng = np.random.default_rng(0)
    z = x + 1j * np.where(rng.random(x.shape) < 0.2, np.nan, np.ones(x.shape))
    there = np.where(np.isnan(z), 0.0, weights)
    known = np.where(np.isnan(z), 0, z)
    real, counts = mean(known.real, w, there, mode, 0.7)
    imag, _ = mean(known.imag, w, there, mode, 0.2)
    want = np.empty(x.shape, complex)
    want.real, want.imag = real, imag
    want[counts < max(least, 1)] = complex(np.nan, np.nan)
    if policy == "interpolate":
        want = np.where(there > 0, z, want)
    ours = ndimage.correlate(
        z, w, mode=mode, cval=0.7 + 0.2j, nan_policy=policy, min_count=least,
        sample_weights=weights,
    )  # fmt: skip
    np.testing.assert_allclose(ours, want, rtol=1e-12, atol=1e-12)


def test_every_smoothing_takes_complex_samples_with_gaps():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((20, 9)) + 1j * rng.standard_normal((20, 9))
    gone = rng.random(z.shape) < 0.3
    holes = np.where(gone, np.nan, z)
    for name, args in [
        ("convolve", (np.ones((3, 2)),)),
        ("correlate1d", ([1.0, 2, 1], 0)),
        ("convolve1d", ([1.0, 2, 1], 1)),
        ("gaussian_filter", (1.2,)),
        ("gaussian_filter1d", (1.2, 0)),
        ("uniform_filter", (3,)),
        ("uniform_filter1d", (3, 0)),
    ]:
        smooth = getattr(ndimage, name)
        ours = smooth(holes, *args, nan_policy="omit")
        np.testing.assert_allclose(ours.real, smooth(z.real, *args, mask=gone), err_msg=name)
        np.testing.assert_allclose(ours.imag, smooth(z.imag, *args, mask=gone), err_msg=name)
        narrow = smooth(holes.astype("F"), *args, nan_policy="omit")
        assert narrow.dtype == "F"
    for stride in (1, 2):
        out = np.empty((-(-21 // stride), 9), complex)
        keywords = {"axis": 0, "stride": stride}
        ours = fastconv.convolve(holes, [1.0, 2.0], nan_policy="omit", out=out, **keywords)
        assert ours is out
        want = fastconv.convolve(z.real, [1.0, 2.0], mask=gone, **keywords)
        np.testing.assert_allclose(ours.real, want)


# ---------------------------------------------------------------- astropy


@pytest.mark.parametrize(
    ("boundary", "mode"), [("fill", "constant"), ("extend", "nearest"), ("wrap", "wrap")]
)
@pytest.mark.parametrize("shape", [(40,), (15, 17), (7, 8, 9)])
def test_omit_is_astropys_interpolation(boundary, mode, shape):
    convolution = pytest.importorskip("astropy.convolution", reason="astropy is not installed")
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape)
    x[rng.random(shape) < 0.3] = np.nan
    w = rng.random((5,) * len(shape))
    for normalize in (True, False):
        theirs = convolution.convolve(
            x, w, boundary=boundary, nan_treatment="interpolate", normalize_kernel=normalize
        )
        ours = ndimage.convolve(x, w, mode=mode, nan_policy="omit", normalize=normalize)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    theirs = convolution.interpolate_replace_nans(x, w, boundary=boundary)
    ours = ndimage.convolve(x, w, mode=mode, nan_policy="interpolate")
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    if len(shape) == 1 and mode == "constant":
        theirs = convolution.convolve(x, w, boundary=boundary)
        ours = fastconv.convolve(x, w, "same", nan_policy="omit")
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------- numpy's convolve


@given(
    st.integers(1, 12), st.integers(1, 12), st.sampled_from(["full", "same", "valid"]),
    st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_gaps_in_a_sequence_count_by_their_mode(n, k, mode, stride, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal(n), rng.random(k) + 0.1
    x[rng.random(n) < 0.3] = np.nan
    ours = fastconv.convolve(x, w, mode, nan_policy="omit", stride=stride)
    values, gone = np.nan_to_num(x), np.isnan(x).astype(float)
    below = w.sum() - np.convolve(gone, w, mode)
    below[below < 1e-9] = np.nan
    want = (np.convolve(values, w, mode) / below)[::stride]
    np.testing.assert_allclose(ours, want, rtol=1e-9, atol=1e-9)
    table = np.stack([x, x], axis=1)
    out = np.empty((len(want), 2))
    result = fastconv.convolve(table, w, mode, axis=0, nan_policy="omit", stride=stride, out=out)
    assert result is out
    np.testing.assert_array_equal(out, np.stack([ours, ours], axis=1))


# ---------------------------------------------------------------- dtypes and errors


def test_means_of_integers_are_float64_and_of_float32_are_float32():
    assert ndimage.convolve(np.arange(5), [1, 1], mask=[0, 0, 1, 0, 0]).dtype == np.float64
    assert ndimage.gaussian_filter(np.ones(5, "f"), 1, nan_policy="omit").dtype == np.float32
    assert ndimage.uniform_filter(np.ones(5, "f"), 3, nan_policy="omit", output="d").dtype == "d"


def test_a_sample_outside_that_is_nan_is_missing_too():
    x = np.arange(5.0)
    ours = ndimage.convolve(x, [1, 1, 1], mode="constant", cval=np.nan, nan_policy="omit")
    np.testing.assert_allclose(ours, [0.5, 1, 2, 3, 3.5])


def test_the_result_may_overwrite_the_samples():
    x = np.random.default_rng(0).standard_normal((60, 50))
    x[x > 1] = np.nan
    want = ndimage.gaussian_filter(x, 2, nan_policy="omit")
    ndimage.gaussian_filter(x, 2, nan_policy="omit", output=x)
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"nan_policy": "raise"}, ValueError),
        ({"nan_policy": None}, TypeError),
        ({"normalize": "yes"}, TypeError),
        ({"min_count": -1}, ValueError),
        ({"min_count": 1.5}, TypeError),
        ({"mask": np.ones(3, bool)}, ValueError),
        ({"sample_weights": -np.ones(9)}, ValueError),
        ({"sample_weights": np.full(9, np.nan)}, ValueError),
    ],
)
def test_keywords_for_missing_samples_are_checked(keywords, error):
    with pytest.raises(error):
        ndimage.convolve(np.ones(9), [1, 2], **keywords)
    with pytest.raises(error):
        fastconv.convolve(np.ones(9), [1, 2], **keywords)


def test_a_filter_without_a_sum_has_no_mean():
    with pytest.raises(ValueError, match="sum"):
        ndimage.convolve(np.ones(9), [1, -1], nan_policy="omit")
    with pytest.raises(ValueError, match="complex"):
        ndimage.convolve(np.ones(9), [1, 1j], nan_policy="omit")
    with pytest.raises(ValueError, match="stride"):
        ndimage.convolve(np.ones(9), [1, 1], nan_policy="omit", stride=2)
