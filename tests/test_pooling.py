"""Pooling: torch's meaning on NumPy arrays, by the definition always and by torch where it is."""

import importlib.util
import itertools

import numpy as np
import pytest
from agreement import assert_identical, assert_within
from hypothesis import example, given
from hypothesis import strategies as st

import fastconv
from fastconv import nn
from fastconv.paths import pools

LAST = {1: "NLC", 2: "NHWC", 3: "NDHWC"}
has_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed (extra: peers)"
)


# ---------------------------------------------------------------- the definition


def lengths(n, k, s, p, d, ceil_mode):
    """torch's rule for how many windows there are."""
    room = n + 2 * p - (k - 1) * d - 1
    m = (room + (s - 1) * ceil_mode) // s + 1
    return m - 1 if ceil_mode and (m - 1) * s >= n + p else m


def windows_of(signal, k, s, p, d, ceil_mode):
    """Yield each output's index and, per axis, its samples and where it begins and ends."""
    axes = []
    for n, kk, ss, pp, dd in zip(signal, k, s, p, d, strict=True):
        axis = []
        for i in range(lengths(n, kk, ss, pp, dd, ceil_mode)):
            taps = [i * ss - pp + t * dd for t in range(kk)]
            end = min(i * ss - pp + kk, n + pp)
            axis.append(([j for j in taps if 0 <= j < n], end - (i * ss - pp)))
        axes.append(axis)
    for i in np.ndindex(*map(len, axes)):
        yield i, [axes[a][j] for a, j in enumerate(i)]


def pooled(x, ndim, k, s, p, d, ceil_mode):
    """Maxima, their places, sums, numbers of samples and of samples with padding, by loops."""
    signal = x.shape[x.ndim - ndim :]
    shape = [lengths(*row, ceil_mode) for row in zip(signal, k, s, p, d, strict=True)]
    planes = x.reshape(-1, *signal)
    best, place = np.empty((len(planes), *shape), x.dtype), np.empty((len(planes), *shape), int)
    total, met, whole = np.zeros(best.shape, np.longdouble), np.zeros(shape), np.zeros(shape)
    for i, axes in windows_of(signal, k, s, p, d, ceil_mode):
        samples = list(itertools.product(*(axis[0] for axis in axes)))
        met[i], whole[i] = len(samples), np.prod([axis[1] for axis in axes])
        for b, plane in enumerate(planes):
            first = samples[0]
            for at in samples:
                if plane[at] > plane[first] or plane[at] != plane[at]:
                    first = at
                total[(b, *i)] += plane[at]
            best[(b, *i)] = plane[first]
            place[(b, *i)] = np.ravel_multi_index(first, signal)
    full = (*x.shape[: x.ndim - ndim], *shape)
    return best.reshape(full), place.reshape(full), total.reshape(full), met, whole


