"""How all figures of all pages look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, GRID, FAINT = "#1f2933", "#e4e9ee", "#9aa5b1"
MAIN, SECOND = "#0b6e99", "#c78a1b"
BETTER, WORSE = "#2f8f5b", "#c0504d"
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
"""Above the plot, which makes room for as many lines as a narrow page needs."""


def figure_of(height: int) -> Figure:
    """An empty one, in pixels."""
    from plotly.graph_objects import Figure

    return styled(Figure(), height)


def styled(figure: Figure, height: int) -> Figure:
    """In the page's colours and type."""
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 12, "t": 36, "b": 44},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"family": "Inter, system-ui, sans-serif", "size": 13, "color": INK},
        hoverlabel={"bgcolor": "white"},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=GRID)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    return figure
