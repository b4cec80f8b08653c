"""Small vertices as a few instructions in the middle of a function, on values in registers.

In: a codelet of at most 16 elements and the `Place`s of its operands. Out: the same results to the
bit as its own function gives, without a call and, where its operands are in registers, without
memory. The codelet's meaning stays its only meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.expression import emit_expression, instructions_of
from tilewright.codelets.emit.llvm import MEMORY_TYPE, REGISTER_TYPE, Function
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import (
    FLOATS,
    constants,
    narrow,
    shuffle,
    splat_constant,
    widen,
)
from tilewright.codelets.expression import Expression, indexed_dimensions
from tilewright.codelets.index.dynamic import DynamicSlice, DynamicUpdateSlice, move_to_start
from tilewright.codelets.index.gather import Gather
from tilewright.codelets.index.scatter import Scatter
from tilewright.codelets.index.window import as_i64
from tilewright.codelets.reduce import Reduce
from tilewright.codelets.reduce.source import alone, combination_of, constant
from tilewright.codelets.small.places import (
    MOST,
    InMemory,
    Place,
    padded,
    picked,
    positions,
    width_of,
)
from tilewright.graph.law import LANES, identity


def is_small(codelet: Codelet) -> bool:
    """Whether `emit_small` takes it."""
    match codelet:
        case Reduce() if codelet.count > codelet.leaf:
            return False
        case ContractOuter() | ContractVector() if codelet.k > codelet.leaf:
            return False
        case ContractOuter(paired=True):
            return False
        case Elementwise(shape=shape) | Reduce(shape=shape, stored=()):
            return 0 < prod(shape) <= MOST
        case ContractOuter() | ContractVector():
            sizes = [operand.size for operand in (codelet.lhs, codelet.rhs, codelet.out)]
            return min(sizes) > 0 and max(sizes) <= MOST
        case DynamicSlice(out=window) | DynamicUpdateSlice(update=window):
            return 0 < window.size <= MOST
        case Gather() | Scatter():
            walk = codelet.addressing
            return 0 < walk.windows.size <= MOST and walk.operand.size > 0 and walk.is_one_window()
    return False


def in_memory(codelet: Codelet) -> tuple[int, ...]:
    """Positions of operands that must be in memory: elements of theirs are chosen at run time."""
    if not is_small(codelet):
        return tuple(range(len(codelet.inputs) + len(codelet.outputs) + 1))
    if isinstance(codelet, DynamicSlice | Gather):
        return (0,)
    changes = isinstance(codelet, DynamicUpdateSlice | Scatter)
    return (len(codelet.inputs),) if changes else ()


def small_work(codelet: Codelet) -> int:
    """About how many instructions `emit_small` writes."""
    if isinstance(codelet, Elementwise):
        return 4 + instructions_of(codelet.expression)
    if isinstance(codelet, Reduce):
        return 4 + instructions_of(codelet.expression) + 2 * codelet.count
    if isinstance(codelet, ContractOuter | ContractVector):
        return 4 + 4 * codelet.k
    return 8


def emit_small(function: Function, codelet: Codelet, places: Sequence[Place]) -> None:
    """Write the codelet's instructions; `places` are those of its inputs, then its outputs."""
    match codelet:
        case Elementwise():
            _elementwise(function, codelet, places)
        case Reduce():
            _reduce(function, codelet, places)
        case ContractOuter():
            _outer(function, codelet, places)
        case ContractVector():
            _vector(function, codelet, places)
        case Gather() | Scatter():
            codelet.write(function, [place.address(function) for place in places])
        case DynamicSlice():
            _slice(function, codelet, places)
        case DynamicUpdateSlice():
            _update(function, codelet, places)
        case _:
            raise AssertionError(codelet.name)


def _elementwise(function: Function, codelet: Elementwise, places: Sequence[Place]) -> None:
    count = len(codelet.inputs)
    rows = zip(codelet.inputs, places, strict=False)
    raw = [place.read(function, positions(operand)) for operand, place in rows]
    results = _computed(function, codelet.expression, codelet.shape, raw)
    width = width_of(prod(codelet.shape))
    stores = []
    for number, register, operand in zip(
        codelet.expression.outputs, results, codelet.outputs, strict=True
    ):
        passed_on = number < count
        stores.append(
            raw[number] if passed_on else memory.to_memory(function, operand.dtype, register, width)
        )
    for operand, place, value in zip(codelet.outputs, places[count:], stores, strict=True):
        place.write(function, positions(operand), value)


