"""What every page is made of: one self-contained document of sections, tiles, figures and facts."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tilewright.alpha.report.style import CSS

PLOT = '<script type="text/plot">'
DRAW = """(async () => {
  const packed = atob(document.getElementById("plotly").textContent);
  const bytes = Uint8Array.from(packed, (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const plots = [...document.querySelectorAll("script[type='text/plot']")];
  for (const text of [await new Response(stream).text(), ...plots.map((p) => p.textContent)]) {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  }
})().catch(() => {
  for (const place of document.querySelectorAll(".plotly-graph-div"))
    place.textContent = "This figure needs a browser of 2023 or later.";
});"""
"""Unpacks plotly, then draws each plot: all that browsers since 2023 can; older ones say so."""


def document(title: str, body: Iterable[str], more_css: str = "", plots: bool = True) -> str:
    """The whole page, with everything inside, plotly too where there are `plots` of it."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{more_css}</style></head>"
        f"<body><main>{''.join(body)}</main>{_plotly() if plots else ''}</body></html>"
    )


def _plotly() -> str:
    """Packed: it is 4.8 MB otherwise, and a page should be less than 5."""
    from plotly.offline import get_plotlyjs

    packed = base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
    return f'<script id="plotly" type="text/plain">{packed}</script><script>{DRAW}</script>'


def words(text: str) -> str:
    """Text as HTML; what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def section(title: str, note: str, content: str) -> str:
    """A box with a heading; what stands between backticks in the note is code."""
    note = f'<p class="note">{words(note)}</p>' if note else ""
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
    """Names and what they are; what stands between backticks there is code."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{words(v)}</dd>" for k, v in facts.items())
    return f"<dl>{items}</dl>"


def plot(figure: Any) -> str:
    """A figure of plotly's as a part of a page, drawn once plotly is there."""
    text = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return re.sub("<script[^>]*>", PLOT, text)
