"""The types of JAX's abstract values, as graphs have them."""

from __future__ import annotations

from typing import Any

from tilewright.errors import UnsupportedError
from tilewright.graph.ir import Type
from tilewright.trace import jax_internals as internals

DTYPES = frozenset(
    "float32 float64 bfloat16 float16 bool "
    "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
)


class UntypedError(UnsupportedError):
    """A dtype that graphs have not; the scope that meets it says where."""


def type_of(aval: Any) -> Type:
    """The type of an abstract value; keys are their words, and a `float0` is false."""
    if internals.is_reference(aval):
        raise UntypedError("mutable arrays that outlive the program are not supported")
    if not hasattr(aval, "dtype"):  # a token, or of a type of hijax
        raise UntypedError("it is no array")
    if internals.is_key(aval):
        return Type("uint32", (*aval.shape, *internals.key_shape(aval)))
    if internals.is_float0(aval):
        return Type("bool", aval.shape)
    name = internals.dtype_name(aval)
    if name not in DTYPES:
        raise UntypedError(f"arrays of {name} are not supported")
    return Type(name, tuple(int(n) for n in aval.shape))
