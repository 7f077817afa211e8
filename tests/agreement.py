"""What it means that two results agree: identical, within a bound, or of one kind."""

import numpy as np
import reference


def assert_identical(result, expected):
    """Same type, dtype, shape and values; NaN equals NaN, and -0.0 is not 0.0."""
    assert type(result) is type(expected)
    assert result.dtype == expected.dtype, f"{result.dtype} is not {expected.dtype}"
    assert result.shape == expected.shape, f"{result.shape} is not {expected.shape}"
    if result.dtype.kind in "biufc" and result.tobytes() == expected.tobytes():
        return
    np.testing.assert_array_equal(result, expected)
    if result.dtype.kind in "fc":
        for part in (np.real, np.imag):
            signs = np.signbit(part(result)), np.signbit(part(expected))
            numbers = ~np.isnan(part(expected))
            np.testing.assert_array_equal(signs[0][numbers], signs[1][numbers], "sign of zero")


def assert_fresh(result):
    """A result that nobody else holds: C-contiguous, writeable, owning its memory."""
    assert result.flags.c_contiguous
    assert result.flags.owndata
    assert result.flags.writeable
    assert result.flags.aligned
    assert result.dtype.isnative


def assert_within(result, expected, bound):
    """Every output within its bound of an (almost) exact value, and not one of them NaN."""
    result = np.asarray(result)
    assert result.shape == expected.shape, f"{result.shape} is not {expected.shape}"
    error = np.abs(result.astype(expected.dtype) - expected)
    within = error <= bound  # False for NaN
    if not within.all():
        worst = np.unravel_index(np.argmin(within), within.shape)
        allowed = np.broadcast_to(bound, error.shape)[worst]
        raise AssertionError(
            f"output {worst} is {result[worst]}, must be {expected[worst]} within {allowed}; "
            f"{np.count_nonzero(~within)} of {within.size} outputs are wrong"
        )


def assert_same_kind(result, expected):
    """NaN, +inf, -inf and finite stand at the same places.

    Of a complex number only whether it is finite is compared: which part becomes NaN depends on how
    a BLAS multiplies, NumPy's own answer included.
    """
    alike = np.shape(result) == np.shape(expected)
    if alike and np.isfinite(result).all() and np.isfinite(expected).all():
        return
    if np.iscomplexobj(expected):
        np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))
        return
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(result), kind(expected), kind.__name__)


def assert_guaranteed(guarantee, result, face, a, v, *, mode, stride=1):
    """Hold a 1-D result to the guarantee its path declares: exact, componentwise or normwise."""
    dtype = np.result_type(a, v)
    assert result.dtype == dtype, f"{result.dtype} is not {dtype}"
    key = [guarantee, face, mode, stride, *((x.dtype.str, x.shape, x.tobytes()) for x in (a, v))]
    if _last[0] != key:
        _last[:] = key, _truth(guarantee, face, a, v, mode, stride, dtype)
    exact, bound = _last[1]
    if guarantee == "exact":
        assert_identical(result, exact)
        return
    assert_within(result, exact, bound)


# What was asked last and its answer: a test holds several paths to the same one.
_last = [None, None]


def _truth(guarantee, face, a, v, mode, stride, dtype):
    """Return the right answer, and for floats how far from it a result may be."""
    # The definition is a Python loop; NumPy's own loop stands in for it where that takes too long.
    # test_reference.py shows that they are the same.
    small = len(a) * len(v) <= 2000
    definition = reference.FACES[face] if small else getattr(np, face)

    def value(x, w):
        return definition(x, w, mode)[::stride]

    if guarantee == "exact":
        return value(a, v), None
    taps = min(len(a), len(v))
    exact = value(reference.precise(a, dtype), reference.precise(v, dtype))
    if guarantee == "componentwise":
        bound = reference.componentwise_bound(value, a, v, taps, dtype)
    else:
        assert guarantee == "normwise"
        bound = reference.normwise_bound(a, v, dtype)
    return exact, bound
