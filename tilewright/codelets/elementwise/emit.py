"""LLVM text of a fused elementwise expression: loops over its domain, a few vectors a turn.

In: an `Elementwise`. Out: its function. Always: neighbours are read, computed and written before
the next ones; arrays that lie across the lanes go by blocks (`blocks.py`), copies that do by
squares (`squares.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.collapse import Walk, collapse
from tilewright.codelets.elementwise.blocks import Block, Turned, reserve, turned_arrays
from tilewright.codelets.elementwise.squares import Square, copy_square, square_of
from tilewright.codelets.elementwise.stages import BLOCK, Stage, stages_of
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.expression import (
    LONG,
    abreast,
    emit_expression,
    instructions_of,
)
from tilewright.codelets.emit.llvm import REGISTER_TYPE, Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import constants, itemsize, offset, splat, store_past
from tilewright.codelets.expression import Expression, indexed_dimensions

if TYPE_CHECKING:
    from tilewright.codelets.elementwise.codelet import Elementwise

_WORTH_BLOCKS = 40
"""Instructions a vector from which on how it is read matters less than writing them out again."""


def write(function: Function, codelet: Elementwise) -> None:
    """The body of the codelet's function; its domain is not empty."""
    _Writer(function, codelet).write()


@dataclass
class _Writer:
    """The function of one codelet in the making.

    Its *places* are a pointer for each array, then an index (i64) for each dimension that the
    expression asks for: an index moves through the domain as a pointer does.
    """

    function: Function
    codelet: Elementwise
    dtypes: list[str] = field(init=False)
    dimensions: list[int] = field(init=False)
    walk: Walk = field(init=False)
    slots: dict[int, str] = field(init=False)
    square: Square | None = field(init=False)
    turned: Turned | None = field(init=False)
    stages: tuple[Stage, ...] = field(init=False)

    def __post_init__(self):
        codelet = self.codelet
        self.dtypes = [operand.dtype for operand in (*codelet.inputs, *codelet.outputs)]
        self.dimensions = indexed_dimensions(codelet.expression)
        few = self.function.module.features.registers < 32
        self.stages = stages_of(codelet.expression, few=few)
        units = [
            tuple(int(i == dimension) for i in range(len(codelet.shape)))
            for dimension in self.dimensions
        ]
        arrays = [*units, *codelet.input_strides, *codelet.output_strides]
        work = instructions_of(codelet.expression)
        walk = collapse(codelet.shape, arrays, len(codelet.outputs), work)
        indices = len(units)
        self.walk = Walk(walk.sizes, (*walk.steps[indices:], *walk.steps[:indices]))
        self.square = self.turned = None
        if codelet.expression == Expression(codelet.expression.inputs, (), (0,)):
            self._prefer_squares()
        if not self.square and work <= _WORTH_BLOCKS:
            self._prefer_blocks()

    def _prefer_blocks(self) -> None:
        """Where arrays lie across the lanes, the dimension along which they lie comes next."""
        self.turned = turned_arrays(self.walk, len(self.dtypes))
        if self.turned:
            self._bring_next(self.turned.dimension)

    def _bring_next(self, dimension: int) -> None:
        """Next to the one in lanes."""
        order = [i for i in range(len(self.walk.sizes)) if i != dimension]
        order.insert(len(order) - 1, dimension)
        self.walk = self.walk.reordered(order)

    def _prefer_squares(self) -> None:
        """A copy that turns rows into columns goes by squares: their other dimension comes next."""
        found = square_of(self.walk, self.dtypes[0]) if len(self.dtypes) == 2 else None
        if found:
            dimension, self.square = found
            self._bring_next(dimension)

    def write(self) -> None:
        pointers = [self.function.argument(i) for i in range(len(self.dtypes))]
        arrays = self.turned.arrays if self.turned else ()
        self.slots = {i: reserve(self.function, self.dtypes[i]) for i in arrays}
        self._nest(0, [*pointers, *("0" for _ in self.dimensions)])

    def _nest(self, level: int, places: Sequence[str]) -> None:
        sizes = self.walk.sizes
        if not sizes:
            self._body(places, 0, 1, {})
        elif level == len(sizes) - 1:
            self._row(sizes[level], places)
        elif level == len(sizes) - 2 and self.square:
            self._squares(self.square, level, places)
        elif level == len(sizes) - 2 and self.turned:
            self._in_runs(level, places, partial(self._strip_of_blocks, level))
        else:
            with repeat(self.function, sizes[level], self._carry(places)) as turn:
                self._nest(level + 1, turn.carry)
                turn.next[:] = self._moved(turn.carry, level, 1)

    def _squares(self, square: Square, level: int, places: Sequence[str]) -> None:
        """The last two dimensions of a copy; the last square of each may overlap the one before."""
        strips, spare = divmod(self.walk.sizes[level], LANES)
        with repeat(self.function, strips, self._carry(places)) as turn:
            self._strip(square, level + 1, turn.carry)
            turn.next[:] = self._moved(turn.carry, level, LANES)
        if spare:
            last = self._moved(places, level, self.walk.sizes[level] - LANES)
            self._strip(square, level + 1, last)

    def _strip(self, square: Square, level: int, places: Sequence[str]) -> None:
        blocks, spare = divmod(self.walk.sizes[level], LANES)
        with repeat(self.function, blocks, self._carry(places)) as turn:
            copy_square(self.function, square, *turn.carry)
            turn.next[:] = self._moved(turn.carry, level, LANES)
        if spare:
            last = self._moved(places, level, self.walk.sizes[level] - LANES)
            copy_square(self.function, square, *last)

    def _in_runs(
        self, level: int, places: Sequence[str], body: Callable[[Sequence[str], int], None]
    ) -> None:
        """`body` for each 16 along a dimension, and for those left."""
        whole, rest = divmod(self.walk.sizes[level], LANES)
        if whole:
            with repeat(self.function, whole, self._carry(places)) as turn:
                body(turn.carry, LANES)
                turn.next[:] = self._moved(turn.carry, level, LANES)
            places = turn.result
        if rest:
            body(places, rest)

    def _strip_of_blocks(self, level: int, places: Sequence[str], rows: int) -> None:
        self._in_runs(level + 1, places, partial(self._block, level, rows))

    def _block(self, level: int, rows: int, places: Sequence[str], columns: int) -> None:
        """Rows of lanes; arrays that lie across them are turned round on the stack."""
        blocks = {
            i: Block(self.dtypes[i], self.walk.steps[i][-1], slot, rows, columns)
            for i, slot in self.slots.items()
        }
        inputs = len(self.codelet.inputs)
        for i, block in blocks.items():
            if i < inputs:
                block.read(self.function, places[i])
        steps = [1 if i in blocks else step[-1] for i, step in enumerate(self.walk.steps)]
        here = [self.slots.get(i, place) for i, place in enumerate(places)]
        with repeat(self.function, rows, self._carry(here)) as turn:
            self._body(turn.carry, LANES, columns, {}, steps)
            turn.next[:] = self._moved(turn.carry, level, 1)
            for i in blocks:
                turn.next[i] = offset(self.function, turn.carry[i], self.dtypes[i], LANES)
        for i, block in blocks.items():
            if i >= inputs:
                block.write(self.function, places[i])

    def _carry(self, places: Sequence[str]) -> list[tuple[str, str]]:
        count = len(self.dtypes)
        return [("ptr" if i < count else "i64", place) for i, place in enumerate(places)]

    def _moved(self, places: Sequence[str], level: int, count: int) -> list[str]:
        """Places `count` elements further along a dimension of the walk."""
        moved = []
        for i, place in enumerate(places):
            step = self.walk.steps[i][level] * count
            if i < len(self.dtypes):
                place = offset(self.function, place, self.dtypes[i], step)
            elif step:
                place = self.function.let(f"add i64 {place}, {step}")
            moved.append(place)
        return moved

    def _row(self, size: int, places: Sequence[str]) -> None:
        """The dimension in lanes: turns of a few vectors, the vectors left, the lanes left."""
        abreast = self._abreast(size)
        if abreast > LANES:
            turns, size = divmod(size, abreast)
            places = self._turns(places, turns, abreast)
            if size > LANES and self._is_masked():
                self._body(places, abreast, size, self._repeated(places, abreast))
                return
        level = len(self.walk.sizes) - 1
        whole, rest = divmod(size, LANES)
        together = self._together(whole)
        turns, left = divmod(whole, together)
        repeated = self._repeated(places, LANES) if whole else {}
        if abreast > LANES and whole > 1:
            places, left = self._turns(places, whole, LANES), 0
        elif turns:
            with repeat(self.function, turns, self._carry(places)) as turn:
                here = list(turn.carry)
                for _ in range(together):
                    self._body(here, LANES, LANES, repeated)
                    here = self._moved(here, level, LANES)
                turn.next[:] = here
            places = turn.result
        for _ in range(left):
            self._body(places, LANES, LANES, repeated)
            places = self._moved(places, level, LANES)
        if rest:
            width = LANES if whole else next(w for w in (4, 8, LANES) if w >= rest)
            self._body(places, width, rest, repeated if width == LANES else {})

    def _turns(self, places: Sequence[str], count: int, width: int) -> Sequence[str]:
        """`width` neighbours a turn, as one vector; the places after them."""
        level, repeated = len(self.walk.sizes) - 1, self._repeated(places, width)
        if self.stages and width > LANES and count > 1:
            return self._in_stages(places, count, width, repeated)
        with repeat(self.function, count, self._carry(places)) as turn:
            self._body(turn.carry, width, width, repeated)
            turn.next[:] = self._moved(turn.carry, level, width)
        return turn.result

    def _in_stages(
        self,
        places: Sequence[str],
        count: int,
        width: int,
        repeated: Mapping[int, str],
    ) -> Sequence[str]:
        """The same by blocks of turns: all stages of a block, then the next block."""
        function, level, most = self.function, len(self.walk.sizes) - 1, BLOCK // width
        slots = {
            number: function.reserve(_row_of(dtype, width), min(most, count))
            for stage in self.stages
            for number, dtype in zip(stage.leaves, stage.left, strict=True)
        }
        with repeat(function, -(-count // most), self._carry(places)) as block:
            turns = count if count <= most else self._turns_left(block.index, count, most)
            after = block.carry
            for stage in self.stages:
                with repeat(function, turns, self._carry(block.carry)) as turn:
                    self._stage(stage, turn.carry, turn.index, width, repeated, slots)
                    turn.next[:] = self._moved(turn.carry, level, width)
                after = turn.result
            block.next[:] = after
        return block.result

    def _turns_left(self, block: str, count: int, most: int) -> int | str:
        """Of a block by number: the last one may have fewer."""
        if count % most == 0:
            return most
        left = self.function.let(
            f"sub i64 {count}, {self.function.let(f'mul i64 {block}, {most}')}"
        )
        fewer = self.function.let(f"icmp ult i64 {left}, {most}")
        return self.function.let(f"select i1 {fewer}, i64 {left}, i64 {most}")

    def _stage(
        self,
        stage: Stage,
        places: Sequence[str],
        turn: str,
        width: int,
        repeated: Mapping[int, str],
        slots: Mapping[int, str],
    ) -> None:
        """One stage of a turn: it takes and leaves registers in `slots`."""
        function, steps = self.function, [step[-1] for step in self.walk.steps]
        inputs = []
        for i in stage.reads:
            dtype = self.dtypes[i]
            raw = repeated.get(i) or memory.load_raw(function, dtype, places[i], width, steps[i])
            inputs.append(memory.to_register(function, dtype, raw, width))
        for number, dtype in zip(stage.takes, stage.taken, strict=True):
            row = _row_of(dtype, width)
            place = function.address(slots[number], row, turn)
            inputs.append(function.let(f"load {row}, ptr {place}, align 64"))
        results = emit_expression(function, stage.expression, inputs, width)
        left = zip(stage.leaves, stage.left, results, strict=False)
        for number, dtype, result in left:
            row = _row_of(dtype, width)
            place = function.address(slots[number], row, turn)
            function.do(f"store {row} {result}, ptr {place}, align 64")
        if not stage.leaves:
            first = len(self.codelet.inputs)
            for i, result in enumerate(results, first):
                value = memory.to_memory(function, self.dtypes[i], result, width)
                self._store(i, value, places[i], width, steps[i], width)

    def _abreast(self, size: int) -> int:
        """Neighbours that are computed at the same time, as one vector."""
        features = self.function.module.features
        lanes = abreast(self.codelet.expression, features)
        if features.registers >= 32 and self.stages:
            lanes //= 2  # stages are short
        return lanes if size >= 2 * lanes else LANES

    def _is_masked(self) -> bool:
        """Whether lanes that do not exist cost nothing: every level has masks for four bytes."""
        return all(itemsize(dtype) == 4 for dtype in self.dtypes)

    def _together(self, whole: int) -> int:
        """Vectors in one turn: more of them where there is little to do with each."""
        work = instructions_of(self.codelet.expression) * (2 if self._is_wide() else 1)
        most = 4 if work <= 4 else 2 if work <= LONG else 1
        return most if whole >= 2 * most else 1

    def _is_wide(self) -> bool:
        """Whether 16 lanes take more than one machine register."""
        wide = self.function.module.features.vector_bits < 512
        return wide or any(dtype.endswith("64") for dtype in self.dtypes)

    def _repeated(self, places: Sequence[str], width: int) -> dict[int, str]:
        """Inputs that do not change along the lanes: read once, before the loop."""
        return {
            i: memory.load_raw(self.function, self.dtypes[i], places[i], width, 0)
            for i in range(len(self.codelet.inputs))
            if self.walk.steps[i][-1] == 0
        }

    def _body(
        self,
        places: Sequence[str],
        width: int,
        valid: int,
        repeated: dict[int, str],
        steps: Sequence[int] = (),
    ) -> None:
        """Read, compute and write some neighbours, `steps` apart (those of the walk)."""
        function, expression = self.function, self.codelet.expression
        steps = steps or [step[-1] if step else 0 for step in self.walk.steps]
        count = len(expression.inputs)
        raw = [
            repeated.get(i)
            or memory.load_raw(function, self.dtypes[i], places[i], width, steps[i], valid)
            for i in range(count)
        ]
        inputs = [
            memory.to_register(function, dtype, value, width)
            for dtype, value in zip(expression.inputs, raw, strict=True)
        ]
        indices = self._indices(places, steps, width)
        results = emit_expression(function, expression, inputs, width, indices.__getitem__)
        rows = zip(expression.outputs, results, places[count:], steps[count:], strict=False)
        stores: list[tuple[int, str, str, int]] = []
        for i, (number, register, place, step) in enumerate(rows, count):
            dtype = self.dtypes[i]
            if number < count:
                value = raw[number]
            else:
                value = memory.to_memory(function, dtype, register, width)
            stores.append((i, value, place, step))
        for i, value, place, step in stores:
            self._store(i, value, place, width, step, valid)

    def _store(self, i: int, value: str, place: str, width: int, step: int, valid: int) -> None:
        """Of array i, lanes of memory type as they are."""
        whole = step == 1 and valid == width and width % LANES == 0 < width
        if whole and i - len(self.codelet.inputs) in self.codelet.past:
            store_past(self.function, self.dtypes[i], value, place, width)
        else:
            memory.store_raw(self.function, self.dtypes[i], value, place, width, step, valid)

    def _indices(self, places: Sequence[str], steps: Sequence[int], width: int) -> dict[int, str]:
        """By dimension of the domain: its index in every lane."""
        first = len(self.dtypes)
        rows = zip(self.dimensions, places[first:], steps[first:], strict=True)
        return {dimension: self._index(place, step, width) for dimension, place, step in rows}

    def _index(self, place: str, step: int, width: int) -> str:
        if not width:
            return place
        start = Register(self.function, "i64", width, splat(self.function, "i64", width, place))
        lanes = constants("i64", [lane * step for lane in range(width)])
        return (start + Register(self.function, "i64", width, lanes)).name


def _row_of(dtype: str, width: int) -> str:
    """The type of a register of so many lanes."""
    return vector(REGISTER_TYPE[dtype], width)
