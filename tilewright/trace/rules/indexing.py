"""Slices, gathers and scatters whose positions are data. Out-of-bounds indices do as in JAX."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tilewright.graph.ir import Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose import combine
from tilewright.trace.rules.movement import integers, words
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of

_MODES = {"CLIP": "clip", "FILL_OR_DROP": "drop", "PROMISE_IN_BOUNDS": "promise"}


def dynamic_slice(
    scope: Scope, equation: internals.Equation, operand: Value, *starts: Value
) -> Value:
    extra = words(equation)
    sizes = integers(equation.params["slice_sizes"]) + extra
    return scope.op("dynamic_slice", operand, *starts, *_zeros(scope, starts, extra), sizes=sizes)


def dynamic_update_slice(
    scope: Scope, equation: internals.Equation, operand: Value, update: Value, *starts: Value
) -> Value:
    starts += _zeros(scope, starts, words(equation))
    return scope.op("dynamic_update_slice", operand, update, *starts)


def _zeros(scope: Scope, starts: tuple[Value, ...], extra: tuple[int, ...]) -> tuple[Value, ...]:
    """Where a slice of keys starts within the words of a key."""
    dtype = starts[0].dtype if starts else "int32"
    return tuple(scope.small(0, dtype) for _ in extra)


def _mode(scope: Scope, equation: internals.Equation) -> str:
    name = equation.params["mode"].name
    if name not in _MODES:
        raise scope.unsupported(equation, f"with mode {name}")
    return _MODES[name]


def gather(scope: Scope, equation: internals.Equation, operand: Value, indices: Value) -> Value:
    numbers = equation.params["dimension_numbers"]
    extra = words(equation)
    result = type_of(equation.outvars[0].aval)
    offset = integers(numbers.offset_dims)
    mode, fill = _mode(scope, equation), equation.params["fill_value"]
    params: dict[str, Any] = dict(
        offset_dims=offset + tuple(len(result.shape) - 1 for _ in extra),
        collapsed_slice_dims=integers(numbers.collapsed_slice_dims),
        start_index_map=integers(numbers.start_index_map),
        operand_batching_dims=integers(numbers.operand_batching_dims),
        start_indices_batching_dims=integers(numbers.start_indices_batching_dims),
        slice_sizes=integers(equation.params["slice_sizes"]) + extra,
        mode=mode,
    )
    if mode == "drop":
        params["fill"] = np.asarray(fill).item()  # JAX has put in what it is where nobody said
    return scope.builder.add("gather", (operand, indices), (result,), **params)[0]


def scatter(kind: str) -> Rule:
    """A scatter that combines what is there with what comes by `kind`."""

    def rule(
        scope: Scope,
        equation: internals.Equation,
        operand: Value,
        indices: Value,
        updates: Value,
    ) -> Value:
        if kind == "set" and not _sets(equation):
            return _scatter_by_function(scope, equation, operand, indices, updates)
        how = kind
        if kind == "sub":
            how, updates = "add", scope.op("neg", updates)
        params = _scatter_params(scope, equation, len(updates.shape))
        return scope.op("scatter", operand, indices, updates, kind=how, **params)

    return rule


def _scatter_by_function(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
    """With a function of the user's, as `.at[].apply` has."""
    if words(equation):
        raise scope.unsupported(equation, "of PRNG keys with a function of one's own")
    jaxpr = internals.close(equation.params["update_jaxpr"], equation.params["update_consts"])
    function = partial(
        combine.scatter,
        function=internals.as_function(jaxpr),
        numbers=equation.params["dimension_numbers"],
        mode=_mode(scope, equation),
    )
    return scope.inline(function, [atom.aval for atom in equation.invars], operands)[0]


def _scatter_params(scope: Scope, equation: internals.Equation, rank: int) -> dict[str, Any]:
    numbers = equation.params["dimension_numbers"]
    window = integers(numbers.update_window_dims) + tuple(rank - 1 for _ in words(equation))
    return dict(
        update_window_dims=window,
        inserted_window_dims=integers(numbers.inserted_window_dims),
        scatter_dims_to_operand_dims=integers(numbers.scatter_dims_to_operand_dims),
        operand_batching_dims=integers(numbers.operand_batching_dims),
        scatter_indices_batching_dims=integers(numbers.scatter_indices_batching_dims),
        mode=_mode(scope, equation),
    )


def _sets(equation: internals.Equation) -> bool:
    """Whether a plain `scatter` writes its updates as they are (`.at[].apply` does not)."""
    jaxpr = equation.params["update_jaxpr"]
    return jaxpr is None or (not jaxpr.eqns and jaxpr.outvars[0] is jaxpr.invars[1])


RULES: dict[str, Rule] = {
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "gather": gather,
    "scatter": scatter("set"),
    **{f"scatter-{kind}": scatter(kind) for kind in ("add", "sub", "mul", "min", "max")},
}
