"""`LSTMRegressor`: distributions of the next thing, from the past of each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from tilewright.alpha.mixture import Mixture
from tilewright.errors import ArgumentError
from tilewright.models import forecaster
from tilewright.models.forecaster import QUANTILES, STUDENT, Forecaster
from tilewright.sequence import doubts
from tilewright.sequence.estimator import SequenceEstimator
from tilewright.sequence.panel import Panel
from tilewright.sequence.sequences import Sequences
from tilewright.sequence.settings import check, check_head

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


class LSTMRegressor(RegressorMixin, SequenceEstimator):
    """LSTM or GRU with a distribution at its end, trained by its log score on all cores.

        y ~ location + scale * StudentT(df)      location and log-scale are a linear model of the
                                                 inputs plus what the net adds

    Parameters beside those of `SequenceEstimator`
    ----------------------------------------------
    head : "student_t" (df learned, above 2), "normal", or "quantiles" at `levels`, which cannot
        cross, trained by their pinball loss.
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden: int = 32,
        layers: int = 1,
        head: str = STUDENT,
        levels: Sequence[float] = LEVELS,
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
        self.head = head
        self.levels = levels

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on samples X with targets y, or on a `Panel`.

        Raises ValueError for data or settings that cannot be used; warns when training failed.
        """
        return self._train(self._checked(X, y))

    def _checked(self, X: Any, y: Any) -> Sequences:
        check(self)
        check_head(self.head, self.levels)
        if y is None and not isinstance(X, Panel):
            raise ArgumentError(
                "This LSTMRegressor estimator requires y to be passed, but the target y is None."
            )
        return self._given(X, y, reset=True)

    def _doubt(self, given: Sequences, last: int) -> None:
        super()._doubt(given, last)
        doubts.notice_targets(given, last, self.inputs_ if self._of_panel else None)
        self._relative = given.base is not None

    def predict(self, X: Any) -> np.ndarray:
        """Means, (samples,) or (samples, targets); of a Panel, in the order of its rows."""
        mean = self._means(X)
        return mean[:, 0] if self._single else mean

    def predict_distribution(self, X: Any) -> Any:
        """A `Mixture` over seeds, in units of the target; a tuple of them for several targets.

        With the head "quantiles": quantiles (samples, levels), or (samples, targets, levels).
        """
        given = self._given(X, None, reset=False)
        if self.head == QUANTILES:
            found = self._quantiles(given)
            return found[:, 0] if self._single else found
        location, scale, df = self._parts(given)
        each = tuple(
            Mixture(location[..., k], scale[..., k], df[:, k]) for k in range(location.shape[-1])
        )
        return each[0] if self._single else each

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R² of the means; of a Panel by its own targets, where they are known."""
        if isinstance(X, Panel):
            given = X.sequences
            known = ~np.isnan(given.answers(given.y)).any(axis=1)
            return r2_score(given.answers(given.y)[known], self._means(X)[known])
        return super().score(X, y, sample_weight)

    def _means(self, X: Any) -> np.ndarray:
        given = self._given(X, None, reset=False)
        if self.head == QUANTILES:
            return _mean_of(self._quantiles(given), np.asarray(self.levels))
        return self._parts(given)[0].mean(axis=0)

    def _parts(self, given: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Location, scale (nets, answers, targets), df (nets, targets), in the target's units."""
        z = self._said(given).astype(np.float64)
        location, scale = forecaster.location_and_scale(self._recipe.form, z, np)
        base = self._base(given)
        location = base * (self.target_centre_ + self.target_unit_ * location)
        scale = base * self.target_unit_ * scale
        if self.nets_.log_degrees is None:
            return location, scale, np.full((len(z), location.shape[-1]), np.inf)
        return location, scale, forecaster.degrees(np.float64(self.nets_.log_degrees), np)

    def _quantiles(self, given: Sequences) -> np.ndarray:
        """(answers, targets, levels): means over nets."""
        z = self._said(given).astype(np.float64)
        found = forecaster.quantiles(self._recipe.form, z, np).mean(axis=0)
        centre, unit = self.target_centre_[:, None], self.target_unit_[:, None]
        base = self._base(given)
        return (base if np.isscalar(base) else base[..., None]) * (centre + unit * found)

    def _live(self, z: Any, hidden: Any) -> Any:
        """Location, scale (streams, nets, targets, 2), or quantiles (streams, targets, levels)."""
        form = self._recipe.form
        centre, unit = np.asarray([self.target_centre_, self.target_unit_], np.float32)
        if self.head == QUANTILES:
            found = forecaster.quantiles(form, z).mean(axis=1)
            return centre[:, None] + unit[:, None] * found
        location, scale = forecaster.location_and_scale(form, z)
        return jnp.stack([centre + unit * location, unit * scale], axis=-1)

    def _base(self, given: Sequences) -> Any:
        """1, or (answers, 1). Raises `ArgumentError` where it was fitted otherwise."""
        if (given.base is not None) != self._relative:
            raise ArgumentError(
                "Its targets are in units of a base scale: name the base_scale of these rows."
                if self._relative
                else "It was fitted without a base scale: leave base_scale out."
            )
        return 1.0 if given.base is None else given.answers(given.base)

    def _form(self, inputs: int, targets: int) -> Forecaster:
        levels = tuple(map(float, self.levels)) if self.head == QUANTILES else ()
        return Forecaster(self._net(inputs), self.head, targets, levels)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.three_d_array = True
        return tags


def _mean_of(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Of the distribution that is uniform between quantiles and has no mass beyond them."""
    ends = np.concatenate([quantiles[..., :1], quantiles, quantiles[..., -1:]], axis=-1)
    return np.trapezoid(ends, np.concatenate([[0.0], levels, [1.0]]), axis=-1)
