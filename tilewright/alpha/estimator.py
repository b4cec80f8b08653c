"""The net as a scikit-learn estimator, with the whole predictive distribution.

In: features (rows, features) and one target a row, rows as independent as the noise is. Out: means,
standard deviations, or a `Mixture`. The same chains as in the walk-forward job, one a tile.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.alpha.diagnostics import ROWS, diagnose
from tilewright.alpha.keys import chain_keys
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.settings import Sampler, Settings, between
from tilewright.alpha.signal import fit_signal
from tilewright.alpha.windows import inside

MOST_DEGREES = 1e6
"""Of freedom: the noise is normal long before."""
CONSTANT = 1e-12
"""A deviation below this share of the largest value is rounding."""


class AlphaRegressor(RegressorMixin, BaseEstimator):
    """Bayesian neural net with Student-t noise, sampled by Hamiltonian Monte Carlo.

    Parameters are those of `Sampler` and `Settings`. Features are standardised and clipped by what
    `fit` saw; the target is centred, and divided by a unit that suits the priors. `signal` is the
    standard deviation of its mean that they expect, in standard deviations of the target: fitted
    when it is None (see `alpha.signal`), and 0.15 for targets as hard to foresee as returns. `df`
    of the noise, above 1, is fitted to the target when it is None. `random_state` is as everywhere
    in scikit-learn, a whole number of up to 64 bits for the same bits every time.

    Attributes: `positions_` (leaves with leading axes chains, draws), `signal_`, `df_`, `r_hat_`,
    `ess_`, `acceptance_`, `failure_` (empty, or why the draws should not be trusted).
    """

    def __init__(
        self,
        hidden: int = 40,
        chains: int = 2,
        warmup: int = 60,
        draws: int = 100,
        leapfrogs: int = 20,
        sampler: str = "hmc",
        precision: str = "float32",
        machine: str = "native",
        df: float | None = None,
        signal: float | None = None,
        random_state: Any = 0,
    ):
        self.hidden = hidden
        self.chains = chains
        self.warmup = warmup
        self.draws = draws
        self.leapfrogs = leapfrogs
        self.sampler = sampler
        self.precision = precision
        self.machine = machine
        self.df = df
        self.signal = signal
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Sample the posterior of rows X (rows, features), y (rows,).

        Raises ValueError for data or settings that cannot be used; warns when the chains failed.
        """
        from tilewright.models.bnn import OUTPUT

        settings = self._settings()
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        self.train_ = X.mean(axis=0), X.std(axis=0)
        if not np.isfinite(self.train_).all():
            raise ValueError("A feature is too large: its variance is infinite.")
        rows, scaled = inside(X, *self.train_), self._scaled(y)
        self.signal_ = fit_signal(rows, scaled) if self.signal is None else float(self.signal)
        self.df_ = fit_degrees(scaled) if self.df is None else float(self.df)
        # The priors expect a signal of OUTPUT units: units are chosen so that this one is as large.
        self.unit_ *= self.signal_ / OUTPUT
        scaled *= OUTPUT / self.signal_
        run = _compiled(settings.sampler, settings.machine, settings.chains, *X.shape)
        keys = chain_keys(settings.seed, settings.chains)
        draws = run(keys, *(a.astype(np.float32) for a in (rows, scaled)), np.float32(self.df_))
        self.positions_ = draws.kept
        self.acceptance_ = np.asarray(draws.acceptance)
        self._diagnose(X[np.linspace(0, len(X) - 1, ROWS).astype(int)], draws.divergences)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predictive means (rows,), and with `return_std` standard deviations (rows,)."""
        forecast = self.predict_distribution(X)
        return (forecast.mean(), forecast.deviation()) if return_std else forecast.mean()

    def predict_distribution(self, X: Any) -> Mixture:
        """The predictive distribution of each row, in the target's units."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        location, scale = self._draws(X)
        return Mixture(location.reshape(-1, len(X)), scale.ravel(), self.df_)

    def _settings(self) -> Settings:
        chain = Sampler(
            self.sampler,
            self.warmup,
            self.draws,
            self.leapfrogs,
            self.hidden,
            precision=self.precision,
        )
        settings = Settings(chain, chains=self.chains, seed=self._seed(), machine=self.machine)
        settings.check()
        if self.df is not None:
            between("df", self.df, 1, MOST_DEGREES)
        if self.signal is not None:
            between("signal", self.signal, 0, 1)
        return settings

    def _seed(self) -> Any:
        if isinstance(self.random_state, Integral):
            return self.random_state
        return int(check_random_state(self.random_state).randint(2**63, dtype=np.int64))

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        """The target, centred and with a standard deviation of 1; what it was is kept."""
        self.centre_, self.unit_ = float(y.mean()), float(y.std())
        if not np.isfinite(self.unit_):
            raise ValueError("The target is too large: its variance is infinite.")
        if self.unit_ <= CONSTANT * np.abs(y).max():
            self.unit_ = 1.0
            return np.zeros_like(y)
        return (y - self.centre_) / self.unit_

    def _draws(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Location (chains, draws, rows) and noise scale (chains, draws), in the target's units."""
        from tilewright.models.bnn import Net, prior_deviation

        position = self.positions_
        deviation = prior_deviation(X.shape[1], position.b1.shape[-1])
        net = Net(
            *(np.asarray(z, np.float64) * s for z, s in zip(position, deviation, strict=True))
        )
        X = inside(X, *self.train_)
        location = np.empty((*net.b2.shape, len(X)))
        for place in np.ndindex(net.b2.shape):
            hidden = np.tanh(X @ net.W1[place] + net.b1[place])
            location[place] = hidden @ net.w2[place] + net.b2[place]
        return self.centre_ + self.unit_ * location, self.unit_ * np.exp(net.log_scale)

    def _diagnose(self, X: np.ndarray, divergences: np.ndarray) -> None:
        location, scale = self._draws(X)
        found = diagnose(location, scale, self.acceptance_, np.asarray(divergences))
        self.r_hat_, self.ess_, self.failure_ = found.r_hat, found.ess, found.failure
        if found.failure:
            warnings.warn(f"The chains failed: {found.failure}.", ConvergenceWarning, stacklevel=3)


@lru_cache(maxsize=8)
def _compiled(sampler: Sampler, machine: str, chains: int, rows: int, features: int) -> Any:
    """The program for all data of one shape."""
    import jax

    import tilewright
    from tilewright.alpha.sample import sample_posterior

    def chain(key: Any, X: Any, y: Any, df: Any) -> Any:
        return sample_posterior(sampler, key, X, y, df, keep=lambda position: position)

    return tilewright.compile(
        tilewright.tile_map(chain, in_axes=(0, None, None, None)),
        jax.eval_shape(lambda: chain_keys(0, chains)),
        jax.ShapeDtypeStruct((rows, features), np.float32),
        jax.ShapeDtypeStruct((rows,), np.float32),
        jax.ShapeDtypeStruct((), np.float32),
        machine=machine,
    )
