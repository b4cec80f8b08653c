"""Vertices over the same rows, run by run: which are joined, what then never leaves a tile, and the
same bits as of each by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.plan.walks.alone import agrees_with_each_alone
from tilewright.machine.host import host_machine
from tilewright.models import convolutional

RANDOM = np.random.default_rng(0)
IMAGES = max(10, 5 * host_machine().tile.memory // (2 * 1024 * 64 * 4))
"""Of 64 channels, 2.5 times as many as a tile's memory holds. (Rows of matrices are strips.)"""
X = RANDOM.normal(size=(IMAGES, 32, 32, 16)).astype(np.float32)
W = RANDOM.normal(size=(16, 64)).astype(np.float32)
PLACES = (0, 1, 2)
V = RANDOM.normal(size=(64, 24)).astype(np.float32)


def spreads(function, *arguments) -> list[list[str]]:
    """The vertices of each spread."""
    text = tilewright.compile(function, *arguments, tiles=1).program
    found: list[list[str]] = []
    for line in text.split("steps:")[1].splitlines():
        if line.startswith("  spread"):
            found.append([])
        elif line.startswith("    ") and found:
            found[-1].append(line.split()[0])
    return found


def product(x, w):
    """Rows, and the sums of a norm over them."""
    y = x @ w
    return y, jnp.sum(y, PLACES), jnp.sum(jnp.square(y - w[0]), PLACES)


def through(x, w, v):
    """A product of what is made of a product: what lies between is nobody else's."""
    return jnp.maximum(x @ w, 0) * 2 @ v


def crossing(x, w):
    """Rows are turned round before they are summed: a run of them is no run of what was made."""
    y = x @ w
    return jnp.sum(jnp.flip(y, 1), PLACES)


def waiting(x, w, v):
    """The second product reads what the sum of the first one's rows gives."""
    y = x @ w
    return (y - jnp.sum(y, PLACES)) @ v


def looped(x, w):
    """Rows that a loop carries: what one trip makes the next one reads."""

    def trip(_, carry):
        x, total = carry
        y = x @ w
        return x + y[..., :16], total + jnp.sum(y, PLACES)

    return jax.lax.fori_loop(0, 3, trip, (x, jnp.zeros(64)))


def normed(x, w, v):
    """A step through a batch norm over images, back to the first kernel."""

    def loss(w, v):
        y = convolutional.by_batch(1e-3, None, (False, False), x @ w, *w[:3])[0]  # type: ignore[index]
        return jnp.sum(jnp.square(jax.nn.silu(y) @ v))

    return jax.grad(loss, (0, 1))(w * 0.1, v)


CASES = {product: (X, W), through: (X, W, V), crossing: (X, W), waiting: (X, W, V),
         looped: (X * 0.1, W * 0.1), normed: (X, W, V)}  # fmt: skip


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_bits_are_those_of_each_by_itself(function, monkeypatch):
    agrees_with_each_alone("run_by_run", function, CASES[function], (1, 2), monkeypatch)


def test_sums_ride_on_the_product():
    (first, *_) = [names for names in spreads(product, X, W) if "contract" in names[0]]
    assert [name.split("_")[0] for name in first] == ["contract", "reduce", "reduce"]


def test_what_lies_between_stays_on_the_tile():
    program = tilewright.compile(through, X, W, V, tiles=1).program
    head = program.splitlines()[0]
    assert head.startswith("program: 0 bytes shared")
    assert " 0 bytes a tile" not in head


@pytest.mark.parametrize("function", [crossing, waiting], ids=lambda f: f.__name__)
def test_what_must_wait_waits(function):
    arguments = CASES[function]
    first = next(n for n in spreads(function, *arguments) if "contract" in n[0])
    kinds = [name.split("_")[0] for name in first]
    assert kinds in (["contract"], ["contract", "reduce"])
    assert function is waiting or kinds == ["contract"]


def test_near_rows_are_left_alone():
    assert all(len(names) == 1 for names in spreads(product, X[:1], W))
