"""Who does the work of a job: the threads of this process.

In: tasks, a few more at a time than there are hands. Out: what they gave, as they end. A chain is a
program of one tile, and as many run at once as there are tiles; windows are scored by the thread
that waits. `cluster.py` has the same on other machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from tilewright.alpha.scale.level import here
from tilewright.alpha.scale.material import ChainTask, Material, ScoreTask, Task, material_of
from tilewright.alpha.scale.panel import Rows
from tilewright.alpha.scale.program import Part, program
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.tables import Prices


class Crew(Protocol):
    """Who works. `level` is what its results' last bits may depend on beside the version."""

    level: str

    def prepare(self, settings: ScaleSettings, prices: Prices) -> Material: ...
    def room(self) -> int: ...
    def start(self, task: Task) -> Any: ...
    def wait(self, handles: Sequence[Any]) -> list[tuple[Any, Any]]: ...
    def close(self) -> None: ...


class Threads:
    """A `Crew` in this process."""

    def __init__(self) -> None:
        from tilewright.runtime.gang import default_workers

        self.level, self._hands = here(), default_workers()
        self._pool = ThreadPoolExecutor(self._hands, thread_name_prefix="tilewright-chain")
        self._scores: list[ScoreTask] = []
        self._runs: set[Any] = set()
        self._over = False

    def prepare(self, settings: ScaleSettings, prices: Prices) -> Material:
        """Everything that is shared."""
        self._material = material_of(settings, prices)
        return self._material

    def room(self) -> int:
        """How many tasks it should have at hand: while a window is scored, none is given."""
        return 2 * self._hands

    def start(self, task: Task) -> Any:
        """A handle for `wait`; tasks that were given first begin first."""
        if isinstance(task, ScoreTask):
            self._scores.append(task)
            return task
        rows = self._material.rows(task.window, task.series)
        program(self._material.settings, len(rows.y))  # compiled by this thread, for all
        return self._pool.submit(self._chain, task, rows)

    def wait(self, handles: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Some that have ended, and what they gave; raises what they raised."""
        if self._scores:
            task = self._scores.pop(0)
            return [(task, self._material.score(task))]
        chains = [handle for handle in handles if isinstance(handle, Future)]
        ended, _ = wait(chains, return_when=FIRST_COMPLETED)
        return [(handle, handle.result()) for handle in ended]

    def close(self) -> None:
        """Stop what still runs, within a fraction of a second."""
        self._over = True
        for run in list(self._runs):
            run.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _chain(self, task: ChainTask, rows: Rows) -> Part:
        run = self._material.begin(task, rows)
        self._runs.add(run)
        if self._over:
            run.cancel()
        try:
            return Part(run.result(), rows.centre, rows.spread)
        finally:
            self._runs.discard(run)
