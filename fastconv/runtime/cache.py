"""The checked cache of built kernels: keyed by their sources, verified before they are loaded.

A unit is one kernel for one dtype, ``rows_float64``, and has a library of its own. A file is a
shared library followed by a 40-byte trailer: the SHA-256 of what precedes and its length. It is
written to a temporary name and renamed, in a directory that only its owner can write. A file that
is truncated, damaged or foreign is not loaded.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from ..kernels import KERNELS, SOURCES
from ..records import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE_PARENT = os.path.dirname(_PACKAGE)
# So many versions of one unit's library are kept, and so many bytes of all units and compilers; a
# build removes the oldest beyond them. All kernels of one instruction set take some 5 MB.
_VERSIONS, MOST_BYTES = 4, 128 << 20
# What a killed build leaves behind is removed after this time.
_PARTIAL, _PARTIAL_SECONDS = ".partial-", 3600.0
# Only a wheel holds this file (see hatch_build.py): a line for each module, with its key and the
# names and sizes of its sources, so that nothing has to be read and hashed to find a library.
_SEALED = "sealed.txt"
# An installer writes all files within this time; what is younger than the seal was edited.
_INSTALL_SECONDS = 600.0


@cache
def source_key(module: str) -> str:
    """Return the hash of a kernel module, of all that it imports, and of the build's sources."""
    return _sealed_key(module) or _hashed(module)


def _hashed(module: str) -> str:
    digest = _sha256(sys.platform.encode())
    for _, name, content in _sources(module):
        digest.update(name.encode())
        digest.update(content)
    return str(digest.hexdigest()[:16])


def _sha256(content: bytes) -> Any:
    """Return hashlib's sha256, or that of the module behind it: hashlib takes 3 ms to load OpenSSL.

    Where it is loaded (numpy.random needs it) it saves half a millisecond of a first call.
    """
    from importlib import import_module

    found = getattr(sys.modules.get("hashlib"), "sha256", None)
    if found is not None:
        return found(content)
    for name in ("_sha2", "_sha256", "hashlib"):  # From Python 3.12, before, and anywhere.
        with suppress(ImportError):
            return import_module(name).sha256(content)
    raise ImportError("hashlib")


def _sources(module: str) -> list[tuple[str, str, bytes]]:
    """Return folder, name and content of every file that a kernel module's code comes from."""
    shared = [(folder, name, _read(folder, name)) for folder, names in SOURCES for name in names]
    return shared + [("kernels", *source) for source in sorted(source_modules(module).items())]


def _sealed_key(module: str) -> str | None:
    """Return the key that a wheel brought, unless its sources were edited since."""
    row = _seals().partition(f"\n{module} ".encode())[2].partition(b"\n")[0]
    key, *sources = row.decode().split() or [""]
    try:
        sealed = os.stat(_seal_path()).st_mtime + _INSTALL_SECONDS if key else 0.0
        for source, size in zip(sources[::2], sources[1::2], strict=True):
            found = os.stat(f"{_PACKAGE}/{source}")
            if found.st_size != int(size) or found.st_mtime > sealed:
                return None
    except OSError:
        return None
    return key or None


@cache
def _seals() -> bytes:
    """Return the file's content; to read it as text takes 0.1 ms of a first call."""
    try:
        with open(_seal_path(), "rb", buffering=0) as file:
            return b"\n" + file.read()
    except OSError:
        return b""


def _seal_path() -> str:
    return os.path.join(_PACKAGE, "ready", _SEALED)


def seals() -> str:
    """Return what a wheel built from these sources holds as ``sealed.txt``."""
    lines = []
    for module in sorted({kernel.module for kernel in KERNELS.values()}):
        sources = _sources(module)
        sizes = [f"{os.path.join(folder, name)} {len(text)}" for folder, name, text in sources]
        lines.append(f"{module} {_hashed(module)} {' '.join(sizes)}\n")
    return "".join(lines)


def source_modules(module: str) -> dict[str, bytes]:
    """Return the files in kernels/ that a kernel module consists of, imports followed."""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = f"{waiting.pop()}.py"
        if name not in found:
            found[name] = _read("kernels", name)
            waiting += _siblings(found[name].decode())
    return found


def _siblings(text: str) -> Iterator[str]:
    """Yield the modules of kernels/ that a source imports; re would take longer to be compiled."""
    before, *imports = text.split("from .")
    for found in imports:
        if not before.rpartition("\n")[2].strip():
            sibling, _, names = found.partition(" import ")
            if sibling.isidentifier():
                yield sibling
            elif not sibling:
                end = ")" if names.startswith("(") else "\n"
                for name in names.partition(end)[0].strip("( ").split(","):
                    yield from name.split()[:1]
        before = found


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(_PACKAGE, folder, name), "rb") as file:
        return file.read()


