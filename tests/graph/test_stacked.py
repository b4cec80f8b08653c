"""What a later scan can make of other stacks is not stacked: same bits, fewer bytes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.graph.same import assert_same
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Graph, Node
from tilewright.graph.simplify import simplify
from tilewright.graph.stacked import MOST_NODES, restacked
from tilewright.models import recurrent
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
STEPS, ROWS, H = 6, 3, 5
XS = RANDOM.normal(size=(STEPS, ROWS, H)).astype(np.float32)
C = RANDOM.normal(size=(ROWS, H)).astype(np.float32)


def rewrite(graph: Graph) -> Graph:
    return restacked(eliminate(simplify(graph)))


def rewritten(function, *arguments) -> Graph:
    traced = trace(function, *arguments)
    return assert_same(rewrite, traced.graph, [*traced.constants, *arguments])


def scans(graph: Graph) -> list[Node]:
    found = [node for node in graph.nodes if node.op == "scan"]
    inside = [scans(body) for node in graph.nodes for body in node.bodies]
    return [*found, *(node for nodes in inside for node in nodes)]


def stacks(node: Node) -> int:
    return len(node.outputs) - node.params["carry"]


def two_scans(step, later, *, reverse=False):
    """One that stacks, and one along what it stacked."""

    def function(c, xs):
        c, ys = lax.scan(step, c, xs)
        return lax.scan(later, c, (xs, ys), reverse=reverse)

    return function


def lstm_loss(cell, weights, xs):
    layer = recurrent.Layer("lstm", H, H)
    zeros = jnp.zeros((ROWS, H)), jnp.zeros((ROWS, H))

    def advance(state, x):
        state = cell(layer, weights, state, x)
        return state, state[0]

    return jnp.sum(lax.scan(advance, zeros, xs)[1] ** 2)


def drawn_cell() -> recurrent.Cell:
    W, U = (RANDOM.normal(size=(H, 4 * H)).astype(np.float32) for _ in range(2))
    return recurrent.Cell(W, U, RANDOM.normal(size=4 * H).astype(np.float32))


def gradient(weights, xs):
    return jax.grad(lambda w: lstm_loss(recurrent.cell, w, xs))(weights)


def test_an_lstm_keeps_eight_stacks_of_thirteen():
    weights = drawn_cell()
    graph = trace(gradient, weights, XS).graph
    before, after = (scans(g)[0] for g in (eliminate(simplify(graph)), rewrite(graph)))
    assert (stacks(before), stacks(after)) == (13, 8), "h, c before; i, f, g, o; tanh of c; h"
    flat = [*jax.tree.leaves(weights), XS]
    assert_same(rewrite, graph, flat)


def test_compiled_gradients_are_those_of_jax():
    agree(gradient, drawn_cell(), XS, exact=False, relative=1e-5, absolute=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_what_was_made_of_another_stack_is_made_again(reverse):
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, (y, y * (1 - y))

    def later(c, x):
        _, (y, slope) = x
        return c + y, c * slope

    first, second = scans(rewritten(two_scans(step, later, reverse=reverse), C, XS))
    assert stacks(first) == 1
    assert [node.op for node in second.bodies[0].nodes].count("sub") == 1


def test_of_an_element_of_both():
    def step(c, x):
        return c + x, -x

    def later(c, x):
        return c + x[0], c * x[1]

    assert stacks(scans(rewritten(two_scans(step, later), C, XS))[0]) == 0


def test_a_value_of_a_value_that_is_gone():
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, (y, y + 1, (y + 1) * 2)

    def later(c, x):
        return c + x[1][0], (x[1][1] - c, x[1][2] * c)

    def last(c, xs):
        c, (a, b) = two_scans(step, later)(c, xs)
        return c, a * 2, b

    first, second = scans(rewritten(last, C, XS))
    assert (stacks(first), stacks(second)) == (1, 2)


def kept(step, later):
    """How many stacks the first scan keeps of as many as it has."""
    graph = rewritten(two_scans(step, later), C, XS)
    return stacks(scans(graph)[0])


def test_what_the_reader_does_not_read_otherwise_is_not_fetched():
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, y * (1 - y)

    assert kept(step, lambda c, x: (c, c * x[1])) == 1


def test_a_function_is_not_computed_twice():
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, (y, jnp.exp(y))

    assert kept(step, lambda c, x: (c + x[1][0], c * x[1][1])) == 2


@pytest.mark.parametrize(("extra", "count"), [(0, 1), (1, 2)])
def test_long_making_is_not_done_twice(extra, count):
    def step(c, x):
        y = jnp.tanh(c + x)
        made = y
        for turn in range(MOST_NODES + extra):
            made = made * y if turn % 2 else made + y
        return c + y, (y, made)

    assert kept(step, lambda c, x: (c + x[1][0], c * x[1][1])) == count


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_a_result_too_or_read_whole_stays(whole):
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, (y, y * 2)

    def function(c, xs):
        c, (y, twice) = lax.scan(step, c, xs)
        shift = twice[0] if whole else jnp.zeros_like(c)
        found = lax.scan(lambda c, x: (c + x[0] + shift, c * x[1]), c, (y, twice))
        return found if whole else (found, twice)

    assert stacks(scans(rewritten(function, C, XS))[0]) == 2


def test_in_a_body():
    def step(c, x):
        y = jnp.tanh(c + x)
        return c + y, (y, y * 2)

    both = two_scans(step, lambda c, x: (c + x[1][0], c * x[1][1]))

    def function(cs, xs):
        return lax.map(lambda c: both(c, xs), cs)

    graph = rewritten(function, np.stack([C, C + 1]), XS)
    assert stacks(scans(graph)[0]) == 1


def test_nothing_to_do_changes_nothing():
    graph = trace(lambda c, xs: lax.scan(lambda c, x: (c + x, c), c, xs), C, XS).graph
    assert restacked(graph) is graph
