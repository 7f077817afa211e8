"""Numbers with units, for people: times and ratios."""

from __future__ import annotations

__all__ = ["duration", "ratio", "significant"]


def duration(seconds: float) -> str:
    """Return a time with two or three significant digits and a fitting unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1.0:
            return f"{_three(seconds * factor)} {unit}"
    return f"{_three(seconds * 1e6)} \N{MICRO SIGN}s"


def ratio(value: float) -> str:
    """Return a ratio with a multiplication sign."""
    return (
        f"{value:.2f}\N{MULTIPLICATION SIGN}"
        if value < 10
        else f"{_three(value)}\N{MULTIPLICATION SIGN}"
    )


def significant(value: float, digits: int = 4) -> str:
    """Return a number with `digits` significant digits, thousands apart, never with an exponent
    from one up to a thousand million.
    """
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.10g}"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
