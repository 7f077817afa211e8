"""The laws of the house: who may import whom, and who may speak of modes (README, map)."""

import ast
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent

COMPILES = ("fastconv.runtime", "fastconv.kernels")
# What Python's own library would be, were it quicker.
EVERYBODYS = ("fastconv.records",)
FACES = (
    "fastconv.numpy_api",
    "fastconv.numpy_request",
    "fastconv.prepared",
    "fastconv.prepared_plane",
    "fastconv.signal",
    "fastconv.ndimage",
    "fastconv.nn",
)
KNOW_MODES = (*FACES, "fastconv.cli", "fastconv.integrations")
MODES = ("full", "same", "valid")


@cache
def modules():
    """The syntax tree of each module by its dotted name."""
    trees = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ("fastconv", *file.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(file.read_text(encoding="utf-8"))
        trees[name].is_package = file.name == "__init__.py"
    return trees


def imports(name, tree, names=()):
    """Yield (imported module, whether it happens when this module is imported).

    `from .paths import direct` imports fastconv.paths.direct where that is a module in `names`.
    """
    package = name if getattr(tree, "is_package", False) else name.rpartition(".")[0]
    for node, eager in import_statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, eager
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            if base in EVERYBODYS:
                continue
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                external = not base.startswith("fastconv")
                yield whole if whole in names or external else base, eager


@cache
def import_statements(tree):
    """Each import statement, and whether it runs when its module is imported."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, FUNCTIONS) for n in ast.walk(f)}
    inside |= {id(n) for f in ast.walk(tree) if for_types_only(f) for n in ast.walk(f)}
    statements = (ast.Import, ast.ImportFrom)
    return [(n, id(n) not in inside) for n in ast.walk(tree) if isinstance(n, statements)]


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def for_types_only(node):
    """Whether this is `if TYPE_CHECKING:`, which no interpreter runs."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def within(name, *packages):
    """Whether a module is one of these packages or inside one."""
    return any(name == p or name.startswith(p + ".") for p in packages)


# ---------------------------------------------------------------- the laws, each a list of offences


def who_imports_numba(trees):
    """Only runtime/ and kernels/ know that there is a compiler."""
    for name, tree in trees.items():
        for imported, _ in imports(name, tree):
            if within(imported, "numba", "llvmlite") and not within(name, *COMPILES):
                yield f"{name} imports {imported}"


def who_imports_scipys_fft(trees):
    """Only paths/ transform."""
    for name, tree in trees.items():
        for imported, _ in imports(name, tree):
            if within(imported, "scipy.fft", "numpy.fft") and not within(name, *TRANSFORM):
                yield f"{name} imports {imported}"


TRANSFORM = ("fastconv.paths", "fastconv.cli")  # the tour shows transforms by hand


def which_kernels_import_upwards(trees):
    """A kernel knows runtime and other kernels only."""
    for name, tree in trees.items():
        for imported, _ in imports(name, tree, trees):
            ours = within(imported, "fastconv")
            if within(name, "fastconv.kernels") and ours and not within(imported, *COMPILES):
                yield f"{name} imports {imported}"


def which_paths_import_paths(trees):
    """An algorithm does not know its rivals nor the table; a module without a PATH is no rival."""
    rivals = {"fastconv.paths", *(name for name, tree in trees.items() if has_a_path(tree))}
    for name, tree in trees.items():
        is_table = getattr(tree, "is_package", False)
        for imported, _ in imports(name, tree, trees):
            if name.startswith("fastconv.paths.") and not is_table and imported in rivals:
                yield f"{name} imports {imported}"


def has_a_path(tree):
    """Whether a module ends in a Path record."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    names = {ast.unparse(target) for node in assigned for target in node.targets}
    return "PATH" in names


def who_imports_upwards(trees):
    """Faces stand on the planner, the planner on the paths; geometry and problem on nothing."""
    floors = [
        (("fastconv.geometry",), ("fastconv",)),
        (("fastconv.problem",), ("fastconv.paths", "fastconv.planner", "fastconv.runtime", *FACES)),
        (("fastconv.runtime",), ("fastconv.paths", "fastconv.planner", *FACES)),
        (("fastconv.kernels", "fastconv.paths"), ("fastconv.planner", *FACES)),
        (("fastconv.planner",), FACES),
    ]
    for name, tree in trees.items():
        for imported, _ in imports(name, tree, trees):
            for low, high in floors:
                if within(name, *low) and within(imported, *high) and imported != name:
                    yield f"{name} imports {imported}"


def who_names_modes(trees):
    """Modes are settled in the faces; below them there are pads and lengths."""
    for name, tree in trees.items():
        if within(name, *KNOW_MODES):
            continue
        for node in ast.walk(tree):
            # Docstrings are longer than one word.
            if isinstance(node, ast.Constant) and node.value in MODES:
                yield f"{name}:{node.lineno} says {node.value!r}"


def who_imports_in_a_circle(trees):
    """Imports that run when a module is imported form no cycle."""
    graph = {
        name: {m for m, eager in imports(name, tree, trees) if eager and m in trees and m != name}
        for name, tree in trees.items()
    }
    done, trail = set(), []

    def visit(name):
        if name in trail:
            yield " -> ".join([*trail[trail.index(name) :], name])
        elif name not in done:
            trail.append(name)
            for imported in sorted(graph[name]):
                yield from visit(imported)
            trail.pop()
            done.add(name)

    for name in sorted(graph):
        yield from visit(name)


LAWS = [
    who_imports_numba,
    who_imports_scipys_fft,
    which_kernels_import_upwards,
    which_paths_import_paths,
    who_imports_upwards,
    who_names_modes,
    who_imports_in_a_circle,
]

# For each law, one module that breaks it: a law that cannot be broken holds nothing.
CRIMES = {
    who_imports_numba: ("fastconv.planner", "def f():\n    from numba import njit"),
    who_imports_scipys_fft: ("fastconv.planner", "from scipy import fft"),
    which_kernels_import_upwards: ("fastconv.kernels.direct1d", "from ..paths import direct"),
    which_paths_import_paths: ("fastconv.paths.direct", "from . import fft"),
    who_imports_upwards: ("fastconv.planner", "from . import numpy_api"),
    who_names_modes: ("fastconv.geometry", "def f(mode):\n    return mode == 'same'"),
    who_imports_in_a_circle: ("fastconv.paths.fft", "from ..kernels.direct1d import f"),
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_nobody_breaks(law):
    assert list(law(modules())) == []


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_breach_is_found(law):
    trees = {
        "fastconv": ast.parse(""),
        "fastconv.numpy_api": ast.parse("from .planner import choose"),
        "fastconv.planner": ast.parse(""),
        "fastconv.geometry": ast.parse(""),
        "fastconv.paths": ast.parse("from . import direct, fft"),
        "fastconv.paths.direct": ast.parse("PATH = 1"),
        "fastconv.paths.fft": ast.parse("PATH = 2"),
        "fastconv.kernels.direct1d": ast.parse("from ..paths.fft import f"),
    }
    trees["fastconv"].is_package = trees["fastconv.paths"].is_package = True
    if law is not who_imports_in_a_circle:
        trees["fastconv.kernels.direct1d"] = ast.parse("")
        assert list(law(trees)) == []
    name, crime = CRIMES[law]
    trees[name] = ast.parse(crime)
    # Of a package: relative imports start inside it.
    trees[name].is_package = name in ("fastconv.planner",) and "." not in crime
    assert list(law(trees)) != []


def test_every_room_of_the_house_is_looked_at():
    names = modules()
    for room in ("paths", "kernels", "runtime", "planner"):
        assert any(within(name, f"fastconv.{room}") for name in names)


# ---------------------------------------------------------------- what an import costs


def run(code):
    """The output of a fresh interpreter."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_fastconv_imports_no_compiler_and_no_signal_library():
    loaded = run(
        """
        import sys, fastconv
        heavy = ["numba", "llvmlite", "scipy.signal", "scipy.ndimage", "matplotlib"]
        print([name for name in heavy if name in sys.modules])
        """
    )
    assert loaded.strip() == "[]"


def test_a_first_long_call_imports_no_engine_where_its_loops_are_there():
    code = """
        import sys, numpy as np, fastconv
        fastconv.convolve(np.arange(20_000.0), np.arange(700.0))
        print(sorted(sys.modules.keys() & {"fastconv.request", "fastconv.paths.fused"}))
        """
    run(code)  # Builds the loops where they are not.
    assert run(code).strip() == "['fastconv.paths.fused']"


def test_every_public_name_exists_and_is_documented():
    for name in fastconv.__all__:
        public = getattr(fastconv, name)
        assert callable(public) or name.startswith("__") or public.__doc__
        if callable(public):
            assert public.__doc__, f"{name} has no docstring"
    for name in ("convolve", "correlate", "convolve2d", "correlate2d", "explain", "choose_method"):
        assert name in fastconv.__all__
