"""Bayesian nets as a scikit-learn estimator, with the whole predictive distribution.

In: features (rows, features) and one target a row, rows as independent as the noise is. Out: means,
standard deviations, or a `Mixture`. One program for all data of a shape, a chain on each tile.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.alpha.agreement import sample_until
from tilewright.alpha.arguments import AUTO, moments_of, numbers_of, prior_of, weights_of
from tilewright.alpha.diagnostics import AGREED, APART, ROWS, check_alive, diagnose
from tilewright.alpha.heteroscedasticity import p_value
from tilewright.alpha.keys import chain_keys
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.priors import LEARNED, RETURNS, TALK, forecasts
from tilewright.alpha.signal import fit_signal
from tilewright.alpha.windows import inside
from tilewright.doubts import notice_constants, notice_restated
from tilewright.models import bnn

CONSTANT = 1e-12
"""A deviation below this share of the largest value is rounding."""
BLOCK = 4096
"""Rows whose draws are in memory at a time."""
TALK_UNIT = 0.001
"""What the talk's features are multiplied by."""
UNEVEN = 0.01
"""Noise whose p-value is below depends on the features."""


class BayesianMLPRegressor(RegressorMixin, BaseEstimator):
    """Bayesian neural net for a target's mean and its scale, sampled by Hamiltonian Monte Carlo.

        y ~ mean(x) + scale(x) * StudentT(df)

    Features are standardised and clipped at four deviations by what `fit` saw; the target is
    centred and divided by its deviation.

    Parameters
    ----------
    hidden : units of the mean's net, a number or one for each of 1 to 3 layers.
    prior : "learned": the scale of each layer is a parameter, too (`models.bnn`); "returns": scales
        are fixed and suit daily returns (`models.returns`); "talk": flat priors (`models.talk`) for
        features in their own units, taken times 0.001, and a target in basis points.
    mean, scale : "constant", "linear", or "net" (beside a linear part). Of the learned prior. A
        scale that is "auto" is a net where noise depends on the features, by a test that takes one
        in a hundred targets whose noise does not (see `alpha.heteroscedasticity`), and more where
        the mean is far steeper in places: that costs time, and little else.
    scale_hidden : units of the scale's net.
    relevance : whether each feature has a scale of its own, which is reported. Of the same, where
        None says yes.
    chains, warmup, draws, thin, doublings : see `settings.Chain`, and `gradients()` for the cost.
    patience : chains that disagree (an R-hat above 1.03) go on until they are so many times as
        long as told, by powers of two, unless they are so far apart that it does not help (above
        1.5). Of the learned prior.
    leapfrogs : mean length of a trajectory, found in the warm-up if it is None (20 for "returns").
    sampler : "hmc" or "nuts". machine : "native", or "xla" for JAX's default device.
    precision : of the force (see `tilewright.force`), of the prior "returns".
    df : degrees of freedom of the noise, above 1. When it is None they are sampled; for "returns"
        fitted to the target. The talk's are 2.2.
    signal : standard deviation of the mean that the prior "returns" expects, in standard
        deviations of the target; fitted when it is None (see `alpha.signal`).
    random_state : as everywhere in scikit-learn; a whole number of up to 64 bits for the same bits
        every time.

    Attributes: `positions_` (leaves with leading axes chains, draws), `df_` (their mean, where they
    are sampled), `relevance_` (features,), `scale_` (the kind that was taken), `scale_p_value_`
    (where the data decided), `extended_` (how many times as long the chains became), `r_hat_` and
    `ess_` of mean and scale at some rows, `acceptance_`, `failure_` (empty, or why the draws should
    not be trusted).
    """

    def __init__(
        self,
        hidden: int | tuple[int, ...] = 16,
        prior: str = "learned",
        mean: str = "net",
        scale: str = "auto",
        scale_hidden: int | tuple[int, ...] = 8,
        relevance: bool | None = None,
        chains: int = 4,
        warmup: int = 500,
        draws: int = 500,
        thin: int = 4,
        leapfrogs: int | None = None,
        doublings: int = 8,
        patience: int = 4,
        sampler: str = "hmc",
        precision: str = "float32",
        machine: str = "native",
        df: float | None = None,
        signal: float | None = None,
        random_state: Any = 0,
    ):
        self.hidden = hidden
        self.prior = prior
        self.mean = mean
        self.scale = scale
        self.scale_hidden = scale_hidden
        self.relevance = relevance
        self.chains = chains
        self.warmup = warmup
        self.draws = draws
        self.thin = thin
        self.leapfrogs = leapfrogs
        self.doublings = doublings
        self.patience = patience
        self.sampler = sampler
        self.precision = precision
        self.machine = machine
        self.df = df
        self.signal = signal
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Sample the posterior of rows X (rows, features), y (rows,).

        A row counts `sample_weight` (rows,) times: 2 is as if it stood there twice, 0 leaves it
        out. So weights say how much is known, too: twice as large, the posterior is narrower.
        Raises ValueError for data or settings that cannot be used, and where no chain moves; warns
        when chains failed (`ConvergenceWarning`), and of features that are constant, or the target
        itself (`DataWarning`).
        """
        seed = self._seed()
        prior_of(self, 1, seed)
        vars(self).pop("positions_", None)  # an earlier fit's draws go with its own units
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        y, weight = numbers_of(y), None
        if sample_weight is not None:
            weight = weights_of(sample_weight, len(y))
        self.train_ = moments_of(X, weight, "A feature")
        self._notice(X, y, weight)
        rows, scaled = self._rows(X), self._scaled(y, weight)
        df = self._degrees(scaled, weight)
        self.scale_ = self._kind_of_scale(rows, scaled, weight)
        self._prior = prior_of(self, X.shape[1], seed, self.scale_)
        scaled = self._in_units_of_prior(rows, scaled, weight)
        given = () if weight is None else (weight,)
        data = tuple(a.astype(np.float32) for a in (rows, scaled, np.asarray(df), *given))
        self.df_ = df
        seen = X[np.linspace(0, len(X) - 1, ROWS).astype(int)]
        _, self.extended_ = sample_until(
            lambda draws: self._long_enough(seen, draws),
            self._prior, self.machine, chain_keys(seed, self.chains), data,
        )  # fmt: skip
        if self.failure_:
            warnings.warn(f"The chains failed: {self.failure_}.", ConvergenceWarning, stacklevel=2)
        self._summarise()
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predictive means (rows,), and with `return_std` standard deviations (rows,)."""
        check_is_fitted(self, "positions_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        blocks = [self._distribution(X[at : at + BLOCK]) for at in range(0, len(X), BLOCK)]
        mean = np.concatenate([block.mean() for block in blocks])
        if not return_std:
            return mean
        return mean, np.concatenate([block.deviation() for block in blocks])

    def predict_distribution(self, X: Any) -> Mixture:
        """The predictive distribution of each row, in the target's units."""
        check_is_fitted(self, "positions_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self._distribution(X)

    def gradients(self) -> int:
        """Of the density, that all chains need at most; jittered trajectories by their mean."""
        return self.chains * prior_of(self, 1, 0).chain.most_gradients()

    def save(self, folder: str | Path) -> None:
        """Write the fitted estimator into a folder, which `load` reads; no pickle.

        Raises `AlphaError` for a folder that holds something else, or cannot be written.
        """
        from tilewright.alpha.saved import save

        check_is_fitted(self, "positions_")
        save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The fitted estimator that `save` wrote; it predicts the same bits.

        Raises `AlphaError` for a folder that holds none, or one of another class.
        """
        from tilewright.alpha.saved import load

        return load(cls, Path(folder))

    def _distribution(self, X: np.ndarray) -> Mixture:
        location, scale, df = self._draws(X)
        scale = scale.reshape(-1, *scale.shape[2:])
        return Mixture(location.reshape(-1, len(X)), scale, np.ravel(df) if np.ndim(df) else df)

    def _seed(self) -> Any:
        if isinstance(self.random_state, Integral):
            return self.random_state
        return int(check_random_state(self.random_state).randint(2**63, dtype=np.int64))

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Features as the net sees them."""
        return TALK_UNIT * X if self.prior == TALK else inside(X, *self.train_)

    def _notice(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Say which features say nothing, or too much."""
        if weight is not None:
            X, y = X[weight > 0], y[weight > 0]
        names = getattr(self, "feature_names_in_", None)
        notice_constants(X, names)
        notice_restated(X, y, names)

    def _scaled(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """The target, centred and with a standard deviation of 1; what it was is kept."""
        self.centre_, self.unit_ = map(float, moments_of(y, weight, "The target"))
        if weight is not None:
            y = np.where(weight > 0, y, self.centre_)  # 0 times what is infinite is no number
        if self.prior == TALK:
            self.centre_, self.unit_ = 0.0, 1.0
        elif self.unit_ <= CONSTANT * np.abs(y).max():
            self.unit_ = 1.0
            return np.zeros_like(y)
        return (y - self.centre_) / self.unit_

    def _kind_of_scale(
        self, rows: np.ndarray, scaled: np.ndarray, weight: np.ndarray | None
    ) -> str:
        """The one asked for, or the one that suits the data."""
        vars(self).pop("scale_p_value_", None)
        if self.scale != AUTO or self.prior != LEARNED:
            return bnn.CONSTANT if self.scale == AUTO else self.scale
        if weight is not None:
            rows, scaled = rows[weight > 0], scaled[weight > 0]
        self.scale_p_value_ = p_value(rows, scaled)
        return bnn.NET if self.scale_p_value_ < UNEVEN else bnn.CONSTANT

    def _degrees(self, scaled: np.ndarray, weight: np.ndarray | None) -> float:
        """Known degrees of freedom; any where they are sampled."""
        if self.prior == TALK:
            from tilewright.models.talk import DF

            return DF
        if self.df is not None:
            return float(self.df)
        return fit_degrees(scaled, weight) if self.prior == RETURNS else 1.0

    def _in_units_of_prior(
        self, rows: np.ndarray, scaled: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray:
        """The prior "returns" expects a signal of OUTPUT units: so large is this one made."""
        from tilewright.models.returns import OUTPUT

        if self.prior != RETURNS:
            return scaled
        given = self.signal
        self.signal_ = fit_signal(rows, scaled, weight) if given is None else float(given)
        self.unit_ *= self.signal_ / OUTPUT
        return scaled * (OUTPUT / self.signal_)

    def _draws(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
        """Location (chains, draws, rows), scale (chains, draws[, rows]), df, in target's units."""
        location, scale, df = forecasts(self._prior, self.positions_, self._rows(X), self.df_)
        return self.centre_ + self.unit_ * location, self.unit_ * scale, df

    def _long_enough(self, X: np.ndarray, draws: Any) -> bool:
        """Keep the draws, and look at what they say of rows X: is it no use to go on?"""
        divergences, log_density = np.asarray(draws.divergences), np.asarray(draws.log_density)
        check_alive(divergences, log_density)
        self.positions_, self.acceptance_ = draws.kept, np.asarray(draws.acceptance)
        location, scale, _ = self._draws(X)
        found = diagnose(location, scale, self.acceptance_, divergences, log_density)
        self.r_hat_, self.ess_, self.failure_ = found.r_hat, found.ess, found.failure
        return not AGREED < found.r_hat.max() < APART

    def _summarise(self) -> None:
        """Means of what is sampled beside the net."""
        if not isinstance(self.positions_, bnn.Position):
            return
        if self.positions_.log_degrees is not None:
            self.df_ = float(np.mean(bnn.degrees(self.positions_, self.df_, np)))
        if self.positions_.relevance is not None:
            self.relevance_ = np.exp(np.float64(self.positions_.relevance)).mean(axis=(0, 1))
