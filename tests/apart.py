"""Run a check in a process of its own, forked off one that has imported what checks need.

A kernel that reads or writes outside its arrays dies, and only its own check with it. A fresh
interpreter for each check would take 0.5 s for its imports alone, 0.4 more where it needs Numba,
and a fork takes 0.03.
"""

import importlib
import multiprocessing
import os
import sys
import traceback

# No kernel's module: a check says whether Numba shall compile what it finds there.
IMPORTED = [
    *("pytest", "numpy.ctypeslib", "fastconv.kernels", "fastconv.paths", "fastconv.planner"),
    *("numba.np.linalg", "scipy.linalg.cython_blas", "scipy.linalg.cython_lapack"),
]
SECONDS = 600


def run_apart(check, *args, **environment):
    """Call a function of a module with these arguments and environment, and fail if it does."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(IMPORTED)
    reader, writer = context.Pipe(duplex=False)
    words = (check.__module__, check.__name__, args, environment, writer)
    process = context.Process(target=_run, args=words)
    process.start()
    writer.close()
    said = ""
    with reader:
        if not reader.poll(SECONDS):
            process.kill()
            said = f"no answer in {SECONDS} s"
        try:
            said += reader.recv()
        except EOFError:  # It died before it could say why.
            said += f"{args} died"
    process.join()
    status = process.exitcode
    process.close()
    assert status == 0, f"status {status}\n{said}"
    assert said == ""


def _run(module, name, args, environment, writer):
    os.environ.update(environment)
    said = ""
    try:
        assert "fastconv.runtime.jit" not in sys.modules, "it is to see this environment"
        importlib.import_module("numba.core.config").reload_config()
        getattr(importlib.import_module(module), name)(*args)
    except BaseException:
        said = traceback.format_exc()
    writer.send(said)
    writer.close()
    sys.exit(said != "")
