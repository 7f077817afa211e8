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


@pytest.mark.parametrize("name", QUICK)
def test_scipys_tests_pass_on_our_functions(name, tmp_path):
    if importlib.util.find_spec(SUITES[name].module) is None:
        pytest.skip("this SciPy was installed without its tests")
    package = str(Path(fastconv.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": package, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", name],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
