"""The checked cache of built kernels: keyed by every source, verified before it is loaded.

A file is a shared library followed by a 40-byte trailer: the SHA-256 of what precedes and its
length. It is written to a temporary name and renamed, in a directory that only its owner can
write. A file that is truncated, damaged or foreign is not loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path

from ..kernels import SOURCES

_PACKAGE = Path(__file__).resolve().parent.parent
READY_FOLDER = _PACKAGE / "ready"


@cache
def source_key() -> str:
    """Return the hash of all kernel and build sources: an edit anywhere gives another key."""
    digest = hashlib.sha256(sys.platform.encode())
    for pattern in SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


@cache
def cache_folder() -> Path | None:
    """Return the private folder for built kernels, or None where none can be had.

    ``FASTCONV_CACHE_DIR`` comes first, then the user's cache folder, then the temporary folder.
    """
    choices = []
    if named := os.environ.get("FASTCONV_CACHE_DIR"):
        choices.append(Path(named))
    base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # No home folder.
        choices.append((Path(base) if base else Path.home() / ".cache") / "fastconv")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    choices.append(Path(tempfile.gettempdir()) / f"fastconv-{user}")
    for folder in choices:
        if _private(folder):
            return folder
    return None


def _private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    if hasattr(os, "getuid"):
        foreign = status.st_uid != os.getuid()
        if foreign or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
    return os.access(folder, os.W_OK | os.X_OK)


def library_path(target: str, unit: str) -> Path | None:
    """Return where the library of one unit (``rows_float64``) is or would be cached."""
    folder = cache_folder()
    return None if folder is None else folder / source_key() / target / f"{unit}.so"


def ready_path(target: str) -> Path:
    """Return where an installed package keeps the library of all kernels for `target`."""
    return READY_FOLDER / f"{target}-{source_key()}.so"


def seal(path: Path, library: bytes) -> None:
    """Write `library` with its trailer to `path`, atomically."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    trailer = hashlib.sha256(library).digest() + len(library).to_bytes(8, "little")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library + trailer)
        os.chmod(temporary, 0o700)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def intact(path: Path) -> bool:
    """Return whether `path` holds exactly what `seal` wrote."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    library, trailer = content[:-40], content[-40:]
    expected = hashlib.sha256(library).digest() + len(library).to_bytes(8, "little")
    return len(content) > 40 and trailer == expected
