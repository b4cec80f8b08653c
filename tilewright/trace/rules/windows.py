"""Windows over any dimensions: sums and extremes, their gradients, and those of any function.

In: `reduce_window_*` and what JAX makes of their derivatives. Out: `window` and `window_scatter`
over (n, h, w, channels), two windowed dimensions at a time; what is neither of them goes element by
element through `decompose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from tilewright.graph.ir import Value
from tilewright.graph.law import identity
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose import windows
from tilewright.trace.rules.movement import integers
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule

LONG = 64
"""Elements of a last dimension from which on it is not transposed. Of 5,000 rows of 64, rolling
sums of 5 take 0.24 of the time so, rolling maxima of 20 the same; of 48, 0.46 and 1.49."""
_NAMES = "window_dimensions window_strides padding base_dilation window_dilation".split()


def reduce_window(kind: str) -> Rule:
    """A window over more than two dimensions is one over two of them, then over others."""

    def rule(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
        size, stride, pad, base, spacing = (equation.params[name] for name in _NAMES)
        size, stride, spacing = integers(size), integers(stride), integers(spacing)
        if any(d > 1 for d in base):
            filling = scope.small(identity(kind, operand.dtype))
            zeros = (0,) * len(base)
            holes = tuple(int(d) - 1 for d in base)
            operand = scope.op("pad", operand, filling, low=zeros, high=zeros, interior=holes)
        pads = [integers(row) for row in pad]
        for axes in _pairs_of(size, stride, pads):
            images = _Images(
                scope, operand.shape, axes, _is_along_time(operand.shape, axes, stride)
            )
            result = scope.op(
                "window", images.of(operand), kind=kind, size=images.pick(size, 1),
                stride=images.pick(stride, 1), pad=images.pick(pads, (0, 0)),
                dilation=images.pick(spacing, 1),
            )  # fmt: skip
            operand = images.back(result)
        return operand

    return rule


def select_and_scatter_add(
    scope: Scope, equation: internals.Equation, source: Value, operand: Value
) -> Value:
    """The gradient of a window's extreme."""
    params = equation.params
    size, stride = integers(params["window_dimensions"]), integers(params["window_strides"])
    pads = [integers(row) for row in params["padding"]]
    axes = list(_pairs_of(size, stride, pads)) or [()]
    if len(axes) > 1:
        raise scope.unsupported(equation, "over more than two dimensions")
    images = _Images(scope, operand.shape, axes[0])
    kind = _kind(scope, equation)
    result = scope.op(
        "window_scatter", images.of(operand), images.of(source), kind=kind,
        size=images.pick(size, 1), stride=images.pick(stride, 1), pad=images.pick(pads, (0, 0)),
    )  # fmt: skip
    return images.back(result)


def select_and_gather_add(
    scope: Scope, equation: internals.Equation, tangents: Value, operand: Value
) -> Value:
    options = {name: equation.params[name] for name in _NAMES}
    largest = _kind(scope, equation) == "max"
    function = partial(windows.select_and_gather_add, largest=largest, **options)
    avals = [atom.aval for atom in equation.invars]
    return scope.inline(function, avals, [tangents, operand])[0]


def reduce_window_by_function(
    scope: Scope, equation: internals.Equation, *operands: Value
) -> Sequence[Value]:
    """`lax.reduce_window` with a function of the user's."""
    params = equation.params
    options = {name: params[name] for name in _NAMES}
    if not prod(options["window_dimensions"]):
        raise scope.unsupported(equation, "with an empty window")
    closed = internals.close(params["jaxpr"], params["consts"])
    function = partial(windows.reduce_window, function=internals.as_function(closed), **options)
    return scope.inline(function, [atom.aval for atom in equation.invars], operands)


def _kind(scope: Scope, equation: internals.Equation) -> str:
    name = equation.params["select_prim"].name
    if name not in ("ge", "le"):
        raise scope.unsupported(equation, f"that selects by {name}")
    return "max" if name == "ge" else "min"


def _pairs_of(
    size: Sequence[int], stride: Sequence[int], pads: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Dimensions that windows do anything along, two by two."""
    rows = zip(size, stride, pads, strict=True)
    axes = [i for i, (n, s, pad) in enumerate(rows) if (n, s, *pad) != (1, 1, 0, 0)]
    return [tuple(axes[i : i + 2]) for i in range(0, len(axes), 2)]


def _is_along_time(shape: Sequence[int], axes: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether windows slide by one along a last dimension that is longer than vectors are: each of
    its rows is an image of one channel then, and stays where it is."""
    last = len(shape) - 1
    return tuple(axes) == (last,) and stride[last] == 1 and shape[last] >= LONG


class _Images:
    """An array of any shape as (n, h, w, channels), `axes` being (h, w), or h alone, or none.

    The last of the others is that of channels, but where there is to be `one_channel`.
    """

    def __init__(
        self, scope: Scope, shape: Sequence[int], axes: Sequence[int], one_channel: bool = False
    ):
        self.scope, self.axes = scope, tuple(axes)
        others = [i for i in range(len(shape)) if i not in axes]
        count = len(others) if one_channel else max(len(others) - 1, 0)
        self.order = (*others[:count], *axes, *others[count:])
        self.batch = tuple(shape[i] for i in others[:count])
        self.channels = tuple(shape[i] for i in others[count:])
        self.missing = 2 - len(axes)

    def of(self, value: Value) -> Value:
        turned = _transposed(self.scope, value, self.order)
        sizes = [value.shape[i] for i in self.axes]
        shape = (prod(self.batch), *sizes, *(1,) * self.missing, *(self.channels or (1,)))
        return self.scope.reshape(turned, shape)

    def back(self, image: Value) -> Value:
        sizes = image.shape[1 : 3 - self.missing]
        turned = self.scope.reshape(image, (*self.batch, *sizes, *self.channels))
        order = [self.order.index(i) for i in range(len(self.order))]
        return _transposed(self.scope, turned, order)

    def pick(self, values: Sequence, missing: object) -> tuple:
        """What the two dimensions have of something."""
        return (*(values[i] for i in self.axes), *(missing,) * self.missing)


def _transposed(scope: Scope, value: Value, order: Sequence[int]) -> Value:
    if tuple(order) == tuple(range(len(order))):
        return value
    return scope.op("transpose", value, permutation=tuple(order))


RULES: dict[str, Rule] = {
    **{f"reduce_window_{kind}": reduce_window(kind) for kind in ("sum", "max", "min")},
    "reduce_window": reduce_window_by_function,
    "select_and_scatter_add": select_and_scatter_add,
    "select_and_gather_add": select_and_gather_add,
}
