"""The cache of built kernels: warmed, shown, bounded, cleared; and the settings around it."""

import os
import shutil
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import fastconv
from fastconv import cli, short, short2d
from fastconv.kernels import KERNELS
from fastconv.runtime import cache, load, settings, threads
from fastconv.runtime.warmup import warmup


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setattr(cache, "cache_folder", lambda: str(tmp_path))
    return tmp_path


def fill(folder, *sizes):
    for i, size in enumerate(sizes):
        file = folder / "some-compiler" / "plain" / f"unit{i}_float64-0.so"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        os.utime(file, (i + 1e6, i + 1e6))


def names(folder):
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_the_oldest_files_go_first_where_the_cache_is_too_large(folder):
    fill(folder, 100, 100, 100, 50)
    cache.bound(160)
    assert names(folder) == ["unit2_float64-0.so", "unit3_float64-0.so"]


def test_what_a_killed_build_left_is_removed_an_hour_later(folder):
    old, young = folder / ".partial-old", folder / ".partial-young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (time.time() - 4000,) * 2)
    cache.bound(1 << 20)
    assert names(folder) == [".partial-young"]


def test_clear_removes_our_files_and_no_others(folder, capsys):
    fill(folder, 3, 4)
    (folder / "notes.txt").write_text("mine")
    assert cli.main(["cache"]) == 0
    assert "some-compiler/plain: 2 files" in capsys.readouterr().out
    assert cli.main(["cache", "--clear"]) == 0
    assert "2 files removed" in capsys.readouterr().out
    assert names(folder) == ["notes.txt"]


def test_warmup_tells_what_is_ready():
    load.kernel("rows", "float64")
    seen = []
    summary = warmup("rows", dtypes=["float64"], progress=lambda *now: seen.append(now))
    assert summary.failed == {}
    assert summary.ready + summary.built == ("rows_float64",)
    assert seen[-1][:2] == (1, 1)
    assert "1 kernels are ready" in str(summary)


@pytest.mark.parametrize(
    ("kernels", "dtypes", "rule"),
    [(("nothing",), None, "kernels must"), ((), ["float8"], "dtypes must")],
)
def test_warmup_refuses_what_does_not_exist(kernels, dtypes, rule):
    with pytest.raises(ValueError, match=rule):
        warmup(*kernels, dtypes=dtypes)


def test_a_setting_ends_with_its_block():
    before = settings.policy_in_force(), threads.default_workers()
    with fastconv.policy("never"), fastconv.set_workers(3):
        assert (settings.policy_in_force(), threads.default_workers()) == ("never", 3)
        with fastconv.set_workers(2):
            assert threads.default_workers() == 2
        assert threads.default_workers() == 3
    assert (settings.policy_in_force(), threads.default_workers()) == before


def test_a_setting_without_a_block_stays():
    change = fastconv.set_workers(5)
    assert threads.default_workers() == 5
    with change:
        assert threads.default_workers() == 5
    assert threads.default_workers() != 5


def test_a_setting_is_that_of_its_own_thread():
    import threading

    seen = []
    with fastconv.policy("never"):
        other = threading.Thread(target=lambda: seen.append(settings.policy_in_force()))
        other.start()
        other.join()
    # From Python 3.14 on an interpreter may hand its threads their parent's settings.
    inherits = getattr(sys.flags, "thread_inherit_context", False)
    assert seen == ["never" if inherits else os.environ.get("FASTCONV_POLICY", "adaptive")]


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_must_be_positive(workers):
    with pytest.raises(ValueError, match="workers must be at least 1"):
        fastconv.set_workers(workers)


@pytest.mark.parametrize("workers", ["two", 1.5, True])
def test_workers_must_be_an_integer(workers):
    with pytest.raises(TypeError, match="workers must be an integer"):
        fastconv.set_workers(workers)


