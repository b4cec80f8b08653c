"""Pieces of the page of a job: a verdict, a table of all models, and what leads are made of.

In: a `Tally`. Out: texts of HTML; pages put them in order and add what is their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from tilewright.alpha.report.html import document, facts_of, verdict_of
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking import svg
from tilewright.alpha.walking.tally import COVER_50, COVER_90, FIFTHS, REGIMES, Lead, Tally

BLUE, GREY, AMBER, RED, GREEN = "#0b6e99", "#9aa5b1", "#c78a1b", "#a33a3a", "#2f8f5b"
BANDS = ("rgba(11,110,153,0.14)", "rgba(11,110,153,0.34)")
ENDS = ("below 1", "below 5", "above 95", "above 99")
SEEN = 2.5
"""Per cent that the least bar has at least."""
NAMED = 8
"""Stocks of a sentence."""
MORE_CSS = """
svg { display: block; width: 100%; height: auto; }
svg text { font: 13px Inter, system-ui, sans-serif; fill: #52606d; }
.pair svg text { font-size: 20px; }
.legend { margin: 4px 0 0; font-size: 13px; color: var(--soft); }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend span::before { content: ""; display: inline-block; width: 14px; height: 4px;
  margin: 0 6px 3px 0; background: var(--c); }
details > summary { cursor: pointer; font-weight: 600; }
.pair > section.verdict { margin: 0 0 18px; }
@media (min-width: 700px) { td small { white-space: nowrap; } }
@media (max-width: 480px) { svg text { font-size: 21px; } }
@media (min-width: 900px) { section > svg text { font-size: 9.5px; } }
"""


def html(title: str, body: Sequence[str]) -> str:
    """A page with our style."""
    return document(title, body, MORE_CSS, plots=False)


def verdict(title: str, items: Sequence[str], good: bool) -> str:
    """Sentences in a box of their own."""
    return verdict_of(items, good, title)


def section(title: str, note: str, content: str) -> str:
    """A box with a heading; the note is HTML."""
    note = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{note}{content}</section>"


def definitions(items: Mapping[str, str]) -> str:
    """Words and what they mean."""
    return facts_of(items)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], marked: str = "") -> str:
    """The row of that name stands out; cells are HTML."""
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = []
    for first, *cells in rows:
        kind = ' class="net"' if first == marked else ""
        lines.append(f"<tr{kind}><td>{escape(first)}</td>"
                     + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")  # fmt: skip
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def scores(real: Tally, which: Sequence[str]) -> str:
    """Means of these scores, and the first model's lead over each."""
    rows = []
    for i, model in enumerate(real.models):
        if not real.has(model):
            continue
        cells = []
        for score in which:
            value = real.mean(score, model)
            under = "" if not i else figure(real.over(model, score))
            cells.append(f"{value:.4f}<small>{under}</small>" if np.isfinite(value) else "—")
        cells += [f"{real.cover[c][i]:.1%}" for c in (COVER_50, COVER_90)]
        rows.append([model, *cells])
    return table(["", *which, COVER_50, COVER_90], rows, real.models[0])


def running(real: Tally, against: Mapping[str, str]) -> str:
    """Leads in the main score, added up day by day; models and their colours."""
    lines = {
        f"to {model}": (np.nancumsum(real.lead[real.main][real.models.index(model)]), colour)
        for model, colour in against.items()
        if real.has(model, real.main)
    }
    return svg.lines(real.days, lines, f"Lead in {real.main}, added up")


def fifths(real: Tally, other: str) -> str:
    """Of the first model, and beside it another."""
    return _grouped(
        _two(real, real.by_fifth, other),
        ["calmest", *[""] * (FIFTHS - 2), "wildest"],
    )


def regimes(real: Tally, other: str) -> str:
    """The same by regime."""
    return _grouped(_two(real, real.by_regime, other), REGIMES)


def _two(real: Tally, values: np.ndarray, other: str) -> dict[str, tuple[np.ndarray, str]]:
    return {
        real.models[0]: (values[0], BLUE),
        other: (values[real.models.index(other)], GREY),
    }


def _grouped(series: Mapping[str, tuple[np.ndarray, str]], names: Sequence[str]) -> str:
    """Bars of several models beside each other, per cent."""
    values = np.column_stack([100 * v for v, _ in series.values()]).ravel()
    colours = [c for _, c in series.values()]
    return svg.bars(
        names,
        values,
        "Share in the 90 % interval",
        colours,
        line=90.0,
        low=start_of_bars(values),
        group=len(series),
    ) + svg.legend({name: c for name, (_, c) in series.items()})


def start_of_bars(shares: np.ndarray) -> float:
    """Where bars of per cent begin: below the least of them, so that the worst is seen, too."""
    least = float(np.nanmin(shares))
    return max(0.0, min(80.0, 5 * math.floor((least - SEEN) / 5)))


def by_year_and_stock(real: Tally, prices: Prices, other: str) -> str:
    """The first model's lead over another."""
    lead, number = real.over(other), real.models.index(other)
    years = np.array([day[:4] for day in real.days])
    each = np.unique(years)
    values = np.array([np.nanmean(real.lead[real.main][number][years == year]) for year in each])
    labels = [f"’{y[2:]}" if i % max(1, len(each) // 8) == 0 else "" for i, y in enumerate(each)]
    colours = [GREEN if v < 0 else RED for v in values]
    stocks = real.by_stock[number]
    order = np.argsort(np.nan_to_num(stocks))
    shown = order if len(order) <= 40 else np.concatenate([order[:20], order[-20:]])
    worse = [prices.names[i] for i in order if stocks[i] > 0]
    text = (
        f"Mean {lead.mean:+.4f}; standard errors {_errors(lead)}. The net is behind in "
        f"{np.sum(values > 0)} of {len(values)} years and on {len(worse)} of {len(stocks)} stocks"
        f"{': ' + joined(_first(worse)) if worse else ''}."
    )
    named = shown if len(shown) <= 10 else shown[[0, -1]]
    by_stock = svg.bars(
        [prices.names[i] if i in named else "" for i in shown],
        np.nan_to_num(stocks[shown]), "Lead by stock",
        [GREEN if stocks[i] < 0 else RED for i in shown], height=180,
    )  # fmt: skip
    by_year = svg.bars(labels, values, "Lead by year", colours, height=200)
    parts = [text, "By year:", by_year, "By stock, the best lead first:", by_stock]
    return "".join(p if p.startswith("<svg") else f'<p class="note">{escape(p)}</p>' for p in parts)


def _first(names: list[str]) -> list[str]:
    """All of a few; of more, how many are not named."""
    return names if len(names) <= NAMED else [*names[:NAMED], f"{len(names) - NAMED} more"]


def _errors(lead: Lead) -> str:
    """Those that there are: one year, or one stock, has none."""
    known = {"date": lead.by_date, "year": lead.by_year, "stock": lead.by_stock}
    return ", ".join(f"{e:.4f} by {by}" for by, e in known.items() if np.isfinite(e)) or "unknown"


def beyond(real: Tally) -> str:
    rows = [
        [model, *(f"{share:.2%}" for share in real.beyond[i])]
        for i, model in enumerate(real.models)
        if real.has(model)
    ]
    head = ["", *(f"{where}\N{NO-BREAK SPACE}%" for where in ENDS)]
    return table(head, [["as it should be", "1 %", "5 %", "5 %", "1 %"], *rows])


def pit(real: Tally) -> str:
    bins = real.pit[0]
    names = ["0", *[""] * (len(bins) - 2), "1"]
    return svg.bars(names, bins, "Outcomes by the forecast's share below them", [BLUE],
                    height=180, line=1.0)  # fmt: skip


def joined(parts: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def figure(lead: Lead) -> str:
    """A difference with its standard error by date."""
    return f"{lead.mean:+.4f} ± {lead.by_date:.4f}"
