"""Which carries of a loop come out as they went in, by the text of its body.

In: a body's jaxpr. Out: for each carry whether every turn gives it back. Such a carry is what it
was before the loop, however often that turns; XLA takes it out of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tilewright.trace import jax_internals as internals

CALLS = (
    "jit closed_call call custom_jvp_call custom_vjp_call remat2 composite compute_on "
    "xla_metadata_call"
).split()
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
    return [result is carry for result, carry in zip(_results(body), carries, strict=False)]


_KNOWN: WeakKeyDictionary[internals.Jaxpr, list[Any]] = WeakKeyDictionary()


def _results(jaxpr: internals.Jaxpr) -> list[Any]:
    """For each result the first variable or literal in this jaxpr that always has its value."""
    if jaxpr not in _KNOWN:
        origins: dict[Any, Any] = {}

        def origin(atom: Any) -> Any:
            return atom if isinstance(atom, internals.Literal) else origins.get(atom, atom)

        for equation in jaxpr.eqns:
            befores = _before(equation, [origin(atom) for atom in equation.invars])
            origins.update(
                (out, before)
                for out, before in zip(equation.outvars, befores, strict=False)
                if before is not None
            )
        _KNOWN[jaxpr] = [origin(atom) for atom in jaxpr.outvars]
    return _KNOWN[jaxpr]


def _before(equation: internals.Equation, operands: list[Any]) -> Sequence[Any]:
    """The operand that each result is equal to, or None."""
    name, params = equation.primitive.name, equation.params
    if name in SAME:
        return operands
    if name == "select_if_vmap":  # of equinox: where nothing is mapped, the first case
        return operands[1:2]
    if name == "select_n":
        return [_one(operands[1:])]
    if name in CALLS:
        return _through(callee(equation).jaxpr, operands)
    if name == "cond":
        cases = [_through(branch.jaxpr, operands[1:]) for branch in params["branches"]]
        return [_one(found) for found in zip(*cases, strict=True)]
    if name == "while":
        first = params["body_nconsts"]
        return _kept(params["body_jaxpr"].jaxpr, first, operands[params["cond_nconsts"] + first :])
    if name == "scan":
        first, count = params["num_consts"], params["num_carry"]
        return _kept(params["jaxpr"].jaxpr, first, operands[first : first + count])
    return ()


def _through(jaxpr: internals.Jaxpr, operands: list[Any]) -> list[Any]:
    """The operands that a call hands back, result by result; None for what it makes."""
    given = dict(zip(jaxpr.invars, operands, strict=True))
    results = _results(jaxpr)
    return [None if isinstance(r, internals.Literal) else given.get(r) for r in results]


def _kept(body: internals.Jaxpr, first: int, carries: list[Any]) -> list[Any]:
    """The carries with which a loop began, where no turn changes them."""
    same = unchanged(body, first, len(carries))
    return [carry if kept else None for carry, kept in zip(carries, same, strict=True)]


def _one(found: Sequence[Any]) -> Any:
    """What all are, or None."""
    return found[0] if all(one is found[0] for one in found) else None
