"""What the planner would do, as a table to read."""

from __future__ import annotations

from ..path import GUARANTEES
from ..paths import PATHS
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load
from .rates import tables
from .selector import AUTO, Verdict, choose, rank, verdicts


class Row(NamedTuple):
    """One path's line in the table.

    Parameters
    ----------
    name : str
        The path.
    supported : bool
        Whether it could answer this request.
    why : str
        What it is, or why it cannot.
    guarantee : str
        Its error guarantee for this problem; empty where it cannot compute it.
    seconds : float
        Predicted time; inf where it cannot.
    """

    name: str
    supported: bool
    why: str
    guarantee: str
    seconds: float


class Explanation(NamedTuple):
    """Why a request is answered the way it is; its repr is the table of paths.

    Parameters
    ----------
    problem : str
        The canonical problem, in words.
    chosen : str
        The path that would answer now.
    reason : str
        One line: why that one.
    rows : tuple of Row
        All paths, the usable ones first, by predicted time.
    found : tuple of str
        What is special about the filter, where looking for it pays.
    notes : tuple of str
        Where the compiled loops come from, or why they are missing; whether the call takes a short
        way past the planner.
    """

    problem: str
    chosen: str
    reason: str
    rows: tuple[Row, ...] = ()
    found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        head = ("", "path", "guarantee", "predicted", "")
        lines = [head]
        for row in self.rows:
            mark = "->" if row.name == self.chosen else ""
            seconds = _time(row.seconds) if row.supported else "-"
            lines.append((mark, row.name, row.guarantee or "-", seconds, row.why))
        widths = [max(len(line[c]) for line in lines) for c in range(4)]
        table = "\n".join(
            "  ".join([*(line[c].ljust(widths[c]) for c in range(4)), line[4]]).rstrip()
            for line in lines
        )
        filter_line = f"the filter is {', '.join(self.found)}\n" if self.found else ""
        return "\n".join([f"{self.problem}\n{filter_line}{table}", self.reason, *self.notes])


def explain_problem(
    problem: Problem, method: str, accuracy: str | None, found: tuple[str, ...] = ()
) -> Explanation:
    """Return the table for `problem`."""
    rows = tuple(
        Row(v.name, not v.why_not, v.why_not or PATHS[v.name].summary, v.guarantee or "", v.seconds)
        for v in verdicts(problem, accuracy)
    )
    ranked = rank(problem, method, accuracy)
    chosen = choose(problem, method, accuracy).name
    reason = _reason(problem, chosen, ranked, method, accuracy)
    wanted = dict.fromkeys(
        (*PATHS[chosen].kernels(problem), *PATHS[ranked[0].name].kernels(problem))
    )
    notes = tuple(f"{'_'.join(unit)}: {load.tier(*unit)}" for unit in wanted)
    return Explanation(str(problem), chosen, reason, rows, found, notes)


def _reason(
    problem: Problem,
    chosen: str,
    ranked: tuple[Verdict, ...],
    method: str,
    accuracy: str | None,
) -> str:
    if method != AUTO:
        return f"{chosen} because method={method!r}"
    seconds = next(v.seconds for v in ranked if v.name == chosen)
    if chosen != ranked[0].name:
        best = ranked[0].name
        wanted = [u for u in PATHS[best].kernels(problem) if load.ready(*u) is None]
        names = ", ".join("_".join(u) for u in wanted)
        return f"{chosen} answers while {names} for {best} is being built"
    if len(ranked) == 1:
        return f"{chosen} is the only path that can answer"
    times = seconds and ranked[1].seconds / seconds
    demand = f" among {accuracy} paths" if accuracy in GUARANTEES else ""
    cpu = tables()[1].get("cpu", "an unnamed CPU")
    return (
        f"{chosen} is predicted to be fastest{demand}: {times:.1f}x ahead of "
        f"{ranked[1].name} (rates measured on {cpu})"
    )


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
