"""Masks where tiles share no memory: the bits, and no cycle more than dense, in training too."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.plan import masked as masks
from tilewright.plan.ir import Buffer, View, new_var
from tilewright.plan.masked import gone, on_place, unmasked
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.plan.views import elements, row, transpose, whole, window
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(17)
MEMORY = 1 << 20


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def mask_of(k, n, tall, density):
    """The same, whichever tests ran before."""
    shape = -(-k // tall), -(-n // 16)
    return np.random.default_rng((k, n, tall)).random(shape) < density


def product(x, w, blocks):
    return x @ blocks(w)


def turned(x, w, blocks):
    return blocks(w).T @ x.T


def reshaped(x, w, blocks):
    return x @ blocks(w.reshape(x.shape[1], -1)) + 1


def batched(x, w, blocks):
    return jnp.einsum("imk,kn->imn", jnp.stack([x, 2 * x]), blocks(w))


def stacked(x, w, blocks):
    return jnp.stack([x, x + 1]) @ blocks(jnp.stack([w, w])[:, :, :])


def stacks(x, ws, blocks):
    """A matrix for each, all with one mask."""
    return jnp.stack([x, x + 1]) @ blocks(ws)


def in_a_loop(x, w, blocks):
    return lax.fori_loop(0, 3, lambda _, h: jnp.tanh(h @ blocks(w)) + x, x)


def over_layers(x, ws, blocks):
    return lax.scan(lambda h, w: (jnp.tanh(h @ blocks(w)), 0.0), x, ws)[0]


def of_each(x, w, blocks):
    return tilewright.tile_map(lambda row: jnp.tanh(row @ blocks(w)))(x)


def convolved(x, w, blocks):
    """Kernels of more than one tap."""
    x = x.reshape(1, *x.shape)
    order = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x[:, None], blocks(w), (1, 1), "SAME", dimension_numbers=order)


def whole_beside(x, w, blocks):
    """What is under the mask is read, too, by others."""
    return x @ blocks(w) + x @ w


def gradient(x, w, blocks):
    return jax.grad(lambda w: jnp.sum((x @ blocks(w)) ** 2))(w)


def twice(x, w, blocks):
    return x @ blocks(blocks(w) * 2)


def loss(x, w, blocks):
    return jnp.sum((jnp.tanh(x @ blocks(w)) - x[:, :1]) ** 2)


def step(x, w, blocks):
    return w - 0.01 * jax.grad(loss, 1)(x, w, blocks)


def descent(x, w, blocks):
    """Weights that a loop carries, whatever lies under their mask."""
    return lax.fori_loop(0, 3, lambda _, w: step(x, w, blocks), w)


def descent_in_the_mask(x, w, blocks):
    """Each step leaves them masked, and so is what it begins with."""
    return lax.fori_loop(0, 3, lambda _, w: blocks(step(x, w, blocks)), blocks(w))


def descent_of_computed(x, w, blocks):
    return descent(x, jnp.exp(w), blocks)


def while_it_falls(x, w, blocks):
    def falls(carry):
        return (carry[1] > 1e-3) & (carry[2] < 3)

    def turn(carry):
        w, _, turn = carry
        value, gradient = jax.value_and_grad(loss, 1)(x, w, blocks)
        return w - 0.01 * gradient, value, turn + 1

    return lax.while_loop(falls, turn, (w, jnp.float32(1e9), 0))


def adam(x, w, blocks):
    """Clipped by the norm of all."""
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02))

    def turn(carry, _):
        w, state = carry
        value, gradient = jax.value_and_grad(loss, 1)(x, w, blocks)
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(w, updates), state), value

    (w, _), losses = lax.scan(turn, (w, optimiser.init(w)), length=3)
    return w, losses


def decayed(x, w, blocks):
    """What is masked is read by elementwise work, too."""

    def penalised(w):
        return loss(x, w, blocks) + jnp.sum(blocks(w) ** 2)

    return lax.fori_loop(0, 3, lambda _, w: w - 0.01 * jax.grad(penalised)(w), w)


def two_uses(x, w, blocks):
    """Gradients meet before they are masked."""

    def both(w):
        w = blocks(w)
        return jnp.sum(jnp.tanh(x @ w) ** 2) + jnp.sum(jnp.sin((x + 1) @ w))

    return lax.fori_loop(0, 3, lambda _, w: w - 0.01 * jax.grad(both)(w), w)


def of_two_layers(x, w, blocks):
    """With a gradient by the transpose of the weights."""

    def both(w):
        w = blocks(w)
        return jnp.sum((jnp.tanh(jnp.tanh(x @ w) @ w) - x[:, :1]) ** 2)

    return lax.fori_loop(0, 3, lambda _, w: w - 0.01 * jax.grad(both)(w), w)


def through_time(x, w, blocks):
    """Of a recurrence: gradients are added up over its steps."""

    def run(w):
        h = jnp.zeros((x.shape[0], w.shape[1])) + x[:, :1]
        return jnp.sum(lax.fori_loop(0, 3, lambda _, h: jnp.tanh(x @ blocks(w) + h), h) ** 2)

    return lax.fori_loop(0, 2, lambda _, w: w - 0.01 * jax.grad(run)(w), w)


def fits(x, ws, blocks):
    """Each instance of a map trains weights of its own."""
    return tilewright.tile_map(lambda w: descent(x, w, blocks))(ws)


def steps_of_fits(x, ws, blocks):
    """Each instance makes one step, and gives what it learned from."""
    return tilewright.tile_map(lambda w: (step(x, w, blocks), jnp.tanh(x @ blocks(w))))(ws)


def handed_on(x, w, blocks):
    """A masked product that takes the place of what is read after it."""

    def turn(_, carry):
        made = blocks(x.T @ jnp.tanh(x @ carry[1]))
        return made, carry[0] + made

    return lax.fori_loop(0, 3, turn, (w, w))


TRAINING = [
    step, descent, descent_in_the_mask, descent_of_computed, while_it_falls, adam, decayed,
    two_uses, through_time,
]  # fmt: skip


CASES = [
    (product, (5, 40), (40, 48)),
    (product, (33, 600), (600, 20)),
    (product, (1, 70), (70, 64)),
    (turned, (6, 40), (40, 48)),
    (reshaped, (6, 40), (40 * 48,)),
    (batched, (6, 40), (40, 48)),
    (stacked, (6, 40), (40, 48)),
    (stacks, (6, 40), (2, 40, 48)),
    (in_a_loop, (7, 48), (48, 48)),
    (over_layers, (7, 48), (3, 48, 48)),
    (of_each, (9, 40), (40, 48)),
    (convolved, (9, 40), (1, 3, 40, 48)),
    (whole_beside, (6, 40), (40, 48)),
    (gradient, (6, 40), (40, 48)),
    (twice, (6, 40), (40, 48)),
    *((fn, (6, 40), (40, 48)) for fn in TRAINING),
    (descent, (40, 600), (600, 48)),
    (descent, (600, 40), (40, 48)),
    (of_two_layers, (6, 48), (48, 48)),
    (gradient, (600, 40), (40, 48)),
    (gradient, (1100, 40), (40, 48)),
    (fits, (6, 40), (3, 40, 48)),
    (steps_of_fits, (6, 40), (9, 40, 48)),
    (handed_on, (6, 40), (40, 48)),
]


def blocks_of(x, n, tall, density):
    mask = mask_of(x[1], n, tall, density)
    return lambda w: tilewright.blocks(w, mask)


def done_whole(fn, args):
    """The program of a few small tiles, and what it means, where no product skips blocks."""
    graph = trace(fn, *args).graph
    stages = Stages(graph, Dump("test"), machine=tiny(7, MEMORY))
    return *(stages.whole or stages).lowered, graph


def columns(fn, w, k):
    return w[0] // k if fn is reshaped else w[-1]


@pytest.mark.parametrize("tall", [1, 4, 16])
@pytest.mark.parametrize(("fn", "x", "w"), CASES)
def test_bits_are_those_of_the_graph(fn, x, w, tall):
    """Whatever lies under the mask."""
    fn = partial(fn, blocks=blocks_of(x, columns(fn, w, x[1]), tall, 0.4))
    args = normal(*x), normal(*w)
    program, literals, graph = done_whole(fn, args)
    assert faults(program, MEMORY) == []
    result = simulate(program, [*literals, *args], 7, seed=1)
    assert result.races == []
    for found, expected in zip(result.outputs, evaluate(graph, list(args)), strict=True):
        same_bits(found.reshape(expected.shape), expected)


def shared(x, w, v, blocks):
    """All instances have the same weights; the second of them are the result of another part."""
    return jnp.tanh(jnp.tanh(x @ blocks(w)) @ blocks(v) @ blocks(v))


@pytest.mark.parametrize("way", ["chips", "stages"])
def test_instances_on_chips_have_the_graphs_bits(way):
    mask, on = mask_of(48, 48, 4, 0.4), replace(tiny(4, MEMORY), chips_per_replica=3)
    args = normal(5, 6, 48), normal(48, 48), normal(48, 48)
    one = partial(shared, blocks=lambda w: tilewright.blocks(w, mask))
    many = tilewright.tile_map(one, in_axes=(0, None, None))
    traced = trace(lambda *args: many(*args), *args)
    parts = 2 if way == "stages" else None
    stages = Stages(traced.graph, Dump("test"), machine=on, parts=parts)
    program, literals = (stages.whole or stages).ways[way].plan()
    assert " masked" in program_to_text(program)
    assert faults(program, MEMORY) == []
    result = simulate(program, [*literals, *args], program.tiles, seed=1)
    assert result.races == []
    (expected,) = evaluate(traced.graph, list(args))
    same_bits(result.outputs[0].reshape(expected.shape), expected)


def cycles(fn, x, w, blocks, machine):
    specs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in (x, w)]
    trips = {"while0": 10} if fn is while_it_falls else None
    run = tilewright.compile(partial(fn, blocks=blocks), *specs, machine=machine)
    return run.simulate(trips=trips).cycles


@cache
def dense_cycles(fn, x, w, machine):
    """Of the same without a pattern, which several are compared with."""
    return cycles(fn, x, w, lambda w: w, machine)


TABLE = [
    (product, (72, 96), (96, 64)),
    (product, (1, 512), (512, 512)),  # few rows: cut along n
    (product, (5, 1000), (1000, 48)),  # and along k, the last part shorter
    (product, (1024, 64), (64, 40)),  # along m; no whole number of panels
    (product, (64, 512), (512, 512)),  # where blocks are skipped, or not, by cost
    (batched, (24, 96), (96, 64)),
    (stacks, (24, 96), (2, 96, 64)),
    (in_a_loop, (64, 128), (128, 128)),
    (over_layers, (24, 128), (4, 128, 128)),
    (of_each, (24, 96), (96, 64)),
    (convolved, (64, 96), (1, 3, 96, 64)),
]


def some(first, *more):
    """Heights of blocks and densities: those of every run, and those of slow ones."""
    return pytest.mark.parametrize(
        "patterns", [first, pytest.param(more, marks=pytest.mark.slow)], ids=["first", "more"]
    )


def never_longer(fn, x, w, machine, patterns):
    dense = dense_cycles(fn, x, w, machine)
    for tall, density in patterns:
        found = cycles(fn, x, w, blocks_of(x, w[-1], tall, density), machine)
        assert found <= dense, f"{tall} x 16 at {density}: {found} cycles, {dense} dense"


@some([(16, 0.2), (1, 0.8)], (1, 0.2), (4, 0.2), (4, 0.8), (16, 0.8))
@pytest.mark.parametrize("machine", ["ipu:gc200", "tt:n150"])
@pytest.mark.parametrize(("fn", "x", "w"), TABLE)
def test_a_pattern_never_takes_longer_than_dense(fn, x, w, machine, patterns):
    never_longer(fn, x, w, machine, patterns)


LEARNED = [
    *((fn, (72, 96), (96, 64)) for fn in (gradient, *TRAINING)),
    (fits, (72, 96), (3, 96, 64)),
    (steps_of_fits, (72, 96), (3, 96, 64)),
    (descent, (128, 512), (512, 512)),
    (step, (128, 512), (512, 512)),
    (decayed, (1, 512), (512, 512)),
    (fits, (1000, 48), (3, 48, 48)),
    (gradient, (1000, 48), (48, 48)),
    (while_it_falls, (1000, 48), (48, 48)),
    (two_uses, (1000, 48), (48, 48)),
    (descent, (256, 64), (64, 1024)),
    (of_two_layers, (128, 256), (256, 256)),
]


@some([(16, 0.1), (1, 0.8)], (4, 0.25), (16, 0.5))
@pytest.mark.parametrize("machine", ["ipu:gc200", "tt:n150"])
@pytest.mark.parametrize(("fn", "x", "w"), LEARNED)
def test_nor_does_training(fn, x, w, machine, patterns):
    never_longer(fn, x, w, machine, patterns)


SKIPPED = [
    (step, (128, 512), (512, 512), "ipu:gc200", 0.1, 0.7),
    (step, (72, 96), (96, 64), "tt:n150", 0.1, 0.8),
    (descent, (128, 512), (512, 512), "ipu:gc200", 0.25, 0.75),
    (descent, (128, 512), (512, 512), "tt:n150", 0.25, 0.45),
    (of_two_layers, (128, 512), (512, 512), "ipu:gc200", 0.1, 0.45),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in [
            (descent, (128, 512), (512, 512), "ipu:gc200", 0.1, 0.6),
            (descent, (128, 512), (512, 512), "ipu:gc200", 0.5, 0.85),
            (of_two_layers, (128, 512), (512, 512), "tt:n150", 0.25, 0.45),
        ]
    ),
]


@pytest.mark.parametrize(("fn", "x", "w", "machine", "density", "most"), SKIPPED)
def test_training_takes_less_where_blocks_are_skipped(fn, x, w, machine, density, most):
    """Of weights that change from step to step, no more is brought than what is left of them."""
    found = cycles(fn, x, w, blocks_of(x, w[-1], 16, density), machine)
    assert found < most * dense_cycles(fn, x, w, machine)


def masked_node(kept, shape, tall=1, wide=1):
    builder = Builder([Type("float32", shape)])
    builder.op("masked", *builder.inputs, kept=kept, tall=tall, wide=wide)
    return builder.nodes[-1]


def masked(view, node):
    found = masks.masked(view, node)
    assert found is not None
    return found


def hidden(view):
    """The numbers of elements of the array that reads as zeros."""
    return elements(unmasked(view), {})[gone(on_place(view, unmasked(view)), {})]


def test_what_is_gone_is_told_by_element():
    given = Buffer("float32", 12, "shared")
    kept = np.array([[True, False], [False, True], [True, True]])
    found = masked(whole(given, (3, 2)), masked_node(kept, (3, 2)))
    assert unmasked(found) == whole(given, (3, 2))
    np.testing.assert_array_equal(hidden(found), [1, 2])
    across = transpose(whole(given, (4, 3)), (1, 0))
    found = masked(across, masked_node(~np.eye(3, 4, dtype=bool), (3, 4)))
    np.testing.assert_array_equal(hidden(found), [0, 4, 8])
    below = masked(window(whole(given, (6, 2)), (3, 0), (3, 2)), masked_node(kept, (3, 2)))
    np.testing.assert_array_equal(hidden(below), [7, 8])
    np.testing.assert_array_equal(hidden(window(below, (1, 0), (2, 2))), [8])
    again = masked(found, masked_node(np.arange(12).reshape(3, 4) > 1, (3, 4)))
    np.testing.assert_array_equal(hidden(again), [0, 3, 4, 8])


def test_a_mask_stays_where_loops_move_an_array():
    given, var = Buffer("float32", 24, "shared"), new_var()
    kept = np.array([[True, False], [False, True], [True, True]])
    turn = row(whole(given, (4, 3, 2)), var)
    found = masked(turn, masked_node(kept, (3, 2)))
    assert unmasked(found) == turn
    for at in (0, 3):
        reads = gone(on_place(found, unmasked(found)), {var: at})
        np.testing.assert_array_equal(reads, ~kept)
    every = masked(whole(given, (4, 3, 2)), masked_node(kept, (4, 3, 2)))
    assert masks.masked(row(every, var), masked_node(kept, (3, 2))) is None


def test_what_a_mask_leaves_comes_in_windows():
    given = whole(Buffer("float32", 6 * 8, "shared"), (6, 8))
    kept = RANDOM.random((3, 4)) < 0.5
    view = masked(given, masked_node(kept, (6, 8), tall=2, wide=2))
    pieces = masks.left(view)
    assert pieces is not None
    brought = np.concatenate([elements(piece, {}).ravel() for piece in pieces])
    everywhere = np.repeat(np.repeat(kept, 2, 0), 2, 1)
    np.testing.assert_array_equal(np.sort(brought), np.flatnonzero(everywhere))
    assert masks.left(masked(given, masked_node(np.zeros((6, 8), bool), (6, 8)))) == []
    assert masks.left(given) is None
    many = whole(Buffer("float32", 400, "shared"), (20, 20))
    chequered = np.indices((20, 20)).sum(0) % 2 == 0
    assert masks.left(masked(many, masked_node(chequered, (20, 20)))) is None


def test_what_is_repeated_has_no_mask():
    one = View(Buffer("float32", 1, "shared"), (3, 2), (0, 0))
    assert masks.masked(one, masked_node(np.eye(3, 2, dtype=bool), (3, 2))) is None


def test_masks_of_rows_stay_in_a_map():
    """So that it has the way of an instance a chip, as it has without a mask."""
    mask, on = mask_of(48, 48, 4, 0.4), replace(tiny(4, MEMORY), chips_per_replica=3)
    many = tilewright.tile_map(lambda x, w: jnp.tanh(x @ tilewright.blocks(w, mask)))
    traced = trace(lambda *args: many(*args), normal(5, 6, 48), normal(5, 48, 48))
    assert "chips" in Stages(traced.graph, Dump("test"), machine=on).ways


@pytest.mark.parametrize(
    "kept, is_code",
    [
        (np.arange(64) // 16 % 2 == 0, True),
        (np.arange(40) // 16 % 2 == 0, True),  # the last vector is short
        (np.arange(64) // 8 % 2 == 0, False),
        (np.arange(8) == 9, False),  # no vector at all
        (np.repeat(np.eye(3, dtype=bool), 16, 0), True),
        (np.repeat(np.eye(3, dtype=bool), 16, 1), True),
        (np.array(True), False),
    ],
)
def test_a_choice_is_code_if_it_is_of_whole_vectors(kept, is_code):
    assert masks.in_vectors(kept) == is_code
