"""A matrix that is read in parts is read in parts by all, and packed once; no bit changes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.graph.same import assert_same, ops
from tests.machines import STATED, scaled
from tests.trace.comparing import agree
from tilewright.graph.in_parts import in_parts
from tilewright.machine.host import host_machine
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(700, 40)).astype(np.float32)
V, W = (RANDOM.normal(size=n).astype(np.float32) for n in (16, 24))
SMALL = scaled(STATED, 1 / 64, 1, 2, 0)


def loss(v, w, x):
    return jnp.sum(jnp.tanh(x @ jnp.concatenate([v, w])))


def both(v, w, x):
    return jax.value_and_grad(loss, (0, 1))(v, w, x)


def descent(v, w, x):
    """Where it comes to in ten steps: x is a constant of the loop."""

    def step(at, _):
        value, slopes = both(at[0], at[1], x)
        return (at[0] - 1e-5 * slopes[0], at[1] - 1e-5 * slopes[1]), value

    return jax.lax.scan(step, (v, w), None, length=10)


@pytest.mark.parametrize("function", [both, descent])
def test_the_gradient_is_taken_by_parts(function):
    rewrite = partial(in_parts, machine=SMALL)
    before = trace(function, V, W, X).graph
    after = assert_same(rewrite, before, [V, W, X])
    assert ops(after).count("dot") == ops(before).count("dot") + 1


@pytest.mark.parametrize("size", [1 / 64, 64])
def test_only_of_what_outgrows_a_tile(size):
    machine = scaled(STATED, size, 1, 2, 0)
    graph = trace(both, V, W, X).graph
    assert (ops(in_parts(graph, machine)) == ops(graph)) == (X.nbytes <= machine.tile.memory)


def other_cut(v, w, x):
    """Products read two parts that overlap: the whole stays one."""
    return x[:, :16] @ v, x[:, 12:36] @ w, jnp.ones(len(x)) @ x


def not_all(v, w, x):
    return x[:, :16] @ v, jnp.ones(len(x)) @ x


@pytest.mark.parametrize("function", [other_cut, not_all])
def test_parts_that_are_not_the_whole_change_nothing(function):
    graph = trace(function, V, W, X).graph
    assert ops(in_parts(graph, SMALL)) == ops(graph)


def test_rows_beyond_a_tile_are_packed_once():
    """Two megabytes: one copy of each part, which both products read."""
    x = RANDOM.normal(size=(13_000, 40)).astype(np.float32)
    assert x.nbytes > host_machine().tile.memory
    program = agree(descent, V, W, x, epsilons=2048, interpreted=False)
    graph = program.compiled.graph
    packed = [n for n in graph.nodes if n.op in ("copy", "pack") and n.output.type.size > 10_000]
    assert sum(n.output.type.nbytes for n in packed) == x.nbytes
