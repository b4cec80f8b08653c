"""What every page is made of: one self-contained document of sections, tiles, figures and facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tilewright.alpha.report.style import CSS


def document(title: str, body: Iterable[str], more_css: str = "", plots: bool = True) -> str:
    """The whole page, with everything inside, plotly too where there are `plots` of it."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{more_css}</style>"
        f"{_plotly() if plots else ''}</head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


def section(title: str, note: str, content: str) -> str:
    """A box with a heading; what stands between backticks in the note is code."""
    words = re.sub("`([^`]+)`", r"<code>\1</code>", escape(note))
    note = f'<p class="note">{words}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{note}{content}</section>"


def tiles_of(tiles: Iterable[tuple[str, str]]) -> str:
    """Figures in large type, each with a few words."""
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(text)}</span></div>'
        for figure, text in tiles
    ) + "</div>"  # fmt: skip


def verdict_of(
    sentences: Iterable[str], sound: bool = True, title: str = "What this is worth"
) -> str:
    """What it is worth, in words."""
    items = "".join(f"<li>{escape(text)}</li>" for text in sentences)
    kind = "verdict" if sound else "verdict unsound"
    return f'<section class="{kind}"><h2>{escape(title)}</h2><ul>{items}</ul></section>'


def facts_of(facts: Mapping[str, str]) -> str:
    """Names and what they are."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{items}</dl>"


def plot(figure: Any) -> str:
    """A figure of plotly's as a part of a page."""
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
