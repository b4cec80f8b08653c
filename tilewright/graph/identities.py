"""Elementwise operations that need not be done, or have a simpler form with the same bits.

`IDENTITIES[op]` are rules: given the graph in the making and a node, they return the value that
stands for its result, or None. NaN payloads are not bits that we keep.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tilewright.graph.floats import FLOATS
from tilewright.graph.ir import Node, Value
from tilewright.graph.known import is_flushed, is_integer, is_nan_with, is_repeated, repeated
from tilewright.graph.rewrite import Rebuilder
from tilewright.graph.triangles import mask_of_factor

Rule = Callable[[Rebuilder, Node], Value | None]


def _operand_of(new: Rebuilder, value: Value, op: str) -> Value | None:
    """x, if `value` is op(x)."""
    producer = new.producer(value)
    return producer.inputs[0] if producer is not None and producer.op == op else None


def _neutral(number: float, on_floats: bool = False, either: bool = True) -> Rule:
    """x op number is x; on floats only where x holds no denormals, which arithmetic would flush."""

    def rule(new: Rebuilder, node: Node) -> Value | None:
        a, b = node.inputs
        for x, other in ((a, b), (b, a)) if either else ((a, b),):
            if not is_repeated(new, other, number):
                continue
            if is_integer(x) or (on_floats and x.dtype != "bool" and is_flushed(new, x)):
                return x
        return None

    return rule


def _absorbing(number: float) -> Rule:
    """x op number is number, on integers."""

    def rule(new: Rebuilder, node: Node) -> Value | None:
        found = [v for v in node.inputs if is_integer(v) and is_repeated(new, v, number)]
        return found[0] if found else None

    return rule


def _same(new: Rebuilder, node: Node) -> Value | None:
    """x op x is x, on integers and bools."""
    a, b = node.inputs
    return a if a is b and (is_integer(a) or a.dtype == "bool") else None


def _logic(neutral: bool) -> Rule:
    """and with true, or with false; the other constant decides."""

    def rule(new: Rebuilder, node: Node) -> Value | None:
        a, b = node.inputs
        for x, other in ((a, b), (b, a)):
            number = repeated(new, other)
            if x.dtype == "bool" and number is not None:
                return x if bool(number) == neutral else other
        return None

    return rule


def _twice(op: str) -> Rule:
    """op(op(x)) is x."""
    return lambda new, node: _operand_of(new, node.inputs[0], op)


def _abs_of_sign(new: Rebuilder, node: Node) -> Value | None:
    """The sign of what abs is taken of does not matter."""
    inner = _operand_of(new, node.inputs[0], "neg")
    if inner is not None:
        return new.op("abs", inner)
    return node.inputs[0] if _operand_of(new, node.inputs[0], "abs") is not None else None


def _add_negative(new: Rebuilder, node: Node) -> Value | None:
    """x + (-y) is x - y."""
    a, b = node.inputs
    for x, other in ((a, b), (b, a)):
        y = _operand_of(new, other, "neg")
        if y is not None:
            return new.op("sub", x, y)
    return None


def _subtract_negative(new: Rebuilder, node: Node) -> Value | None:
    """x - (-y) is x + y."""
    y = _operand_of(new, node.inputs[1], "neg")
    return None if y is None else new.op("add", node.inputs[0], y)


def _times_minus_one(new: Rebuilder, node: Node) -> Value | None:
    a, b = node.inputs
    for x, other in ((a, b), (b, a)):
        if is_repeated(new, other, -1) and (is_integer(x) or is_flushed(new, x)):
            return new.op("neg", x)
    return None


def _bool_compared(truth: bool) -> Rule:
    """A bool compared with a constant is itself or its opposite."""

    def rule(new: Rebuilder, node: Node) -> Value | None:
        a, b = node.inputs
        for x, other in ((a, b), (b, a)):
            number = repeated(new, other)
            if x.dtype == "bool" and number is not None:
                return x if bool(number) == truth else new.op("not", x)
        return None

    return rule


def _select(new: Rebuilder, node: Node) -> Value | None:
    which, *cases = node.inputs
    number = repeated(new, which)
    if number is not None:
        return cases[int(np.clip(int(number), 0, len(cases) - 1))]
    if all(case is cases[0] for case in cases):
        return cases[0]
    if which.dtype != "bool" or len(cases) != 2:
        return None
    opposite = _operand_of(new, which, "not")
    if opposite is not None:
        return new.op("select", opposite, cases[1], cases[0])
    if cases[0].dtype == "bool":
        return _select_of_bools(new, which, cases)
    return _select_again(new, which, cases)


def _select_of_nan(new: Rebuilder, node: Node) -> Value | None:
    """Where x is no number, one value made of it is none, and so is the other: logaddexp asks."""
    which, *cases = node.inputs
    test = new.producer(which)
    if test is None or test.op != "ne" or test.inputs[0] is not test.inputs[1]:
        return None
    x = test.inputs[0]
    if x.dtype not in FLOATS or not all(is_nan_with(new, case, x) for case in cases):
        return None
    return cases[0]


def _select_of_bools(new: Rebuilder, which: Value, cases: list[Value]) -> Value | None:
    known = [repeated(new, case) for case in cases]
    if known[0] is None or known[1] is None:
        return None
    return which if known[1] else new.op("not", which)


def _select_again(new: Rebuilder, which: Value, cases: list[Value]) -> Value | None:
    """A case that asks the same question again has one answer."""
    sharper = list(cases)
    for i, case in enumerate(cases):
        producer = new.producer(case)
        if producer is not None and producer.op == "select" and producer.inputs[0] is which:
            sharper[i] = producer.inputs[1 + i]
    return None if sharper == cases else new.op("select", which, *sharper)


def _convert(new: Rebuilder, node: Node) -> Value | None:
    """To the same type; or there and back again through a type that holds everything."""
    (x,) = node.inputs
    if x.dtype == node.output.dtype:
        return x
    inner = _operand_of(new, x, "convert")
    if inner is None or not _holds(x.dtype, inner.dtype):
        return None
    if inner.dtype == node.output.dtype:
        return inner
    if "bool" not in (inner.dtype, node.output.dtype) and is_integer(inner) and is_integer(x):
        return new.op("convert", inner, dtype=node.output.dtype)
    return None


def _holds(wide: str, narrow: str) -> bool:
    """Whether conversion from `narrow` to `wide` keeps every value, denormals too."""
    if narrow == "float16":
        return wide in ("float32", "float64")
    if narrow == "bool":
        return wide != "bool"
    if narrow in ("float32", "float64", "bfloat16"):
        return False
    if wide in ("float32", "float64"):
        bits = int(narrow.removeprefix("u").removeprefix("int"))
        return bits <= (16 if wide == "float32" else 32)
    return wide not in ("bool", "bfloat16", "float16") and np.can_cast(narrow, wide, "safe")


def _bitcast(new: Rebuilder, node: Node) -> Value | None:
    (x,) = node.inputs
    if x.dtype == node.output.dtype:
        return x
    inner = _operand_of(new, x, "bitcast")
    return None if inner is None else new.op("bitcast", inner, dtype=node.output.dtype)


def _reduce_of_one(new: Rebuilder, node: Node) -> Value | None:
    """Reducing axes of one element leaves them out; +0 is added all the same, as a sum does."""
    (x,) = node.inputs
    if any(x.shape[axis] != 1 for axis in node.params["axes"]):
        return None
    adds = node.params["kind"] == "sum"
    if x.dtype in FLOATS and not adds and not is_flushed(new, x):
        return None
    left = new.op("reshape", x, shape=node.output.shape)
    if x.dtype not in FLOATS or not adds:
        return left
    zero = new.constant(np.zeros((), x.type.numpy))
    return new.op("add", left, new.op("broadcast", zero, shape=left.shape, dimensions=()))


_SHIFT: tuple[Rule, ...] = (_neutral(0, either=False),)

IDENTITIES: dict[str, tuple[Rule, ...]] = {
    "add": (_neutral(-0.0, on_floats=True), _add_negative),
    "sub": (_neutral(0.0, on_floats=True, either=False), _subtract_negative),
    "mul": (_neutral(1, on_floats=True), _absorbing(0), _times_minus_one),
    "div": (_neutral(1, on_floats=True, either=False),),
    "pow": (_neutral(1, on_floats=True, either=False),),
    "max": (_same,),
    "min": (_same,),
    "and": (_same, _logic(True), _absorbing(0), _neutral(-1)),
    "or": (_same, _logic(False), _neutral(0)),
    "xor": (_neutral(0),),
    "shift_left": _SHIFT,
    "shift_right_logical": _SHIFT,
    "shift_right_arithmetic": _SHIFT,
    "neg": (_twice("neg"),),
    "not": (_twice("not"),),
    "abs": (_abs_of_sign,),
    "eq": (_bool_compared(True),),
    "ne": (_bool_compared(False),),
    "select": (_select, _select_of_nan, mask_of_factor),
    "convert": (_convert,),
    "bitcast": (_bitcast,),
    "reduce": (_reduce_of_one,),
}
