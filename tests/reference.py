"""The definition of everything fastconv computes, as a textbook writes it, and each path's error.

Nothing here is fast and nothing here is clever. Every linear result is one formula,

    out[i] = sum_t  x~[i*stride + t*dilation - pad] * w[t]

where x~ is x continued beyond its ends by a boundary rule. The faces (`convolve`, `correlate`,
`convolve2d`, `correlate2d`) only choose pad, length and the order of the taps.
"""

import math
from functools import reduce

import numpy as np

# ---------------------------------------------------------------- the one formula


def outside_zero(j, n):
    """Nothing is there: the term is left out of the sum, not added as zero times a tap."""
    return j if 0 <= j < n else None


def reflect(j, n):
    """Continue d c b a | a b c d | d c b a."""
    j %= 2 * n
    return j if j < n else 2 * n - 1 - j


def mirror(j, n):
    """Continue d c b | a b c d | c b a."""
    if n == 1:
        return 0
    j %= 2 * n - 2
    return j if j < n else 2 * n - 2 - j


def nearest(j, n):
    """Continue a a a | a b c d | d d d."""
    return min(max(j, 0), n - 1)


def wrap(j, n):
    """Continue b c d | a b c d | a b c."""
    return j % n


# "zero" and "fill" look alike inside the range; what stands outside differs (see `sample`).
BOUNDARIES = {
    "zero": outside_zero,
    "fill": outside_zero,
    "reflect": reflect,
    "mirror": mirror,
    "nearest": nearest,
    "wrap": wrap,
}


def sample(x, index, boundary, fill):
    """The value of x~ at an index tuple, or None where there is nothing to multiply."""
    inside = [BOUNDARIES[b](j, n) for b, j, n in zip(boundary, index, x.shape, strict=True)]
    if None not in inside:
        return x[tuple(inside)]
    return x.dtype.type(fill) if "fill" in boundary else None


def window(x, i, size, pad, stride, dilation, boundary, fill):
    """Yield (tap, sample) for output i, without the taps that meet nothing."""
    for t in np.ndindex(*size):
        where = zip(i, t, pad, stride, dilation, strict=True)
        value = sample(x, [a * s + b * d - p for a, b, p, s, d in where], boundary, fill)
        if value is not None:
            yield t, value


def per_axis(value, ndim):
    """One value for all axes, or one for each."""
    return value if isinstance(value, tuple) else (value,) * ndim


def terms(x, size, pad, shape, *, stride=1, dilation=1, boundary="zero", fill=0):
    """Yield each tap, what all outputs meet under it, and where they meet anything.

    `pad` and `shape` have one entry per axis, the others one for all axes or one per axis.
    """
    stride, dilation, boundary = (per_axis(v, x.ndim) for v in (stride, dilation, boundary))
    if 0 in shape:
        return
    # x~ from the first sample that any output meets to the last.
    places = [
        [BOUNDARIES[b](j - p, n) for j in range((m - 1) * s + (k - 1) * d + 1)]
        for b, p, n, m, s, k, d in zip(
            boundary, pad, x.shape, shape, stride, size, dilation, strict=True
        )
    ]
    at = np.ix_(*[np.array([-1 if j is None else j for j in axis], int) for axis in places])
    inside = reduce(np.logical_and, [j >= 0 for j in at])
    around = np.full([n + 1 for n in x.shape], x.dtype.type(fill))  # Index -1 finds something.
    around[tuple(map(slice, x.shape))] = x
    continued, met = np.where(inside, around[at], x.dtype.type(fill)), inside | ("fill" in boundary)
    for t in np.ndindex(*size):
        under = tuple(
            slice(u * d, u * d + (m - 1) * s + 1, s)
            for u, d, m, s in zip(t, dilation, shape, stride, strict=True)
        )
        yield t, continued[under], met[under]


def correlate_nd(x, w, pad, shape, **rules):
    """Correlate x with w in any number of dimensions, in the arithmetic of their common dtype.

    Integers wrap, booleans are OR of ANDs, and the sum starts from +0, as in NumPy.
    """
    x, w = np.asarray(x), np.asarray(w)
    dtype = np.result_type(x, w)
    x, w = x.astype(dtype), w.astype(dtype)
    out = np.zeros(shape, dtype)
    with np.errstate(all="ignore"):
        for t, values, met in terms(x, w.shape, pad, shape, **rules):
            np.add(out, values * w[t], out=out, where=met)
    return out


def maximum_nd(x, size, pad, shape, *, lowest=-np.inf, **rules):
    """The largest sample of each window; NaN wins; `lowest` where a window meets nothing."""
    out, seen = np.empty(shape, x.dtype), np.zeros(shape, bool)
    for _, values, met in terms(x, size, pad, shape, **rules):
        np.maximum(out, values, out=out, where=met & seen)
        np.copyto(out, values, where=met & ~seen)
        seen |= met
    if not seen.all():
        out[~seen] = lowest
    return out


