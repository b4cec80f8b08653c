"""Files that are replaced as a whole: who reads, or kills the writer, never finds half of one.

Nor does who pulls the plug: the content is on the disk before it takes its name, and the name
before the next thing is done.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tilewright.frozen import frozen

PARTIAL = ".partial"
"""How the name of a file ends that is still being written."""


@frozen
class Written:
    """Several files; `note` says which one could not be made, and why."""

    files: tuple[Path, ...]
    note: str = ""


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` in the place of what `path` holds, in one step.

    Raises OSError, which names `path`: also for what is no file of its own, such as a device, in
    whose place none may be put.
    """
    write_all({path: content})


def write_all(contents: Mapping[Path, bytes | str]) -> None:
    """The same for several files: none takes its place before all are on the disk.

    Text is written in UTF-8. Raises OSError, which names the file that could not be.
    """
    partials: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            place = _place(path)
            partials[path] = place.with_name(f"{place.name}.{os.getpid()}{PARTIAL}")
            with partials[path].open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        for path, partial in partials.items():
            partial.replace(_place(path))
        for folder in {partial.parent for partial in partials.values()}:
            sync_folder(folder)
    except BaseException as error:
        for partial in partials.values():
            with suppress(OSError):  # on a file system that can only be read, it was never there
                partial.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def _place(path: Path) -> Path:
    """Of a link, what it leads to. Raises OSError for what is there and is no file."""
    place = path.resolve()
    if place.exists() and not place.is_file():
        kind = errno.EISDIR if place.is_dir() else errno.EINVAL
        raise OSError(kind, os.strerror(kind))
    return place


def write_text(path: Path, text: str) -> None:
    """The same for text, in UTF-8."""
    write_bytes(path, text.encode())


def sync_folder(folder: Path) -> None:
    """Names in `folder` are on the disk when this returns, where a system can promise it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def usable_folder(folder: Path) -> bool:
    """Make the folder if need be; true if it is ours alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not others
