"""A function of what several vertices of a walk read, once: how often it is left, the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import STATED
from tests.plan.walks.alone import agrees_with_each_alone
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.dump import Dump
from tilewright.models.convolutional import by_batch
from tilewright.plan.ir import Buffer, Call, Spread, View, new_var
from tilewright.plan.walks.once import computed_once
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
CHANNELS = 48


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def normed(x, scale):
    return by_batch(1e-3, None, (True, True), x, scale, scale, scale * 0)[0]  # type: ignore[index]


def step(stride):
    """A step of a norm, a swish, a depthwise convolution, and a norm."""

    def loss(x, scale, w):
        y = lax.conv_general_dilated(
            jax.nn.silu(normed(x, scale)), w, (stride, stride), [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=CHANNELS,
        )  # fmt: skip
        return jnp.sum(jnp.square(normed(y, scale)))

    return jax.grad(loss, (0, 1, 2))


def excited(x, scale, w):
    """Forward through squeeze-and-excite."""
    y = jax.nn.silu(normed(x, scale))
    gate = jnp.mean(y, (1, 2)) @ w[0, 0].T @ w[0, 0]
    return y * jax.nn.sigmoid(gate)[:, None, None]


CASES = {
    "stride 1": (step(1), (20, 26, 40)),
    "stride 2": (step(2), (16, 32, 32)),
    "excited": (excited, (20, 24, 28)),
}
GIVEN = normal(CHANNELS), normal(3, 3, 1, CHANNELS)


@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_of_each_by_itself(name, monkeypatch):
    function, places = CASES[name]
    given = normal(*places, CHANNELS), *GIVEN
    agrees_with_each_alone("computed_once", function, given, (1, 2, 3, 5), monkeypatch)


def kept(x, scale, w):
    """A step between norms that keep in bfloat16 what they read."""

    def normed(x):
        return by_batch(1e-3, "bfloat16", (True, True), x, scale, scale, scale * 0)[0]  # type: ignore[index]

    def loss(x, w):
        y = lax.conv_general_dilated(
            jnp.maximum(normed(x), 0), w, (1, 1), [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=CHANNELS,
        )  # fmt: skip
        return jnp.sum(jnp.square(normed(y)))

    return jax.grad(loss, (0, 1))(x, w)


def test_a_step_that_keeps_bfloat16():
    """Large enough for walks; JAX's rounding goes other ways here and there."""
    agree(kept, normal(16, 20, 24, CHANNELS), *GIVEN, absolute=2, relative=0.1, simulated=False)


def logistics(steps) -> list[int]:
    """How many vertices compute that of images, in each walk."""
    calls = [[c for c in step.steps if isinstance(c, Call)] for step in steps
             if isinstance(step, Spread)]  # fmt: skip
    return [n for walk in calls if (n := sum(map(has_logistic, walk)))]


def has_logistic(call) -> bool:
    codelet = call.codelet
    expression = getattr(codelet, "expression", None) or getattr(codelet, "epilogue", None)
    large = codelet.inputs and codelet.inputs[0].size > CHANNELS
    return bool(large and expression and any(s.op == "logistic" for s in expression.instructions))


def steps_of(function, places):
    given = normal(*places, CHANNELS), *GIVEN
    return Stages(trace(function, *given).graph, Dump("test")).program.steps


@pytest.mark.parametrize(("name", "before"), [("stride 1", [1, 2]), ("stride 2", [1, 2])])
def test_a_walk_computes_it_once(name, before, monkeypatch):
    assert logistics(steps_of(*CASES[name])) == [1] * len(before)
    monkeypatch.setattr("tilewright.plan.lower.computed_once", lambda steps, machine: list(steps))
    assert logistics(steps_of(*CASES[name])) == before


# By hand: lines of one buffer to another.

SIZE = 5000
A, B, C = (Buffer("float32", 2 * SIZE, "shared") for _ in range(3))


def vertex(source, target, at=0, op="logistic", size=SIZE):
    views = View(source, (size,), (1,), at), View(target, (size,), (1,))
    expression = Expression(("float32",), (Instruction(op, (0,), "float32"),), (1,))
    return Call(Elementwise(expression, (size,), ((1,),), ((1,),)), views)


def left(*calls) -> int:
    """Of so many vertices in a walk, those that compute a logistic."""
    (walk,) = computed_once([Spread(new_var(), 2, calls)], STATED)
    assert isinstance(walk, Spread)
    steps = [c.codelet.expression.instructions for c in walk.steps]  # type: ignore[union-attr]
    return sum(step.op == "logistic" for some in steps for step in some)


def test_which_are_the_same():
    assert left(vertex(A, B), vertex(A, C)) == 1
    assert left(vertex(A, B), vertex(A, C), vertex(A, C, at=1)) == 2
    assert left(vertex(A, B), vertex(B, C)) == 2
    assert left(vertex(A, B, size=100), vertex(A, C, size=100)) == 2


def test_what_is_written_in_between_is_another():
    assert left(vertex(A, B), vertex(C, A, op="neg"), vertex(A, C)) == 2
    assert left(vertex(A, B), vertex(C, B, op="neg"), vertex(A, C)) == 1