@st.composite
def poolings(draw, dtypes=("float32", "float64", "int64", "uint8", "bool", "float16")):
    """A pooling of 1, 2 or 3 axes, and an array for it with ties and, if float, with NaN."""
    ndim = draw(st.integers(1, 3))
    most = {1: 90, 2: 40, 3: 5}[ndim] if draw(st.integers(0, 3)) == 0 else 7

    def each(lo, hi):
        one = draw(st.integers(lo, hi))
        return tuple(draw(st.integers(lo, hi)) for _ in range(ndim)) if draw(st.booleans()) else (
            one,
        ) * ndim  # fmt: skip

    k, s = each(1, 4), each(1, 3)
    d = each(1, 2) if draw(st.integers(0, 3)) == 0 else (1,) * ndim
    p = tuple(draw(st.integers(0, kk // 2)) for kk in k)
    lead = draw(st.sampled_from([(2,), (1, 2), (2, 1)]))
    signal = tuple(
        draw(st.integers(max(1, (kk - 1) * dd + 1 - (pp if dd == 1 else 0)), max(most, 8)))
        for kk, dd, pp in zip(k, d, p, strict=True)
    )
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.integers(0 if dtype in ("uint8", "bool") else -4, 5, (*lead, *signal)).astype(dtype)
    if dtype.startswith("float") and draw(st.booleans()):
        x.flat[rng.integers(0, x.size, 2)] = rng.choice([np.nan, np.inf, -np.inf], 2)
    return x, ndim, k, s, p, d, draw(st.booleans())


def face(name, ndim):
    return getattr(nn, name.format(ndim))


@given(poolings())
@example((np.full((1, 3, 3), -np.inf), 2, (2, 2), (1, 1), (1, 1), (1, 1), False))
@example((np.full((1, 3, 3), -128, np.int8), 2, (3, 3), (2, 2), (1, 1), (1, 1), True))
def test_maxima_and_their_places_are_their_definition(pooling):
    x, ndim, *window = pooling
    best, place, *_ = pooled(x, ndim, *window)
    max_pool = face("max_pool{}d", ndim)
    np.testing.assert_array_equal(max_pool(x, *window), best)
    values, places = max_pool(x, *window, return_indices=True)
    np.testing.assert_array_equal(values, best)
    assert_identical(places, place)
    assert values.dtype == x.dtype
    if x.ndim > ndim + 1:  # The same with channels last.
        moved = np.moveaxis(x, 1, -1)
        result = max_pool(moved, *window, layout=LAST[ndim])
        np.testing.assert_array_equal(np.moveaxis(result, -1, 1), best)
        places = max_pool(moved, *window, return_indices=True, layout=LAST[ndim])[1]
        np.testing.assert_array_equal(np.moveaxis(places, -1, 1), place)


@given(poolings(("float32", "float64", "int64", "uint8")), st.booleans(), st.sampled_from([0, 3]))
def test_means_are_their_definition(pooling, include_pad, divisor):
    x, ndim, k, s, p, _, ceil_mode = pooling
    if ndim == 3 and any(n < kk for n, kk in zip(x.shape[-3:], k, strict=True)):
        return  # torch refuses it, and so do we.
    ones = (1,) * ndim
    x = np.where(np.isfinite(x), x, 1).astype(x.dtype)
    _, _, total, met, whole = pooled(x, ndim, k, s, p, ones, ceil_mode)
    extra = {"divisor_override": divisor} if divisor and ndim > 1 else {}
    count = divisor if extra else whole if include_pad else met
    sizes = pooled(np.abs(x), ndim, k, s, p, ones, ceil_mode)[2] / count
    arguments = (k, s, p, ceil_mode, include_pad)
    cases = [(face("avg_pool{}d", ndim)(x, *arguments, **extra), total / count)]
    if x.ndim > ndim + 1:
        moved = face("avg_pool{}d", ndim)(
            np.moveaxis(x, 1, -1), *arguments, **extra, layout=LAST[ndim]
        )
        cases.append((np.moveaxis(moved, -1, 1), total / count))
    for result, expected in cases:
        assert result.dtype == x.dtype
        if x.dtype.kind == "f":
            bound = (np.prod(k) + 1) * np.finfo(x.dtype).eps * sizes
            assert_within(result, expected, bound)
        else:
            np.testing.assert_array_equal(result, np.trunc(expected).astype(x.dtype))


@st.composite
def adaptive(draw):
    ndim = draw(st.integers(1, 3))
    signal = tuple(draw(st.integers(1, 12 if ndim < 3 else 5)) for _ in range(ndim))
    wanted = tuple(draw(st.integers(1, 7)) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.integers(-5, 6, (2, 3, *signal)).astype("float64"), wanted


@given(adaptive())
def test_adaptive_windows_are_their_definition(drawn):
    x, wanted = drawn
    signal = x.shape[2:]
    best, mean = np.empty((2, 3, *wanted)), np.empty((2, 3, *wanted))
    for i in np.ndindex(*wanted):
        at = tuple(
            slice(j * n // m, -(-(j + 1) * n // m))
            for j, n, m in zip(i, signal, wanted, strict=True)
        )
        part = x[(..., *at)].reshape(2, 3, -1)
        best[(..., *i)], mean[(..., *i)] = part.max(-1), part.mean(-1)
    ndim = len(signal)
    maximum, average = face("adaptive_max_pool{}d", ndim), face("adaptive_avg_pool{}d", ndim)
    values, places = maximum(x, wanted, True)
    np.testing.assert_array_equal(values, best)
    np.testing.assert_array_equal(maximum(x, wanted), best)
    flat = np.take_along_axis(x.reshape(2, 3, -1), places.reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(flat.reshape(best.shape), best)
    np.testing.assert_allclose(average(x, wanted), mean, rtol=1e-14, atol=1e-14)
    moved = average(np.moveaxis(x, 1, -1), wanted, layout=LAST[ndim])
    np.testing.assert_allclose(np.moveaxis(moved, -1, 1), mean, rtol=1e-14, atol=1e-14)


def test_none_keeps_an_axis():
    x = np.arange(24.0).reshape(1, 4, 6)
    assert nn.adaptive_max_pool2d(x, (None, 2)).shape == (1, 4, 2)
    np.testing.assert_array_equal(nn.adaptive_avg_pool2d(x, (None, None)), x)
    assert nn.adaptive_avg_pool2d(x, (0, 2)).shape == (1, 0, 2)


# ---------------------------------------------------------------- without loops, and elsewhere


def test_without_a_compiled_loop_the_answers_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal((2, 3, 13, 17)) * 3)
    x[0, 0, 3, 5] = np.nan
    calls = [
        lambda: nn.max_pool2d(x, 3, 2, 1),
        lambda: nn.max_pool2d(x, (5, 2), 2, 1, ceil_mode=True, return_indices=True),
        lambda: nn.avg_pool2d(x, 2),
        lambda: nn.avg_pool2d(x, 3, 2, 1, True, False),
    ]
    compiled = [call() for call in calls]
    monkeypatch.setattr(pools.load, "ready", lambda *unit: None)
    for call, before in zip(calls, compiled, strict=True):
        np.testing.assert_allclose(call(), before, rtol=1e-14)


def test_results_go_where_they_are_wanted():
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32")
    for call in (nn.max_pool2d, nn.avg_pool2d):
        out = np.empty((2, 3, 4, 4), "float32")
        assert call(x, 2, out=out) is out
        assert_identical(out, call(x, 2))
        strided = np.empty((2, 3, 4, 8), "float32")[..., ::2]
        assert call(x, 2, out=strided) is strided
        np.testing.assert_array_equal(strided, out)
        inside = x.copy()
        np.testing.assert_array_equal(call(inside, 2, out=inside[..., :4, :4]), out)
        for wrong, error in ((np.empty((2, 3, 4, 5), "f"), ValueError), (np.empty((2, 3, 4, 4)),
                             TypeError), ([1], TypeError)):  # fmt: skip
            with pytest.raises(error, match="out must"):
                call(x, 2, out=wrong)


def test_threads_change_nothing():
    x = np.random.default_rng(0).standard_normal((64, 130, 140)).astype("float32")
    for k, s, p in ((2, 2, 0), (3, 2, 1), (5, 1, 2)):
        for call in (nn.max_pool2d, nn.avg_pool2d):
            assert_identical(call(x, k, s, p, workers=3), call(x, k, s, p, workers=1))
    one, three = (nn.max_pool2d(x, 2, return_indices=True, workers=w) for w in (1, 3))
    assert_identical(one[1], three[1])


def test_empty_batches_have_empty_results():
    x = np.empty((0, 3, 8, 8), "float32")
    assert nn.max_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert nn.max_pool2d(x, 2, return_indices=True)[1].shape == (0, 3, 4, 4)
    assert nn.avg_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert nn.adaptive_max_pool2d(x, 3, True)[0].shape == (0, 3, 3, 3)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: nn.max_pool2d(np.ones((1, 0, 4)), 2), ValueError),
        (lambda: nn.max_pool1d(np.ones((1, 4)), 5), ValueError),
        (lambda: nn.max_pool1d(np.ones((1, 4)), 2, 0), ValueError),
        (lambda: nn.max_pool1d(np.ones((1, 4)), 2, 1, 2), ValueError),
        (lambda: nn.max_pool1d(np.ones((1, 4)), 2, 1, 0, 9), ValueError),
        (lambda: nn.max_pool3d(np.ones((4, 4)), 2), ValueError),
        (lambda: nn.max_pool2d(np.ones((4, 4), complex), 2), TypeError),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, layout="CHWN"), ValueError),
        (lambda: nn.avg_pool2d(np.ones((1, 4, 4)), 2, divisor_override=0), ValueError),
        (lambda: nn.avg_pool2d(np.ones((1, 4, 4), bool), 2), TypeError),
        (lambda: nn.avg_pool3d(np.ones((1, 4, 4, 2)), 3, 1, 1), ValueError),
        (lambda: nn.adaptive_avg_pool2d(np.ones((1, 4, 4)), (2, 2, 2)), ValueError),
        (lambda: nn.adaptive_avg_pool2d(np.ones((1, 4, 4)), -1), ValueError),
        (lambda: nn.adaptive_max_pool1d(np.ones((1, 4)), 2.5), TypeError),
        (lambda: nn.max_unpool2d(np.ones((1, 2, 2)), np.full((1, 2, 2), 99), 2), ValueError),
        (lambda: nn.max_unpool2d(np.ones((1, 2, 2)), np.zeros((1, 2)), 2), TypeError),
        (lambda: nn.max_unpool2d(np.ones((1, 2, 2)), np.zeros((1, 2), int), 2), ValueError),
        (lambda: nn.max_unpool1d(np.ones((1, 2)), np.zeros((1, 2), int), 2, output_size=(9,)),
         ValueError),
        (lambda: nn.max_pool2d_backward(np.ones((1, 3, 3)), np.ones((1, 4, 4)), 2), ValueError),
        (lambda: nn.max_pool2d(np.ones((1, 1)), (1, 2), 1, (0, 1), (1, 2), return_indices=True),
         ValueError),
    ],
)  # fmt: skip
def test_what_torch_refuses_is_refused(call, error):
    with pytest.raises(error, match="must"):
        call()


