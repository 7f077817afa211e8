"""Threads, forks, pools, interrupts and broken folders: right answers, no growth, no deadlock.

Each program runs in a process of its own with a limit on its time; all of them take half a minute.
"""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
SECONDS = 240

# What every program has: operands of many kinds and NumPy's answers.
COMMON = """
import os, sys, threading, warnings
import numpy as np
UNLOCKED = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
import fastconv

rng = np.random.default_rng(0)
CASES = []
for dtype in ("float64", "float32", "int64", "int16"):
    for n, k in ((1, 1), (10, 3), (300, 31), (5000, 64), (40_000, 9), (20_000, 700)):
        a, v = (rng.integers(-9, 9, s).astype(dtype) for s in (n, k))
        CASES.append((a, v, np.convolve(a, v)))
SOON = 21  # 5000 and 64 samples of int16, whose kernel is built in half the time of float64's
image, taps = rng.integers(-9, 9, (60, 70)).astype("f8"), rng.integers(-9, 9, (3, 5)).astype("f8")
PLANE = fastconv.convolve2d(image, taps, method="library")

def check(i):
    a, v, expected = CASES[i % len(CASES)]
    got = fastconv.convolve(a, v, workers=(None, 2)[i % 2])
    if a.dtype.kind == "i":
        assert np.array_equal(got, expected)
    else:
        # Not np.linalg.norm: OpenBLAS does not survive a fork while another thread is in it.
        size = np.sqrt((a * a).sum() * (v * v).sum())
        assert abs(got - expected).max() <= 200 * np.finfo(a.dtype).eps * size
    if i % 5 == 0:
        assert abs(fastconv.convolve2d(image, taps) - PLANE).max() < 1e-9
"""


def run(program, tmp_path=None, policy="compile", **environment):
    """The output of a fresh process; with `tmp_path` nothing is built: no kernel, no cache."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    clean |= {"PYTHONPATH": str(PACKAGE.parent), "FASTCONV_POLICY": policy}
    if tmp_path is not None:
        place = tmp_path / "copy"
        if not place.exists():
            bare = shutil.ignore_patterns("ready", "__pycache__")
            shutil.copytree(PACKAGE, place / PACKAGE.name, ignore=bare)
        clean["PYTHONPATH"] = str(place)
        clean["FASTCONV_CACHE_DIR"] = str(tmp_path / "cache")
    # Not in the checkout: Python would look for the package there first.
    # In a session of its own: what a program forked ends with it, whatever it waits for.
    process = subprocess.Popen(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", COMMON + textwrap.dedent(program)],
        env=clean | environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, errors[-3000:]
    except BaseException:
        end(process)
        raise
    return output, errors


def end(process):
    """Kill a program and all that it has forked."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_a_program_that_hangs_takes_its_children_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SECONDS", 3)
    monkeypatch.setattr(sys.modules[__name__], "COMMON", "import os")
    left = tmp_path / "child"
    program = """
    import time
    child = os.fork()
    if child:
        with open(os.environ["LEFT"], "w") as file:
            file.write(str(child))
    time.sleep(100)
    """
    with pytest.raises(subprocess.TimeoutExpired):
        run(program, LEFT=str(left))
    for _ in range(100):  # Until whoever adopted it has taken note of its end.
        state = Path(f"/proc/{left.read_text()}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the child must end, too")


RACE = """
barrier, wrong = threading.Barrier(16), []

def first_calls(t):
    barrier.wait()
    try:
        for i in range(t, t + 48):
            check(i)
    except BaseException as error:
        wrong.append(error)

runners = [threading.Thread(target=first_calls, args=(t,)) for t in range(16)]
for r in runners: r.start()
for r in runners: r.join()
assert not wrong, wrong
# A free-threaded interpreter has not taken its lock back.
assert not UNLOCKED or not sys._is_gil_enabled()
"""


def test_sixteen_threads_race_for_their_first_calls():
    run(RACE)


def test_sixteen_threads_race_while_kernels_are_being_built(tmp_path):
    run(RACE, tmp_path, "adaptive")


