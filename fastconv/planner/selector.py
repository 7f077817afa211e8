"""Rank the paths for a Problem by predicted time, and run the best one that is ready."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from ..path import GUARANTEES, Box, Guarantee, Operands, Path
from ..paths import PATHS, that_may_serve
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load
from .rates import kind, rates

AUTO = "auto"


class Verdict(NamedTuple):
    """What the planner thinks of one path for one problem."""

    name: str
    why_not: str
    guarantee: Guarantee | None
    seconds: float


# A transform has to be so many times as fast as a path with a stronger guarantee.
_NEARLY = 1.05
# So few products are added up in a microsecond, and exactly where they are whole numbers: what a
# transform would win is the time that a path takes to begin.
_FEW_PRODUCTS = 1 << 12
# To import scipy.fft takes 0.2 s on a quiet machine.
_IMPORT_SECONDS = 0.2
# Library -> what has been lost so far by calls that did without it.
_lost: dict[str, float] = {}


def check_method(method: str) -> None:
    """Refuse a method that is neither "auto" nor a path's name."""
    if not isinstance(method, str):
        raise TypeError(f"method must be a string, got {method!r}")
    if method != AUTO and method not in PATHS:
        raise ValueError(f"method must be one of {[AUTO, *PATHS]}, got {method!r}")


def check_accuracy(accuracy: str | None) -> None:
    """Refuse an accuracy that is neither None nor a guarantee's name."""
    if accuracy is not None and not isinstance(accuracy, str):
        raise TypeError(f"accuracy must be None or a string, got {accuracy!r}")
    if accuracy is not None and accuracy not in GUARANTEES:
        raise ValueError(f"accuracy must be one of {[None, *GUARANTEES]}, got {accuracy!r}")


@lru_cache(maxsize=4096)
def verdicts(problem: Problem, accuracy: str | None) -> tuple[Verdict, ...]:
    """Return one verdict per path: the usable ones first, by predicted time."""
    return _in_order(problem, accuracy, PATHS.values())


def _in_order(problem: Problem, accuracy: str | None, paths: Iterable[Path]) -> tuple[Verdict, ...]:
    found = [_verdict(path, problem, accuracy) for path in paths]
    few = problem.multiply_adds <= _FEW_PRODUCTS

    def rank_of(verdict: Verdict) -> tuple[bool, bool, float]:
        transform = verdict.guarantee == "normwise"
        # Among paths nearly as fast the more accurate one answers.
        seconds = verdict.seconds * (_NEARLY if transform else 1.0)
        return verdict.why_not != "", few and transform, seconds

    return tuple(sorted(found, key=rank_of))


def _verdict(path: Path, problem: Problem, accuracy: str | None) -> Verdict:
    why_not = path.supports(problem)
    if not why_not and problem.inner > 1 and not path.interleaved:
        why_not = "one signal after the other only"
    if not why_not and problem.up > 1 and not path.gaps:
        why_not = "no gaps between samples"
    if not why_not and problem.room is not None:
        why_not = _too_large(path, problem)
    if why_not:
        return Verdict(path.name, why_not, None, float("inf"))
    guarantee = path.guarantee(problem)
    seconds = rates(path.name, problem.dtype, kind(problem.ndim)).seconds(path.work(problem))
    if accuracy is not None and GUARANTEES.index(guarantee) < GUARANTEES.index(accuracy):
        why_not = f"is {guarantee}, not {accuracy}"
    return Verdict(path.name, why_not, guarantee, seconds)


def _too_large(path: Path, problem: Problem) -> str:
    """Return "" or why a path does not keep within the problem's room."""
    if path.space is None:
        return "states no bound on its work space"
    assert problem.room is not None
    least = path.space(problem).least
    if least > problem.room:
        return f"takes {least} bytes of work space"
    if path.local:
        return ""
    # What a transform would spread goes to a local path.
    local = (p for p in that_may_serve(problem, False) if p.local and p.space is not None)
    mends = any(not p.supports(problem) and not _too_large(p, problem) for p in local)
    return "" if mends else "leaves no room for the local path that mends it"


def fits(problem: Problem, method: str, accuracy: str | None) -> bool:
    """Return whether a path with that name and guarantee keeps within the problem's room."""
    return any(
        not _verdict(path, problem, accuracy).why_not
        for path in that_may_serve(problem, True)
        if method in (AUTO, path.name)
    )


