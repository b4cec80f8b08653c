"""Alpha: predictive distributions of returns, by Bayesian neural nets over sliding windows.

    from tilewright.alpha import BayesianMLPRegressor    a scikit-learn estimator, for all targets
    from tilewright.alpha import AlphaRegressor          the same, set up for daily returns
    from tilewright.alpha import ScaleSettings, walk     how widely returns scatter, walked forward
    from tilewright.alpha import Job, Settings, Sampler  the talk's job: their mean (alpha.forward)

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
    "ScaleChain",
    "ScaleSettings",
    "Settings",
    "check_lookahead",
    "walk",
]

if TYPE_CHECKING:
    from tilewright.alpha.errors import AlphaError
    from tilewright.alpha.estimator import AlphaRegressor
    from tilewright.alpha.job import Job
    from tilewright.alpha.lookahead import check_lookahead
    from tilewright.alpha.mixture import Mixture
    from tilewright.alpha.regressor import BayesianMLPRegressor
    from tilewright.alpha.scale.settings import ScaleChain, ScaleSettings
    from tilewright.alpha.scale.walk import walk
    from tilewright.alpha.settings import Sampler, Settings

_HOME = {
    "AlphaError": "errors",
    "AlphaRegressor": "estimator",
    "BayesianMLPRegressor": "regressor",
    "Job": "job",
    "Mixture": "mixture",
    "Sampler": "settings",
    "ScaleChain": "scale.settings",
    "ScaleSettings": "scale.settings",
    "Settings": "settings",
    "check_lookahead": "lookahead",
    "walk": "scale.walk",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'tilewright.alpha' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"tilewright.alpha.{_HOME[name]}"), name)
    globals()[name] = value
    return value
