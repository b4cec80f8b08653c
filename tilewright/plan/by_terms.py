"""A product of many terms and few outputs is dealt out in runs of whole leaves of its terms.

In: a call of a `ContractOuter` whose terms are rows of both operands, on tiles that share memory.
Out: a `Spread` over runs of 2^j leaves, each a node of the law's tree (`graph/law.py`), the sum of
these, and what the product's epilogue makes of it. Always: the same bits as of the vertex alone.

Such is a kernel's gradient, over all places of all images. Cut along its outputs, each piece would
read a few columns of one operand, a line here and there, and all of the other: 16 x 96 outputs of
200,704 terms took 20 ms (Zen 4); by terms both are read once, in the order of memory. The
vertex that makes an operand may be of the same run (see `run_by_run.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from tilewright.codelets.base import LANES
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.reduce import Tree
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.ir import Buffer, Call, Spread, Step, Var, View, new_var

SHARE = 0.5
"""Of a tile's memory, for a run of both operands: outputs' tiles read them several times."""
PIECES_A_TILE = 8
"""Runs for each tile, at least: whoever is slow leaves some of them to others."""
FEW = 0.3
"""How many times the bytes of all runs' sums the operands have at least. Sums are written and read
once; an operand that is cut along outputs is read by every piece, from beyond the L2 (512 x 256
outputs of 6,272 terms: 3 to 4 times as long with AVX2, twice with AVX-512, on a busy Zen 4)."""
MUCH, ENOUGH = 1 << 29, 2
"""Bytes of all runs' sums from which on runs are longer, where there are enough of them, and how
many times these bytes the operands have then: of 1,000,000 terms of 500 x 500 outputs, runs that
stay near have sums of 4 GB. Longer ones come from beyond the L2 (16,000 terms of 1,400 x 1,400
outputs: 1.2 times as long with half the sums)."""
TERMS = (1, 0)
"""Where the terms lie in the operands."""


def by_terms(
    codelet: ContractOuter, arguments: Sequence[View], machine: Machine
) -> list[Step] | None:
    """None where the operands are near, where their terms are no rows of memory, and where outputs
    are many."""
    dtype, outs = codelet.sum_dtype, arguments[len(codelet.inputs) :]
    if codelet.batch or (codelet.epilogue is None and codelet.out.dtype != dtype):
        return None
    if not all(map(_lies_by_terms, arguments, TERMS)):
        return None
    length = _run(codelet, machine)
    if length is None:
        return None
    sums = outs[0] if codelet.epilogue is None else _dense(dtype, codelet.out.shape)
    product = _product(codelet, arguments[:2], sums)
    full, rest = divmod(codelet.k, length)
    parts = _dense(dtype, (full + (rest > 0), *product.views[-1].shape))
    first = run_of_terms(product, new_var(), full, length, 0, parts)
    steps: list[Step] = [replace(first, whole=product)]
    if rest:
        steps.append(run_of_terms(product, new_var(), 1, rest, full * length, parts))
    steps.append(Call(Tree(operand(parts), operand(product.views[-1])), (parts, product.views[-1])))
    if codelet.epilogue is not None:
        steps.append(_epilogue(codelet, [sums, *arguments[2 : len(codelet.inputs)]], outs))
    return steps


def _lies_by_terms(view: View, axis: int) -> bool:
    """Whether a term's elements lie side by side, and the next term's after them."""
    return view.strides[1 - axis] == 1 and view.strides[axis] >= view.shape[1 - axis]


def _run(codelet: ContractOuter, machine: Machine) -> int | None:
    """Terms of a run, a power of two of leaves."""
    near, (m, n), k = machine.tile.memory, codelet.out.shape, codelet.k
    sides = zip((codelet.lhs, codelet.rhs), (m, n), strict=True)
    width = sum(numpy_dtype(side.dtype).itemsize * length for side, length in sides)
    width *= 2 if codelet.paired else 1  # both are copied
    if machine.chip.exchange.kind != "coherent" or not width or k * width <= near:
        return None
    longest = k // (PIECES_A_TILE * machine.tiles)
    most = min(int(SHARE * near) // width, longest)
    run = codelet.leaf << max(0, (most // codelet.leaf).bit_length() - 1)
    size = m * n * numpy_dtype(codelet.sum_dtype).itemsize
    while -(-k // run) * size > MUCH and 2 * run <= longest:
        run *= 2
    sums = -(-k // run) * size
    return run if run < k and (ENOUGH if sums > MUCH else FEW) * sums <= k * width else None


def _dense(dtype: str, shape: tuple[int, ...]) -> View:
    return views.whole(Buffer(dtype, prod(shape), "shared"), shape)


def _product(codelet: ContractOuter, sides: Sequence[View], sums: View) -> Call:
    """The product alone, turned round where lanes are better filled along m than along n."""
    m, n = codelet.out.shape
    given = [*sides, sums]
    if -(-m // LANES) * n < -(-n // LANES) * m:
        given = [views.transpose(view, (1, 0)) for view in (sides[1], sides[0], sums)]
    out = replace(operand(given[2]), strides=(given[2].shape[1], 1))
    lhs, rhs = operand(given[0]), operand(given[1])
    one = ContractOuter(lhs, rhs, out, leaf=codelet.leaf, paired=codelet.paired)
    return Call(one, tuple(given))


def run_of_terms(
    product: Call, var: Var, count: int, length: int, start: int, parts: View
) -> Spread:
    """`count` runs of so many terms, from a term on, whose sums are the parts from there on."""
    step = parts.strides[0]
    first = parts.shape[0] - 1 if start else 0
    own = View(parts.buffer, parts.shape[1:], parts.strides[1:], first * step, ((var, step),))
    return Spread(var, count, (piece(product, var, length, start, own),), joins=start > 0)


def is_run(piece: Call, product: Call) -> bool:
    """Whether a piece of a product has some of its terms."""
    one, whole = piece.codelet, product.codelet
    assert isinstance(one, ContractOuter)
    assert isinstance(whole, ContractOuter)
    return one.k < whole.k


def piece(product: Call, var: Var, length: int, start: int, part: View) -> Call:
    """`length` terms from start + var * length on; their sums go to `part`."""
    sides = [
        views.shift(view, var, axis, length, start)
        for view, axis in zip(product.views[:2], TERMS, strict=True)
    ]
    arguments = [*sides, part]
    assert isinstance(product.codelet, ContractOuter)
    short = product.codelet.on([operand(view) for view in arguments])
    if short.scratch:
        arguments.append(views.whole(Buffer("uint8", short.scratch, "tile"), (short.scratch,)))
    return Call(short, tuple(arguments))


def _epilogue(codelet: ContractOuter, read: Sequence[View], outs: Sequence[View]) -> Call:
    assert codelet.epilogue is not None
    strides = [tuple(view.strides for view in group) for group in (read, outs)]
    one = Elementwise(codelet.epilogue, codelet.out.shape, strides[0], strides[1])
    return Call(one, (*read, *outs))
