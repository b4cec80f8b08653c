"""Calls are inlined; structured control flow stays structured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.compute_on import compute_on2
from jax.experimental.scheduling_groups import scheduling_group
from jax.experimental.shard_alike import shard_alike
from jax.experimental.xla_metadata import set_xla_metadata

from tests.trace.comparing import agree, operations
from tilewright.errors import UnsupportedError
from tilewright.trace import trace

X = jnp.arange(6.0)
DATA = jnp.linspace(0.0, 1.0, 40)


def nodes(fn, *args):
    return [node.op for node in trace(fn, *args).graph.nodes]


def test_calls_are_inlined():
    @jax.custom_jvp
    def doubled(x):
        return 2 * x

    doubled.defjvp(lambda primals, tangents: (doubled(*primals), 3 * tangents[0]))

    @jax.custom_vjp
    def tripled(x):
        return 3 * x

    tripled.defvjp(lambda x: (3 * x, None), lambda _, ct: (5 * ct,))
    agree(lambda x: (doubled(x), jax.grad(lambda x: doubled(x).sum())(x)), X)
    agree(lambda x: (tripled(x), jax.grad(lambda x: tripled(x).sum())(x)), X)
    agree(lambda x: jax.jit(jax.checkpoint(lambda x: jnp.square(x) + 1))(x), X)
    agree(jax.grad(lambda x: jax.checkpoint(lambda x: jnp.square(x) * x)(x).sum()), X)
    agree(lambda x: jax.nn.relu(x) + jax.nn.silu(x) + jax.nn.softplus(x), X, epsilons=8)


def test_where_and_under_which_marks_xla_computes_changes_nothing():
    @scheduling_group("last")
    def squared(x):
        return x * x + DATA[:6]

    places = dict(compute_type="device_host", out_memory_spaces=jax.memory.Space.Device)
    halved = compute_on2(lambda x: x / 2 - DATA[:6], **places)

    def marked(x):
        left, right = shard_alike(squared(x), halved(x))
        return set_xla_metadata(left * 3, mark="a product") + right

    agree(lambda x: (marked(x), jax.grad(lambda x: marked(x).sum())(x)), X)


def test_a_forward_function_whose_residuals_nobody_reads():
    """Then JAX runs the function itself, here told from its forward function by its values."""
    told_apart = jax.custom_vjp(jnp.sin)
    told_apart.defvjp(
        lambda x: (3 * x, jnp.cos(x)),
        lambda cosine, pulled: (cosine * pulled,),
        optimize_remat=True,
    )

    def carried(x):
        return lax.scan(lambda c, _: (jax.vjp(told_apart, c)[0] + x, None), x, None, length=2)[0]

    agree(lambda x: (carried(x), jax.grad(lambda x: told_apart(x).sum())(x)), X, epsilons=8)


def test_scans():
    agree(lambda x: lax.scan(lambda c, x: (c + x, c * x), 1.0, x), X)
    agree(lambda x: lax.scan(lambda c, x: (c + x, c * x), 1.0, x, reverse=True), X)
    agree(lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=3), X)
    agree(lambda x: lax.scan(lambda c, x: (c + 1, x), 0, x, unroll=2), X)
    agree(jax.grad(lambda x: lax.scan(lambda c, x: (c * x, None), 1.0, x)[0]), X + 1)
    agree(lambda x: lax.scan(lambda c, x: (c, x), 0.0, x[:0]), X)


def test_a_scan_that_carries_nothing_is_a_map():
    assert nodes(lambda x: lax.map(jnp.square, x), X) == ["map"]
    agree(lambda x: lax.map(lambda a: a * DATA.sum(), x), X, epsilons=8)
    agree(lambda x: lax.map(lambda a: (a, DATA[:3] + a), x), X)
    agree(lambda x: lax.map(jnp.sin, x, batch_size=2), X, epsilons=2)


def test_loops():
    agree(lambda x: lax.while_loop(lambda x: x.sum() < 99, lambda x: x * 2, x), X)
    agree(lambda x, n: lax.fori_loop(0, n, lambda i, x: x + i, x), X, 4)
    agree(lambda x: lax.fori_loop(0, 3, lambda i, x: x * DATA[i] + DATA[-1], x), X)
    agree(jax.vmap(lambda x: lax.while_loop(lambda x: x < 99, lambda x: x * 3, x)), X + 1)

    def halved(v):
        return lax.while_loop(lambda c: c[1].sum() > 1, lambda c: (c[0] + 1, c[1] / 2), v)

    agree(jax.vmap(halved), (jnp.zeros(3, int), X.reshape(3, 2)))
    agree(
        jax.vmap(lambda a, b: lax.while_loop(lambda x: x < a, lambda x: x + b, 0.0)),
        X,
        jnp.ones(6),
    )


def test_nested_vmap_of_loops():
    square = X.reshape(2, 3) + 1
    agree(
        jax.vmap(jax.vmap(lambda x: lax.while_loop(lambda x: x < 50, lambda x: x * x + 1, x))),
        square,
    )


def test_branches():
    for flag in (False, True):
        agree(
            lambda p, x: lax.cond(p, lambda x: x + 1, lambda x: x * DATA.sum(), x),
            flag,
            X,
            epsilons=8,
        )
    cases = [lambda x: x, lambda x: -x, lambda x: x * 7 + DATA[0]]
    for index in (-3, 0, 1, 2, 9):
        agree(lambda i, x: lax.switch(i, cases, x), index, X)
    agree(jax.vmap(lambda x: lax.cond(x > 2, jnp.square, jnp.negative, x)), X)
    agree(jax.grad(lambda x: lax.cond(x.sum() > 2, lambda x: (x * x).sum(), jnp.sum, x)), X)


def test_the_cpus_version_of_a_function():
    def chosen(**versions):
        return lambda x: lax.platform_dependent(x, **versions)

    both = chosen(cpu=lambda x: x + 1, default=lambda x: x * 5)
    agree(both, X)
    agree(chosen(tpu=lambda x: x + 1, default=lambda x: x * 5), X)


def test_large_constants_are_hidden_inputs_and_asked_for_once():
    def inner(x):
        return lax.fori_loop(
            0, 2, lambda i, x: x + lax.map(lambda d: d * DATA.sum(), DATA).sum(), x
        )

    traced = trace(lambda x: inner(x) + DATA.sum(), 1.0)
    assert [c.shape for c in traced.constants] == [(40,)]
    assert traced.graph.inputs[0].shape == (40,)
    agree(lambda x: inner(x) + DATA.sum(), 1.0, epsilons=16)


def test_data_are_never_part_of_the_code():
    def constants(data):
        graph = trace(lambda x: x + data, 1.0).graph
        return [node.params["value"] for node in graph.nodes if node.op == "constant"]

    assert not constants(np.array([1, 2, 3], np.float32))
    assert not constants(jnp.float32(3))
    assert constants(np.array([1, 2, 3], np.int32))


def test_solves():
    a = np.array([[3, 1], [1, 2]], np.float32)

    def matvec(x):
        return a @ x

    def solve(f, b):
        return jnp.linalg.inv(a) @ b

    agree(
        lambda b: lax.custom_linear_solve(matvec, b, solve),
        np.array([1, 2], np.float32),
        epsilons=8,
    )


def test_mutable_arrays():
    def doubled(x):
        held, count = jax.new_ref(x), jax.new_ref(jnp.int32(0))

        def step(i, _):
            held[i] = held[i] * 2
            count[...] += i

        lax.fori_loop(0, 3, step, None)
        return held[...], jax.freeze(count)

    agree(doubled, X)


def test_debug_prints_are_left_out_with_a_warning():
    def noisy(x):
        jax.debug.print("{}", x)
        return x + 1

    with pytest.warns(UserWarning, match="left out"):
        assert operations(trace(noisy, 1.0).graph) == {"constant", "add"}


def test_a_callback_into_python_names_itself_and_the_line():
    def called(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((6,), jnp.float32), x)

    with pytest.raises(
        UnsupportedError, match=r"pure_callback of float32\[6\].*test_control.py:\d+"
    ):
        trace(called, X)


def test_the_line_of_a_node_is_the_users():
    def lines():
        graph = trace(lambda x: jnp.linalg.norm(x), X).graph
        return {node.source for node in graph.nodes}

    (here,) = lines()
    assert here.startswith(__file__)
    (there,) = {node.source for node in trace(lambda x: jnp.linalg.norm(x), X).graph.nodes}
    assert there.startswith(__file__)
    assert there != here


def test_a_librarys_function_has_the_line_that_calls_it_each_time():
    """JAX keeps what it traced at the first call, with that call's line."""

    def twice(x):
        first = jnp.var(x)
        return first + jnp.var(x + first)

    sources = [node.source for node in trace(twice, X).graph.nodes]
    lines = {int(source.rpartition(":")[2]) for source in sources}
    (start,) = {twice.__code__.co_firstlineno}
    assert lines == {start + 1, start + 2}


def test_trees():
    traced = trace(lambda p, n: {"a": p["x"] * n, "b": (n,)}, {"x": X, "y": None}, 3)
    assert jax.tree.unflatten(traced.in_tree, [0, 1]) == ({"x": 0, "y": None}, 1)
    assert jax.tree.unflatten(traced.out_tree, [0, 1]) == {"a": 0, "b": (1,)}
    assert [str(t) for t in traced.out_types] == ["float32[6]", "int32[]"]
    shapes = trace(lambda x: x.sum(), jax.ShapeDtypeStruct((3, 2), "bfloat16"))
    assert str(shapes.in_types[0]) == "bfloat16[3,2]"
