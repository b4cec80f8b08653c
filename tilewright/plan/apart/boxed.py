"""Which buffers have homes by boxes, and who is at home with them.

In: who touches what (`settle.py`), steps. Out: `Tiling`s by buffer, of those that somebody has in
patches of two dimensions or more, and that all others touch in boxes of the same dimensions, of
which few messages are made, or can be cut alike (`recut.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from tilewright.plan.apart.recut import groups, whole_of, work_of
from tilewright.plan.apart.settle import Settled, Unit
from tilewright.plan.apart.tiling import Span, Tiling
from tilewright.plan.apart.touches import Region
from tilewright.plan.ir import Buffer, Call, Step

MOST = 64
"""Messages that a view may be cut into."""
UNEVEN = 1.25
"""Times an even share of all tiles that the largest block may have, if work is cut by it that could
be cut otherwise: it takes as long as its largest part. (Of a stencil, rims are worth more.)"""

Users = Sequence[tuple[Unit, Region]]
Instances = tuple[Unit, tuple[Span, ...]]
"""A family, and what its instances have along each dimension."""


def tilings(settled: Settled, steps: Sequence[Step]) -> dict[Buffer, Tiling]:
    """Of a program whose work on all of a buffer may still be cut anew (`recut`)."""
    wholes = {
        id(settled.units[id(step)]): call
        for group in groups(steps)
        if (call := whole_of(group))
        for step in group
    }
    found = {}
    for buffer, users in settled.users.items():
        if (
            buffer in settled.looked_at
            or buffer in settled.even
            or buffer.space in ("input", "constant")
        ):
            continue
        tiling = _best(buffer, users, wholes, settled.tiles)
        if tiling is not None:
            found[buffer] = tiling
    return found


def _best(buffer: Buffer, users: Users, wholes: Mapping[int, Call], tiles: int) -> Tiling | None:
    """Of the blocks in which some have it, those that most others are at home with, too."""
    patches: dict[int, list[tuple[Unit, Region]]] = {}
    for unit, region in users:
        if region.box and len(unit.family.vars) > 1:
            patches.setdefault(id(unit.family.whole or unit), []).append((unit, region))
    best: tuple[int, Tiling] | None = None
    for some in patches.values():
        tiling = _grid(buffer, some)
        if tiling is None or tiling.homes.tiles()[-1] >= tiles:
            continue
        if buffer.space == "output" and prod(tiling.lengths) != buffer.size:
            continue
        loose = [
            id(unit) for unit, _ in users
            if id(unit) in wholes and work_of(wholes[id(unit)], {buffer: tiling})
        ]  # fmt: skip
        loose = set(loose) - {id(unit) for unit, _ in some}
        bound = [(unit, region) for unit, region in users if id(unit) not in loose]
        tiling = replace(tiling, rims=_rims(tiling, bound))
        if not all(is_boxed(tiling, unit, region) for unit, region in bound):
            continue
        stencil = any(low and high for low, high in tiling.rims)
        even = max(prod(tiling.lengths) / tiles, 1)
        if loose and not stencil and tiling.largest > UNEVEN * even:
            continue
        at_home = [region for unit, region in bound if own_blocks(tiling, unit, region)]
        reads = any(r.read and (id(u) in loose or r in at_home) for u, r in users)
        if reads and (best is None or len(at_home) > best[0]):
            best = len(at_home), tiling
    return best[1] if best else None


def still_boxed(settled: Settled, found: Mapping[Buffer, Tiling]) -> dict[Buffer, Tiling]:
    """Of those, the ones that all touch in boxes, now that work on all of one is cut anew."""
    return {
        buffer: tiling
        for buffer, tiling in found.items()
        if all(is_boxed(tiling, unit, region) for unit, region in settled.users.get(buffer, ()))
    }


def is_boxed(tiling: Tiling, unit: Unit, region: Region) -> bool:
    for view in dict.fromkeys((*region.needed, *region.read, *region.written, *region.unsure)):
        spans = tiling.spans(view, unit.counts)
        if spans is None:
            return False
        if prod(len(tiling.pieces(axis, span)) for axis, span in enumerate(spans)) > MOST:
            return False
    return True


def own_blocks(tiling: Tiling, unit: Unit, region: Region) -> tuple[int, ...] | None:
    """The block that the first instance is at home with, if all are so and need no others' room."""
    spans = all_of(tiling, unit, region)
    if spans is None:
        return None
    own = tiling.own_blocks(spans, unit.family)
    if own is None or not region.written:
        return own
    for view in (*region.written, *region.unsure):
        found = tiling.spans(view, unit.counts)
        assert found is not None
        for axis, span in enumerate(found):
            if any(piece.j - piece.i != own[axis] for piece in tiling.pieces(axis, span)):
                return None
    return own


