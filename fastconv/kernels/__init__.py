"""The export table: every compiled loop, the dtypes it is built for, and its arguments.

This module is plain data: it imports neither Numba nor the kernels. A kernel's contract:

- arguments are 1-D C-contiguous aligned arrays first, then integers (counts, steps in elements);
- it returns nothing, allocates nothing, raises nothing, and knows no strings or globals;
- ``make(target, dtype)`` in its module returns the Python function; vector width and tile sizes
  are taken from `target` there, as constants;
- empty work (any count zero) is allowed and stores nothing.
"""

from __future__ import annotations

from ..records import NamedTuple

FLOATS = ("float64", "float32")
COMPLEX = ("complex128", "complex64")
# Signed and unsigned share their machine code: wrapping sums and products are the same bits.
INTEGERS = ("int64", "int32", "int16", "int8")
# Comparisons tell them from signed ones.
UNSIGNED = ("uint64", "uint32", "uint16", "uint8")
# What cameras, scanners, sound cards and lists of numbers deliver, where the sign matters.
SAMPLES = ("uint8", "uint16", "int16", "int32", "int8", "uint32", "int64")


class Kernel(NamedTuple):
    """One compiled loop.

    Parameters
    ----------
    name : str
        The name; with a dtype appended it is the exported symbol.
    module : str
        The module of this package with the factory ``make_<name>(target, dtype)``.
    dtypes : tuple of str
        What it is built for.
    arrays : tuple of str
        The dtype of each array argument; ``T`` stands for the kernel's own.
    integers : int
        How many int64 arguments follow the arrays.
    one_call : bool
        Whether ``call_<name>`` in its module returns an entry that answers a whole call.
    """

    name: str
    module: str
    dtypes: tuple[str, ...]
    arrays: tuple[str, ...]
    integers: int
    one_call: bool = False


