"""The dump folder: where TILEWRIGHT_DUMP points, each stage of a compilation leaves a file.

TILEWRIGHT_DUMP=/tmp/dump python train.py
/tmp/dump/train-0/00-traced.txt, 01-simplify.txt, ..., then the program, LLVM's text, the assembly.

Each `exe.profile(...)` leaves its tables as the next file of that folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tilewright.env import ENVIRONMENT

ENDINGS = {"llvm": "ll", "assembly": "s"}


class Dump:
    """`dump(stage, text)` writes the next file; `text` is only made if there is a folder."""

    def __init__(self, name: str):
        self.stages = 0
        self.folder = None
        if ENVIRONMENT.dump is not None:
            self.folder = _fresh_folder(ENVIRONMENT.dump, "".join(c for c in name if c.isalnum()))

    def __call__(self, stage: str, text: Callable[[], str]) -> None:
        if self.folder is None:
            return
        path = self.folder / f"{self.stages:02}-{stage}.{ENDINGS.get(stage, 'txt')}"
        path.write_text(text() + "\n")
        self.stages += 1


def _fresh_folder(parent: Path, name: str) -> Path:
    """`name-0`, or the next number that no other compilation has taken."""
    number = 0
    while True:
        folder = parent / f"{name or 'program'}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
