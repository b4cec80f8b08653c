"""Walks a jaxpr and appends graph nodes: what every rule works on.

A `Scope` is one graph in the making. In comes a jaxpr with the values of its arguments; out go the
values of its results. Calls inside it are inlined. A body of control flow is a scope of its own,
`child`; since bodies are closed, large constants that it meets become leading inputs of the body
and are asked of the parent in turn, up to the root, where they are hidden inputs of the graph.

PRNG keys are carried as their words: uint32[..., 2] for threefry's.
"""

from __future__ import annotations

import os
import site
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from tilewright.errors import UnsupportedError
from tilewright.graph.ir import Builder, Graph, Type, Value
from tilewright.trace import jax_internals as internals

SMALL = 16
"""Integers and bools up to this many, of functions of our own, are part of the code."""

DTYPES = frozenset(
    "float32 float64 bfloat16 float16 bool "
    "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
)

NOT_THE_USER = tuple(
    os.path.join(path, "")
    for path in {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        os.path.dirname(jax.__file__),
        *site.getsitepackages(),
        sysconfig.get_path("stdlib"),
    }
)

Results = Sequence[Value] | Value
Rule = Callable[..., Results]


class UntypedError(UnsupportedError):
    """A dtype that graphs have not; the scope that meets it says where."""


class Parameters(dict[str, Any]):
    """The parameters of one equation, which know of themselves whether they were read."""

    def __init__(self, params: dict[str, Any]):
        super().__init__(params)
        self.unread = dict.fromkeys(params)

    def __getitem__(self, name: str) -> Any:
        self.unread.pop(name, None)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.unread.pop(name, None)
        return super().get(name, default)


@dataclass
class Session:
    """What all scopes of one call of `trace` share."""

    rules: dict[str, Rule]
    ignored: Mapping[str, Collection[str]]
    inlined: dict[Any, internals.ClosedJaxpr] = field(default_factory=dict)
    data: dict[Any, Any] = field(default_factory=dict)
    inlining: int = 0
    """How many functions of our own, inside of each other, are being inlined."""

    def representative(self, array: Any) -> Any:
        """The first array met that is the same memory: it is read once, not twice.

        What data *hold* decides nothing, or new data would be another program.
        """
        if internals.is_key(jax.typeof(array)):
            return array
        memory = np.asarray(array).__array_interface__
        place = memory["data"][0], memory["strides"], memory["typestr"], array.shape
        return self.data.setdefault(place, array)


def type_of(aval: Any) -> Type:
    """The type of an abstract value; keys are their words, and a `float0` is false."""
    if internals.is_key(aval):
        return Type("uint32", (*aval.shape, *internals.key_shape(aval)))
    if internals.is_float0(aval):
        return Type("bool", aval.shape)
    name = np.dtype(aval.dtype).name if not hasattr(aval.dtype, "_impl") else str(aval.dtype)
    if name not in DTYPES:
        raise UntypedError(f"arrays of {name} are not supported")
    return Type(name, tuple(int(n) for n in aval.shape))


