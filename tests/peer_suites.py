"""Run SciPy's own tests with its functions replaced by ours, and count who answered.

`python tests/peer_suites.py` runs all suites, `--quick` the part that takes seconds, names choose
some. The functions are replaced after collection, in SciPy's namespace, in the test modules and in
their parameters. A call that ours hand on to SciPy's original, and that it answers, is counted as
passed on; recursive filters, objects, long doubles and other libraries' arrays are SciPy's.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import multiprocessing
import os
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

# The most calls, outside those that are SciPy's by design, that may be passed on.
MOST_PASSED_ON = 0.05
# Ours are SciPy's own: they make filters and convolve nothing.
DESIGNS = ("savgol_coeffs",)


@dataclass(frozen=True)
class Face:
    """A namespace of SciPy's, ours for it, and where SciPy defines its functions."""

    theirs: str
    ours: str
    homes: tuple[str, ...]

    def names(self):
        """Return the functions that both have; none where ours does not exist."""
        try:
            ours = importlib.import_module(self.ours)
        except ModuleNotFoundError:
            return ()
        theirs = importlib.import_module(self.theirs)
        names = (n for n in ours.__all__ if callable(getattr(theirs, n, None)))
        return tuple(n for n in names if n not in DESIGNS)


SIGNAL = Face(
    "scipy.signal",
    "fastconv.signal",
    (
        "scipy.signal._support_alternative_backends",
        "scipy.signal._signaltools",
        "scipy.signal._upfirdn",
        "scipy.signal._savitzky_golay",
        "scipy.signal._spline",
    ),
)
NDIMAGE = Face(
    "scipy.ndimage",
    "fastconv.ndimage",
    ("scipy.ndimage._support_alternative_backends", "scipy.ndimage._filters"),
)


@dataclass(frozen=True)
class Suite:
    """Some of SciPy's tests."""

    module: str
    keyword: str = ""
    faces: tuple[Face, ...] = (SIGNAL,)
    quick: str | None = None  # The keyword of the quick part; None where there is none.


_TOOLS = "scipy.signal.tests.test_signaltools"
SUITES = {
    "convolve": Suite(_TOOLS, "TestConvolve or test_choose_conv_method", quick="TestConvolve"),
    "fftconvolve": Suite(
        _TOOLS,
        "TestFFTConvolve or TestOAConvolve or TestAllFreqConvolves",
        quick="TestAllFreqConvolves or (TestOAConvolve and 1d)",
    ),
    "correlate": Suite(_TOOLS, "TestCorrelate or correlation_lags", quick="TestCorrelateReal"),
    "upfirdn": Suite("scipy.signal.tests.test_upfirdn", quick="modes or singleton or vs_convolve"),
    "savgol": Suite("scipy.signal.tests.test_savitzky_golay", quick="savgol or sg"),
    "sepfir2d": Suite("scipy.signal.tests.test_bsplines", "TestSepfir2d", quick="TestSepfir2d"),
    "resample": Suite(_TOOLS, "TestResample or TestDecimate"),
    "lfilter": Suite(_TOOLS, "TestLinearFilter"),
    "ndimage": Suite(
        "scipy.ndimage.tests.test_filters",
        faces=(NDIMAGE,),
        quick="correlate01 or correlate02 or gauss or prewitt or sobel or uniform",
    ),
}

# What cannot pass, by a part of its name, and why.
EXPECTED = {
    "TestFFTConvolve::test_fft_nan": "demands a warning that NaN spreads; here it does not",
}


# What every suite imports, for the process that those of the suites are forked off.
_IMPORTED = ["pytest", "scipy.conftest", "scipy.signal", "scipy.ndimage", "fastconv.paths"]

_SCIPYS = tuple(map(np.dtype, (object, np.longdouble, np.clongdouble)))


