"""The page: what a portfolio manager reads first, the evidence below, how it was made at the end.

In: tallies, words, the newest window, diagnostics. Out: one HTML text with everything inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

import tilewright
from tilewright.alpha.controls import REAL
from tilewright.alpha.scale.report.words import GLOSSARY, GOOD_R_HAT, Words
from tilewright.alpha.scale.scored import MODELS, NET, Scored
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale_baselines import EWMA, GJR, LINEAR
from tilewright.alpha.scale_features import NAMES
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
from tilewright.models import bnn

SHOWN = 12
"""Features whose effect is listed."""
EFFECTS = (
    "How much wider the newest model makes a forecast where a feature is one deviation higher than "
    "usual and all others are as usual, and how sure it is: the linear part of the net, which did "
    "nine tenths of the work on 20 stocks. Features go together, so that one may stand for another."
)
AGAINST = {EWMA: GREY, GJR: AMBER, LINEAR: GREEN}


@frozen
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
    effects: tuple[np.ndarray, np.ndarray] | None = None,
) -> str:
    """The whole page; `effects` are those of the newest model (`traces.linear_effects`)."""
    real = tallies[REAL]
    body = [
        f'<p class="kicker">tilewright alpha · the scale · {escape(prices.source)}</p>',
        f"<h1>{escape(said.headline).replace(GJR, GJR.replace('-', '&#8209;'))}</h1>",
        f'<p class="lede">{escape(_lede(prices, settings, real))}</p>',
        *([verdict("What was found", said.findings, said.readable and said.sound is not False)]
          if said.findings else []),
        section("How to read it", "", definitions(GLOSSARY)),
        section("All models", "Mean over days. Below each score the net's lead on the days that "
                 "both have ± its standard error by date: negative means that the net is better. "
                 "Boosting gives quantiles and no density.", scores(real, (LOG, CRPS, QUANTILE))),
        section("The newest window", f"{escape(_stock(prices, newest))}: the net's 50 % and 90 % "
                 "ranges of the next return, per cent; dots are what came.", _fan(prices, newest)),
        section("Where the lead comes from", "The net's lead in log score, added up day by day. A "
                 "line that falls: the net helps.", running(real, AGAINST)),
        '<div class="pair">',
        section("Does nine of ten hold?", "Share of outcomes in the 90 % interval, by fifth of "
                 "how wide the net's forecast was; the dotted line is 90 %.", fifths(real, EWMA)),
        section("In calm and in wild markets", "The same by thirds of the days, by the mean "
                 "volatility of all stocks.", regimes(real, EWMA)),
        "</div>",
        section("By year, by stock", "The net's lead in log score over the EWMA, and its standard "
                 "errors by date, by year and by stock.", by_year_and_stock(real, prices, EWMA)),
        section("The tails", "How often what came lay beyond a quantile.", beyond(real)),
        section("Where outcomes fell", "Outcomes by the share of the forecast below them (the "
                 "PIT): flat at 1 is honest.", pit(real)),
        *([] if effects is None else [
            section("What it listens to", EFFECTS, _effects(effects, (*NAMES, *settings.features)))
        ]),
        verdict("Controls", said.controls, said.sound is not False),
        verdict("Keep in mind", said.caveats, True),
        section("How it was made", "", _facts(prices, settings, found)),
    ]  # fmt: skip
    return html("tilewright alpha: the scale", body)


def _lede(prices: Prices, settings: ScaleSettings, real: Tally) -> str:
    days = "the next day's" if settings.horizon == 1 else f"the next {settings.horizon} days'"
    return (
        f"A Bayesian neural net that forecasts how widely {days} returns will scatter, refitted "
        f"every {settings.test} days on the {settings.train} days before, for {len(prices.names)} "
        f"instruments; forecasts from {real.days[0]} to {real.days[-1]}, each made with what was "
        "known then."
    )


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


def _effects(effects: tuple[np.ndarray, np.ndarray], names: tuple[str, ...]) -> str:
    mean, error = effects
    rows = [
        [names[i].replace("_", " "), f"{np.expm1(mean[i]):+.1%}", f"{error[i]:.1%}",
         f"{abs(mean[i]) / max(error[i], 1e-12):.1f}"]
        for i in np.argsort(-np.abs(mean))[:SHOWN]
    ]  # fmt: skip
    return table(["feature", "width", "± deviation", "in deviations"], rows)


def _facts(prices: Prices, settings: ScaleSettings, found: Diagnostics) -> str:
    chain = settings.chain
    warm = found.warm.any()
    return definitions({
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
