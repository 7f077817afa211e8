"""The checked cache of built kernels: keyed by every source, verified before it is loaded.

A file is a shared library followed by a 40-byte trailer: the SHA-256 of what precedes and its
length. It is written to a temporary name and renamed, in a directory that only its owner can
write. A file that is truncated, damaged or foreign is not loaded.
"""

from __future__ import annotations

import os
import stat
import sys
from functools import cache

from ..kernels import SOURCES

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE_PARENT = os.path.dirname(_PACKAGE)
# Caches of this many other versions are kept; a build removes the oldest beyond them.
_GENERATIONS = 4


@cache
def source_key() -> str:
    """Return the hash of all kernel and build sources: an edit anywhere gives another key."""
    from hashlib import sha256

    digest = sha256(sys.platform.encode())
    for folder, names in SOURCES:
        place = os.path.join(_PACKAGE, folder)
        for name in names or sorted(n for n in os.listdir(place) if n.endswith(".py")):
            digest.update(name.encode())
            with open(os.path.join(place, name), "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:24]


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
def _generation() -> str:
    """Return the folder name for what these sources give under the installed compiler."""
    from importlib.metadata import version

    return f"{source_key()}-{version('numba')}-{version('llvmlite')}"


def library_path(target: str, unit: str) -> str | None:
    """Return where the library of one unit (``rows_float64``) is or would be cached."""
    folder = cache_folder()
    return folder and os.path.join(folder, _generation(), target, f"{unit}.so")


def ready_path(target: str) -> str:
    """Return where an installed package keeps the library of all kernels for `target`."""
    return os.path.join(_PACKAGE, "ready", f"{target}-{source_key()}.so")


def seal(path: str, library: bytes) -> None:
    """Write `library` with its trailer to `path`, atomically; forget the oldest generations."""
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
    _prune(os.path.dirname(os.path.dirname(folder)))


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


def generations() -> list[str]:
    """Return the cached generations, newest first."""
    folder = cache_folder()
    if folder is None:
        return []
    found = [entry for entry in os.scandir(folder) if entry.is_dir()]
    return [e.path for e in sorted(found, key=lambda e: e.stat().st_mtime, reverse=True)]


def _prune(folder: str) -> None:
    from shutil import rmtree

    if folder == cache_folder():
        for old in generations()[_GENERATIONS:]:
            rmtree(old, ignore_errors=True)
