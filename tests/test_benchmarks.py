"""The benchmarks' registry is well formed, its answers are right, and a wrong one is seen.

Nothing here looks at a clock.
"""

import importlib
import json
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.cli import bench, main
from fastconv.paths import PATHS
from fastconv.planner.layers import ALGORITHMS
from fastconv.planner.limits import Level, Limits

ROOT = Path(__file__).resolve().parents[1]
bench.load_benchmarks(ROOT)

from benchmarks import (  # noqa: E402
    answers,
    comparison,
    figures,
    page,
    regret,
    report,
    session,
    single_calls,
    timing,
)
from benchmarks.families import OURS, Workload, by_path  # noqa: E402
from benchmarks.peers import Peer  # noqa: E402
from benchmarks.processes import GROUP, MEASURES  # noqa: E402
from benchmarks.workloads import GROUPS, WORKLOADS, select  # noqa: E402

SOME = WORKLOADS["1d/f64/n=10/k=3"]


@pytest.fixture(autouse=True)
def inside_the_checkout(monkeypatch):
    """An installed package finds the registry from there."""
    monkeypatch.chdir(ROOT)


# ---------------------------------------------------------------- the registry


def test_every_workload_has_a_name_of_its_own():
    made = [workload.name for _, make in GROUPS.values() for workload in make()]
    assert len(made) == len(set(made)) == len(WORKLOADS)
    assert not set(WORKLOADS) & set(MEASURES)
    assert not set(GROUPS) & set(WORKLOADS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_has_workloads(group):
    members = [w for w in WORKLOADS.values() if w.group == group]
    assert members
    for workload in members:
        assert workload.multiply_adds > 0
        assert workload.flops > 0
        assert workload.bytes_moved > 0
        assert workload.tolerance >= 0
        assert workload.peers, "a workload nobody else can do compares with nothing"


@pytest.fixture
def fftw_in_haste(monkeypatch):
    """FFTW guesses its plans; the smoke run, `pytest benchmarks`, lets it try them all."""
    try:
        pyfftw = importlib.import_module("pyfftw")
    except ModuleNotFoundError:
        return
    monkeypatch.setattr(pyfftw, "FFTW", partial(pyfftw.FFTW, flags=("FFTW_ESTIMATE",)))


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.usefixtures("fftw_in_haste")
def test_every_answer_is_right(name):
    workload = WORKLOADS[name]
    operands = workload.small()
    expected = workload.reference(*operands)
    for contender, bind in workload.contenders(*operands).items():
        reason = answers.disagreement(bind()(), expected, workload.tolerance)
        assert not reason, f"{contender}: {reason}"


@pytest.mark.parametrize("name", WORKLOADS)
def test_operands_are_the_same_every_time(name):
    for first, second in zip(WORKLOADS[name].small(), WORKLOADS[name].small(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_every_path_is_timed():
    tables = (workload.table(*workload.small()) for workload in WORKLOADS.values())
    seen = {row.name for table in tables if table for row in table.rows if row.supported}
    assert seen == {*PATHS, *ALGORITHMS}


def test_a_path_can_be_timed_by_name():
    operands = SOME.small()
    assert by_path("direct") in SOME.contenders(*operands)


def test_a_library_that_is_not_installed_is_not_listed():
    absent = Peer("absent.convolve", lambda x, w: None, "no_such_module")
    workload = replace(SOME, peers=(*SOME.peers, absent))
    assert "numpy.convolve" in workload.contenders(*workload.small())
    assert absent.name not in workload.contenders(*workload.small())


@pytest.mark.parametrize(
    ("patterns", "picked"),
    [
        ([], ["a/x", "b/x", "b/ab"]),
        (["one"], ["a/x", "b/ab"]),  # a group, though names may hold the word
        (["a/x"], ["a/x"]),
        (["b/*", "a/"], ["a/x", "b/x", "b/ab"]),
        (["no"], []),
    ],
)
def test_a_pattern_is_a_group_or_part_of_a_name_or_a_shell_pattern(patterns, picked):
    assert select(patterns, {"a/x": "one", "b/x": "two", "b/ab": "one"}) == picked


# ---------------------------------------------------------------- what a wrong answer does


def wrong_by_one_output(expected):
    result = expected.copy()
    result[-1] += 1
    return result


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_by_one_output,
        lambda right: right[1:],
        lambda right: right[::-1],
        lambda right: np.where(right == right[0], np.nan, right),
    ],
    ids=["one output", "too short", "reversed", "NaN"],
)
def test_a_wrong_answer_is_told_from_a_right_one(spoil):
    right = answers.convolve_1d(np.arange(1.0, 9.0), np.array([1.0, 2.0]), "full")
    assert not answers.disagreement(right, right, 1e-12)
    assert not answers.disagreement(right[None], right, 1e-12)
    assert answers.disagreement(spoil(right), right, 1e-12)


def test_a_missing_nan_is_a_wrong_answer():
    right = np.array([1.0, np.nan, 2.0])
    assert not answers.disagreement(right.copy(), right, 1e-12)
    assert answers.disagreement(np.array([1.0, 0.0, 2.0]), right, 1e-12)


def test_integers_must_be_equal():
    right = np.array([1, 2, 3], np.int8)
    assert answers.disagreement(np.array([1, 2, 4], np.int8), right, 1.0)


def broken(x, w):
    return partial(np.zeros, len(x) + len(w) - 1)


def failing(x, w):
    raise OSError("out of order")


def test_a_wrong_peer_is_shown_and_never_the_best():
    peers = (Peer("a.broken", broken, "numpy"), Peer("a.failing", failing, "numpy"))
    row = session.measure(replace(SOME, peers=(*peers, *SOME.peers[:1])), 0.0)
    assert not row["error"]
    assert row["peer"] == "numpy.convolve"
    for name in ("a.broken", "a.failing"):
        assert row["contenders"][name]["error"]
        assert "best" not in row["contenders"][name]
        assert f"{name} WRONG OR FAILED" in report.table([row])


def test_our_own_wrong_answer_is_an_error():
    def ours(x, w, method="auto"):
        return broken(x, w)

    row = session.measure(replace(SOME, ours=ours), 0.0)
    assert row["error"]
    assert row["ratio"] is None
    assert "WRONG OR FAILED" in report.table([row])
    assert SOME.name in report.verdict([row])


# ---------------------------------------------------------------- races and reports


def test_contenders_take_turns():
    order = []
    times = timing.race({name: partial(order.append, name) for name in "ab"}, 0.0)
    assert set(times) == {"a", "b"}
    assert all(t.best <= t.second and t.rounds >= 2 for t in times.values())
    runs = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert runs == ["a", "b"] * (len(runs) // 2)
    assert len(runs) >= 6


def row_of(name, spread=0.0, accuracy="componentwise", **fields):
    figures = {"best": 1e-3, "spread": spread, "rounds": 9, "accuracy": accuracy, "error": ""}
    peer = {**figures, "best": 3e-3, "accuracy": "componentwise"}
    row = {
        "name": name, "group": "small", "unit": "s", "headline": True, "error": "",
        "path": "direct", "accuracy": accuracy, "contenders": {OURS: figures, "numpy.f": peer},
        "skipped": {}, "peer": "numpy.f", "ratio": 3.0, "best_path": None, "regret": None,
        "dtype": "float64", "flops": 10**6, "bytes_moved": 10**4, "share": 0.5, "bound": "FMA",
    }  # fmt: skip
    return row | fields


def test_a_table_says_who_is_how_much_slower():
    text = report.table([row_of("work")], everyone=True)
    assert "work" in text
    assert "1 ms" in text
    assert "3.00" in text
    assert text.count("numpy.f") == 2
    assert report.verdict([row_of("work")]) == ""


def test_noise_is_said():
    calm, noisy = row_of("calm"), row_of("noisy", spread=0.5)
    assert "noisy" in report.table([noisy])
    assert session.trustworthy([calm] * 9 + [noisy])
    assert not session.trustworthy([calm, noisy])
    assert "too noisy to trust" in report.verdict([calm, noisy])


def test_transforms_are_not_compared_with_loops_in_silence():
    row = row_of("work", accuracy="normwise")
    assert "3.00~" in report.table([row])
    assert "accuracies differ" in report.verdict([row])


def test_a_row_says_how_near_the_limit_it_came():
    roof = Limits({"float64": 1e9}, (Level("DRAM", float("inf"), 1e9),))
    row = session.measure(SOME, 0.0, roof, only=("numpy",))
    ours = row["contenders"][OURS]["best"]
    assert row["share"] == pytest.approx(max(SOME.flops, SOME.bytes_moved) / 1e9 / ours)
    assert set(row["contenders"]) - set(SOME.contenders(*SOME.small())) == set()
    assert all(peer.name not in row["contenders"] for peer in SOME.peers if peer.module != "numpy")
    assert "50% FMA" in report.table([row_of("work")])


def run_of(rows):
    roof = Limits(
        {"float64": 1e11, "float32": 2e11}, (Level("L1", 1e5, 1e11), Level("DRAM", 1e99, 1e10))
    )
    run = session.environment(1, True, "python -m fastconv bench", roof)
    return run | {"rows": rows, "trustworthy": True}


def slower(row, factor, spread=0.0):
    contenders = {name: dict(figures) for name, figures in row["contenders"].items()}
    contenders[OURS] |= {"best": contenders[OURS]["best"] * factor, "spread": spread}
    return row | {"contenders": contenders}


@pytest.mark.parametrize(
    ("factor", "spread", "word"),
    [
        (1.5, 0.0, "slower"),
        (0.5, 0.0, "faster"),
        (1.02, 0.0, ""),
        (1.2, 0.08, ""),
        (2, 0.5, "noisy"),
    ],
)
def test_a_change_counts_where_it_exceeds_the_noise(factor, spread, word):
    old = row_of("work")
    text = comparison.changes(run_of([old]), run_of([slower(old, factor, spread)]))
    assert text.splitlines()[-1].startswith("work")
    assert text.rstrip().endswith(word or "+0%")


def test_what_slows_everyone_is_no_change():
    old, new = row_of("work"), row_of("work")
    for contender in new["contenders"].values():
        contender["best"] *= 1.5
    text = comparison.changes(run_of([old]), run_of([new]))
    assert "slower" not in text
    assert "+50%" in text


def test_the_page_holds_every_row_and_figure():
    names = [f"1d/{d}/n=1e5/k={k}" for d in ("f64", "f32") for k in (3, 5, 8, 16, 31, 64)]
    rows = [row_of(name) for name in names]
    for row in rows:
        row["contenders"][by_path("direct")] = row["contenders"][OURS]
    rows.append(row_of("<odd & new>", error="wrong"))
    run = run_of(rows)
    text = page.page(run, rows)
    assert text.count("<svg") == len(figures.FIGURES) == 3
    assert all(f"<td>{name}" in text for name in names)
    assert "&lt;odd &amp; new&gt;" in text
    assert "<odd" not in text
    assert not re.search(r'(src|href)="(?!data:)\w+:', text), "nothing is fetched"
    again = [figures.svg(draw(run, rows)) for draw, _ in figures.FIGURES.values()]
    assert all(figure in text for figure in again), "the same figures twice"


def test_regret_is_drawn_for_every_run(tmp_path):
    target = tmp_path / "regret.svg"
    regret.draw(str(target), {"shipped": [1.0, 1.3, 1.1], "calibrated": [1.0, 1.0]})
    assert target.read_text(encoding="utf-8").startswith("<svg")
    cell = regret.measure(next(regret.grid(1, "float64", 1)), 0.0)
    assert cell.regret >= 1
    assert "1 cells" in regret.report([cell], 1)


def test_a_page_without_enough_rows_has_no_empty_figures():
    assert "<svg" not in page.page(run_of([row_of("work")]), [row_of("work")])


def test_the_readme_table_comes_from_the_json(tmp_path, capsys):
    run = session.environment(1, True, "python -m fastconv bench --quick")
    run |= {"rows": [row_of("shown"), row_of("hidden", headline=False)], "trustworthy": True}
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(run))
    assert main(["bench", "--read", str(file), "--markdown"]) == 0
    text = capsys.readouterr().out
    assert "| `shown` | 1 ms | 50% FMA | numpy.f | 3 ms | 3.00 |" in text
    assert "hidden" not in text
    assert "python -m fastconv bench --quick" in text
    assert fastconv.__version__ in text
    assert "Behind in: none of them" in text
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{report.OPENING}\nold\n{report.CLOSING}\nbelow\n")
    assert main(["bench", "--read", str(file), "--readme", str(readme)]) == 0
    above, _, rest = readme.read_text().partition(report.OPENING + "\n")
    assert (above, rest) == ("above\n", f"{text}{report.CLOSING}\nbelow\n")


def test_the_words_below_the_table_name_what_is_behind():
    rows = [row_of("ahead"), slower(row_of("slow"), 6) | {"ratio": 0.5}]
    assert "Behind in: `slow` (0.50)." in report.markdown(run_of(rows), rows)


def test_the_readme_holds_the_marks_of_its_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    run = run_of([row_of("work")])
    assert "| `work` |" in report.into_readme(text, run, run["rows"])


# ---------------------------------------------------------------- the command


@pytest.fixture
def ready(monkeypatch):
    """The environment that the command would start itself anew for."""
    for name, value in bench._environment(1).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("ready")
def test_the_command_writes_what_it_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "_QUICK_SECONDS", 0.0)
    file = tmp_path / "figures.json"
    assert main(["bench", SOME.name, "--quick", "--json", str(file)]) == 0
    output = capsys.readouterr()
    assert SOME.name in output.out
    assert SOME.name in output.err
    run = json.loads(file.read_text())
    (row,) = run["rows"]
    assert row["contenders"][OURS]["best"] > 0
    assert {"cpu", "target"} <= set(run["machine"])
    assert {"fastconv", "numpy", "scipy"} <= set(run["versions"])
    assert str(tmp_path) not in json.dumps(run)
    html, folder = tmp_path / "page.html", tmp_path / "figures"
    words = ["--compare", str(file), "--html", str(html), "--figures", str(folder)]
    assert main(["bench", "--read", str(file), *words]) == 0
    assert "before" in capsys.readouterr().out
    assert SOME.name in html.read_text()


