"""The table of algorithms: one file each, one line each here.

A path's module is imported when a problem asks for it: all of them take a process 12 ms, those that
may serve a plain long signal 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from ..path import Path
from ..problem import Problem
from ..records import NamedTuple


class _Line(NamedTuple):
    """What all problems have that a path serves: a hint, its `supports` decides.

    Parameters
    ----------
    axes : range
        How many axes.
    kinds : str
        Dtypes: f and c for real and complex floats, i for all others.
    sums : bool
        Sums of products, or else windows without weights.
    steps : bool
        Only strides or gaps between samples.
    known : bool
        Only where something was found out about the filter.
    careful : bool
        Slower than a path of less accuracy: only where an accuracy is asked for.
    """

    axes: range = range(1, 99)
    kinds: str = "fci"
    sums: bool = True
    steps: bool = False
    known: bool = False
    careful: bool = False

    def may_serve(self, problem: Problem, asked: bool) -> bool:
        kind = problem.dtype[0] if problem.dtype.startswith(("float", "complex")) else "i"
        return (
            problem.ndim in self.axes
            and kind in self.kinds
            and (problem.reduction == "sum") == self.sums
            and (not self.steps or problem.up > 1 or problem.stride != (1,))
            and (not self.known or problem.structure is not None)
            and (not self.careful or asked)
        )


_ONE, _TWO, _THREE = (range(n, n + 1) for n in (1, 2, 3))
_LINES = {
    "direct": _Line(),
    "boxes": _Line(range(1, 3), "fi", known=True),
    "separable": _Line(_TWO, known=True),
    "separable_volumes": _Line(_THREE, known=True),
    "fused": _Line(_ONE, "f"),
    "fused_complex": _Line(_ONE, "c"),
    "limbs": _Line(_ONE, "i"),
    "limb_tiles": _Line(range(2, 99), "i"),
    "tiles": _Line(range(2, 99), "fc"),
    "overlap_save": _Line(_ONE, "fc"),
    "fft": _Line(kinds="fc"),
    "polyphase": _Line(_ONE, steps=True),
    "library": _Line(),
    "scan": _Line(sums=False),
    "slices": _Line(sums=False),
    "tilted": _Line(_ONE, "f", careful=True),
}


class _Table(Mapping[str, Path]):
    """The paths by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Path:
        if name not in _LINES:
            raise KeyError(name)
        path: Path = import_module(f"{__name__}.{name}").PATH
        return path

    def __contains__(self, name: object) -> bool:
        return name in _LINES

    def __iter__(self) -> Iterator[str]:
        return iter(_LINES)

    def __len__(self) -> int:
        return len(_LINES)


PATHS: Mapping[str, Path] = _Table()


def that_may_serve(problem: Problem, asked: bool) -> list[Path]:
    """Return all paths that serve a problem, and perhaps others, in the order of the table.

    Parameters
    ----------
    problem : Problem
        What is to be served.
    asked : bool
        Whether an accuracy or a path is asked for: without, slower paths of more accuracy are left
        out.
    """
    return [PATHS[name] for name, line in _LINES.items() if line.may_serve(problem, asked)]
