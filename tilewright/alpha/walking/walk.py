"""What a job that walks forward has come to, and who hears of one under way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tilewright.alpha.controls import REAL
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.folder import JobFolder
from tilewright.alpha.walking.windows import Window


class Watcher(Protocol):
    """What hears of a job under way: of a window's scores, None for one that is still open."""

    def stage(self, text: str) -> None: ...
    def window(self, found: Any, done: int, wanted: int) -> None: ...


class Silence:
    """Hears, and says nothing."""

    def stage(self, text: str) -> None: ...
    def window(self, found: Any, done: int, wanted: int) -> None: ...


@dataclass(frozen=True)
class AnyWalk(ABC):
    """Files are read when they are asked for, one at a time."""

    folder: JobFolder
    windows: list[Window]  # all that there are days for, oldest first

    @property
    def settings(self) -> Any:
        return self.folder.settings

    @property
    def prices(self) -> Prices:
        return self.folder.prices

    def scored(self, series: str = REAL) -> Iterator[Any]:
        """Finished windows, oldest first."""
        for window in self.windows:
            path = self.folder.scored_path(window, series) if window.whole else None
            if path is not None and path.exists():
                yield self.load(path)

    @abstractmethod
    def load(self, path: Path) -> Any:
        """A finished window."""
