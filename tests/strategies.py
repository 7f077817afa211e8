"""Random inputs: draw a problem first (what is to be computed), then arrays for it.

Sizes are small, with 0, 1 and a filter longer than its signal always possible. Arrays come in every
layout NumPy allows and with every value a dtype can hold.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

BOOL = ["?"]
INTEGERS = ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
REAL = ["f", "d"]
COMPLEX = ["F", "D"]
FLOATS = REAL + COMPLEX
EXOTIC = ["e", "g", "G"]
EXACT = BOOL + INTEGERS
NUMERIC = EXACT + FLOATS + EXOTIC

MODES = ["full", "same", "valid"]

# ---------------------------------------------------------------- layouts


def contiguous(x):
    """One after the other, owned and writeable."""
    return np.array(x, order="C")


def reversed_(x):
    """Negative strides on every axis."""
    backwards = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[backwards])[backwards]


def spaced(x):
    """Every other element of a longer buffer whose gaps hold garbage."""
    buffer = np.frombuffer(b"\xa5" * (2 * x.size * x.itemsize), x.dtype).copy()
    view = buffer.reshape(*x.shape[:-1], 2 * x.shape[-1])[..., ::2]
    view[...] = x
    return view


def fortran(x):
    """First axis fastest; a 1-D array becomes a column of a C-ordered table."""
    if x.ndim > 1:
        return np.asfortranarray(x)
    table = np.zeros((len(x), 3), x.dtype)
    table[:, 1] = x
    return table[:, 1]


def read_only(x):
    """Not writeable."""
    x = contiguous(x)
    x.flags.writeable = False
    return x


def misaligned(x):
    """Starting one byte off its alignment."""
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def field(x):
    """A field of packed records: spaced by one byte more than its size, and misaligned."""
    records = np.zeros(x.shape, [("tag", "u1"), ("value", x.dtype)])
    records["value"] = x
    return records["value"]


def swapped(x):
    """The other byte order."""
    return x.astype(x.dtype.newbyteorder("S"))


def broadcast(x):
    """One element seen everywhere along the last axis (stride 0, read-only)."""
    return np.broadcast_to(x[..., :1], x.shape)


def overlapping(x):
    """Integers that share half of their bytes with the next one; other dtypes as they are."""
    if x.ndim > 1 or x.itemsize == 1 or x.dtype.kind not in "iu":
        return contiguous(x)
    return np.lib.stride_tricks.as_strided(contiguous(x), x.shape, (x.itemsize // 2,))


# Names are what a failing example shows. `broadcast` and `overlapping` change the values on the
# way, so always read the values from the result.
LAYOUTS = {
    "contiguous": contiguous,
    "reversed": reversed_,
    "spaced": spaced,
    "fortran": fortran,
    "read_only": read_only,
    "misaligned": misaligned,
    "field": field,
    "swapped": swapped,
    "broadcast": broadcast,
    "overlapping": overlapping,
}


def lay_out(x, layout):
    """Give x a layout; empty arrays and single numbers have only one."""
    return LAYOUTS[layout](x) if x.size and x.ndim else contiguous(x)


# ---------------------------------------------------------------- values


def integers(dtype):
    """Small ones, and the ends of the range, where products wrap."""
    info = np.iinfo(dtype)
    ends = st.sampled_from([info.min, info.max, info.min + 1, 0, 1])
    small = st.integers(max(info.min, -9), 9)
    return st.one_of(small, ends, st.integers(int(info.min), int(info.max)))


def real_numbers(dtype):
    """Finite floats of moderate and of wildly different size, -0.0 and denormals among them."""
    info = np.finfo(dtype)
    # The sum of a few hundred products stays finite.
    top = 8.0 if info.bits == 16 else 2.0**40
    width = min(info.bits, 64)
    special = [0.0, -0.0, 1.0, -1.0, float(info.smallest_normal), float(info.eps)]
    if info.bits <= 64:
        special += [float(info.smallest_subnormal), -float(info.smallest_normal) / 2]
    moderate = st.floats(-8.0, 8.0, width=width)
    wild = st.floats(-top, top, width=width)
    return st.one_of(moderate, wild, st.sampled_from(special))


def finite(dtype):
    """Finite elements of any numeric dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        return integers(dtype)
    if dtype.kind == "c":
        part = real_numbers(np.zeros(1, dtype).real.dtype)
        return st.builds(complex, part, part)
    return real_numbers(dtype)


NOT_FINITE = [np.nan, np.inf, -np.inf]


def any_value(dtype):
    """Finite elements, every third one possibly NaN or infinite (floats and complex only)."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return st.one_of(finite(dtype), finite(dtype), st.sampled_from(NOT_FINITE))
    if dtype.kind == "c":
        part = st.one_of(st.sampled_from([0.0, 1.0, -2.5]), st.sampled_from(NOT_FINITE))
        return st.one_of(finite(dtype), finite(dtype), st.builds(complex, part, part))
    return finite(dtype)


@st.composite
def arrays(draw, dtype, shape, elements=finite, layouts=tuple(LAYOUTS)):
    """An array of a dtype and shape in a drawn layout."""
    count = int(np.prod(shape))
    values = draw(st.lists(elements(dtype), min_size=count, max_size=count))
    dense = np.array(values, dtype=dtype).reshape(shape)
    return lay_out(dense, draw(st.sampled_from(layouts)))


# ---------------------------------------------------------------- problems


def lengths(largest, smallest=0):
    """Lengths with the edges 0 and 1 drawn often."""
    edges = st.sampled_from([n for n in (0, 1, 2) if n >= smallest])
    return st.one_of(edges, st.integers(smallest, largest), st.integers(smallest, largest))


@dataclass(frozen=True)
class Request:
    """What a caller asks of a 1-D face: no arrays yet."""

    face: str
    n: int
    k: int
    mode: str
    stride: int
    a_dtype: str
    v_dtype: str


@st.composite
def requests(draw, dtypes=EXACT + FLOATS, n=24, k=12, smallest=1, strides=(1, 2, 3, 50)):
    """A 1-D request: either operand may be the longer one."""
    sizes = draw(lengths(n, smallest)), draw(lengths(k, smallest))
    longer_first = draw(st.booleans())
    dtype = draw(st.sampled_from(dtypes))
    # Twice out of three both operands have one dtype; a third time anything promotes.
    other = draw(st.sampled_from([dtype, dtype, draw(st.sampled_from(dtypes))]))
    return Request(
        face=draw(st.sampled_from(["convolve", "correlate"])),
        n=sizes[0] if longer_first else sizes[1],
        k=sizes[1] if longer_first else sizes[0],
        mode=draw(st.sampled_from(MODES)),
        stride=draw(st.sampled_from(strides)),
        a_dtype=dtype,
        v_dtype=other,
    )


@st.composite
def problems(draw, elements=finite, layouts=tuple(LAYOUTS), **limits):
    """A request and two operands for it."""
    request = draw(requests(**limits))
    a = draw(arrays(request.a_dtype, (request.n,), elements, layouts))
    v = draw(arrays(request.v_dtype, (request.k,), elements, layouts))
    return request, a, v


@st.composite
def long_problems(draw, dtypes=FLOATS, n=2500, k=400):
    """A request large enough for several blocks, its values from a seed (contiguous)."""
    request = draw(requests(dtypes=dtypes, n=n, k=k, strides=(1, 1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    a = random_array(rng, request.a_dtype, request.n)
    v = random_array(rng, request.v_dtype, request.k)
    return request, a, v


def random_array(rng, dtype, shape):
    """Numbers of every dtype from one generator: normal floats, whole-range integers."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)
