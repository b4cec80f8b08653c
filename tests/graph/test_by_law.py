"""The law of short leaves: the same bits from all that runs a graph, whatever cuts it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.graph.by_law import by_law
from tilewright.graph.evaluate import evaluate
from tilewright.graph.law import leaf_of
from tilewright.graph.text import parse, to_text
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def loss(w1, b1, w2, x, y):
    return jnp.sum((jnp.maximum(x @ w1 + b1, 0.0) @ w2 - y) ** 2)


NET = normal(9, 8), normal(8), normal(8)
CASES = {
    "rows": (jax.value_and_grad(loss, (0, 1, 2)), *NET, normal(700, 9), normal(700)),
    "matrices": (lambda a, b: a @ b, normal(33, 300), normal(300, 17)),
    "long": (lambda a, b: a @ b, normal(5, 1100), normal(1100, 40)),
    "few": (lambda a, b: a @ b.T, normal(3, 600), normal(40, 600)),
    "vectors": (lambda a, b: (a @ b, b @ a.T, a.T @ a[:, 0]), normal(40, 530), normal(530)),
    "sums": (lambda x: (x.sum(), x.sum(0), x.sum(1), x.max(1)), normal(70, 130)),
    "long sums": (lambda x: (x.sum(0), x.sum(1), (x * x).sum()), normal(30, 900)),
    "small": (lambda x: (x.sum(), x @ x), normal(14)),
    "loop": (lambda x, w: jax.lax.fori_loop(0, 3, lambda i, x: jnp.clip(x @ w, -1, 1), x),
             normal(20, 130), normal(130, 130)),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request):
    fn, *args = CASES[request.param]
    graph = by_law(trace(fn, *args).graph, "fine")
    return fn, args, graph, evaluate(graph, jax.tree.leaves(args))


def test_host_code_has_the_laws_bits(case):
    fn, args, _, expected = case
    for flat, array in zip(
        jax.tree.leaves(tilewright.compile(fn, *args, law="fine")(*args)), expected, strict=True
    ):
        same_bits(np.asarray(flat), array)


@pytest.mark.parametrize("tiles", [1, 7])
def test_tiles_have_the_laws_bits(case, tiles):
    _, args, graph, expected = case
    stages = Stages(graph, Dump("test"), machine=tiny(tiles, 1 << 20))
    program, literals = stages.lowered
    assert faults(program, 1 << 20) == []
    result = simulate(program, [*literals, *jax.tree.leaves(args)], tiles, seed=tiles)
    assert result.races == []
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)


def test_bits_hang_on_the_law():
    """Of a sum of cancelling terms: else the cases above would prove nothing."""
    fn, *args = CASES["long"]
    graph = trace(fn, *args).graph
    fine, host = (evaluate(by_law(graph, law), args)[0] for law in ("fine", "host"))
    assert not np.array_equal(fine, host)
    scale = np.abs(args[0]) @ np.abs(args[1])
    assert np.all(np.abs(fine - host) <= 1100 * np.finfo(np.float32).eps * scale)


def test_leaves_are_of_64_terms_or_of_8_rows():
    assert [leaf_of("fine", n) for n in (1, 512, 513, 58_368)] == [64, 64, 8, 8]
    assert leaf_of("host", 58_368) == 256


def test_text_has_the_law_and_its_leaves():
    fn, *args = CASES["loop"]
    text = to_text(by_law(trace(fn, *args).graph, "fine"))
    assert "leaf=64" in text
    assert to_text(parse(text)) == text


def test_a_law_that_there_is_not():
    with pytest.raises(ArgumentError, match="law must be 'host' or 'fine' or 'pairs'"):
        tilewright.compile(lambda x: x.sum(), normal(4), law="coarse")
    with pytest.raises(ArgumentError, match="law must be None"):
        tilewright.compile(lambda x: x.sum(), normal(4), law="fine", machine="xla")
