"""Convolutions with elementwise nodes after them: what is taken, and the same bits without.

Also what a net relies on: its barriers, and that no border is read as data.
"""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.machines import SMALL, STATED, eager
from tilewright.codelets.convolution import Convolution
from tilewright.dump import Dump
from tilewright.machine.host import described
from tilewright.plan import convolution, scope
from tilewright.plan.ir import Sync
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
SHAPES = (
    (1, 9, 8, 3),
    (3, 3, 3, 16),
    (3, 3, 1, 16),
    (3, 3, 4, 16),
    (16, 4),
    (4, 16),
    (16, 16),
    (16,),
)
X, STEM, DEEP, GROUPED, SQUEEZE, EXCITE, PROJECT, SHIFT = (
    RANDOM.normal(size=shape).astype(np.float32) / 2 for shape in SHAPES
)
WEIGHTS = STEM, DEEP, GROUPED, SQUEEZE, EXCITE, PROJECT, SHIFT
FEW, MANY = (described(level).tile.features.registers for level in (("avx2", "fma"), ("avx512f",)))
"""Registers of the two levels."""


def convolve(x, kernel, groups=1, stride=1):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=numbers, feature_group_count=groups
    )


def swish(x):
    return x * jax.nn.sigmoid(x)


def net(x, stem, deep, grouped, squeeze, excite, project, shift):
    """A stem, a block that squeezes and excites, a residual around groups; to the image's size."""
    x = swish(convolve(x, stem) + shift)
    y = swish(convolve(x, deep, 16, 2) + shift)
    scale = jax.nn.sigmoid(swish(jnp.mean(y, (1, 2)) @ squeeze) @ excite)
    y = (y * scale[:, None, None]) @ project + shift
    return jnp.maximum(convolve(y, grouped, 4) + shift + y, 0)


def exact(x, stem, deep, grouped, squeeze, excite, project, shift):
    """Without functions, that are equal only nearly in NumPy."""
    y = convolve(x, stem) + shift
    y = convolve(jnp.maximum(y, shift * y), deep, 16) * shift - 1
    return jnp.maximum(convolve(y, grouped, 4, 2) + shift, 0) * 0.5


def planned(function, registers, machine=STATED):
    """The program, for a machine of so many registers."""
    traced = trace(function, X, *WEIGHTS).graph
    features = replace(machine.tile.features, registers=registers)
    chip = replace(machine.chip, tile=replace(machine.tile, features=features))
    return Stages(traced, Dump("test"), machine=replace(machine, chip=chip))


def vertices(function, registers=MANY) -> list[str]:
    """Names of all codelets, in order."""
    lowered = planned(function, registers)
    return [call.codelet.name for call, _ in calls_of(lowered.program.steps)]


@pytest.mark.parametrize(
    "after, registers, expected",
    [
        (lambda y, x, b: y + b, MANY, ["_add"]),
        (lambda y, x, b: swish(y + b), MANY, ["_add_logistic_mul"]),
        (lambda y, x, b: swish(y), MANY, ["_logistic_mul"]),
        (lambda y, x, b: jnp.maximum(y * b + x, 0), FEW, ["_mul_add_max"]),
        (lambda y, x, b: swish(y + b), FEW, ["_add", "logistic_mul"]),
        (lambda y, x, b: swish(y), FEW, ["", "logistic_mul"]),
    ],
)  # fmt: skip
def test_what_is_taken(after, registers, expected):
    def function(x, *weights):
        image = jnp.tile(x, (1, 1, 1, 6))[..., :16]
        return after(convolve(image, weights[1], 16), image, weights[-1])

    first, *others = [v for v in vertices(function, registers) if "conv" in v or "logistic" in v]
    assert first.startswith("conv_3x3x1_16_groups_float32_1x9x8x16x1" + expected[0])
    assert first.endswith("x1" + expected[0])
    assert [name[: len(e)] for name, e in zip(others, expected[1:], strict=True)] == expected[1:]


@pytest.fixture
def eagerly(monkeypatch):
    """However small, everything is dealt out."""
    monkeypatch.setattr("tilewright.compiler.host_machine", lambda: SMALL)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())


