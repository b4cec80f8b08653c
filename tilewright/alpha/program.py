"""The whole job as one compiled program: a map over (series, window, chain).

In: the panel of features and the three series of targets, shared by all instances, and for each
instance a key and where its window starts. Out: `Draws` of each instance, as they come. The window
is cut out and standardised inside the program, so an instance costs a few bytes of input.

A key depends on seed, series, window and chain alone: neither the order of the work nor what was
done before changes a draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.alpha.controls import REAL, SERIES
from tilewright.alpha.keys import chain_keys, root_key
from tilewright.alpha.settings import Sampler, Settings
from tilewright.alpha.windows import Window, cut
from tilewright.frozen import frozen


@frozen
class Panel:
    """Features (days, stocks, 22), and targets (days, stocks) by name of series."""

    features: np.ndarray
    targets: dict[str, np.ndarray]


@frozen
class Task:
    """One chain."""

    series: str
    window: Window
    chain: int
    df: float


def in_order(settings: Settings, windows: Sequence[Window]) -> list[tuple[str, Window]]:
    """Every window once: the newest first, with one of a control after each, as long as any are."""
    controls = [
        (name, window) for window in windows[: settings.controls] for name in SERIES if name != REAL
    ]
    order: list[tuple[str, Window]] = []
    for window in windows:
        order.append((REAL, window))
        order += [controls.pop(0)] if controls else []
    return order + controls


def one_chain(
    sampler: Sampler, features: Any, targets: Any, key: Any, series: Any, start: Any, df: Any
) -> Any:
    """Draws of one instance, from the panel (days, stocks, 22), (series, days, stocks)."""
    import jax

    from tilewright.alpha.sample import sample_window

    def rows(first: Any, count: int) -> Any:
        return jax.lax.dynamic_slice_in_dim(features, first, count)

    def outcomes(first: Any, count: int) -> Any:
        corner = series, first, np.int32(0)
        return jax.lax.dynamic_slice(targets, corner, (1, count, features.shape[1]))[0]

    X, y, X_test, _ = cut(start, rows, outcomes)
    return sample_window(sampler, key, X, y, X_test, df)


def keys_of(seed: int, tasks: Sequence[Task]) -> Any:
    """One key for each task."""
    import jax

    def key(series: Any, window: Any, chain: Any) -> Any:
        made = root_key(seed)
        for number in (series, window, chain):
            made = jax.random.fold_in(made, number)
        return made

    numbers = [(SERIES.index(t.series), t.window.number, t.chain) for t in tasks]
    return jax.vmap(key)(*np.array(numbers, np.uint32).T)


class Program:
    """The compiled map; `stream` runs tasks through it."""

    def __init__(self, settings: Settings, panel: Panel, count: int):
        """`count` is how many tasks a run can have: it is part of the compiled shapes."""
        import jax

        import tilewright

        self.settings, self.native = settings, settings.machine == "native"
        self.count = count if self.native else settings.chains
        targets = np.stack([panel.targets[name] for name in SERIES]).astype(np.float32)
        self.shared = panel.features.astype(np.float32), targets
        mapped = tilewright.tile_map(
            partial(one_chain, settings.sampler), in_axes=(None, None, 0, 0, 0, 0)
        )
        numbers = jax.ShapeDtypeStruct((self.count,), np.int32)
        degrees = jax.ShapeDtypeStruct((self.count,), np.float32)
        keys = jax.eval_shape(lambda: chain_keys(0, self.count))
        self.executable = tilewright.compile(
            mapped,
            *(*self.shared, keys, numbers, numbers, degrees),
            machine=settings.machine,
        )

    def stream(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Any]]:
        """Draws of each task as it ends. Closing the iterator stops the work."""
        yield from (self._queue if self.native else self._batches)(tasks)

    def _queue(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Any]]:
        """One run. Places that are left repeat the last task, and are cut off."""
        padded = [*tasks, *[tasks[-1]] * (self.count - len(tasks))]
        left = len(tasks)
        with self.executable.start(*self._arguments(padded), stream=True) as run:
            for number, draws in run.finished():
                if number < len(tasks):
                    yield tasks[number], draws
                    left -= 1
                if not left:
                    return

    def _batches(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Any]]:
        """A call for each window, since XLA gives nothing before its end."""
        import jax

        for first in range(0, len(tasks), self.count):
            batch = tasks[first : first + self.count]
            padded = [*batch, *[batch[-1]] * (self.count - len(batch))]
            draws = self.executable(*self._arguments(padded))
            for i, task in enumerate(batch):
                yield task, jax.tree.map(lambda leaf, i=i: leaf[i], draws)

    def _arguments(self, tasks: Sequence[Task]) -> tuple[Any, ...]:
        return (
            *self.shared,
            keys_of(self.settings.seed, tasks),
            np.array([SERIES.index(t.series) for t in tasks], np.int32),
            np.array([t.window.start for t in tasks], np.int32),
            np.array([t.df for t in tasks], np.float32),
        )
