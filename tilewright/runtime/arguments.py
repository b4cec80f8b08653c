"""Check a call's leaves against the compiled types, and make plain NumPy arrays of them.

In: whatever the user passed for one leaf. Out: a C-contiguous, aligned array of the compiled shape
and dtype, without a copy where possible; or an `ArgumentError` of one sentence, whose first word is
the verb: the caller knows what the leaf is called.

As under `jax.jit`: Python numbers take the compiled dtype, and 64-bit arrays are accepted for
32-bit leaves of the same kind unless JAX runs with x64.
"""

from __future__ import annotations

import numbers
import sys
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.graph.ir import Type

_NARROWED = {"float64": "float32", "int64": "int32", "uint64": "uint32"}
_NUMBERS = {"b": bool | np.bool_, "i": numbers.Integral, "u": numbers.Integral}


def plain(leaf: Any, expected: Type, form: Any = None) -> np.ndarray:
    """The leaf as an array of exactly the `expected` type.

    `form` is the generator where PRNG keys are expected, and "float0" where that is.
    """
    array = _array(leaf, expected, form)
    if array.shape != expected.shape:
        raise ArgumentError(
            f"has shape {array.shape}, but the function was compiled for {expected.shape}."
        )
    if array.dtype != expected.numpy:
        array = _narrowed(array, expected)
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, requirements=["C", "A"])


def _array(leaf: Any, expected: Type, form: Any) -> np.ndarray:
    if isinstance(leaf, np.ndarray):
        return np.zeros(leaf.shape, bool) if form == "float0" else leaf
    if isinstance(leaf, bool | int | float) and not isinstance(leaf, np.generic):
        return _number(leaf, expected)
    if form is not None and _is_typed_key(leaf):
        return _key_words(leaf, form)
    if _is_traced(leaf):
        raise ArgumentError(
            "is traced by jit, vmap, grad or another transformation, where no compiled program can "
            "run: call the function itself there, or what tilewright.jit makes of it."
        )
    if isinstance(leaf, np.generic) or hasattr(leaf, "__array__"):
        try:
            return np.asarray(leaf)
        except Exception as error:
            raise ArgumentError(f"cannot be read as an array: {error}") from error
    raise ArgumentError(
        f"is {_a(type(leaf).__name__)}, but the function was compiled for {expected}."
    )


def _number(leaf: bool | int | float, expected: Type) -> np.ndarray:
    """A Python number, of the compiled dtype unless that would lose what it is."""
    kind = expected.numpy.kind
    if isinstance(leaf, _NUMBERS.get(kind, numbers.Number)) and (
        kind == "b" or not isinstance(leaf, bool) or kind not in "iu"
    ):
        try:
            return np.asarray(leaf, expected.numpy)
        except OverflowError:
            raise ArgumentError(f"is {leaf}, which is no {expected.dtype}.") from None
    raise ArgumentError(
        f"is {_a(type(leaf).__name__)}, but the function was compiled for {expected.dtype}."
    )


def _narrowed(array: np.ndarray, expected: Type) -> np.ndarray:
    given = array.dtype.name
    other_byte_order = given == expected.dtype
    if other_byte_order or (_NARROWED.get(given) == expected.dtype and not _x64()):
        return array.astype(expected.numpy)
    raise ArgumentError(f"has dtype {given}, but the function was compiled for {expected.dtype}.")


def _x64() -> bool:
    jax = sys.modules.get("jax")
    return bool(jax and jax.config.jax_enable_x64)


def _is_traced(leaf: Any) -> bool:
    jax = sys.modules.get("jax")
    return bool(jax) and isinstance(leaf, jax.core.Tracer)


def _is_typed_key(leaf: Any) -> bool:
    jax = sys.modules.get("jax")
    return (
        bool(jax)
        and isinstance(leaf, jax.Array)
        and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    )


def _key_words(keys: Any, generator: Any) -> np.ndarray:
    """What `key_data` would copy, in longer than a small program runs (20 µs)."""
    import jax

    given = jax.random.key_impl(keys)
    if given != generator:
        raise ArgumentError(f"holds keys of {given}, but was compiled for keys of {generator}.")
    words = getattr(keys, "_base_array", None)
    return np.asarray(jax.random.key_data(keys) if words is None else words)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
