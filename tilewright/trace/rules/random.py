"""PRNG keys and bits: JAX's own functions on the words of the keys, so the bits are JAX's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import RandomAlgorithm

from tilewright.graph.ir import Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose.philox import random_bits
from tilewright.trace.rules.elementwise import identity
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
"""Threefry-2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011)."""


def threefry(scope: Scope, equation: internals.Equation, *operands: Value) -> tuple[Value, Value]:
    """Twenty rounds on a pair of words, a key injected after every fourth. Written out, not a loop:
    it fuses into one codelet."""
    shape = type_of(equation.outvars[0].aval).shape
    first, second, left, right = operands
    scalar = first.shape == second.shape == ()
    key_shape = () if scalar else shape
    first, second = (scope.broadcast(v, key_shape) for v in (first, second))
    parity = scope.full(_PARITY, first.type)
    third = scope.op("xor", scope.op("xor", first, second), parity)
    keys = [first, second, third]
    left = _add(scope, scope.broadcast(left, shape), first)
    right = _add(scope, scope.broadcast(right, shape), second)
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            left = scope.op("add", left, right)
            right = scope.op("xor", left, _rotate(scope, right, rotation))
        left = _add(scope, left, keys[(group + 1) % 3])
        injected = keys[(group + 2) % 3]
        injected = _add(scope, injected, scope.full(group + 1, injected.type))
        right = _add(scope, right, injected)
    return left, right


def _add(scope: Scope, left: Value, right: Value) -> Value:
    return scope.op("add", left, scope.broadcast(right, left.shape))


def _rotate(scope: Scope, words: Value, distance: int) -> Value:
    upper = scope.op("shift_left", words, scope.full(distance, words.type))
    lower = scope.op("shift_right_logical", words, scope.full(32 - distance, words.type))
    return scope.op("or", upper, lower)


def iota_2x32(scope: Scope, equation: internals.Equation) -> tuple[Value, Value]:
    """Positions in row-major order as 64 bits: the upper and the lower words."""
    result = type_of(equation.outvars[0].aval)
    if result.size >= 2**32:
        raise scope.unsupported(equation, "more than 2^32 draws at once")
    flat = scope.op("iota", dimension=0, shape=(result.size,), dtype="uint32")
    return scope.full(0, Type("uint32", result.shape)), scope.reshape(flat, result.shape)


def _words(equation: internals.Equation, *others: Any) -> list[Any]:
    """Abstract values with the keys, which come first, as words."""
    keys = equation.invars[0].aval
    return [jax.ShapeDtypeStruct((*keys.shape, *internals.key_shape(keys)), jnp.uint32), *others]


def _inline(
    scope: Scope,
    equation: internals.Equation,
    operands: Sequence[Value],
    function: Callable,
    *others: Any,
    key: Sequence[Any],
) -> Sequence[Value]:
    """A generator's own `function`, of words in place of keys; `others` are not keys."""
    generator = internals.key_implementation(equation.invars[0].aval)
    avals = _words(equation, *others)
    return scope.inline(function, avals, operands, key=(equation.primitive.name, generator, *key))


def seed(scope: Scope, equation: internals.Equation, seeds: Value) -> Sequence[Value]:
    aval, generator = equation.invars[0].aval, equation.params["impl"]
    function = internals.map_over_keys(len(aval.shape), generator.seed)
    return scope.inline(function, [aval], [seeds], key=("random_seed", generator))


def split(scope: Scope, equation: internals.Equation, keys: Value) -> Sequence[Value]:
    shape, aval = equation.params["shape"], equation.invars[0].aval
    generator = internals.key_implementation(aval)
    function = internals.map_over_keys(len(aval.shape), lambda key: generator.split(key, shape))
    return _inline(scope, equation, [keys], function, key=(shape,))


def fold_in(
    scope: Scope, equation: internals.Equation, keys: Value, messages: Value
) -> Sequence[Value]:
    of_keys, of_messages = (atom.aval for atom in equation.invars)
    function = internals.map_over_keys_and_messages(
        of_keys.shape, of_messages.shape, internals.key_implementation(of_keys).fold_in
    )
    return _inline(scope, equation, [keys, messages], function, of_messages, key=())


def bits(scope: Scope, equation: internals.Equation, keys: Value) -> Sequence[Value]:
    width, shape = equation.params["bit_width"], equation.params["shape"]
    aval = equation.invars[0].aval
    generator = internals.key_implementation(aval)
    function = internals.map_over_keys(
        len(aval.shape), lambda key: generator.random_bits(key, width, shape)
    )
    return _inline(scope, equation, [keys], function, key=(width, shape))


def gamma(scope: Scope, equation: internals.Equation, keys: Value, alpha: Value) -> Sequence[Value]:
    log_space, of_keys, of_alpha = equation.params["log_space"], *(a.aval for a in equation.invars)

    def function(words: jax.Array, alpha: jax.Array) -> jax.Array:
        keys = jax.random.wrap_key_data(words, impl=of_keys.dtype)
        return internals.gamma_sample(keys, alpha, log_space=log_space, use_vmap=True)

    return _inline(scope, equation, [keys, alpha], function, of_alpha, key=(log_space,))


def bit_generator(scope: Scope, equation: internals.Equation, key: Value) -> Sequence[Value]:
    """XLA's generator; its default on a CPU is Philox."""
    params = equation.params
    if params["algorithm"] not in (RandomAlgorithm.RNG_DEFAULT, RandomAlgorithm.RNG_PHILOX):
        raise scope.unsupported(equation, f"algorithm {params['algorithm']}")
    if key.shape != (4,):
        raise scope.unsupported(equation, "of a key that is not four words of 32 bits")
    shape, dtype = params["shape"], np.dtype(params["dtype"])
    if dtype.kind != "u":
        raise scope.unsupported(equation, f"as {dtype.name}")
    function = partial(random_bits, rounds=internals.philox_rounds, shape=shape, dtype=dtype)
    avals = [equation.invars[0].aval]
    return scope.inline(function, avals, [key], key=("rng_bit_generator", shape, dtype))


def rng_uniform(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    raise scope.unsupported(equation, "it has no seed; use jax.random.uniform")


RULES: dict[str, Rule] = {
    "threefry2x32": threefry,
    "iota_2x32_shape": iota_2x32,
    "random_seed": seed,
    "random_split": split,
    "random_fold_in": fold_in,
    "random_bits": bits,
    "random_gamma": gamma,
    "random_wrap": identity,
    "random_unwrap": identity,
    "random_clone": identity,
    "rng_bit_generator": bit_generator,
    "rng_uniform": rng_uniform,
}
