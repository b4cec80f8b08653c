"""From what an estimator of sequences is given to rows in float32, of about unit size.

In: samples (samples, steps, inputs), or (samples, steps * inputs), with a target each; or a
`Panel`. Out: `Sequences`, checked against what was fitted; then inputs and targets, standardised by
those that are learned from.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.errors import ArgumentError
from tilewright.sequence import doubts, sequences
from tilewright.sequence.panel import Panel
from tilewright.sequence.sequences import Reading, Sequences

SLAB = 1 << 15
"""Rows."""


class SequenceReader(BaseEstimator, metaclass=ABCMeta):
    """Not for use by itself. Estimators have the settings `steps`, `steps_back`, `warm_up` and
    `carry`.

    Attributes: `steps_` of a sample, `n_features_in_`, `inputs_` (names, of a Panel),
    `group_marks_` (by which its groups are known again), and of each input and target `centre_`,
    `unit_`, `target_centre_`, `target_unit_`.
    """

    steps: int
    steps_back: int
    warm_up: int
    carry: bool
    steps_: int
    inputs_: list[str]
    group_marks_: np.ndarray

    def _given(self, X: Any, y: Any, reset: bool) -> Sequences:
        """Checked data; y may be None where nothing is learned."""
        if not reset:
            check_is_fitted(self, "nets_")
        if reset:
            self._of_panel = isinstance(X, Panel)
            vars(self).pop("inputs_", None)  # of an earlier fit
        if isinstance(X, Panel):
            return self._panel(X, y, reset)
        if self._of_panel:
            raise ArgumentError(f"It was fitted to a Panel of {self.inputs_}: give one.")
        X = self._flat(X, reset)
        if reset and y is not None:
            rules: dict[str, Any] = dict(
                multi_output=True, y_numeric=self._numeric, ensure_min_samples=2
            )
            X, y = validate_data(self, X, y, dtype=np.float64, **rules)
        else:
            X = validate_data(self, X, reset=reset, dtype=np.float64)
        if X.shape[1] % self.steps_:
            raise ArgumentError(
                f"X has {X.shape[1]} columns, which steps={self.steps_} does not divide."
            )
        if y is not None:
            self._single = np.ndim(y) == 1
            y = self._coded(np.asarray(y))
        return sequences.samples(X, y, self.steps_)

    _numeric = True
    """Whether targets are numbers."""
    _needs_targets = True

    def _coded(self, y: np.ndarray) -> np.ndarray:
        """Targets as numbers, (samples, targets)."""
        return y.reshape(len(y), -1).astype(np.float64)

    def _flat(self, X: Any, reset: bool) -> Any:
        """(samples, steps, inputs) as (samples, steps * inputs)."""
        shape = np.shape(X) if isinstance(X, np.ndarray) else ()
        if len(shape) != 3:
            self.steps_ = self.steps if reset else self.steps_
            return X
        if reset:
            self.steps_ = shape[1]
        elif shape[1] != self.steps_:
            raise ArgumentError(f"X has {shape[1]} steps, it was fitted to {self.steps_}.")
        return X.reshape(shape[0], -1)

    def _panel(self, X: Panel, y: Any, reset: bool) -> Sequences:
        if y is not None:
            raise ArgumentError("y must be None: the targets of a Panel are columns of its own.")
        found = X.sequences
        if reset:
            if self._needs_targets and not found.y.shape[1]:
                raise ArgumentError("The Panel has no targets to learn from.")
            self._single, self.steps_ = isinstance(X.targets, str), 1
            self.inputs_, self.n_features_in_ = list(X.inputs), found.x.shape[1]
            self.group_marks_ = doubts.marks_of(X.groups)
        elif getattr(self, "inputs_", None) != list(X.inputs):
            wanted = getattr(self, "inputs_", "samples, not a Panel")
            raise ArgumentError(f"It was fitted to {wanted}, not to inputs {list(X.inputs)}.")
        elif found.x.shape[1] != self.n_features_in_:
            fitted = "indicator" if self.n_features_in_ > len(X.inputs) else "refuse"
            raise ArgumentError(f"It was fitted with missing={fitted!r}, not {X.missing!r}.")
        elif X.group is not None and len(self.group_marks_):
            doubts.notice_unseen(X.groups, self.group_marks_)
        return found

    def _reading(self) -> Reading:
        """Samples are read whole."""
        if not self._of_panel:
            return Reading(self.steps_)
        return Reading(self.steps_back, 0 if self.carry else self.warm_up, self.carry)

    def _scale(self, given: Sequences, last: int) -> None:
        """Means and deviations of what is learned from, up to time `last`."""
        old = given.when <= last
        names = self.inputs_ if self._of_panel else None
        self.centre_, self.unit_ = _moments(given.x, "input", names, old)
        y = given.y[old] if given.base is None else given.y[old] / given.base[old]
        self.target_centre_, self.target_unit_ = self._scale_targets(y)

    def _scale_targets(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What they are moved and divided by, each (targets,)."""
        return _moments(y, "target")

    def _scaled(self, given: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets in float32, of about unit size."""
        x = np.empty(given.x.shape, np.float32)
        for mine in _slabs(len(x)):
            scaled = (given.x[mine] - self.centre_) / self.unit_
            x[mine] = np.where(np.isnan(scaled), 0.0, scaled)
        y = given.y if given.base is None else given.y / given.base
        if y.shape[1]:
            y = (y - self.target_centre_) / self.target_unit_
        return x, y.astype(np.float32)


def _moments(
    values: np.ndarray,
    kind: str,
    names: list[str] | None = None,
    which: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, over the rows `which`; 1 for one that is constant."""
    count, total, largest = _sums(values, which, 0.0, 1)
    absent = np.flatnonzero(count == 0)
    if len(absent):
        column = absent[0] if names is None else repr(names[absent[0]])
        raise ArgumentError(
            f"{kind.capitalize()} {column} is missing in all rows that are learned from."
        )
    centre = total / count
    unit = np.sqrt(_sums(values, which, centre, 2)[1] / count)
    if not np.isfinite(unit).all():
        raise ArgumentError(f"A column of {kind}s is too large: its variance is infinite.")
    return centre, np.where(unit > 1e-12 * largest, unit, 1.0)


def _sums(
    values: np.ndarray, which: np.ndarray | None, centre: Any, power: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column, without what is missing: how many there are, their sum after `centre` is
    taken away and that is squared or not, and the largest magnitude. Row after row, a slab at a
    time; a single column at once, which NumPy adds up in pairs."""
    width = values.shape[1]
    count, total, largest = np.zeros(width, np.int64), np.zeros((0, width)), np.zeros(width)
    for mine in _slabs(len(values), len(values) if width == 1 else SLAB):
        slab = values[mine] if which is None else values[mine][which[mine]]
        known = ~np.isnan(slab)
        count += known.sum(axis=0)
        largest = np.maximum(largest, np.abs(np.where(known, slab, 0)).max(axis=0, initial=0))
        with np.errstate(over="ignore", invalid="ignore"):
            terms = np.where(known, slab - centre, 0.0)
            terms = terms * terms if power == 2 else terms
            total = np.add.reduce(np.concatenate([total, terms]), axis=0, keepdims=True)
    return count, total.reshape(-1, width).sum(axis=0), largest


def _slabs(rows: int, most: int = SLAB) -> Iterator[slice]:
    """Of so many rows, few at a time: what is computed on the way takes little memory."""
    for start in range(0, rows, most):
        yield slice(start, start + most)
