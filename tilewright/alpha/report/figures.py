"""The page's figures, by plotly: fan, calibration, chains, windows, running difference.

In: an outcome and its scores. Out: one `Figure` each, without titles: the page has the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.alpha.baselines import NORMAL, NULL, OLS, RIDGE
from tilewright.alpha.controls import REAL
from tilewright.alpha.diagnostics import WORST_R_HAT
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report.drawing import BETTER, FAINT, INK, LEGEND, WORSE, figure_of, styled
from tilewright.alpha.results import MODELS, NET, Result
from tilewright.alpha.scores import CRPS, Scores
from tilewright.alpha.windows import TEST

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {NET: "#0b6e99", NULL: "#9aa5b1", RIDGE: "#c78a1b", OLS: "#b4632d", NORMAL: "#a33a3a"}
DASHES = {NET: "solid", NULL: "longdash", RIDGE: "dash", OLS: "dot", NORMAL: "dashdot"}
"""Of models' lines, which printed in grey have no colours."""
FAN_DAYS, FAN_STOCKS = 252, 20
"""At most, so that a page of many stocks stays small."""


def fan(outcome: Outcome, volatility: np.ndarray) -> Figure:
    """Bands of the next day's return, per cent, for one stock at a time; dots are what came.

    Of many stocks there are `FAN_STOCKS`, evenly spread over the columns.
    """
    newest = outcome.series(REAL)[: -(-FAN_DAYS // TEST)][::-1]
    stocks = len(outcome.prices.names)
    days = np.concatenate([np.arange(r.test, r.test + TEST) for r in newest])
    bands = np.concatenate([r.quantiles.reshape(-1, TEST, stocks) for r in newest], axis=1)
    came = np.concatenate([r.outcome.reshape(TEST, stocks) for r in newest])
    unit = 100 * volatility[days]
    dates = [outcome.prices.days[min(day + 1, len(outcome.prices.days) - 1)] for day in days]
    figure = figure_of(380)
    shown = np.unique(np.linspace(0, stocks - 1, FAN_STOCKS).astype(int))
    for stock in shown:
        _add_fan(
            figure, dates, bands[:, :, stock] * unit[:, stock], came[:, stock] * unit[:, stock]
        )
    for number, trace in enumerate(figure.data):
        trace.visible = number // 5 == 0
    buttons = [
        {
            "label": outcome.prices.names[stock],
            "method": "restyle",
            "args": ["visible", [i // 5 == place for i in range(5 * len(shown))]],
        }
        for place, stock in enumerate(shown)
    ]
    figure.update_layout(
        updatemenus=[{"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.14, "yanchor": "top"}],
        legend={**LEGEND, "y": -0.16, "yanchor": "top"},
    )
    figure.update_xaxes(nticks=4, tickangle=0)  # the legend is right below
    figure.update_yaxes(title="next-day return, %")
    return figure


def _add_fan(figure: Figure, dates: list[str], bands: np.ndarray, came: np.ndarray) -> None:
    """Five traces: 90 % band, 50 % band, outcomes. `bands` is (levels, days)."""
    rounded = np.round(bands, 3)
    hidden: dict[str, Any] = {
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    shown: dict[str, Any] = {**hidden, "fill": "tonexty", "showlegend": True}
    figure.add_scatter(x=dates, y=rounded[0], **hidden)
    figure.add_scatter(
        x=dates, y=rounded[4], name="90 %", fillcolor="rgba(11,110,153,0.16)", **shown
    )
    figure.add_scatter(x=dates, y=rounded[1], **hidden)
    figure.add_scatter(
        x=dates, y=rounded[3], name="50 %", fillcolor="rgba(11,110,153,0.34)", **shown
    )
    figure.add_scatter(
        x=dates,
        y=np.round(came, 3),
        mode="markers",
        name="what came",
        marker={"size": 4, "color": INK},
    )


def calibration(results: list[Result]) -> Figure:
    """Histogram of the distribution function at the outcomes: flat when forecasts are honest."""
    figure = figure_of(320)
    edges = np.linspace(0, 1, 21)
    for model in (NET, NORMAL):
        pit = np.concatenate([r.pit[MODELS.index(model)] for r in results])
        density = np.histogram(pit, edges, density=True)[0]
        figure.add_scatter(
            x=np.append(edges[:-1], 1),
            y=np.append(density, density[-1]),
            name=model,
            mode="lines",
            line={"shape": "hv", "width": 2, **_line(model)},
            fill="tozeroy" if model == NET else None,
            fillcolor="rgba(11,110,153,0.10)",
        )
    figure.add_hline(y=1, line={"color": INK, "dash": "dot", "width": 1})
    figure.update_layout(legend=LEGEND)
    figure.update_xaxes(title="share below the outcome", range=[0, 1])
    figure.update_yaxes(title="density", rangemode="tozero")
    return figure


def chains(outcome: Outcome) -> Figure:
    """R-hat, its mean and worst, and effective sample sizes, window by window."""
    from plotly.subplots import make_subplots

    results = outcome.series(REAL)
    dates = [outcome.prices.days[r.test] for r in results]
    figure = styled(make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08), 320)
    failed = [bool(r.failure) for r in results]
    for name, summary, colour in (("worst", np.max, FAINT), ("mean", np.mean, COLOURS[NET])):
        values = [float(summary(r.r_hat)) for r in results]
        figure.add_scatter(x=dates, y=values, name=name, row=1, col=1, **_dots(colour, failed))
    sizes = [float(np.mean(r.ess)) for r in results]
    figure.add_scatter(
        x=dates, y=sizes, showlegend=False, row=2, col=1, **_dots(COLOURS[NET], failed)
    )
    top = max([WORST_R_HAT, *(float(np.nan_to_num(r.r_hat.max(), nan=1)) for r in results)])
    if top > WORST_R_HAT:
        first: Any = 1  # plotly's own annotations want text here
        figure.add_hline(y=WORST_R_HAT, line={"color": WORSE, "dash": "dot"}, row=first, col=first)
    figure.update_yaxes(title="R-hat", row=1, col=1)
    figure.update_yaxes(title="ESS", rangemode="tozero", row=2, col=1)
    figure.update_layout(legend=LEGEND)
    return figure


def _dots(colour: str, failed: list[bool]) -> dict[str, Any]:
    """Markers; a failed window has a red cross."""
    return {
        "mode": "markers",
        "marker": {
            "size": [9 if f else 5 for f in failed],
            "symbol": ["x" if f else "circle" for f in failed],
            "color": [WORSE if f else colour for f in failed],
        },
    }


def strip(outcome: Outcome) -> Figure:
    """A bar a window: CRPS of the net less that of the null. Failed windows are crossed."""
    results = outcome.series(REAL)
    net, null = MODELS.index(NET), MODELS.index(NULL)
    gains = [float(r.crps[net].mean() - r.crps[null].mean()) for r in results]
    dates = [outcome.prices.days[r.test] for r in results]
    figure = figure_of(250)
    figure.add_bar(
        x=dates,
        y=gains,
        marker={
            "color": [BETTER if gain < 0 else WORSE for gain in gains],
            "pattern": {"shape": ["x" if r.failure else "" for r in results]},
            "line": {"width": 0},
        },
        customdata=[r.failure or "passed" for r in results],
        hovertemplate="%{x}<br>%{y:+.4f}<br>%{customdata}<extra></extra>",
        showlegend=False,
    )
    broken = [i for i, r in enumerate(results) if r.failure]
    if broken:
        figure.add_scatter(
            x=[dates[i] for i in broken],
            y=[0] * len(broken),
            mode="markers",
            marker={"symbol": "x", "size": 9, "color": INK},
            name="failed",
        )
    figure.update_yaxes(title="CRPS less null's")
    return figure


def running(outcome: Outcome, scores: Scores) -> Figure:
    """Differences to the null, summed over the days: downwards is better."""
    figure = figure_of(320)
    dates = [outcome.prices.days[day] for day in scores.days]
    values = scores.by_day[CRPS]
    null = values[MODELS.index(NULL)]
    for model in (NET, RIDGE, OLS, NORMAL):
        total = np.cumsum(values[MODELS.index(model)] - null)
        figure.add_scatter(
            x=dates,
            y=np.round(total, 4),
            name=model,
            mode="lines",
            line={"width": 3 if model == NET else 1.5, **_line(model)},
        )
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_yaxes(title="summed CRPS less null's")
    figure.update_layout(legend=LEGEND)
    return figure


def _line(model: str) -> dict[str, str]:
    return {"color": COLOURS[model], "dash": DASHES[model]}
