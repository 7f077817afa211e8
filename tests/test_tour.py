"""The tour: its numbers on known data, its files, and one clear line for every wrong input."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import cli
from fastconv.cli.tour import terminal
from fastconv.cli.tour.checks import CheckFailed, agree
from fastconv.cli.tour.inputs import InputError

pytest.importorskip("matplotlib")
from PIL import Image

from fastconv.cli.tour import chapter
from fastconv.cli.tour.figures import style
from fastconv.cli.tour.figures.album import ALBUM
from fastconv.cli.tour.picture import Rectangle, read_picture, sample_picture
from fastconv.cli.tour.series import read_series, sample_series
from fastconv.cli.tour.steps.eye import find_eye, peaks

DATA = Path(__file__).parents[2] / "shared" / "data"
SERIES, CARTOON = DATA / "italy_covid_confirmed.csv", DATA / "cartoon_460x460.png"
needs_data = pytest.mark.skipif(
    not (SERIES.exists() and CARTOON.exists()), reason="the data folder is not beside the checkout"
)


@dataclass(frozen=True)
class Tour:
    """What one run left behind."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def numbers(self) -> dict[str, Any]:
        numbers: dict[str, Any] = json.loads((self.folder / "numbers.json").read_text())
        return numbers

    @property
    def page(self) -> str:
        return (self.folder / "index.html").read_text(encoding="utf-8")


def take(folder: Path, *words: str) -> Tour:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(["tour", "--out", str(folder), "--rounds", "1", *words])
    return Tour(status, out.getvalue(), err.getvalue(), folder)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    return take(tmp_path_factory.mktemp("default"))


