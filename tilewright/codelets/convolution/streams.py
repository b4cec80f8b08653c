"""Neighbours of a row in streams: what is read of a pixel serves all taps of a row that read it.

In: how many neighbours a tile has, the terms of their sums. Out: the order of multiply-adds. A tile
is cut into a few streams side by side; they go along their pixels together, and at each pixel every
sum that reads it takes what it needs. Always: each sum takes its terms in their order, so that no
bit hangs on it.

Of what is read, and of the kernel, nothing is kept from one pixel to the next: that many vectors no
host has registers for, and LLVM, which would keep them, is kept from it by fences that are no
instructions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise, product

from tilewright.codelets.convolution.terms import Term
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.tiling import split

STREAMS = 3
"""As many sums advance at once as there are taps in a row, times this: enough for a latency."""

Turn = tuple[int, int]
"""The numbers of a neighbour and of a term."""


def in_streams(rows: int, step: int, terms: Sequence[Term]) -> Iterator[list[Turn]]:
    """Multiply-adds of neighbours that lie `step` elements apart, a list for each pixel."""
    runs = split(rows, -(-rows // STREAMS))
    starts = [run.start + i * run.size for run in runs for i in range(run.count)]
    if not _are_ascending(terms):
        yield [(row, i) for i, row in product(range(len(terms)), range(rows))]
        return
    first = [max(start for start in starts if start <= row) for row in range(rows)]

    def pixel(turn: Turn) -> int:
        return (turn[0] - first[turn[0]]) * step + terms[turn[1]].image

    def order(turn: Turn) -> tuple[int, int, int, int]:
        return pixel(turn), terms[turn[1]].channel, first[turn[0]], turn[1]

    turns = sorted(product(range(rows), range(len(terms))), key=order)
    for _, some in groupby(turns, pixel):
        yield list(some)


def _are_ascending(terms: Sequence[Term]) -> bool:
    """Whether going along the image is going along the terms."""
    places = [(term.image, term.channel) for term in terms]
    return all(one < other for one, other in pairwise(places))


def forget(function: Function) -> None:
    """What was read before is read again after."""
    function.do('fence syncscope("singlethread") acq_rel')
