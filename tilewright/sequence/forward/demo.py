"""Both targets beside each other: the next day's density, and the volatility of the next five days.

In: what came of the two jobs, in words. Out: one page that says both and leads to each.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from tilewright.alpha.walking.page import html
from tilewright.files import write_text
from tilewright.sequence.forward.report.words import WHAT, Words
from tilewright.sequence.forward.settings import DENSITY, VOLATILITY, ForwardSettings

SETTINGS = {
    kind: ForwardSettings(target=kind, first="2004-11-16", controls=1)
    for kind in (DENSITY, VOLATILITY)
}
"""Refitted every two years from the end of 2004 on, nine whole windows."""
SURVIVORS = (
    "The 20 stocks are survivors: nobody could have chosen them beforehand. How widely they "
    "scatter suffers less from that than which way they went; no claim of money is made."
)


def both(folder: Path, source: str, found: Mapping[str, Words]) -> Path:
    """Write the page; its path."""
    parts = "".join(_answer(WHAT[kind], said, kind) for kind, said in found.items())
    body = [
        f'<p class="kicker">tilewright lstm · {escape(source)}</p>',
        "<h1>What a net that remembers is worth, against the best that is simpler</h1>",
        f'<p class="lede">{escape(SURVIVORS if "skfolio" in source else "")}</p>',
        f'<div class="pair">{parts}</div>',
    ]
    path = folder / "report.html"
    write_text(path, html("tilewright lstm", body))
    return path


def _answer(title: str, said: Words, link: str) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in (*said.findings, *said.controls))
    return (
        f'<section class="verdict"><h2>{escape(title)}</h2><p><b>{escape(said.headline)}</b></p>'
        f'<ul>{items}</ul><p><a href="{link}/report.html">All of it</a></p></section>'
    )
