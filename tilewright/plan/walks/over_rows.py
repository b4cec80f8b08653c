"""A vertex over rows: what it takes to have it do some of them.

Products of matrices with rows, products whose terms are rows, what is elementwise, and sums over
rows. Each says along which dimension of its arguments the rows lie, and gives the call for a run of
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Reduce
from tilewright.frozen import frozen
from tilewright.plan import by_terms, views
from tilewright.plan.ir import Buffer, Call, Var, View


@frozen
class OverRows:
    """A vertex over rows: along which dimension of each argument they lie, None: of none."""

    codelet: Codelet
    arguments: tuple[View, ...]
    axes: tuple[int | None, ...]
    rows: int

    @staticmethod
    def of(call: Call, piece: Call) -> OverRows | None:
        """Of a vertex, and a piece of it; None where it is not cut along rows."""
        match call.codelet:
            case Reduce() if len(call.codelet.shape) == 2 and call.codelet.axes == (0,):
                at = len(call.codelet.inputs)
                axes = tuple(None if i == at else 0 for i in range(len(call.views)))
                return OverRows(call.codelet, call.views, axes, call.codelet.shape[0])
            case ContractOuter() if by_terms.is_run(piece, call):
                return OverRows(call.codelet, call.views, (*by_terms.TERMS, None), call.codelet.k)
            case ContractOuter():
                cut = call.codelet.cut
                if call.codelet.batch or cut.axes[0] != 0 or cut.along_lanes:
                    return None
                return OverRows(call.codelet, call.views, cut.axes, cut.length)
            case Elementwise():
                return _flat(call.codelet, call.views)
        return None

    @property
    def is_sum(self) -> bool:
        return self.axes[len(self.codelet.inputs)] is None

    @property
    def leaf(self) -> int:
        """Terms of a leaf of a sum."""
        assert isinstance(self.codelet, Reduce | ContractOuter)
        return self.codelet.leaf

    @property
    def total(self) -> View:
        """Where a sum goes."""
        return self.arguments[len(self.codelet.inputs)]

    @property
    def sides(self) -> Iterator[tuple[View, int | None, bool]]:
        """Arguments, where their rows are, and whether they are written."""
        count = len(self.codelet.inputs)
        for number, (view, axis) in enumerate(zip(self.arguments, self.axes, strict=True)):
            yield view, axis, number >= count

    @property
    def fixed(self) -> int:
        """Bytes that every run reads."""
        count = len(self.codelet.inputs)
        operands = zip(self.codelet.inputs, self.axes[:count], strict=True)
        return sum(operand.nbytes for operand, axis in operands if axis is None)

    def piece(self, var: Var, length: int, start: int, parts: View | None) -> Call:
        """For `length` rows from start + var * length on; a sum's result goes to `parts`."""
        if parts is not None and isinstance(self.codelet, ContractOuter):
            product = Call(self.codelet, self.arguments)
            return by_terms.piece(product, var, length, start, parts)
        arguments, operands = [], []
        for view, axis in zip(self.arguments, self.axes, strict=True):
            if axis is not None:
                view = views.shift(view, var, axis, length, start)
            arguments.append(view)
            operands.append(Operand(view.dtype, view.shape, view.strides))
        if parts is not None:
            assert isinstance(self.codelet, Reduce)
            arguments[len(self.codelet.inputs)] = parts
            short = replace(
                self.codelet, shape=(length, self.codelet.shape[1]), output_strides=parts.strides
            )
            return Call(short, tuple(arguments))
        short = self.codelet.on(operands)
        if short.scratch:
            arguments.append(views.whole(Buffer("uint8", short.scratch, "tile"), (short.scratch,)))
        return Call(short, tuple(arguments))


def _flat(codelet: Elementwise, arguments: Sequence[View]) -> OverRows | None:
    """Over (rows, columns); None where the rows of an array are not evenly apart."""
    if len(codelet.shape) < 2 or any(s.op == "iota" for s in codelet.expression.instructions):
        return None
    *around, columns = codelet.shape
    rows = prod(around)
    flat: list[View] = []
    for view in arguments:
        step, inner = 0, None
        for length, stride in reversed(list(zip(around, view.strides, strict=False))):
            if length == 1:
                continue
            if inner is not None and stride != inner:
                return None
            step = stride if inner is None else step
            inner = stride * length
        flat.append(replace(view, shape=(rows, columns), strides=(step, view.strides[-1])))
    count = len(codelet.inputs)
    strides = [view.strides for view in flat]
    one = replace(
        codelet, shape=(rows, columns), input_strides=tuple(strides[:count]),
        output_strides=tuple(strides[count:]),
    )  # fmt: skip
    return OverRows(one, tuple(flat), (0,) * len(flat), rows)


def rows_of(view: View, axis: int | None) -> tuple | None:
    """Which elements of its buffer are in which row; None where rows mix."""
    if axis is None or view.strides[axis] <= 0:
        return None
    step = view.strides[axis]
    inside = sum(
        (n - 1) * abs(s)
        for i, (n, s) in enumerate(zip(view.shape, view.strides, strict=True))
        if i != axis
    )
    first = view.offset % step
    return (step, view.offset // step, view.moves) if first + inside < step else None
