"""Strips that vectors meet twice go block by block, which the nearest memory holds."""

from collections import Counter
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import agree
from tests.machines import STATED
from tilewright.codelets.contract import ContractLanes, ContractVector
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.reduce import SumLanes
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine.machine import Machine
from tilewright.plan.basic import operand
from tilewright.plan.ir import Buffer, Call, View
from tilewright.plan.strip_blocks import _Strip
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def data(rows: int, columns: int):
    X = RANDOM.normal(size=(rows, columns)).astype(np.float32)
    return X, RANDOM.normal(size=rows).astype(np.float32), np.full(columns, 0.1, np.float32)


def slope(X, y, w):
    """Value and gradient of a robust regression, without any transcendental function."""

    def loss(w):
        error = (X @ w - y) ** 2
        return jnp.sum(error / (1 + error))

    return jax.value_and_grad(loss)(w)


def planned(fn, *args, near: int = 32 * 1024):
    first, *others = STATED.tile.memories
    tile = replace(STATED.tile, memories=(replace(first, size=near), *others))
    machine: Machine = replace(STATED, chip=replace(STATED.chip, tile=tile))
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=machine)
    return stages.graph, *stages.lowered


def calls(steps) -> list[Call]:
    found: list[Call] = []
    for step in steps:
        found += [step] if isinstance(step, Call) else calls(getattr(step, "steps", ()))
    return found


@pytest.mark.parametrize(
    ("rows", "columns", "near", "block"),
    [(600, 60, 32, 64), (512, 100, 32, 32), (600, 100, 64, 64), (520, 30, 32, None)],
)
def test_as_many_rows_as_half_the_nearest_memory_holds(rows, columns, near, block):
    args = data(rows, columns)
    graph, program, literals = planned(slope, *args, near=near * 1024)
    shapes = Counter(call.codelet.name for call in calls(program.steps))
    whole, rest = rows // 256, rows % 256
    assert shapes[f"contract_lanes_float32_{columns}x{block}"] == int(block is not None)
    if block:
        assert shapes[f"contract_lanes_float32_{columns}x{block}_more"] == 256 // block - 1
        assert shapes[f"contract_vector_f32_{block}x{columns}"] == 256 // block
        assert f"contract_vector_f32_256x{columns}" not in shapes
    assert whole == 2
    assert (f"contract_vector_f32_{rest}x{columns}" in shapes) == (rest > 0)
    found = simulate(program, [*literals, *args], 2)
    assert found.races == []
    for ours, meant in zip(found.outputs, evaluate(graph, args), strict=True):
        assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()


def test_a_matrix_that_is_read_whole_and_in_parts():
    """A head of two parts, of which each has its own vector: products of parts, both ways."""
    X, y, w = data(600, 64)

    def parts(X, y, w, v):
        return jax.grad(lambda w, v: slope(X, y, jnp.concatenate([w, v * v]))[0], (0, 1))(w, v)

    args = (X, y, w[:32], w[32:])
    names = str([call.codelet.name for call in calls(planned(parts, *args)[1].steps)])
    assert "contract_vector_f32_64x32" in names
    assert "contract_lanes_float32_64x64_more" in names
    agree(parts, *args, relative=1e-4, absolute=1e-4)


def test_what_hangs_on_a_sum_of_the_strip_is_not_taken_early():
    """The mean of all rows comes first: the way back is another strip, without a way forth."""
    X, y, w = data(600, 60)

    def centred(X, y, w):
        def loss(w):
            z = X @ w
            z = z - z.mean()
            return jnp.sum((z - y) ** 2 / (1 + z * z))

        return jax.grad(loss)(w)

    agree(centred, X, y, w, relative=1e-4, absolute=1e-4)


def centred(X, y, w):
    """What follows hangs on a mean over the rows, which ends with the last of them."""

    def loss(w):
        z = X @ w
        z = z - z.mean()
        return jnp.sum((z - y) ** 2 / (1 + z * z))

    return jax.value_and_grad(loss)(w)


def between_products(X, y, w):
    """The second way forth takes what the first way back gives."""
    value, slopes = slope(X, y, w)
    more, others = slope(X, y, w - 0.1 * slopes)
    return value + more, slopes + others


def neighbours(X, y, w):
    """Rows of what was made are read in another order than they were made in."""
    r = X @ w - y
    return r[::-1] * r @ X, jnp.sum(r)


@pytest.mark.parametrize("fn", [centred, between_products, neighbours])
def test_one_strip_in_which_rows_wait_for_others(fn):
    """All 256 rows are one strip, so whatever hangs on its sums is in the same body."""
    args = data(256, 60)
    graph, program, literals = planned(fn, *args)
    found = simulate(program, [*literals, *args], 2)
    assert found.races == []
    for ours, meant in zip(found.outputs, evaluate(graph, args), strict=True):
        assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()


