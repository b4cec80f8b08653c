"""However a product is spelled, in a loop it reads the same operand, and gives the same bits."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.graph.same import assert_same, ops
from tests.machines import STATED
from tests.trace.comparing import agree
from tilewright.graph.hoist import hoist
from tilewright.graph.layout import layout, pack_fixed
from tilewright.graph.ops import packed
from tilewright.machine.host import host_machine
from tilewright.machine.machine import Unit
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
W = (RANDOM.normal(size=(40, 24)) / 8).astype(np.float32)
V = (RANDOM.normal(size=(24, 40)) / 8).astype(np.float32)
WIDE = (RANDOM.normal(size=(48, 90)) / 8).astype(np.float32)
BACK = (RANDOM.normal(size=(90, 48)) / 8).astype(np.float32)

FORWARD = {
    "h @ w": (lambda h, w: h @ w, False),
    "h @ w.T": (lambda h, w: h @ w.T, True),
    "einsum": (lambda h, w: jnp.einsum("...k,kn->...n", h, w), False),
    "einsum of rows": (lambda h, w: jnp.einsum("...k,nk->...n", h, w), True),
    "dot_general": (lambda h, w: lax.dot_general(h, w, (((h.ndim - 1,), (1,)), ((), ()))), True),
    "turned": (lambda h, w: (w.T @ h.T).T, False),
    "turned twice": (lambda h, w: (w @ h.T).T, True),
}
MAPPED = {
    "vmap of w @ x": (lambda h, w: jax.vmap(lambda x: w @ x)(h), True),
    "vmap of x @ w": (lambda h, w: jax.vmap(lambda x: x @ w)(h), False),
}


def recurrent(product, length=3):
    """h, w, v -> the state after some turns."""

    def function(h, w, v):
        return lax.scan(lambda h, _: (jnp.tanh(product(h, w)) @ v, None), h, None, length)[0]

    return function


def of_closure(product, length=3):
    """The same with what is made of w outside of the loop."""

    def function(h, w, v):
        w = jnp.swapaxes(jnp.swapaxes(w, 0, 1), 0, 1).T
        turned = lambda h, w: product(h, w.T)  # noqa: E731
        return recurrent(turned, length)(h, w, v)

    return function


def results(table, h, matrix=W, back=V, length=3):
    found = {}
    for name, (product, rows) in table.items():
        w = np.ascontiguousarray(matrix.T) if rows else matrix
        for around in (recurrent, of_closure):
            program = tilewright.compile(around(product, length), h, w, back)
            found[name, around.__name__] = np.asarray(program(h, w, back)), program
    return found


@pytest.mark.parametrize(
    "shape", [(40,), pytest.param((3, 40), marks=pytest.mark.slow), (1, 40), (20, 40)]
)
def test_every_spelling_gives_the_same_bits_from_operands_that_lie_well(shape):
    h = RANDOM.normal(size=shape).astype(np.float32)
    found = results(FORWARD | (MAPPED if len(shape) == 2 else {}), h)
    first, _ = found["h @ w", "recurrent"]
    for name, (result, program) in found.items():
        assert result.tobytes() == first.tobytes(), name
        body = program.compiled.graph
        inside = [op for node in body.nodes if node.bodies for op in ops(node.bodies[0])]
        assert "dot" in inside
        assert "copy" not in inside, name
        if len(shape) == 2 and shape[0] < 16:
            assert "transpose" not in str(program.program).split("loop")[-1], name


@pytest.mark.parametrize(
    "shape", [(1, 48), pytest.param((3, 48), marks=pytest.mark.slow), (20, 48)]
)
def test_every_spelling_reads_panels_and_gives_the_bits_of_rows(shape):
    """What is large is packed where a loop turns often enough; short loops show the other bits."""
    h = RANDOM.normal(size=shape).astype(np.float32)
    found = results(FORWARD | MAPPED, h, WIDE, BACK, length=9)
    first, _ = found["h @ w", "recurrent"]
    for name, (result, program) in found.items():
        assert result.tobytes() == first.tobytes(), name
        inside = [op for node in program.compiled.graph.nodes for op in map(ops, node.bodies)]
        inside = [op for body in inside for op in body]
        assert inside.count("dot_packed") == 2, name
        assert "pack" not in inside, name
    short = tilewright.compile(recurrent(lambda h, w: h @ w, 3), h, WIDE, BACK)
    assert "dot_packed" not in str(short.graph)
    threes = h
    for _ in range(3):
        threes = short(threes, WIDE, BACK)
    assert np.asarray(threes).tobytes() == first.tobytes()


@pytest.mark.parametrize("turned", [False, True])
def test_what_a_gradient_reads_the_other_way_is_left_to_strips(turned):
    """JAX's gradient, or one that is spelled with a transpose."""

    def slope(w, x):
        if turned:
            return lax.transpose(x, (1, 0)) @ (x @ w)
        return jax.grad(lambda w: jnp.sum((x @ w) ** 2))(w)

    def descend(x, w):
        return lax.fori_loop(0, 20, lambda i, w: w - 1e-3 * slope(w, x), w)

    x, w = np.ones((300, 64), np.float32), np.ones((64, 4), np.float32)
    assert "pack" not in ops(layout(trace(descend, x, w).graph, host_machine()))
    forward = trace(lambda x, w: lax.fori_loop(0, 20, lambda i, w: (x @ w)[:64] * 0.1, w), x, w)
    assert "pack" in ops(layout(forward.graph, host_machine()))


