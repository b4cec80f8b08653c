"""Fits on all cores, a few epochs a call: one program for all data of a shape.

In: a `Recipe` and a `Task`, or several that are fitted side by side. Out: the finished fits,
stacked. Between calls a bar moves and a checkpoint is written; neither how long calls are nor what
else is fitted decides a bit.

Rows and pieces are padded up to one of few sizes, so that new data seldom need a new program.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.compiler import compile
from tilewright.errors import ArgumentError
from tilewright.models.forecaster import Parameters
from tilewright.sequence import training
from tilewright.sequence.pieces import Table, padded
from tilewright.sequence.training import Fit, Hyper, Recipe, Rows
from tilewright.trace.tile_map import tile_map

PATIENCE = 2.0
"""Seconds that a fit may take without a bar."""
CALL = 1.0
"""Seconds that a call should take."""
LEAST_ROWS = 1024
PARTS = 8
"""Sizes between a power of two and the next."""


class Task(NamedTuple):
    """Of one or more fits that differ by their key: what they learn from and are stopped by."""

    keys: Any  # (fits,) random keys
    hyper: Hyper
    rows: Rows
    learned: Table
    later: Table
    initial: Parameters | None = None  # (fits, ...) where they start; None: at random


class Tasks(NamedTuple):
    """Several tasks side by side: each fit has a key and settings of its own, and names its data.

    Rows and tables have a leading axis of data sets, and are of one size.
    """

    keys: Any  # (fits,)
    hyper: Hyper  # (fits,)
    which: np.ndarray  # (fits,) data set
    rows: Rows
    learned: Table
    later: Table
    initial: Parameters | None = None


def fitted(
    recipe: Recipe,
    task: Task | Tasks,
    machine: str,
    begun: Fit | None = None,
    saved: Callable[[Fit], None] = lambda fit: None,
    seconds: float = 30.0,
) -> Fit:
    """All fits to their end, from `begun` on, each leaf with a leading axis of fits.

    `saved` is called with what there is every so many seconds.
    """
    task = sized(recipe, task) if isinstance(task, Task) else task
    given, initial = task[:-1], task.initial
    programs = _compiled(recipe, machine, type(task), _shapes(given))
    fit = programs.start(task.hyper, task.keys) if begun is None else begun
    if begun is None and initial is not None:
        fit = fit._replace(now=initial, mean=initial, best=initial)
    epochs, last = 1, time.monotonic()
    with _bar(int(np.max(task.hyper.epochs))) as shown:
        while not np.all(fit.over):
            began = time.monotonic()
            fit = programs.advance(*given, fit, np.int32(epochs))
            now = time.monotonic()
            shown(fit)
            if now - last > seconds:
                saved(fit)
                last = time.monotonic()
            epochs = max(1, int(epochs * min(2.0, CALL / (now - began))))
    return jax.tree.map(np.asarray, fit)


def answered(
    recipe: Recipe,
    parameters: Any,
    x: np.ndarray,
    table: Table,
    machine: str,
    hidden: bool = False,
    law: str | None = None,
) -> np.ndarray:
    """What each of the stacked nets says of the rows that the pieces answer: (fits, rows, ...).

    Cells' matrices may be of any precision; `law` is the order of sums that it is for.
    """
    rows = len(x)
    x = _grown(x, _size(rows))
    table = padded(table, _size(len(table.first), recipe.batch))
    run = _answering(recipe, machine, hidden, law, _shapes((parameters, x, table)))
    return np.asarray(run(parameters, x, table))[:, :rows]


def side_by_side(recipe: Recipe, tasks: Sequence[Task]) -> Tasks:
    """As one, padded to the largest."""
    rows, pieces = (max(sizes) for sizes in zip(*(_sizes(recipe, t) for t in tasks), strict=True))
    tasks = [sized(recipe, task, rows, pieces) for task in tasks]
    seeds = [len(task.keys) for task in tasks]

    def stacked(parts: Sequence[Any]) -> Any:
        return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)

    def by_fit(parts: Sequence[Any]) -> Any:
        return jax.tree.map(lambda leaf: np.repeat(leaf, seeds, axis=0), stacked(parts))

    initial = [task.initial for task in tasks]
    given = [one for one in initial if one is not None]
    if given and len(given) < len(tasks):
        raise ArgumentError("All of several fits go on from earlier nets, or none does.")
    return Tasks(
        jnp.concatenate([task.keys for task in tasks]),
        by_fit([task.hyper for task in tasks]),
        np.repeat(np.arange(len(tasks), dtype=np.int32), seeds),
        stacked([task.rows for task in tasks]),
        stacked([task.learned for task in tasks]),
        stacked([task.later for task in tasks]),
        jax.tree.map(lambda *leaves: np.concatenate(leaves), *given) if given else None,
    )


def _sizes(recipe: Recipe, task: Task) -> tuple[int, int]:
    """Of rows and of pieces."""
    pieces = max(len(task.learned.first), len(task.later.first))
    return _size(len(task.rows.x)), _size(pieces, recipe.batch)


def sized(recipe: Recipe, task: Task, rows: int = 0, pieces: int = 0) -> Task:
    """With rows and pieces padded, to these sizes unless it needs more."""
    rows, pieces = np.maximum(_sizes(recipe, task), (rows, pieces)).tolist()
    return task._replace(
        rows=Rows(*(_grown(array, rows) for array in task.rows)),
        learned=padded(task.learned, pieces),
        later=padded(task.later, pieces),
    )


def _size(count: int, unit: int = 1) -> int:
    """The next of few sizes, a multiple of `unit`."""
    least = max(count, LEAST_ROWS // unit)
    step = max(1, (1 << (least.bit_length() - 1)) // PARTS)
    return -(-(-(-least // step) * step) // unit) * unit


def _grown(array: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(array, ((0, rows - len(array)), (0, 0)))


class _Programs(NamedTuple):
    start: Any
    advance: Any


def _shapes(tree: Any) -> Any:
    """A key for `lru_cache`, from which the arguments' shapes can be had back."""
    leaves, pattern = jax.tree.flatten(tree)
    return pattern, tuple((np.shape(leaf), leaf.dtype) for leaf in leaves)


