"""Building, caching, loading and threads: what holds when things go wrong around a kernel."""

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import CASES

import fastconv
from fastconv import kernels
from fastconv.kernels import KERNELS
from fastconv.runtime import bind, cache, cpus, load, locks, settings, target, threads

PACKAGE = Path(fastconv.__file__).parent
LINKER = any(shutil.which(name) for name in ("ld", "ld.lld", "cc", "gcc"))
needs_linker = pytest.mark.skipif(not LINKER, reason="this machine has no linker")


def run(program, tmp_path, *, package=PACKAGE, **environment):
    """Run `program` in a fresh process with a cache of its own; return what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FASTCONV_", "NUMBA_"))}
    clean |= {"FASTCONV_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(package.parent)}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env=clean | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


# The kernel that is built soonest.
SUM = """
    import numpy as np
    import fastconv
    from fastconv.runtime import load
    x, out = np.arange(64.0), np.empty(64)
    load.kernel("copy", "float64")(x, out, 64, 1)
    print(out.sum())
"""


def copy_package(tmp_path):
    place = tmp_path / "copy" / "fastconv"
    shutil.copytree(PACKAGE, place, ignore=shutil.ignore_patterns("ready", "__pycache__"))
    return place


@needs_linker
def test_an_edited_kernel_is_never_answered_by_a_stale_build(tmp_path):
    package = copy_package(tmp_path)
    assert float(run(SUM, tmp_path, package=package)) == 2016
    source = package / "kernels" / "limits.py"
    text = source.read_text()
    # The edit: the kernel's factory returns another loop.
    edited = text + "\n\nfrom .scalar import put\n\n\ndef _other(x, out, n, rounds):\n"
    edited += "    for i in range(n):\n        put(out, i, 5)\n\n\n"
    edited += "def make_copy(target, dtype):\n    return _other\n"
    source.write_text(edited)
    assert float(run(SUM, tmp_path, package=package)) == 320
    source.write_text(text)
    assert float(run(SUM, tmp_path, package=package)) == 2016


@pytest.mark.parametrize("module", sorted({k.module for k in KERNELS.values()}))
def test_a_kernels_key_covers_all_that_it_imports(module):
    run_apart(import_alone, module)


def import_alone(module):
    folder = "fastconv.kernels."
    for name in [name for name in sys.modules if name.startswith(folder)]:
        del sys.modules[name]
        delattr(kernels, name.removeprefix(folder))
    importlib.import_module(folder + module)
    imported = {name.removeprefix(folder) + ".py" for name in sys.modules if folder in name}
    assert imported == set(cache.source_modules(module))


@needs_linker
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_a_damaged_cache_file_is_rebuilt(tmp_path, damage):
    package = copy_package(tmp_path)
    run(SUM, tmp_path, package=package)
    (built,) = (tmp_path / "cache").rglob("copy_float64-*.so")
    content = bytearray(built.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    elif damage == "empty":
        content = bytearray()
    else:
        content = bytearray(b"\x7fELF" + bytes(5000))
    built.write_bytes(bytes(content))
    assert float(run(SUM, tmp_path, package=package)) == 2016
    assert cache.intact(str(built))


def test_numpy_answers_while_nothing_is_built(tmp_path):
    package = copy_package(tmp_path)
    program = """
        import numpy as np, sys
        import fastconv
        x, w = np.random.default_rng(0).random((2, 5000))
        for dtype in ("float64", "int16", "complex64", "bool"):
            a, v = x.astype(dtype), w[:50].astype(dtype)
            assert np.allclose(fastconv.convolve(a, v), np.convolve(a, v), rtol=1e-4)
            assert np.allclose(fastconv.convolve(a, v, stride=2), np.convolve(a, v)[::2], rtol=1e-4)
        assert fastconv.convolve2d(np.ones((40, 40)), np.ones((3, 3))).sum() == 14400
        print(any(name == "numba" or name.startswith("numba.") for name in sys.modules))
    """
    assert run(program, tmp_path, package=package, FASTCONV_POLICY="never").strip() == "False"


@pytest.mark.parametrize(("count", "most"), [(1, 1), (2, 1), (4, 3)])
def test_builds_leave_a_cpu_to_the_program(monkeypatch, count, most):
    class UnderWay:
        def finished(self, wait):
            return False

    begun = []
    monkeypatch.setattr(load, "_builds", {})
    monkeypatch.setattr(load, "_failed", {})
    monkeypatch.setattr(load, "Build", lambda units, **how: begun.append(how) or UnderWay())
    monkeypatch.setattr(cpus, "available_cpus", lambda: count)
    for dtype in ("float64", "float32", "int64", "int32", "int8"):
        load._start(("rows", dtype), wait=False)
    assert len(begun) == most
    # Who waits for a kernel does not wait for others' builds.
    assert load._start(("rows", "int16"), wait=True) is not None


def test_a_library_is_imported_once_that_pays(tmp_path):
    program = """
        import numpy as np, sys
        import fastconv
        x = np.random.default_rng(0).random(60_000)
        calls = 0
        while "scipy.fft" not in sys.modules:
            found = fastconv.convolve(x, x[:2000])
            calls += 1
        assert 1 < calls < 100
        assert np.allclose(found, np.convolve(x, x[:2000]))
        print(calls)
    """
    package = copy_package(tmp_path)
    often = int(run(program, tmp_path, package=package, FASTCONV_POLICY="never"))
    large = program.replace("60_000", "100_000").replace("2000", "30_000").replace("1 <", "0 <")
    assert int(run(large, tmp_path, package=package, FASTCONV_POLICY="never")) == 1 < often


def test_a_direct_call_without_a_build_says_so(tmp_path):
    program = """
        import numpy as np
        import fastconv
        try:
            fastconv.convolve(np.ones(9), np.ones(3), method="direct")
        except RuntimeError as error:
            print(error)
    """
    package = copy_package(tmp_path)
    printed = run(program, tmp_path, package=package, FASTCONV_POLICY="never")
    assert "must be built first" in printed


@needs_linker
def test_two_processes_fill_one_cache(tmp_path):
    package = copy_package(tmp_path)
    results = []
    runners = [
        threading.Thread(target=lambda: results.append(run(SUM, tmp_path, package=package)))
        for _ in range(2)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert [float(r) for r in results] == [2016, 2016]


@needs_linker
def test_a_cache_that_others_can_write_is_not_used(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o777)
    home = tmp_path / "home"
    home.mkdir()
    run(SUM, tmp_path, package=copy_package(tmp_path), HOME=str(home), XDG_CACHE_HOME="")
    assert not list(folder.iterdir())
    assert list((home / ".cache" / "fastconv").rglob("copy_float64-*.so"))


@needs_linker
@pytest.mark.parametrize("name", ["x86-64-v4", "x86-64-v3", "x86-64-v2", "plain"])
def test_every_instruction_set_gives_the_same_answers(tmp_path, name):
    needed = target.TARGETS[name].requires
    present = target._cpu_features()
    if not all(present.get(feature) for feature in needed):
        pytest.skip(f"this CPU does not run {name}")
    # Two that the kernels' own tests have built for this level, or will.
    dtypes = [dtype for level, dtype in CASES if level == name][:2]
    program = f"""
        import numpy as np
        import fastconv
        rng = np.random.default_rng(1)
        for dtype in {dtypes}:
            for n, k in ((1, 1), (7, 9), (100, 31), (1000, 64), (333, 333)):
                a, v = (rng.normal(size=s) * 9 for s in (n, k))
                a, v = a.astype(dtype), v.astype(dtype)
                ours = fastconv.convolve(a, v, method="direct")
                assert np.allclose(ours, np.convolve(a, v), rtol=1e-4, atol=1e-3), (dtype, n, k)
    """
    environment = {"FASTCONV_TARGET": name, "FASTCONV_POLICY": "compile"}
    run(program, tmp_path, FASTCONV_CACHE_DIR=cache.cache_folder() or "", **environment)


def test_calls_are_answered_where_numba_is_not_installed(tmp_path):
    """As in a frozen application, and under interpreters that Numba does not support yet."""
    program = """
        import sys
        from importlib.machinery import PathFinder

        find = PathFinder.find_spec

        class Finder(PathFinder):
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                absent = name.startswith(("numba", "llvmlite"))
                return None if absent else find(name, path, target)

        PathFinder.find_spec = Finder.find_spec
        sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
        import importlib.metadata

        def version(name):
            raise importlib.metadata.PackageNotFoundError(name)

        importlib.metadata.version = version
        import numpy as np
        import fastconv
        from fastconv.runtime import cache

        assert cache._version("numba") == "absent"
        for policy in ("never", "adaptive", "compile"):
            for dtype in ("f8", "i2"):
                x, w = np.arange(400).astype(dtype), np.arange(3).astype(dtype)
                assert np.array_equal(fastconv.convolve(x, w, policy=policy), np.convolve(x, w))
        assert fastconv.explain(x, w).chosen
    """
    run(program, tmp_path)


def test_the_layout_of_arrays_is_checked_before_it_is_used(monkeypatch):
    assert bind.layout_is_known() == (sys.implementation.name == "cpython")
    monkeypatch.setattr(bind.entry, "DATA", bind.entry.DATA + 8)
    assert not bind.layout_is_known.__wrapped__()


def test_an_interpreter_with_another_layout_calls_through_ctypes(monkeypatch):
    load.kernel("rows", "float64")
    unit = target.host_target().name, "rows", "float64"
    places = cache.ready_path(*unit), cache.library_path(*unit)
    library = ctypes.CDLL(next(path for path in places if path and Path(path).exists()))
    address = bind._symbol(library, "fc_rows_float64")
    assert address and bind._symbol(library, "no_such_entry") == 0
    monkeypatch.setattr(bind, "dlsym", None)  # Not every system has it.
    assert bind._symbol(library, "fc_rows_float64") == address
    assert bind._symbol(library, "no_such_entry") == 0
    call = bind.foreign(address, 3, KERNELS["rows"].integers)
    x, w, out = np.arange(9.0), np.ones(3), np.zeros(7)
    call(x, w, out, 1, 0, 0, 0, 9, 3, 7, 1, 1, 0)
    assert np.array_equal(out, np.convolve(x, w, "valid"))


def test_many_python_threads_at_once_agree():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=200_000), rng.normal(size=40)
    expected = fastconv.convolve(x, w, workers=1)
    wrong = []

    def again():
        results = (fastconv.convolve(x, w, workers=3) for _ in range(5))
        wrong.extend(r for r in results if not np.array_equal(r, expected))

    runners = [threading.Thread(target=again) for _ in range(8)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert not wrong


@pytest.mark.parametrize("method", ["direct", "overlap_save", "library"])
def test_results_do_not_depend_on_the_number_of_workers(method):
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=300_001), rng.normal(size=33)
    one = fastconv.convolve(x, w, method=method, workers=1)
    for workers in (2, 3, 7):
        assert np.array_equal(fastconv.convolve(x, w, method=method, workers=workers), one)
    image, taps = rng.normal(size=(301, 303)), rng.normal(size=(5, 7))
    one = fastconv.convolve2d(image, taps, workers=1)
    assert np.array_equal(fastconv.convolve2d(image, taps, workers=4), one)


def test_a_task_that_fails_stops_the_others_and_is_raised():
    done = []

    def task(lo, hi):
        done.append(lo)
        if lo == 3:
            raise KeyError("three")

    with pytest.raises(KeyError, match="three"):
        threads.run(task, [(i, i + 1) for i in range(10_000)], 3)
    assert len(done) < 10_000


def test_bands_of_a_band_run_in_their_own_thread():
    seen = []

    def inner(lo, hi):
        seen.append(threading.get_ident())

    def outer(lo, hi):
        me = threading.get_ident()
        seen.clear()
        threads.run(inner, [(0, 1), (1, 2), (2, 3)], 3)
        assert seen == [me] * 3

    lock = threading.Lock()

    def guarded(lo, hi):
        with lock:
            outer(lo, hi)

    threads.run(guarded, [(0, 1), (1, 2), (2, 3), (3, 4)], 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_its_own_pool(tmp_path):
    program = """
        import os, warnings
        import numpy as np
        import fastconv
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on fork with threads.
        x, w = np.random.default_rng(0).random((2, 400_000))
        w = w[:30]
        expected = fastconv.convolve(x, w, workers=2, method="direct")
        child = os.fork()
        if child == 0:
            same = np.array_equal(fastconv.convolve(x, w, workers=2, method="direct"), expected)
            os._exit(0 if same else 7)
        _, status = os.waitpid(child, 0)
        assert np.array_equal(fastconv.convolve(x, w, workers=2, method="direct"), expected)
        print(os.waitstatus_to_exitcode(status))
    """
    assert run(program, tmp_path, FASTCONV_POLICY="compile").strip() == "0"


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("FASTCONV_WORKERS", "0", "positive integer"),
        ("FASTCONV_WORKERS", "two", "positive integer"),
        ("FASTCONV_POLICY", "maybe", "must be one of"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, variable, value, rule):
    monkeypatch.setenv(variable, value)
    asked = {
        "FASTCONV_WORKERS": threads.default_workers,
        "FASTCONV_POLICY": settings.policy_in_force,
    }
    with pytest.raises(ValueError, match=rf"{variable} must .*{rule}|{rule}"):
        asked[variable]()


def test_an_unknown_target_is_named(monkeypatch):
    monkeypatch.setenv("FASTCONV_TARGET", "6502")
    with pytest.raises(ValueError, match="FASTCONV_TARGET must be one of"):
        target.host_target.__wrapped__()


def test_numba_variables_limit_the_vectors(monkeypatch):
    monkeypatch.delenv("FASTCONV_TARGET", raising=False)
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert target.host_target.__wrapped__().vector_bytes == 16
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2,+fma,-avx512f")
    assert target.host_target.__wrapped__().vector_bytes <= 32


NO_PLACE = """
    import numpy as np
    import fastconv
    from fastconv.runtime import cache, load
    cache.cache_folder = lambda: None  # No folder can be written.
    rng = np.random.default_rng(0)
    for dtype in ("float64", "int16"):
        for n, k in ((1, 1), (7, 3), (100, 31), (333, 333)):
            a, v = (rng.integers(-9, 9, s).astype(dtype) for s in (n, k))
            ours = fastconv.convolve(a, v, method="direct")
            assert np.allclose(ours, np.convolve(a, v))
        print(load.tier("rows", dtype))