KERNELS: dict[str, Kernel] = {
    k.name: k
    for k in (
        Kernel("rows", "direct1d", (*FLOATS, *COMPLEX, *INTEGERS, "bool"), ("T", "T", "T"), 10,
               one_call=True),
        Kernel("half_rows", "direct1d_half", ("float16",), ("int16",) * 3, 10, one_call=True),
        Kernel("columns", "direct1d_columns", (*FLOATS, *COMPLEX, *INTEGERS, "bool"),
               ("T", "T", "T"), 13),
        Kernel("plane", "direct2d", (*FLOATS, *COMPLEX, *INTEGERS, "bool"),
               ("T", "T", "T", "int64", "int64", "T", "int64"), 20, one_call=True),
        Kernel("separable", "separable2d", (*FLOATS, *INTEGERS[:3]),
               ("T",) * 5 + ("int64", "int64", "T", "int64"), 10),
        Kernel("ordered", "ordered", ("float64",), ("T", "T", "T", "int64", "int64"), 10),
        Kernel("ordered_line", "ordered_line", (*FLOATS, *SAMPLES),
               ("T", "float64", "T", "int64", "int64", "int64", "float64", "float64"), 13),
        Kernel("ordered_window", "ordered_window", (*FLOATS, *SAMPLES),
               ("T", "float64", "T", *("int64",) * 4, "float64", "float64"), 10),
        Kernel("mean_line", "mean_line", (*FLOATS, *SAMPLES),
               ("T", "float64", "T", "int64", "float64", "float64"), 10),
        Kernel("channels", "channels", (*FLOATS, *COMPLEX, *INTEGERS),
               ("T", "T", "T", "T", "T", "int64"), 11),
        Kernel("depthwise", "channels_depthwise", (*FLOATS, *INTEGERS),
               ("T", "T", "T", "T", "T", "int64", "T"), 20),
        Kernel("depthwise_last", "channels_pixels", (*FLOATS, *INTEGERS),
               ("T", "T", "T", "T", "T", "int64", "T", "T"), 19),
        Kernel("square_last", "channels_patch", FLOATS, ("T",) * 7, 13),
        Kernel("filters", "channels_filters", (*FLOATS, *COMPLEX, *INTEGERS), ("T", "T"), 2),
        Kernel("frame", "channels_frame", (*FLOATS, *COMPLEX, *INTEGERS), ("T", "T"), 11),
        Kernel("strided_copy", "strided_copy", INTEGERS, ("T", "T"), 20),
        Kernel("winograd", "channels_winograd", FLOATS, ("T",) * 7, 25),
        Kernel("winograd_filters", "channels_winograd", FLOATS, ("T", "T", "T"), 3),
        Kernel("activation", "activation", (*FLOATS, *INTEGERS), ("T", "T", "T"), 2),
        Kernel("polyphase", "polyphase", (*FLOATS, *COMPLEX),
               ("T", "T", "T", "T", "int64", "int64"), 16),
        Kernel("spectrum", "fft_blocks", FLOATS, ("T",) * 4, 7),
        Kernel("window_rows", "window_rows", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T", "T", "T", "T", "int64", "int64", "int64"), 10),
        Kernel("window_columns", "window_columns", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T", "T", "T", "T", "int64"), 9),
        Kernel("box_line", "box_line", (*FLOATS, *INTEGERS[:2]),
               ("T", "T", "T", "T", "int64", "int64", "int64", "T"), 8),
        Kernel("box_plane", "box_plane", (*FLOATS, *INTEGERS[:2]),
               ("T", "T", "T", "T", "int64", "int64", "int64", "T"), 14),
        Kernel("extreme_window", "extreme_window", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T", "T", *("int64",) * 4, "T", "T"), 11),
        Kernel("pool_max", "pool", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T", "T", "T", "T", "int64", "int64"), 9),
        Kernel("pool_mean", "pool", FLOATS, ("T",) * 6 + ("int64", "int64"), 9),
        Kernel("pool_max_index", "pool_index", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T",) * 4 + ("int64",) * 4, 11),
        Kernel("pool_window_max", "pool_window", (*FLOATS, *INTEGERS, *UNSIGNED),
               ("T",) * 4 + ("int64", "int64"), 10),
        Kernel("pool_window_mean", "pool_window", FLOATS, ("T",) * 6 + ("int64", "int64"), 10),
        Kernel("pool_box_mean", "pool_boxes", FLOATS, ("T",) * 5 + ("int64",) * 4, 5),
        Kernel("pool_box_max", "pool_boxes", (*FLOATS, "uint8"), ("T",) * 3 + ("int64",) * 5, 6),
        Kernel("pool_put", "pool_backward", INTEGERS, ("T", "T", "int64", "int64", "T"), 3),
        Kernel("pool_scatter", "pool_backward", FLOATS, ("T", "T", "int64", "int64", "T"), 3),
        Kernel("pool_spread", "pool_backward", FLOATS, ("T",) * 5 + ("int64",) * 4, 4),
        Kernel("unfold", "unfold", INTEGERS, ("T", "T", "T"), 13),
        Kernel("fold", "unfold", (*FLOATS, *INTEGERS), ("T", "T", "T"), 13),
        Kernel("overlap_save", "fft_blocks", FLOATS, ("T",) * 6, 15),
        Kernel("overlap_save_filters", "fft_filters", FLOATS, ("T",) * 7, 15),
        Kernel("overlap_save_filters_compact", "fft_filters", FLOATS, ("T",) * 7, 15),
        Kernel("spectrum_compact", "fft_blocks", FLOATS, ("T",) * 4, 7),
        Kernel("overlap_save_compact", "fft_blocks", FLOATS, ("T",) * 6, 15),
        Kernel("complex_spectrum", "fft_complex", FLOATS, ("T",) * 4, 6),
        Kernel("complex_blocks", "fft_complex", FLOATS, ("T",) * 6, 15),
        Kernel("complex_filters", "fft_filters", FLOATS, ("T",) * 7, 15),
        Kernel("limbs", "fft_limbs", INTEGERS,
               ("T", "float64", "float64", "float64", "T", "float64"), 21),
        Kernel("tiles", "fft_tiles", FLOATS, ("T",) * 8 + ("int64",) * 4, 15),
        Kernel("tiles_filters", "fft_tiles", FLOATS, ("T",) * 9 + ("int64",) * 4, 19),
        Kernel("complex_tiles", "fft_tiles", FLOATS, ("T",) * 8 + ("int64",) * 4, 15),
        Kernel("complex_tiles_filters", "fft_tiles", FLOATS, ("T",) * 9 + ("int64",) * 4, 19),
        # Entries alone, which call other kernels'.
        Kernel("player", "player", ("int64",), (), 0),
        Kernel("peak", "limits", FLOATS, ("T",), 1),
        Kernel("copy", "limits", ("float64",), ("T", "T"), 2),
    )
}

# What every build depends on besides the kernel's own module and what that imports from here.
SOURCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("runtime", ("build.py", "entry.py", "jit.py", "memory.py", "target.py")),
)
