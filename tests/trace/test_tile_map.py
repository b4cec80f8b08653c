"""`tile_map` is `vmap`, one instance at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import agree, trace
from tilewright.trace.tile_map import tile_map

X = jnp.arange(12.0).reshape(4, 3)
W = jnp.arange(3.0)


def loss(w, x):
    return jnp.sum(jnp.sin(x) * w)


def equal(left, right):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-6), left, right)


@pytest.mark.parametrize("in_axes", [(None, 0), (0, None), (0, 0), 0, [None, 0], (None, -2)])
def test_axes(in_axes):
    args = (jnp.stack([W] * 4) if in_axes in (0, (0, None), (0, 0)) else W, X)
    if in_axes == (0, None):
        args = (args[0], X[0])
    equal(tile_map(loss, in_axes)(*args), jax.vmap(loss, in_axes)(*args))
    agree(tile_map(loss, in_axes), *args, epsilons=8)


def test_trees_and_last_axes():
    def fn(p, x):
        return {"y": p["w"] * x, "z": p["b"]}

    p = {"w": X, "b": W}
    axes = ({"w": 1, "b": None}, 0)
    equal(tile_map(fn, axes)(p, W), jax.vmap(fn, axes)(p, W))
    equal(tile_map(fn, (None, 0))(p, X), jax.vmap(fn, (None, 0))(p, X))


@pytest.mark.parametrize("out_axes", [0, 1, -1, {"y": 1, "z": 0}])
def test_results_are_stacked_along_any_axis(out_axes):
    def fn(w, x):
        return {"y": jnp.outer(w, x), "z": w * x}

    mapped = tile_map(fn, (None, 0), out_axes)
    equal(mapped(W, X), jax.vmap(fn, (None, 0), out_axes)(W, X))
    agree(mapped, W, X)


def test_as_a_decorator():
    @tile_map
    def squared(x):
        return x * x

    @tile_map(in_axes=(None, 1), out_axes=1)
    def scaled(w, x):
        return w * x

    equal(squared(X), X * X)
    equal(scaled(W[:1], X), W[:1, None] * X)
    assert scaled.__name__ == "scaled"


def test_arguments_by_name_are_mapped():
    equal(tile_map(loss, in_axes=(None,))(W, x=X), jax.vmap(loss, (None, 0))(W, X))
    with pytest.raises(ValueError, match=r"different sizes.*4 \(args\[0\]\), 2 \(x\['a'\]\)"):
        tile_map(lambda w, x: w + x["a"])(X, x={"a": X[:2]})


def test_it_traces_to_one_map_whose_shared_arguments_are_constants():
    graph = trace(tile_map(loss, (None, 0)), W, X).graph
    assert [node.op for node in graph.nodes] == ["map"]
    assert graph.nodes[0].params["consts"] == 1


def test_inside_and_outside_of_other_transformations():
    def mapped(w):
        return tile_map(loss, (None, 0))(w, X).sum()

    def plain(w):
        return jax.vmap(loss, (None, 0))(w, X).sum()

    equal(jax.grad(mapped)(W), jax.grad(plain)(W))
    equal(jax.vmap(mapped)(jnp.stack([W, W])), jax.vmap(plain)(jnp.stack([W, W])))
    equal(jax.jit(mapped)(W), plain(W))
    agree(jax.grad(mapped), W, epsilons=16)
    agree(tile_map(tile_map(loss, (None, 0)), (0, None)), jnp.stack([W, W]), X, epsilons=8)


def test_ragged_loops_and_keys():
    def walk(key, limit):
        def step(c):
            return (jax.random.fold_in(c[0], c[1]), c[1] + 1)

        return jax.lax.while_loop(lambda c: c[1] < limit, step, (key, 0))

    agree(tile_map(walk), jax.random.split(jax.random.key(0), 4), jnp.arange(4))


def test_no_instances():
    assert tile_map(loss, (None, 0))(W, X[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("in_axes", "args", "message"),
    [
        (0, (W, X[:2]), r"different sizes.*3 \(args\[0\]\), 2 \(args\[1\]\)"),
        ((None, None), (W, X), "needs an argument"),
        ((0,), (W, X), "2 arguments for in_axes of 1"),
        (1, (W, X), r"cannot map args\[0\] of shape \(3,\) over axis 1"),
        ("rows", (W, X), "not 'rows'"),
        (({"a": 0}, 0), (W, X), "not a prefix"),
        (0.5, (W, X), "not 0.5"),
    ],
)
def test_bad_axes(in_axes, args, message):
    with pytest.raises(ValueError, match=message):
        tile_map(loss, in_axes)(*args)


@pytest.mark.parametrize(
    ("out_axes", "message"),
    [
        (1, r"results of shape \(\) along axis 1"),
        (None, "along axis None"),
        ((0, 0), "out_axes .* is not a prefix"),
        ("rows", "out_axes may hold integers and None, not 'rows'"),
    ],
)
def test_bad_axes_of_results(out_axes, message):
    with pytest.raises(ValueError, match=message):
        tile_map(loss, (None, 0), out_axes)(W, X)
