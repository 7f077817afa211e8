"""One line on stderr that tells how far long work has come; files get a line now and then."""

from __future__ import annotations

import sys
import time

__all__ = ["Progress"]

_WIDTH = 78
_EVERY = 10.0  # Seconds between the lines of a log.


class Progress:
    """A bar, the time left and what is done now, rewritten on a terminal."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._rewrites = sys.stderr.isatty()
        self._last = -_EVERY

    def show(self, share: float, what: str) -> None:
        """Tell that `share` of the work is done and `what` comes now."""
        spent = time.monotonic() - self._start
        if not self._rewrites and spent - self._last < _EVERY:
            return
        self._last = spent
        left = divmod(round(spent * (1 - share) / max(share, 1e-9)), 60)
        clock = "{}:{:02} left".format(*left) if share > 0.02 else ""
        filled = round(30 * share)
        line = f"[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} {clock:>11}  {what}"
        if self._rewrites:
            print(f"\r{line:{_WIDTH}.{_WIDTH}}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def done(self, words: str = "") -> None:
        """Clear the line, and leave `words` and the time it took in its place."""
        if self._rewrites:
            print("\r" + " " * _WIDTH + "\r", end="", file=sys.stderr, flush=True)
        if words:
            print(f"{words} in {time.monotonic() - self._start:.0f} s", file=sys.stderr)
