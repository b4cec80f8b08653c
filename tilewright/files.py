"""Files that are replaced as a whole: who reads, or kills the writer, never finds half of one."""

from __future__ import annotations

import os
from pathlib import Path

PARTIAL = ".partial"
"""How the name of a file ends that is still being written."""


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` in the place of what `path` holds, in one step. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """The same for text, in UTF-8."""
    write_bytes(path, text.encode())
