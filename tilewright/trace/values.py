"""The values of a graph in the making: its nodes, its constants, and the data that it asks for.

In: operands, numbers, arrays that a function closes over. Out: values of one graph. Always: equal
constants are one node, and so are equal broadcasts. Large constants are no part of the code: each
becomes an input, `hidden` by the array it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.graph.ir import Builder, Type, Value
from tilewright.graph.ops import ELEMENTWISE, OPERATIONS
from tilewright.trace import jax_internals as internals
from tilewright.trace.session import Session
from tilewright.trace.types import UntypedError, type_of

Number = np.ndarray | None
"""Of no dimensions; None where it is not known."""
SMALL = 16
"""Integers and bools up to this many, of functions of our own, are part of the code."""


class Values:
    """`source` is the user's line that nodes are for."""

    def __init__(self, session: Session, input_types: Iterable[Type], source: str = ""):
        self.session = session
        self.builder = Builder(input_types)
        self.builder.source = source
        self.hidden: dict[int, tuple[Any, Value]] = {}
        self._fixed: dict[Any, Value] = {}
        self._numbers: dict[Value, np.ndarray] = {}

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self.builder.inputs

    def op(self, op: str, *inputs: Value, **params: Any) -> Value:
        value = self.builder.op(op, *inputs, **params)
        numbers = [self._numbers.get(v) for v in inputs]
        if op in ELEMENTWISE and numbers and all(number is not None for number in numbers):
            with np.errstate(all="ignore"):
                self._numbers[value] = np.asarray(OPERATIONS[op].meaning(*numbers, **params))
        return value

    def know(self, values: Sequence[Value], numbers: Iterable[Number]) -> Sequence[Value]:
        """Remember what each element of the first of these values is, where that is known."""
        known = zip(values, numbers, strict=False)
        self._numbers.update({v: number for v, number in known if number is not None})
        return values

    def constant(self, array: Any) -> Value:
        """What the function closes over: a node when it is a few integers, else a hidden input."""
        aval = jax.typeof(array)
        if isinstance(array, jax.core.Tracer):
            why = "it is traced by jit, vmap, grad or another transformation; use tilewright.jit"
            raise self.unsupported_data(array, why)
        if not hasattr(aval, "dtype"):
            raise self.unsupported_data(array, "it is no array")
        if internals.is_float0(aval):
            return self.full(False, type_of(aval))
        if not internals.is_extended(aval) and aval.size <= SMALL and aval.dtype.kind in "iub":
            return self.small(array)
        return self.hide(array)

    def hide(self, array: Any) -> Value:
        """The leading input that stands for data."""
        try:
            kept = type_of(jax.typeof(array))
        except UntypedError as error:
            raise self.unsupported_data(array, str(error)) from None
        array = self.session.representative(array)
        return self.hidden.setdefault(id(array), (array, Value(kept)))[1]

    def small(self, array: Any, dtype: str | None = None) -> Value:
        """A `constant` node, once for equal constants."""
        array = np.asarray(array)
        if dtype is not None:
            array = array.astype(Type(dtype, ()).numpy)
        key = (array.tobytes(), array.dtype.name, array.shape)
        if key not in self._fixed:
            self._fixed[key] = self.builder.constant(array)
            if not array.shape:
                self._numbers[self._fixed[key]] = array
        return self._fixed[key]

    def number(self, value: Value) -> Number:
        """What each element of a value is, where the function's text says so: a number in it, or
        what becomes of such numbers element by element."""
        return self._numbers.get(value)

    def full(self, number: Any, like: Type) -> Value:
        """A number, repeated over a shape."""
        return self.broadcast(self.small(np.asarray(number), like.dtype), like.shape)

    def broadcast(self, value: Value, shape: tuple[int, ...]) -> Value:
        """As elementwise operands come in jaxprs: equal shape, a scalar, or dimensions of one."""
        if value.shape == shape:
            return value
        key = (value, shape)
        if key not in self._fixed:
            number = self.number(value)
            kept = [i for i, n in enumerate(value.shape) if n == shape[i]] if value.shape else []
            if len(kept) < len(value.shape):
                value = self.op("reshape", value, shape=tuple(shape[i] for i in kept))
            self._fixed[key] = self.op("broadcast", value, shape=shape, dimensions=tuple(kept))
            if number is not None:
                self._numbers[self._fixed[key]] = number
        return self._fixed[key]

    def reshape(self, value: Value, shape: Iterable[int]) -> Value:
        shape = tuple(int(n) for n in shape)
        return value if value.shape == shape else self.op("reshape", value, shape=shape)

    def convert(self, value: Value, dtype: str) -> Value:
        """As `lax.convert_element_type`: anything but zero is true."""
        if value.dtype == dtype:
            return value
        if dtype == "bool":
            return self.op("ne", value, self.full(0, value.type))
        return self.op("convert", value, dtype=dtype)

    def unsupported_data(self, array: Any, why: str) -> UnsupportedError:
        """The error for data that a function closes over."""
        return self._error(f"captured data of {jax.typeof(array).str_short()}", why)

    def _error(self, what: str, why: str) -> UnsupportedError:
        where = f" (at {self.builder.source})" if self.builder.source else ""
        reason = f": {why}" if why else ""
        return UnsupportedError(f"{what} is not supported{reason}{where}")
