"""Compiled objects on disk, in a folder that only its owner can use.

In: a module, or its text, and a target. Out: the `CompiledObject`, from the folder or just made.

An entry is named by the hash of all that decides its bytes (text, processor, features, pass list,
versions) and holds a checksum of its content. What is foreign, corrupt or from another user is
ignored and rebuilt. Entries are replaced whole (rename), so processes may share the folder. The
least recently used ones go when the folder outgrows its limit, which one store in sixteen looks at:
it takes a look at every entry, and there may be tens of thousands.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from tilewright.codegen.target import Target, identity
from tilewright.codelets.emit.llvm import Module
from tilewright.env import ENVIRONMENT
from tilewright.files import usable_folder
from tilewright.image import CompiledObject

FORMAT = b"tilewright-object-2\n"
_SUFFIX = ".object"
RECORD_SUFFIX = ".record"
_HASH = 32


def compile_cached(
    source: Module | str, target: Target | None = None, folder: Path | None = ENVIRONMENT.cache
) -> CompiledObject:
    """As `compile_text`, but looks in `folder` first and leaves the result there."""
    if folder is None or not usable_folder(folder):
        return _compile(source, target)
    text = source if isinstance(source, str) else source.text()
    path = folder / (key(text, target) + _SUFFIX)
    found = read_entry(path)
    if found is None:
        found = _compile(source, target)
        store(path, found.to_bytes())
    return found


def _compile(source: Module | str, target: Target | None) -> CompiledObject:
    from tilewright.codegen.host import compile_text  # LLVM takes half a second to import

    return compile_text(source, target)


def key(text: str, target: Target | None = None) -> str:
    """The name of an entry; for this host, if no target is given."""
    digest = hashlib.sha256()
    for field in (FORMAT.decode(), *identity(target), text):
        encoded = field.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


def read_entry(path: Path) -> CompiledObject | None:
    """The object of an entry, or None if there is none that can be trusted."""
    content = read_content(path)
    return None if content is None else CompiledObject.from_bytes(content)


def read_content(path: Path) -> bytes | None:
    """What an entry holds, or None if there is none that can be trusted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if os.fstat(descriptor).st_uid != os.getuid():
                return None
            data = file.read()
        os.utime(path)
    except OSError:
        return None
    start = len(FORMAT) + _HASH
    checksum, content = data[len(FORMAT) : start], data[start:]
    if data[: len(FORMAT)] != FORMAT or checksum != hashlib.sha256(content).digest():
        return None
    return content


def store(path: Path, content: bytes, limit: int = ENVIRONMENT.cache_bytes) -> None:
    """Leave an entry in its folder and, now and then, see that all of them stay within `limit`.

    Names are hashes: one in sixteen begins with a 0.
    """
    write_content(path, content)
    if path.name.startswith("0"):
        shrink(path.parent, limit)


def write_content(path: Path, content: bytes) -> None:
    """Put an entry in place in one step; a full or read-only disk costs only the entry."""
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        try:
            with open(descriptor, "wb") as file:
                file.write(FORMAT + hashlib.sha256(content).digest() + content)
            os.replace(name, path)
        except OSError:
            Path(name).unlink(missing_ok=True)


def shrink(folder: Path, limit: int) -> None:
    """Remove entries, the longest unused first, until the rest is within `limit` bytes."""
    entries: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as found:  # it may go meanwhile
        for entry in found:
            if entry.name.endswith((_SUFFIX, RECORD_SUFFIX, ".partial")):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    entries.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