class Scope:
    """One graph in the making."""

    def __init__(self, session: Session, input_types: Iterable[Type], source: str = ""):
        self.session = session
        self.builder = Builder(input_types)
        self.builder.source = source
        self.hidden: dict[int, tuple[Any, Value]] = {}
        self._fixed: dict[Any, Value] = {}
        self._equation: internals.Equation | None = None

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self.builder.inputs

    # Values

    def op(self, op: str, *inputs: Value, **params: Any) -> Value:
        return self.builder.op(op, *inputs, **params)

    def constant(self, array: Any) -> Value:
        """What the function closes over: a node when it is a few integers, else a hidden input."""
        aval = jax.typeof(array)
        if internals.is_float0(aval):
            return self.full(False, type_of(aval))
        is_key = internals.is_key(aval)
        if not is_key and array.size <= SMALL and array.dtype.kind in "iub":
            return self.small(array)
        return self.hide(array)

    def hide(self, array: Any) -> Value:
        """The leading input that stands for data."""
        array = self.session.representative(array)
        if id(array) not in self.hidden:
            try:
                self.hidden[id(array)] = (array, Value(type_of(array)))
            except UntypedError as error:
                raise self.unsupported_data(array, str(error)) from None
        return self.hidden[id(array)][1]

    def small(self, array: Any, dtype: str | None = None) -> Value:
        """A `constant` node, once for equal constants."""
        array = np.asarray(array)
        if dtype is not None:
            array = array.astype(Type(dtype, ()).numpy)
        key = (array.tobytes(), array.dtype.name, array.shape)
        if key not in self._fixed:
            self._fixed[key] = self.builder.constant(array)
        return self._fixed[key]

    def full(self, number: Any, like: Type) -> Value:
        """A number, repeated over a shape."""
        return self.broadcast(self.small(np.asarray(number), like.dtype), like.shape)

    def broadcast(self, value: Value, shape: tuple[int, ...]) -> Value:
        """As elementwise operands come in jaxprs: equal shape, a scalar, or dimensions of one."""
        if value.shape == shape:
            return value
        key = (value, shape)
        if key not in self._fixed:
            kept = [i for i, n in enumerate(value.shape) if n == shape[i]] if value.shape else []
            if len(kept) < len(value.shape):
                value = self.op("reshape", value, shape=tuple(shape[i] for i in kept))
            self._fixed[key] = self.op("broadcast", value, shape=shape, dimensions=tuple(kept))
        return self._fixed[key]

    def reshape(self, value: Value, shape: Iterable[int]) -> Value:
        shape = tuple(int(n) for n in shape)
        return value if value.shape == shape else self.op("reshape", value, shape=shape)

    def convert(self, value: Value, dtype: str) -> Value:
        """As `lax.convert_element_type`: anything but zero is true."""
        if value.dtype == dtype:
            return value
        if dtype == "bool":
            return self.op("ne", value, self.full(0, value.type))
        return self.op("convert", value, dtype=dtype)

    # Equations

    def run(self, closed: internals.ClosedJaxpr, arguments: Sequence[Value]) -> tuple[Value, ...]:
        """Inline a jaxpr.

        JAX keeps the jaxprs of library functions, with the lines that first called them; so nodes
        from inside such a function get the line of the equation that calls it here.
        """
        jaxpr = closed.jaxpr
        caller = self.builder.source
        theirs = caller and internals.file_of(closed).startswith(NOT_THE_USER)
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
            self.builder.source = caller if theirs else user_line(equation) or caller
            results = self.apply(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        self.builder.source = caller
        return tuple(read(atom) for atom in jaxpr.outvars)

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
        structs = [jax.ShapeDtypeStruct(a.aval.shape, a.aval.dtype) for a in equation.invars]
        try:
            with internals.own_settings(equation):
                closed = jax.make_jaxpr(lambda *arrays: function(*arrays, **params))(*structs)
        except Exception as error:
            why = f"what it stands for cannot be traced ({type(error).__name__})"
            raise self.unsupported(equation, why) from error
        if any(inner.primitive is primitive for inner in internals.equations(closed)):
            raise self.unsupported(equation)
        return self.run(closed, operands)

    def inline(
        self, function: Callable, avals: Sequence[Any], operands: Sequence[Value], key: Any = None
    ) -> tuple[Value, ...]:
        """Trace a JAX function and inline it; by a hashable `key` the trace is used again."""
        structs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        if key is not None:
            context = self._equation.ctx if self._equation is not None else None
            key = (key, context, tuple((s.shape, s.dtype) for s in structs))
        closed = self.session.inlined.get(key) if key is not None else None
        if closed is None:
            with internals.own_settings(self._equation):
                closed = jax.make_jaxpr(function)(*structs)
            if key is not None:
                self.session.inlined[key] = closed
        self.session.inlining += 1
        try:
            return self.run(closed, operands)
        finally:
            self.session.inlining -= 1

    # Bodies

    def child(self, input_types: Iterable[Type]) -> Scope:
        return Scope(self.session, input_types, self.builder.source)

    def body(self, closed: internals.ClosedJaxpr, types: Iterable[Type]) -> tuple[Scope, Any]:
        """A child that has run a jaxpr on its own inputs, and the results."""
        child = self.child(types)
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

    def unsupported_data(self, array: Any, why: str) -> UnsupportedError:
        """The error for data that a function closes over."""
        return self._error(f"captured data of {jax.typeof(array).str_short()}", why)

    def _error(self, what: str, why: str) -> UnsupportedError:
        where = f" (at {self.builder.source})" if self.builder.source else ""
        reason = f": {why}" if why else ""
        return UnsupportedError(f"{what} is not supported{reason}{where}")


def user_line(equation: internals.Equation) -> str:
    """file:line of the innermost frame that is the user's own, or nothing."""
    for file, line in internals.frames(equation):
        if not file.startswith(NOT_THE_USER):
            return f"{file}:{line}"
    return ""


def _needed(jaxpr: internals.Jaxpr) -> list[internals.Equation]:
    """The equations whose results are used, in order."""
    live = {atom for atom in jaxpr.outvars if not isinstance(atom, internals.Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or not live.isdisjoint(equation.outvars):
            kept.append(equation)
            live.update(a for a in equation.invars if not isinstance(a, internals.Literal))
    return kept[::-1]
