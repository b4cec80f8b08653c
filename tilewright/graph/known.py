"""What a rewrite knows of a value's contents from the node that made it."""

from __future__ import annotations

import numpy as np

from tilewright.graph.ir import Value
from tilewright.graph.ops import OPERATIONS
from tilewright.graph.ops.movement import iota
from tilewright.graph.rewrite import Rebuilder

FOLDED_SIZE = 16
"""Constants up to this many elements are computed with when a graph is rewritten."""

_PASSES_ON = frozenset(
    "neg abs broadcast reshape transpose slice reverse copy dynamic_slice".split()
)

_NAN_OF_NAN = frozenset(
    "neg abs add sub mul div max min exp expm1 log log1p sqrt tanh logistic sin cos".split()
)
"""NaN if any operand is."""


def known_array(new: Rebuilder, value: Value) -> np.ndarray | None:
    """The contents of a small constant, whether stored, repeated or counted."""
    if value.type.size > FOLDED_SIZE:
        return None
    producer = new.producer(value)
    if producer is None:
        return None
    if producer.op == "constant":
        return np.asarray(producer.params["value"])
    if producer.op == "iota":
        return np.asarray(iota(**producer.params))
    number = repeated(new, value)
    return None if number is None else np.broadcast_to(number, value.shape)


def repeated(new: Rebuilder, value: Value) -> np.ndarray | None:
    """The number that fills a constant value, as a 0-d array; None if it is not known."""
    producer = new.producer(value)
    if producer is not None and producer.op == "broadcast":
        producer = new.producer(producer.inputs[0])
    if producer is None or producer.op != "constant":
        return None
    array = np.asarray(producer.params["value"])
    return array.reshape(()) if array.size == 1 else None


def is_repeated(new: Rebuilder, value: Value, number: float) -> bool:
    """Whether a value is filled with `number`, its sign included if it is zero."""
    found = repeated(new, value)
    if found is None or found != number:
        return False
    return number != 0 or found.dtype.kind in "iub" or np.signbit(found) == np.signbit(number)


def is_integer(value: Value) -> bool:
    return value.type.numpy.kind in "iu"


def is_flushed(new: Rebuilder, value: Value, depth: int = 8) -> bool:
    """Whether a float value holds no denormals, so that x * 1 is x: it comes out of arithmetic."""
    if value.dtype == "float16":
        return True
    producer = new.producer(value)
    if producer is None or depth == 0:
        return False
    if producer.op in _PASSES_ON:
        return is_flushed(new, producer.inputs[0], depth - 1)
    if producer.op == "select":
        return depth >= 4 and all(is_flushed(new, x, depth - 4) for x in producer.inputs[1:])
    if producer.op == "constant":
        array = np.abs(np.asarray(producer.params["value"]).astype(np.float64))
        tiny = 2.0**-1022 if value.dtype == "float64" else 2.0**-126
        return bool(np.all((array == 0) | ~(array < tiny)))
    if producer.op == "convert":
        return producer.inputs[0].dtype not in ("bfloat16", value.dtype)
    return producer.op in OPERATIONS and OPERATIONS[producer.op].flushes


def is_nan_with(new: Rebuilder, value: Value, x: Value, depth: int = 8) -> bool:
    """Whether an element of a value is known to be NaN where that of `x`, of its shape, is."""
    if value is x:
        return True
    producer = new.producer(value)
    if producer is None or depth == 0 or producer.op not in _NAN_OF_NAN:
        return False
    return any(is_nan_with(new, operand, x, depth - 1) for operand in producer.inputs)
