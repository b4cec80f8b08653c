"""From what an estimator of sequences is given to rows in float32, of about unit size.

In: samples (samples, steps, inputs), or (samples, steps * inputs), with a target each; or a
`Panel`. Out: `Sequences`, checked against what was fitted; then inputs and targets, standardised by
those that are learned from.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.errors import ArgumentError
from tilewright.sequence import doubts, sequences
from tilewright.sequence.panel import Panel
from tilewright.sequence.sequences import Reading, Sequences


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
        self.centre_, self.unit_ = _moments(given.x[old], "input", names)
        y = given.y[old] if given.base is None else given.y[old] / given.base[old]
        self.target_centre_, self.target_unit_ = self._scale_targets(y)

    def _scale_targets(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What they are moved and divided by, each (targets,)."""
        return _moments(y, "target")

    def _scaled(self, given: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets in float32, of about unit size."""
        x = (given.x - self.centre_) / self.unit_
        x = np.where(np.isnan(x), 0.0, x)
        y = given.y if given.base is None else given.y / given.base
        if y.shape[1]:
            y = (y - self.target_centre_) / self.target_unit_
        return x.astype(np.float32), y.astype(np.float32)


def _moments(
    values: np.ndarray, kind: str, names: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column; 1 for one that is constant."""
    absent = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(absent):
        which = absent[0] if names is None else repr(names[absent[0]])
        raise ArgumentError(
            f"{kind.capitalize()} {which} is missing in all rows that are learned from."
        )
    centre = np.nanmean(values, axis=0)
    unit = np.nanstd(values, axis=0)
    largest = np.nanmax(np.abs(values), axis=0)
    if not np.isfinite(unit).all():
        raise ArgumentError(f"A column of {kind}s is too large: its variance is infinite.")
    return centre, np.where(unit > 1e-12 * largest, unit, 1.0)
