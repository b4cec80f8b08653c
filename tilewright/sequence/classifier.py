"""`LSTMClassifier`: probabilities of what a row is, from the past of its sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from tilewright.errors import ArgumentError
from tilewright.models import forecaster
from tilewright.models.forecaster import CLASSES, Forecaster
from tilewright.sequence import doubts, sequences
from tilewright.sequence.estimator import SequenceEstimator
from tilewright.sequence.panel import Panel
from tilewright.sequence.sequences import Sequences
from tilewright.sequence.settings import check

CALIBRATIONS = (None, "temperature", "isotonic")
TINY = 1e-12
"""The least that is told apart from 0 by isotonic calibration."""
HOTTEST = 5.0
"""Temperatures are looked for between exp(-5) and exp(5)."""


class LSTMClassifier(ClassifierMixin, SequenceEstimator):
    """LSTM or GRU trained by the log score of classes, on all cores.

    Labels that have not arrived yet are NaN in a `Panel`, whose labels are numbers: such rows are
    read as history, and not learned from.

    Parameters beside those of `SequenceEstimator`
    ----------------------------------------------
    class_weight : None, "balanced", or a weight for each class; from one of weight 0 nothing is
        learned.
    prior : share of each class where the net will be used, in the order of `classes_`, if rows were
        sampled, or classes weighted, otherwise; of two classes that of the second will do. Log-odds
        are shifted from what was learned with, or calibrated on, to it.
    calibration : "temperature" or, for two classes, "isotonic" on the later data that fits are
        stopped by; None.

    Attributes, beside those: `classes_`, `temperature_` (1 without), `isotonic_` (2, points): what
    was said, and what it is taken for (no points without).
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden: int = 32,
        layers: int = 1,
        class_weight: Any = None,
        prior: Any = None,
        calibration: str | None = None,
        steps: int = 1,
        steps_back: int = 64,
        warm_up: int = 64,
        carry: bool = False,
        seeds: int = 1,
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        clip: float = 1.0,
        average: float = 0.98,
        validation: float = 0.2,
        patience: int = 10,
        horizon: int = 1,
        refit: str | None = None,
        warm_start: bool = False,
        optimizer: Any = None,
        density: float = 1.0,
        block_rows: int = 4,
        prune_epochs: int = 20,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 30.0,
        machine: str = "native",
        precision: str = "float32",
        random_state: Any = 0,
    ):
        super().__init__(
            cell=cell,
            hidden=hidden,
            layers=layers,
            steps=steps,
            steps_back=steps_back,
            warm_up=warm_up,
            carry=carry,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clip=clip,
            average=average,
            validation=validation,
            patience=patience,
            horizon=horizon,
            refit=refit,
            warm_start=warm_start,
            optimizer=optimizer,
            density=density,
            block_rows=block_rows,
            prune_epochs=prune_epochs,
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            machine=machine,
            precision=precision,
            random_state=random_state,
        )
        self.class_weight = class_weight
        self.prior = prior
        self.calibration = calibration

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on samples X with labels y, or on a `Panel`.

        Raises ValueError for data or settings that cannot be used; warns when training failed.
        """
        return self._train(self._checked(X, y))

    def _checked(self, X: Any, y: Any) -> Sequences:
        check(self)
        if self.calibration not in CALIBRATIONS:
            raise ArgumentError(
                f"calibration must be one of {CALIBRATIONS}, not {self.calibration!r}."
            )
        if self.calibration is not None and self.validation == 0:
            raise ArgumentError(f"calibration={self.calibration!r} needs a validation above 0.")
        if y is None and not isinstance(X, Panel):
            raise ArgumentError(
                "This LSTMClassifier estimator requires y to be passed, but the target y is None."
            )
        given = self._coded_rows(self._given(X, y, reset=True))
        if given.base is not None:
            raise ArgumentError("base_scale is for targets that are numbers, not for classes.")
        self.temperature_, self.isotonic_ = 1.0, np.zeros((2, 0))
        known = ~np.isnan(given.y[:, 0])
        self._shift = self._prior_shift(given.y[known, 0], self._weights(given)[known, 0])
        return given

    def _doubt(self, given: Sequences, last: int) -> None:
        """Beside what all doubt: classes that are there too late."""
        super()._doubt(given, last)
        early, late = (
            np.unique(given.y[when & ~np.isnan(given.y[:, 0])]).astype(int)
            for when in (given.when <= last, given.when > last)
        )
        if len(early) == 1:
            raise ArgumentError(
                f"What is learned from has one class alone ({self.classes_[early[0]]}): the others "
                "come later."
            )
        doubts.notice_classes(self.classes_[np.setdiff1d(late, early)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """(samples, classes); of a Panel, in the order of its rows."""
        said = self._said(self._given(X, None, reset=False)).astype(np.float64)
        return self._chances(self._log_odds(said), np)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class, (samples,)."""
        check_is_fitted(self, "nets_")
        return self.classes_[self.predict_proba(X).argmax(axis=-1)]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share of right answers; of a Panel by its own labels, where they are known."""
        if isinstance(X, Panel):
            labels = X.sequences.answers(X.sequences.y)[:, 0]
            known = ~np.isnan(labels)
            return float(np.mean(self.predict(X)[known] == labels[known]))
        return super().score(X, y, sample_weight)

    def _live(self, z: Any, hidden: Any) -> Any:
        """Probabilities (streams, classes)."""
        return self._chances(self._log_odds(jnp.swapaxes(z, 0, 1), jnp), jnp)

    def _log_odds(self, z: Any, xp: Any = np) -> Any:
        """z (nets, answers, width) to log probabilities as learned, (answers, classes)."""
        odds = forecaster.logits(z, xp)
        each = odds - _log_sum(odds, -1, xp)
        return _log_sum(each, 0, xp)[0] - np.log(len(z))

    def _chances(self, log_odds: Any, xp: Any) -> Any:
        """Probabilities, after calibration and a shift to another prior."""
        odds = log_odds / self.temperature_
        if self.isotonic_.size:
            second = xp.exp(odds - _log_sum(odds, -1, xp))[..., 1]
            second = xp.interp(second, *self.isotonic_.astype(odds.dtype))
            odds = xp.log(xp.maximum(xp.stack([1 - second, second], axis=-1), TINY))
        odds = odds + self._shift.astype(odds.dtype)
        return xp.exp(odds - _log_sum(odds, -1, xp))

    def _stopped(self, given: Sequences) -> None:
        """Calibrated, if asked for: on answers to later data that no net has learned from."""
        if self.calibration is not None:
            self._calibrate(given)

    def _calibrate(self, given: Sequences) -> None:
        _, first = sequences.divided(given, self.validation, self.horizon)
        labels = given.answers(given.y)[:, 0]
        when = given.answers(given.when[:, None])[:, 0]
        learned = given.answers(self._weights(given))[:, 0] > 0
        late = (when >= first) & ~np.isnan(labels) & learned
        said = self._said(given).astype(np.float64)
        odds, own = self._log_odds(said)[late], labels[late].astype(int)
        if self.calibration == "isotonic":
            if len(self.classes_) != 2:
                raise ArgumentError("calibration='isotonic' is for two classes.")
            if len(np.unique(own)) == 1:
                raise ArgumentError(
                    "calibration='isotonic' needs both classes in the later part: choose a larger "
                    "validation."
                )
            rising = IsotonicRegression(y_min=0, y_max=1).fit(softmax(odds, axis=-1)[:, 1], own)
            self.isotonic_ = np.stack([rising.X_thresholds_, rising.y_thresholds_])
            self._shift = self._prior_shift(own)
            return

        def lost(log: float) -> float:
            return -log_softmax(odds / np.exp(log), axis=-1)[np.arange(len(own)), own].mean()

        found = minimize_scalar(lost, bounds=(-HOTTEST, HOTTEST), method="bounded")
        self.temperature_ = float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]

    def _prior_shift(self, codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Of the log-odds, (classes,), from the shares of classes that they were learned with."""
        if self.prior is None:
            return np.zeros(len(self.classes_))
        try:
            prior = np.asarray(self.prior, np.float64)
        except (TypeError, ValueError):
            prior = np.zeros(0)
        if prior.ndim == 0 and len(self.classes_) == 2:
            prior = np.array([1 - prior, prior])
        sound = (prior > 0) & np.isfinite(prior)
        if prior.shape != self.classes_.shape or not sound.all():
            raise ArgumentError(
                f"prior must be above 0 for each of {self.classes_}, not {self.prior!r}."
            )
        seen = np.bincount(codes.astype(int), weights, len(prior))
        if not seen.all():
            never = self.classes_[np.argmin(seen)]
            raise ArgumentError(f"prior needs weights above 0, but that of {never} is 0.")
        return np.log(prior / prior.sum()) - np.log(seen / seen.sum())

    # Labels as numbers

    _numeric = False

    def _coded(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        self._set_classes(np.unique(y))
        return np.searchsorted(self.classes_, y)[:, None].astype(np.float64)

    def _coded_rows(self, given: Sequences) -> Sequences:
        """Of a Panel, whose labels are numbers as they are."""
        if given.at_end:
            return given
        if given.y.shape[1] != 1:
            raise ArgumentError(f"A Panel must have one column of labels, not {given.y.shape[1]}.")
        known = ~np.isnan(given.y)
        if not known.any():
            raise ArgumentError("No label is known.")
        self._set_classes(np.unique(given.y[known]))
        codes = np.where(known, np.searchsorted(self.classes_, given.y), np.nan)
        return sequences.with_targets(given, codes)

    def _set_classes(self, classes: np.ndarray) -> None:
        if len(classes) < 2:
            raise ArgumentError(
                f"There must be at least two classes, not one class alone ({classes})."
            )
        self.classes_ = classes

    def _scale_targets(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(1), np.ones(1)

    def _weights(self, given: Sequences) -> np.ndarray:
        known = ~np.isnan(given.y[:, 0])
        codes = given.y[known, 0].astype(int)
        found = np.ones((len(given.y), 1), np.float32)
        if self.class_weight is None:
            return found
        if not isinstance(self.class_weight, Mapping) and self.class_weight != "balanced":
            raise ArgumentError(
                "class_weight must be None, 'balanced' or a weight for each class, not "
                f"{self.class_weight!r}."
            )
        each = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[codes]
        )
        if not np.all((each >= 0) & np.isfinite(each)) or not each.any():
            raise ArgumentError(
                "Weights of classes must be 0 or more, and one of them above 0, not "
                f"{self.class_weight!r}."
            )
        found[known, 0] = each[codes]
        return found

    def _form(self, inputs: int, targets: int) -> Forecaster:
        return Forecaster(self._net(inputs), CLASSES, 1, classes=len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _log_sum(values: Any, axis: int, xp: Any) -> Any:
    """Log of the sum of exponentials, the axis kept."""
    most = xp.max(values, axis=axis, keepdims=True)
    return most + xp.log(xp.sum(xp.exp(values - most), axis=axis, keepdims=True))