def all_of(tiling: Tiling, unit: Unit, region: Region) -> tuple[Span, ...] | None:
    """The least box around all views of a region."""
    rows = [tiling.spans(view, unit.counts) for view in region.views]
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return None
    found = []
    for some in zip(*known, strict=True):
        start = min(span.start for span in some)
        end = max(span.start + span.length for span in some)
        found.append(replace(some[0], start=start, length=end - start))
    return tuple(found)


def _grid(buffer: Buffer, some: Users) -> Tiling | None:
    """Blocks as they have them: the first is where all coordinates are least."""
    strides = sorted({s for _, r in some if r.box for s in (*r.box.strides, *r.along)})[::-1]
    if not strides or strides[-1] != 1 or buffer.size < strides[0]:
        return None
    above = (buffer.size, *strides[:-1])
    lengths = tuple(n // s for n, s in zip(above, strides, strict=True))
    none = (0,) * len(strides)
    whole = Tiling(
        tuple(strides),
        lengths,
        none,
        lengths,
        (1,) * len(strides),
        0,
        none,
        ((0, 0),) * len(strides),
    )
    rows = [(u, spans) for u, r in some if (spans := all_of(whole, u, r))]
    if len(rows) < len(some):
        return None
    rows = _without_rims(rows)
    rows.sort(key=lambda row: tuple(span.start for span in row[1]))
    base, corner = rows[0]
    found = [_along(axis, rows, base, corner) for axis in range(len(strides))]
    if any(row is None for row in found):
        return None
    leads, blocks, counts, apart = zip(*(row for row in found if row is not None), strict=True)
    cut = [count > 1 for count in counts]
    if not any(cut):
        return None
    leads = tuple(lead if c else 0 for lead, c in zip(leads, cut, strict=True))
    blocks = tuple(b if c else n for b, n, c in zip(blocks, lengths, cut, strict=True))
    return replace(
        whole, leads=leads, blocks=blocks, counts=counts, apart=apart,
        first=base.family.homes.first,
    )  # fmt: skip


def _without_rims(rows: Sequence[Instances]) -> list[Instances]:
    """What is read goes as far before a block as behind it: more than it moves by."""
    some = [[s[axis] for _, s in rows if s[axis].count > 1] for axis in range(len(rows[0][1]))]
    rims = [max((max(s.length - s.step, 0) // 2 for s in along), default=0) for along in some]
    return [
        (
            unit,
            tuple(
                replace(span, start=span.start + rim, length=max(span.length - 2 * rim, 1))
                for span, rim in zip(spans, rims, strict=True)
            ),
        )
        for unit, spans in rows
    ]


def _along(
    axis: int, rows: Sequence[Instances], base: Unit, corner: Sequence[Span]
) -> tuple[int, int, int, int] | None:
    """Where blocks begin along a dimension, their size, how many, and tiles between them."""
    lead, size, count, apart = corner[axis].start, corner[axis].length, 1, 0
    for unit, spans in rows:
        span, homes = spans[axis], unit.family.homes
        number, rest = divmod(span.start - lead, size)
        if rest or (span.count > 1 and span.step != size):
            return None
        count = max(count, number + span.count)
        if span.var is not None:
            strides = dict(zip(unit.family.vars, homes.axes, strict=True))
            apart = strides[span.var].stride
        elif number and not apart and _differ(spans, corner) == [axis]:
            apart = (homes.first - base.family.homes.first) // number
    return (lead, size, count, apart) if count == 1 or apart > 0 else None


def _differ(some: Sequence[Span], others: Sequence[Span]) -> list[int]:
    pairs = enumerate(zip(some, others, strict=True))
    return [axis for axis, (one, other) in pairs if one.start != other.start]


def _rims(tiling: Tiling, users: Users) -> tuple[tuple[int, int], ...]:
    """What those read around a block of theirs that go from block to block as it does."""
    found = [(0, 0)] * len(tiling.strides)
    for unit, region in users:
        spans = all_of(tiling, unit, region) if region.read else None
        if spans is None or not _goes_along(tiling, spans):
            continue
        for axis, span in enumerate(spans):
            block = tiling.block_of(axis, span.start + span.length // 2)
            begin = tiling.leads[axis] + block * tiling.blocks[axis]
            low, high = begin - span.start, span.start + span.length - begin - tiling.blocks[axis]
            if max(low, high) < tiling.blocks[axis]:
                found[axis] = max(found[axis][0], low), max(found[axis][1], high)
    return tuple(found)


def _goes_along(tiling: Tiling, spans: Sequence[Span]) -> bool:
    pairs = zip(spans, tiling.blocks, strict=True)
    return all(span.count == 1 or span.step == size for span, size in pairs)
