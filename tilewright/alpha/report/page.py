"""The self-contained HTML page: verdict, table, figures, and how it was made.

In: an outcome and its scores. Out: one text with everything inside, plotly too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

import tilewright
from tilewright.alpha.baselines import NULL
from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report import figures, trading
from tilewright.alpha.report.html import (
    document,
    facts_of,
    plot,
    section,
    tiles_of,
    verdict_of,
)
from tilewright.alpha.report.table import difference, side, value
from tilewright.alpha.report.verdict import GLOSSARY, Verdict
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import COVER_90, CRPS, MEASURES, RANK_IC, Scores
from tilewright.alpha.trading import Trading
from tilewright.alpha.windows import GAP, TEST, TRAIN

TITLES = {
    REAL: "Scores on the real target",
    PLANTED: "Control: planted signal",
    SHUFFLED: "Control: shuffled target",
}
NOTES = {
    REAL: "Mean over days, and below it the difference to the zero-mean null ± its standard error "
    "(by date; Newey–West over one test block). CRPS and log score: smaller is better. Coverage: "
    "near its name is better. Colour marks what chance alone does in 2.5 % of cases a side.",
    PLANTED: "A product of two features was added to the shuffled target. The net must find it; "
    "linear models cannot.",
    SHUFFLED: "Days of the target in random order. Nobody may be better than the null.",
}


def page(
    outcome: Outcome, scores: Mapping[str, Scores], said: Verdict, traded: Trading | None = None
) -> str:
    """The whole page."""
    body = [
        f'<p class="kicker">tilewright alpha · {escape(outcome.prices.source)}</p>',
        f"<h1>{escape(said.headline)}</h1>",
        f'<p class="lede">{escape(_lede(outcome))}</p>',
        _tiles(outcome, scores[REAL]),
        *_verdict(said),
        section("How to read it", "", facts_of(GLOSSARY)),
        section(TITLES[REAL], NOTES[REAL], _table(scores[REAL], MEASURES)),
        *_figures(outcome, scores[REAL]),
        *([] if traded is None else _trading(outcome, traded)),
        _controls(scores),
        section("How it was made", "", _facts(outcome)),
    ]
    return document("tilewright alpha", body)


def _lede(outcome: Outcome) -> str:
    results = outcome.series(REAL)
    first, last = results[-1].test, results[0].test + TEST - 1
    days, stocks = outcome.prices.days, len(outcome.prices.names)
    return (
        f"A Bayesian neural net, sampled anew on each of {len(results)} windows of {TRAIN} days × "
        f"{stocks} stocks, forecast the following {TEST} days each time: "
        f"{days[first]} to {days[last]}. The target is the next day's return in units of its own "
        "volatility."
    )


def _tiles(outcome: Outcome, real: Scores) -> str:
    results = outcome.series(REAL)
    crps, rank = real.cells[NET][CRPS], real.cells[NET][RANK_IC]
    return tiles_of(
        [
            (
                f"{crps.difference:+z.4f}",
                f"CRPS less that of a forecast of zero, ± {crps.error:.4f}",
            ),
            (f"{real.cells[NET][COVER_90].value:.1%}", "of outcomes inside the 90 % interval"),
            (f"{rank.value:+.3f}", f"rank IC, ± {rank.error:.3f}"),
            (f"{sum(bool(r.failure) for r in results)} / {len(results)}", "windows failed"),
        ]
    )


def _verdict(said: Verdict) -> list[str]:
    """Findings, controls and caveats, each in a box of its own."""
    parts = [
        ("What was found", said.findings, said.sound is not False and said.readable),
        ("Controls", said.controls, said.sound is not False),
        ("Keep in mind", said.caveats, True),
    ]
    return [verdict_of(items, good, title) for title, items, good in parts if items]


def _table(scores: Scores, measures: tuple[str, ...]) -> str:
    head = "".join(f"<th>{escape(measure)}</th>" for measure in measures)
    rows = []
    for model in MODELS:
        cells = "".join(_cell(scores, model, measure) for measure in measures)
        kind = ' class="net"' if model == NET else ""
        rows.append(f"<tr{kind}><td>{escape(model)}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(scores: Scores, model: str, measure: str) -> str:
    cell = scores.cells[model][measure]
    under = "—" if model == NULL else difference(measure, cell)
    return f'<td>{value(measure, cell)}<small class="{side(measure, cell)}">{under}</small></td>'


def _figures(outcome: Outcome, real: Scores) -> list[str]:
    import pandas as pd

    returns = pd.DataFrame(np.log(outcome.prices.values)).diff()
    volatility = ewma_volatility(returns).to_numpy()
    results = outcome.series(REAL)
    return [
        section(
            "Forecast and outcome",
            "The net's bands for the next day's return over the newest year; choose a stock.",
            plot(figures.fan(outcome, volatility)),
        ),
        section(
            "Where the difference comes from",
            "CRPS less the null's, added up day by day. A line that falls is a model that helps.",
            plot(figures.running(outcome, real)),
        ),
        section(
            "Window by window",
            "Below zero, green: the net beat the null. Crossed out: a window failed its checks.",
            plot(figures.strip(outcome)),
        ),
        '<div class="pair">',
        section(
            "Calibration",
            "Flat at 1 is honest. A hump in the middle: intervals are too wide.",
            plot(figures.calibration(results)),
        ),
        section(
            "Did the chains agree?",
            "R-hat near 1, and many effective draws, of the forecasts themselves.",
            plot(figures.chains(outcome)),
        ),
        "</div>",
    ]


def _trading(outcome: Outcome, found: Trading) -> list[str]:
    days = list(outcome.prices.days)
    return [
        section(
            "Had one traded on it",
            f"Long and short by rank of the net's mean, one unit invested in all, changed at the "
            f"close after the forecast; {found.cost:g} basis points a purchase or sale. Sums of "
            "daily returns.",
            plot(trading.over_time(found, days)),
        ),
        section(
            "Does the order of the stocks hold?",
            "Rank correlation of forecasts and returns within a day, over the years.",
            plot(trading.correlation(found, days)),
        ),
        '<div class="pair">',
        section(
            "How long it lasts",
            "The rank correlation with returns of later days ± two standard errors.",
            plot(trading.decay(found)),
        ),
        section(
            "By fifth",
            "Mean next-day return less that of all stocks ± two standard errors.",
            plot(trading.fifths(found)),
        ),
        "</div>",
    ]


def _controls(scores: Mapping[str, Scores]) -> str:
    shown = (CRPS, "rank IC")
    parts = [
        section(TITLES[name], NOTES[name], _table(scores[name], shown))
        for name in (PLANTED, SHUFFLED)
        if name in scores
    ]
    return f'<div class="pair">{"".join(parts)}</div>' if parts else ""


def _facts(outcome: Outcome) -> str:
    settings, notes = outcome.settings, outcome.notes
    sampler = settings.sampler
    controls = len(outcome.series(PLANTED))
    facts = {
        "Net": f"22 → {sampler.hidden} tanh → 1, fan-in priors, Student-t noise of learned scale; "
        "degrees of freedom fitted to each window and shared by all models but the last",
        "Sampler": f"BlackJAX {sampler.name.upper()}, {sampler.leapfrogs} leapfrog steps on "
        f"average, jittered; {settings.chains} chains of {sampler.warmup} warm-up steps and "
        f"{sampler.draws} draws; {sampler.precision} force",
        "Windows": f"{TRAIN} training days, {GAP} purged, {TEST} test days; features standardised "
        f"inside the window; {controls} windows of each control",
        "Chains": _chains(outcome.series(REAL)),
        "Speed": _speed(notes, len(outcome.results)),
        "Check": notes.get("check", {}).get("text", "not compared with plain JAX"),
        "Seed, version": f"{settings.seed}, tilewright {tilewright.__version__}, "
        f"machine {settings.machine}",
        "Data": f"{outcome.prices.source}; SHA-256 {outcome.prices.fingerprint()[:16]}…",
    }
    return facts_of(facts)


def _chains(results: Sequence[Any]) -> str:
    acceptance = np.mean([result.acceptance.mean() for result in results])
    r_hat = np.nanmean([result.r_hat.mean() for result in results])
    return f"acceptance {acceptance:.2f}, mean R-hat of the forecasts {r_hat:.3f}"


def _speed(notes: Mapping[str, Any], windows: int) -> str:
    if not notes.get("rate"):
        return "not measured"
    text = f"{notes['rate']:,.0f} leapfrog steps a second on {notes['cores']} cores"
    if notes["measured"] < windows:
        text += f", measured on {notes['measured']} of {windows} windows, controls included"
    if notes.get("jax_rate"):
        text += (
            f"; the same sampler by JAX, one process pinned to one core and its rate times the "
            f"number of cores: {notes['jax_rate']:,.0f}, so ours is "
            f"{notes['rate'] / notes['jax_rate']:.2f} times that"
        )
    return text
