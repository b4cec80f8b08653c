"""What the README's Limits lists is refused, by primitive, shape and the user's line.

Neither more nor less: what gains a rule leaves this list and that one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import io_callback, pallas
from jax.experimental.sparse.linalg import spsolve
from jax.scipy import linalg
from jax.sharding import Mesh, PartitionSpec

from tests.trace.comparing import trace
from tilewright.errors import UnsupportedError

SQUARE = jnp.eye(4) + 1
VOLUME = jnp.ones((1, 2, 4, 4, 4))
MESH = Mesh(np.array(jax.devices()[:1]), ("device",))
WHERE = PartitionSpec("device")
STRUCT = jax.ShapeDtypeStruct((4, 4), jnp.float32)


def largest(x):
    windows = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2, 2), (1, 1, 1, 1, 1), "SAME")
    return windows.sum()


def doubled_in_place(read, write):
    write[...] = read[...] * 2


def one_sum(x):
    return lax.psum(x, "device")


LIMITS = {
    "convolutions over volumes": (
        lambda x: lax.conv(x, x, (1, 1, 1), "SAME"),
        VOLUME,
        "conv_general_dilated",
    ),
    "derivatives of maxima over volumes": (jax.grad(largest), VOLUME, "select_and_scatter_add"),
    "Fourier transforms": (jnp.fft.rfft, SQUARE, "fft"),
    "complex numbers": (lambda x: jnp.abs(lax.complex(x, x)), SQUARE, "complex"),
    "eigenvalues in general": (jnp.linalg.eigvals, SQUARE, "eig"),
    "roots": (lambda x: jnp.roots(x[0], strip_zeros=False), SQUARE, "eig"),
    "square roots of matrices": (linalg.sqrtm, SQUARE, "complex64"),
    "Schur": (linalg.schur, SQUARE, "schur"),
    "Hessenberg": (linalg.hessenberg, SQUARE, "hessenberg"),
    "tridiagonal": (lambda x: lax.linalg.tridiagonal(x), SQUARE, "tridiagonal"),
    "pivoting": (lambda x: linalg.qr(x, pivoting=True), SQUARE, "qr"),
    "some singular values": (
        lambda x: lax.linalg.svd(x, full_matrices=False, subset_by_index=(0, 2)),
        SQUARE,
        "svd",
    ),
    "sparse systems": (
        lambda x: spsolve(x[0], jnp.arange(4), jnp.arange(5), x[1]),
        SQUARE,
        "spsolve",
    ),
    "4 bits": (lambda x: x.astype("int4"), SQUARE, "int4"),
    "8 bits": (lambda x: x.astype("float8_e4m3fn"), SQUARE, "float8_e4m3fn"),
    "shards": (
        jax.shard_map(one_sum, mesh=MESH, in_specs=WHERE, out_specs=PartitionSpec()),
        SQUARE,
        "shard_map",
    ),
    "a function a device": (lambda x: jax.pmap(jnp.sin)(x[:1]), SQUARE, "shard_map"),
    "Pallas": (pallas.pallas_call(doubled_in_place, out_shape=STRUCT), SQUARE, "pallas_call"),
    "foreign functions": (lambda x: jax.ffi.ffi_call("foreign", STRUCT)(x), SQUARE, "ffi_call"),
    "what was exported": (
        lambda x: jax.export.export(jax.jit(jnp.sin))(STRUCT).call(x),
        SQUARE,
        "call_exported",
    ),
    "the best of each part": (
        lambda x: lax.approx_max_k(x, 2, aggregate_to_topk=False),
        SQUARE,
        "approx_top_k",
    ),
    "draws without a seed": (lambda x: x + lax.rng_uniform(0.0, 1.0, ()), SQUARE, "rng_uniform"),
    "callbacks": (lambda x: io_callback(np.sin, STRUCT, x), SQUARE, "io_callback"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_it_is_refused(limit):
    fn, x, named = LIMITS[limit]
    with pytest.raises(UnsupportedError, match=r"\w+ of .*\[.*test_limits.py:\d+\)") as refused:
        trace(fn, x)
    assert named in str(refused.value)
