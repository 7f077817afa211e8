"""``python -m fastconv bench``: time every path beside NumPy, SciPy and the other libraries.

The workloads live in the repository's ``benchmarks`` folder; a wheel carries a copy. The command
measures in a process of its own, whose environment limits every library to the same number of
threads before any of them is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .progress import Progress

__all__ = ["add_arguments", "find_repository", "load_benchmarks", "run"]

# A race's length. A quick run's races share a minute, so that it ends within a minute and a half.
_SECONDS, _QUICK_SECONDS, _QUICK_MINUTE = 2.0, 0.8, 55.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "pattern",
        nargs="*",
        help="a group, part of a workload's name, or a shell pattern; by default all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer workloads, shorter races")
    parser.add_argument(
        "--headline", action="store_true", help="only what the README's table and figures show"
    )
    parser.add_argument("--list", action="store_true", help="name the workloads and stop")
    parser.add_argument("--all", action="store_true", help="show every contender, not the best")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="threads (default: %(default)s)"
    )
    parser.add_argument(
        "--peers", metavar="A,B", help="ask only these: libraries (numpy, cv2) or contenders"
    )
    parser.add_argument("--json", metavar="FILE", help="write machine, versions and all figures")
    parser.add_argument("--html", metavar="FILE", help="write a page with figures and tables")
    parser.add_argument(
        "--compare", metavar="OLD", help="show what changed since an earlier run's --json file"
    )
    parser.add_argument(
        "--figures", metavar="FOLDER", help="write the figures there, one SVG file each"
    )
    parser.add_argument(
        "--read", metavar="FILE", help="show what --json wrote instead of measuring"
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the README's table (its rows, unless there is a pattern)",
    )
    parser.add_argument("--readme", metavar="FILE", help="put the table between FILE's marks")


def run(args: argparse.Namespace) -> int:
    """Measure and show.

    Parameters
    ----------
    args : argparse.Namespace
        As made by `add_arguments`.

    Returns
    -------
    int
        0; 1 if one of our answers was wrong; 2 for a wrong argument, or without the workloads.
    """
    root = find_repository()
    if root is None:
        return _fail(
            "needs the benchmarks folder, which is not installed: run it in a checkout of fastconv"
        )
    if args.workers < 1:
        return _fail(f"--workers must be at least 1, got {args.workers}")
    if args.read:
        return _show(load_benchmarks(root), args)
    environment = _environment(args.workers)
    if any(os.environ.get(name) != value for name, value in environment.items()):
        # BLAS reads its thread count when it is loaded, and NumPy is loaded by now.
        command = [sys.executable, "-m", "fastconv", "bench", *_words(args)]
        package = str(Path(__file__).resolve().parents[2])
        search = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        inherited = os.environ | environment | {"PYTHONPATH": search}
        return subprocess.run(command, env=inherited).returncode
    return _measure(load_benchmarks(root), args)


def _fail(reason: str) -> int:
    print(f"fastconv bench: {reason}", file=sys.stderr)
    return 2


def find_repository() -> Path | None:
    """Return the folder with the benchmarks to run.

    This package's own checkout, the checkout we are in, or the installed package with its copy.
    """
    package, here = Path(__file__).resolve().parents[1], Path.cwd()
    for folder in (package.parent, here, *here.parents):
        if (folder / "benchmarks" / "workloads.py").is_file() and (folder / "fastconv").is_dir():
            return folder
    return package if (package / "benchmarks" / "workloads.py").is_file() else None


def load_benchmarks(root: Path) -> ModuleType:
    """Import the package ``benchmarks`` of the checkout `root`, whatever else has that name."""
    folder = root / "benchmarks"
    found = sys.modules.get("benchmarks")
    if found is None or str(folder) not in list(found.__path__):
        for name in [n for n in sys.modules if n.partition(".")[0] == "benchmarks"]:
            del sys.modules[name]
        spec = importlib.util.spec_from_file_location(
            "benchmarks", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    for name in ("session", "report", "comparison", "page"):
        importlib.import_module(f"benchmarks.{name}")
    return found


def _environment(workers: int) -> dict[str, str]:
    """Return the variables that a run needs: threads limited, kernels always compiled."""
    libraries = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
    limits = {f"{library}_NUM_THREADS": str(workers) for library in libraries}
    return limits | {"FASTCONV_WORKERS": str(workers), "FASTCONV_POLICY": "compile"}


def _words(args: argparse.Namespace) -> list[str]:
    """Return the arguments as words again."""
    switches = ("quick", "headline", "list", "all", "markdown")
    words = [f"--{name}" for name in switches if getattr(args, name)]
    words += ["--workers", str(args.workers)] if args.workers != 1 else []
    for name in ("peers", "json", "html", "compare", "figures", "readme"):
        value = getattr(args, name)
        words += [f"--{name}", value] if value else []
    return [*words, *args.pattern]


def _command(args: argparse.Namespace) -> str:
    """Return the command that measures the same again, wherever its figures are kept."""
    private = dict.fromkeys(("json", "html", "compare", "figures", "readme"))
    shown = argparse.Namespace(**vars(args) | private | {"markdown": False, "all": False})
    return shlex.join(["python", "-m", "fastconv", "bench", *_words(shown)])


def _measure(benchmarks: Any, args: argparse.Namespace) -> int:
    session, report = benchmarks.session, benchmarks.report
    wanted = session.names(args.pattern, args.quick, args.headline)
    if not wanted:
        groups = ", ".join(benchmarks.workloads.GROUPS)
        return _fail(f"pattern must match a workload, got {args.pattern} (groups: {groups})")
    if args.list:
        print("\n".join(wanted))
        return 0
    for name in ("json", "html", "figures"):
        value = getattr(args, name)
        if value and not Path(value).resolve().parent.is_dir():
            return _fail(f"--{name} must be in an existing folder, got {value}")
    old, complaint = _read(benchmarks, args.compare) if args.compare else (None, "")
    if complaint:
        return _fail(f"--compare {complaint}")
    if args.readme and not Path(args.readme).is_file():
        return _fail(f"--readme must be a file, got {args.readme}")
    seconds = min(_QUICK_SECONDS, _QUICK_MINUTE / len(wanted)) if args.quick else _SECONDS
    progress = Progress()
    roof = session.limits() if any(n in benchmarks.workloads.WORKLOADS for n in wanted) else None
    result = session.environment(args.workers, args.quick, _command(args), roof)
    only = args.peers.split(",") if args.peers else ()
    rows = list(session.record(wanted, seconds, args.workers, progress.show, roof, only))
    progress.done(f"{len(wanted)} workloads")
    result |= {"trustworthy": session.trustworthy(rows), "rows": rows}
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _print(report, result, rows, args)
    _write(benchmarks, result, rows, args, old)
    return int(any(row["error"] for row in rows))


def _show(benchmarks: Any, args: argparse.Namespace) -> int:
    result, complaint = _read(benchmarks, args.read)
    if complaint:
        return _fail(f"--read {complaint}")
    old, complaint = _read(benchmarks, args.compare) if args.compare else (None, "")
    if complaint:
        return _fail(f"--compare {complaint}")
    groups = {row["name"]: row["group"] for row in result["rows"]}
    kept = set(benchmarks.workloads.select(args.pattern, groups))
    rows = [row for row in result["rows"] if row["name"] in kept]
    _print(benchmarks.report, result, rows, args)
    _write(benchmarks, result, rows, args, old)
    return 0


def _read(benchmarks: Any, file: str) -> tuple[dict[str, Any], str]:
    """Return an earlier run, or what is wrong with its file."""
    try:
        result = json.loads(Path(file).read_text(encoding="utf-8"))
        schema = result["schema"]
        if not isinstance(result["rows"], list):
            raise TypeError("rows must be a list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {}, f"must be what --json wrote, got {file} ({error})"
    if schema != benchmarks.session.SCHEMA:
        return {}, f"must be of schema {benchmarks.session.SCHEMA}, got {schema}: measure again"
    return result, ""


def _write(
    benchmarks: Any,
    result: dict[str, Any],
    rows: list[Any],
    args: argparse.Namespace,
    old: dict[str, Any] | None,
) -> None:
    """Write or show what was asked for besides the table."""
    if old is not None:
        print("\n" + benchmarks.comparison.changes(old, result | {"rows": rows}))
    if args.html:
        text = benchmarks.page.page(result, rows)
        Path(args.html).write_text(text, encoding="utf-8")
        print(f"\npage: {args.html}", file=sys.stderr)
    if args.readme:
        readme = Path(args.readme)
        text = readme.read_text(encoding="utf-8")
        text = benchmarks.report.into_readme(text, result, _for_readme(rows, args))
        readme.write_text(text, encoding="utf-8")
    if args.figures:
        figures = importlib.import_module("benchmarks.figures")
        Path(args.figures).mkdir(exist_ok=True)
        for name, (draw, _) in figures.FIGURES.items():
            drawn = draw(result, rows)
            if drawn is not None:
                file = Path(args.figures, f"{name}.svg")
                file.write_text(figures.svg(drawn) + "\n", encoding="utf-8")


def _print(report: Any, result: dict[str, Any], rows: list[Any], args: argparse.Namespace) -> None:
    if args.markdown:
        print(report.markdown(result, _for_readme(rows, args)))
        return
    machine, workers = result["machine"], result["settings"]["workers"]
    print(f"{machine['cpu']}, kernels for {machine['target']}, workers: {workers}")
    print(report.table(rows, args.all))
    if words := report.verdict(rows):
        print(f"\n{words}")


def _for_readme(rows: list[Any], args: argparse.Namespace) -> list[Any]:
    return rows if args.pattern else [row for row in rows if row["headline"]]