# ---------------------------------------------------------------- the way back


@given(poolings(("float64",)))
def test_unpooling_puts_maxima_back(pooling):
    x, ndim, k, s, p, d, _ = pooling
    if d != (1,) * ndim or np.isnan(x).any():
        return
    values, places = face("max_pool{}d", ndim)(x, k, s, p, return_indices=True)
    signal, usual = x.shape[-ndim:], [
        (m - 1) * ss - 2 * pp + kk
        for m, ss, pp, kk in zip(values.shape[-ndim:], s, p, k, strict=True)
    ]  # fmt: skip
    if any(abs(n - u) >= ss for n, u, ss in zip(signal, usual, s, strict=True)):
        return
    back = face("max_unpool{}d", ndim)(values, places, k, s, p, signal)
    expected = np.zeros((*x.shape[:-ndim], np.prod(signal)))
    lead = x.shape[:-ndim]
    np.put_along_axis(expected, places.reshape(*lead, -1), values.reshape(*lead, -1), -1)
    np.testing.assert_array_equal(back, expected.reshape(x.shape))


def finite_difference(function, x, grad):
    """The gradient of sum(grad * function(x)) by central differences."""
    slope, step = np.empty_like(x), 1e-4
    for i in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * step
            ends.append((grad * function(moved)).sum())
        slope[i] = (ends[0] - ends[1]) / (2 * step)
    return slope


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_gradients_are_those_of_finite_differences(ceil_mode):
    rng = np.random.default_rng(2)
    x = rng.permutation(2 * 7 * 6).reshape(2, 7, 6) / 7.0
    for k, s, p in ((2, 2, 0), (3, 2, 1), ((3, 2), (1, 2), (1, 0))):

        def largest(y, k=k, s=s, p=p):
            return nn.max_pool2d(y, k, s, p, 1, ceil_mode)

        def mean(y, k=k, s=s, p=p):
            return nn.avg_pool2d(y, k, s, p, ceil_mode, False)

        grad = rng.standard_normal(largest(x).shape)
        got = nn.max_pool2d_backward(grad, x, k, s, p, 1, ceil_mode)
        np.testing.assert_allclose(got, finite_difference(largest, x, grad), atol=1e-7)
        got = nn.avg_pool2d_backward(grad, x, k, s, p, ceil_mode, False)
        np.testing.assert_allclose(got, finite_difference(mean, x, grad), atol=1e-7)