@pytest.mark.usefixtures("ready")
def test_the_command_lists_workloads(capsys):
    assert main(["bench", "--list", "small", GROUP]) == 0
    listed = capsys.readouterr().out.split("\n")[:-1]
    assert SOME.name in listed
    assert set(MEASURES) <= set(listed)


def test_threads_are_limited_before_anything_is_loaded(monkeypatch):
    started = []

    def start(command, env):
        started.append((command, env))
        return type("Done", (), {"returncode": 7})()

    monkeypatch.setattr(bench.subprocess, "run", start)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert main(["bench", SOME.name, "--quick", "--workers", "3"]) == 7
    ((command, env),) = started
    assert command[-4:] == ["--quick", "--workers", "3", SOME.name]
    assert env["OPENBLAS_NUM_THREADS"] == env["FASTCONV_WORKERS"] == "3"
    assert env["FASTCONV_POLICY"] == "compile"
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(Path(fastconv.__file__).parents[1])


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["no-such-workload"], "pattern must match a workload"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--read", "no-such-file.json"], "--read must be what --json wrote"),
        (["small", "--compare", "no-such-file.json"], "--compare must be what --json wrote"),
        (["small", "--html", "no-such-folder/f.html"], "--html must be in an existing"),
        (["small", "--json", "no-such-folder/f.json"], "--json must be in an existing"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(words, reason, capsys):
    assert main(["bench", *words]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_figures_of_another_schema_are_refused(tmp_path, capsys):
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"schema": 0, "rows": []}))
    assert main(["bench", "--read", str(file)]) == 2
    assert "measure again" in capsys.readouterr().err


