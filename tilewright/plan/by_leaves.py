"""A sum over the rows of a large array is dealt out in runs of whole leaves.

In: a call of a `Reduce` over the leading dimensions of its domain, whose last dimension is kept, on
tiles that share memory. Out: a `Spread` over runs of 2^j leaves of rows, each a node of the law's
tree (`graph/law.py`), and the sum of these; what is stored on the way is stored by its own run.
Always: the same bits as of the vertex alone.

So tiles share the sums that a batch norm takes over all places of all images, and the vertex that
makes what is summed may be part of it (see `totals.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.base import Operand
from tilewright.codelets.reduce import Reduce, Tree
from tilewright.machine.cost import drawing, is_worth_dealing, price
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Buffer, Call, Spread, Step, View, new_var
from tilewright.plan.views import whole

DTYPES = ("float32", "float64", "int32", "int64", "uint32", "uint64")
"""Of which a run's sum is no less exact than what the whole is summed in."""


def by_leaves(
    codelet: Reduce, arguments: Sequence[View], machine: Machine, pieces_a_tile: int
) -> list[Step] | None:
    """None where one tile does it, where the rows of an array are not evenly apart, and on tiles
    that share no memory."""
    held = sum(view.buffer.nbytes for view in arguments)
    if machine.chip.exchange.kind != "coherent":
        return None
    if not can_be_dealt(codelet) or not is_worth_dealing(codelet.work, machine, held):
        return None
    flat = _flat(replace(codelet, far=held > machine.tile.memory), arguments)
    worth = price(codelet.work, machine.tile, held).cycles // max(drawing(machine), 1)
    leaves = codelet.count // codelet.leaf
    most = int(min(pieces_a_tile * machine.tiles, worth))
    if flat is None or leaves < 2:
        return None
    run = 1 << max(0, (leaves // max(most, 1)).bit_length() - 1)
    return _dealt(*flat, run * codelet.leaf)


def can_be_dealt(codelet: Reduce) -> bool:
    """Whether it sums over all dimensions but the last, and does not ask where it is."""
    counts = any(step.op == "iota" for step in codelet.expression.instructions)
    whole = codelet.reduced == tuple(range(len(codelet.shape) - 1))
    rows = all(_rows(codelet, steps) for steps in codelet.walked)
    return codelet.kind == "sum" and codelet.dtype in DTYPES and whole and rows and not counts


def _rows(codelet: Reduce, steps: Sequence[int]) -> bool:
    """Whether an array's rows are evenly apart, or the same one."""
    shape, inner = codelet.shape[:-1], None
    for length, step in reversed(list(zip(shape, steps, strict=False))):
        if length == 1:
            continue
        if inner is not None and step != inner:
            return False
        inner = step * length
    return bool(codelet.inputs) and codelet.count > 0


def _flat(codelet: Reduce, arguments: Sequence[View]) -> tuple[Reduce, list[View]] | None:
    """The same over (rows, columns)."""
    columns = codelet.shape[-1]
    shape = (codelet.count, columns)

    def two(steps: Sequence[int]) -> tuple[int, int]:
        down = [s for n, s in zip(codelet.shape[:-1], steps, strict=False) if n != 1]
        return (down[-1] if down else 0, steps[-1])

    read, stored = [two(s) for s in codelet.input_strides], [two(s) for s in codelet.stored]
    one = replace(codelet, shape=shape, axes=(0,), input_strides=tuple(read), stored=tuple(stored))
    count = len(read)
    inputs, (out, *more) = arguments[:count], arguments[count:]
    rows = [*zip(inputs, read, strict=True), *zip(more, stored, strict=True)]
    flat = [replace(view, shape=shape, strides=steps) for view, steps in rows]
    return one, [*flat[:count], out, *flat[count:]]


def _dealt(codelet: Reduce, arguments: Sequence[View], length: int) -> list[Step] | None:
    """Runs of so many rows."""
    rows = codelet.shape[0]
    full, rest = divmod(rows, length)
    count = full + (rest > 0)
    if count < 2:
        return None
    out = arguments[len(codelet.inputs)]
    parts = whole(Buffer(codelet.dtype, count * out.size, "shared"), (count, *out.shape))
    first = _runs(codelet, arguments, parts, length, full, 0)
    steps: list[Step] = [replace(first, whole=Call(codelet, tuple(arguments)))]
    if rest:
        steps.append(_runs(codelet, arguments, parts, rest, 1, full))
    tree = Tree(
        Operand(codelet.dtype, parts.shape, parts.strides),
        Operand(codelet.dtype, out.shape, out.strides),
    )
    return [*steps, Call(tree, (parts, out))]


def _runs(
    codelet: Reduce, arguments: Sequence[View], parts: View, length: int, count: int, first: int
) -> Spread:
    """`count` runs, the first of which is a part of that number."""
    var, at = new_var(), len(codelet.inputs)
    start = codelet.shape[0] - length if first else 0
    inner = parts.strides[1:]
    one = replace(codelet, shape=(length, codelet.shape[1]), output_strides=inner)
    views = []
    for number, view in enumerate(arguments):
        if number == at:
            step = parts.strides[0]
            moves, offset = ((var, step),), first * step
            views.append(View(parts.buffer, parts.shape[1:], inner, offset, moves))
            continue
        step = view.strides[0]
        views.append(
            replace(
                view, shape=one.shape, offset=view.offset + start * step,
                moves=(*view.moves, (var, length * step)),
            )
        )  # fmt: skip
    return Spread(var, count, (Call(one, tuple(views)),), joins=first > 0)
