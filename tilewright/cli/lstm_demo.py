"""`tilewright lstm --demo`: the talk's net in batches of 1 to 1024, beside its peers."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tilewright.cli.talk import SECONDS, measured

PAGE, WIDE = "lstm.html", 160


def measure(out: Path) -> None:
    """Steps that are done are not done again; then tables, and the page. Raises `ArgumentError`."""
    from tilewright.files import write_text
    from tilewright.talk.lstm_page import page, points, tables
    from tilewright.talk.steps import chosen

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)
    talk = measured(out, chosen(quick=False, only="lstm"), console, SECONDS[False])
    for title, (head, *rows) in tables(points(talk)).items():
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(head):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for cells in rows:
            table.add_row(*cells)
        console.print(table)
    write_text(out / PAGE, page(talk))
    console.print(str(out / PAGE))
