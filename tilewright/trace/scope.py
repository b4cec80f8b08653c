"""Walks a jaxpr and appends graph nodes: what every rule works on.

A `Scope` is one graph in the making. In comes a jaxpr with the values of its arguments; out go the
values of its results. Calls inside it are inlined. A body of control flow is a scope of its own,
`child`; since bodies are closed, large constants that it meets become leading inputs of the body
and are asked of the parent in turn, up to the root, where they are hidden inputs of the graph.

PRNG keys are carried as their words: uint32[..., 2] for threefry's. What a rule writes values with
is in `values.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.graph.ir import Graph, Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.kept import kept
from tilewright.trace.lines import user_line
from tilewright.trace.session import Parameters, Session
from tilewright.trace.types import UntypedError, type_of
from tilewright.trace.values import Number, Values


class Scope(Values):
    """One graph in the making."""

    def __init__(self, session: Session, input_types: Iterable[Type], source: str = ""):
        super().__init__(session, input_types, source)
        self._equation: internals.Equation | None = None

    # Equations

    def run(self, closed: internals.ClosedJaxpr, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Inline a jaxpr.

        The jaxprs of library functions, which JAX keeps, have no lines of the user's: nodes from
        inside of them get the line of the equation that calls them here.
        """
        jaxpr = closed.jaxpr
        caller = self.builder.source
        values: dict[Any, Value] = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, array in zip(jaxpr.constvars, closed.consts, strict=True):
            values[variable] = array if isinstance(array, Value) else self.constant(array)

        def read(atom: Any) -> Value:
            if isinstance(atom, internals.Literal):
                if internals.is_float0(atom.aval):
                    return self.full(False, type_of(atom.aval))
                literal = np.asarray(atom.val, atom.aval.dtype)
                return self.constant(literal) if literal.shape else self.small(literal)
            return values[atom]

        for equation in _needed(jaxpr):
            self.builder.source = self._line(equation) or caller
            results = self.apply(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        self.builder.source = caller
        return tuple(read(atom) for atom in jaxpr.outvars)

    def _line(self, equation: internals.Equation) -> str:
        """The user's, who has none inside of kept traces: it takes long to look."""
        return "" if self.session.inside_kept else user_line(equation)

    def apply(self, equation: internals.Equation, operands: Sequence[Value]) -> Sequence[Value]:
        """Append what one equation means."""
        rule = self.session.rules.get(equation.primitive.name)
        if rule is None:
            return self.implement(equation, operands)
        parameters = Parameters(equation.params)
        outer, self._equation = self._equation, equation
        try:
            results = rule(self, equation.replace(params=parameters), *operands)
            results = (results,) if isinstance(results, Value) else results
            self._check(equation, parameters, results)
        except UntypedError as error:
            raise self.unsupported(equation, str(error)) from None
        finally:
            self._equation = outer
        return results

    def _check(
        self, equation: internals.Equation, parameters: Parameters, results: Sequence[Value]
    ) -> None:
        """That the row has accounted for every parameter, and gives what JAX says it gives."""
        ignored = self.session.ignored.get(equation.primitive.name, ())
        for name in parameters.unread:
            if name not in ignored:
                raise self.unsupported(equation, f"with {name} = {equation.params[name]!r}")
        for variable, value in zip(equation.outvars, results, strict=False):
            expected = type_of(variable.aval)
            if value.type != expected:
                raise self.unsupported(equation, f"with a result of {expected}")

    def implement(self, equation: internals.Equation, operands: Sequence[Value]) -> Sequence[Value]:
        """Inline the Python function that a primitive without a row stands for, if there is one."""
        primitive, params = equation.primitive, equation.params
        function = internals.implementation(primitive)
        if function is None:
            raise self.unsupported(equation)
        try:
            expected = [type_of(variable.aval) for variable in equation.outvars]
        except UntypedError as error:
            raise self.unsupported(equation, str(error)) from None
        structs = [jax.ShapeDtypeStruct(a.aval.shape, a.aval.dtype) for a in equation.invars]
        try:
            with internals.own_settings(equation):
                closed = jax.make_jaxpr(lambda *arrays: function(*arrays, **params))(*structs)
        except Exception as error:
            why = f"what it stands for cannot be traced ({type(error).__name__})"
            raise self.unsupported(equation, why) from error
        if any(inner.primitive is primitive for inner in internals.equations(closed)):
            raise self.unsupported(equation)
        results = self.run(closed, operands)
        if [value.type for value in results] != expected:
            raise self.unsupported(equation, "what it stands for has results of other types")
        return results

    def inline(
        self, function: Callable, avals: Sequence[Any], operands: Sequence[Value], key: Any = None
    ) -> tuple[Value, ...]:
        """Trace a JAX function and inline it.

        A hashable `key` says all that decides what the function does, beside types and JAX's
        settings. With one the trace is used again, by programs to come as well.
        """
        structs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        make = jax.make_jaxpr(function) if key is None else partial(kept, function, key)
        with internals.own_settings(self._equation):
            closed = make(*structs)
        self.session.inside_kept += key is not None
        try:
            return self.run(closed, operands)
        finally:
            self.session.inside_kept -= key is not None

    # Bodies

    def child(self, input_types: Iterable[Type], known: Iterable[Number] = ()) -> Scope:
        """`known`: numbers that its first inputs always are, where there are such."""
        child = Scope(self.session, input_types, self.builder.source)
        child.know(child.inputs, known)
        return child

    def body(
        self, closed: internals.ClosedJaxpr, types: Iterable[Type], known: Iterable[Number] = ()
    ) -> tuple[Scope, Any]:
        """A child that has run a jaxpr on its own inputs, and the results."""
        child = self.child(types, known)
        return child, child.run(closed, child.inputs)

    def close(self, bodies: Sequence[tuple[Scope, Any]]) -> tuple[list[Value], list[Graph]]:
        """The constants that bodies of one node need, as values here, and the closed bodies."""
        arrays = {key: array for child, _ in bodies for key, (array, _) in child.hidden.items()}
        graphs = [child.graph(results, arrays) for child, results in bodies]
        return [self.hide(array) for array in arrays.values()], graphs

    def graph(self, results: Iterable[Value], arrays: dict[int, Any]) -> Graph:
        """This scope as a graph whose leading inputs are these constants."""
        leading = tuple(
            self.hidden[key][1] if key in self.hidden else Value(type_of(array))
            for key, array in arrays.items()
        )
        return Graph(leading + self.inputs, tuple(self.builder.nodes), tuple(results))

    def unsupported(self, equation: internals.Equation, why: str = "") -> UnsupportedError:
        """The error that names a primitive, its shapes, and the user's line."""
        shapes = ", ".join(atom.aval.str_short() for atom in equation.invars) or "no operands"
        return self._error(f"{equation.primitive.name} of {shapes}", why)


def _needed(jaxpr: internals.Jaxpr) -> list[internals.Equation]:
    """The equations whose results are used, in order; they drop results that are not."""
    live = {atom for atom in jaxpr.outvars if not isinstance(atom, internals.Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or not live.isdisjoint(equation.outvars):
            kept.append(internals.dropping(equation, live))
            live.update(a for a in equation.invars if not isinstance(a, internals.Literal))
    return kept[::-1]