def _specs(key: Any) -> Any:
    pattern, leaves = key
    return pattern.unflatten(jax.ShapeDtypeStruct(*leaf) for leaf in leaves)


def example(recipe: Recipe, task: Task | Tasks) -> Fit:
    """Shapes of what `fitted` gives."""
    each = None if isinstance(task, Task) else 0
    start = jax.vmap(partial(training.start, recipe), in_axes=(each, 0))
    return jax.eval_shape(start, task.hyper, task.keys)


@lru_cache(maxsize=16)
def _compiled(recipe: Recipe, machine: str, kind: Any, shapes: Any) -> _Programs:
    """A single fit has all cores; of several each has one."""
    given = _specs(shapes)
    task: Task | Tasks = kind(*given)
    start = tile_map(
        partial(training.start, recipe), in_axes=(None if isinstance(task, Task) else 0, 0)
    )
    one = partial(training.advance, recipe)

    def alone(key: Any, hyper: Any, rows: Any, learned: Any, later: Any, fit: Any, n: Any) -> Any:
        single = one(key[0], hyper, rows, learned, later, jax.tree.map(lambda a: a[0], fit), n)
        return jax.tree.map(lambda a: a[None], single)

    def of_its_own(
        key: Any, hyper: Any, which: Any, rows: Any, learned: Any, later: Any, fit: Any, n: Any
    ) -> Any:
        mine = jax.tree.map(lambda a: a[which], (rows, learned, later))
        return one(key, hyper, mine[0], mine[1], mine[2], fit, n)

    if isinstance(task, Tasks):
        advance: Any = tile_map(of_its_own, in_axes=(0, 0, 0, None, None, None, 0, None))
    elif task.keys.shape[0] > 1:
        advance = tile_map(one, in_axes=(0, None, None, None, None, 0, None))
    else:
        advance = alone
    arguments = (*given, example(recipe, task), jax.ShapeDtypeStruct((), np.int32))
    return _Programs(
        compile(start, task.hyper, task.keys, machine=machine),
        compile(advance, *arguments, machine=machine),
    )


@lru_cache(maxsize=16)
def _answering(recipe: Recipe, machine: str, hidden: bool, law: str | None, shapes: Any) -> Any:
    run = partial(training.answers, recipe, hidden=hidden)
    mapped = tile_map(run, in_axes=(0, None, None))
    return compile(mapped, *_specs(shapes), machine=machine, law=law)


_seen: ContextVar[bool] = ContextVar("seen", default=True)


@contextmanager
def unseen() -> Iterator[None]:
    """Fits inside have no bar of their own: whoever asks for them shows how far he is."""
    token = _seen.set(False)
    try:
        yield
    finally:
        _seen.reset(token)


@contextmanager
def _bar(epochs: int) -> Iterator[Callable[[Fit], None]]:
    """On a terminal, for what takes longer than is worth mentioning."""
    if not (_seen.get() and sys.stderr.isatty()):
        yield lambda fit: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("learning"), BarColumn(bar_width=28), MofNCompleteColumn()
    more = TextColumn("epochs"), TimeElapsedColumn(), TextColumn("{task.fields[score]}")
    bar = Progress(*columns, *more, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=epochs, score="")
    began = time.monotonic()

    def shown(fit: Fit) -> None:
        if time.monotonic() - began < PATIENCE:
            return
        bar.start()
        best = f"best score on later data {np.min(fit.best_score):.4f}"
        bar.update(task, completed=int(np.max(fit.epoch)), score=best)

    try:
        yield shown
    finally:
        bar.stop()
