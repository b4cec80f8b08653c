"""A table for terminal and notebook. In: a title, headings, rows of text, notes. Out: `Report`."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from tilewright.frozen import frozen


@frozen
class Report:
    """Rows under headings; prints through rich, shows as HTML in notebooks, `rows` are the data."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        table = Table(
            title=self.title, caption="\n".join(self.notes), box=SIMPLE_HEAD, padding=(0, 1)
        )
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table()

    def __str__(self) -> str:
        text = StringIO()
        console = Console(width=200, file=text)
        console.print(self.table())
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{column}</th>" for column in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return f"<table><caption>{self.title}</caption><tr>{head}</tr>{body}</table>{notes}"
