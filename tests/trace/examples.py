"""One program for each primitive that has a row: where its equation is found, with all parameters.

`equations()` gives those with all the sets of parameters that each primitive has here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.compute_on import compute_on2
from jax.experimental.scheduling_groups import scheduling_group
from jax.experimental.shard_alike import shard_alike
from jax.experimental.xla_metadata import set_xla_metadata

from tilewright.trace import approximate
from tilewright.trace import jax_internals as internals
from tilewright.trace.blocks import blocks

X = np.arange(1, 7, dtype=np.float32).reshape(2, 3) / 8
V, N, B = X[0], np.arange(3, dtype=np.int32), np.array([True, False, True])
SQUARE = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 4]], np.float32)
KEY = jax.random.key(0)
IMAGE = np.ones((1, 1, 4, 4), np.float32)

OF_ONE = (
    "abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil cos cosh digamma erf "
    "erf_inv erfc exp exp2 expm1 floor is_finite lgamma log log1p logistic neg round rsqrt sign "
    "sin sinh sqrt square tan tanh cumlogsumexp cummax cummin cumprod cumsum"
).split()
OF_TWO = "add atan2 div eq ge gt igamma igammac le lt max min mul ne nextafter rem sub zeta".split()
OF_INTEGERS = (
    "bitwise_and bitwise_or bitwise_xor shift_left shift_right_arithmetic shift_right_logical mulhi"
).split()


def loop(x: Any) -> Any:
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x))


@jax.custom_jvp
def own_jvp(x):
    return x * 2


@jax.custom_vjp
def own_vjp(x):
    return x * 2


DEVICE = jax.memory.Space.Device
on_the_host = compute_on2(jnp.sin, compute_type="device_host", out_memory_spaces=DEVICE)
own_jvp.defjvp(lambda primals, tangents: (own_jvp(*primals), tangents[0]))
own_vjp.defvjp(lambda x: (own_vjp(x), None), lambda _, cotangent: (cotangent,))


def window(x: Any, first: float, function: Callable) -> Any:
    return lax.reduce_window(x, first, function, (1, 1, 2, 2), (1, 1, 1, 1), "SAME")


def scatter(kind: str) -> Callable:
    return lambda x: getattr(x.at[N[:2], N[:2]], kind)(1.5)


def bits_of(keys: Any) -> Any:
    """Down to the generator's own primitives."""
    generator = internals.key_implementation(jax.typeof(keys))
    return generator.random_bits(jax.random.key_data(keys), 32, (3,))


