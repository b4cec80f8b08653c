"""PRNG keys and bits: JAX's own functions on the words of the keys, so the bits are JAX's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from tilewright.graph.ir import Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.rules.elementwise import identity
from tilewright.trace.scope import Rule, Scope, type_of

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
    return [jax.ShapeDtypeStruct((*keys.shape, 2), jnp.uint32), *others]


def _partitionable() -> bool:
    return bool(jax.config.jax_threefry_partitionable)


def seed(scope: Scope, equation: internals.Equation, seeds: Value) -> Sequence[Value]:
    type_of(equation.outvars[0].aval)
    aval = equation.invars[0].aval
    function = internals.map_over_keys(len(aval.shape), internals.THREEFRY.seed)
    return scope.inline(function, [aval], [seeds], key="random_seed")


def split(scope: Scope, equation: internals.Equation, keys: Value) -> Sequence[Value]:
    shape = equation.params["shape"]
    function = internals.map_over_keys(
        len(equation.invars[0].aval.shape), lambda key: internals.THREEFRY.split(key, shape)
    )
    key = ("random_split", shape, _partitionable())
    return scope.inline(function, _words(equation), [keys], key=key)


def fold_in(
    scope: Scope, equation: internals.Equation, keys: Value, messages: Value
) -> Sequence[Value]:
    aval = equation.invars[1].aval
    function = internals.map_over_keys_and_messages(
        equation.invars[0].aval.shape, aval.shape, internals.THREEFRY.fold_in
    )
    return scope.inline(function, _words(equation, aval), [keys, messages], key="random_fold_in")


def bits(scope: Scope, equation: internals.Equation, keys: Value) -> Sequence[Value]:
    width, shape = equation.params["bit_width"], equation.params["shape"]
    function = internals.map_over_keys(
        len(equation.invars[0].aval.shape),
        lambda key: internals.THREEFRY.random_bits(key, width, shape),
    )
    key = ("random_bits", width, shape, _partitionable())
    return scope.inline(function, _words(equation), [keys], key=key)


def gamma(scope: Scope, equation: internals.Equation, keys: Value, alpha: Value) -> Sequence[Value]:
    log_space = equation.params["log_space"]

    def function(words: jax.Array, alpha: jax.Array) -> jax.Array:
        keys = jax.random.wrap_key_data(words, impl="threefry2x32")
        return internals.gamma_sample(keys, alpha, log_space=log_space, use_vmap=True)

    avals = _words(equation, equation.invars[1].aval)
    return scope.inline(function, avals, [keys, alpha], key=("random_gamma", log_space))


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
    "rng_uniform": rng_uniform,
}
