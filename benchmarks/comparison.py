"""What changed between two runs, and which changes rise above the noise of both."""

from __future__ import annotations

from typing import Any

from .families import OURS
from .report import amount
from .timing import NOISY

__all__ = ["changes"]

Row = dict[str, Any]

# A change must be this many times the two runs' own spread, and at least five per cent.
_SIGNIFICANT, _LEAST = 3.0, 0.05


def changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return a table of the workloads that both runs timed, the largest changes first.

    A machine that is busier or clocked otherwise moves everyone: a change counts relative to what
    the same peer of both runs changed, and is significant where it exceeds three times the spread
    (best to second-best turn) of the noisiest of the four figures, and five per cent.

    Parameters
    ----------
    old, new : dict
        What ``bench --json`` writes.
    """
    before = {row["name"]: row for row in old["rows"]}
    pairs = [(before[row["name"]], row) for row in new["rows"] if row["name"] in before]
    lines = [line for line in (_line(*pair) for pair in pairs) if line is not None]
    if not lines:
        return "The two runs share no workload that both timed."
    lines.sort(key=lambda line: -abs(line[0]))
    shown = [
        ("workload", "before", "now", "change", "of peer", ""),
        *(cells for _, cells in lines),
    ]
    widths = [max(len(cells[c]) for cells in shown) for c in range(6)]
    table = "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < c < 5 else cell.ljust(width)
            for c, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in shown
    )
    return f"{_same_machine(old, new)}{table}"


def _same_machine(old: dict[str, Any], new: dict[str, Any]) -> str:
    fields = (("machine", "cpu"), ("machine", "target"), ("settings", "workers"))
    other = [f"{name} was {old[a][name]}" for a, name in fields if old[a][name] != new[a][name]]
    return f"Not the same machine or settings: {', '.join(other)}.\n" if other else ""


def _line(old: Row, new: Row) -> tuple[float, tuple[str, ...]] | None:
    a, b = old["contenders"][OURS], new["contenders"][OURS]
    if "best" not in a or "best" not in b:
        return None
    change = b["best"] / a["best"] - 1
    spreads = [a["spread"], b["spread"]]
    drift = 0.0
    peer = new["peer"]
    if peer in old["contenders"] and "best" in old["contenders"][peer]:
        c, d = old["contenders"][peer], new["contenders"][peer]
        drift = d["best"] / c["best"] - 1
        spreads += [c["spread"], d["spread"]]
    net = (1 + change) / (1 + drift) - 1
    noise = max(spreads)
    word = ""
    if noise > NOISY:
        word = "noisy"
    elif abs(net) > max(_LEAST, _SIGNIFICANT * noise):
        word = "slower" if net > 0 else "faster"
    cells = (
        new["name"],
        amount(a["best"], new["unit"]),
        amount(b["best"], new["unit"]),
        f"{change:+.0%}",
        f"{drift:+.0%}",
        word,
    )
    return net, cells
