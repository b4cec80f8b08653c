"""What hangs on fixed inputs alone is split off, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.graph.evaluate import evaluate
from tilewright.graph.fixed import split_constant, split_fixed
from tilewright.machine.host import host_machine
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


def test_binding_one_after_the_other_is_binding_all_at_once():
    """Work on both is done beforehand, too; code that is the same is not loaded again."""

    def fn(a, b, x):
        return x @ jnp.tanh(a @ b)

    a, b = WEIGHTS.T @ WEIGHTS, X.T @ X
    program = tilewright.compile(fn, a, b, X)
    first, both = program.bind(a), program.bind(a, b)
    assert first.image.object is program.image.object
    assert first._loaded is program._loaded
    second = first.bind(b)
    for bound in (second, program.bind(b=b).bind(a)):
        assert [node.op for node in bound.compiled.graph.nodes] == ["dot"]
        np.testing.assert_array_equal(bound(X), program(a, b, X))
        np.testing.assert_array_equal(bound(X), both(X))


def test_which_arguments_are_bound_decides_the_program():
    square = np.arange(400, dtype=np.float32).reshape(20, 20) / 400
    program = tilewright.compile(lambda a, b: jnp.tanh(a) @ jnp.sin(b), square, square)
    expected = program(square, 2 * square)
    np.testing.assert_array_equal(program.bind(square)(2 * square), expected)
    np.testing.assert_array_equal(program.bind(b=2 * square)(square), expected)


def kernel(points):
    return jnp.exp(-jnp.abs(points[:, None] - points) / 5) + jnp.eye(len(points))


POINTS = np.sort(RNG.normal(size=100)).astype(np.float32)


def test_what_hangs_on_closed_over_data_is_computed_once():
    program = tilewright.compile(lambda x: jnp.linalg.cholesky(kernel(POINTS)) @ x, POINTS)
    assert [node.op for node in program.compiled.graph.nodes] == ["dot"]
    np.testing.assert_allclose(
        program(POINTS), np.linalg.cholesky(kernel(POINTS)) @ POINTS, rtol=1e-4, atol=1e-4
    )
    bound = tilewright.compile(
        lambda points, x: jnp.linalg.cholesky(kernel(points)) @ x, POINTS, POINTS
    ).bind(POINTS)
    np.testing.assert_array_equal(program(POINTS), bound(POINTS))


def test_what_hangs_on_nothing_is_computed_once_after_it_is_cut():
    def fn(x):
        grid = jnp.arange(1500.0)
        return (jnp.exp(-jnp.abs(grid[:, None] - grid) / 50))[::100] @ x

    program = tilewright.compile(fn, np.ones(1500, np.float32))
    assert [node.op for node in program.compiled.graph.nodes] == ["dot"]
    assert sum(array.nbytes for array in program.image.constants) == 15 * 1500 * 4


PLACES = RNG.integers(-2000, 2000, 400_000).astype(np.int32)


def test_captured_indices_are_counted_from_the_front_once():
    """Reading them as they were, and adding, takes longer than reading what comes of it."""
    program = tilewright.compile(lambda x: x[PLACES], np.ones(2000, np.float32))
    inside = {node.op for node in program.compiled.graph.nodes}
    assert "gather" in inside
    assert inside.isdisjoint({"add", "select", "lt"})
    x = RNG.normal(size=2000).astype(np.float32)
    np.testing.assert_array_equal(program(x), x[PLACES])


def test_what_is_read_anyway_is_no_reason_to_keep_more():
    """Both `data` and its negative would be read from memory at each call."""
    data = RNG.normal(size=1_000_000).astype(np.float32)
    graph = trace(lambda x: (x * data).sum() + (x + jnp.negative(data)).sum(), X[0, 0]).graph
    assert split_constant(graph, 1, host_machine()) is None


def test_other_data_for_the_same_constants():
    """The program is found again; what hangs on the data is not."""
    programs = [
        tilewright.compile(lambda x, d=d: jnp.linalg.cholesky(kernel(d)) @ x, POINTS)
        for d in (POINTS, POINTS * 2)
    ]
    assert programs[0].image.object.parts == programs[1].image.object.parts
    for program, data in zip(programs, (POINTS, POINTS * 2), strict=True):
        expected = np.linalg.cholesky(kernel(data)) @ POINTS
        np.testing.assert_allclose(program(POINTS), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x + jnp.arange(4.0) * 2,
        lambda x: x[0] + jnp.arange(4_000_000.0) * 2,
        lambda x: (x[:3].sum() + jnp.exp(jnp.arange(30_000.0)[:, None] - jnp.arange(1000.0))).sum(),
    ],
    ids=["little work", "as quick as reading it", "too many bytes"],
)
def test_what_is_not_worth_keeping_is_not_kept(fn):
    graph = trace(fn, X[0, :4]).graph
    assert split_constant(graph, 0, host_machine()) is None


def test_results_of_a_map_stay_to_be_followed():
    keys = jax.random.split(jax.random.key(0), 5)
    program = tilewright.compile(
        lambda x: (tilewright.tile_map(lambda k: jax.random.normal(k, (1000,)))(keys), x), X[0]
    )
    assert len(list(program.start(X[0]).finished())) == 5


def test_keys_may_be_bound():
    program = tilewright.compile(
        lambda key, x: x + jax.random.normal(key, (4,)), jax.random.key(1), X[0, :4]
    )
    np.testing.assert_array_equal(
        program.bind(jax.random.key(1))(X[0, :4]), program(jax.random.key(1), X[0, :4])
    )