# ---------------------------------------------------------------- torch itself


@has_torch
@given(poolings(("float32", "float64")), st.booleans())
def test_torch_agrees(pooling, include_pad):
    import torch
    import torch.nn.functional as peer

    x, ndim, k, s, p, d, ceil_mode = pooling
    theirs = torch.from_numpy(x).requires_grad_()
    name = f"max_pool{ndim}d"
    values, places = getattr(peer, name)(theirs, k, s, p, d, ceil_mode, True)
    ours = getattr(nn, name)(x, k, s, p, d, ceil_mode, True)
    np.testing.assert_array_equal(ours[0], values.detach().numpy())
    np.testing.assert_array_equal(ours[1], places.numpy())
    tame = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    arguments = (k, s, p, ceil_mode, include_pad)
    name = f"avg_pool{ndim}d"
    try:
        mean = getattr(peer, name)(torch.from_numpy(tame), *arguments).numpy()
    except RuntimeError:
        with pytest.raises(ValueError, match="must"):
            getattr(nn, name)(tame, *arguments)
        return
    np.testing.assert_allclose(getattr(nn, name)(tame, *arguments), mean, rtol=1e-5, atol=1e-6)
    if ndim == 2 and not np.isnan(x).any():
        values.backward(torch.ones_like(values))
        grad = nn.max_pool2d_backward(np.ones(ours[0].shape), x, k, s, p, d, ceil_mode)
        np.testing.assert_array_equal(grad, theirs.grad.numpy())
        theirs.grad = None
        means = peer.avg_pool2d(theirs, *arguments)
        means.backward(torch.ones_like(means))
        grad = nn.avg_pool2d_backward(np.ones(means.shape), x, *arguments)
        np.testing.assert_allclose(grad, theirs.grad.numpy(), rtol=1e-5)


