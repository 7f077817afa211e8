"""Builds in a process of their own: what they cost the program that goes on meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_runtime import LINKER, copy_package, run

from fastconv.runtime import spawn


@pytest.mark.parametrize("linked", [True, False])
def test_a_build_names_what_it_made_so_that_nobody_looks_for_its_key(tmp_path, linked):
    if linked and not LINKER:
        pytest.skip("this machine has no linker")
    program = """
        import numpy as np
        import fastconv
        from fastconv.runtime import cache, load
        def refuse(module):
            raise AssertionError("no key is needed where nothing is cached")
        cache.source_key = refuse
        fastconv.convolve(np.ones(1000), np.ones(5))
        load.kernel("copy", "float64")
        print(load.tier("copy", "float64"))
    """
    where = {} if linked else {"PATH": str(tmp_path)}
    found = run(program, tmp_path, package=copy_package(tmp_path), **where).strip()
    assert found == "built on this machine" + ("" if linked else ", linked in memory")


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system has no niceness")
def test_builds_step_aside_for_sessions_too():
    group = Path("/proc/self/autogroup")
    program = f"{spawn._ASIDE}print(os.nice(0))\n"
    if group.exists():
        program += f"print(open({str(group)!r}).read().split()[-1])"
    command = [sys.executable, "-c", program]
    printed = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=True
    )
    niceness, *weighed = printed.stdout.split()
    assert int(niceness) == min(os.nice(0) + 10, 19)
    assert weighed == (["10"] if group.exists() else [])


def test_small_calls_have_numpys_bits_while_nothing_is_built(tmp_path):
    program = """
        import numpy as np
        import fastconv
        from fastconv import short
        rng = np.random.default_rng(4)
        for dtype in ("float64", "float32", "complex128", "int16", "uint8", "bool", "float16"):
            for n, k in ((10, 3), (3, 10), (1, 1), (200, 31), (40, 40)):
                a, v = (rng.integers(0, 9, size).astype(dtype) for size in (n, k))
                if a.dtype.kind == "c":
                    a, v = a * (1 - 2j), v * (2 + 1j)
                for mode in ("full", "same", "valid"):
                    for _ in range(70):  # Now and then a call looks for the loop.
                        for name in ("convolve", "correlate"):
                            ours = getattr(fastconv, name)(a, v, mode)
                            theirs = getattr(np, name)(a, v, mode)
                            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
            assert a.dtype in short.waiting
        for wrong in (np.ones((2, 2)), np.ones(0)):
            for name in ("convolve", "correlate"):
                try:
                    getattr(fastconv, name)(wrong, np.ones(3))
                except ValueError:
                    continue
                raise AssertionError(name)
        into = np.empty(79, a.dtype)
        assert fastconv.convolve(a, v, out=into) is into and (into == np.convolve(a, v)).all()
        with fastconv.policy("compile"):
            fastconv.convolve(np.ones(1000), np.ones(5))
        assert np.dtype("float64") not in short.waiting
    """
    run(program, tmp_path, package=copy_package(tmp_path), FASTCONV_POLICY="never")


def test_a_build_of_many_units_has_time_for_each_and_says_how_it_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(spawn.files, "cache_folder", lambda: str(tmp_path))
    monkeypatch.setattr(spawn.os, "posix_spawn", lambda *words, **rest: 1)
    now = spawn.time.monotonic()
    build = spawn.Build([("copy", "float64")] * 50, urgent=True, as_object=False)
    assert build._deadline >= now + 50 * spawn.BUILD_LIMIT_SECONDS
    build.status, log = 9, Path(build._log)
    for said, told in (
        ("", "the build ended with status 9"),
        ("/cache/rows_float64-0123.so\n", "the build ended with status 9"),
        ("/cache/rows_float64-0123.so\nMemoryError: no room\n", "MemoryError: no room"),
    ):
        log.write_text(said)
        assert build.complaint() == told
