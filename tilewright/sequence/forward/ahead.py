"""Tomorrow's table: what the newest nets say of every instrument that has a price today.

In: a job's folder. Out: a data frame, a row an instrument: `instrument`, `date` (the last day of
prices), `target_date`, `mean`, and a column for each quantile, such as `q05`: of the log return to
the target date's close, or of the volatility a day until then (root mean square of returns). Of
volatilities it is the `geometric_mean`: with Student-t noise in their logarithm the mean is
infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import quantile_name, target_date
from tilewright.alpha.walking.scored import LEVELS
from tilewright.alpha.walking.windows import of_day, windows_of
from tilewright.doubts import expected
from tilewright.sequence.forward.panel import make_forward_panel
from tilewright.sequence.forward.settings import DENSITY, VOLATILITY
from tilewright.sequence.forward.walk import ForwardFolder
from tilewright.sequence.regressor import LSTMRegressor

CENTRE = {DENSITY: "mean", VOLATILITY: "geometric_mean"}


def today(job: ForwardFolder) -> Any:
    """The table; raises `AlphaError` when the day's window has no nets yet."""
    import pandas as pd

    prices, settings = job.prices, job.settings
    windows, last = windows_of(prices.days, settings), len(prices.days) - 1
    window = of_day(windows, last)
    job.prepare([window])
    path = job.fit_path(window)
    if not path.exists():
        raise AlphaError(f"The nets that serve {prices.days[last]} are not in {job.path} yet.")
    panel = make_forward_panel(prices, settings.target)
    stocks = np.flatnonzero(panel.there[last])
    if not len(stocks):
        raise AlphaError(f"No instrument has a price and enough past on {prices.days[last]}.")
    with expected():
        forecast = LSTMRegressor.load(path).predict_distribution(panel.rows(window.start, last + 1))
    mine = panel.places(window.start, last + 1)[:, 0] == last
    unit = panel.unit[last, stocks]

    def back(values: np.ndarray) -> np.ndarray:
        return (values if settings.target == DENSITY else np.exp(values)) * unit

    columns = {
        "instrument": [prices.names[stock] for stock in stocks],
        "date": prices.days[last],
        "target_date": target_date(prices.days, settings.horizon),
        CENTRE[settings.target]: back(forecast.mean()[mine]),
    }
    quantiles = forecast.quantile(LEVELS)[:, mine]
    columns |= {quantile_name(p): back(q) for p, q in zip(LEVELS, quantiles, strict=True)}
    return pd.DataFrame(columns)