def classes_of(keyword):
    """Return the classes that a keyword is about, in lower case; none where it is about any.

    Each alternative must begin with its class: "TestA or (TestB and 1d)".
    """
    heads = [re.match(r"\(?(\w*)", part)[1] for part in keyword.split(" or ")]
    classes = tuple(head.lower() for head in heads if head.startswith("Test"))
    return classes if len(classes) == len(heads) else ()


def is_excused(args):
    """Whether a call is SciPy's by design: objects, long doubles, other libraries' arrays."""
    for value in args:
        if isinstance(value, (list, tuple)):
            if is_excused(value[:3]):
                return True
            continue
        dtype = getattr(value, "dtype", None)
        if dtype is not None and (dtype in _SCIPYS):
            return True
        if hasattr(value, "__array_namespace__") and not isinstance(
            value, (np.ndarray, np.generic)
        ):
            return True
    return False


def is_recursion(name, *args, **keywords):
    """Whether a call is a recursive filter, which is SciPy's: nothing is convolved."""
    if name == "lfilter":
        return np.size(args[1] if len(args) > 1 else keywords.get("a")) != 1
    if name == "decimate":
        kind = args[3] if len(args) > 3 else keywords.get("ftype", "iir")
        return kind == "iir" or bool(len(getattr(kind, "poles", ())))
    return False


@dataclass(eq=False)
class Record:
    """A pytest plugin that replaces the functions, and keeps the accounts."""

    faces: tuple[Face, ...]
    classes: tuple[str, ...] = ()  # See classes_of.
    reached: Counter = field(default_factory=Counter)
    passed_on: Counter = field(default_factory=Counter)
    excused: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    outcomes: dict = field(default_factory=dict)
    depth: int = 0

    def pytest_pycollect_makeitem(self, collector, name, obj):
        """Make no tests of what the keyword cannot choose: SciPy's test_signaltools has 12367."""
        if not self.classes or not isinstance(collector, pytest.Module):
            return None
        chosen = inspect.isclass(obj) and any(part in name.lower() for part in self.classes)
        return None if chosen else []

    def pytest_collection_finish(self, session):
        """Replace them once every test module has been imported."""
        replacement = {}
        for face in self.faces:
            theirs, ours = (importlib.import_module(m) for m in (face.theirs, face.ours))
            for name in face.names():
                original = getattr(theirs, name)
                self._watch(face, name)
                ours_counted = self._counted(name, getattr(ours, name))
                replacement[id(original)] = original, ours_counted
                setattr(theirs, name, ours_counted)
        modules = {item.module for item in session.items}
        for module in modules:
            for name, value in list(vars(module).items()):
                if id(value) in replacement and replacement[id(value)][0] is value:
                    setattr(module, name, replacement[id(value)][1])
        for item in session.items:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            for name, value in parameters.items():
                if id(value) in replacement and replacement[id(value)][0] is value:
                    parameters[name] = replacement[id(value)][1]

    def _counted(self, name, function):
        """Our function, counting the calls of the tests."""

        @functools.wraps(function)
        def reaches_us(*args, **keywords):
            self.reached[name] += 1
            by_design = is_excused((*args, *keywords.values()))
            self.excused[name] += by_design or is_recursion(name, *args, **keywords)
            return function(*args, **keywords)

        return reaches_us

    def _watch(self, face, name):
        """Count the calls that our modules make to SciPy's function."""
        for home in face.homes:
            module = importlib.import_module(home)
            function = vars(module).get(name)
            if function is None:
                continue

            def is_passed_on(*args, _function=function, **keywords):
                caller = sys._getframe(1).f_globals.get("__name__", "")
                if not caller.startswith("fastconv"):
                    return _function(*args, **keywords)
                excused = is_excused((*args, *keywords.values()))
                excused = excused or is_recursion(name, *args, **keywords)
                try:
                    result = _function(*args, **keywords)
                except Exception:
                    self.refused[name] += not excused
                    raise
                self.passed_on[name] += not excused
                return result

            setattr(module, name, functools.wraps(function)(is_passed_on))

    def pytest_runtest_logreport(self, report):
        """Keep how each test ended; a failure in set-up or tear-down counts."""
        known = self.outcomes.get(report.nodeid)
        if known != "failed" and (known is None or report.outcome != "passed"):
            self.outcomes[report.nodeid] = report.outcome


