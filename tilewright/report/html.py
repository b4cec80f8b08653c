"""What pages are made of: the document, tables, colours' names. In: texts. Out: HTML of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

LONG = 18
"""Characters of a first cell that a phone may cut."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { font-size: 1.1rem } .note { opacity: .75; font-size: .9rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2rem .7rem .2rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
td:first-child, th:first-child, th.name { text-align: left }
td:first-child, td.name { max-width: 22rem; overflow: hidden; text-overflow: ellipsis }
td.name { text-align: left }
svg { width: 100%; height: auto; display: block } svg text { fill: currentColor; font-size: 12px }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em }
pre { overflow: auto; max-height: 30rem; font-size: 12px; border: 1px solid var(--line);
  padding: .7rem }
summary { cursor: pointer; padding: .15rem 0 }
.tree details { border-left: 2px solid var(--line); padding-left: .7rem; margin: .2rem 0 }
.tree p { margin: 0 0 0 .2rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.tree b { display: inline-block; min-width: 3.6rem; font-variant-numeric: tabular-nums }
.ends { display: flex; justify-content: space-between }
@media (max-width: 34rem) { table, .tree { font-size: 12px } body { margin: 1rem auto }
  h1 { font-size: 1.2rem } .tree details { padding-left: .4rem } .tree .note { font-size: 1em }
  td:first-child { max-width: 9rem } td.name { max-width: 14rem } td, th { padding-right: .4rem } }
"""


def document(title: str, body: str, style: str = "") -> str:
    """A page with nothing outside of it."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
    )
    return f"{head}<body>{body}</body></html>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], names_last: bool = False) -> str:
    """Cells are HTML; of `names_last` the last is cut where it is too long, and shown on hover."""
    top = [f"<th>{name}</th>" for name in head]
    if names_last:
        top[-1] = f'<th class="name">{head[-1]}</th>'
    body = []
    for row in rows:
        cells = [f"<td>{cell}</td>" for cell in row]
        if len(row[0]) > LONG and "<" not in row[0]:
            cells[0] = f'<td title="{row[0]}">{row[0]}</td>'
        if names_last:
            cells[-1] = f'<td class="name" title="{row[-1]}">{row[-1]}</td>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><tr>{"".join(top)}</tr>{"".join(body)}</table></div>'


def swatches(colours: Mapping[str, str], words: Mapping[str, str] | None = None) -> str:
    """What colours stand for."""
    found = (
        f'<span style="background:{colour}"></span>{escape((words or {}).get(name, name))}'
        for name, colour in colours.items()
    )
    return f'<p class="key note">{"".join(found)}</p>'


def folded(title: str, body: str) -> str:
    """What opens at a click."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def called(line: str) -> str:
    """A line of the user's text by its file's name; all of the path on hover."""
    name = line.rpartition("/")[2]
    return f'<span title="{escape(line)}">{escape(name)}</span>' if line else ""