def spare(patch: pytest.MonkeyPatch) -> None:
    """Leave out what no input changes and `default` shows: the digits, and pixels by the million.

    Every figure is still drawn, at a fifth of the resolution.
    """
    patch.setattr(chapter, "classify", lambda: None)
    patch.setitem(style._STYLE, "figure.dpi", 30)
    patch.setitem(style._STYLE, "savefig.dpi", 30)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """The book's own data, and a machine without rich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal, "find_spec", lambda name: None)
        spare(patch)
        words = ("--series", str(SERIES), "--column", "new_cases", "--image", str(CARTOON))
        return take(tmp_path_factory.mktemp("book"), *words)


@needs_data
def test_book_data_give_the_books_numbers(book: Tour) -> None:
    assert book.status == 0, book.err
    assert "first 0.0731707317" in book.out
    assert "last 2059.58536585" in book.out
    assert book.numbers["same_41_first"] == pytest.approx(3 / 41, rel=1e-9)
    assert book.numbers["same_41_last"] == pytest.approx(84443 / 41, rel=1e-12)


@needs_data
def test_the_page_names_files_but_not_their_folders(book: Tour) -> None:
    assert "--image cartoon_460x460.png" in book.page
    assert str(DATA) not in book.page


@needs_data
def test_cartoon_eye_is_found_where_it_is_and_where_it_was_pasted(book: Tour) -> None:
    numbers = book.numbers
    assert numbers["true_places"] == [[12, 12], [200, 225]]
    assert sorted(peak["place"] for peak in numbers["peaks"][:2]) == numbers["true_places"]
    assert numbers["peaks"][2]["answer"] < 0.75 * numbers["peaks"][1]["answer"]
    assert "found twice" in book.out
    assert "NOT" not in book.out


def test_default_inputs_need_no_options_and_find_the_eye_twice(default: Tour) -> None:
    assert default.status == 0, default.err
    numbers = default.numbers
    assert numbers["samples"] == 1047
    assert sorted(peak["place"] for peak in numbers["peaks"][:2]) == numbers["true_places"]
    assert [170, 280] in numbers["true_places"]


def test_every_figure_is_written_and_the_page_stands_alone(default: Tour) -> None:
    for name in ALBUM:
        with Image.open(default.folder / f"{name}.png") as image:
            assert image.width == 1500
            assert np.ptp(np.asarray(image.convert("L"))) > 100
    assert default.page.count("data:image/png;base64,") == len(ALBUM)
    assert "http://" not in default.page
    assert "https://" not in default.page


def test_every_race_has_times_and_a_path_with_its_reason(default: Tour) -> None:
    races = default.numbers["races"]
    assert {race["step"][0] for race in races} == set("12345")
    for race in races:
        assert "fastconv" in race["seconds"]
        assert len(race["seconds"]) >= 2
        assert all(0 < seconds < 60 for seconds in race["seconds"].values())
        assert race["path"] == "-" or race["why"]
        assert race["step"] in default.out


def test_progress_goes_to_stderr_and_the_table_to_stdout(default: Tour) -> None:
    assert default.err.splitlines()[-1].startswith("[8/8]")
    assert "[7/7]" not in default.out
    assert "box blur 32 x 32" in default.out


@needs_data
def test_table_is_plain_text_where_rich_is_missing(book: Tour) -> None:
    lines = book.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("step"))
    assert set(lines[head + 1]) <= {"-", " "}
    assert len([line for line in lines[head + 2 :] if line[:1].isdigit()]) == 10


def test_a_users_own_data_pass_through_and_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    spare(monkeypatch)
    rng = np.random.default_rng(1)
    table = tmp_path / "own.csv"
    values = "\n".join(f"{i},{value}" for i, value in enumerate(rng.normal(size=130)))
    table.write_text(f"i,<i>x\n{values}\n")
    pixels = rng.integers(0, 256, (120, 100, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    before = dict(matplotlib.rcParams)
    words = ("--series", str(table), "--column", "<i>x", "--image", str(tmp_path / "own.png"))
    tour = take(tmp_path / "deep" / "folder", *words, "--eye", "40:56,50:70")
    assert tour.status == 0, tour.err
    assert "&lt;i&gt;x" in tour.page
    assert "<i>x" not in tour.page
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of right and wrong input files."""
    folder = tmp_path_factory.mktemp("files")
    good = [str(i) for i in range(130)]
    tables = {
        "good": good,
        "short": good[:50],
        "word": [*good[:6], "seven", *good],
        "gap": [*good[:6], "", *good],
        "infinite": [*good[:6], "inf", *good],
    }
    for name, cells in tables.items():
        rows = "".join(f"day {i},{cell}\n" for i, cell in enumerate(cells))
        (folder / f"{name}.csv").write_text(f"day,x\n{rows}")
    (folder / "empty.csv").write_text("")
    for name, size, shade in (
        ("face", (200, 160), 3),
        ("flat", (200, 160), 0),
        ("small", (40, 300), 3),
    ):
        pixels = np.arange(size[0] * size[1]).reshape(size) * shade % 251
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "text.png").write_text("not a picture")
    (folder / "cut.png").write_bytes((folder / "face.png").read_bytes()[:200])
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--series absent.csv --column x", "--series must be a file that can be read, got"),
        ("--series . --column x", "--series must be a file that can be read, got"),
        ("--series face.png --column x", "--series must be a CSV text file, got"),
        ("--series empty.csv --column x", "--series must be a CSV file with a header line, got"),
        ("--series short.csv --column x", "--series must hold at least 123 rows, got 50"),
        ("--series good.csv --column y", "(day, x), got 'y'"),
        ("--series good.csv", "(day, x), got none"),
        ("--series word.csv --column x", "row 7 (line 8) must be a finite number, got 'seven'"),
        ("--series gap.csv --column x", "row 7 (line 8) must be a finite number, got a missing"),
        ("--series infinite.csv --column x", "row 7 (line 8) must be a finite number, got 'inf'"),
        ("--series good.csv --column day", "row 1 (line 2) must be a finite number, got 'day 0'"),
        ("--series http://127.0.0.1:9/x.csv --column x", "--series must be an address that"),
        ("--column y", "--column must be one of open, high, low, close, volume, got 'y'"),
        ("--image absent.png", "--image must be a file that can be read, got"),
        ("--image text.png", "--image must be a readable image, got"),
        ("--image cut.png", "--image must be a readable image, got"),
        ("--image small.png", "--image must have at least 96 rows and columns, got 40 x 300"),
        ("--image flat.png", "--eye must hold more than one shade of grey, got"),
        ("--image face.png --eye 1,2,3,4", "--eye must be R0:R1,C0:C1 in pixels, got '1,2,3,4'"),
        ("--image face.png --eye 10:40,150:170", "--eye must lie inside the 200 x 160 image"),
        ("--image face.png --eye 40:10,50:70", "--eye must lie inside the 200 x 160 image"),
        ("--image face.png --eye 20:180,20:140", "--eye must leave room for a copy"),
        ("--out good.csv", "--out must be a folder to write to, got 'good.csv'"),
        ("--rounds 0", "--rounds must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    words: str, message: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    tour = take(tmp_path / "out", *words.split())
    assert tour.status == 2
    assert message in the_line(tour)
    assert tour.out == ""


def the_line(tour: Tour) -> str:
    """The only line on stderr beside the progress."""
    lines = [line for line in tour.err.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, tour.err
    return lines[0]


def test_missing_matplotlib_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    tour = take(tmp_path / "out")
    assert tour.status == 2
    assert "matplotlib must be installed" in the_line(tour)
    assert not (tmp_path / "out").exists()


def test_a_wrong_number_is_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly(*args: Any, **keywords: Any) -> Any:
        return np.convolve(*args, **keywords) * (1 + 1e-9)

    monkeypatch.setattr(fastconv, "convolve", nearly)
    tour = take(tmp_path / "out")
    assert tour.status == 1
    assert "41-sample average, mode full, against numpy.convolve must agree to" in the_line(tour)


def test_a_shifted_answer_about_the_eye_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    correlate2d = fastconv.correlate2d
    monkeypatch.setattr(fastconv, "correlate2d", lambda *args: np.roll(correlate2d(*args), 1, 0))
    with pytest.raises(CheckFailed, match="eye response"):
        find_eye(sample_picture(), rounds=1)


def test_agree_refuses_another_shape_and_nan() -> None:
    with pytest.raises(CheckFailed, match="must have shape"):
        agree("x", np.zeros(3), np.zeros(4), 1.0)
    with pytest.raises(CheckFailed, match="must agree"):
        agree("x", np.array([np.nan]), np.zeros(1), 1.0)


def test_peaks_are_the_highest_and_share_no_window() -> None:
    response = np.zeros((30, 30))
    response[[5, 6, 5, 20], [5, 6, 9, 20]] = [4, 3, 2, 1]
    found = peaks(response, (4, 4), 3)
    assert [peak.place for peak in found] == [(5, 5), (5, 9), (20, 20)]
    assert [peak.value for peak in found] == [4, 2, 1]


def test_transparent_pixels_show_white_and_grey_is_pillows(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (100, 110, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:10, :10, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    picture = read_picture(str(tmp_path / "rgba.png"))
    assert np.all(picture.grey[:10, :10] == 255)
    assert np.all(picture.colour[:10, :10] == 255)
    assert np.array_equal(picture.colour[10:], pixels[10:, :, :3])
    luma = picture.colour @ [0.299, 0.587, 0.114]
    assert np.max(np.abs(picture.grey - luma)) <= 0.51
    assert "white paper" in picture.about


def test_large_pictures_are_averaged_in_blocks_and_the_eye_moves_along(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (1300, 700), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    picture = read_picture(str(tmp_path / "large.png"), Rectangle(300, 360, 90, 150))
    assert picture.grey.shape == (434, 234)
    assert picture.eye == Rectangle(100, 120, 30, 50)
    assert picture.grey[5, 7] == pytest.approx(pixels[15:18, 21:24].mean(), abs=1.0)


def test_copy_lies_inside_the_picture_and_clear_of_the_eye() -> None:
    picture = sample_picture()
    rows, columns = picture.grey.shape
    assert picture.copy.shape == picture.eye.shape
    assert 0 <= picture.copy.top < picture.copy.bottom <= rows
    assert 0 <= picture.copy.left < picture.copy.right <= columns
    assert not picture.copy.touches(picture.eye)


def test_any_column_of_the_sample_series_can_be_asked_for() -> None:
    assert sample_series("volume").values[0] == 22351900
    with pytest.raises(InputError, match="one of open, high"):
        sample_series("date")


def test_a_series_with_a_date_for_every_day_counts_in_days(tmp_path: Path) -> None:
    days = np.arange("2024-01-01", "2024-06-01", dtype="datetime64[D]")
    daily, weekly = tmp_path / "daily.csv", tmp_path / "weekly.csv"
    daily.write_text("\ufeffx,date\n" + "".join(f"1,{day}\n" for day in days), encoding="utf-8")
    weeks = days[0] + 7 * np.arange(130, dtype="m8[D]")
    weekly.write_text("x,date\n" + "".join(f"1,{day}\n" for day in weeks))
    assert read_series(str(daily), "x").step == "day"
    assert np.array_equal(read_series(str(daily), "x").days, days)
    assert read_series(str(weekly), "x").step == "sample"


def test_command_line_lists_what_is_installed_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, fastconv.cli as cli;"
        "cli.COMMANDS['absent'] = cli.Command('fastconv.cli.absent', 'never listed');"
        "assert 'tour' in cli.available() and 'absent' not in cli.available();"
        "heavy = {'numba', 'matplotlib', 'rich', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    words = [sys.executable, "-m", "fastconv"]
    assert (
        "tour"
        in subprocess.run([*words, "--help"], check=True, capture_output=True).stdout.decode()
    )
    unknown = subprocess.run([*words, "absent"], capture_output=True)
    assert unknown.returncode == 2
    assert b"Traceback" not in unknown.stderr
