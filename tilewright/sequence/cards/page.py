"""The page: that the data are simulated, what each model finds, what it costs to ask it.

In: tallies of recipes, delays. Out: one HTML text with everything inside; no script, no address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

import tilewright
from tilewright.alpha.report.html import facts_of, section
from tilewright.alpha.report.style import CSS
from tilewright.alpha.walking import svg
from tilewright.sequence.cards.comparison import (
    BLEND,
    BOOSTING,
    LAGS,
    LOGISTIC,
    NET,
    NET_AND_15,
)
from tilewright.sequence.cards.figures import Figures, Mean
from tilewright.sequence.cards.live import Delays
from tilewright.sequence.cards.precision import Estimate
from tilewright.sequence.cards.settings import ORDER
from tilewright.sequence.cards.tally import ALL, Tally
from tilewright.sequence.cards.words import NETS, findings, headline, verdict
from tilewright.sequence.cards.world import CARDS

COLOURS = {
    LOGISTIC: "#9aa5b1", BOOSTING: "#c78a1b", LAGS: "#8a4f1d",
    NET: "#69b3d6", NET_AND_15: "#0b6e99", BLEND: "#2f8f5b",
}  # fmt: skip
MORE_CSS = """
svg { display: block; width: 100%; max-width: 820px; height: auto; }
svg text { font: 13px Inter, system-ui, sans-serif; fill: #52606d; }
.legend { margin: 4px 0 0; font-size: 13px; color: var(--soft); }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend span::before { content: ""; display: inline-block; width: 14px; height: 4px;
  margin: 0 6px 3px 0; background: var(--c); }
.simulated { margin-top: 14px; background: #fff7e6; border-left: 5px solid #c78a1b; }
h2.recipe { font-size: 22px; margin: 34px 0 10px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
.error { white-space: nowrap; }
details { margin-top: 12px; font-size: 14px; } summary { cursor: pointer; color: var(--net); }
@media (max-width: 480px) { svg text { font-size: 21px; } main { padding: 20px 10px 40px; }
  section { padding: 16px 12px; } h1 { font-size: 22px; } h2.recipe { font-size: 19px; }
  th, td { padding: 5px 4px; font-size: 11px; white-space: normal; }
  td small { font-size: 9.5px; } .error { display: block; }
  dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
"""
SIMULATED = (
    "These purchases are simulated. No data of real card fraud with clear rights are to be had, so "
    "nothing here says how well anything would work on yours. What it shows is which kind of fraud "
    "each kind of model can find, and that the scores are taken without looking ahead."
)
ABOUT = {
    "published": "Facts of the simulator of Le Borgne, Siblini, Lebichot and Bontempi "
    "(Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook, "
    "Université Libre de Bruxelles, 2022), written anew. Frauds: amounts above 220; terminals "
    "compromised for four weeks; cards of which for two weeks one purchase in three costs five "
    "times as much. At full size the book has average precision 0.687 for tuned XGBoost and 0.665 "
    "for an LSTM, trained on one week.",
    ORDER: "Ours: a fraud tries the card with two small purchases within minutes and takes a large "
    "one hours later. Four times as many honest look-alikes have the same three amounts and the "
    "same two gaps in another order. Nothing but order and gaps tells.",
}
GLOSSARY = {
    "average precision": "precision at each fraud, averaged: the area under precision over recall",
    "recall": "share of frauds found at a threshold that so large a share of honest purchases "
    "exceeds",
    "card-precision@k": "of the k cards alerted a day, the share that is compromised; the ceiling "
    "is what one who knows all would have, as there may be fewer than k",
    "cards found": "of compromised cards not yet blocked, the share that was alerted on the day",
    "saved": "what frauds of an alerted card would cost from that day to the end of the week, when "
    "it is blocked",
    "ahead, behind, level": "a lead counts from two of its standard errors on; less is level",
    "± ": "one standard error: of precision and recall by a jackknife over cards and terminals, of "
    "the others over days",
}


def page(tallies: Sequence[Tally], delays: Sequence[Delays]) -> str:
    """The whole page."""
    body = [
        '<p class="kicker">tilewright lstm fraud · simulated purchases</p>',
        f"<h1>{escape('. '.join(headline(found) for found in tallies))}.</h1>",
        f'<section class="simulated"><b>{escape(SIMULATED)}</b></section>',
    ]
    for found in tallies:
        body += _recipe(found)
    if delays:
        body.append(section("Asked as purchases come", DELAYS, _delays(delays)))
    body.append(section("How to read it", "", facts_of(GLOSSARY)))
    body.append(section("How it was made", "", facts_of(_facts(tallies))))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>tilewright: frauds on cards</title><style>{CSS}{MORE_CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


DELAYS = (
    "The net keeps a state for each card and needs nothing but the purchase, the gap before it and "
    "the mean of the card's amounts so far. Boosting is asked with its features already made: "
    "making them needs a state of counts and sums for each card and terminal, which is not in "
    "these figures."
)


def _recipe(found: Tally) -> list[str]:
    settings = found.comparison.settings
    name = "The published recipe" if settings.recipe != ORDER else "Where order is the signal"
    listed = "".join(f"<li>{escape(text)}</li>" for text in findings(found))
    scale = f" Strength {settings.strength:g}." if settings.recipe == ORDER else ""
    note = (
        f"Means over {len(found.comparison.weeks)} weeks that no model had seen; each is trained "
        f"anew every week. Under each score the lead over the best peer, {found.best_peer}."
    )
    parts = [
        f'<h2 class="recipe">{escape(name)}</h2>',
        f'<p class="lede">{escape(ABOUT[settings.recipe] + scale)}</p>',
        f'<section class="verdict"><h2>What was found</h2><ul>{listed}</ul></section>',
        section("All models", note, _kind(found, ALL)),
    ]
    if len(found.kinds) > 1:
        parts.append(section("By kind of fraud", KINDS, _kinds(found)))
    parts.append(section("By week", "Average precision of all frauds.", _weeks(found)))
    return parts


KINDS = (
    "Each kind is ranked among honest purchases alone. The k alerts a day are the same for all "
    "kinds: card-precision is the share of them that were cards with frauds of this kind. Under a "
    "precision the lead over the best peer of all kinds together."
)


def _scores(found: Tally, of: Callable[[str], Figures], lead: Callable[[str], Estimate]) -> str:
    """A row a model: its figures, and under its precision the lead."""
    settings = found.comparison.settings
    rows = []
    for model in found.models:
        figures, ahead = of(model), lead(model)
        kind = {"ahead": "better", "behind": "worse", "level": ""}[verdict(ahead)]
        under = "" if model == found.best_peer else _cell(ahead, "+.3f", ".3f")
        rows.append([
            model,
            f'{_cell(figures.precision)}<small class="{kind}">{under}</small>',
            _cell(figures.recall),
            f"{_cell(figures.cards)}<small>ceiling {figures.ceiling:.3f}</small>",
            _cell(figures.found, ".0%"),
            f"{_cell(figures.saved, ',.0f')}<small>{figures.share_saved:.0%} of all</small>",
        ])  # fmt: skip
    head = [
        "", "average precision", f"recall at {settings.false_alarms:.1%} false alarms",
        f"card-precision @{settings.k}", "cards found", "saved a day",
    ]  # fmt: skip
    return _table(head, rows)


def _cell(of: Estimate | Mean, form: str = ".3f", of_error: str = "") -> str:
    """A value and its error; on a telephone the one stands below the other."""
    return f'{of.value:{form}} <span class="error">± {of.error:{of_error or form}}</span>'


def _kind(found: Tally, kind: str) -> str:
    return _scores(
        found, lambda model: found.models[model].kinds[kind], lambda model: found.lead(model, kind)
    )


def _kinds(found: Tally) -> str:
    """A table a kind."""
    return "".join(
        f"<h3>{escape(kind.capitalize())}</h3>{_kind(found, kind)}" for kind in found.kinds
    )


def _weeks(found: Tally) -> str:
    """Precision of all weeks, drawn where there are several; each week's own table folded away."""
    weeks = found.comparison.weeks
    rows = [
        [model, *(_cell(week.precision) for week in scores.weeks)]
        for model, scores in found.models.items()
    ]
    head = ["", *(f"day {week.day}" for week in weeks)]
    drawn = ""
    if len(weeks) > 2:
        lines = {
            model: (np.array([week.precision.value for week in scores.weeks]), COLOURS[model])
            for model, scores in found.models.items()
        }
        drawn = svg.lines(head[1:], lines, "Average precision by week")
    more = (
        f"<details><summary>All figures of the week from day {week.day} on</summary>"
        f"{_week(found, number)}</details>"
        for number, week in enumerate(weeks)
    )
    return drawn + _table(head, rows) + "".join(more)


def _week(found: Tally, number: int) -> str:
    peer = found.models[found.best_peer].weeks[number].precision
    return _scores(
        found,
        lambda model: found.models[model].weeks[number],
        lambda model: found.models[model].weeks[number].precision - peer,
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = []
    for first, *cells in rows:
        kind = ' class="net"' if first in NETS else ""
        lines.append(f"<tr{kind}><td>{escape(first)}</td>"
                     + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")  # fmt: skip
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _delays(delays: Sequence[Delays]) -> str:
    rows = [
        [one.what, f"{one.mean:,.1f}", f"{one.median:,.1f}", f"{one.p99:,.1f}"] for one in delays
    ]
    notes = {one.what: one.note for one in delays}
    return _table(["µs a purchase", "mean", "median", "p99"], rows) + facts_of(notes)


def _facts(tallies: Sequence[Tally]) -> dict[str, str]:
    facts = {}
    for found in tallies:
        own, given = found.comparison.settings, found.comparison.given
        name = own.recipe
        if own.cards < CARDS:
            facts[f"{name}: size"] = (
                f"{own.cards:,} cards of {CARDS:,}: a piece of the whole map, as dense; errors are "
                "wider, and nets and terminals learn from less. `--full` takes all."
            )
        facts[f"{name}: data"] = f"{given}; seed {own.seed}"
        facts[f"{name}: weeks"] = (
            f"{own.train} days to learn from, then {own.delay:g} days whose labels are not known "
            f"yet, then a week; {len(found.comparison.weeks)} weeks from day {own.first} on. Cards "
            "known as compromised are out from the day after the news"
        )
        facts[f"{name}: boosting"] = "; ".join(
            f"{model}: rate {tuned.best.learning_rate:g}, {tuned.best.max_leaf_nodes} leaves, "
            f"{tuned.best.trees} trees, the best of {len(tuned.tried)} tried on the week from day "
            f"{own.first - 14} on"
            for model, tuned in found.comparison.tuned.items()
        )
        facts[f"{name}: nets"] = (
            f"{own.net.seeds} LSTMs of {own.net.hidden} units, their mixture. By the last fifth of "
            "the labels known when the first week begins they are told "
            + "; ".join(
                f"{model}: {', '.join(choice.names)} ({choice.epochs} epochs a week)"
                for model, choice in found.comparison.chosen.items()
            )
        )
    facts["Version"] = f"tilewright {tilewright.__version__}"
    return facts