def _computed(
    function: Function, expression: Expression, shape: tuple[int, ...], raw: Sequence[str]
) -> list[str]:
    """The outputs' registers, one lane an element of the domain."""
    width = width_of(prod(shape))
    rows = zip(expression.inputs, raw, strict=True)
    inputs = [memory.to_register(function, dtype, value, width) for dtype, value in rows]
    indices = {d: _index(shape, d) for d in indexed_dimensions(expression)}
    return emit_expression(function, expression, inputs, width, indices.__getitem__)


def _index(shape: tuple[int, ...], dimension: int) -> str:
    """The index along a dimension in every lane, as a constant."""
    strides = [int(d == dimension) for d in range(len(shape))]
    lanes = padded(positions(Operand("int64", shape, tuple(strides))))
    return constants("i64", lanes) if len(lanes) > 1 else str(lanes[0])


# Reductions.


def _reduce(function: Function, codelet: Reduce, places: Sequence[Place]) -> None:
    *inputs, out = places
    combination = combination_of(codelet.kind, codelet.dtype)
    rows = zip(codelet.inputs, inputs, strict=True)
    raw = [place.read(function, positions(operand)) for operand, place in rows]
    (value,) = _computed(function, codelet.expression, codelet.shape, raw)
    width = width_of(prod(codelet.shape))
    if codelet.dtype == "bool":
        value = Register(function, REGISTER_TYPE["bool"], width, value).cast("zext", "i8").name
    if codelet.count == 1:
        value = alone(function, combination, width, value)
    dtype = "bool" if codelet.dtype == "bool" else combination.wide
    value = combination.apply(function, width, _start(codelet.kind, dtype, width), value)
    domain = Operand("", codelet.shape, _row_major(codelet.shape))
    parts = _part(domain, codelet.kept), _part(domain, codelet.reduced)
    total = _Lanes(function, combination, *parts).halved(value, width)
    result = combination.narrow(function, width_of(codelet.outputs[0].size), total)
    out.write(function, positions(codelet.outputs[0]), result)


def _start(kind: str, dtype: str, width: int) -> str:
    """The identity in every lane."""
    return splat_constant(MEMORY_TYPE[dtype], constant(identity(kind, dtype)), width)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


class _Lanes:
    """Elements in lanes, each combined with the identity, to be combined by halving.

    Element e of output o is in lane outputs[o] + elements[e].
    """

    def __init__(
        self,
        function: Function,
        combination: Combination,
        outputs: Sequence[int],
        elements: Sequence[int],
    ):
        self.function, self.combination = function, combination
        self.kind = combination.register
        self.outputs, self.elements = outputs, elements

    def _combine(self, width: int, x: str, y: str) -> str:
        return self.combination.apply(self.function, width, x, y)

    def _row(self, value: str, width: int, elements: Sequence[int]) -> str:
        lanes = [first + element for element in elements for first in self.outputs]
        return picked(self.function, self.kind, value, width, lanes)

    def halved(self, value: str, width: int) -> str:
        """Element l with element l + 8, + 4, + 2, + 1; the identities in between change nothing."""
        left, half, many = len(self.elements), LANES // 2, len(self.outputs)
        row = self._row(value, width, self.elements)
        while half:
            pairs = min(left - half, half)
            if pairs > 0:
                width = width_of(left * many)
                low = picked(self.function, self.kind, row, width, range(half * many))
                partners = [*range(half * many, (half + pairs) * many)]
                missing = [partners[-1]] * ((half - pairs) * many)
                high = picked(self.function, self.kind, row, width, [*partners, *missing])
                width = width_of(half * many)
                row = self._combine(width, low, high)
                if missing:
                    row = _first(self.function, self.kind, width, pairs * many, row, low)
                left = half
            half //= 2
        return row


def _part(domain: Operand, dimensions: Sequence[int]) -> list[int]:
    """Positions along some dimensions."""
    shape, strides = (tuple(row[d] for d in dimensions) for row in (domain.shape, domain.strides))
    return positions(Operand("", shape, strides))


def _first(function: Function, kind: str, width: int, count: int, x: str, y: str) -> str:
    """`count` lanes of x, and y in the others."""
    return shuffle(
        function, kind, width, x, y, [i if i < count else width + i for i in range(width)]
    )


