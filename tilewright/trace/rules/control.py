"""Calls (inlined) and structured control flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tilewright.graph.ir import Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of
from tilewright.trace.unchanged import CALLS, callee, unchanged
from tilewright.trace.values import Number


def call(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """Anything that wraps a jaxpr without changing what it computes."""
    return scope.run(callee(equation), operands)


def linear_call(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    return scope.run(internals.close(equation.params["callee"]), operands)


def linear_solve(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """`custom_linear_solve`: its solver; the other functions serve differentiation only."""
    lengths, jaxprs = equation.params["const_lengths"], equation.params["jaxprs"]
    start = lengths.matvec + lengths.vecmat
    rest = start + lengths.solve + lengths.transpose_solve
    constants, targets = operands[start : start + lengths.solve], operands[rest:]
    return scope.run(jaxprs.solve, [*constants, *targets])


def scan(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """A scan that carries nothing is a map: its instances do not depend on each other."""
    params = equation.params
    constants, carry = params["num_consts"], params["num_carry"]
    reverse = bool(params["reverse"])  # the order of a map's instances is nobody's business
    known = _known(scope, operands, params["jaxpr"].jaxpr, constants, carry)
    bodies = [scope.body(params["jaxpr"], _types(params["jaxpr"]), known)]
    hidden, graphs = scope.close(bodies)
    length = int(params["length"])
    common: dict[str, Any] = dict(bodies=graphs, consts=len(hidden) + constants, length=length)
    if not carry:
        inputs = [*hidden, *operands]
        outputs = [Type(v.dtype, (length, *v.shape)) for v in bodies[0][1]]
        return scope.builder.add("map", inputs, outputs, **common)
    outputs = [v.type for v in bodies[0][1][:carry]]
    outputs += [Type(v.dtype, (length, *v.shape)) for v in bodies[0][1][carry:]]
    results = scope.builder.add(
        "scan",
        [*hidden, *operands],
        outputs,
        carry=carry,
        reverse=reverse,
        **common,
    )
    return scope.know(results, known[constants : constants + carry])


def _known(
    scope: Scope, operands: Sequence[Value], body: internals.Jaxpr, constants: int, carry: int
) -> list[Number]:
    """Numbers that a body's constants, and those carries that no turn changes, are known to be."""
    kept = [True] * constants + unchanged(body, constants, carry)
    return [scope.number(v) if same else None for v, same in zip(operands, kept, strict=False)]


def _types(closed: internals.ClosedJaxpr) -> list[Type]:
    return [type_of(aval) for aval in closed.in_avals]


def while_loop(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """Both bodies see the constants of both: first the condition's, then the step's."""
    params = equation.params
    first, second = params["cond_nconsts"], params["body_nconsts"]
    types = [v.type for v in operands]
    constants, carry = first + second, len(operands) - first - second
    known = [scope.number(v) for v in operands[:first]]
    known += _known(scope, operands[first:], params["body_jaxpr"].jaxpr, second, carry)
    test = scope.child(types, known)
    step = scope.child(types, known)

    def condition(inside: Scope, values: Sequence[Value]) -> Value:
        arguments = [*inside.inputs[:first], *values]
        return inside.run(params["cond_jaxpr"], arguments)[0]

    going_on = condition(test, test.inputs[constants:])
    results = step.run(params["body_jaxpr"], step.inputs[first:])
    if going_on.shape:  # a vmapped loop: it runs until all are done, and those done stand still
        going_on = _any(test, going_on)
        before = step.inputs[constants:]
        results = _advance(step, condition(step, before), before, results)
    hidden, graphs = scope.close([(test, [going_on]), (step, results)])
    results = scope.builder.add(
        "loop",
        [*hidden, *operands],
        types[len(types) - carry :],
        bodies=graphs,
        consts=len(hidden) + constants,
    )
    return scope.know(results, known[constants:])


def _any(scope: Scope, flags: Value) -> Value:
    return scope.op("reduce", flags, kind="or", axes=tuple(range(len(flags.shape))))


def _advance(
    scope: Scope, going_on: Value, before: Sequence[Value], after: Sequence[Value]
) -> list[Value]:
    """Where the leading dimensions' flag is set, the new values, else the old ones."""
    results = []
    for old, new in zip(before, after, strict=True):
        leading = tuple(range(len(going_on.shape)))
        flags = going_on
        if flags.shape != new.shape:
            flags = scope.op("broadcast", flags, shape=new.shape, dimensions=leading)
        results.append(scope.op("select", flags, old, new))
    return results


def cond(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    index, *rest = operands
    types = [v.type for v in rest]
    known = [scope.number(v) for v in rest]
    bodies = [scope.body(branch, types, known) for branch in equation.params["branches"]]
    hidden, graphs = scope.close(bodies)
    index = scope.convert(index, "int32")
    outputs = [v.type for v in bodies[0][1]]
    return scope.builder.add("branch", [index, *hidden, *rest], outputs, bodies=graphs)


def platform_index(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
    """Which platform's version of a function to take: the CPU's, else the default."""
    platforms = equation.params["platforms"]
    named = [i for i, names in enumerate(platforms) if names is not None and "cpu" in names]
    default = [i for i, names in enumerate(platforms) if names is None]
    if not named + default:
        raise scope.unsupported(equation, "no version for the CPU")
    return scope.small(named[0] if named else default[0], "int32")


def callback(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """Refused; the error checks of equinox and what stands on it can be switched off."""
    why = "compiled code cannot call Python"
    function = getattr(equation.params["callback"], "callback_func", None)
    if getattr(function, "__module__", "") == "equinox._errors":
        why += (
            "; this is an error check of equinox's, which throw=False leaves out of a solver, and "
            "EQX_ON_ERROR=nan (NaN instead of an error) or off, in the environment, out of all"
        )
    raise scope.unsupported(equation, why)


def say_and_drop(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """Debug prints do not change results: they are left out, with a warning."""
    import warnings

    where = scope.builder.source or "unknown line"
    warnings.warn(f"{equation.primitive.name} is left out of compiled code ({where})", stacklevel=2)
    return ()


RULES: dict[str, Rule] = {
    **dict.fromkeys(CALLS, call),
    "linear_call": linear_call,
    "custom_linear_solve": linear_solve,
    "scan": scan,
    "while": while_loop,
    "cond": cond,
    "platform_index": platform_index,
    "debug_callback": say_and_drop,
    "debug_print": say_and_drop,
    "pure_callback": callback,
    "io_callback": callback,
}
