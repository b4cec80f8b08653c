"""The page: for each workload what was found, what the talk said, a chart, and its numbers.

In: one record, or several of different machines. Out: HTML without scripts or addresses. Ratios
are formed inside a record alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil

import tilewright
from tilewright.talk import drawing, tables, verdicts
from tilewright.talk.claims import CLAIMS, PUBLISHED_POINTS
from tilewright.talk.figures import MEASURED
from tilewright.talk.peaks import in_words, without_peaks
from tilewright.talk.record import Outcome, Talk
from tilewright.talk.running import disturbed
from tilewright.talk.steps import WORKLOADS, of_workload
from tilewright.talk.style import STYLE
from tilewright.talk.tables import cell, row


def page(talks: Sequence[Talk]) -> str:
    """Of one record, or of several side by side."""
    body = [
        f"<h1>The talk, {'made again' if len(talks) == 1 else 'on several machines'}</h1>",
        *(f'<p class="soft">{escape(described(talk))}</p>' for talk in talks),
        "<p>Every number has a kind, and bars are drawn by it. A ratio is only ever formed of two "
        "numbers that were measured by turns in one run on one machine.</p>",
        drawing.kinds(),
        *(_same_machine(talks)),
    ]
    for workload, title in WORKLOADS.items():
        parts = [part for talk in talks for part in _of_machine(workload, talk, len(talks) > 1)]
        if parts:
            body.append(
                f"<section><h2>{escape(title)}</h2>{_claims(workload)}{''.join(parts)}</section>"
            )
    body.append(conditions(talks))
    return document("The talk, made again", body)


def document(title: str, body: Sequence[str]) -> str:
    """A whole file."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def described(talk: Talk) -> str:
    """What it is, in a sentence."""
    its, packages = talk.machine, talk.packages
    caches = ", ".join(f"{size:,} KiB L{i}" for i, size in enumerate(its["cache_kib"], 1))
    battery = " On battery: such a host slows down." if its.get("battery") else ""
    with_them = ", ".join(f"{name} {found}" for name, found in packages.items())
    return (
        f"{its['cpu']}, {its['cores']} cores, {its['level'].upper()}, {caches}, "
        f"{its['memory_gib']} GiB, {its['system']}. With {with_them}.{in_words(its)}{battery}"
    )


def _of_machine(workload: str, talk: Talk, named: bool) -> list[str]:
    """What there is of one workload; nothing where nothing was measured."""
    outcomes = of_workload(talk.outcomes, workload)
    if workload == "machines":
        return [] if named else [tables.machines()]
    if not outcomes:
        return []
    points = [p for o in outcomes.values() for p in o.points]
    said = (
        tables.items("found", verdicts.switched(points))
        if workload == "argument"
        else tables.against(points)
    )
    parts = [
        f"<h3>{escape(talk.machine['cpu'])}, {escape(talk.machine['level'].upper())}</h3>"
    ] * named
    parts.append(said)
    if workload == "modelled":
        parts.append(f'<p class="soft">{escape(NOT_RUN)}</p>')
    parts += [f'<p class="warn">{escape(line)}</p>' for line in troubles(outcomes)]
    if workload == "lstm":
        parts.append(drawing.scatter(points))
    else:
        parts.append(drawing.bars([*points, *PUBLISHED_POINTS.get(workload, ())]))
    parts.append(tables.numbers([*points, *PUBLISHED_POINTS.get(workload, ())]))
    return parts


NOT_RUN = (
    "Modelled, in float32: planned for each machine and counted, never run there. A machine that a "
    "case leaves out lacks the memory for it as planned. No ratio is formed of these: how far the "
    "model was from programs that others published stands with the numbers."
)


def _claims(workload: str) -> str:
    quotes = (
        f"<blockquote><p>“{escape(claim.words)}”</p><p>{escape(claim.compared)}</p></blockquote>"
        for claim in CLAIMS.get(workload, ())
    )
    text = "".join(quotes)
    return f"<h3>What the talk said</h3>{text}<h3>Here</h3>" if text else ""


