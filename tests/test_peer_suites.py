"""SciPy's own tests pass with its functions replaced by ours: the quick part of `peer_suites`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peer_suites import SUITES

import fastconv

SCRIPT = Path(__file__).parent / "peer_suites.py"
QUICK = [name for name, suite in SUITES.items() if suite.quick]


def test_scipys_tests_pass_on_our_functions(tmp_path):
    names = [name for name in QUICK if importlib.util.find_spec(SUITES[name].module)]
    if not names:
        pytest.skip("this SciPy was installed without its tests")
    package = str(Path(fastconv.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": package, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", *names],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    told = [line.partition(":")[0] for line in done.stdout.splitlines() if " passed, " in line]
    assert told == names, done.stdout
