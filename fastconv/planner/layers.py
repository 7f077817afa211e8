"""Rank the algorithms for a Layer by predicted time, and run the best one that is ready."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..layer import Layer, LayerOperands, LayerPath
from ..path import GUARANTEES, Box
from ..paths.channels import LAYER_PATHS
from ..runtime import load
from . import pairs
from .explain import Explanation, Row
from .rates import rates, tables
from .selector import AUTO, Verdict

KIND = "layer"
ALGORITHMS: dict[str, LayerPath] = {**LAYER_PATHS, pairs.PATH.name: pairs.PATH}


def check_method(method: str) -> None:
    """Refuse a method that is neither "auto" nor a layer path's name."""
    if not isinstance(method, str):
        raise TypeError(f"method must be a string, got {method!r}")
    if method != AUTO and method not in ALGORITHMS:
        raise ValueError(f"method must be one of {[AUTO, *ALGORITHMS]}, got {method!r}")


@lru_cache(maxsize=4096)
def verdicts(layer: Layer, accuracy: str | None, packed: bool = False) -> tuple[Verdict, ...]:
    """Return one verdict per algorithm: the usable ones first, by predicted time."""
    found = [_verdict(path, layer, accuracy, packed) for path in ALGORITHMS.values()]
    return tuple(sorted(found, key=lambda v: (v.why_not != "", v.seconds)))


def _verdict(path: LayerPath, layer: Layer, accuracy: str | None, packed: bool) -> Verdict:
    if path is pairs.PATH:
        return pairs.verdict(layer, accuracy)
    why_not = path.supports(layer)
    if why_not:
        return Verdict(path.name, why_not, None, float("inf"))
    guarantee = path.guarantee(layer)
    work = path.packed_work if packed and path.packed_work else path.work
    seconds = rates(path.name, layer.dtype, KIND).seconds(work(layer))
    if accuracy is None and path.opt_in:
        why_not = f"only where accuracy={guarantee!r} or method={path.name!r} allows it"
    elif accuracy is not None and GUARANTEES.index(guarantee) < GUARANTEES.index(accuracy):
        why_not = f"is {guarantee}, not {accuracy}"
    return Verdict(path.name, why_not, guarantee, seconds)


def rank(
    layer: Layer, method: str = AUTO, accuracy: str | None = None, packed: bool = False
) -> list[Verdict]:
    """Return the usable algorithms, the one predicted to be fastest first.

    Whoever names a method accepts its guarantee, unless an accuracy is named too.

    Raises
    ------
    ValueError
        If `method` or `accuracy` leaves none.
    """
    if accuracy is None and method != AUTO:
        accuracy = GUARANTEES[0]
    found = verdicts(layer, accuracy, packed)
    usable = [v for v in found if not v.why_not and method in (AUTO, v.name)]
    if usable:
        return usable
    if method == AUTO:
        raise ValueError(
            f"accuracy must be one of {sorted({v.guarantee for v in found if v.guarantee})} "
            f"for {layer.dtype}, got {accuracy!r}"
        )
    why_not = next(v.why_not for v in found if v.name == method)
    raise ValueError(f"method must suit the layer, got {method!r}, which cannot: {why_not}")


# Whose first choice was ready: it stays so.
_settled: dict[tuple[Layer, str, str | None, bool], Verdict] = {}
_MOST_SETTLED = 4096


def choose(
    layer: Layer, method: str = AUTO, accuracy: str | None = None, packed: bool = False
) -> Verdict:
    """Return who answers now: the best ranked whose compiled loops are ready."""
    key = (layer, method, accuracy, packed)
    found = _settled.get(key)
    if found is None:
        ranked = rank(layer, method, accuracy, packed)
        found = _ready(layer, ranked)
        if found is ranked[0]:
            if len(_settled) >= _MOST_SETTLED:
                _settled.clear()
            _settled[key] = found
    return found


def is_settled(
    layer: Layer, method: str = AUTO, accuracy: str | None = None, packed: bool = False
) -> bool:
    """Return whether `choose` will give the same answer from now on."""
    return (layer, method, accuracy, packed) in _settled


def _ready(layer: Layer, ranked: list[Verdict]) -> Verdict:
    for verdict in ranked:
        kernels = ALGORITHMS[verdict.name].kernels(layer)
        if not kernels or len(ranked) == 1:
            return verdict
        others = [v.seconds for v in ranked if not ALGORITHMS[v.name].kernels(layer)]
        saving = max(0.0, min(others) - verdict.seconds) if others else float("inf")
        if all(load.ready(*unit, saving) is not None for unit in kernels):
            return verdict
    return ranked[0]


def run(layer: Layer, operands: LayerOperands, verdict: Verdict) -> None:
    """Compute `operands.out` by the chosen algorithm, and mend what it leaves to local ones."""
    if verdict.name == pairs.PATH.name:
        pairs.execute(layer, operands, verdict.guarantee)
        return
    for box in ALGORITHMS[verdict.name].execute(layer, operands) or ():
        _mend(layer, operands, box)


def _mend(layer: Layer, operands: LayerOperands, box: Box) -> None:
    """Compute the outputs in `box` by the best local path."""
    first, last, axes = box
    part = replace(
        layer,
        images=last - first,
        output=tuple(hi - lo for lo, hi in axes),
        pad=tuple(p - lo * s for p, (lo, _), s in zip(layer.pad, axes, layer.stride, strict=True)),
    )
    lead = (slice(first, last),) if layer.output_last else (slice(first, last), slice(None))
    goal = operands.out[(*lead, *(slice(lo, hi) for lo, hi in axes))]
    out = goal if goal.flags.c_contiguous else np.empty(goal.shape, goal.dtype)
    own = operands._replace(x=operands.x[first:last], out=out)
    run(part, own, choose(part, accuracy=_LOCAL, packed=operands.w.keeps))
    if out is not goal:
        goal[...] = out


# The weakest guarantee of paths that are local.
_LOCAL = "componentwise"


def explain(layer: Layer, method: str, accuracy: str | None, packed: bool = False) -> Explanation:
    """Return the table for `layer`."""
    rows = tuple(
        Row(
            v.name,
            not v.why_not,
            v.why_not or ALGORITHMS[v.name].summary,
            v.guarantee or "",
            v.seconds,
        )
        for v in verdicts(layer, accuracy, packed)
    )
    ranked = rank(layer, method, accuracy, packed)
    chosen = choose(layer, method, accuracy, packed).name
    if method != AUTO:
        reason = f"{chosen} because method={method!r}"
    elif chosen != ranked[0].name:
        reason = f"{chosen} answers while the loops of {ranked[0].name} are being built"
    elif len(ranked) == 1:
        reason = f"{chosen} is the only path that can answer"
    else:
        times = ranked[1].seconds / ranked[0].seconds
        cpu = tables()[1].get("cpu", "an unnamed CPU")
        reason = (
            f"{chosen} is predicted to be fastest: {times:.1f}x ahead of {ranked[1].name} "
            f"(rates measured on {cpu})"
        )
    return Explanation(str(layer), chosen, reason, rows)