@cache
def cache_folder() -> str | None:
    """Return the private folder for built kernels, or None where none can be had.

    ``FASTCONV_CACHE_DIR`` comes first, then the user's cache folder, then the temporary folder.
    """
    return next((f for f in _folders() if os.path.isabs(f) and _private(f)), None)


def _folders() -> Iterator[str]:
    if named := os.environ.get("FASTCONV_CACHE_DIR"):
        yield named
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
    yield os.path.join(base, "fastconv")
    from tempfile import gettempdir

    user = os.getuid() if hasattr(os, "getuid") else "user"
    yield os.path.join(gettempdir(), f"fastconv-{user}")


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
    return "-".join(f"{name}-{_version(name)}" for name in ("numba", "llvmlite"))


def _version(package: str) -> str:
    """Return the installed version without importing the package, nor importlib.metadata (5 ms)."""
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec(package)
    text = ""
    with suppress(OSError):
        if found is not None and found.origin:
            with open(os.path.join(os.path.dirname(found.origin), "_version.py")) as file:
                text = file.read()
    # As versioneer writes it into a release, in its newer and its older form.
    for before, after in (('"version": "', '"'), ("version_version = '", "'")):
        _, mark, rest = text.partition(before)
        if mark:
            return rest.partition(after)[0]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:  # Numba is the compiler: what is built already runs without it.
        return "absent"


def library_path(target: str, name: str, dtype: str) -> str | None:
    """Return where the library of one unit is or would be cached."""
    folder = cache_folder()
    return folder and os.path.join(folder, _compiler(), target + layout(), _file(name, dtype))


def has_cached(target: str, name: str, dtype: str) -> bool:
    """Return whether any version of one unit is cached: without, no key has to be found (2 ms)."""
    folder = cache_folder()
    with suppress(OSError):
        if folder and any(file.startswith("numba-") for file in os.listdir(folder)):
            built = os.path.join(folder, _compiler(), target + layout())
            return any(file.startswith(f"{name}_{dtype}-") for file in os.listdir(built))
    return False


def object_path(library: str) -> str:
    """Return where the relocatable object lies that takes the place of a `library_path`."""
    return library.removesuffix(".so") + ".o"


def has_ready(target: str) -> bool:
    """Return whether an installed package keeps libraries for `target`."""
    return os.path.exists(os.path.join(_PACKAGE, "ready", target + layout()))


def ready_path(target: str, name: str, dtype: str) -> str:
    """Return where an installed package keeps the library of one unit for `target`."""
    return os.path.join(_PACKAGE, "ready", target + layout(), _file(name, dtype))


def locked_path(target: str, name: str, dtype: str) -> str:
    """Return where a package keeps the library for interpreters with a lock."""
    return os.path.join(_PACKAGE, "ready", target, _file(name, dtype))


def layout() -> str:
    """Return what is added to a target's name where objects do not lie as they do with a lock."""
    return "" if object.__basicsize__ == 16 else "t"


def _file(name: str, dtype: str) -> str:
    return f"{name}_{dtype}-{source_key(KERNELS[name].module)}.so"


def seal(path: str, library: bytes) -> None:
    """Write `library` with its trailer to `path`, atomically; forget its oldest versions."""
    from tempfile import mkstemp

    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle, temporary = mkstemp(dir=folder, prefix=_PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library + _trailer(library))
        os.chmod(temporary, 0o700)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    prune(path, _VERSIONS)
    bound(MOST_BYTES)


def _trailer(library: bytes) -> bytes:
    digest: bytes = _sha256(library).digest()
    return digest + len(library).to_bytes(8, "little")


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
        _remove(old.path)


class Entry(NamedTuple):
    """One file of the cache: a built kernel, or what is left of a build."""

    path: str
    size: int
    changed: float


def contents() -> list[Entry]:
    """Return the files of the cache, the oldest first."""
    found, folders = [], [cache_folder()]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder)) if folder else []
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.name.endswith((".so", ".o", ".log")) or entry.name.startswith(_PARTIAL):
                status = entry.stat(follow_symlinks=False)
                found.append(Entry(entry.path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda e: e.changed)


def bound(most_bytes: int) -> None:
    """Remove what killed builds left, and the oldest files beyond so many bytes."""
    from time import time

    files = contents()
    excess = sum(e.size for e in files) - most_bytes
    for entry in files:
        partial = os.path.basename(entry.path).startswith(_PARTIAL)
        if excess > 0 or (partial and entry.changed < time() - _PARTIAL_SECONDS):
            _remove(entry.path)
            excess -= entry.size


def clear() -> list[Entry]:
    """Remove every file of the cache and return what was there."""
    files = contents()
    for entry in files:
        _remove(entry.path)
    return files


def _remove(path: str) -> None:
    with suppress(OSError):  # Another process may have been faster.
        os.unlink(path)
