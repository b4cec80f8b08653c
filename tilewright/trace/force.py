"""`force`: the gradient of a log density at low precision, its value at full.

A sampler that ends a trajectory with an accept step in full precision stays exact when the force
along it is not: leapfrog with any deterministic force is reversible and preserves volume, and only
the acceptance rate pays.

The gradient is traced at full precision and then interpreted with other arithmetic: operands of
contractions are rounded to bfloat16 and their products summed in float32, tanh may be approximate,
and all other elementwise work stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.errors import ArgumentError
from tilewright.trace import approximate
from tilewright.trace import jax_internals as internals

Array = jax.Array

_CALLS = frozenset(
    "jit pjit closed_call core_call custom_jvp_call custom_vjp_call remat remat2 checkpoint".split()
)


def force(logdensity: Callable, precision: str = "bfloat16") -> Callable:
    """The same function, whose gradient is computed with contractions in `precision`.

    `logdensity` takes pytrees and returns a scalar; what it captures may be differentiated too.
    Raises ArgumentError for a precision other than "bfloat16".
    """
    if precision != "bfloat16":
        raise ArgumentError(f'force knows the precision "bfloat16", not {precision!r}.')

    @wraps(logdensity)
    def forced(*args: Any, **options: Any) -> Array:
        def of_args(*args: Any) -> Array:
            return _scalar(logdensity(*args, **options))

        converted, captured = jax.closure_convert(of_args, *args)
        leaves, tree = jax.tree.flatten((args, tuple(captured)))
        return _with_low_gradient(converted, tree)(*leaves)

    return forced


def _scalar(value: Any) -> Array:
    value = jnp.asarray(value)
    if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ArgumentError(
            f"force needs a function that returns one floating-point number, "
            f"not {value.dtype.name} of shape {value.shape}."
        )
    return value


def _with_low_gradient(function: Callable, tree: Any) -> Callable:
    """`function(*args, *captured)` as a function of the leaves of (args, captured)."""

    def plain(*leaves: Any) -> Array:
        args, captured = jax.tree.unflatten(tree, leaves)
        return function(*args, *captured)

    def forward(*leaves: Any) -> tuple[Array, tuple[Any, ...]]:
        return plain(*leaves), leaves

    def backward(leaves: tuple[Any, ...], cotangent: Array) -> tuple[Any, ...]:
        active = [i for i, leaf in enumerate(leaves) if _is_float(leaf)]

        def of_active(*values: Array) -> Array:
            full = list(leaves)
            for i, value in zip(active, values, strict=True):
                full[i] = value
            return plain(*full)

        gradients = _at_low_precision(jax.grad(of_active, tuple(range(len(active)))))(
            *(leaves[i] for i in active)
        )
        found = dict(zip(active, gradients, strict=True))
        return tuple(
            found[i] * cotangent.astype(found[i].dtype) if i in found else None
            for i in range(len(leaves))
        )

    with_gradient = jax.custom_vjp(plain)
    with_gradient.defvjp(forward, backward)
    return with_gradient


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _at_low_precision(function: Callable) -> Callable:
    """A function of arrays that returns a tuple of arrays, interpreted with low precision."""

    def low(*arrays: Array) -> Sequence[Array]:
        closed = jax.make_jaxpr(function)(*arrays)
        return _interpret(closed, *arrays)

    return low


def _interpret(closed: internals.ClosedJaxpr, *arguments: Any) -> list[Any]:
    """Run a jaxpr, with `_RULES` in place of some primitives, inside its bodies too."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, internals.Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: internals.Equation, operands: list[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name in _RULES:
        return [_RULES[name](equation, *operands)]
    if name in _CALLS:
        body = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
        return _interpret(internals.close(body), *operands)
    params = {key: _lowered(value) for key, value in params.items()}
    results = equation.primitive.bind(*operands, **params)
    return results if equation.primitive.multiple_results else [results]


def _lowered(param: Any) -> Any:
    """Bodies of control flow among the parameters, interpreted too; anything else as it is."""
    if isinstance(param, internals.ClosedJaxpr):
        return jax.make_jaxpr(partial(_interpret, param))(*param.in_avals)
    if type(param) is tuple and any(isinstance(p, internals.ClosedJaxpr) for p in param):
        return tuple(_lowered(p) for p in param)
    return param


def _dot(equation: internals.Equation, left: Array, right: Array) -> Array:
    """Products of bfloat16 operands, summed in float32."""
    params, result = equation.params, equation.outvars[0].aval
    if {left.dtype, right.dtype} - {jnp.dtype("float32"), jnp.dtype("float64")}:
        return equation.primitive.bind(left, right, **params)
    product = lax.dot_general(
        left.astype(jnp.bfloat16),
        right.astype(jnp.bfloat16),
        params["dimension_numbers"],
        preferred_element_type=jnp.float32,
    )
    return product.astype(result.dtype)


_RULES: dict[str, Callable[..., Array]] = {
    "dot_general": _dot,
    "tanh": lambda equation, x: approximate.tanh(x),
}
