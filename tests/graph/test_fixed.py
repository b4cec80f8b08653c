"""What hangs on fixed inputs alone is split off, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np

import tilewright
from tilewright.graph.evaluate import evaluate
from tilewright.graph.fixed import split_fixed
from tilewright.trace import trace

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(30, 20)).astype(np.float32)
BIAS = RNG.normal(size=30).astype(np.float32)
X = RNG.normal(size=(5, 20)).astype(np.float32)


def layer(weights, bias, x):
    return jnp.maximum(x @ (weights.T * 2 + 1) + bias, 0), weights.sum()


def test_the_two_halves_give_the_same_bits():
    graph = trace(layer, WEIGHTS, BIAS, X).graph
    halves = split_fixed(graph, set(graph.inputs[:2]), 0)
    assert halves is not None
    first, rest = halves
    assert {node.op for node in rest.nodes} & {"reduce"} == set()
    made = evaluate(first, [WEIGHTS, BIAS, X])
    whole = evaluate(graph, [WEIGHTS, BIAS, X])
    for ours, expected in zip(evaluate(rest, [*made, WEIGHTS, BIAS, X]), whole, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_views_alone_are_not_worth_a_split():
    graph = trace(lambda w, x: x + w.T, WEIGHTS, WEIGHTS.T).graph
    assert split_fixed(graph, {graph.inputs[0]}, 0) is None


def test_bound_programs_agree_and_do_less():
    program = tilewright.compile(layer, WEIGHTS, BIAS, X)
    bound = program.bind(WEIGHTS, BIAS)
    for ours, expected in zip(bound(X), program(WEIGHTS, BIAS, X), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert len(bound.compiled.graph.nodes) < len(program.compiled.graph.nodes)


def test_bound_arguments_beside_a_closure_of_the_same_shape():
    """What was made beforehand comes after the hidden constants, where the rest expects it."""
    data = X @ WEIGHTS.T

    def fn(weights, x):
        return x @ (weights.T * 2 + 1) + jnp.cumsum(data * data, 1) - data

    program = tilewright.compile(fn, WEIGHTS, X)
    np.testing.assert_array_equal(program.bind(WEIGHTS)(X), program(WEIGHTS, X))
    square = np.eye(5, dtype=np.float32) + 1
    other = tilewright.compile(lambda a, b: a * 2 + 1 + square / b, square, square)
    np.testing.assert_array_equal(other.bind(square)(3 * square), other(square, 3 * square))


def test_keys_may_be_bound():
    program = tilewright.compile(
        lambda key, x: x + jax.random.normal(key, (4,)), jax.random.key(1), X[0, :4]
    )
    np.testing.assert_array_equal(
        program.bind(jax.random.key(1))(X[0, :4]), program(jax.random.key(1), X[0, :4])
    )
