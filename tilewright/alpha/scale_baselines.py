"""What a scale that a net forecasts is held against: five simpler models of how returns scatter.

In: features of scale and targets of the training rows (pooled over stocks), test features; for
GARCH the prices. Out: for each model a `Mixture` of the test rows, of one component; all means are
0.

*EWMA* (RiskMetrics 1996): one scale for all rows, so volatility is the EWMA's. *HAR* (Corsi 2009):
the log-scale is linear in the stock's own moves of a day, a week, a month and the level. *Linear*:
in all features. Both with Student-t noise, by penalised maximum likelihood: the penalty is that of
the linear part's prior in `models.bnn` at its median. *GARCH(1,1)-t* (Bollerslev 1987) and *GJR-t*
(Glosten, Jagannathan & Runkle 1993): one for each stock, fitted by the package arch on the training
days, and fed with every day since.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.noise import fit_degrees, fit_scale
from tilewright.alpha.scale.settings import FLOOR
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.student import log_student
from tilewright.models.bnn import LEAST_DEGREES, SCALE

EWMA, HAR, LINEAR, GARCH, GJR = "EWMA", "HAR", "linear", "GARCH-t", "GJR-t"
HAR_FEATURES = tuple(NAMES.index(name) for name in ("move_1", "move_5", "move_22", "level"))
PERCENT = 100.0
"""What returns are multiplied by for arch, whose optimiser wants numbers near 1."""
WITHIN = FLOOR, 1 / FLOOR
"""Scales of a forecast, in units of the volatility. Where most prices do not move, the likeliest
scale is none, and what outcomes then score is without bounds: the net has the same floor."""


def pooled_baselines(X: np.ndarray, y: np.ndarray, X_test: np.ndarray) -> dict[str, Mixture]:
    """EWMA, HAR and linear, from standardised X (rows, 28), y (rows,), X_test (test rows, 28)."""
    df = fit_degrees(y)
    own = list(HAR_FEATURES)
    return {
        EWMA: of_scale(np.full(len(X_test), fit_scale(y, df)), df),
        HAR: scale_regression(X[:, own], y, X_test[:, own]),
        LINEAR: scale_regression(X, y, X_test),
    }


def scale_regression(X: np.ndarray, y: np.ndarray, X_test: np.ndarray) -> Mixture:
    """y ~ StudentT(df, 0, exp(constant + X b)), constant and df free, b shrunk."""
    penalty = X.shape[1] / SCALE.linear**2

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        constant, freedom, slopes = at[0], at[1], at[2:]
        df = LEAST_DEGREES + np.exp(freedom)
        log_scale = constant + X @ slopes
        z = y * np.exp(-log_scale)
        share = z * z / (df + z * z)
        by_scale = (df + 1) * share - 1  # of each row's log density
        by_df = 0.5 * (
            digamma((df + 1) / 2) - digamma(df / 2) - 1 / df
            - np.log1p(z * z / df) + (df + 1) / df * share
        )  # fmt: skip
        value = np.sum(log_student(z, df) - log_scale) - 0.5 * penalty * slopes @ slopes
        slope = [by_scale.sum(), by_df.sum() * (df - LEAST_DEGREES)]
        return -value, -np.array([*slope, *(X.T @ by_scale - penalty * slopes)])

    df = fit_degrees(y)
    start = np.array([np.log(fit_scale(y, df)), np.log(df - LEAST_DEGREES), *np.zeros(X.shape[1])])
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    scale = np.exp(found[0] + X_test @ found[2:])
    return of_scale(scale, float(LEAST_DEGREES + np.exp(found[1])))


def garch(
    prices: np.ndarray, train: tuple[int, int], test: tuple[int, int], asymmetric: bool
) -> list[Mixture]:
    """Of every day of `test`, a mixture for each stock, in units of the day's EWMA volatility.

    `prices` is (days, stocks); `train` and `test` are the first day and the one after the last
    whose target belongs to the part. The target of a day is the return to the next.
    Raises `AlphaError` when arch is not installed.
    """
    import pandas as pd

    returns = pd.DataFrame(np.log(prices)).diff()
    volatility = ewma_volatility(returns).to_numpy()[slice(*test)]
    found = []
    first, last = train[0] + 1, train[1] + 1  # days whose return is a training target
    for number, stock in enumerate(returns.to_numpy().T):
        series, days = stock[first : test[1]], (last - first, test[0] - first)
        scale, df = garch_scale(series, *days, asymmetric)
        found.append(of_scale(scale / volatility[:, number], df))
    return found


def garch_scale(
    returns: np.ndarray, last: int, test: int, asymmetric: bool
) -> tuple[np.ndarray, float]:
    """Scale of the return after each day from the `test`th on, and degrees of freedom.

    Fitted on the first `last` of the returns (days,), which have no gaps. Raises `AlphaError` when
    arch is not installed.
    """
    try:
        from arch import arch_model
    except ImportError:
        raise AlphaError("GARCH needs the package arch: pip install arch.") from None
    order: dict[str, Any] = dict(p=1, o=int(asymmetric), q=1)
    model = arch_model(PERCENT * returns, mean="Zero", vol="GARCH", dist="t", **order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that ends at a bound: it is used as it is
        fitted = model.fit(last_obs=last, disp="off", show_warning=False)
        ahead = fitted.forecast(horizon=1, start=test, reindex=False)
    df = float(fitted.params.to_dict()["nu"])
    variance = ahead.variance.to_numpy()[:, 0] / PERCENT**2
    return np.sqrt(variance * (df - 2) / df), df


def of_scale(scale: np.ndarray, df: float) -> Mixture:
    """One component a row, whose scale is within `WITHIN`."""
    return Mixture(np.zeros((1, len(scale))), np.clip(scale, *WITHIN)[None], df)
