"""Every function of fastconv.ndimage means by every argument what SciPy means."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage as scipy_ndimage
from test_ndimage import MODES, REAL, agree, filters, images, origins

from fastconv import ndimage

# "output" may be anything that stands for a dtype; arrays are tested elsewhere.
OUTPUTS = st.sampled_from([None, "float64", np.float32, np.dtype("int16"), "uint8"])
ORDERS = st.integers(0, 2)


def second(x, axis, output, mode, cval, weight=1.0, *, more=0.0):
    """A second derivative that takes arguments of its own, SciPy's in both cases."""
    taps = np.array([1.0, -2.0 - more, 1.0]) * weight
    return scipy_ndimage.correlate1d(x, taps, axis, output, mode, cval)


class Draw:
    """What a call may be given, drawn for one array."""

    def __init__(self, data, x):
        self.data, self.x = data, x
        some = st.lists(st.sampled_from(range(-x.ndim, x.ndim)), min_size=1, max_size=x.ndim,
                        unique_by=lambda a: a % x.ndim).map(tuple)  # fmt: skip
        self.axes = data.draw(st.one_of(st.none(), some))
        self.count = x.ndim if self.axes is None else len(self.axes)

    def one(self, strategy):
        return self.data.draw(strategy)

    def each(self, strategy):
        """One value for all axes, or one for each."""
        if self.one(st.booleans()):
            return self.one(strategy)
        return [self.one(strategy) for _ in range(self.count)]

    def axis(self):
        return self.one(st.integers(-self.x.ndim, self.x.ndim - 1))

    def size(self):
        return tuple(self.one(st.integers(1, 4)) for _ in range(self.count))

    def origin(self, size):
        return [self.one(origins(k)) for k in size]

    def reach(self):
        """Either of what limits a Gaussian."""
        kinds = [{}, {"truncate": self.one(st.sampled_from([1.0, 2.5]))}]
        return self.one(st.sampled_from([*kinds, {"radius": self.one(st.integers(0, 4))}]))


SIGMAS = st.sampled_from([0, 0.5, 1, 1.7])


def line(d):
    k = d.one(st.integers(1, 7))
    return (d.one(filters((k,))),), {"axis": d.axis(), "origin": d.one(origins(k))}


def window(d):
    size = d.size()
    return (d.one(filters(size)),), {"origin": d.origin(size), "axes": d.axes}


def size_line(d):
    k = d.one(st.integers(1, 9))
    return (k,), {"axis": d.axis(), "origin": d.one(origins(k))}


def box(d):
    size = d.size()
    return (size,), {
        "origin": d.origin(size),
        "axes": d.axes,
        "mode": d.each(st.sampled_from(MODES)),
    }


def footprint(d):
    if d.one(st.booleans()):
        return box(d)
    size = d.size()
    marks = st.lists(st.booleans(), min_size=int(np.prod(size)), max_size=int(np.prod(size)))
    keywords = {"footprint": np.array(d.one(marks)).reshape(size), "axes": d.axes}
    return (), {**keywords, "origin": d.origin(size)}


def gaussian_line(d):
    return (d.one(SIGMAS.filter(bool)),), {"axis": d.axis(), "order": d.one(ORDERS), **d.reach()}


def gaussian(d):
    keywords = {"order": d.each(ORDERS), "axes": d.axes, "mode": d.each(st.sampled_from(MODES))}
    return (d.each(SIGMAS),), {**keywords, **d.reach()}


def of_gaussians(d):
    keywords = {"axes": d.axes, "mode": d.each(st.sampled_from(MODES))}
    return (d.each(SIGMAS),), {**keywords, **d.reach()}


def along(d):
    return (d.axis(),), {"mode": [d.one(st.sampled_from(MODES)) for _ in range(d.x.ndim)]}


def plain(d):
    return (), {"axes": d.axes, "mode": d.each(st.sampled_from(MODES))}


def generic(d):
    args, keywords = plain(d)
    own = {"extra_arguments": (2.0,), "extra_keywords": {"more": 0.5}}
    return (second, *args), {**keywords, **(own if d.one(st.booleans()) else {})}


CALLS = {
    "convolve": window, "convolve1d": line, "correlate": window, "correlate1d": line,
    "gaussian_filter": gaussian, "gaussian_filter1d": gaussian_line,
    "gaussian_gradient_magnitude": of_gaussians, "gaussian_laplace": of_gaussians,
    "generic_gradient_magnitude": generic, "generic_laplace": generic, "laplace": plain,
    "maximum_filter": footprint, "maximum_filter1d": size_line, "minimum_filter": footprint,
    "minimum_filter1d": size_line, "prewitt": along, "sobel": along, "uniform_filter": box,
    "uniform_filter1d": size_line,
}  # fmt: skip


def test_every_function_is_drawn():
    assert set(CALLS) == set(ndimage.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_a_signature_begins_as_scipys(name):
    theirs = inspect.signature(getattr(scipy_ndimage, name)).parameters
    ours = inspect.signature(getattr(ndimage, name)).parameters
    for parameter in theirs.values():
        assert parameter.name in ours, parameter
        assert ours[parameter.name].kind is parameter.kind, parameter
    positional = [p for p in ours if ours[p].kind is ours[p].POSITIONAL_OR_KEYWORD]
    assert positional == [p for p in theirs if theirs[p].kind is theirs[p].POSITIONAL_OR_KEYWORD]


@given(st.data())
@pytest.mark.parametrize("name", CALLS)
def test_every_argument_means_what_it_means_in_scipy(name, data):
    # Means of floats are added up in another order (README): whole numbers are exact.
    real = [t for t in REAL if np.dtype(t).kind in "iu" or "uniform" not in name]
    x = data.draw(images(real))
    args, keywords = CALLS[name](Draw(data, x))
    keywords.setdefault("mode", data.draw(st.sampled_from(MODES)))
    keywords["cval"] = data.draw(st.sampled_from([0.0, -1.5, 3]))
    if "uniform" in name:
        keywords["cval"] = data.draw(st.sampled_from([0.0, -2.0, 3]))
    keywords["output"] = data.draw(OUTPUTS)
    if "uniform" in name:
        keywords["output"] = data.draw(st.sampled_from([None, "int32"]))
    agree(name, x, *args, **keywords)
