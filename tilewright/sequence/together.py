"""Several estimators fitted side by side: windows, seeds and points of a grid share all cores.

In: estimators of one kind and size, each with data of its own. Out: the same ones, fitted, with the
bits that each would have had alone; all fits are instances of one program, each whole on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tilewright.errors import ArgumentError
from tilewright.sequence.checkpoint import Checkpoint
from tilewright.sequence.estimator import SequenceEstimator
from tilewright.sequence.fitting import Task, example, fitted, side_by_side


def fit_together(
    models: Sequence[SequenceEstimator],
    data: Sequence[Any],
    checkpoint: str | Path | None = None,
    seconds: float = 30.0,
) -> None:
    """Fit `models[i]` to `data[i]`: a `Panel`, or a pair (X, y).

    `checkpoint` is a file written every so many seconds, from which the same call goes on. Raises
    ValueError for data or settings that cannot be used, and for models that differ in more than
    numbers: their nets, batches, lengths of pieces and machine must be the same.
    """
    if len(models) != len(data) or not models:
        raise ArgumentError(f"There are {len(models)} models and {len(data)} data sets.")
    if len({id(model) for model in models}) < len(models):
        raise ArgumentError("A model is there twice: it can hold one fit alone.")
    if len({model.machine for model in models}) > 1:
        raise ArgumentError("Models that are fitted together must be of one machine.")
    given = [
        model._checked(*(pair if isinstance(pair, tuple) else (pair, None)))
        for model, pair in zip(models, data, strict=True)
    ]
    tasks = [model._task(one) for model, one in zip(models, given, strict=True)]
    recipes = [model._recipe for model in models]
    if any(recipe != recipes[0] for recipe in recipes):
        raise ArgumentError("Models that are fitted together must have nets of the same form.")
    fits = _fitted(models, tasks, checkpoint, "", seconds)
    again = [
        model._ended(one, task, fit)
        for model, one, task, fit in zip(models, given, tasks, fits, strict=True)
    ]
    second = [i for i, task in enumerate(again) if task is not None]
    others: dict[int, Any] = {}
    if second:
        chosen = [models[i] for i in second], [again[i] for i in second]
        others = dict(zip(second, _fitted(*chosen, checkpoint, ".again", seconds), strict=True))
    for i, (model, fit) in enumerate(zip(models, fits, strict=True)):
        model._kept(fit, others.get(i))


def _fitted(
    models: Sequence[SequenceEstimator],
    tasks: Sequence[Any],
    checkpoint: str | Path | None,
    suffix: str,
    seconds: float,
) -> list[Any]:
    """The fits of each task."""
    recipe, machine = models[0]._recipe, models[0].machine
    joined = side_by_side(recipe, tasks)
    if checkpoint is None:
        fit = fitted(recipe, joined, machine)
    else:
        settings = {str(i): model._settings() for i, model in enumerate(models)}
        file = Checkpoint(
            f"{checkpoint}{suffix}", settings, (jax.random.key_data(joined.keys), *joined[1:])
        )
        begun = file.read(example(recipe, joined))
        fit = fitted(recipe, joined, machine, begun, file.write, seconds)
        if begun is None or not np.all(begun.over):
            file.write(fit)
    ends = np.cumsum([_count(task) for task in tasks])
    return [
        jax.tree.map(lambda leaf, a=end - _count(task), b=end: leaf[a:b], fit)
        for task, end in zip(tasks, ends, strict=True)
    ]


def _count(task: Task) -> int:
    return len(task.keys)
