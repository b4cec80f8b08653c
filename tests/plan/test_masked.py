"""Inputs that come masked, where tiles share no memory: the bits, and no cycle more than dense."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.plan.ir import Buffer, new_var
from tilewright.plan.masked import masked, of_hosts
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.plan.views import row, transpose, whole, window
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
    assert any(buffer.masked for buffer in program.buffers)
    assert faults(program, MEMORY) == []
    result = simulate(program, [*literals, *args], program.tiles, seed=1)
    assert result.races == []
    (expected,) = evaluate(traced.graph, list(args))
    same_bits(result.outputs[0].reshape(expected.shape), expected)


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


@pytest.mark.parametrize("machine", ["ipu:gc200", "tt:n150"])
@pytest.mark.parametrize(("fn", "x", "w"), TABLE)
def test_a_pattern_never_takes_longer_than_dense(fn, x, w, machine):
    specs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in (x, w)]

    def cycles(blocks):
        run = tilewright.compile(partial(fn, blocks=blocks), *specs, machine=machine)
        return run.simulate().cycles

    dense = cycles(lambda w: w)
    for tall in (1, 4, 16):
        for density in (0.2, 0.8):
            found = cycles(blocks_of(x, w[-1], tall, density))
            assert found <= dense, f"{tall} x 16 at {density}: {found} cycles, {dense} dense"


@pytest.mark.parametrize(("fn", "x", "w"), CASES)
def test_a_mask_is_no_pass_of_its_own(fn, x, w):
    """Of an input, that is; what a program computes it masks itself."""
    blocks, computed = blocks_of(x, columns(fn, w, x[1]), 4, 0.4), fn in (stacked, twice)
    args = [jax.ShapeDtypeStruct(shape, np.float32) for shape in (x, w)]
    program, _, _ = done_whole(partial(fn, blocks=blocks), args)
    comes = [buffer.index for buffer in program.buffers if buffer.masked]
    assert comes == ([] if computed else [1])
    text = program_to_text(program)
    assert ("%input1_masked" in text) == bool(comes)
    assert ("select" in text) == (computed or fn is gradient)


def masked_node(kept, shape, tall=1, wide=1):
    builder = Builder([Type("float32", shape)])
    builder.op("masked", *builder.inputs, kept=kept, tall=tall, wide=wide)
    return builder.nodes[-1]


def test_what_is_gone_is_told_by_element():
    given = Buffer("float32", 12, "input", 3)
    kept = np.array([[True, False], [False, True], [True, True]])
    found = masked(whole(given, (3, 2)), masked_node(kept, (3, 2)))
    assert found.buffer.masked is not None
    assert found.buffer.masked.of is given
    assert found.buffer.index == 3
    np.testing.assert_array_equal(np.flatnonzero(found.buffer.masked.gone), [1, 2])
    across = masked(
        transpose(whole(given, (4, 3)), (1, 0)), masked_node(~np.eye(3, 4, dtype=bool), (3, 4))
    )
    assert across.buffer.masked is not None
    np.testing.assert_array_equal(np.flatnonzero(across.buffer.masked.gone), [0, 4, 8])
    below = masked(window(whole(given, (6, 2)), (3, 0), (3, 2)), masked_node(kept, (3, 2)))
    assert below.buffer.masked is not None
    np.testing.assert_array_equal(np.flatnonzero(below.buffer.masked.gone), [7, 8])


def test_of_rows_all_have_the_same_gone():
    given, every = Buffer("float32", 4, "input", 0), Buffer("float32", 12, "input", 2)
    kept = np.array([[True, False], [True, True]])
    buffer = masked(whole(given, (2, 2)), masked_node(kept, (2, 2))).buffer
    for is_row, host, gone in ((True, every, [1, 5, 9]), (False, given, [1])):
        ((found, rows),) = of_hosts([given, buffer], {given: (host, is_row)}).values()
        assert rows is is_row
        assert found.index == host.index
        assert found.masked is not None
        assert found.masked.of is host
        np.testing.assert_array_equal(np.flatnonzero(found.masked.gone), gone)


def test_masks_of_rows_stay_in_a_map():
    """So that it has the way of an instance a chip, as it has without a mask."""
    mask, on = mask_of(48, 48, 4, 0.4), replace(tiny(4, MEMORY), chips_per_replica=3)
    many = tilewright.tile_map(lambda x, w: jnp.tanh(x @ tilewright.blocks(w, mask)))
    traced = trace(lambda *args: many(*args), normal(5, 6, 48), normal(5, 48, 48))
    assert "chips" in Stages(traced.graph, Dump("test"), machine=on).ways


def test_only_inputs_as_they_are_come_masked():
    node = masked_node(np.ones((3, 2), bool), (3, 2))
    moving = row(whole(Buffer("float32", 24, "input", 0), (4, 3, 2)), new_var())
    for view in (whole(Buffer("float32", 6, "shared"), (3, 2)), moving):
        with pytest.raises(AssertionError, match="as it is"):
            masked(view, node)
