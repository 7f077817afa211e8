"""Rates: every path has measured ones, files of them survive a round trip, foreign ones do not."""

import pytest

from fastconv.path import Work
from fastconv.paths import PATHS
from fastconv.planner import calibrate, rates
from fastconv.planner.rates import Rates
from fastconv.runtime.target import TARGETS


@pytest.mark.parametrize("name", list(PATHS))
@pytest.mark.parametrize("dtype", calibrate.DTYPES)
def test_every_path_is_calibrated_for_what_it_supports(name, dtype):
    table, provenance = rates.read(rates.shipped())
    for problem in calibrate.problems(dtype):
        if not PATHS[name].supports(problem):
            assert (name, dtype, rates.kind(problem.ndim)) in table, problem
    assert {"cpu", "date", "numpy", "command"} <= set(provenance)


def test_seconds_are_counts_times_rates():
    row = Rates(1.0, 10.0, 100.0, 1000.0, 10000.0)
    assert row.seconds(Work(2, 3, 4.0, 5)) == 1 + 20 + 300 + 4000 + 50000


def test_a_fit_recovers_the_rates_it_was_made_from():
    true = Rates(0.0, 3e-6, 2e-10, 0.0, 1e-11)
    work = PATHS["direct"].work
    cells = [
        calibrate.Measurement("direct", p, true.seconds(work(p)))
        for p in calibrate.problems("float64")
        if p.ndim == 1 and p.reduction == "sum"
    ]
    fitted = calibrate.fit(cells)
    for cell in cells:
        assert fitted.seconds(work(cell.problem)) == pytest.approx(cell.seconds, rel=1e-6)


def test_a_file_of_rates_survives_a_round_trip(tmp_path):
    table = {("direct", "float64", "1d"): Rates(1e-6, 2e-6, 3e-10, 0.0, 1.23e-11)}
    path = str(tmp_path / "deep" / "rates.txt")
    rates.write(path, table, {"cpu": "here"})
    assert rates.read(path) == (table, {"cpu": "here"})


def test_rates_of_this_machine_and_versions_are_used(tmp_path, monkeypatch):
    path = tmp_path / "rates.txt"
    table = {("direct", "float64", "1d"): Rates(1e-6, 2e-6, 3e-10, 0.0, 1.23e-11)}
    rates.write(str(path), table, calibrate.provenance())
    monkeypatch.setenv("FASTCONV_RATES", str(path))
    assert rates.tables.__wrapped__() == (table, calibrate.provenance())
    rates.write(str(path), table, calibrate.provenance() | {"numpy": "1.0"})
    with pytest.warns(UserWarning, match=r"was measured with numpy 1\.0; ignored"):
        assert rates.tables.__wrapped__()[0] != table


@pytest.mark.parametrize("target", ["x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64", "plain"])
def test_every_instruction_set_has_shipped_rates(target, monkeypatch):
    monkeypatch.setattr(rates, "host_target", lambda: TARGETS[target])
    assert rates.read(rates.shipped())[0]


@pytest.mark.parametrize("content", ["no rates", "path dtype axes", None])
def test_a_file_that_does_not_fit_is_ignored_with_one_warning(tmp_path, monkeypatch, content):
    path = tmp_path / "rates.txt"
    if content is None:
        rates.write(str(path), {}, {"cpu": "another machine"})
    else:
        path.write_text(content)
    monkeypatch.setenv("FASTCONV_RATES", str(path))
    with pytest.warns(UserWarning, match="ignored") as caught:
        table = rates.tables.__wrapped__()
    assert len(caught) == 1
    assert table == rates.read(rates.shipped())