@pytest.mark.parametrize(("rows", "terms", "packs"), [(4096, 64, False), (4096, 128, True),
                                                      (64, 64, True)])  # fmt: skip
def test_rows_that_outgrow_a_tile_are_left_to_strips_unless_multiplying_takes_long(
    rows, terms, packs
):
    def run(h, w):
        return lax.fori_loop(0, 20, lambda i, h: jnp.tanh(h @ w), h)

    h, w = np.ones((rows, terms), np.float32), np.ones((terms, terms), np.float32)
    assert ("pack" in ops(layout(trace(run, h, w).graph, STATED))) == packs


LOOPS = {
    "scan": lambda f, w, n: lax.scan(lambda c, _: (f(c, w), None), jnp.ones((2, n)), None, 3)[0],
    "while": lambda f, w, n: lax.while_loop(
        lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1], w)), (0, jnp.ones((2, n)))
    )[1],
    "map": lambda f, w, n: lax.map(lambda c: f(c, w), jnp.ones((3, 2, n))),
    "nested": lambda f, w, n: lax.fori_loop(
        0, 2, lambda i, c: lax.fori_loop(0, 3, lambda j, d: f(d, w), c), jnp.ones((2, n))
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_packs_leave_every_loop(name):
    square = V[:, :24].copy()
    traced = trace(lambda w: LOOPS[name](lambda c, w: c @ w.T * 0.1, w, 24), square).graph
    laid = assert_same(partial(layout, machine=host_machine()), traced, [square])
    assert ops(laid).count("copy") == 1
    moved = assert_same(partial(hoist, machine=host_machine()), laid, [square])
    if name != "nested":  # an inner loop of unknown trips may run none
        assert "copy" in [node.op for node in moved.nodes]


@pytest.mark.parametrize(
    ("rows", "kind", "packs"),
    [(20, "int8", True), (2, "int8", False), (20, "float32", False), (40, "float32", True)],
)
def test_few_turns_of_many_rows_are_worth_a_pack(rows, kind, packs):
    """Sooner where bytes would be widened for each turn, and multiplied without a unit."""
    wide = jnp.int32 if kind == "int8" else jnp.float32

    def fn(xs, w):
        turn = lambda total, x: (total + (x.astype(wide) @ w.astype(wide)).sum(), None)  # noqa: E731
        return lax.scan(turn, wide(0), xs)[0]

    given = jnp.int16 if kind == "int8" else jnp.float32
    types = (jax.ShapeDtypeStruct((5, rows, 64), given), jax.ShapeDtypeStruct((64, 256), kind))
    graph = layout(trace(fn, *types).graph, STATED)
    assert ("pack" in ops(graph)) == packs


@pytest.mark.parametrize(
    ("size", "turns", "copies"), [(32, 64, True), (32, 63, False), (40, 64, False)]
)
def test_many_turns_are_worth_rows_that_begin_with_a_cache_line(size, turns, copies):
    square = np.resize(W, (size, size))

    def fn(w):
        return lax.scan(lambda h, _: (jnp.tanh(h @ w.T), None), w[0], None, turns)[0]

    machine = STATED
    laid = assert_same(partial(layout, machine=machine), trace(fn, square).graph, [square])
    moved = hoist(laid, machine)
    assert ("copy" in [node.op for node in moved.nodes]) == copies
    assert "copy" not in [op for node in moved.nodes if node.bodies for op in ops(node.bodies[0])]


def test_what_turns_once_packs_nothing():
    square = V[:, :24].copy()
    traced = trace(lambda w: lax.map(lambda c: c @ w.T, jnp.ones((1, 2, 24))), square).graph
    assert "copy" not in ops(assert_same(partial(layout, machine=host_machine()), traced, [square]))


def test_what_a_branch_reads_stays_as_it_is():
    def function(w):
        def step(c, _):
            return lax.cond(c[0, 0] > 0, lambda: c @ w.T, lambda: c), None

        return lax.scan(step, jnp.ones((2, 24)), None, length=3)[0]

    square = V[:, :24].copy()
    laid = assert_same(
        partial(layout, machine=host_machine()), trace(function, square).graph, [square]
    )
    assert "copy" not in ops(laid)


@pytest.mark.parametrize(
    "equation", ["bik,bkj->bij", "kbi,jkb->bij", "bikl,jlk->bij", "ki,jk->ij", "ik,k->i", "ki,k->i"]
)
def test_transposes_of_operands_are_folded(equation):
    sizes = dict(zip("bijkl", (3, 20, 18, 7, 2), strict=True))
    left, right = equation.split("->")[0].split(",")
    a, b = (
        RANDOM.normal(size=[sizes[i] for i in reversed(axes)]).astype(np.float32)
        for axes in (left, right)
    )
    function = lambda a, b: jnp.einsum(equation, a.T, b.T)  # noqa: E731
    laid = assert_same(partial(layout, machine=host_machine()), trace(function, a, b).graph, [a, b])
    dot = next(node for node in laid.nodes if node.op == "dot")
    if equation != "bikl,jlk->bij":
        assert set(dot.inputs) <= set(laid.inputs)
    agree(function, a, b, epsilons=64, absolute=1e-5)


def test_bind_packs_what_is_fixed():
    x, w = np.ones((2, 24), np.float32), V[:, :24].copy()
    traced = trace(lambda x, w: x @ w.T, x, w).graph
    packed = pack_fixed(traced, {traced.inputs[1]}, host_machine())
    assert [node.op for node in packed.nodes if node.op != "transpose"] == ["copy", "dot"]
    program = tilewright.compile(lambda x, w: x @ w.T, x, w)
    bound = program.bind(w=w)
    np.testing.assert_array_equal(bound(x), program(x, w))
    assert "transpose" not in [node.op for node in bound.compiled.graph.nodes]


def test_rows_that_lie_a_power_of_two_apart_are_packed_apart():
    w = np.ones((64, 512), np.float32)
    traced = trace(lambda w: LOOPS["scan"](lambda c, w: (c @ w)[:, :64], w, 64), w).graph
    assert "copy" in ops(layout(traced, host_machine()))
    narrow = trace(lambda w: LOOPS["scan"](lambda c, w: (c @ w)[:, :64], w, 64), w[:, :500]).graph
    assert "copy" not in ops(layout(narrow, host_machine()))


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_bind_packs_panels(rows):
    x = RANDOM.normal(size=(rows, 48)).astype(np.float32)
    for function, w in ((lambda x, w: x @ w, WIDE), (lambda x, w: x @ w.T, WIDE.T.copy())):
        program = tilewright.compile(function, x, w)
        bound = program.bind(w=w)
        assert [n.op for n in bound.compiled.graph.nodes] == ["dot_packed"]
        np.testing.assert_array_equal(bound(x), program(x, w))


def test_bind_packs_panels_of_loops_that_turn_seldom():
    """Three trips of 20 rows would not pay for panels that are made anew in each run."""
    x = RANDOM.normal(size=(3, 20, WIDE.shape[0])).astype(np.float32)

    def function(x, w):
        return lax.scan(lambda c, x: (c + 1.0, x @ w * c), np.float32(0.0), x)[1]

    program = tilewright.compile(function, x, WIDE)
    bound = program.bind(w=WIDE)
    assert [("dot_packed" in text) for text in (program.graph, bound.graph)] == [False, True]
    assert " pack(" not in bound.graph
    np.testing.assert_array_equal(bound(x), program(x, WIDE))


@pytest.mark.parametrize("shape", [(1, 5), (3, 16), (40, 90), (7, 33)])
def test_packing_can_be_undone(shape):
    matrix = RANDOM.normal(size=shape).astype(np.float32)
    panels = packed.pack(matrix)
    assert panels.shape == packed.shape("float32", *shape)
    assert packed.unpack(panels, *shape).tobytes() == matrix.tobytes()
    assert np.count_nonzero(panels) == matrix.size


@pytest.mark.parametrize(("has_unit", "rows", "depth"), [(0, 5, 2), (0, 3, 4), (1, 3, 4)])
def test_bytes_on_machines_with_and_without_a_unit_for_them(has_unit, rows, depth):
    """Rows of int8 lose their sign where the unit wants it, stay if they are few, or are widened:
    the same integers."""
    unit = Unit(("uint8", "int8"), "int32", (1, 16, 4), 1.0)
    others = tuple(u for u in STATED.tile.units if u.operands != unit.operands)
    units = (*others, unit) if has_unit else others
    tile = replace(STATED.tile, units=units)
    machine = replace(STATED, chip=replace(STATED.chip, tile=tile))
    h = np.array([[-128] * 96, [127] * 96, *[range(-48, 48)] * (rows - 2)], np.int8)
    w = np.random.default_rng(0).integers(-128, 127, (96, 96), np.int8, endpoint=True)

    def run(h, w):
        def turn(_, h):
            contracted = (((1,), (0,)), ((), ()))
            sums = lax.dot_general(h, w, contracted, preferred_element_type=jnp.int32)
            return lax.shift_right_arithmetic(sums, 10).astype(jnp.int8)

        return lax.fori_loop(0, 200, turn, h)

    found = assert_same(partial(layout, machine=machine), trace(run, h, w).graph, [h, w])
    (loop,) = [node for node in found.nodes if node.bodies]
    packs = [node.output.shape[-1] for node in loop.bodies[0].nodes if node.op == "pack"]
    assert packs == [depth]
    kinds = {node.inputs[0].dtype for node in loop.bodies[0].nodes if node.op == "dot_packed"}
    assert kinds == {"uint8" if has_unit else "int8" if rows == 3 else "int16"}
