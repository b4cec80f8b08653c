"""What only the gradient of a kernel reads is made just before it, and needs no memory before."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import tilewright
from tilewright.plan import lower

X = np.random.default_rng(0).normal(size=(2, 48, 60, 48)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 3, 1, 48)).astype(np.float32)


def deep(x, w):
    """A step for the kernels of five layers, each with a mean and y max(y, 0)."""

    def loss(kernels):
        y = x
        for kernel in kernels:
            y = lax.conv_general_dilated(
                y, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=48,
            )  # fmt: skip
            y = y - jnp.mean(y, (0, 1, 2))
            y = y * jnp.maximum(y, 0)
        return jnp.sum(jnp.tanh(y))

    return jax.grad(loss)([w, w * 0.5, w * 2, w, w])


def shared(function, *arguments) -> int:
    return tilewright.compile(function, *arguments, tiles=1).compiled.program.shared_bytes


def test_it_takes_less_memory(monkeypatch):
    needed = shared(deep, X, W)
    monkeypatch.setattr(lower, "made_twice", lambda graph, machine: graph)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())
    assert needed < 0.9 * shared(deep, X, W)


def test_it_comes_just_before():
    lines = tilewright.compile(deep, X, W, tiles=1).program.splitlines()
    steps = [line.strip() for line in lines if "->" in line]
    found = [i for i, line in enumerate(steps) if line.startswith("conv_filter")]
    images = {steps[i].split("(")[1].split(" ")[0].split("[")[0] for i in found}
    made = {line.split("-> ")[1].split("[")[0].split(" ")[0] for line in steps if "sub_" in line}
    assert len(images & made) == 4


def test_values_are_those_of_jax():
    found, expected = tilewright.compile(deep, X, W)(X, W), jax.jit(deep)(X, W)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(np.abs(theirs).max()))


def rows_first(x, w, kernel):
    """The gradient of a kernel whose images are rows of a product before that."""
    y = jnp.sin(x)
    rows = y.reshape(-1, x.shape[3]) @ w

    def layer(kernel):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(y, kernel, (1, 1), "SAME", dimension_numbers=dimensions)

    return jax.vjp(layer, kernel)[1](rows.reshape(*x.shape[:3], -1))


def test_it_does_not_come_after_who_reads_it_in_another_shape():
    draw = np.random.default_rng(2).normal
    shapes = (2, 6, 6, 4), (4, 5), (3, 3, 4, 5)
    given = [draw(size=shape).astype(np.float32) for shape in shapes]
    (found,) = tilewright.compile(rows_first, *given)(*given)
    np.testing.assert_allclose(found, rows_first(*given)[0], rtol=1e-4, atol=1e-4)
