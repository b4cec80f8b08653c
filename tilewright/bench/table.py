"""A record as tables: on the terminal by rich, and in Markdown between the markers of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tilewright.bench.record import Record, Row
from tilewright.files import write_text

TABLES, HEADLINES, END = (f"<!-- bench: {name} -->" for name in ("tables", "headlines", "end"))
"""What a page has between TABLES and END is every table; after HEADLINES, one of a dozen rows."""

HEADINGS = ("what", "tilewright", "peer", "", "ratio", "quartiles", "bar", "")
TITLES = {
    "hmc": "HMC, a chain a core",
    "spread": "One chain on all cores",
    "nuts": "NUTS through tile_map",
    "chains": "NumPyro's models, 500 + 500 draws by NUTS: first call, and again with other data",
    "scale": "The alpha's scale net: effective draws",
    "walking": "The alpha's jobs from day to day",
    "recurrent": "Recurrent nets as they are written, one thread",
    "precision": "A recurrent net in lower precision, one thread or as many as said, its error",
    "windows": "Whole windows at equal precision, one thread",
    "latency": "One tick at a time from C, one thread",
    "ticks": "One tick at a time through Python, one thread",
    "loaded": "How soon a trained net answers, in a fresh process",
    "learning": "An LSTM that learns, batches of 64 sequences of 128 steps",
    "jobs": "Jobs of sequence nets as they are run",
    "blocks": "Weights of which blocks of 4 × 16 are zero, one core, against dense ones",
    "images": "Nets over images, one thread",
    "image_steps": "Nets over images that learn, one thread",
    "memory": "Peak memory of a step of nets over images, beside weights and images",
    "losses": "Losses of a net that learns, beside PyTorch's on equal batches",
    "groups": "A convolution in groups, one thread",
    "convolutions": "Convolutions, share of the multiply-add peak",
    "epilogues": "Scale, shift and swish after a product, over the product alone",
    "contract": "Contractions, share of the multiply-add peak and of the lanes that can be used",
    "panels": "A few rows times packed columns, share of what reading or multiplying alone takes",
    "tiles": "All tiles against one",
    "compile": "Compiling",
    "call": "Calling",
}
"""Of all parts, in the order of the page."""

SHORT = {
    ("hmc", "talk's net, 250 rows"): "HMC, the talk's net, 250 rows",
    ("hmc", "talk's net, 58,368 rows"): "HMC, the talk's net, 58,368 rows",
    ("nuts", "funnel"): "NUTS, a funnel of 10 dimensions, 64 chains",
    ("nuts", "logistic regression"): "NUTS, logistic regression, 500 × 20, 64 chains",
    ("precision", "talk's net, batch 1, float32"): "LSTM 2 × 256, 200 steps, float32",
    ("precision", "talk's net, batch 1, int8x8, against"): "the same in 8-bit integers",
    ("precision", "talk's net, batch 64, float32"): "64 at a time, float32",
    ("precision", "talk's net, batch 64, bfloat16x16"): "64 at a time, bfloat16",
    ("ticks", "talk's net, a stream"): "a tick of it, through Python",
    ("learning", "a training step, 128 units"): "LSTM of 128 units, a step of training",
    ("images", "B0, 224 px, batch 1"): "EfficientNet-B0, one image",
    ("image_steps", "B0, 224 px, training, batch 16"): "EfficientNet-B0, a step of training",
    ("groups", "groups of 4, forward"): "3 × 3 convolution in groups of 4",
    ("groups", "groups of 4, filter gradient"): "its filter gradient",
    ("call", "2 x + y"): "a call of a tiny program",
}
"""Part and beginning of the name of each headline's row, and what it is called there."""


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
        return f"{value:.3g}×"
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def markdown(record: Record) -> str:
    """The machine in a sentence, and a table for each part without its details."""
    lines = _opening(record)
    measured = {row.part for row in record.rows}
    for part in [part for part in TITLES if part in measured]:
        rows = [row for row in record.rows if row.part == part and not row.detail]
        headings = [heading or " " for heading in HEADINGS]
        lines += ["", f"**{TITLES[part]}**", "", *_table(headings, map(cells, rows))]
    return "\n".join(lines)


def headlines(record: Record) -> str:
    """The machine in a sentence, and one table: for each of SHORT, the first row that it means."""
    found = [(name, _first(record, *key)) for key, name in SHORT.items()]
    texts = [(name, *cells(row)[1:4], _times(row)) for name, row in found if row is not None]
    return "\n".join([*_opening(record), "", *_table([h or " " for h in HEADINGS[:5]], texts)])


def _first(record: Record, part: str, start: str) -> Row | None:
    rows = (row for row in record.rows if row.part == part and row.name.startswith(start))
    return next(rows, None)


def _times(row: Row) -> str:
    """The row's ratio or, of what is timed once, that of its figures."""
    ratio = row.ratio or (row.peer / row.ours if row.peer else None)
    return "" if ratio is None else f"{ratio:.2f}×"


def _opening(record: Record) -> list[str]:
    quick = ["", "**From a quick run, which is too short to be quoted.**"] if record.quick else []
    return [machine_sentence(record), *quick]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return [_line(headings), _line(rule), *(_line(row) for row in rows)]


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def machine_sentence(record: Record) -> str:
    """Where the figures come from."""
    machine = {**record.machine, **record.spans()}
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


def render(page: Path, record: Record) -> None:
    """Replaces what stands between the markers of a page.

    Raises ValueError where it has none that are closed.
    """
    content, found = page.read_text(), False
    for start, write in ((TABLES, markdown), (HEADLINES, headlines)):
        before, opened, rest = content.partition(start)
        _, closed, after = rest.partition(END)
        if opened and closed:
            content, found = f"{before}{start}\n\n{write(record)}\n\n{END}{after}", True
    if not found:
        raise ValueError(f"{page} has no {TABLES} … {END}, nor {HEADLINES} … {END}.")
    write_text(page, content)
