"""Which carries of a loop come out as they went in, by the text of its body.

In: a body's jaxpr. Out: for each carry whether every turn gives it back. Such a carry is what it
was before the loop, however often that turns; XLA takes it out of the loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tilewright.trace import jax_internals as internals

CALLS = "jit closed_call call custom_jvp_call custom_vjp_call remat2 composite".split()
"""Anything that wraps a jaxpr without changing what it computes."""
SAME = ("copy", "copy_p", "optimization_barrier", "nondifferentiable_backward")
"""Each result is the operand in its place."""


def callee(equation: internals.Equation) -> internals.ClosedJaxpr:
    """What one of `CALLS` wraps."""
    params = equation.params
    name = next(n for n in ("jaxpr", "call_jaxpr", "fun_jaxpr", "fwd_jaxpr") if n in params)
    return internals.close(params[name])


def unchanged(body: internals.Jaxpr, first: int, count: int) -> list[bool]:
    """Of the `count` carries, which are the inputs from `first` on and lead the results."""
    carries = body.invars[first : first + count]
    return [_origin(body, out) is carry for out, carry in zip(body.outvars, carries, strict=False)]


def _origin(jaxpr: internals.Jaxpr, atom: Any) -> Any:
    """The first variable or literal in this jaxpr that always has this value."""
    makers = {var: (eqn, i) for eqn in jaxpr.eqns for i, var in enumerate(eqn.outvars)}
    while not isinstance(atom, internals.Literal) and atom in makers:
        before = _before(jaxpr, *makers[atom])
        if before is None:
            break
        atom = before
    return atom


def _before(jaxpr: internals.Jaxpr, equation: internals.Equation, place: int) -> Any:
    """The operand that a result is equal to, or None."""
    name, params, operands = equation.primitive.name, equation.params, equation.invars
    if name in SAME:
        return operands[place]
    if name == "select_if_vmap":  # of equinox: where nothing is mapped, the first case
        return operands[1]
    if name in CALLS:
        return _through(callee(equation).jaxpr, operands, place)
    if name == "cond":
        return _one(_through(b.jaxpr, operands[1:], place) for b in params["branches"])
    if name == "select_n":
        return _one(_origin(jaxpr, case) for case in operands[1:])
    if name == "while":
        first = params["body_nconsts"]
        start = params["cond_nconsts"] + first
        return _kept(params["body_jaxpr"].jaxpr, first, operands[start:], place)
    if name == "scan":
        first, count = params["num_consts"], params["num_carry"]
        carries = operands[first : first + count]
        return _kept(params["jaxpr"].jaxpr, first, carries, place) if place < count else None
    return None


def _through(jaxpr: internals.Jaxpr, operands: list[Any], place: int) -> Any:
    """The operand of a call that it hands back in that place, or None."""
    origin = _origin(jaxpr, jaxpr.outvars[place])
    return next((o for v, o in zip(jaxpr.invars, operands, strict=True) if v is origin), None)


def _kept(body: internals.Jaxpr, first: int, carries: list[Any], place: int) -> Any:
    """The carry with which a loop began, if no turn changes it."""
    return carries[place] if unchanged(body, first, len(carries))[place] else None


def _one(found: Iterable[Any]) -> Any:
    """What all are, or None."""
    first, *rest = found
    return first if all(one is first for one in rest) else None
