"""What trading on the net's mean would have come to, on the page of the talk's job.

In: a finished job. Out: `Trading` of its real series, and of that sentences, figures and JSON.
Trials are the jobs in the folder around this one: of all that were tried, one is looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tilewright.alpha.controls import REAL
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report.drawing import FAINT, INK, LEGEND, MAIN, SECOND, figure_of
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import LEAST_DAYS
from tilewright.alpha.trading import DELAYS, YEAR, Trading, trade
from tilewright.alpha.windows import TEST

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SUMMARY, TRADING, SHARPE = "summary.json", "trading", "sharpe_a_day"


def trading_of(folder: Path, outcome: Outcome) -> Trading | None:
    """Of the job in that folder; None for a table of one stock, which has no order."""
    import pandas as pd

    prices = outcome.prices.values
    if prices.shape[1] < 2:
        return None
    forecast = np.full(prices.shape, np.nan)
    for result in outcome.series(REAL):
        mean = result.mean[MODELS.index(NET)].reshape(TEST, -1)
        forecast[result.test : result.test + TEST] = mean
    volatility = ewma_volatility(pd.DataFrame(np.log(prices)).diff()).to_numpy()
    return trade(forecast, prices, volatility, others=_others(folder))


def _others(folder: Path) -> list[float]:
    """Sharpe ratios of the other jobs in the folder around."""
    found, mine = [], folder.resolve()
    for path in sorted(mine.parent.glob(f"*/{SUMMARY}")):
        if path.parent == mine:
            continue
        try:
            found.append(float(json.loads(path.read_text())[TRADING][SHARPE]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a summary of something else
    return found


def sentences(found: Trading) -> list[str]:
    """In words, for a report."""
    if len(found.days) < LEAST_DAYS:
        return [
            f"What trading on it would have come to cannot be told from {len(found.days)} days: "
            f"{LEAST_DAYS} are needed."
        ]
    (mean, error), later = found.decay[0], found.decay[1]
    spread, spread_error = (1e4 * value for value in found.spread)
    gross, net = (YEAR * float(series.mean()) for series in (found.gross, found.net))
    trials = f"{found.trials} trials" if found.trials > 1 else "one trial"
    return [
        f"Within a day the net's order of the stocks goes with that of their next returns by "
        f"{mean:+.4f} ± {error:.4f} (rank correlation), with that of the day after by "
        f"{later[0]:+.4f} ± {later[1]:.4f}; its upper fifth made {spread:+.1f} ± "
        f"{spread_error:.1f} basis points a day more than its lower.",
        f"Long and short by rank, a day after the forecast, the book made {gross:+.1%} a year "
        f"before costs and {net:+.1%} after {found.cost:g} basis points a trade; "
        f"{found.turnover:.0%} of it is traded a day. Its Sharpe ratio after costs is "
        f"{found.sharpe_a_year:+.2f}; that it is better than the best of {trials} without any "
        f"worth has a probability of {found.likely:.0%}.",
    ]


def as_json(found: Trading) -> dict[str, object]:
    """Figures for programs; `sharpe_a_day` is what later trials are deflated by."""
    return {
        "rank_ic": {str(delay): {"mean": float(mean), "error": float(error)}
                    for delay, (mean, error) in zip(DELAYS, found.decay, strict=True)},
        "fifths": [{"mean": float(mean), "error": float(error)} for mean, error in found.fifths],
        "spread": {"mean": found.spread[0], "error": found.spread[1]},
        "turnover": found.turnover, "cost_basis_points": found.cost,
        "gross_a_year": YEAR * float(found.gross.mean()),
        "net_a_year": YEAR * float(found.net.mean()),
        "sharpe_a_day": found.sharpe, "trials": found.trials, "deflated": found.likely,
    }  # fmt: skip


def over_time(found: Trading, days: list[str]) -> Figure:
    """The book, added up, and the rank correlation, the mean of a year; `days` are all dates."""
    dates = [days[day] for day in found.days]
    figure = figure_of(320)
    for name, series, colour in (("before costs", found.gross, FAINT), ("after", found.net, MAIN)):
        figure.add_scatter(x=dates, y=np.round(100 * np.cumsum(series), 2), name=name,
                           mode="lines", line={"color": colour, "width": 2})  # fmt: skip
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_yaxes(title="added up, %")
    figure.update_layout(legend=LEGEND)
    return figure


def correlation(found: Trading, days: list[str]) -> Figure:
    """Means over a year of the daily rank correlation."""
    import pandas as pd

    year = pd.Series(found.ic).rolling(YEAR, min_periods=TEST).mean()
    figure = figure_of(280)
    figure.add_scatter(x=[days[day] for day in found.days], y=year.round(4), mode="lines",
                       line={"color": MAIN, "width": 2}, showlegend=False)  # fmt: skip
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_yaxes(title="mean of a year")
    return figure


def decay(found: Trading) -> Figure:
    """The rank correlation with the returns of later days."""
    names = [str(delay) for delay in DELAYS]
    return _bars(names, found.decay, 1.0, "days after the next", "rank correlation")


def fifths(found: Trading) -> Figure:
    """Mean returns by fifth of the forecast."""
    names = ["lowest", *[""] * (len(found.fifths) - 2), "highest"]
    numbered = [f"{i + 1} {name}".strip() for i, name in enumerate(names)]
    return _bars(numbered, found.fifths, 1e4, "fifth of the forecast", "basis points a day")


def _bars(names: list[str], values: np.ndarray, unit: float, x: str, y: str) -> Figure:
    """Means (bars, 2) with two standard errors each way."""
    figure = figure_of(280)
    errors = {"type": "data", "array": 2 * unit * values[:, 1], "color": INK, "thickness": 1}
    figure.add_bar(x=names, y=unit * values[:, 0], error_y=errors, showlegend=False,
                   marker={"color": SECOND})  # fmt: skip
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(title=x, type="category")
    figure.update_yaxes(title=y)
    return figure
