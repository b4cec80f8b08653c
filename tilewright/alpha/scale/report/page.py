"""The page: what a portfolio manager reads first, the evidence below, how it was made at the end.

In: tallies, words, the newest window, diagnostics. Out: one HTML text with everything inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

import tilewright
from tilewright.alpha.controls import REAL
from tilewright.alpha.report.style import CSS
from tilewright.alpha.scale.report import svg
from tilewright.alpha.scale.report.tally import (
    COVER_50,
    COVER_90,
    CRPS,
    FIFTHS,
    LOG,
    QUANTILE,
    REGIMES,
    Tally,
)
from tilewright.alpha.scale.report.words import GLOSSARY, GOOD_R_HAT, Words, figure
from tilewright.alpha.scale.scored import MODELS, NET, Scored
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale_baselines import EWMA, GJR, LINEAR
from tilewright.alpha.tables import Prices
from tilewright.models import bnn

BLUE, GREY, AMBER, RED, GREEN = "#0b6e99", "#9aa5b1", "#c78a1b", "#a33a3a", "#2f8f5b"
AGAINST = {EWMA: GREY, GJR: AMBER, LINEAR: GREEN}
BANDS = ("rgba(11,110,153,0.14)", "rgba(11,110,153,0.34)")
MORE_CSS = """
svg { display: block; width: 100%; max-width: 820px; height: auto; }
svg text { font: 13px Inter, system-ui, sans-serif; fill: #52606d; }
.legend { margin: 4px 0 0; font-size: 13px; color: var(--soft); }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend span::before { content: ""; display: inline-block; width: 14px; height: 4px;
  margin: 0 6px 3px 0; background: var(--c); }
details > summary { cursor: pointer; font-weight: 600; }
.pair > section.verdict { margin: 0 0 18px; }
@media (max-width: 480px) { svg text { font-size: 21px; } main { padding: 20px 10px 40px; }
  section { padding: 16px 12px; } h1 { font-size: 23px; }
  th, td { padding: 5px 3px; font-size: 11px; white-space: normal; }
  td small { font-size: 9.5px; }
  dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
"""


@dataclass(frozen=True)
class Diagnostics:
    """A number a window of the real series, oldest first."""

    days: list[str]
    r_hat: np.ndarray  # worst over mean and log-scale of some rows
    ess: np.ndarray  # mean
    gradients: np.ndarray  # of all chains
    warm: np.ndarray  # bool
    lock_in: np.ndarray  # z of warm chains against cold ones
    failures: list[str]

    @property
    def converged(self) -> float:
        """Share of windows whose worst R-hat is near 1."""
        return float(np.mean(self.r_hat <= GOOD_R_HAT))


def page(
    prices: Prices,
    settings: ScaleSettings,
    tallies: Mapping[str, Tally],
    said: Words,
    newest: Scored,
    found: Diagnostics,
) -> str:
    """The whole page."""  # fmt: skip
    real = tallies[REAL]
    body = [
        f'<p class="kicker">tilewright alpha · the scale · {escape(prices.source)}</p>',
        f"<h1>{escape(said.headline)}</h1>",
        f'<p class="lede">{escape(_lede(prices, settings, real))}</p>',
        _verdict("What was found", said.findings, said.readable and said.sound is not False),
        _section("How to read it", "", _definitions(GLOSSARY)),
        _section("All models", "Mean over days. Below each score the net's lead on the days that "
                 "both have ± its standard error by date: negative means that the net is better. "
                 "Boosting gives quantiles and no density.", _scores(real)),
        _section("The newest window", f"{escape(_stock(prices, newest))}: the net's 50 % and 90 % "
                 "ranges of the next return, per cent; dots are what came.", _fan(prices, newest)),
        _section("Where the lead comes from", "The net's lead in log score, added up day by day. A "
                 "line that falls: the net helps.", _running(real)),
        '<div class="pair">',
        _section("Does nine of ten hold?", "Share of outcomes in the 90 % interval, by fifth of "
                 "how wide the net's forecast was; the dotted line is 90 %.", _fifths(real)),
        _section("In calm and in wild markets", "The same by thirds of the days, by the mean "
                 "volatility of all stocks.", _regimes(real)),
        "</div>",
        _section("By year, by stock", "The net's lead in log score over the EWMA, and its standard "
                 "errors by date, by year and by stock.", _by_year_and_stock(real, prices)),
        _section("The tails", "How often what came lay beyond a quantile.", _beyond(real)),
        _section("Where outcomes fell", "Outcomes by the share of the forecast below them (the "
                 "PIT): flat at 1 is honest.", _pit(real)),
        _verdict("Controls", said.controls, said.sound is not False),
        _verdict("Keep in mind", said.caveats, True),
        _section("How it was made", "", _facts(prices, settings, found)),
    ]  # fmt: skip
    return html("tilewright alpha: the scale", body)


def html(title: str, body: Sequence[str]) -> str:
    """A page with our style."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{MORE_CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _lede(prices: Prices, settings: ScaleSettings, real: Tally) -> str:
    days = "the next day's" if settings.horizon == 1 else f"the next {settings.horizon} days'"
    return (
        f"A Bayesian neural net that forecasts how widely {days} returns will scatter, refitted "
        f"every {settings.test} days on the {settings.train} days before, for {len(prices.names)} "
        f"instruments; forecasts from {real.days[0]} to {real.days[-1]}, each made with what was "
        "known then."
    )


def _verdict(title: str, items: Sequence[str], good: bool) -> str:
    listed = "".join(f"<li>{escape(text)}</li>" for text in items)
    kind = "verdict" if good else "verdict unsound"
    return f'<section class="{kind}"><h2>{escape(title)}</h2><ul>{listed}</ul></section>'


def _section(title: str, note: str, content: str) -> str:
    note = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{note}{content}</section>"


def _definitions(items: Mapping[str, str]) -> str:
    return "<dl>" + "".join(
        f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in items.items()
    ) + "</dl>"  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = []
    for first, *cells in rows:
        kind = ' class="net"' if first == NET else ""
        lines.append(f"<tr{kind}><td>{escape(first)}</td>"
                     + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")  # fmt: skip
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _scores(real: Tally) -> str:
    rows = []
    for i, model in enumerate(MODELS):
        if not real.has(model):
            continue
        cells = []
        for score in (LOG, CRPS, QUANTILE):
            value = real.mean(score, model)
            under = "" if model == NET else figure(real.over(model, score))
            cells.append(f"{value:.4f}<small>{under}</small>" if np.isfinite(value) else "—")
        cells += [f"{real.cover[c][i]:.1%}" for c in (COVER_50, COVER_90)]
        rows.append([model, *cells])
    return _table(["", LOG, CRPS, QUANTILE, COVER_50, COVER_90], rows)


def _stock(prices: Prices, newest: Scored) -> str:
    return prices.names[int(newest.places[0, 1])]


def _fan(prices: Prices, newest: Scored) -> str:
    mine = newest.places[:, 1] == newest.places[0, 1]
    unit = 100 * newest.unit[mine]
    quantiles = newest.quantiles[0][:, mine] * unit
    dates = [prices.days[day] for day in newest.places[mine, 0]]
    bands = [(quantiles[1], quantiles[5], BANDS[0]), (quantiles[2], quantiles[4], BANDS[1])]
    return svg.lines(
        dates, {}, "Forecast ranges and outcomes", bands, newest.outcome[mine] * unit
    ) + svg.legend({"90 %": BANDS[0], "50 %": BANDS[1], "what came": svg.INK})


def _running(real: Tally) -> str:
    lines = {
        f"to {model}": (np.nancumsum(real.lead[LOG][MODELS.index(model)]), colour)
        for model, colour in AGAINST.items()
        if real.has(model, LOG)
    }
    return svg.lines(real.days, lines, "Lead in log score, added up", digits=0)


def _fifths(real: Tally) -> str:
    return _grouped(
        {NET: (real.by_fifth[0], BLUE), EWMA: (real.by_fifth[MODELS.index(EWMA)], GREY)},
        ["calmest", *[""] * (FIFTHS - 2), "wildest"],
    )


def _regimes(real: Tally) -> str:
    return _grouped(
        {NET: (real.by_regime[0], BLUE), EWMA: (real.by_regime[MODELS.index(EWMA)], GREY)}, REGIMES
    )


def _grouped(series: Mapping[str, tuple[np.ndarray, str]], names: Sequence[str]) -> str:
    """Bars of several models beside each other, per cent."""
    values = np.column_stack([100 * v for v, _ in series.values()]).ravel()
    colours = [c for _, c in series.values()]
    labels = [text for name in names for text in (name, *[""] * (len(series) - 1))]
    return svg.bars(
        labels, values, "Share in the 90 % interval", colours, digits=0, line=90.0, low=80.0
    ) + svg.legend({name: c for name, (_, c) in series.items()})


def _by_year_and_stock(real: Tally, prices: Prices) -> str:
    lead, number = real.over(EWMA), MODELS.index(EWMA)
    years = np.array([day[:4] for day in real.days])
    each = np.unique(years)
    values = np.array([np.nanmean(real.lead[LOG][number][years == year]) for year in each])
    labels = [f"’{y[2:]}" if i % max(1, len(each) // 8) == 0 else "" for i, y in enumerate(each)]
    colours = [GREEN if v < 0 else RED for v in values]
    stocks = real.by_stock[number]
    order = np.argsort(np.nan_to_num(stocks))
    shown = order if len(order) <= 40 else np.concatenate([order[:20], order[-20:]])
    worse = [prices.names[i] for i in order if stocks[i] > 0]
    text = (
        f"Mean {lead.mean:+.4f}; standard errors {lead.by_date:.4f} by date, {lead.by_year:.4f} by "
        f"year, {lead.by_stock:.4f} by stock. The net is behind in "
        f"{np.sum(values > 0)} of {len(values)} years and on {len(worse)} of {len(stocks)} stocks"
        f"{': ' + ', '.join(worse[:8]) if worse else ''}."
    )
    by_stock = svg.bars(
        [prices.names[i] if len(shown) <= 10 else "" for i in shown],
        np.nan_to_num(stocks[shown]), "Lead by stock",
        [GREEN if stocks[i] < 0 else RED for i in shown], height=180,
    )  # fmt: skip
    by_year = svg.bars(labels, values, "Lead by year", colours, height=200)
    return f'<p class="note">{escape(text)}</p>{by_year}{by_stock}'


def _beyond(real: Tally) -> str:
    rows = [
        [model, *(f"{share:.2%}" for share in real.beyond[i])]
        for i, model in enumerate(MODELS)
        if real.has(model)
    ]
    head = ["", "below 1 %", "below 5 %", "above 95 %", "above 99 %"]
    return _table(head, [["as it should be", "1 %", "5 %", "5 %", "1 %"], *rows])


def _pit(real: Tally) -> str:
    bins = real.pit[0]
    names = ["0", *[""] * (len(bins) - 2), "1"]
    return svg.bars(names, bins, "Outcomes by the forecast's share below them", [BLUE],
                    height=180, digits=1, line=1.0)  # fmt: skip


def _facts(prices: Prices, settings: ScaleSettings, found: Diagnostics) -> str:
    chain = settings.chain
    warm = found.warm.any()
    return _definitions({
        "Net": _net(settings),
        "Chains": f"{settings.chains} a window, BlackJAX NUTS of up to {2**chain.doublings - 1} "
        f"steps, {chain.draws} draws; cold {chain.climb} steps of Adam and {chain.warmup} of "
        f"warm-up, warm {chain.rewarm}",
        "Converged": f"worst R-hat of mean and log-scale up to {GOOD_R_HAT} in "
        f"{found.converged:.0%} of windows (median {np.median(found.r_hat):.3f}, largest "
        f"{np.max(found.r_hat):.3f}); mean effective draws {np.mean(found.ess):.0f}",
        "Cost": _cost(found),
        "Warm against cold": f"largest distance of warm chains from the cold one "
        f"{np.nanmax(found.lock_in):.1f} Monte-Carlo errors (the largest of 5 rows, in "
        f"{int(np.isfinite(found.lock_in).sum())} windows)" if warm else "all chains start cold",
        "Windows": f"{len(found.days)} of {settings.train} training days, {settings.horizon} "
        f"purged, {settings.test} test days; sequences of {settings.sequence}",
        "Seed, version": f"{settings.seed}, tilewright {tilewright.__version__}, machine "
        f"{settings.machine}",
        "Data": f"{prices.source}; SHA-256 {prices.fingerprint()[:16]}…",
    })  # fmt: skip


def _net(settings: ScaleSettings) -> str:
    if settings.scale == bnn.LINEAR:
        return "log-scale linear in 28 features, Student-t noise"
    inner = "drawn once" if settings.scale == bnn.UNITS else "sampled"
    return (
        f"log-scale = constant + linear + {settings.hidden} tanh units of 28 features, inner "
        f"weights {inner}; Student-t noise; scales of priors and degrees of freedom are sampled"
    )


def _cost(found: Diagnostics) -> str:
    """Gradients, and effective draws for a thousand of them."""
    parts = []
    for name, mine in (("cold", ~found.warm), ("warm", found.warm)):
        if mine.any():
            rate = 1000 * found.ess[mine] / found.gradients[mine]
            parts.append(f"{name} windows {np.mean(found.gradients[mine]):,.0f} gradients, "
                         f"{np.median(rate):.2f} effective draws a thousand")  # fmt: skip
    return "; ".join(parts)


def as_json(tallies: Mapping[str, Tally], said: Words, found: Diagnostics) -> dict[str, Any]:
    """What the page says, for programs."""
    series = {}
    for name, one in tallies.items():
        series[name] = {
            "days": len(one.days), "rows": one.rows,
            "models": {
                model: {
                    **{score: one.mean(score, model) for score in (LOG, CRPS, QUANTILE)},
                    **{share: float(one.cover[share][i]) for share in (COVER_50, COVER_90)},
                    "cover 90 % by fifth": one.by_fifth[i].tolist(),
                    "cover 90 % by regime": one.by_regime[i].tolist(),
                    "beyond 1, 5, 95, 99 %": one.beyond[i].tolist(),
                    "lead in log score": vars(one.over(model)) if model != NET else None,
                }
                for i, model in enumerate(MODELS) if one.has(model)
            },
        }  # fmt: skip
    return {
        "headline": said.headline, "sound": said.sound, "readable": said.readable,
        "findings": said.findings, "controls": said.controls, "caveats": said.caveats,
        "series": series,
        "windows": {
            "days": found.days, "r_hat": found.r_hat.tolist(), "ess": found.ess.tolist(),
            "gradients": found.gradients.tolist(), "warm": found.warm.tolist(),
            "lock_in": found.lock_in.tolist(), "failures": found.failures,
        },
    }  # fmt: skip
