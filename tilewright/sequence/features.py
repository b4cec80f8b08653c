"""`LSTMFeatures`: what a net remembers of each sequence, as columns for another model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from tilewright.models.forecaster import NORMAL, STUDENT, Forecaster
from tilewright.sequence.estimator import SequenceEstimator
from tilewright.sequence.sequences import Sequences
from tilewright.sequence.settings import check


class LSTMFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceEstimator):
    """Hidden states of a net that has learned a target or, without one, each next row's inputs.

    A row's features know that row and those before it in its sequence. In a Pipeline the net is
    trained anew on each training set, as it must be.

    Parameters are those of `SequenceEstimator`. Targets are learned with Student's t noise, next
    inputs with normal noise.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on samples X, with or without targets y, or on a `Panel`.

        Raises ValueError for data or settings that cannot be used; warns when training failed.
        """
        return self._train(self._checked(X, y))

    def _checked(self, X: Any, y: Any) -> Sequences:
        check(self)
        given = self._given(X, y, reset=True)
        self._head = NORMAL if np.isnan(given.y).all() else STUDENT
        self._n_features_out = self.hidden * self.seeds
        return _next_rows(given) if self._head == NORMAL else given

    def transform(self, X: Any) -> np.ndarray:
        """(samples, hidden * seeds); of a Panel, in the order of its rows."""
        states = self._said(self._given(X, None, reset=False), hidden=True)
        return np.concatenate(list(states), axis=-1)

    def _live(self, z: Any, hidden: Any) -> Any:
        """(streams, hidden * seeds)."""
        return hidden.reshape(len(hidden), -1)

    _needs_targets = False

    def _form(self, inputs: int, targets: int) -> Forecaster:
        return Forecaster(self._net(inputs), self._head, targets)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _next_rows(given: Sequences) -> Sequences:
    """Each row's targets are the inputs of the next in its sequence."""
    y = np.roll(given.x, -1, axis=0)
    y[given.end - 1] = np.nan
    return replace(given, y=y, at_end=False, base=None)
