"""Walking forward with the net of the scale: from prices to scored windows.

In: prices and settings; if wanted a folder, a time limit, and a `Watcher` that hears of every
window. Out: a `Walk`, from which forecasts, models and reports are taken. Run again in the same
folder, with more days or fewer, only what is new is done; killed at any instant, it goes on.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.extras import given
from tilewright.alpha.scale.crew import Crew, Threads
from tilewright.alpha.scale.fit import Fit
from tilewright.alpha.scale.folder import ScaleFolder
from tilewright.alpha.scale.panel import ScalePanel, make_panel
from tilewright.alpha.scale.schedule import Schedule
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.walking.walk import AnyWalk, Silence, Watcher, asked, begun, place_of
from tilewright.alpha.walking.windows import Window, windows_of
from tilewright.frozen import frozen


@frozen
class Walk(AnyWalk):
    """What a job of the scale net has come to."""

    folder: ScaleFolder
    panel: ScalePanel

    def load(self, path: Path) -> Scored:
        """A finished window."""
        return Scored.load(path, self.settings)

    def fit(self, window: Window | None = None) -> Fit:
        """The model of a window whose draws were kept, such as the newest."""
        window = window or self.windows[-1]
        try:
            return Fit.load(self.folder.fit_path(window), self.settings)
        except Exception:  # a damaged archive raises whatever its reader stumbles over
            raise AlphaError(
                f"The draws of the window tested from {window.day} on are not in "
                f"{self.folder.path}: run the job again, with keep=0 to keep all."
            ) from None


def walk(
    prices: Any,
    settings: ScaleSettings | None = None,
    folder: str | Path | None = None,
    watcher: Watcher | None = None,
    seconds: float | None = None,
    other_version: bool = False,
    cluster: str | None = None,
    level: str | None = None,
    features: Any = None,
    members: Any = None,
) -> Walk:
    """Fit and score every window; `prices` is `Prices` or a data frame, which may have gaps.

    `features` of your own go beside the 28: a long table, or a function of `Prices`, which is
    refused where it looks ahead. `members` is a table of who belongs when (`extras.py`): only
    members are learned from and forecast.

    Without a folder, files live as long as the result. `cluster` is "local:N" or the address of a
    Ray cluster, whose nodes `level` keeps to "avx2" (`cluster.py`); files are the same. Raises
    `AlphaError` for what cannot be run, before anything is written, and OSError when a file cannot
    be.
    """
    settings, watcher = settings or ScaleSettings(), watcher or Silence()
    prices, windows, deadline = asked(prices, settings, seconds)
    prices = given(prices, features, members)
    names = prices.extras.names
    if settings.features not in ((), names):
        raise AlphaError(
            f"The features {list(settings.features)} are wanted, and {list(names)} come with "
            f"{prices.source}."
        )
    settings = replace(settings, features=names)
    with closing(_crew(cluster, level)) as crew:
        watcher.stage("features of all stocks and days")
        material = crew.prepare(settings, prices)
        job = ScaleFolder(place_of(folder), prices, settings, other_version)
        found = Walk(job, windows, material.panel)
        with begun(found, crew.level, lasting=folder is not None):
            schedule = Schedule(job, windows, crew, watcher)
            watcher.outlook(lambda: schedule.estimate(material))
            schedule.run(deadline)
    return found


def _crew(cluster: str | None, level: str | None) -> Crew:
    if cluster is not None:
        from tilewright.alpha.scale.cluster import Cluster

        return Cluster(cluster, level)
    if level is not None:
        raise AlphaError("level is for the nodes of a cluster.")
    return Threads()


def open_walk(job: ScaleFolder) -> Walk:
    """What a job in its folder has come to."""
    windows = windows_of(job.prices.days, job.settings)
    job.prepare(windows)
    return Walk(job, windows, make_panel(job.prices, job.settings.horizon))