OPERATORS = [
    *(f"nn.functional.{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)),
    *(f"nn.functional.adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)),
    *(f"nn.functional.max_unpool{n}d" for n in (1, 2, 3)),
    "nn.functional.relu",
    "nn.functional.leaky_relu",
]


@has_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATORS)
def test_torchs_own_samples_pass(name):
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    short = name.rpartition(".")[2]
    operator = next(op for op in op_db if op.name == name and not op.variant_test_name)
    seen = 0
    samples = operator.sample_inputs("cpu", torch.float32, requires_grad=False)
    for sample in itertools.islice(samples, 0, 400, 4):  # There are thousands of some.
        keywords = {k: v for k, v in sample.kwargs.items() if k != "inplace"}
        wanted = operator(sample.input, *sample.args, **keywords)
        arguments = [v.numpy() if isinstance(v, torch.Tensor) else v for v in sample.args]
        keywords = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in keywords.items()}
        result = getattr(nn, short)(sample.input.numpy(), *arguments, **keywords)
        if not isinstance(wanted, tuple):
            result, wanted = (result,), (wanted,)
        for ours, theirs in zip(result, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)
        seen += 1
    assert seen


@has_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATORS[:12])
def test_torchs_own_wrong_inputs_are_refused(name):
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    short = name.rpartition(".")[2]
    operator = next(op for op in op_db if op.name == name and not op.variant_test_name)
    ndim = int(short[-2])
    for case in operator.error_inputs("cpu") if operator.error_inputs_func else ():
        sample = case.sample_input
        if not isinstance(sample.input, torch.Tensor):
            continue
        x = sample.input.detach().numpy()
        # Any number of axes may lead here, and any of them be empty; every real dtype is pooled.
        if x.ndim >= ndim and 0 not in x.shape[x.ndim - ndim :] and not must_be_refused(case):
            continue
        with pytest.raises((ValueError, TypeError)):
            getattr(nn, short)(x, *sample.args, **sample.kwargs)


def must_be_refused(case):
    """Whether torch's complaint is about sizes, and not about the axes that lead or the dtype."""
    words = ("stride", "pad", "kernel_size", "divisor", "Output size", "output_size", "dilation")
    text = str(case.error_regex)
    return any(word in text for word in words) and "Expected" not in text


def test_the_faces_are_public():
    for name in nn.__all__:
        assert callable(getattr(fastconv.nn, name))
        assert getattr(nn, name).__doc__
