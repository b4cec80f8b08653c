"""The value of a forced log density is exact, its gradient nearly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import trace, ways
from tilewright.trace.force import force

RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(30, 4)), jnp.float32)
Y = jnp.asarray(RANDOM.normal(size=30), jnp.float32)
P = {
    "w": jnp.asarray(RANDOM.normal(size=(4, 8)), jnp.float32),
    "v": jnp.asarray(RANDOM.normal(size=8), jnp.float32),
}


def logdensity(p, x=X):
    return -jnp.sum((jnp.tanh(x @ p["w"]) @ p["v"] - Y) ** 2) - jnp.sum(p["v"] ** 2)


FULL = jax.jit(jax.grad(logdensity))(P)


def nodes(graph):
    for node in graph.nodes:
        yield node
        for body in node.bodies:
            yield from nodes(body)


def near(low, full):
    for a, b in zip(jax.tree.leaves(low), jax.tree.leaves(full), strict=True):
        assert a.dtype == b.dtype
        assert 0 < np.max(np.abs(a - b)) < 0.03 * np.max(np.abs(b))


def test_value_and_gradient():
    value, gradient = jax.jit(jax.value_and_grad(force(logdensity)))(P)
    assert value == jax.jit(logdensity)(P)
    near(gradient, FULL)


def test_what_follows_scales_the_gradient():
    gradient = jax.grad(force(logdensity))(P)
    tripled = jax.grad(lambda p: 3 * force(logdensity)(p) + 1)(P)
    for one, three in zip(jax.tree.leaves(gradient), jax.tree.leaves(tripled), strict=True):
        np.testing.assert_allclose(three, 3 * one, rtol=1e-6)


def test_transformations():
    gradient = jax.grad(force(logdensity))
    near(gradient(P), FULL)
    two = jax.tree.map(lambda a: jnp.stack([a, a]), P)
    near(jax.vmap(gradient)(two), jax.vmap(jax.grad(logdensity))(two))
    near(jax.grad(lambda p: 3 * force(logdensity)(p))(P), jax.tree.map(lambda g: 3 * g, FULL))


def test_the_graph_contracts_in_bfloat16_and_nothing_else_does():
    graph = trace(jax.grad(force(logdensity)), P).graph
    dots = [node for node in nodes(graph) if node.op == "dot"]
    assert len(dots) >= 4
    for node in dots:
        assert {v.dtype for v in node.inputs} == {"bfloat16"}
        assert node.output.dtype == "float32"
    for node in nodes(graph):
        if node.op == "tanh":
            assert node.params["approximate"]
        if node.op not in ("dot", "convert", "reshape", "transpose", "broadcast"):
            assert node.output.dtype != "bfloat16"


def test_the_value_alone_is_untouched():
    for node in trace(force(logdensity), P).graph.nodes:
        assert node.output.dtype == "float32"
        assert "approximate" not in node.params


def test_the_interpreted_graph_and_the_native_program_agree():
    fn = jax.value_and_grad(force(logdensity))
    value, *gradient = jax.tree.leaves(jax.jit(fn)(P))
    for our_value, *our_gradient in ways(fn, P):
        np.testing.assert_allclose(our_value, value, 1e-6)
        for ours, theirs in zip(our_gradient, gradient, strict=True):
            # An activation next to the middle of two bfloat16 values may go to either.
            np.testing.assert_allclose(ours, theirs, 0, 2**-8 * np.max(np.abs(theirs)))


def test_bodies_of_control_flow_are_low_too():
    def looped(p):
        return jax.lax.scan(lambda c, x: (c + jnp.tanh(x @ p["w"]) @ p["v"], None), 0.0, X)[0]

    graph = trace(jax.grad(force(looped)), P).graph
    dots = [node for node in nodes(graph) if node.op == "dot"]
    assert dots
    assert {v.dtype for node in dots for v in node.inputs} == {"bfloat16"}
    near(jax.grad(force(looped))(P), jax.grad(looped)(P))


def test_what_it_captures_may_be_traced_or_differentiated():
    def inner(x):
        return jax.grad(force(lambda p: logdensity(p, x)))(P)["v"]

    def full(x):
        return jax.grad(lambda p: logdensity(p, x))(P)["v"]

    near(jax.vmap(inner)(X[None]), jax.vmap(full)(X[None]))
    near(jax.lax.map(inner, X[None]), jax.lax.map(full, X[None]))

    def outer(x):
        return force(lambda p: logdensity(p, x))(P)

    near(jax.grad(outer)(X), jax.grad(lambda x: logdensity(P, x))(X))


def test_integers_among_the_arguments():
    def fn(p, n):
        return logdensity(p) * n

    near(jax.grad(force(fn))(P, 2), jax.grad(fn)(P, 2))


def test_second_derivatives_in_reverse():
    def twice(f):
        return jax.grad(lambda v: jnp.sum(jax.grad(f)({**P, "v": v})["v"] ** 2))(P["v"])

    near(twice(force(logdensity)), twice(logdensity))


def test_bad_input():
    with pytest.raises(ValueError, match="float8"):
        force(logdensity, "float8")
    with pytest.raises(ValueError, match="one floating-point number"):
        force(lambda p: p["v"])(P)
