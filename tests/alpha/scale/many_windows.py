"""A job of many windows, in a process of its own: `python -m ... FOLDER COUNT`.

Chains and scores cost nothing here: what is left is the walk itself. Prints the peak memory in
bytes, and the seconds that the walk took.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.alpha.market import prices
from tests.alpha.scale.small import SMALL
from tilewright.alpha.scale import walk as module
from tilewright.alpha.scale.level import here
from tilewright.alpha.scale.material import ChainTask, Material, ScoreTask, Task, material_of
from tilewright.alpha.scale.program import Part, begin_chain
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.tables import Prices

SETTINGS = replace(SMALL, test=1, sequence=50)
DAYS_BEFORE = 317
"""Of history, training and purge."""


class Copies:
    """A `Crew` that fits and scores the first window, and hands out copies."""

    level = here()

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.scored: Scored | None = None

    def prepare(self, settings: ScaleSettings, prices: Prices) -> Material:
        self.material = material_of(settings, prices)
        return self.material

    def room(self) -> int:
        return 4

    def start(self, task: Task) -> Task:
        return task

    def wait(self, handles: Sequence[Task]) -> list[tuple[Task, Any]]:
        return [(task, self.given(task)) for task in handles]

    def close(self) -> None: ...

    def given(self, task: Task) -> Any:
        if isinstance(task, ScoreTask):
            self.scored = self.scored or self.material.score(task)
            return replace(self.scored, day=task.window.day)
        if task.chain not in self.parts:
            self.parts[task.chain] = self._fitted(task)
        return self.parts[task.chain]

    def _fitted(self, task: ChainTask) -> Part:
        rows = self.material.rows(task.window, task.series)
        run = begin_chain(SETTINGS, rows, task.window, task.series, task.chain, None)
        return Part(run.result(), rows.centre, rows.spread)


def table_of(count: int) -> Prices:
    """Days for so many windows of one test day."""
    table = prices(days=DAYS_BEFORE + 10_001)
    return Prices(
        table.days[: DAYS_BEFORE + count + 1], table.names,
        np.ascontiguousarray(table.values[: DAYS_BEFORE + count + 1]), table.source,
    )  # fmt: skip


def main() -> None:
    folder, table = Path(sys.argv[1]), table_of(int(sys.argv[2]))
    module._crew = lambda cluster, level: Copies()
    began = time.monotonic()
    found = module.walk(table, SETTINGS, folder)
    seconds = time.monotonic() - began
    whole = sum(window.whole for window in found.windows)
    print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds, whole)


if __name__ == "__main__":
    main()
