"""Alpha: predictive distributions of returns, by Bayesian neural nets over sliding windows.

    from tilewright.alpha import BayesianMLPRegressor    a scikit-learn estimator, for all targets
    from tilewright.alpha import AlphaRegressor          the same, set up for daily returns
    from tilewright.alpha import Job, Settings, walk     the job of the command line

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "AlphaError",
    "AlphaRegressor",
    "BayesianMLPRegressor",
    "Job",
    "Mixture",
    "Sampler",
    "Settings",
    "walk",
]

if TYPE_CHECKING:
    from tilewright.alpha.errors import AlphaError
    from tilewright.alpha.estimator import AlphaRegressor
    from tilewright.alpha.forward import walk
    from tilewright.alpha.job import Job
    from tilewright.alpha.mixture import Mixture
    from tilewright.alpha.regressor import BayesianMLPRegressor
    from tilewright.alpha.settings import Sampler, Settings

_HOME = {
    "AlphaError": "errors",
    "AlphaRegressor": "estimator",
    "BayesianMLPRegressor": "regressor",
    "Job": "job",
    "Mixture": "mixture",
    "Sampler": "settings",
    "Settings": "settings",
    "walk": "forward",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'tilewright.alpha' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"tilewright.alpha.{_HOME[name]}"), name)
    globals()[name] = value
    return value
