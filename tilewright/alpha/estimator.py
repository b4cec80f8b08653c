"""The net as a scikit-learn estimator, with the whole predictive distribution.

In: features (rows, features) and one target a row, rows as independent as the noise is. Out: means,
standard deviations, or a `Mixture`. The same chains as in the walk-forward job, one a tile.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.alpha.diagnostics import ROWS, diagnose
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.settings import Sampler, Settings
from tilewright.alpha.windows import inside


class AlphaRegressor(RegressorMixin, BaseEstimator):
    """Bayesian neural net with Student-t noise, sampled by Hamiltonian Monte Carlo.

    Parameters are those of `Sampler` and `Settings`. Features are standardised and clipped by what
    `fit` saw; the target is divided by its standard deviation, to which the priors are scaled: they
    expect weak signals, as in returns. `df` of the noise is fitted to the target when it is None.

    Attributes: `positions_` (leaves with leading axes chains, draws), `df_`, `r_hat_`, `ess_`,
    `acceptance_`, `failure_` (empty, or why the draws should not be trusted).
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
        random_state: int = 0,
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
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Sample the posterior of rows X (rows, features), y (rows,).

        Raises ValueError for data or settings that cannot be used; warns when the chains failed.
        """
        import jax

        settings = self._settings()
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        self.train_ = X.mean(axis=0), X.std(axis=0)
        self.unit_ = float(y.std()) or 1.0
        scaled = y / self.unit_
        self.df_ = fit_degrees(scaled) if self.df is None else float(self.df)
        run = _compiled(settings.sampler, settings.machine, settings.chains, *X.shape)
        keys = jax.random.split(jax.random.key(settings.seed), settings.chains)
        draws = run(
            keys,
            inside(X, *self.train_).astype(np.float32),
            scaled.astype(np.float32),
            np.float32(self.df_),
        )
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
        settings = Settings(chain, chains=self.chains, seed=self.random_state, machine=self.machine)
        settings.check()
        return settings

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
        return self.unit_ * location, self.unit_ * np.exp(net.log_scale)

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
        jax.eval_shape(lambda: jax.random.split(jax.random.key(0), chains)),
        jax.ShapeDtypeStruct((rows, features), np.float32),
        jax.ShapeDtypeStruct((rows,), np.float32),
        jax.ShapeDtypeStruct((), np.float32),
        machine=None if machine == "native" else machine,
    )
