"""The page: the verdict against the best rival first, the evidence below, how it was made last.

In: tallies, words, windows. Out: one HTML text with everything inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

import tilewright
from tilewright.alpha.controls import REAL
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking import svg
from tilewright.alpha.walking.page import (
    AMBER,
    BANDS,
    GREEN,
    GREY,
    beyond,
    by_year_and_stock,
    definitions,
    fifths,
    html,
    pit,
    regimes,
    running,
    scores,
    section,
    table,
    verdict,
)
from tilewright.alpha.walking.scored import CRPS, LOG, QUANTILE
from tilewright.alpha.walking.tally import COVER_50, COVER_90, Tally
from tilewright.frozen import frozen
from tilewright.sequence.forward.panel import INPUTS
from tilewright.sequence.forward.report.words import GLOSSARY, Words
from tilewright.sequence.forward.rivals import EWMA, HAR
from tilewright.sequence.forward.scored import SQUARE, Scored
from tilewright.sequence.forward.settings import DENSITY, ForwardSettings
from tilewright.sequence.forward.walk import NET

YEAR = 252
SHOWN = 252
"""Days of the figure of ranges."""
WHICH = {DENSITY: (LOG, CRPS, QUANTILE)}
"""Scores of the table, where they are not those of volatilities."""


@frozen
class Windows:
    """Of the real series, oldest first."""

    days: list[str]
    steps: list[np.ndarray]  # of each seed, at its best score on later days
    value: list[float]  # the nets' main score
    best: list[float]  # that of the best rival: the nets' less their lead where it speaks
    failures: list[str]


def page(
    prices: Prices,
    settings: ForwardSettings,
    tallies: Mapping[str, Tally],
    said: Words,
    newest: Scored,
    found: Windows,
) -> str:
    """The whole page."""
    real = tallies[REAL]
    lines = {said.best: AMBER, EWMA: GREY, HAR: GREEN}
    body = [
        f'<p class="kicker">tilewright lstm · {settings.target} · {escape(prices.source)}</p>',
        f"<h1>{escape(said.headline)}</h1>",
        f'<p class="lede">{escape(_lede(prices, settings, real))}</p>',
        verdict("What was found", said.findings, said.readable and said.sound is not False),
        section("All models", "Mean over days. Below each score the net's lead ± its standard "
                "error by date: negative means that the net is better.",
                scores(real, WHICH.get(settings.target, (SQUARE, LOG, CRPS)))),
        section("The newest window", _fan_note(prices, settings, newest),
                _fan(prices, settings, newest)),
        section("Where the lead comes from", f"The net's lead in {real.main}, added up day by day. "
                "A line that falls: the net helps.", running(real, lines)),
        '<div class="pair">',
        section("Does nine of ten hold?", "Share of outcomes in the 90 % interval, by fifth of how "
                "wide it was; the dotted line is 90 %.", fifths(real, said.best)),
        section("In calm and in wild markets", "The same by thirds of the days, by the mean "
                "volatility of all stocks.", regimes(real, said.best)),
        "</div>",
        section("By year, by stock", f"The net's lead in {real.main} over {escape(said.best)}, and "
                "its standard errors.", by_year_and_stock(real, prices, said.best)),
        section("The tails", "How often what came lay beyond a quantile.", beyond(real)),
        section("Where outcomes fell", "Outcomes by the share of the forecast below them (the "
                "PIT): flat at 1 is honest.", pit(real)),
        section("By window", "Steps of training are those at the best score on later days, one of "
                "each seed.", _windows(real, said.best, found)),
        section("How to read it", "", definitions(GLOSSARY)),
        verdict("Control", said.controls, said.sound is not False),
        verdict("Keep in mind", said.caveats, True),
        section("How it was made", "", _facts(prices, settings, found)),
    ]  # fmt: skip
    return html(f"tilewright lstm: {settings.target}", body)


def _lede(prices: Prices, settings: ForwardSettings, real: Tally) -> str:
    what = "the density of the next day's return"
    if settings.target != DENSITY:
        what = "the log volatility of the next five days"
    return (
        f"Recurrent nets that forecast {what}, trained anew every {settings.test} days on the "
        f"{settings.train} days before, for {len(prices.names)} instruments; forecasts from "
        f"{real.days[0]} to {real.days[-1]}, each made with what was known then."
    )


def _fan_note(prices: Prices, settings: ForwardSettings, newest: Scored) -> str:
    what = "the next return, per cent"
    if settings.target != DENSITY:
        what = "the volatility of the next five days, per cent a year"
    stock = prices.names[int(newest.places[0, 1])]
    return f"{escape(stock)}: the net's 50 % and 90 % ranges of {what}; dots are what came."


def _fan(prices: Prices, settings: ForwardSettings, newest: Scored) -> str:
    mine = np.flatnonzero(newest.places[:, 1] == newest.places[0, 1])[-SHOWN:]
    quantiles, outcome = newest.quantiles[0][:, mine], newest.outcome[mine]
    if settings.target == DENSITY:
        unit = 100 * newest.unit[mine]
        quantiles, outcome = quantiles * unit, outcome * unit
    else:
        unit = 100 * newest.unit[mine] * YEAR**0.5
        quantiles, outcome = np.exp(quantiles) * unit, np.exp(outcome) * unit
    dates = [prices.days[day] for day in newest.places[mine, 0]]
    bands = [(quantiles[1], quantiles[5], BANDS[0]), (quantiles[2], quantiles[4], BANDS[1])]
    drawn = svg.lines(dates, {}, "Forecast ranges and outcomes", bands, outcome)
    return drawn + svg.legend({"90 %": BANDS[0], "50 %": BANDS[1], "what came": svg.INK})


def _windows(real: Tally, best: str, found: Windows) -> str:
    rows = [
        [day, ", ".join(str(int(s)) for s in steps), f"{mine:.4f}", f"{other:.4f}",
         f"{mine - other:+.4f}"]
        for day, steps, mine, other in zip(
            found.days, found.steps, found.value, found.best, strict=True
        )
    ]  # fmt: skip
    return table(["tested from", "steps", NET, best, "difference"], rows)


def _facts(prices: Prices, settings: ForwardSettings, found: Windows) -> str:
    s = settings
    horizon = "the next day's" if s.horizon == 1 else f"the next {s.horizon} days'"
    return definitions({
        "Net": f"{s.cell.upper()} of {s.hidden} units beside a linear part, Student-t at its end; "
        f"{len(INPUTS)} inputs a day, from the past only; {s.seeds} nets a window, of which the "
        "forecast is the mixture",
        "Training": f"AdamW at {s.learning_rate:g}, batches of {s.batch_size} pieces of "
        f"{s.steps_back} days read after {s.warm_up} more; stopped by the last "
        f"{s.validation:.0%} of the window's days, {s.horizon} purged, after {s.patience} epochs "
        f"without a gain, {s.epochs} at most",
        "Target": f"{horizon} {'return' if s.target == DENSITY else 'log volatility'}, in units "
        "of the EWMA's volatility",
        "Windows": f"{len(found.days)} of {s.train} training days, {s.horizon} purged, {s.test} "
        "test days",
        "Seed, version": f"{s.seed}, tilewright {tilewright.__version__}, machine {s.machine}",
        "Data": f"{prices.source}; SHA-256 {prices.fingerprint()[:16]}…",
    })  # fmt: skip


def as_json(tallies: Mapping[str, Tally], said: Words, found: Windows) -> dict[str, Any]:
    """What the page says, for programs."""
    series = {
        name: {
            "days": len(one.days), "rows": one.rows, "main score": one.main,
            "models": {
                model: {
                    **{score: one.mean(score, model) for score in one.value},
                    **{share: float(one.cover[share][i]) for share in (COVER_50, COVER_90)},
                    "lead": vars(one.over(model)) if i else None,
                }
                for i, model in enumerate(one.models) if one.has(model)
            },
        }
        for name, one in tallies.items()
    }  # fmt: skip
    return {
        "headline": said.headline, "sound": said.sound, "readable": said.readable,
        "best rival": said.best, "findings": said.findings, "controls": said.controls,
        "caveats": said.caveats, "series": series,
        "windows": {
            "days": found.days, "steps": [s.tolist() for s in found.steps],
            "net": found.value, "best": found.best, "failures": found.failures,
        },
    }  # fmt: skip
