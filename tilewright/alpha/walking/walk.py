"""What a job that walks forward has come to, how it is begun, and who hears of one under way."""

from __future__ import annotations

import math
import shutil
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple, Protocol

from tilewright.alpha.controls import REAL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import Prices, prices_of
from tilewright.alpha.walking.folder import JobFolder, JobSettings
from tilewright.alpha.walking.windows import Window, windows_of
from tilewright.frozen import frozen


class Watcher(Protocol):
    """What hears of a job under way: of a window's scores, None for one that is still open.

    Before the first it may ask how long all will take, which costs a second.
    """

    def stage(self, text: str) -> None: ...
    def outlook(self, ask: Callable[[], Any]) -> None: ...
    def window(self, found: Any, done: int, wanted: int) -> None: ...


class Silence:
    """Hears, and says nothing."""

    def stage(self, text: str) -> None: ...
    def outlook(self, ask: Callable[[], Any]) -> None: ...
    def window(self, found: Any, done: int, wanted: int) -> None: ...


class Asked(NamedTuple):
    """What a job is to do, checked."""

    prices: Prices
    windows: list[Window]
    deadline: float | None  # of `time.monotonic`


def asked(prices: Any, settings: JobSettings, seconds: float | None) -> Asked:
    """`prices` is `Prices` or a data frame, which may have gaps; the time runs from now.

    Raises `AlphaError` for what cannot be run.
    """
    began = time.monotonic()
    settings.check()
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise AlphaError(f"seconds must be above 0, or None for no limit, not {seconds}.")
    if not isinstance(prices, Prices):
        prices = prices_of(prices, gaps=True)
    return Asked(prices, windows_of(prices.days, settings), seconds and began + seconds)


def place_of(folder: str | Path | None) -> Path:
    """Where the job's files are: without a folder, one that `begun` removes with its walk."""
    return Path(mkdtemp(prefix="tilewright-") if folder is None else folder)


@contextmanager
def begun(walk: AnyWalk, level: str, lasting: bool) -> Iterator[None]:
    """The walk's folder is made ready, and nobody else's meanwhile; `level` is that of the work.

    Raises `AlphaError` for a folder of something else, and OSError where it cannot be written.
    """
    job = walk.folder
    if not lasting:
        weakref.finalize(walk, shutil.rmtree, job.path, ignore_errors=True)
    job.prepare(walk.windows)
    with job.locked():
        job.claim(level)
        job.save_prices()
        yield


@frozen
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
