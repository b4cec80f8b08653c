"""What others published beside what is modelled: `python -m fidelity.published` prints the table.

In: rows of `ipu.py`, `tt.py`, `gpu.py` and `records.py`. Out: a table of them, in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fidelity import gpu, ipu, records, tt
from fidelity.row import Row


def rows() -> Iterator[Row]:
    """All, in the order of the table."""
    yield from ipu.rows()
    yield from tt.rows()
    yield from gpu.rows()
    yield from records.rows()


def table(found: Sequence[Row]) -> str:
    lines = ["| machine | case | published | modelled | error | bar |  |",
             "| --- | --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip
    for row in found:
        said, figure = (
            f"{x:,.0f}" if row.unit == "cycles" else f"{x:.3g} {row.unit}"
            for x in (row.published, row.modelled)
        )
        mark = ("✓" if row.holds else "✗") if row.judged else ""
        least = "≥ " if row.bound else ""
        bar = f"-{row.bar:.0%} to 0" if row.bound else f"{row.bar:.0%}" if row.judged else "none"
        lines.append(
            f"| {row.machine} | {row.case} | {said} | {least}{figure} | {row.error:+.1%} | "
            f"{bar} | {mark} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(list(rows())))