def troubles(outcomes: dict[str, Outcome]) -> list[str]:
    """Peers that are missing, steps that ended, runs that others disturbed."""
    missing = {peer: how for o in outcomes.values() for peer, how in o.missing.items()}
    lines = [f"{peer} is not here: {how}" for peer, how in missing.items()]
    lines += [f"{name} was not measured: {o.failed}." for name, o in outcomes.items() if o.failed]
    for often in ("once", "twice"):
        shaken = [n for n, o in outcomes.items() if disturbed(o) and _repeated(o) == often]
        if shaken:
            lines.append(f"Others used the processors meanwhile, {often}: {'; '.join(shaken)}.")
    return lines


def _repeated(outcome: Outcome) -> str:
    return "twice" if outcome.conditions.get("repeated") else "once"


def _same_machine(talks: Sequence[Talk]) -> list[str]:
    """How far two records of one machine lie apart."""
    lines = []
    for i, first in enumerate(talks):
        for second in talks[i + 1 :]:
            if without_peaks(first.machine) != without_peaks(second.machine):
                continue
            apart = []
            for name in first.outcomes.keys() & second.outcomes.keys():
                pairs = zip(first.outcomes[name].points, second.outcomes[name].points, strict=False)
                apart += [
                    max(a.figure.value / b.figure.value, b.figure.value / a.figure.value)
                    for a, b in pairs
                    if (a.case, a.who) == (b.case, b.who) and a.figure.kind == MEASURED
                ]
            if apart:
                middle = sorted(apart)[len(apart) // 2]
                lines.append(
                    "Two records of one machine: half of the measured figures differ by at most "
                    f"{_at_most(middle)}, all by at most {_at_most(max(apart))}."
                )
    return [f"<p>{escape(line)}</p>" for line in lines]


def _at_most(ratio: float) -> str:
    """How far a ratio from 1 on is above it, rounded up; figures have six digits."""
    return f"{ceil(round((ratio - 1) * 1000, 2)) / 1000:.1%}"


PEERS = (
    "Peers are pinned to a core each (HMC), have one thread or one a core, whichever is faster, "
    "where ours has a tile a core (LSTM), or have one thread, as ours has."
)


SLOW = 0.8
"""Of the highest clock that a machine showed: below it a step was held back."""


def _held_back(talk: Talk) -> str:
    """Steps at whose end the processor's clock was low: it was hot, or saved power."""
    clocks = {name: o.conditions.get("MHz") or 0.0 for name, o in talk.outcomes.items()}
    slow = [name for name, clock in clocks.items() if 0 < clock < SLOW * max(clocks.values())]
    if not slow:
        return ""
    words = f"The processor's clock was held back in these steps: {'; '.join(slow)}."
    return f'<p class="warn">{escape(words)}</p>'


def conditions(talks: Sequence[Talk], peers: str = PEERS) -> str:
    """How each step was measured."""
    head = ["step", "machine", "seconds", "processors taken by others", "stolen", "MHz", "joules"]
    rows = []
    for talk in talks:
        for name, outcome in talk.outcomes.items():
            known = outcome.conditions
            cells = [escape(name), escape(talk.machine["cpu"])]
            cells += [cell(known.get(k)) for k in ("seconds", "others", "stolen", "MHz", "joules")]
            rows.append(row("td", cells))
    how = (
        "Contenders take turns, and of the ratios inside a round the median counts. "
        f"{peers} Each step runs in a process of its own; one that others disturb is done again, "
        "once, if there is time."
    )
    return (
        f"<section><h2>How it was measured</h2><p>{escape(how)}</p>"
        f"{''.join(map(_held_back, talks))}"
        f"<div class=scroll><table class=fit>{row('th', head)}{''.join(rows)}</table></div>"
        f'<p class="soft">tilewright {escape(tilewright.__version__)}, settings '
        f"{escape(talks[0].settings_hash[:12])}.</p></section>"
    )