def reason(test):
    """Return why a test cannot pass, None for those that must."""
    return next((why for part, why in EXPECTED.items() if part in test), None)


def run(name, quick=False):
    """Run one suite and return what is wrong with it, "" for nothing."""
    suite = SUITES[name]
    if not all(face.names() for face in suite.faces):
        print(f"{name}: there is no {suite.faces[0].ours} yet")
        return ""
    record = Record(suite.faces, classes_of(suite.quick) if quick else ())
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "--tb=no", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
        options += ["-p", "no:randomly", "-p", "no:xdist", "-W", "ignore", "--rootdir", folder]
        options += ["-c", os.devnull, "--pyargs", suite.module]
        keyword = suite.quick if quick else suite.keyword
        chosen = f"({suite.keyword}) and ({keyword})" if quick and suite.keyword else keyword
        with open(os.devnull, "w") as quiet:
            screen, sys.stdout = sys.stdout, quiet
            try:
                pytest.main(options + (["-k", chosen] if chosen else []), plugins=[record])
            finally:
                sys.stdout = screen
    return judge(name, suite, record)


def judge(name, suite, record):
    """Print the accounts of one suite and return what is wrong."""
    ends = Counter(record.outcomes.values())
    failed = [test for test, end in record.outcomes.items() if end == "failed"]
    excused = [t for t in failed if reason(t)]
    wrong = [t for t in failed if t not in excused]
    for test in excused:
        print(f"  expected: {test}: {reason(test)}")
    for test, end in record.outcomes.items():
        if end == "passed" and reason(test):
            wrong.append(f"{test} (was expected to fail)")
    for test in wrong:
        print(f"  failed: {test}")
    reached, excused_calls = sum(record.reached.values()), sum(record.excused.values())
    passed_on = sum(record.passed_on.values())
    share = passed_on / max(1, reached - excused_calls)
    print(
        f"{name}: {ends['passed']} passed, {len(wrong)} failed, {len(excused)} failed as expected, "
        f"{ends['skipped']} skipped; {reached} calls reached us, {excused_calls} were SciPy's by "
        f"design, {sum(record.refused.values())} were refused in SciPy's own words, "
        f"{passed_on} of the others were passed on ({share:.1%})"
    )
    for function in sorted(record.reached):
        if record.passed_on[function]:
            print(f"  {function}: {record.passed_on[function]} of {record.reached[function]}")
    problems = [f"{len(wrong)} tests fail"] if wrong else []
    if not ends["passed"]:
        problems.append("no test ran")
    if share > MOST_PASSED_ON:
        problems.append(f"{share:.1%} of the calls were passed on")
    return ", ".join(problems)


def main(arguments=None):
    """Run the suites that the command line names, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="all, if none is named")
    parser.add_argument("--quick", action="store_true", help="the part that takes seconds")
    chosen = parser.parse_args(arguments)
    names = chosen.suites or [n for n, s in SUITES.items() if not chosen.quick or s.quick]
    if len(names) == 1:
        problem = run(names[0], chosen.quick)
        if problem:
            print(f"{names[0]}: {problem}")
        return int(bool(problem))
    # What one suite replaced must not be there when the next one is collected.
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(_IMPORTED)
    ends = []
    for name in names:
        words = [name, "--quick"] if chosen.quick else [name]
        process = context.Process(target=_main_apart, args=(words,))
        process.start()
        process.join()
        ends.append(process.exitcode)
    return int(any(ends))


def _main_apart(words):
    sys.exit(main(words))


if __name__ == "__main__":
    sys.exit(main())
