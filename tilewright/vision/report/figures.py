"""The page's figures: calibration, confusion, losses, time by layer.

In: an outcome. Out: one `Figure` each, without titles: the page has the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tilewright.alpha.report.drawing import FAINT, INK, LEGEND, MAIN, SECOND, figure_of
from tilewright.vision.comparison import LINEAR, Comparison
from tilewright.vision.layers import CONVOLUTION, COPY, OTHER, PRODUCT, LayerTime

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {CONVOLUTION: MAIN, PRODUCT: SECOND, COPY: "#b4632d", OTHER: FAINT}
SMOOTH = 20
"""Steps that a loss is averaged over."""


def calibration(found: Comparison) -> Figure:
    """Share of hits by the probability of the likeliest class: on the diagonal is honest."""
    figure = figure_of(340)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "dash": "dot", "width": 1},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    names = dict.fromkeys([LINEAR, found.rows[-1].name])
    for name, colour in zip(names, (SECOND, MAIN), strict=False):
        bins = found.reliability(name)
        figure.add_scatter(
            x=bins.confidence, y=bins.hits, mode="lines+markers",
            name="net" if name != LINEAR else "logistic regression",
            line={"color": colour, "width": 2}, customdata=bins.images,
            hovertemplate="said %{x:.0%}, came %{y:.0%}<br>%{customdata} images<extra></extra>",
        )  # fmt: skip
    low = min(0.5, *(float(found.reliability(name).confidence.min()) for name in names))
    figure.update_xaxes(title="probability that was given", range=[low, 1.01], tickformat=".0%")
    figure.update_yaxes(title="share that came", range=[0, 1.03], tickformat=".0%")
    figure.update_layout(legend=LEGEND)
    return figure


def confusion(found: Comparison, names: Sequence[str]) -> Figure:
    """Images by what came and what was said."""
    said = found.shares[found.rows[-1].name].argmax(axis=1)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (found.came, said), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = figure_of(340)
    figure.add_heatmap(
        z=shares, x=list(names), y=list(names), text=counts, zmin=0, zmax=1, xgap=2, ygap=2,
        texttemplate="%{text}" if len(names) <= 12 else None, showscale=False,
        colorscale=[[0, "#f3f6f8"], [1, MAIN]],
        hovertemplate="came %{y}, said %{x}<br>%{text} images<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="said", type="category")
    figure.update_yaxes(title="came", type="category", autorange="reversed", automargin=True)
    return figure


def losses(values: Sequence[float]) -> Figure:
    """Of each step, and a running mean."""
    figure = figure_of(280)
    steps = np.arange(1, len(values) + 1)
    figure.add_scatter(
        x=steps, y=values, mode="markers", marker={"size": 5, "color": FAINT}, name="a step"
    )
    window = min(SMOOTH, len(values))
    smooth = np.convolve(values, np.ones(window) / window, "valid")
    figure.add_scatter(
        x=steps[window - 1 :], y=smooth, mode="lines", line={"color": MAIN, "width": 2},
        name=f"mean of {window}",
    )  # fmt: skip
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="loss", rangemode="tozero")
    figure.update_layout(legend=LEGEND)
    return figure


def layers(rows: Sequence[LayerTime]) -> Figure:
    """A bar a step of the program, in its order, and what limits it."""
    figure = figure_of(340)
    places = np.arange(len(rows))
    for kind, colour in COLOURS.items():
        chosen = [i for i, row in enumerate(rows) if row.kind == kind]
        figure.add_bar(
            x=places[chosen], y=[1e3 * rows[i].seconds for i in chosen], name=kind,
            marker={"color": colour, "line": {"width": 0}},
            customdata=[[rows[i].name, 1e3 * rows[i].limit] for i in chosen],
            hovertemplate="%{customdata[0]}<br>%{y:.3f} ms, limit %{customdata[1]:.3f}"
            "<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=places, y=[1e3 * row.limit for row in rows], mode="markers", name="limit",
        marker={"symbol": "line-ew", "size": 7, "line": {"width": 2, "color": INK}},
        hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(title="steps of the program, first to last", showticklabels=False)
    figure.update_yaxes(title="ms")
    figure.update_layout(bargap=0.15, legend=LEGEND)
    return figure
