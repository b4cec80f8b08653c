"""Lesser instruction sets give the same bits, and nothing is emitted that they lack."""

import hashlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tilewright.machine.host import host_machine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(700, 22)).astype(np.float32)
Y = RNG.normal(size=700).astype(np.float32)
KEYS = np.arange(2, dtype=np.uint32)
KERNELS = [RNG.normal(size=(k, k, c, 40)).astype(np.float32) for k, c in ((5, 1), (3, 4), (3, 40))]
IMAGES = RNG.normal(size=(2, 9, 9, 40)).astype(np.float32), KERNELS


def density(p):
    error = Y - jnp.tanh(X @ p["w"] + p["b"]) @ p["v"]
    return -jnp.sum(jnp.log1p(error * error)) - sum(jnp.sum(a * a) for a in jax.tree.leaves(p))


def chain(seed):
    """A few draws of HMC with a bfloat16 force."""
    import blackjax

    start = {"w": jnp.zeros((22, 9)), "b": jnp.ones(9), "v": jnp.full(9, 0.1)}
    sampler = blackjax.hmc(tilewright.force(density, "bfloat16"), 0.01, jnp.ones(22 * 9 + 18), 7)

    def draw(state, key):
        state, _ = sampler.step(key, state)
        return state, state.position["v"]

    keys = jax.random.split(jax.random.key(seed), 4)
    first = sampler.init(start)  # pyright: ignore[reportCallIssue]
    return jax.lax.scan(draw, first, keys)[1]


def mixture(x):
    half = x.astype(jnp.bfloat16)
    return (
        jnp.exp(x).sum(0),
        jnp.log1p(jnp.abs(x)) @ x.T[:, :5],
        (half @ half.T)[:7].astype(jnp.float32),
        jnp.sort(x, 0)[:3],
        jax.random.normal(jax.random.key(1), (100,)),
    )


def image(x, w):
    """Depthwise, in groups and dense, strided; the gradients; a window."""
    total = 0.0
    for kernel, groups in zip(w, (40, 10, 1), strict=True):
        total = total + lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        ).sum(3)  # fmt: skip
    return jnp.sum(total * total) + jnp.sum(
        lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    )


def digest() -> str:
    """One hash over the results of all."""
    results = [
        tilewright.compile(jax.grad(density), params())(params()),
        tilewright.compile(tilewright.tile_map(chain), KEYS)(KEYS),
        tilewright.compile(mixture, X)(X),
        tilewright.compile(jax.value_and_grad(image, (0, 1)), *IMAGES)(*IMAGES),
    ]
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(results):
        total.update(np.ascontiguousarray(leaf).tobytes())
    return total.hexdigest()


def params():
    rng = np.random.default_rng(1)
    shapes = {"w": (22, 9), "b": (9,), "v": (9,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.skipif(
    host_machine().tile.features.vector_bits < 512, reason="needs AVX-512 to compare with"
)
def test_avx2_gives_the_bits_of_avx512():
    code = "from tests.test_features import digest; print(digest())"
    environment = os.environ | {"TILEWRIGHT_FEATURES": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest()


def test_avx2_code_has_no_wide_registers():
    code = (
        "import jax, tilewright; from tests.test_features import *;"
        "print(tilewright.compile(mixture, X).assembly)"
    )
    environment = os.environ | {"TILEWRIGHT_FEATURES": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "ymm" in done.stdout
    assert "zmm" not in done.stdout
    assert "%k1" not in done.stdout
