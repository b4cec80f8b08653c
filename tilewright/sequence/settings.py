"""The settings of estimators of sequences, each refused in one sentence where it cannot be.

In: an estimator's parameters, unchecked, as scikit-learn wants them stored. Raises `ArgumentError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tilewright.checks import between, one_of, whole
from tilewright.errors import ArgumentError
from tilewright.graph.pattern import TALL
from tilewright.models.forecaster import CLASSES, HEADS, QUANTILES
from tilewright.models.recurrent import GATES
from tilewright.sequence.precision import PRECISIONS

MOST_PIECES = 2**20
"""Of a batch: there is room for all of it, however few pieces there are."""


def check(given: Any) -> None:
    """Every setting that all estimators have; raises `ArgumentError`."""
    one_of("cell", given.cell, tuple(GATES))
    for name in "hidden layers steps steps_back seeds epochs patience horizon".split():
        whole(name, getattr(given, name), 1)
    whole("batch_size", given.batch_size, 1, MOST_PIECES)
    whole("warm_up", given.warm_up, 0)
    for name in ("learning_rate", "clip", "checkpoint_seconds"):
        between(name, getattr(given, name), 0, 1e6, open_=True)
    between("weight_decay", given.weight_decay, 0, 1e6)
    between("average", given.average, 0, 0.99999)
    between("validation", given.validation, 0, 0.9)
    between("density", given.density, 0, 1, open_=True)
    one_of("block_rows", given.block_rows, TALL[::-1])
    whole("prune_epochs", given.prune_epochs, 1)
    if given.density < 1 and given.prune_epochs > given.epochs:
        raise ArgumentError(
            f"prune_epochs must be at most epochs={given.epochs}, not {given.prune_epochs}."
        )
    one_of("refit", given.refit, (None, "steps"))
    if given.refit is not None and given.validation == 0:
        raise ArgumentError(f"refit={given.refit!r} needs a validation above 0.")
    one_of("machine", given.machine, ("native", "xla"))
    one_of("precision", given.precision, PRECISIONS)
    for name in ("carry", "warm_start"):
        value = getattr(given, name)
        if not isinstance(value, (bool, np.bool_)):
            raise ArgumentError(f"{name} must be True or False, not {value!r}.")
    if given.checkpoint is not None and not isinstance(given.checkpoint, (str, Path)):
        raise ArgumentError(f"checkpoint must be a path or None, not {given.checkpoint!r}.")
    if given.optimizer is not None and not hasattr(given.optimizer, "update"):
        kind = type(given.optimizer).__name__
        raise ArgumentError(f"optimizer must be one of optax's, not a {kind}.")


def check_head(head: Any, levels: Any) -> None:
    """A kind of head and, for quantiles, at least two rising levels."""
    one_of("head", head, tuple(known for known in HEADS if known != CLASSES))
    if head != QUANTILES:
        return
    try:
        found = np.asarray(levels, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    rising = found.ndim == 1 and len(found) > 1 and bool(np.all(np.diff(found) > 0))
    if not rising or not (found[0] > 0 and found[-1] < 1):
        raise ArgumentError(f"levels must rise, between 0 and 1, not {levels!r}.")
