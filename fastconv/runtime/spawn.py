"""Build kernels in a process of its own, started in less than a millisecond."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from . import cache as files
from .target import host_target

BUILD_LIMIT_SECONDS = 300.0  # For each unit.
_POLL_SECONDS = 0.02
# A build steps aside for the program that goes on; Linux may weigh whole sessions instead.
_ASIDE = (
    "import contextlib, os; os.nice(10)\n"
    "with contextlib.suppress(OSError): open('/proc/self/autogroup', 'w').write('10')\n"
)


class Build:
    """A build that is under way.

    Parameters
    ----------
    units : list of (name, dtype)
        What to build, in this order; the first that fails ends it.
    urgent : bool
        Whether somebody waits for it.
    as_object : bool
        Whether to leave the linking to the process that loads it.

    Raises
    ------
    OSError
        If no process can be started, or there is no folder for what it makes.
    """

    def __init__(self, units: list[tuple[str, str]], urgent: bool, as_object: bool) -> None:
        self.status: int | None = None
        self.made = ""  # The last file it wrote.
        self.as_object = as_object
        names = ["_".join(unit) for unit in units]
        folder = files.cache_folder()
        if folder is None:
            raise OSError("no folder for built kernels can be written")
        if not hasattr(os, "posix_spawn"):
            raise OSError("this system starts no builds")
        self._log = os.path.join(folder, f"build-{names[0]}.log")
        self._next_look = 0.0
        self._deadline = time.monotonic() + BUILD_LIMIT_SECONDS * len(units)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"NUMBA_OPT": "0", "PYTHONHASHSEED": "0"}
        aside = "" if urgent else _ASIDE
        # _exit: to take down all that Numba and LLVM hold would keep who waits for another 0.2 s.
        # Looking for garbage takes a twentieth of a build, and finds 15 MB.
        program = (
            f"{aside}import gc, os, sys; gc.disable(); "
            f"sys.path.insert(0, {files.PACKAGE_PARENT!r}); "
            "from fastconv.runtime.build import main; os._exit(main())"
        )
        words = [sys.executable, "-P", "-c", program, "--cache"]
        words += ["--object"] if as_object else []
        words += ["--target", host_target().name, *names]
        log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        # posix_spawn, not subprocess: importing that takes longer than a small call may.
        # A session of its own lets it outlive a short script, for the next one to find its kernel.
        self._pid = os.posix_spawn(
            sys.executable,
            words,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self._log, log, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def finished(self, wait: bool) -> bool:
        """Return whether the build has ended; with `wait`, once it has."""
        if self.status is None and wait:
            while not self._ended():
                time.sleep(_POLL_SECONDS / 4)
        elif self.status is None and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _POLL_SECONDS
            self._ended()
        return self.status is not None

    def _ended(self) -> bool:
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # Another thread, or the program's own os.wait, saw it end.
            pid, status = self._pid, 0
        if pid:
            self.status = status
        elif time.monotonic() > self._deadline:
            os.kill(self._pid, 9)
            self.status = os.waitpid(self._pid, 0)[1]
        if self.status == 0:
            self.made = self._last_line()
            with suppress(OSError):
                os.unlink(self._log)
        return self.status is not None

    def complaint(self) -> str:
        """Return the last line that a failed build wrote, unless it names what went well."""
        line = self._last_line()
        made = line.endswith((".so", ".o"))
        return f"the build ended with status {self.status}" if made or not line else line

    def _last_line(self) -> str:
        try:
            with open(self._log, errors="replace") as log:
                return log.read().strip().rpartition("\n")[2]
        except OSError:
            return ""
