"""A modelled run as one page: a verdict in words, supersteps, memory, levers, the program.

In: a `Run`, its occupancy, arrays, levers, the program's text. Out: HTML that needs nothing else:
no script, no address; charts are SVG, and narrow screens scroll tables on their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tilewright.frozen import frozen
from tilewright.report.html import called, document, folded, swatches, table
from tilewright.report.memory import by_moment, by_tensor, by_tile
from tilewright.report.tree import tree
from tilewright.simulate.levers import Lever
from tilewright.simulate.occupancy import Occupancy
from tilewright.simulate.outcome import Run, Superstep
from tilewright.simulate.tenants import Tensor

MOST_ROWS, MOST_TEXT = 400, 200_000
KINDS = ("compute", "exchange", "sync")
COLOURS = {"compute": "#2a6f97", "exchange": "#e07a3f", "sync": "#8a8f98"}


def page(name: str, said: str, found: Modelling, levers: Sequence[Lever], text: str) -> str:
    """The whole page; `said` is its verdict."""
    run, held = found.run, found.held
    machine = run.machine
    ways = f'<p class="note">{escape(found.ways)}</p>' if found.ways else ""
    parts = [
        f"<h1>{escape(name)} on {escape(machine.name)}</h1>",
        '<p class="note">Modelled, not measured: every figure below follows from the plan and the '
        f"machine's file ({escape(machine.source)}).</p>",
        f'<p class="verdict">{escape(said)}</p>{ways}',
        "<h2>Where the cycles go</h2>",
        swatches(COLOURS),
        _bars(run),
        '<p class="note">Below: share of all cycles, number of the superstep, its compute + '
        "exchange + sync in a turn, the dearest vertices.</p>",
        tree(run.supersteps),
        folded("all supersteps as a table", superstep_rows(run.supersteps)),
        "<h2>What is dearest</h2>",
        _operations(run),
        "<h2>What another machine would change</h2>",
        '<p class="note">Time as a share of the present one, at the same plan.</p>',
        _levers(levers),
        "<h2>Memory by tile</h2>",
        by_tile(held, machine.tile.memory),
        "<h2>Memory of the fullest tile, step by step</h2>",
        by_moment(held, machine.tile.memory),
        "<h2>Arrays, the largest first</h2>",
        by_tensor(found.tensors),
        "<h2>The program</h2>",
        folded("its text", f"<pre>{escape(text[:MOST_TEXT])}{_cut(text)}</pre>"),
    ]
    return document(f"{name} on {machine.name}", "".join(parts))


@frozen
class Modelling:
    """What a page shows: a run, what tiles hold, arrays; other `ways` in words, if there are."""

    run: Run
    held: Occupancy
    tensors: Sequence[Tensor]
    ways: str = ""


def verdict(run: Run, held: Occupancy, law: str = "") -> str:
    """In words: how long, what limits it, whether it fits, what to look at."""
    machine, cycles = run.machine, run.cycles or 1.0
    shares = {kind: run.total(kind) / cycles for kind in KINDS}
    limit = max(shares, key=lambda kind: shares[kind])
    flops = run.counts.flops / run.seconds if run.seconds else 0.0
    used = held.needed / machine.tile.memory
    return (
        f"One run takes {run.cycles:,.0f} cycles, {_seconds(run.seconds)}; {shares[limit]:.0%} of "
        f"them are {limit}. Tiles are at work {run.busy:.0%} of the time"
        f"{f', {flops / 1e12:,.3g} TFLOP/s' if flops > 1e9 else ''}. The fullest tile holds "
        f"{held.needed:,} bytes, {used:.0%} of its memory. {_advice(limit, run)}{_line_of(run)}"
        f"{f' Sums go by the law {law!r}.' if law not in ('', 'host') else ''}"
    )


def _line_of(run: Run) -> str:
    """Of a pipeline, how even its parts are."""
    if not run.parts:
        return ""
    cycles = ", ".join(f"{part:,.0f}" for part in run.parts)
    return f" {len(run.parts)} parts, a chip each, take {cycles} cycles in a turn."


def compared(ways: Mapping[str, Run | str]) -> str:
    """In words: an instance a tile against an instance a chip."""
    one = "a tile an instance" if "chips" in ways else "all chips together"
    words = {"tiles": one, "chips": "a chip an instance", "chip": "one chip alone"}
    return "; ".join(
        f"{words[name]}: {found if isinstance(found, str) else _seconds(found.seconds)}"
        for name, found in ways.items()
    )


def _advice(limit: str, run: Run) -> str:
    if limit == "exchange":
        return "Tiles wait for data: fewer, larger blocks, or weights that stay, would help."
    if limit == "sync":
        return "Steps are short: several of them between two syncs would help."
    if run.busy < 0.5:
        return "Most tiles have nothing to do: more instances, or longer batches, would help."
    return "It is bound by arithmetic."


def _seconds(seconds: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds * 1e9:,.3g} ns"


def _bars(run: Run) -> str:
    """One bar of the whole run."""
    at, found = 0.0, []
    for kind in KINDS:
        wide = 1000 * run.total(kind) / (run.cycles or 1.0)
        found.append(
            f'<rect x="{at:.1f}" y="0" width="{wide:.1f}" height="26" fill="{COLOURS[kind]}">'
            f"<title>{kind}: {run.total(kind):,.0f} cycles</title></rect>"
        )
        at += wide
    return f'<svg viewBox="0 0 1000 26" preserveAspectRatio="none">{"".join(found)}</svg>'


def superstep_rows(rows: Sequence[Superstep]) -> str:
    shown = sorted(rows, key=lambda row: -row.cycles * row.times)[:MOST_ROWS]
    kept = [row for row in rows if any(row is other for other in shown)]
    head = "superstep,times,compute,exchange,sync,bytes passed,tiles busy,vertices".split(",")
    body = []
    for number, row in enumerate(kept):
        cells = [
            f"{'· ' * row.depth}{number}", f"{row.times:,.0f}", f"{row.compute:,.0f}",
            f"{row.exchange:,.0f}", f"{row.sync:,.0f}", f"{row.passed:,.0f}",
            f"{row.busy:.0%}" if row.compute else "",
        ]  # fmt: skip
        names = escape(", ".join(row.names[:3]) or ("from or to the host" if row.host else ""))
        body.append([*cells, names])
    return table(head, body, names_last=True)


def _operations(run: Run) -> str:
    """Codelets by the cycles of the supersteps that they are the dearest of."""
    found: dict[str, float] = {}
    for row in run.supersteps:
        if row.names:
            found[row.names[0]] = found.get(row.names[0], 0.0) + row.compute * row.times
    order = sorted(found, key=lambda name: -found[name])[:20]
    rows = [
        [escape(n), f"{found[n]:,.0f}", f"{found[n] / run.cycles:.1%}", _lines(run, n)]
        for n in order
    ]
    return table(["vertex", "cycles", "of all", "line"], rows)


def _lines(run: Run, name: str) -> str:
    """The first two places of a vertex in the user's text."""
    lines = run.lines.get(name, ())
    more = f"; {len(lines) - 2} more" if len(lines) > 2 else ""
    return "; ".join(map(called, lines[:2])) + more


def _levers(levers: Sequence[Lever]) -> str:
    rows = [[lever.figure, f"{lever.halved:.2f}", f"{lever.doubled:.2f}"] for lever in levers]
    return table(["figure", "halved", "doubled"], rows)


def _cut(text: str) -> str:
    more = len(text) - MOST_TEXT
    return f"\n... {more:,} characters more" if more > 0 else ""