PROGRAMS: list[tuple[Callable, tuple[Any, ...]]] = [
    *((getattr(lax, name), (V,)) for name in OF_ONE),
    *((getattr(lax, name), (V, V)) for name in OF_TWO),
    *((getattr(lax, name), (N, N)) for name in OF_INTEGERS),
    (lambda n: (~n, lax.population_count(n), lax.clz(n)), (N,)),
    (lambda b: (jnp.all(b), jnp.any(b)), (B,)),
    (lambda x: (x.sum(), x.prod(), x.max(), x.min(), x.argmax(), x.argmin()), (V,)),
    (lambda n: lax.reduce(n, np.int32(0), lax.bitwise_xor, (0,)), (N,)),
    (lambda x: lax.reduce(x, np.float32(0), lambda a, b: a * b + a + b, (0,)), (V,)),
    (lambda x: blocks(x, X > 0.5), (X,)),
    (lambda x: (x**3, x**0.5, lax.reduce_precision(x, 5, 10)), (V,)),
    (lambda x: (lax.clamp(0.0, x, 1.0), lax.select(x > 0, x, -x)), (V,)),
    (lambda x: (x.astype(jnp.int32), lax.bitcast_convert_type(x, jnp.int32)), (V,)),
    (lambda a, x: lax.igamma_grad_a(a, x), (V, V)),
    (lambda a, x: lax.betainc(a, a, x), (V, V)),
    (lambda n, x: lax.polygamma(n, x), (V, V)),
    (jax.grad(lambda x: jnp.sum(x + x * x)), (V,)),
    (approximate.tanh, (V,)),
    # movement
    (lambda x: (x.T, x.reshape(6), x[:, ::2], x[None], jnp.tile(x, 2), x[::-1]), (X,)),
    (lambda x: (lax.reshape(x, (6,), (1, 0)), lax.squeeze(x[:1], (0,))), (X,)),
    (lambda x: (jnp.split(x, 3, 1), jnp.concatenate([x, x]), jnp.stack([x, x])), (X,)),
    (lambda x: (jnp.unstack(x), lax.pad(x, 0.0, ((1, 0, 1), (0, 0, 0)))), (X,)),
    (lambda x: (lax.iota(jnp.int32, 3), jnp.empty(3) + x, jnp.copy(x), lax.tile(x, (2,))), (V,)),
    (lambda x: lax.stop_gradient(lax.optimization_barrier(x)), (V,)),
    (lambda x: jax.device_put(x), (V,)),
    (lambda x: checkpoint_name(x, "x"), (V,)),
    (lambda x: set_xla_metadata(shard_alike(x, x)[0] + 1, mark="x"), (V,)),
    # indexing
    (lambda x, i: (lax.dynamic_slice(x, (i, i), (1, 2)), x[N[:2], i]), (X, 1)),
    (lambda x, i: lax.dynamic_update_slice(x, x[:1, :1], (i, i)), (X, 1)),
    *((scatter(kind), (SQUARE,)) for kind in "set add subtract multiply min max".split()),
    (lambda x: x.at[N[:2]].apply(jnp.sin), (SQUARE,)),
    # across
    (lambda x: (lax.sort(x), lax.top_k(x, 2), lax.approx_max_k(x, 2), x @ x), (V,)),
    (lambda x: jax.vmap(lambda x: lax.psum(x, "i"), axis_name="i")(x), (V,)),
    (lambda x: jax.vmap(lambda x: lax.pmax(x, "i") + lax.pmin(x, "i"), axis_name="i")(x), (V,)),
    # over images
    (lambda x: lax.conv(x, x, (1, 1), "SAME"), (IMAGE,)),
    (lambda x: (window(x, 0.0, lax.add), window(x, np.inf, lax.min)), (IMAGE,)),
    (lambda x: window(x, 0.0, lambda a, b: a + b * 2), (IMAGE,)),
    (lambda x: jax.jvp(lambda x: window(x, -np.inf, lax.max), (x,), (x,)), (IMAGE,)),
    (jax.grad(lambda x: window(x, -np.inf, lax.max).sum()), (IMAGE,)),
    # calls and control flow
    (lambda x: (jax.jit(jnp.sin)(x), jax.checkpoint(jnp.sin)(x), own_jvp(x), own_vjp(x)), (V,)),
    (lambda x: (lax.scan(lambda c, x: (c + x, c), 0.0, x), loop(x)), (V,)),
    (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), (V,)),
    (lambda x: lax.custom_linear_solve(lambda x: 2 * x, x, lambda _, b: b / 2), (V,)),
    (lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos), (V,)),
    (lambda x: lax.composite(jnp.sin, "own.sin")(x), (V,)),
    (lambda x: (on_the_host(x), scheduling_group("x")(jnp.sin)(x)), (V,)),
    (jax.grad(lambda x: jax.custom_derivatives.linear_call(
        lambda r, x: r * x, lambda r, x: r * x, 2.0, x).sum()), (V,)),
    # keys
    (lambda k: (jax.random.split(k), jax.random.fold_in(k, 1), jax.random.bits(k)), (KEY,)),
    (lambda k, x: (jax.random.gamma(k, x), jax.random.clone(k)), (KEY, V)),
    (lambda n: (jax.random.key(n), jax.random.wrap_key_data(jnp.zeros(2, "uint32"))), (1,)),
    (lambda k: jax.random.key_data(k), (KEY,)),
    (lambda k: lax.rng_bit_generator(k, (3,)), (np.arange(4, dtype=np.uint32),)),
    (bits_of, (KEY,)),
    # linear algebra
    (lambda a: (jnp.linalg.cholesky(a), jnp.linalg.qr(a), jnp.linalg.eigh(a)), (SQUARE,)),
    (lambda a: (jnp.linalg.svd(a), lax.linalg.lu(a), jnp.linalg.inv(a)), (SQUARE,)),
    (lambda a: lax.linalg.symmetric_product(a, a), (SQUARE,)),
    (lambda a: jnp.linalg.qr(a, mode="raw"), (SQUARE,)),
    (lambda a: lax.linalg.lu_pivots_to_permutation(lax.linalg.lu(a)[1], 3), (SQUARE,)),
    (lambda a: lax.linalg.tridiagonal_solve(a[0], a[1] + 3, a[2], a), (SQUARE,)),
    (lambda a: lax.linalg.householder_product(a, a[0]), (SQUARE,)),
]  # fmt: skip


@cache
def equations() -> dict[str, list[internals.Equation]]:
    found: dict[str, dict[frozenset[str], internals.Equation]] = {}
    for program, arguments in PROGRAMS:
        for equation in _all_of(jax.make_jaxpr(program)(*arguments).jaxpr):
            of_name = found.setdefault(equation.primitive.name, {})
            of_name.setdefault(frozenset(equation.params), equation)
    return {name: list(of_name.values()) for name, of_name in found.items()}


def _all_of(jaxpr: internals.Jaxpr) -> Iterator[internals.Equation]:
    for equation in jaxpr.eqns:
        yield equation
        for param in equation.params.values():
            for inner in param if isinstance(param, tuple) else (param,):
                if isinstance(inner, internals.ClosedJaxpr):
                    yield from _all_of(inner.jaxpr)
                elif isinstance(inner, internals.Jaxpr):
                    yield from _all_of(inner)