def test_all_ways_agree(eagerly):
    agree(exact, X, *WEIGHTS, absolute=1e-4)
    agree(net, X, *WEIGHTS, exact=False, absolute=1e-4)


def test_fused_and_unfused_programs_have_the_same_bits(monkeypatch):
    fused = tilewright.compile(net, X, *WEIGHTS)
    assert "_groups_float32_1x5x4x16x1_add" in fused.program
    monkeypatch.setattr("tilewright.plan.epilogues.TAKERS", ())
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())
    apart = tilewright.compile(net, X, *WEIGHTS)
    assert "_groups_float32_1x5x4x16x1_add" not in apart.program
    np.testing.assert_array_equal(fused(X, *WEIGHTS), apart(X, *WEIGHTS))


def test_a_side_that_lies_across_is_no_obstacle():
    """A residual whose channels are no neighbours: the rest follows by itself."""

    def function(x, deep, beside):
        return convolve(jnp.repeat(x, 6, 3)[..., :16], deep, 16) + beside.transpose(0, 2, 3, 1)

    beside = RANDOM.normal(size=(1, 16, 9, 8)).astype(np.float32)
    agree(function, X, DEEP, beside, absolute=1e-4)


def test_a_removed_sync_is_a_reported_race():
    """Each of those between two convolutions of a net that is dealt out."""
    sound = planned(exact, MANY, eager(SMALL))
    program, literals = sound.lowered
    arguments = [*literals, X, *WEIGHTS]
    assert simulate(program, arguments, 3).races == []
    found = [
        at
        for at, step in enumerate(program.steps)
        if any(isinstance(c.codelet, Convolution) for c, _ in calls_of([step]))
    ]
    assert len(found) >= 3
    for first, second in pairwise(found):
        between = program.steps[first + 1 : second]
        rest = [step for step in between if not isinstance(step, Sync)]
        broken = (*program.steps[: first + 1], *rest, *program.steps[second:])
        sound = len(rest) == len(between)  # pieces of one convolution
        assert bool(simulate(replace(program, steps=broken), arguments, 3).races) != sound


@pytest.mark.parametrize("registers", [FEW, MANY])
def test_borders_are_read_as_padding_alone(monkeypatch, registers):
    """Of NaN, they reach the outputs next to an edge, and neither the rest nor other readers."""

    def function(x, stem, deep, *rest):
        y = jnp.maximum(convolve(x, stem) + rest[-1], 0)
        return convolve(y, deep, 16) + rest[-1], y * 2

    def run():
        program, literals = planned(function, registers, eager(SMALL)).lowered
        found = simulate(program, [*literals, X, *WEIGHTS], 2)
        return [array.reshape(9, 8, 16) for array in found.outputs]

    def nan(dtype):
        return np.full((), np.nan, dtype)

    usual = run()
    monkeypatch.setattr(scope, "zero", nan)  # of borders in which a value is computed
    image, beside = run()
    assert np.isnan(image[[0, -1]]).all()
    assert np.isnan(image[:, [0, -1]]).all()
    np.testing.assert_array_equal(image[1:-1, 1:-1], usual[0][1:-1, 1:-1])
    np.testing.assert_array_equal(beside, usual[1])
    monkeypatch.setattr(convolution, "zero", nan)  # of one that a copy puts around an input
    assert np.isnan(run()[1][[0, -1]]).all()


@pytest.mark.parametrize("groups", (1, 4))
def test_signals_take_what_follows_in_their_own_shape(groups):
    """The derivative of what follows a convolution of one dimension."""

    def fn(x, kernel):
        numbers = ("NCW", "WIO", "NCW")
        made = lax.conv_general_dilated(
            x, kernel, (1,), [(4, 0)], rhs_dilation=(2,), dimension_numbers=numbers,
            feature_group_count=groups,
        )  # fmt: skip
        return jnp.sum(jax.nn.relu(made) ** 2)

    kernel = RANDOM.normal(size=(3, 8 // groups, 16)).astype(np.float32)
    x = RANDOM.normal(size=(2, 8, 24)).astype(np.float32)
    gradient = jax.grad(fn, (0, 1))
    for found, expected in zip(
        tilewright.compile(gradient, x, kernel)(x, kernel),
        jax.jit(gradient)(x, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
