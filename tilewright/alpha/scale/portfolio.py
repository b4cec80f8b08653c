"""Tomorrow's returns of all instruments together, for who builds portfolios (skfolio).

In: a job's folder. Out: scenarios, (scenarios, instruments) of simple returns, and a prior of
skfolio's that has them. Each instrument's scenarios are draws of its own predictive distribution;
how they go together is taken from the past, as the ranks of standardised returns on the newest days
(the Schaake shuffle: Clark, Gangopadhyay, Hay, Rajagopalan & Wilby 2004, J. Hydrometeorology 5).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from skfolio.prior import BasePrior, ReturnDistribution

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import ahead
from tilewright.alpha.scale.folder import ScaleFolder, opened
from tilewright.alpha.settings import whole

LEAST = 100
"""Days, to know how returns go together."""


def scenarios(job: ScaleFolder, count: int = 1000, seed: int = 0) -> Any:
    """A data frame, a column an instrument; `count` scenarios, or as many as there are days for.

    Raises `AlphaError` when the day's window has no model yet, and where instruments have fewer
    than 100 days in common.
    """
    import pandas as pd

    whole("count", count, LEAST)
    whole("seed", seed, 0, 2**32 - 1)
    found = ahead(job)
    past = found.panel.target[:, found.stocks]
    past = past[np.isfinite(past).all(axis=1)][-count:]
    if len(past) < LEAST:
        raise AlphaError(
            f"The instruments have {len(past)} days of returns in common; {LEAST} are needed to "
            "know how they go together."
        )
    drawn = np.sort(found.forecast.sample(len(past), seed), axis=0)
    ranks = past.argsort(axis=0).argsort(axis=0)
    returns = np.expm1(np.take_along_axis(drawn, ranks, axis=0) * found.unit)
    return pd.DataFrame(returns, columns=[job.prices.names[stock] for stock in found.stocks])


class ScenarioPrior(BasePrior):
    """A prior of skfolio's: the job's scenarios of the day after its last, whatever X says of it.

    Of X (observations, assets), a data frame, the names of the assets are taken, and nothing else.
    """

    return_distribution_: ReturnDistribution

    def __init__(self, folder: str | Path, count: int = 1000, seed: int = 0):
        self.folder = folder
        self.count = count
        self.seed = seed

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Raises `AlphaError` for an asset that the job says nothing of."""
        found = scenarios(opened(Path(self.folder)), self.count, self.seed)
        names = list(getattr(X, "columns", ()))
        if not names:
            raise AlphaError("X must be a data frame: its columns are the names of the assets.")
        strangers = [name for name in names if name not in found.columns]
        if strangers:
            raise AlphaError(f"The job in {self.folder} says nothing of {strangers[0]!r} today.")
        self.feature_names_in_, self.n_features_in_ = np.array(names, object), len(names)
        returns = found[names].to_numpy()
        self.return_distribution_ = ReturnDistribution(
            returns.mean(axis=0), np.atleast_2d(np.cov(returns, rowvar=False)), returns
        )
        return self
