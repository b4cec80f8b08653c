"""Where the operands of a program are when they are touched: how much else was touched since.

In: a program's steps. Out: for each operand of each call a `Distance`: the bytes that its tile, and
all tiles, touch between the last touch of the same data and this one. A cache that holds so many
still has it. The program is taken to run again and again, its arguments where the last run left
them.

A body is gone through once. What moves with the body's own variable is new in every turn: it was
last touched in the turn of a loop around, or not at all. What does not was there the turn before.
A loop as seen from outside is one step that touches all that its turns touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tilewright.frozen import frozen
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Step,
    Sync,
    Var,
    View,
    While,
)

Moves = tuple[tuple[Var, int], ...]
Key = tuple[Buffer, Moves]
Operand = tuple[int, int]
"""id of the call, position of the view."""


@frozen
class Distance:
    """Bytes since the last touch: `own` of the tile's, `common` that all tiles have alike.

    `foreign`: another tile wrote it last, so that it is in no memory of the tile's own.
    """

    own: float
    common: float
    foreign: bool = False


@dataclass
class _Touch:
    """A range of a buffer, [low, high) in bytes but for what moves, of which `size` are touched."""

    low: int
    high: int
    size: float
    writes: bool
    operands: list[Operand] = field(default_factory=list)

    def meets(self, other: _Touch) -> bool:
        return self.low < other.high and other.low < self.high

    def take(self, other: _Touch) -> None:
        """The union; two ranges that have nothing in common add up."""
        both = self.size + other.size if not self.meets(other) else max(self.size, other.size)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.size = min(both, self.high - self.low)
        self.writes |= other.writes


Touches = dict[Key, _Touch]

_SHARE: Var = -1
"""In the moves of what a tile touches of a spread as a whole: its own share."""


class _Child:
    """A step as its neighbours see it; `who` is "one" tile or "all"."""

    def __init__(self, touches: Touches, who: str):
        self.touches, self.who = touches, who
        self.keys: dict[Buffer, list[Key]] = {}
        for key in touches:
            self.keys.setdefault(key[0], []).append(key)

    def touched(self, key: Key, touch: _Touch) -> Key | None:
        """The key under which it touches the same data; the same one, if there are several."""
        keys = [k for k in self.keys.get(key[0], ()) if self._meets(k, key, touch)]
        return key if key in keys else next(iter(keys), None)

    def _meets(self, other: Key, key: Key, touch: _Touch) -> bool:
        return other[1] != key[1] or self.touches[other].meets(touch)


class Residence:
    """`of(call, position)` for every call of the program."""

    def __init__(self, program: Program, tiles: int):
        self.tiles = tiles
        self.found: dict[Operand, Distance] = {}
        self.spread: set[Var] = {_SHARE}
        touches = self._body(program.steps, None, True)
        self._settle(touches, Distance(0, sum(t.size for t in touches.values())))

    def of(self, call: Call, position: int) -> Distance:
        return self.found[(id(call), position)]

    # Bodies.

    def _body(self, steps: Iterable[Step], var: Var | None, again: bool) -> Touches:
        """What one turn touches; all operands whose last touch is in the body are settled.

        With `again` the body has run before, so that what does not move with `var` was touched.
        """
        children = [self._child(step) for step in steps if not isinstance(step, Sync)]
        open_touches: Touches = {}
        for number, child in enumerate(children):
            for key, touch in child.touches.items():
                moves = var is not None and any(v == var for v, _ in key[1])
                distance = self._back(children, number, key, touch, again and not moves)
                if distance is not None:
                    self._settle({key: touch}, distance)
                    touch.operands = []
        for child in children:
            for key, touch in child.touches.items():
                _add(open_touches, key, touch)
        return open_touches

    def _back(
        self, children: Sequence[_Child], number: int, key: Key, touch: _Touch, around: bool
    ) -> Distance | None:
        """From a child back to the one that touched the same last, `around`: in the turn before."""
        between: Touches = {}
        _all(between, children[number].touches)
        before = range(number - 1, -1, -1)
        earlier = range(len(children) - 1, number - 1, -1) if around else ()
        for other in (*before, *earlier):
            theirs = children[other].touched(key, touch)
            if theirs is not None:
                writes = children[other].touches[theirs].writes
                own = theirs == key and self._is_own(key)
                same = children[other].who == children[number].who == "one" or own
                return self._distance(between, writes and not same and self.tiles > 1)
            if other != number:
                _all(between, children[other].touches)
        return None

    def _distance(self, between: Touches, foreign: bool) -> Distance:
        own = sum(t.size for k, t in between.items() if self._is_own(k))
        return Distance(own, sum(t.size for t in between.values()) - own, foreign)

    def _is_own(self, key: Key) -> bool:
        """Whether it is data of one tile: in its arena, or its share of a spread."""
        return key[0].space == "tile" or any(var in self.spread for var, _ in key[1])

    def _settle(self, touches: Touches, distance: Distance) -> None:
        for touch in touches.values():
            for operand in touch.operands:
                self.found.setdefault(operand, distance)

    # Steps.

    def _child(self, step: Step) -> _Child:
        match step:
            case Call():
                return _Child(_of_call(step), "one")
            case Loop(var, count, body):
                inside = self._body(body, var, count > 1)
                return _Child(_turned(inside, var, count), self._who(body))
            case Spread(var, count, body) | Map(var, count, body):
                self.spread.add(var)
                inside = self._body(body, var, count > self.tiles)
                share = -(-count // min(self.tiles, count)) if count else 1
                return _Child(_turned(inside, var, count, share), "all")
            case While(condition, _, body):
                inside = self._body((*condition, *body), None, True)
                return _Child(inside, self._who(body))
            case Branch(_, cases):
                inside = {}
                for case in cases:
                    for key, touch in self._body(case, None, False).items():
                        _add(inside, key, touch)
                return _Child(inside, self._who([s for case in cases for s in case]))
            case _:
                raise AssertionError(step)

    def _who(self, steps: Iterable[Step]) -> str:
        inside = any(isinstance(step, Spread | Map) or _holds_spread(step) for step in steps)
        return "all" if inside else "one"


def _holds_spread(step: Step) -> bool:
    match step:
        case Loop(_, _, steps):
            bodies: Iterable[Step] = steps
        case While(condition, _, steps):
            bodies = (*condition, *steps)
        case Branch(_, cases):
            bodies = [s for case in cases for s in case]
        case _:
            return isinstance(step, Spread | Map)
    return any(_holds_spread(inner) for inner in bodies)


def _of_call(call: Call) -> Touches:
    found: Touches = {}
    inputs, count = len(call.codelet.inputs), len(call.views)
    for position in range(count):
        view = call.views[position]
        touch = _touch(view, position >= inputs)
        touch.operands.append((id(call), position))
        _add(found, (view.buffer, view.moves), touch)
    return found


def _touch(view: View, writes: bool) -> _Touch:
    """Of one vertex. A stride of 0 reads the same bytes again."""
    item = view.buffer.nbytes // max(view.buffer.size, 1)
    low = high = view.offset
    size = item
    for n, stride in zip(view.shape, view.strides, strict=True):
        if stride and n:
            size *= n
            low, high = low + min(0, (n - 1) * stride), high + max(0, (n - 1) * stride)
    return _Touch(low * item, (high + 1) * item, float(size), writes)


def _turned(touches: Touches, var: Var, count: int, share: int = 0) -> Touches:
    """All turns of a loop as one: what moves with it covers all that it moves over.

    Of a spread, each tile has a `share` of the turns: the size is that of a share, which stays
    marked as the tile's own.
    """
    found: Touches = {}
    for (buffer, moves), touch in touches.items():
        step = sum(step for v, step in moves if v == var)
        rest = tuple(move for move in moves if move[0] != var)
        if share and step:
            rest = (*rest, (_SHARE, step))
        if step:
            item = buffer.nbytes // max(buffer.size, 1)
            way = step * item * (count - 1)
            low, high = touch.low + min(0, way), touch.high + max(0, way)
            size = min(touch.size * (share or count), high - low, float(buffer.nbytes))
            touch = _Touch(low, high, size, touch.writes, touch.operands)
        _add(found, (buffer, rest), touch)
    return found


def _add(touches: Touches, key: Key, touch: _Touch) -> None:
    known = touches.get(key)
    if known is None:
        touches[key] = _Touch(touch.low, touch.high, touch.size, touch.writes, touch.operands[:])
    else:
        known.take(touch)
        known.operands.extend(touch.operands)


def _all(touches: Touches, others: Mapping[Key, _Touch]) -> None:
    for key, touch in others.items():
        known = touches.get(key)
        if known is None:
            touches[key] = _Touch(touch.low, touch.high, touch.size, touch.writes)
        else:
            known.take(touch)