# ---------------------------------------------------------------- NumPy's faces


def extent(n, k, mode):
    """Pad and output length of a k-tap correlation over n >= k samples."""
    return {"full": (k - 1, n + k - 1), "same": (k // 2, n), "valid": (0, n - k + 1)}[mode]


def correlate(a, v, mode="valid", stride=1):
    """np.correlate: the second operand is conjugated; a longer one reverses the result."""
    a, v = np.asarray(a), conjugate(v)
    if len(v) > len(a):
        return correlate_longer_first(v, a, mode)[::-1][::stride]
    return correlate_longer_first(a, v, mode)[::stride]


def convolve(a, v, mode="full", stride=1):
    """np.convolve: the shorter operand is the filter, and it is flipped."""
    a, v = np.asarray(a), np.asarray(v)
    if len(v) > len(a):
        a, v = v, a
    return correlate_longer_first(a, v[::-1], mode)[::stride]


def correlate_longer_first(x, w, mode):
    """Correlate when no operand has to be swapped."""
    pad, length = extent(len(x), len(w), mode)
    return correlate_nd(x, w, (pad,), (length,))


def conjugate(v):
    """The complex conjugate; other dtypes as they are."""
    v = np.asarray(v)
    return v.conj() if v.dtype.kind == "c" else v


FACES = {"convolve": convolve, "correlate": correlate}


def along_axis(face, a, v, mode, axis, stride=1):
    """Apply a face of two 1-D operands along `axis` of both; the other axes broadcast.

    A 1-D operand has one axis only, whatever `axis` says.
    """
    a, v = np.asarray(a), np.asarray(v)
    a_rows = a if a.ndim == 1 else np.moveaxis(a, axis, -1)
    v_rows = v if v.ndim == 1 else np.moveaxis(v, axis, -1)
    batch = np.broadcast_shapes(a_rows.shape[:-1], v_rows.shape[:-1])
    a_rows = np.broadcast_to(a_rows, (*batch, a_rows.shape[-1]))
    v_rows = np.broadcast_to(v_rows, (*batch, v_rows.shape[-1]))
    length = len(face(np.ones(a_rows.shape[-1]), np.ones(v_rows.shape[-1]), mode, stride))
    out = np.empty((*batch, length), np.result_type(a, v))
    for row in np.ndindex(*batch):
        out[row] = face(a_rows[row], v_rows[row], mode, stride)
    return out if a.ndim == v.ndim == 1 else np.moveaxis(out, -1, axis)


# ---------------------------------------------------------------- SciPy's 2-D faces

# scipy.signal's name -> ours. SciPy multiplies the taps that hang over the edge with the fill value
# even when it is zero, so an infinite tap makes the rim NaN.
SCIPY_BOUNDARIES = {
    "fill": "fill",
    "wrap": "wrap",
    "circular": "wrap",
    "symm": "reflect",
    "symmetric": "reflect",
}


def correlate2d(in1, in2, mode="full", boundary="fill", fillvalue=0, stride=1):
    """scipy.signal.correlate2d: in2 is conjugated; 'same' is a sample early for even sizes."""
    in1, in2 = np.asarray(in1), np.asarray(in2)
    if swapped_for_valid(in1, in2, mode):
        out = in_scipys_extent(in2, conjugate(in1), mode, 0, boundary, fillvalue)[::-1, ::-1]
    else:
        out = in_scipys_extent(in1, conjugate(in2), mode, 1, boundary, fillvalue)
    return out[::stride, ::stride]


def convolve2d(in1, in2, mode="full", boundary="fill", fillvalue=0, stride=1):
    """scipy.signal.convolve2d: in2 is flipped on both axes, 'same' is centred on full."""
    in1, in2 = np.asarray(in1), np.asarray(in2)
    if swapped_for_valid(in1, in2, mode):
        in1, in2 = in2, in1
    out = in_scipys_extent(in1, in2[::-1, ::-1], mode, 0, boundary, fillvalue)
    return out[::stride, ::stride]


def swapped_for_valid(in1, in2, mode):
    """SciPy exchanges the operands of 'valid' when the second one contains the first."""
    return mode == "valid" and any(n < k for n, k in zip(in1.shape, in2.shape, strict=True))


def in_scipys_extent(x, w, mode, early, boundary, fill):
    """Correlate with in1's shape for 'same', starting `early` samples sooner for even sizes."""
    pad, shape = [], []
    for n, k in zip(x.shape, w.shape, strict=True):
        p, length = {
            "full": (k - 1, n + k - 1),
            "same": ((k - early) // 2, n),
            "valid": (0, n - k + 1),
        }[mode]
        pad.append(p)
        shape.append(length)
    return correlate_nd(x, w, pad, shape, boundary=SCIPY_BOUNDARIES[boundary], fill=fill)


FACES_2D = {"convolve2d": convolve2d, "correlate2d": correlate2d}


# ---------------------------------------------------------------- pooling and activations


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest sample of each window of the last two axes; NaN wins; padding never does."""
    x = np.asarray(x)
    kh, kw = pair(kernel_size)
    sh, sw = pair(kernel_size if stride is None else stride)
    ph, pw = pair(padding)
    *batch, height, width = x.shape
    rows, columns = (height + 2 * ph - kh) // sh + 1, (width + 2 * pw - kw) // sw + 1
    out = np.empty((*batch, rows, columns), x.dtype)
    for i, j in np.ndindex(rows, columns):
        top, left = i * sh - ph, j * sw - pw
        window = x[..., max(top, 0) : top + kh, max(left, 0) : left + kw]
        out[..., i, j] = window.max(axis=(-2, -1))  # NaN propagates in np.max
    return out


def pair(size):
    """One number stands for both axes."""
    return (size, size) if np.ndim(size) == 0 else tuple(size)


def leaky_relu(x, negative_slope=0.01):
    """X where it is not negative, negative_slope * x elsewhere, in x's dtype."""
    x = np.asarray(x)
    return np.where(x < 0, x * x.dtype.type(negative_slope), x)


# ---------------------------------------------------------------- how wrong a path may be


def precise(x, dtype):
    """Convert to `dtype` as a path does, then to the widest type, for an almost exact sum."""
    wide = np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble
    return np.asarray(x).astype(dtype).astype(wide)


def magnitude(x, dtype):
    """|x| in longdouble."""
    return np.abs(precise(x, dtype)).astype(np.longdouble)


def unit(dtype):
    """Spacing of numbers near one in `dtype`, plus what the reference loses per term."""
    return np.longdouble(np.finfo(dtype).eps) + np.longdouble(np.finfo(np.longdouble).eps)


def underflow(dtype):
    """The smallest positive number: what one product may lose when it is denormal."""
    return np.longdouble(np.finfo(dtype).smallest_subnormal)


def complex_factor(dtype):
    """Root 2 for complex numbers.

    Real and imaginary parts are each a real sum of 2k products whose magnitudes add to at most
    sum|x||w| (Cauchy-Schwarz); its bound gamma_2k = 2k u = k eps holds for both parts.
    """
    return math.sqrt(2) if np.dtype(dtype).kind == "c" else 1.0


def componentwise_bound(face, x, w, taps, dtype):
    """(k + 4) eps sum|x||w|, for each output by itself.

    A sum of k products in any order errs by at most gamma_k = k u / (1 - k u) relative to the sum
    of magnitudes [Higham 2002, section 3.1]. eps = 2 u leaves a factor of two, and 4 eps are for
    the conversion of the result.

    `face` is a function of x and w alone; `taps` counts the products of one output.
    """
    total = face(magnitude(x, dtype), magnitude(w, dtype))
    rounding = (taps + 4) * unit(dtype) * total
    return complex_factor(dtype) * (rounding + 2 * taps * underflow(dtype))


def normwise_bound(x, w, dtype):
    """8 log2(L) eps ||x|| ||w||, one number for all outputs; L points in the longest block.

    A transform of L points errs by at most log2(L) (u + gamma_4 (sqrt 2 + u)) < 7 u log2(L) in the
    2-norm [Higham 2002, theorem 24.2], relative to a result whose every entry is at most
    ||x|| ||w||. x, w and their product pass through one each: 3 * 7 u = 10.5 eps if all three worst
    cases met. Rounding errors do not conspire so; 8 eps is what the docstring promises, and a
    tenth of it is what is seen. L = 2 (n + k) because a block may be twice as long as it must, and
    no shorter than 512.
    """
    points = max(2 * (np.size(x) + np.size(w)), 512)
    length = norm(x, dtype) * norm(w, dtype)
    rounding = 8 * math.log2(points) * unit(dtype) * length
    # A transform adds L numbers, each of which may have lost a denormal.
    return rounding + points * underflow(dtype) * (1 + norm(x, dtype) + norm(w, dtype))


def norm(x, dtype):
    """The 2-norm in longdouble, scaled so that it cannot overflow where longdouble is double."""
    x = magnitude(x, dtype).ravel()
    largest = x.max(initial=0)
    return largest * np.sqrt(np.sum((x / largest) ** 2)) if largest > 0 else np.longdouble(0)
