"""Homes by boxes: a buffer whose blocks are patches of it, each with room for a rim around.

In: which boxes of a buffer the instances of families touch. Out: `Tiling`: which block each element
is at home in, and where; and `moves` of views of it, cut where blocks end. Always: an element is at
home in one block; what lies in the room around is a copy, brought before it is read.

    along each dimension block j has coordinates lead + j * block ..., the first one also those
    before them, the last one those after: so the border of an image lies with what it is around

So of a patch that stays on its tile only the rim is exchanged, turn after turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product as every
from math import prod

from tilewright.frozen import frozen
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Family, Move, Var, View, dense_strides, new_var


@frozen
class Span:
    """Along a dimension: `length` coordinates from `start` on, for each of `count` values of `var`
    `step` further."""

    start: int
    length: int
    var: Var | None = None
    step: int = 0
    count: int = 1


@frozen
class Piece:
    """Of a span, what lies in one block each: `count` of them, the first of instance `i` in block
    `j`, at `local` there, `inside` of the span; all of these go on by so much."""

    i: int
    j: int
    local: int
    inside: int
    length: int
    count: int = 1
    steps: tuple[int, int, int] = (0, 0, 0)
    """From one to the next: of i, j and inside."""


@frozen
class Tiling:
    """Each tuple has a figure a dimension, that with the longest stride first. `rims` are
    coordinates before and after a block that it has room for."""

    strides: tuple[int, ...]
    lengths: tuple[int, ...]
    leads: tuple[int, ...]
    blocks: tuple[int, ...]
    counts: tuple[int, ...]
    first: int
    apart: tuple[int, ...]
    rims: tuple[tuple[int, int], ...]

    @property
    def homes(self) -> Homes:
        axes = zip(self.counts, self.apart, strict=True)
        return Homes(self.first, tuple(Axis(count, 1, step) for count, step in axes))

    @property
    def room(self) -> tuple[tuple[int, int], ...]:
        """Before and after what a block has along each dimension: for rims, or for a border."""
        found = zip(self.rims, self.leads, self.tails, strict=True)
        return tuple((max(low, lead), max(high, tail)) for (low, high), lead, tail in found)

    @property
    def tails(self) -> tuple[int, ...]:
        rows = zip(self.lengths, self.leads, self.blocks, self.counts, strict=True)
        return tuple(max(n - lead - b * count, 0) for n, lead, b, count in rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a block, with its room."""
        return tuple(a + b + c for (a, c), b in zip(self.room, self.blocks, strict=True))

    @property
    def block_steps(self) -> tuple[int, ...]:
        """Elements from a block to the next along each dimension."""
        return tuple(step * prod(self.shape) for step in self.homes.steps)

    @property
    def largest(self) -> int:
        """Elements that are at home in the largest block."""
        return prod(
            max(high - low for low, high in (self.owned(axis, 0), self.owned(axis, count - 1)))
            for axis, count in enumerate(self.counts)
        )

    def owned(self, axis: int, block: int) -> tuple[int, int]:
        """Coordinates that are at home in a block: the first, and the first that is not."""
        lead, size, last = self.leads[axis], self.blocks[axis], self.counts[axis] - 1
        start = lead + block * size if block else 0
        return start, (lead + (block + 1) * size if block < last else self.lengths[axis])

    def block_of(self, axis: int, coordinate: int) -> int:
        found = (coordinate - self.leads[axis]) // self.blocks[axis]
        return min(max(found, 0), self.counts[axis] - 1)

    def local(self, axis: int, block: int, coordinate: int) -> int:
        """Where a coordinate is in a block, or in the room around it."""
        begin = self.leads[axis] + block * self.blocks[axis]
        return coordinate - begin + self.room[axis][0]

    def spans(self, view: View, counts: Mapping[Var, int]) -> tuple[Span, ...] | None:
        """None where a view is no box of these dimensions, or leaves them."""
        sides = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n > 1 and s]
        lengths = {step: n for n, step in sides}
        if len(lengths) < len(sides) or not set(lengths) <= set(self.strides):
            return None
        starts, rest = [], view.offset
        for step in self.strides:
            start, rest = divmod(rest, step)
            starts.append(start)
        found = [
            Span(start, lengths.get(step, 1))
            for start, step in zip(starts, self.strides, strict=True)
        ]
        for var, step in view.moves:
            axis = self._along(step)
            if rest or axis is None or var not in counts or found[axis].var is not None:
                return None
            turns = step // self.strides[axis]
            found[axis] = replace(found[axis], var=var, step=turns, count=counts[var])
        ends = (s.start + (s.count - 1) * s.step + s.length for s in found)
        inside = all(end <= n for end, n in zip(ends, self.lengths, strict=True))
        return tuple(found) if inside and not rest else None

    def _along(self, step: int) -> int | None:
        """The dimension that a step goes along, and no other."""
        pairs = zip(self.strides, self.lengths, strict=True)
        found = [i for i, (s, n) in enumerate(pairs) if step % s == 0 and 0 < step // s < n]
        return found[0] if found else None

    def pieces(self, axis: int, span: Span) -> list[Piece]:
        """In as few runs as they make."""
        found: list[Piece] = []
        for i in range(span.count):
            low = span.start + i * span.step
            high, j = low + span.length, self.block_of(axis, low)
            while low < high:
                end = min(self.owned(axis, j)[1], high)
                local, inside = self.local(axis, j, low), low - span.start - i * span.step
                found.append(Piece(i, j, local, inside, end - low))
                low, j = end, j + 1
        return _runs(found, span.count > 1 and span.step == self.blocks[axis])

    def moves(self, far: View, near: View, home: Buffer, counts: Mapping[Var, int]) -> list[Cut]:
        """Views of blocks and of a place that has the same elements as `far` has of the buffer."""
        spans = self.spans(far, counts)
        assert spans is not None, "a view that was looked at before"
        inside, steps = dense_strides(self.shape), dict(near.moves)
        along = dict(zip(far.strides, near.strides, strict=True))
        found = []
        for chosen in every(*(self.pieces(axis, span) for axis, span in enumerate(spans))):
            vars = [new_var() if piece.count > 1 else None for piece in chosen]
            at, to, block_moves, place_moves = 0, near.offset, [], []
            for axis, (piece, span, var) in enumerate(zip(chosen, spans, vars, strict=True)):
                step = along.get(self.strides[axis], 0)
                own = steps.get(span.var, 0) if span.var is not None else 0
                at += piece.j * self.block_steps[axis] + piece.local * inside[axis]
                to += piece.i * own + piece.inside * step
                if var is not None:
                    i, j, further = piece.steps
                    block_moves.append((var, j * self.block_steps[axis]))
                    place_moves.append((var, i * own + further * step))
            shape = tuple(piece.length for piece in chosen)
            place = tuple(along.get(step, 0) for step in self.strides)
            names = tuple(var for var in vars if var is not None)
            several = tuple(piece.count for piece in chosen if piece.count > 1)
            found.append(
                Cut(
                    View(home, shape, inside, at, _moving(block_moves)),
                    View(near.buffer, shape, place, to, _moving(place_moves)),
                    names,
                    several,
                    chosen,
                )
            )
        return found

    def own_blocks(self, spans: Sequence[Span], family: Family) -> tuple[int, ...] | None:
        """The block along each dimension that the first instance is at home with, where each of the
        others is with the next; None where that is not so."""
        strides = dict(zip(family.vars, (axis.stride for axis in family.homes.axes), strict=True))
        moving = {span.var for span in spans}
        if any(n > 1 and v not in moving for v, n in zip(family.vars, family.counts, strict=True)):
            return None
        found, tile = [], self.first
        for axis, span in enumerate(spans):
            next_ = (span.step, strides.get(span.var or 0))
            if span.count > 1 and next_ != (self.blocks[axis], self.apart[axis]):
                return None
            block = self.block_of(axis, span.start + span.length // 2)
            low = self.local(axis, block, span.start)
            if low < 0 or low + span.length > self.shape[axis]:
                return None
            found.append(block)
            tile += block * self.apart[axis]
        return tuple(found) if tile == family.homes.first else None

    def at_home(
        self, view: View, spans: Sequence[Span], blocks: Sequence[int], home: Buffer
    ) -> View:
        """A view of each instance's own block, and of the room around it."""
        inside = dict(zip(self.strides, dense_strides(self.shape), strict=True))
        offset, moves = 0, []
        for axis, (span, block) in enumerate(zip(spans, blocks, strict=True)):
            local = self.local(axis, block, span.start)
            offset += block * self.block_steps[axis] + local * inside[self.strides[axis]]
            if span.var is not None:
                moves.append((span.var, self.block_steps[axis]))
        sides = zip(view.shape, view.strides, strict=True)
        steps = tuple(inside[step] if n > 1 and step else 0 for n, step in sides)
        return View(home, view.shape, steps, offset, _moving(moves))


@frozen
class Cut:
    """A family of messages: a view of blocks and one of a place, and which pieces they are."""

    blocks: View
    place: View
    vars: tuple[Var, ...]
    counts: tuple[int, ...]
    pieces: tuple[Piece, ...]

    def is_own(self, own: Sequence[int]) -> bool:
        """Whether the blocks are those that their instances are at home with."""
        return all(
            piece.j - piece.i == block and (piece.count == 1 or piece.steps[0] == piece.steps[1])
            for piece, block in zip(self.pieces, own, strict=True)
        )

    def move(self, back: bool) -> Move:
        ends = (self.place, self.blocks) if back else (self.blocks, self.place)
        return Move(*ends, self.vars, self.counts)


def _moving(moves: Sequence[tuple[Var, int]]) -> tuple[tuple[Var, int], ...]:
    return tuple((var, step) for var, step in moves if step)


def _runs(pieces: Sequence[Piece], in_step: bool) -> list[Piece]:
    """Pieces of one size and place in their blocks, one after the other by even steps. Where
    instances go from block to block, also of one distance between the two: what an instance has
    itself is never of a run with what others have."""
    alike: dict[tuple[int, int, int], list[Piece]] = {}
    for piece in pieces:
        distance = piece.j - piece.i if in_step else 0
        alike.setdefault((piece.local, piece.length, distance), []).append(piece)
    return [run for some in alike.values() for run in _even(some)]


def _even(pieces: Sequence[Piece]) -> Iterator[Piece]:
    run: Piece | None = None
    for piece in pieces:
        if run is None:
            run = piece
            continue
        last = run.count - 1
        i, j, inside = run.steps
        ahead = (
            piece.i - run.i - last * i, piece.j - run.j - last * j,
            piece.inside - run.inside - last * inside,
        )  # fmt: skip
        if run.count == 1 or ahead == run.steps:
            run = replace(run, count=run.count + 1, steps=ahead if run.count == 1 else run.steps)
        else:
            yield run
            run = piece
    if run is not None:
        yield run
