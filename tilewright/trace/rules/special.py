"""Special functions written in simpler ones: JAX's own implementation where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax

from tilewright.graph.ir import Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose import special
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of


def _in_float32(scope: Scope, equation: internals.Equation, *operands: Value) -> list[Value]:
    """Operands of one shape, and no narrower than float32."""
    shape = type_of(equation.outvars[0].aval).shape
    values = [scope.broadcast(v, shape) for v in operands]
    narrow = values[0].dtype in ("bfloat16", "float16")
    return [scope.convert(v, "float32") for v in values] if narrow else values


def implementation(function: Callable) -> Rule:
    """A function of arrays of one shape and `dtype`."""

    def rule(
        scope: Scope, equation: internals.Equation, *operands: Value
    ) -> Sequence[Value] | Value:
        values = _in_float32(scope, equation, *operands)
        structs = [jax.ShapeDtypeStruct(v.shape, v.type.numpy) for v in values]
        dtype = values[0].type.numpy
        (result,) = scope.inline(
            lambda *arrays: function(*arrays, dtype=dtype), structs, values, key=function
        )
        return scope.convert(result, type_of(equation.outvars[0].aval).dtype)

    return rule


def _without_dtype(function: Callable) -> Callable:
    return lambda *arrays, dtype: function(*arrays)


RULES: dict[str, Rule] = {
    "igamma": implementation(internals.igamma),
    "igammac": implementation(internals.igammac),
    "igamma_grad_a": implementation(internals.igamma_grad_a),
    "regularized_incomplete_beta": implementation(internals.betainc),
    "bessel_i0e": implementation(_without_dtype(internals.bessel_i0e)),
    "bessel_i1e": implementation(_without_dtype(special.bessel_i1e)),
    "polygamma": implementation(_without_dtype(special.polygamma)),
    "zeta": implementation(_without_dtype(special.zeta)),
}
