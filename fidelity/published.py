"""What others published beside what is modelled: `python -m fidelity.published` prints the table.

In: sizes and cuts of the publications named; the machines' files. Out: a row a figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`bar` is what the error should not exceed, as a share; `unit` of the figures.

    Of a `bound` the error must not be above 0, and the published figure not more than twice it.
    """

    machine: str
    case: str
    published: float
    modelled: float
    bar: float
    unit: str = "cycles"
    bound: bool = False

    @property
    def error(self) -> float:
        return self.modelled / self.published - 1

    @property
    def holds(self) -> bool:
        return -self.bar <= self.error <= (0.0 if self.bound else self.bar)


def rows() -> Iterator[Row]:
    """All, in the order of the table."""
    from fidelity import gpu, ipu, tt

    yield from ipu.rows()
    yield from tt.rows()
    yield from gpu.rows()


def table(found: Sequence[Row]) -> str:
    lines = ["| machine | case | published | modelled | error | bar |  |",
             "| --- | --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip
    for row in found:
        said, figure = (
            f"{x:,.0f}" if row.unit == "cycles" else f"{x:.3g} {row.unit}"
            for x in (row.published, row.modelled)
        )
        mark, least = "✓" if row.holds else "✗", "≥ " if row.bound else ""
        bar = f"-{row.bar:.0%} to 0" if row.bound else f"{row.bar:.0%}"
        lines.append(
            f"| {row.machine} | {row.case} | {said} | {least}{figure} | {row.error:+.1%} | "
            f"{bar} | {mark} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(list(rows())))