def test_loops_over_gradients_lay_a_matrix_once():
    """64 turns pay for a copy that begins with a cache line; strips lay it themselves."""
    X, y, w = data(600, 64)

    def climb(X, y, w):
        return jax.lax.fori_loop(0, 80, lambda i, w: w - 1e-3 * slope(X, y, w)[1], w)

    program = planned(climb, X, y, w)[1]
    copies = [c for c in calls(program.steps) if c.codelet.outputs[0].size == X.size // 2]
    assert sum("copy" in c.codelet.name for c in copies) == 0
    assert sum(c.codelet.name.startswith("transpose") for c in calls(program.steps)) <= 2


def test_sums_of_a_strip_are_one_walk_and_leave_what_is_read():
    """Value, slope of a number and of the vector: what lies between them is not stored."""
    X, y, w = data(600, 60)

    def both(X, y, w, c):
        def loss(w, c):
            error = (X @ w - y - c) ** 2
            return jnp.sum(error / (1 + error))

        return jax.value_and_grad(loss, (0, 1))(w, c)

    args = (X, y, w, np.array(0.3, np.float32))
    graph, program, literals = planned(both, *args)
    walks = [c for c in calls(program.steps) if isinstance(c.codelet, SumLanes)]
    assert len(walks) == 4
    first, last = walks[0].codelet, walks[-1].codelet
    assert first.sums == 2
    assert [o.shape for o in first.outputs] == [(64,), (2, 16)]  # the vector of the way back
    assert [o.shape for o in last.outputs] == [(64,), (), ()]
    found = simulate(program, [*literals, *args], 2)
    for ours, meant in zip(found.outputs, evaluate(graph, args), strict=True):
        assert np.asarray(ours).reshape(meant.shape).tobytes() == meant.tobytes()
    agree(both, *args, relative=1e-4, absolute=1e-4)


ROWS = 256


def product(matrix: Buffer, vector: View, out: Buffer) -> Call:
    """A matrix of so many rows, by a vector."""
    views = (View(matrix, (out.size, vector.size), (vector.size, 1)), vector,
             View(out, (out.size,), (1,)))  # fmt: skip
    matrix_side, vector_side, target = map(operand, views)
    return Call(ContractVector(matrix_side, vector_side, target), views)


def doubled(source: View, out: Buffer) -> Call:
    double = Expression(("float32",), (Instruction("add", (0, 0), "float32", ()),), (1,))
    codelet = Elementwise(double, (ROWS,), (source.strides,), ((1,),))
    return Call(codelet, (source, View(out, (ROWS,), (1,))))


def backwards(matrix: Buffer, vector: View, out: Buffer) -> Call:
    """Its transpose by a vector of so many rows."""
    columns = out.size
    views = (View(matrix, (columns, ROWS), (ROWS, 1)), vector, View(out, (columns,), (1,)))
    matrix_side, vector_side, target = map(operand, views)
    return Call(ContractVector(matrix_side, vector_side, target), views)


@pytest.mark.parametrize("order", (1, -1))
def test_what_a_strip_has_made_is_met_row_by_row_or_when_it_is_done(order):
    """A second way forth that reads what lies between, and rows read from the last one on."""
    matrix, weights, square = (Buffer("float32", n, "shared") for n in (ROWS * 32, 32, ROWS**2))
    made, between, other, end = (Buffer("float32", n, "tile") for n in (ROWS, ROWS, ROWS, 32))
    line = View(made, (ROWS,), (order,), ROWS - 1 if order < 0 else 0)
    along = View(between, (ROWS,), (1,))
    forth = product(matrix, View(weights, (32,), (1,)), made)
    twice = doubled(line, between)
    again = product(square, along, other)
    back = backwards(matrix, along, end)
    strip = _Strip.of([forth, twice, again, back], Counter())
    if order > 0:
        assert strip is not None
        assert strip.forth == [forth]
        assert strip.between == [twice]
        assert again in strip.later
        return
    assert strip is None, "a row would be read before it is made"


@pytest.mark.parametrize(("near", "room"), [(32, False), (48, True)])
def test_the_next_block_is_asked_for_into_the_nearest_memory_where_both_leave_room(near, room):
    """Two blocks of 60 columns take 30 KiB, lanes 4."""
    _, program, _ = planned(slope, *data(600, 60), near=near * 1024)
    lanes = [c.codelet for c in calls(program.steps) if isinstance(c.codelet, ContractLanes)]
    assert {codelet.room for codelet in lanes} == {room}