# Products.


def _terms(
    function: Function, place: Place, operand: Operand, working: str, lanes: Sequence[int]
) -> str:
    """Elements of an operand (numbered in row-major order), in the dtype that sums are kept in."""
    value = place.read(function, positions(operand))
    value = picked(function, place.kind, value, width_of(operand.size), lanes)
    return widen(function, value, operand.dtype, working, width_of(len(lanes)))


def _outer(function: Function, codelet: ContractOuter, places: Sequence[Place]) -> None:
    """One term of all outputs after the other."""
    lhs, rhs, out = places
    working, (m, n, k) = codelet.sum_dtype, (codelet.m, codelet.n, codelet.k)
    arithmetic, width = Arithmetic(working), width_of(codelet.out.size)
    outputs = [divmod(output, m * n) for output in range(codelet.out.size)]
    total = arithmetic.start(k, width)
    for e in range(k):
        left = [(batch * m + output // n) * k + e for batch, output in outputs]
        right = [(batch * k + e) * n + output % n for batch, output in outputs]
        x = _terms(function, lhs, codelet.lhs, working, left)
        y = _terms(function, rhs, codelet.rhs, working, right)
        total = arithmetic.multiply_add(function, width, x, y, total)
    total = narrow(function, total, working, codelet.out.dtype, width)
    out.write(function, positions(codelet.out), total)


def _vector(function: Function, codelet: ContractVector, places: Sequence[Place]) -> None:
    """A lane for each term of each output, then as in a reduction."""
    lhs, rhs, out = places
    working, m, k, rows = codelet.sum_dtype, codelet.m, codelet.k, codelet.out.size
    arithmetic, width = Arithmetic(working), width_of(rows * k)
    left, right = range(rows * k), [row // m * k + e for row in range(rows) for e in range(k)]
    x = _terms(function, lhs, codelet.lhs, working, left)
    y = _terms(function, rhs, codelet.rhs, working, right)
    total = arithmetic.multiply_add(function, width, x, y, arithmetic.start(k, width))
    if working in FLOATS:
        empty = _constants(arithmetic.kind, [_partner(i % k, k) for i in left])
        total = arithmetic.add(function, width, total, empty)
    outputs, terms = [row * k for row in range(rows)], list(range(k))
    total = _Lanes(function, Combination("sum", working), outputs, terms).halved(total, width)
    total = narrow(function, total, working, codelet.out.dtype, width_of(rows))
    out.write(function, positions(codelet.out), total)


def _partner(lane: int, count: int) -> str:
    """What a lane meets first: an empty lane's 0, or, where that is not empty, -0 in its stead.

    A product that underflows leaves -0 in its lane; 0 makes it 0, and -0 changes nothing. A single
    product starts from -0 in all lanes.
    """
    return "-0.0" if count == 1 or lane + LANES // 2 < count else "0.0"


def _constants(kind: str, lanes: Sequence[str]) -> str:
    if len(lanes) == 1:
        return lanes[0]
    return f"<{', '.join(f'{kind} {lanes[i]}' for i in padded(range(len(lanes))))}>"


# Windows.


def _starts(function: Function, dtypes: Sequence[str], places: Sequence[Place]) -> list[str]:
    rows = zip(dtypes, places, strict=True)
    return [as_i64(function, dtype, place.read(function, [0])) for dtype, place in rows]


def _slice(function: Function, codelet: DynamicSlice, places: Sequence[Place]) -> None:
    source, *starts, out = places
    assert isinstance(source, InMemory)
    first = _starts(function, codelet.starts, starts)
    pointer = move_to_start(function, codelet.source, codelet.out.shape, source.pointer, first)
    window = Operand(codelet.out.dtype, codelet.out.shape, codelet.source.strides)
    value = InMemory(source.dtype, pointer).read(function, positions(window))
    out.write(function, positions(codelet.out), value)


def _update(function: Function, codelet: DynamicUpdateSlice, places: Sequence[Place]) -> None:
    update, *starts, out = places
    assert isinstance(out, InMemory)
    first = _starts(function, codelet.starts, starts)
    value = update.read(function, positions(codelet.update))
    pointer = move_to_start(function, codelet.out, codelet.update.shape, out.pointer, first)
    window = Operand(codelet.out.dtype, codelet.update.shape, codelet.out.strides)
    InMemory(out.dtype, pointer).write(function, positions(window), value)
