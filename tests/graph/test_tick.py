"""A step split by its tick: the three parts together are the step, to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Graph
from tilewright.graph.tick import split_tick
from tilewright.graph.verify import verify
from tilewright.trace import trace

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def plain(w, u, h, x):
    """h U needs no tick, and x W does."""
    h = jnp.tanh(x @ w + h @ u)
    return h, h.sum(1)


def sliding(w, u, h, n, x):
    """One row answers; the others, and the count, can wait."""
    seen = x @ w
    answer = jnp.tanh(seen + jax.lax.dynamic_slice_in_dim(h, n % 3, 1) @ u)
    return jnp.tanh(seen + h @ u).at[n % 3].set(0), n + 1, answer


def counting(w, u, h, n, x):
    """The answer is read off what all rows come to."""
    after = jnp.tanh(x @ w + h @ u)
    return after.at[n % 3].set(0), n + 1, after[n % 3]


def reading(h, c, x):
    """The answer reads the old state, the new one of `c` needs the old `h`."""
    return x + h, c + h * x, (h - c).sum()


def lagging(h, c, x):
    """The answer makes the new `h`, and the new one of `c` needs the old `h` after it."""
    y = x + h
    return y, c + jnp.sin(h), y.sum()


def swapping(h, c, x):
    return c, h, x + h


def remembering(h, c, x):
    """The new state is the tick itself; the other never changes."""
    return x, c, h - x


def deaf(h, x):
    """The answer does not wait for the tick at all."""
    return h + x, jnp.sin(h)


def views(w, h, x):
    """The new state is only another shape of what the answer computes."""
    y = x @ w + h.reshape(2, 3)
    return y.reshape(6), y[::-1]


W, U, H = normal(4, 5), normal(5, 5), normal(3, 5)
V = normal(6)
STEPS = {
    # The step, its arguments, which are state, which are ticks.
    "plain": (plain, (W, U, H, normal(3, 4)), (2,), (3,)),
    "sliding": (sliding, (W, U, H, np.int32(7), normal(1, 4)), (2, 3), (4,)),
    "counting": (counting, (W, U, H, np.int32(7), normal(1, 4)), (2, 3), (4,)),
    "reading": (reading, (V, V + 1, V * 2), (0, 1), (2,)),
    "lagging": (lagging, (V, V + 1, V * 2), (0, 1), (2,)),
    "swapping": (swapping, (V, V + 1, V * 2), (0, 1), (2,)),
    "remembering": (remembering, (V, V + 1, V * 2), (0, 1), (2,)),
    "deaf": (deaf, (V, V * 2), (0,), (1,)),
    "views": (views, (normal(4, 3), V, normal(2, 4)), (1,), (2,)),
}


def step_of(name):
    function, arguments, state, ticks = STEPS[name]
    graph = trace(function, *arguments).graph
    graph = Graph(graph.inputs, graph.nodes, graph.outputs, graph.law, state)
    leading = min(state)
    return graph, split_tick(graph, {graph.inputs[i] for i in ticks}, leading), leading


def run(part, leading, arguments, carried):
    """As whoever overwrites: results, and both states as they are afterwards."""
    inputs = [*arguments[:leading], *carried, *arguments[leading:]]
    outputs = evaluate(part, inputs)
    for position, new in zip(part.state, outputs, strict=False):
        inputs[position] = new
    after = len(carried) + leading
    arguments[leading:], carried[:] = inputs[after:], inputs[leading:after]
    return outputs[len(part.state) :]


@pytest.mark.parametrize("name", STEPS)
def test_the_parts_are_the_step(name):
    graph, tick, leading = step_of(name)
    _, arguments, state, ticks = STEPS[name]
    whole, split = list(arguments), list(arguments)
    carried = [np.full(kind.shape, 77, kind.numpy) for kind in tick.carried]
    for part in (tick.answer, tick.settle, tick.prepare):
        verify(part)
    for turn in range(4):
        for i in ticks:
            whole[i] = split[i] = np.asarray(arguments[i]) * (turn + 1)
        expected = evaluate(graph, whole)
        for position, new in zip(state, expected, strict=False):
            whole[position] = new
        assert run(tick.prepare, leading, split, carried) == []
        results = run(tick.answer, leading, split, carried)
        for i in ticks:
            split[i] = np.full_like(arguments[i], 99)  # the caller may have written over it
        assert run(tick.settle, leading, split, carried) == []
        for a, b in zip(results, expected[len(state) :], strict=True):
            np.testing.assert_array_equal(a, b)
        for position in state:
            np.testing.assert_array_equal(split[position], whole[position])


def ops(graph):
    return [node.op for node in graph.nodes]


def test_what_needs_no_tick_is_not_in_the_answer():
    _, tick, _ = step_of("plain")
    assert ops(tick.prepare) == ["dot"]
    assert ops(tick.answer).count("dot") == 1
    assert tick.settle.nodes == tick.settle.outputs == ()


def test_what_no_answer_needs_comes_after_it():
    """One row answers: the others advance afterwards, as one, with the tick's product at hand."""
    _, tick, _ = step_of("sliding")
    assert [n.inputs[0].shape for n in tick.prepare.nodes if n.op == "dot"] == [(1, 5)]
    assert [n.inputs[0].shape for n in tick.answer.nodes if n.op == "dot"] == [(1, 4)]
    assert [n.inputs[0].shape for n in tick.settle.nodes if n.op == "dot"] == [(3, 5)]
    assert len(tick.settle.state) == 2
    _, tick, _ = step_of("deaf")
    assert "sin" not in ops(tick.answer)
