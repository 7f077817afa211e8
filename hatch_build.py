"""Build hook: compile the kernels into the wheel for the instruction sets of this platform.

``FASTCONV_BUILD_TARGETS`` names them, separated by commas ("host" is the machine that builds, and
an editable install's default); empty leaves the wheel without kernels, which are then built on the
user's machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_DEFAULT = {("Linux", "x86_64"): "x86-64-v4,x86-64-v3", ("Linux", "aarch64"): "aarch64"}
_LIMIT_SECONDS = 900
# What Numba brought is not to be looked through for garbage at every turn: an eighth of the time.
_PROGRAM = (
    "import gc, sys, numba; gc.freeze(); gc.set_threshold(20_000, 20, 50); "
    "from fastconv.runtime.build import main; sys.exit(main())"
)


class KernelHook(BuildHookInterface):
    """Run the builder for each target, in as many processes as there are CPUs."""

    _sealed = ""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the libraries and add them to the wheel."""
        machine = (platform.system(), platform.machine())
        default = "host" if version == "editable" else _DEFAULT.get(machine, "")
        names = os.environ.get("FASTCONV_BUILD_TARGETS", default)
        share = max(1, os.cpu_count() or 1)
        built = []
        for name in filter(None, names.split(",")):
            running = [self._start(name, f"{i}/{share}") for i in range(share)]
            built += [path for process in running for path in self._finish(process)]
        if built:
            system, processor = machine[0].lower(), machine[1]
            build_data["tag"] = f"py3-none-{system}_{processor}"
            build_data["pure_python"] = False
            build_data["artifacts"] += [str(p.relative_to(self.root)) for p in built]
            if version != "editable":
                self._seal(build_data)

    def _seal(self, build_data: dict[str, Any]) -> None:
        """Give the wheel the keys of its sources, which nobody edits there.

        The file goes straight into the wheel: were it left in the checkout, an edit there could
        find a library that is not its own.
        """
        program = "from fastconv.runtime.cache import seals; print(seals(), end='')"
        lines = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.root,
            text=True,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        handle, self._sealed = tempfile.mkstemp(suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(lines)
        build_data["force_include"][self._sealed] = "fastconv/ready/sealed.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary file."""
        if self._sealed:
            os.unlink(self._sealed)

    def _start(self, target: str, share: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"NUMBA_OPT": "0", "PYTHONHASHSEED": "0"}
        environment["PYTHONPATH"] = os.pathsep.join(
            [self.root, *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        command = [sys.executable, "-c", _PROGRAM, "--share", share]
        command += [] if target == "host" else ["--target", target]
        self.app.display_info(f"compiling kernels for {target}, share {share}")
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _finish(self, process: subprocess.Popen[str]) -> list[Path]:
        try:
            output, errors = process.communicate(timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        if process.returncode:
            self.app.display_warning(
                "some kernels are left out of the wheel, which builds them on first use: "
                + (errors.strip().splitlines() or ["no reason given"])[-1]
            )
        return [Path(line) for line in output.split()]