"""


def test_without_any_folder_numba_compiles_the_same_source_in_this_process(tmp_path):
    printed = run(NO_PLACE, tmp_path, package=copy_package(tmp_path))
    assert printed.split("\n")[:2] == ["compiled in this process"] * 2


OBJECT = """
    import numpy as np
    import fastconv
    from fastconv.runtime import load
    x, w = np.random.default_rng(0).integers(-9, 9, (2, 5000), "i2")
    assert np.array_equal(fastconv.convolve(x, w[:60], method="direct"), np.convolve(x, w[:60]))
    print(load.tier("rows", "int16"))
"""


def test_without_a_linker_llvm_links_in_memory(tmp_path):
    empty = tmp_path / "nothing"
    empty.mkdir()
    for _ in range(2):
        printed = run(OBJECT, tmp_path, package=copy_package_once(tmp_path), PATH=str(empty))
        assert printed.strip() == "built on this machine, linked in memory"
    (built,) = (tmp_path / "cache").rglob("rows_int16-*")
    assert built.suffix == ".o"
    damaged = bytearray(built.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    built.write_bytes(bytes(damaged))
    printed = run(OBJECT, tmp_path, package=copy_package_once(tmp_path), PATH=str(empty))
    assert printed.strip() == "built on this machine, linked in memory"


def copy_package_once(tmp_path):
    place = tmp_path / "copy" / "fastconv"
    return place if place.exists() else copy_package(tmp_path)


def test_memory_for_import_and_ten_calls_stays_below_20_megabytes(tmp_path):
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell a process's memory")
    load.kernel("rows", "float64"), load.kernel("plane", "float64")
    program = """
        import resource
        import numpy as np
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize()
        x, w = np.random.default_rng(0).random((2, 5000))
        image = x.reshape(50, 100)
        before = resident()
        import fastconv
        for k in (1, 3, 31, 700):
            fastconv.convolve(x, w[:k])
            fastconv.correlate(x, w[:k], "same")
        fastconv.convolve2d(image, image[:3, :3])
        fastconv.convolve(x, w[:9], stride=2)
        print(resident() - before)
    """
    place = {"FASTCONV_CACHE_DIR": os.environ["FASTCONV_CACHE_DIR"]} if CACHED else {}
    assert float(run(program, tmp_path, **place)) < 20e6


CACHED = "FASTCONV_CACHE_DIR" in os.environ


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_finds_locks_open():
    lock = locks.new_lock()
    with lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on fork with threads.
        child = os.fork()
        if child == 0:
            os._exit(0 if lock.acquire(timeout=10) else 7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
