"""A record as tables: on the terminal by rich, and in Markdown between the markers of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tilewright.bench.record import Record, Row
from tilewright.files import write_text

START, END = "<!-- bench: start -->", "<!-- bench: end -->"
HEADINGS = ("what", "tilewright", "peer", "", "ratio", "quartiles", "bar", "")
TITLES = {
    "hmc": "HMC, a chain a core",
    "spread": "One chain on all cores",
    "nuts": "NUTS through tile_map",
    "chains": "NumPyro's models, 500 + 500 draws by NUTS: first call, and again with other data",
    "scale": "The alpha's scale net: effective draws",
    "recurrent": "Recurrent nets as they are written, one thread",
    "precision": "A recurrent net in lower precision, one thread, with its error",
    "ticks": "One tick at a time through Python, one thread",
    "learning": "An LSTM that learns, batches of 64 sequences of 128 steps",
    "blocks": "Weights of which blocks of 4 × 16 are zero, one core, against dense ones",
    "images": "Nets over images, one thread",
    "groups": "A convolution in groups, one thread",
    "convolutions": "Convolutions, share of the multiply-add peak",
    "contract": "Contractions, share of the multiply-add peak and of the lanes that can be used",
    "panels": "A few rows times packed columns, share of what reading or multiplying alone takes",
    "tiles": "All tiles against one",
    "compile": "Compiling",
    "call": "Calling",
}
"""Of all parts, in the order of the page."""


def part_table(part: str, rows: Sequence[Row]) -> Table:
    """All rows of one part, with what there is to say about them."""
    table = Table(title=TITLES[part], box=SIMPLE_HEAD, title_justify="left")
    for number, heading in enumerate((*HEADINGS, "notes")):
        left = number in (0, 3, 8)
        table.add_column(heading, justify="left" if left else "right", no_wrap=number != 8)
    for row in rows:
        style = "" if row.passed is not False else "red"
        table.add_row(*cells(row), row.notes, style="dim" if row.detail and not style else style)
    return table


def cells(row: Row) -> tuple[str, ...]:
    """One for each of HEADINGS."""
    sign = "≤" if row.at_most else "≥"
    unit = row.unit if row.ratio is None else "×"
    return (
        row.name,
        _figure(row.ours, row.unit),
        "" if row.peer is None else _figure(row.peer, row.unit),
        row.peer_name,
        "" if row.ratio is None else f"{row.ratio:.2f}×",
        "" if row.low is None or row.high is None else f"{row.low:.2f}–{row.high:.2f}",
        "" if row.bar is None else f"{sign} {_figure(row.bar, unit)}",
        {None: "", True: "✓", False: "✗"}[row.passed],
    )


def _figure(value: float, unit: str) -> str:
    if unit == "of peak":
        return f"{value:.0%}"
    if unit == "×":
        return f"{value:g}×"
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def markdown(record: Record) -> str:
    """The machine in a sentence, and a table for each part without its details."""
    lines = [machine_sentence(record)]
    if record.quick:
        lines += ["", "**From a quick run, which is too short to be quoted.**"]
    measured = {row.part for row in record.rows}
    for part in [part for part in TITLES if part in measured]:
        rows = [row for row in record.rows if row.part == part and not row.detail]
        headings = [heading or " " for heading in HEADINGS]
        lines += ["", f"**{TITLES[part]}**", ""]
        lines += [_line(headings), _line(["---", *["---:"] * (len(HEADINGS) - 1)])]
        lines += [_line(cells(row)) for row in rows]
    return "\n".join(lines)


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def machine_sentence(record: Record) -> str:
    """Where the figures come from."""
    machine = record.machine
    l1, l2, l3 = machine["cache_kib"]
    peaks = sorted(row.gflops for row in record.rows if row.gflops)
    peak = f", {peaks[len(peaks) // 2]:.0f} GFLOP/s of multiply-adds a core" if peaks else ""
    return (
        f"Measured {machine['date']} on {machine['cores']} cores of an {machine['cpu']} "
        f"({machine['level'].upper()}, {machine['vector_bits']}-bit vectors, "
        f"{l1} KiB L1, {l2} KiB L2 a core, {l3 >> 10} MiB L3{peak}), {machine['system']}, "
        f"Python {machine['python']}, JAX {machine['jax']}, "
        f"BlackJAX {machine['blackjax']}, llvmlite {machine['llvmlite']}."
    )


def write_between_markers(page: Path, text: str) -> None:
    """Replaces what stands between START and END. Raises ValueError where they are missing."""
    content = page.read_text()
    before, start, rest = content.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{page} has no {START} … {END}.")
    write_text(page, f"{before}{START}\n\n{text}\n\n{END}{after}")