def test_numbas_threading_layer_does_not_matter():
    run(RACE, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_what_another_thread_imports(tmp_path):
    (tmp_path / "slowly.py").write_text("import time; time.sleep(0.5); done = True")
    run(
        """
    import time
    sys.path.insert(0, os.environ["SLOWLY"])
    threading.Thread(target=lambda: __import__("slowly")).start()
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        import slowly
        os._exit(slowly.done is not True)
    assert os.waitpid(child, 0)[1] == 0
    """,
        SLOWLY=str(tmp_path),
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forks_before_during_and_after_calls_answer_rightly():
    run("""
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on fork with threads.

    def forked():
        child = os.fork()
        if child == 0:
            try:
                for i in range(24):
                    check(i)
                os._exit(0)
            finally:
                os._exit(7)
        return child

    children = [forked()]
    stop = threading.Event()

    def calls():
        i = 0
        while not stop.is_set():
            check(i)
            i += 1

    busy = [threading.Thread(target=calls) for _ in range(3)]
    for b in busy: b.start()
    children += [forked() for _ in range(6)]
    stop.set()
    for b in busy: b.join()
    children.append(forked())
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """)


POOLS = """
from concurrent.futures import ThreadPoolExecutor

def task(i):
    with ThreadPoolExecutor(2) as inner:
        list(inner.map(check, range(i, i + 6)))

with ThreadPoolExecutor(6) as pool:
    list(pool.map(task, range(24)))
"""


def test_pools_within_pools_answer_rightly():
    run(POOLS)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_pool_of_threads_within_joblib_answers_rightly(backend):
    pytest.importorskip("joblib")
    # Loky sends what `task` needs by value: its processes make their first calls at once.
    run(
        POOLS.partition("with ThreadPoolExecutor(6)")[0]
        + """
import joblib
with joblib.parallel_config(os.environ["BACKEND"], n_jobs=3):
    for _ in range(2):
        joblib.Parallel()(joblib.delayed(task)(i) for i in range(12))
""",
        BACKEND=backend,
    )


def test_tasks_of_dask_answer_rightly():
    pytest.importorskip("dask")
    run(
        POOLS.partition("with ThreadPoolExecutor(6)")[0]
        + """
import dask
dask.compute(*(dask.delayed(task)(i) for i in range(24)), scheduler="threads", num_workers=4)
"""
    )


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_of_a_pool_answer_rightly_on_one_thread(method, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {method}")
    module = tmp_path / "work.py"
    module.write_text(
        COMMON
        + textwrap.dedent(f"""
    from fastconv.runtime import threads

    def task(i):
        check(i)
        return threads.default_workers()

    if __name__ == "__main__":
        import multiprocessing
        warnings.simplefilter("ignore", DeprecationWarning)
        os.environ.pop("FASTCONV_WORKERS", None)
        check(3)
        with multiprocessing.get_context("{method}").Pool(2) as pool:
            assert set(pool.map(task, range(24))) == {{1}}
    """)
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "FASTCONV_POLICY": "compile"}
    subprocess.run([sys.executable, str(module)], env=environment, timeout=120, check=True)


def test_memory_does_not_grow_with_the_number_of_calls():
    pytest.importorskip("resource")
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell a process's memory")
    run("""
    import resource

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def calls(count):
        for i in range(count):
            a, v, _ = CASES[i % 3 + 6 * (i % 4)]
            fastconv.convolve(a, v, ("full", "same", "valid")[i % 3], stride=1 + i % 2)
            if i % 100 == 0:
                check(i)

    calls(10_000)
    before = resident()
    calls(90_000)
    assert resident() <= 1.05 * before, (before, resident())
    """)


def test_an_interrupt_leaves_no_thread_computing_and_the_next_call_is_right():
    run("""
    import _thread, signal, time
    from fastconv.runtime import threads

    signal.signal(signal.SIGINT, signal.default_int_handler)  # Background jobs ignore it.

    inside = []

    def slow(lo, hi):
        inside.append(lo)
        if lo == 5:
            _thread.interrupt_main()
        time.sleep(0.01)
        inside.append(None)

    try:
        threads.run(slow, [(i, i + 1) for i in range(200)], 2)
        raise SystemExit("not interrupted")
    except KeyboardInterrupt:
        seen = len(inside)
    time.sleep(0.1)
    assert len(inside) == seen < 100, (seen, len(inside))
    assert threads._active == 0
    for i in range(12):
        check(i)
    """)


def test_the_interpreter_ends_in_the_middle_of_calls():
    _, errors = run("""
    def calls():
        i = 0
        while True:
            check(i)
            i += 1

    for _ in range(4):
        threading.Thread(target=calls, daemon=True).start()
    import time
    time.sleep(0.3)
    """)
    assert "Fatal" not in errors


@pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="this system starts no builds")
def test_a_full_disk_is_survived_and_the_next_start_builds(tmp_path):
    limited = """
    import resource, signal
    # Children inherit it: what they write is cut off, as on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    a, v, expected = CASES[SOON]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            assert np.allclose(fastconv.convolve(a, v), expected)
    assert len(seen) <= 1
    """
    _, errors = run(limited, tmp_path)
    assert errors.count("Warning") <= 1
    assert not list((tmp_path / "cache").rglob("*.so"))
    run("check(SOON)", tmp_path)
    assert list((tmp_path / "cache").rglob("rows_int16-*"))


def test_a_home_that_cannot_be_written_is_survived(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    _, errors = run(
        "for i in range(24): check(i)",
        policy="adaptive",
        HOME=str(home),
        XDG_CACHE_HOME="",
        FASTCONV_CACHE_DIR=str(home / "cache"),
        TMPDIR=str(tmp_path),
    )
    assert errors.count("Warning") <= 1


def test_a_killed_build_is_made_up_for(tmp_path):
    run(
        """
    import signal, time
    from fastconv.runtime import load

    a, v, expected = CASES[SOON]
    while ("rows", "int16") not in load._builds:
        fastconv.convolve(a, v)
    time.sleep(0.3)
    os.kill(load._builds["rows", "int16"]._pid, signal.SIGKILL)
    for _ in range(200):
        assert np.allclose(fastconv.convolve(a, v), expected)
        time.sleep(0.001)
    """,
        tmp_path,
        "adaptive",
    )
    run("check(SOON)", tmp_path)
    assert not list((tmp_path / "cache").rglob(".partial-*"))
