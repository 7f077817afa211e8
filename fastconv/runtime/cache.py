"""The checked cache of built kernels: keyed by their sources, verified before they are loaded.

A unit is one kernel for one dtype, ``rows_float64``, and has a library of its own. A file is a
shared library followed by a 40-byte trailer: the SHA-256 of what precedes and its length. It is
written to a temporary name and renamed, in a directory that only its owner can write. A file that
is truncated, damaged or foreign is not loaded.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from functools import cache

from ..kernels import KERNELS, SOURCES

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE_PARENT = os.path.dirname(_PACKAGE)
# So many versions of one unit's library are kept; a build removes the oldest beyond them.
_VERSIONS = 4
_SIBLINGS = re.compile(r"^ *from \.(?:(\w+) import| import (\(?[\w, \n]+))", re.MULTILINE)


@cache
def source_key(module: str) -> str:
    """Return the hash of a kernel module, of all that it imports, and of the build's sources."""
    from hashlib import sha256

    digest = sha256(sys.platform.encode())
    for folder, names in (*SOURCES, ("kernels", source_modules(module))):
        for name in names:
            digest.update(name.encode())
            digest.update(_read(folder, name))
    return digest.hexdigest()[:16]


def source_modules(module: str) -> tuple[str, ...]:
    """Return the files in kernels/ that a kernel module consists of, imports followed."""
    found, waiting = set(), [f"{module}.py"]
    while waiting:
        name = waiting.pop()
        found.add(name)
        for sibling, names in _SIBLINGS.findall(_read("kernels", name).decode()):
            wanted = [sibling] if sibling else re.findall(r"\w+", names)
            waiting += [f"{w}.py" for w in wanted if f"{w}.py" not in found]
    return tuple(sorted(found))


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(_PACKAGE, folder, name), "rb") as file:
        return file.read()


@cache
def cache_folder() -> str | None:
    """Return the private folder for built kernels, or None where none can be had.

    ``FASTCONV_CACHE_DIR`` comes first, then the user's cache folder, then the temporary folder.
    """
    from tempfile import gettempdir

    choices = []
    if named := os.environ.get("FASTCONV_CACHE_DIR"):
        choices.append(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
    choices.append(os.path.join(base, "fastconv"))
    user = os.getuid() if hasattr(os, "getuid") else "user"
    choices.append(os.path.join(gettempdir(), f"fastconv-{user}"))
    return next((folder for folder in choices if os.path.isabs(folder) and _private(folder)), None)


def _private(folder: str) -> bool:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.stat(folder)
    except OSError:
        return False
    if hasattr(os, "getuid"):
        foreign = status.st_uid != os.getuid()
        if foreign or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
    return os.access(folder, os.W_OK | os.X_OK)


@cache
def _compiler() -> str:
    """Return the folder name for what the installed compiler builds."""
    from importlib.metadata import version

    return f"numba-{version('numba')}-llvmlite-{version('llvmlite')}"


def library_path(target: str, name: str, dtype: str) -> str | None:
    """Return where the library of one unit is or would be cached."""
    folder = cache_folder()
    return folder and os.path.join(folder, _compiler(), target, _file(name, dtype))


def ready_path(target: str, name: str, dtype: str) -> str:
    """Return where an installed package keeps the library of one unit for `target`."""
    return os.path.join(_PACKAGE, "ready", target, _file(name, dtype))


def _file(name: str, dtype: str) -> str:
    return f"{name}_{dtype}-{source_key(KERNELS[name].module)}.so"


def seal(path: str, library: bytes) -> None:
    """Write `library` with its trailer to `path`, atomically; forget its oldest versions."""
    from tempfile import mkstemp

    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle, temporary = mkstemp(dir=folder, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library + _trailer(library))
        os.chmod(temporary, 0o700)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    prune(path, _VERSIONS)


def _trailer(library: bytes) -> bytes:
    from hashlib import sha256

    return sha256(library).digest() + len(library).to_bytes(8, "little")


def intact(path: str) -> bool:
    """Return whether `path` holds exactly what `seal` wrote."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return False
    return len(content) > 40 and content[-40:] == _trailer(content[:-40])


def prune(path: str, versions: int) -> None:
    """Remove the oldest libraries of the unit at `path`, beyond so many versions."""
    folder, file = os.path.split(path)
    unit = file.rpartition("-")[0] + "-"
    found = [e for e in os.scandir(folder) if e.name.startswith(unit)]
    for old in sorted(found, key=lambda e: e.stat().st_mtime)[:-versions]:
        os.unlink(old.path)
