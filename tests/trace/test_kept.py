"""Traces of functions of our own are made once a process, and hang on nothing that they hide."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import agree
from tilewright.graph.text import to_text
from tilewright.trace import trace
from tilewright.trace.kept import kept

MATRIX = jax.ShapeDtypeStruct((5, 5), "float32")


def test_a_key_is_traced_once_for_each_type():
    seen = []

    def function(x):
        seen.append(x.dtype)
        return x + 1

    wide, narrow = (jax.ShapeDtypeStruct((3,), dtype) for dtype in ("float32", "bfloat16"))
    first = kept(function, "test_kept", wide)
    assert kept(lambda x: function(x), "test_kept", wide) is first
    assert kept(function, "test_kept", narrow) is not first
    assert seen == ["float32", "bfloat16"]
    assert kept(lambda x: x - 1, "another", wide) is not first


def test_settings_that_a_trace_hangs_on_are_asked():
    def draw(key):
        return jax.random.normal(jax.random.wrap_key_data(key), (7,))

    key = np.array([1, 2], np.uint32)
    for partitionable in (True, False, True):
        with jax.threefry_partitionable(partitionable):
            agree(draw, key, epsilons=4)


def test_options_make_another_trace():
    lines = np.arange(300.0, dtype=np.float32)[::-1].copy()
    for count in (2, 3, 2):
        agree(partial(jax.lax.top_k, k=count), lines)
    for mode in ("complete", "reduced", "complete"):
        agree(partial(_triangle, mode), lines.reshape(100, 3)[:5], epsilons=256)


def _triangle(mode, matrix):
    return jnp.abs(jnp.linalg.qr(matrix, mode)[1])[:2, :2]


@pytest.mark.parametrize("function", [jnp.linalg.svd, partial(jax.random.gamma, jax.random.key(0))])
def test_a_later_program_has_the_same_graph_and_lines_of_its_own(function):
    def first(a):
        return function(a)

    def second(a):
        return function(a)

    graphs = [trace(fn, MATRIX).graph for fn in (first, second)]
    assert to_text(graphs[0], sources=False) == to_text(graphs[1], sources=False)
    for fn, graph in zip((first, second), graphs, strict=True):
        lines = {node.source.rpartition(":")[2] for node in graph.nodes if node.source}
        assert lines == {str(fn.__code__.co_firstlineno + 1)}
