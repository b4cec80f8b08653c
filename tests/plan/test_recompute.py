"""Large values that are made again rather than stored: which, from what, and the same bits."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.agree import agree
from tests.machines import SMALL, STATED
from tilewright.dump import Dump
from tilewright.machine.machine import Machine
from tilewright.plan.lives import FOREVER, Lives
from tilewright.plan.memory import place_buffers
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(48, 24)).astype(np.float32)
W = RANDOM.normal(size=(24, 24)).astype(np.float32)
ROW = RANDOM.normal(size=24).astype(np.float32)
FAR = X.nbytes
LITTLE = replace(
    STATED,
    chip=replace(
        STATED.chip,
        tile=replace(
            STATED.tile,
            memories=tuple(replace(m, size=max(1, m.size >> 12)) for m in STATED.tile.memories),
        ),
    ),
)
"""A machine from whose caches everything is far."""


def normed(x, row):
    centred = x - jnp.mean(x, 0)
    return centred * jax.lax.rsqrt(jnp.mean(centred * centred, 0) + 1) * row


def layer(x, w, row):
    """A product, its norm and a swish, before another product."""
    y = normed(x @ w, row)
    return (y * jax.nn.sigmoid(y)) @ w


def two_origins(x, w, row):
    """A sum of two arrays is stored; what is made of it is not."""
    y = jnp.cumsum(x, 0) * x
    z = y * row
    return z / jnp.sum(z, 0) + y


def read_by_a_product(x, w, row):
    y = x * row
    return y / jnp.sum(y, 0), y @ w


def two_functions(x, w, row):
    y = jnp.tanh(jnp.exp(x))
    return y / jnp.sum(y, 0)


def given(x, w, row):
    y = x * row
    return y, y / jnp.sum(y, 0)


def gradient(x, w, row):
    def loss(x, w, row):
        return jnp.sum(jnp.sin(layer(layer(x, w, row), w, row)))

    return jax.grad(loss, (0, 1, 2))(x, w, row)


def chosen(function, far=FAR) -> list[str]:
    """The operations that make what is not stored."""
    graph = Stages(trace(function, X, W, ROW).graph, Dump("test"), machine=STATED).graph
    lives = Lives(graph, far)
    return sorted(lives.producers[value].op for value in lives.recomputed)


@pytest.mark.parametrize(
    "function, expected",
    [
        (layer, ["sub"]),
        (two_origins, ["mul"]),
        (read_by_a_product, []),
        (two_functions, []),
        (given, []),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_which(function, expected):
    assert [op for op in chosen(function) if op in ("sub", "mul", "tanh", "exp")] == expected


def test_what_is_near_is_stored():
    assert chosen(layer, FAR + 1) == []
    assert chosen(layer, FOREVER) == []


def test_of_a_gradient_only_raw_products_are_kept():
    """Neither centred values, nor what goes into a swish, nor its sigmoid."""
    ops = chosen(gradient)
    assert ops.count("logistic") == 2
    assert ops.count("sub") >= 4


@pytest.fixture
def far(monkeypatch):
    def compiled_on(machine: Machine) -> None:
        monkeypatch.setattr("tilewright.compiler.host_machine", lambda: machine)
        monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())

    return compiled_on


@pytest.mark.parametrize("function", [two_origins, gradient])
def test_bits(function, far):
    """Those of a machine on which everything is near, on any number of tiles."""
    usual = jax.tree.leaves(tilewright.compile(function, X, W, ROW)(X, W, ROW))
    far(LITTLE)
    other = jax.tree.leaves(tilewright.compile(function, X, W, ROW)(X, W, ROW))
    for one, two in zip(usual, other, strict=True):
        np.testing.assert_array_equal(one, two)
    far(SMALL)
    agree(function, X, W, ROW, exact=function is two_origins, absolute=1e-2, relative=1e-2)


def test_a_step_takes_less_memory():
    """Of what a gradient keeps from its forward pass, only raw products are left."""
    graph = trace(gradient, X, W, ROW).graph
    sizes = [
        place_buffers(Stages(graph, Dump("test"), machine=machine).program.steps).shared_bytes
        for machine in (STATED, LITTLE)
    ]
    assert sizes[1] < 0.8 * sizes[0]


def kept_in_16_bits(x, w, row):
    """Read as it is by the sums, and for long in bfloat16."""
    y = x @ w
    mean = jnp.mean(y, 0)
    short = y.astype(jnp.bfloat16).astype(jnp.float32)
    return (short - mean) * row, jnp.sum((short - 2 * mean) * row * row, 0)


def test_what_is_kept_in_16_bits_is_stored_so_and_widened_by_its_readers():
    graph = Stages(trace(kept_in_16_bits, X, W, ROW).graph, Dump("test"), machine=LITTLE).graph
    lives = Lives(graph, FAR // 2)
    (short,) = [node.output for node in graph.nodes if node.output.dtype == "bfloat16"]
    (unit,) = [u for u in lives.units if any(short in node.outputs for node in u.nodes)]
    assert short not in lives.recomputed
    assert lives.leaves_unit(short, unit)
    assert all(v in lives.recomputed for n in graph.nodes if short in n.inputs for v in n.outputs)
    assert [node.op for node in unit.nodes] == ["dot", "convert"]
    agree(kept_in_16_bits, X, W, ROW, absolute=0.5)
