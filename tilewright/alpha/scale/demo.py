"""The demo's two answers beside each other: which way returns go, and how widely they scatter.

In: the outcome of the talk's job (`alpha.forward`) in words, and that of the scale. Out: one page
that says both and leads to the page of each.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from tilewright.alpha.report.verdict import GLOSSARY as MEAN_WORDS
from tilewright.alpha.report.verdict import Verdict
from tilewright.alpha.scale.report.words import GLOSSARY as SCALE_WORDS
from tilewright.alpha.scale.report.words import Words
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.walking.page import definitions, html, section
from tilewright.files import write_text

MEAN, SCALE = "mean", "scale"
"""Folders of the two jobs in that of the demo."""
SETTINGS = ScaleSettings(test=252, first="2000-12-13", controls=1, sequence=5, rivals="few")
"""Refitted once a year, so that the days for a verdict come in minutes; all else as it is."""
LONGER = (
    "The demo refits once a year on 1,000 days, to be done in minutes. Refitted every quarter on "
    "2,500 (tilewright alpha walk-forward --train 2500), the linear scale model alone is 0.0130 ± "
    "0.0012 better than the EWMA, and 0.0084 ± 0.0011 than GJR-t, over 5,544 days since 2000."
)
MEAN_SHARE = 0.35
"""Of the demo's minutes."""
SURVIVORS = (
    "The 20 stocks are survivors: nobody could have chosen them beforehand. Costs are in no "
    "score, and no claim of money is made."
)


def both(folder: Path, mean: Verdict, scale: Words | None) -> Path:
    """Write the page of both answers; its path."""
    answers = [_answer("Which way? The talk's alpha", mean.headline, mean.findings, MEAN)]
    if scale is not None:
        findings = [*scale.findings, LONGER]
        answers.append(_answer("How wide? The distribution", scale.headline, findings, SCALE))
    body = [
        '<p class="kicker">tilewright alpha · 20 S&amp;P 500 stocks, 1990-2022</p>',
        "<h1>Two questions about tomorrow, two answers</h1>",
        f'<p class="lede">{escape(SURVIVORS)}</p>',
        f'<div class="pair">{"".join(answers)}</div>',
        section("How to read it", "", definitions({**MEAN_WORDS, **SCALE_WORDS})),
    ]
    path = folder / "report.html"
    write_text(path, html("tilewright alpha", body))
    return path


def _answer(title: str, headline: str, findings: list[str], link: str) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in findings)
    return (
        f'<section class="verdict"><h2>{escape(title)}</h2><p><b>{escape(headline)}</b></p>'
        f'<ul>{items}</ul><p><a href="{link}/report.html">Its page: figures, every model, '
        "controls</a></p></section>"
    )