@lru_cache(maxsize=4096)
def rank(problem: Problem, method: str = AUTO, accuracy: str | None = None) -> tuple[Verdict, ...]:
    """Return the usable paths, the one predicted to be fastest first.

    Raises
    ------
    ValueError
        If `method` or `accuracy` leaves none.
    """
    asked = method != AUTO or accuracy is not None
    promising = _in_order(problem, accuracy, that_may_serve(problem, asked))
    usable = [v for v in promising if not v.why_not]
    if method != AUTO:
        named = tuple(v for v in usable if v.name == method)
        if not named:
            why_not = _verdict(PATHS[method], problem, accuracy).why_not
            raise ValueError(
                f"method must suit the problem, got {method!r}, which {_reason(why_not)}"
            )
        return named
    if not usable:
        if accuracy is not None and any(v.guarantee for v in verdicts(problem, accuracy)):
            offered = {v.guarantee for v in verdicts(problem, accuracy) if v.guarantee}
            raise ValueError(
                f"accuracy must be one of {[g for g in GUARANTEES if g in offered]} "
                f"for {problem.dtype}, got {accuracy!r}"
            )
        reasons = "; ".join(f"{v.name}: {v.why_not}" for v in verdicts(problem, accuracy))
        raise ValueError(f"problem must suit a path, got {problem}: {reasons}")
    return tuple(usable)


def _reason(why_not: str) -> str:
    return why_not if why_not.startswith("is ") else f"cannot: {why_not}"


class Candidate(NamedTuple):
    """A usable path, the loops it needs, what it saves over paths that need none, what it takes."""

    path: Path
    units: tuple[tuple[str, str], ...]
    saving: float
    seconds: float


@lru_cache(maxsize=4096)
def _candidates(problem: Problem, method: str, accuracy: str | None) -> tuple[Candidate, ...]:
    ranked = rank(problem, method, accuracy)
    units = [PATHS[v.name].kernels(problem) for v in ranked]
    at_once = [v.seconds for v, needed in zip(ranked, units, strict=True) if not needed]
    best = min(at_once, default=float("inf"))
    return tuple(
        Candidate(PATHS[v.name], needed, max(0.0, best - v.seconds), v.seconds)
        for v, needed in zip(ranked, units, strict=True)
    )


def choose(problem: Problem, method: str = AUTO, accuracy: str | None = None) -> Path:
    """Return the path that answers now: the best ranked whose compiled loops are ready.

    One that imports a library first has to save what that takes.
    A path named by `method` is returned whether it is ready or not: executing it waits.
    """
    candidates = _candidates(problem, method, accuracy)
    fastest: Candidate | None = None
    for found in candidates if len(candidates) > 1 else ():
        if load.all_ready(found.units, found.saving):
            fastest = fastest or found
            if not found.path.imports or found.path.imports in sys.modules:
                waits = fastest is found or not _pays_to_import(fastest, found.seconds)
                return found.path if waits else fastest.path
    return (fastest or candidates[0]).path


def _pays_to_import(candidate: Candidate, seconds: float) -> bool:
    """Return whether to import what a path needs, where another takes so many seconds.

    Waiting and importing take at most twice as long as the better of the two, in hindsight.
    """
    library = candidate.path.imports
    _lost[library] = lost = _lost.get(library, 0.0) + seconds - candidate.seconds
    return lost > _IMPORT_SECONDS


def is_ready(name: str, problem: Problem) -> bool:
    """Return whether a path could answer at once; if not, its loops are being built."""
    return load.all_ready(PATHS[name].kernels(problem))


def takes(name: str, problem: Problem) -> bool:
    """Return whether a path computes interleaved signals as they lie, and could at once."""
    path = PATHS[name]
    return path.interleaved and not path.supports(problem) and is_ready(name, problem)


def run(
    problem: Problem, operands: Operands, method: str = AUTO, accuracy: str | None = None
) -> None:
    """Compute `operands.out` by the chosen path; a local path mends what it returns."""
    path = choose(problem, method, accuracy)
    boxes = path.execute(problem, _within(path, problem, operands))
    for box in boxes:
        _mend(problem, operands, box)


def _within(path: Path, problem: Problem, operands: Operands) -> Operands:
    """Return the operands with as many workers as the problem's room is enough for."""
    if problem.room is None or path.space is None:
        return operands
    most = path.space(problem).workers(problem.room)
    return operands._replace(workers=min(operands.workers, most))


def _mend(problem: Problem, operands: Operands, box: Box) -> None:
    first, last, axes = box
    part = problem.part(tuple(lo for lo, _ in axes), tuple(hi for _, hi in axes), last - first)
    inside: Any = (slice(first, last), *(slice(lo, hi) for lo, hi in axes))
    w = operands.w if problem.shared_filter else operands.w[first:last]
    part, w = _met(part, w)
    out = operands.out[inside]
    contiguous = out if out.flags.c_contiguous else out.copy()
    local = [c for c in _candidates(part, AUTO, None) if c.path.local]
    ready = [c for c in local if load.all_ready(c.units, c.saving)]
    path = (ready or local)[0].path
    there = Operands(operands.x[first:last], w, contiguous, operands.fill, operands.workers)
    path.execute(part, _within(path, part, there))
    if contiguous is not out:
        out[...] = contiguous


def _met(problem: Problem, w: Any) -> tuple[Problem, Any]:
    """Return the problem with the taps that meet a sample only: few at the rim of a long filter."""
    part = problem.met()
    if part is None:
        return problem, w
    return problem.with_taps(part), np.ascontiguousarray(w[(slice(None), *part)])
