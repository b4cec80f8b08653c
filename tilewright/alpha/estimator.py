"""The regressor with the settings that suit daily returns.

In: features (rows, features) and one target a row, such as next-day returns in units of volatility.
Out: what `BayesianMLPRegressor` gives. The same chains as in the walk-forward job, one a tile.
"""

from __future__ import annotations

from typing import Any

from tilewright.alpha.priors import RETURNS
from tilewright.alpha.regressor import BayesianMLPRegressor


class AlphaRegressor(BayesianMLPRegressor):
    """`BayesianMLPRegressor` with other defaults: the prior "returns", 40 units, short chains.

    `prior="learned"` with `mean="constant"` and `scale="linear"` or `"net"` forecasts how widely
    returns scatter; give it longer chains (`warmup=500, draws=500, leapfrogs=None`).
    """

    def __init__(
        self,
        hidden: int | tuple[int, ...] = 40,
        chains: int = 2,
        warmup: int = 60,
        draws: int = 100,
        leapfrogs: int | None = 20,
        sampler: str = "hmc",
        precision: str = "float32",
        machine: str = "native",
        df: float | None = None,
        signal: float | None = None,
        random_state: Any = 0,
        prior: str = RETURNS,
        mean: str = "net",
        scale: str = "constant",
        scale_hidden: int | tuple[int, ...] = 8,
        relevance: bool = False,
        thin: int = 2,
        doublings: int = 8,
        patience: int = 1,
    ):
        super().__init__(
            hidden=hidden,
            prior=prior,
            mean=mean,
            scale=scale,
            scale_hidden=scale_hidden,
            relevance=relevance,
            chains=chains,
            warmup=warmup,
            draws=draws,
            thin=thin,
            leapfrogs=leapfrogs,
            doublings=doublings,
            patience=patience,
            sampler=sampler,
            precision=precision,
            machine=machine,
            df=df,
            signal=signal,
            random_state=random_state,
        )