def test_without_a_checkout_the_command_says_so(monkeypatch, capsys):
    monkeypatch.setattr(bench, "find_repository", lambda: None)
    assert main(["bench"]) == 2
    assert "checkout" in capsys.readouterr().err


def test_the_checkout_is_found_from_a_folder_inside_it(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "fastconv" / "cli" / "bench.py"
    monkeypatch.setattr(bench, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    assert bench.find_repository() is None
    copy = installed.parents[1] / "benchmarks" / "workloads.py"
    copy.parent.mkdir(parents=True)
    copy.touch()
    assert bench.find_repository() == installed.parents[1]
    monkeypatch.chdir(ROOT / "benchmarks")
    assert bench.find_repository() == ROOT


# ---------------------------------------------------------------- asv


def test_asv_finds_a_class_for_each_group():
    from asv_runner.discovery import disc_benchmarks

    found = {b.name: b for b in disc_benchmarks("benchmarks") if b.name.startswith("asv_suite.")}
    tasks = {
        task.strip("'").partition(" by ")[0]
        for b in found.values()
        if b.name.endswith(".time_call")
        for task in b.params[0]
    }
    assert tasks == set(WORKLOADS)
    assert sum(name.endswith(".time_call") for name in found) == len(GROUPS)
    assert "asv_suite.Process.track_figure" in found
    assert "asv_suite.FirstCall.peakmem_convolve" in found


def test_workloads_cannot_be_changed():
    assert isinstance(SOME, Workload)
    with pytest.raises(AttributeError):
        SOME.name = "other"


def test_the_sweep_against_numpy_covers_longer_filters_and_every_dtype_numpy_multiplies():
    from benchmarks import never_slower

    cells = list(never_slower.grid())
    assert all(n * k <= never_slower.PRODUCTS for n, k in cells)
    assert any(k > n for n, k in cells) and (1, 1) in cells and (10_000_000, 1) in cells
    assert set(never_slower.DTYPES) == {np.dtype(code).name for code in "?bBhHiIlLefdFD"}
    cell = never_slower.measure("float16", 3, 2, "full", 1e-4)
    assert cell.ratio > 0 and "float16 n=3 k=2 full" in str(cell)


# ---------------------------------------------------------------- processes that make one call


@pytest.mark.parametrize("group", [g for g in GROUPS if g not in ("layers", "prepared", "stream")])
def test_a_workload_becomes_scripts_that_run(group, tmp_path):
    workload = next(w for w in WORKLOADS.values() if w.group == group)
    made = single_calls.case(workload, str(tmp_path), 1, small=True)
    assert made is not None or group == "pooling"  # Nobody but torch pools.
    for program in (made.ours, *made.peers.values()) if made is not None else ():
        exec(program, {})


def test_what_one_call_may_take_is_half_as_much_again_and_60_ms():
    assert single_calls.allowed(1.0, 1) == pytest.approx(1.56)
    assert single_calls.allowed(1.0, 10_000) == pytest.approx(1.3)