@pytest.mark.parametrize("name", ["convolve", "correlate", "convolve2d", "correlate2d"])
def test_a_calls_own_policy_holds_for_that_call(name, monkeypatch):
    seen = []
    monkeypatch.setattr(load, "_acquire", lambda *_: seen.append(settings.policy_in_force()))
    monkeypatch.setattr(load, "_loaded", {})
    monkeypatch.setattr(load, "_wholes", {})
    monkeypatch.setattr(short, "_shortcuts", {})
    monkeypatch.setattr(short2d, "_recipes", {})
    function, before = getattr(fastconv, name), settings.policy_in_force()
    shape = (9, 8) if "2d" in name else (9,)
    x, w = np.ones(shape), np.ones(shape)[:3]
    for value in ("never", "compile", "adaptive"):
        seen.clear()
        short._shortcuts.clear()
        expected = function(x, w, "same", policy="never", method="library")
        np.testing.assert_array_equal(function(x, w, "same", policy=value), expected)
        assert set(seen) <= {"never", value}
        assert value in seen
        assert settings.policy_in_force() == before
    with pytest.raises(ValueError, match="policy must be one of"):
        function(x, w, policy="sometimes")


def test_a_call_that_waits_for_its_kernel_gets_it(tmp_path):
    program = """
        import numpy as np, fastconv
        from fastconv.runtime import load
        x, w = np.ones(50), np.ones(3)
        for _ in range(3):
            fastconv.convolve(x, w)
        fastconv.convolve(x, w, policy="never")
        print(load.tier("rows", "float64"))
        fastconv.convolve(x, w, policy="compile")
        print(load.tier("rows", "float64"))
    """
    package = tmp_path / "copy" / "fastconv"
    shutil.copytree(cache.PACKAGE_PARENT + "/fastconv", package,
                    ignore=shutil.ignore_patterns("ready", "__pycache__"))  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FASTCONV_", "NUMBA_"))}
    clean |= {"FASTCONV_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=clean, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    before, after = done.stdout.splitlines()
    assert before == "not built"
    assert after != before


def test_a_long_call_that_others_answer_does_not_pay_for_the_short_loop(monkeypatch):
    savings = []
    monkeypatch.setattr(load, "ready", lambda name, dtype, saving: savings.append(saving))
    answer = short._short_way(np.dtype("d"))
    x, w = np.zeros(10**6), np.zeros(20_000)  # NumPy's loop would take seconds.
    assert answer(x, w, 1, short.CONVOLVE, None) is None
    assert sum(savings) < 1e-3


def test_an_unknown_policy_is_named():
    with pytest.raises(ValueError, match="policy must be one of"):
        fastconv.policy("sometimes")


def test_the_seal_gives_the_keys_that_hashing_gives(tmp_path, monkeypatch):
    (tmp_path / "sealed.txt").write_text(cache.seals())
    monkeypatch.setattr(cache, "_seal_path", lambda: str(tmp_path / "sealed.txt"))
    cache._seals.cache_clear()
    try:
        for module in {kernel.module for kernel in KERNELS.values()}:
            assert cache._sealed_key(module) == cache._hashed(module)
    finally:
        cache._seals.cache_clear()


@pytest.mark.parametrize("edit", ["longer", "later", "missing"])
def test_an_edited_source_breaks_the_seal(tmp_path, monkeypatch, edit):
    source = tmp_path / "loop.py"
    source.write_text("x = 1\n")
    (tmp_path / "sealed.txt").write_text("loop 0123456789abcdef loop.py 6\n")
    monkeypatch.setattr(cache, "_seal_path", lambda: str(tmp_path / "sealed.txt"))
    monkeypatch.setattr(cache, "_PACKAGE", str(tmp_path))
    cache._seals.cache_clear()
    try:
        assert cache._sealed_key("loop") == "0123456789abcdef"
        if edit == "longer":
            source.write_text("x = 10\n")
        elif edit == "later":
            os.utime(source, (time.time() + 4000,) * 2)
        else:
            source.unlink()
        assert cache._sealed_key("loop") is None
    finally:
        cache._seals.cache_clear()


def test_lists_and_arrays_of_two_dtypes_take_the_short_way_to_numpys_answer():
    pairs = [([1, 2, 3], [0.5, 1]), ((True, False), [2]), (np.arange(5), np.ones(2, "f4"))]
    for a, v in pairs:
        for mode in ("full", "same", "valid"):
            ours, theirs = fastconv.convolve(a, v, mode), np.convolve(a, v, mode)
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)
