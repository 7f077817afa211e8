"""NumPy's own tests pass with np.convolve and np.correlate replaced by ours."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

# What to run of NumPy, and which of the two functions it must have called.
SUITES = {
    "convolve and correlate": (
        ["numpy._core.tests.test_numeric"],
        "TestConvolve or TestCorrelate",
        {"convolve", "correlate"},
    ),
    "polynomial classes": (["numpy.polynomial.tests"], "", {"convolve"}),
    "poly1d": (["numpy.lib.tests.test_polynomial"], "", {"convolve"}),
    "masked arrays": (["numpy.ma.tests.test_core"], "convolve or correlate", {"convolve"}),
}


@pytest.mark.parametrize(("modules", "keyword", "called"), SUITES.values(), ids=SUITES)
def test_numpys_tests_pass_on_our_functions(modules, keyword, called, tmp_path):
    if not all(importlib.util.find_spec(module) for module in modules):
        pytest.skip("this NumPy was installed without its tests")
    here = [str(Path(__file__).parent), str(Path(fastconv.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(here), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "numpy_suite", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "--rootdir", str(tmp_path), "--pyargs", *modules]
    done = subprocess.run(
        command + (["-k", keyword] if keyword else []),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 0, done.stdout
    calls = dict(re.findall(r"fastconv answered (\d+) calls of (\w+)", done.stdout))
    assert {name for count, name in calls.items() if int(count) > 0} >= called, done.stdout
