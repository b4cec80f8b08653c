"""Everything we take from JAX beyond its public functions, in one place.

JAX gives no promise about what is named here, so `PINNED` says which series it was read from, and a
test tells when a name is gone or the series has moved on. What comes from `jax._src` are the
pure-JAX implementations that JAX itself lowers a primitive to: tracing them gives JAX's numbers;
and what `jax.extend.core` has, too, since that takes Pallas along, a tenth of our whole import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import api_util, dispatch
from jax._src import config as settings
from jax._src import core as jax_core
from jax._src.interpreters import mlir as mlir_internals
from jax._src.interpreters import partial_eval, pxla
from jax._src.lax import special
from jax._src.random import core as random_core
from jax._src.random import philox4x32, prng
from jax._src.state.types import AbstractRef
from jax.interpreters import ad, batching, mlir

PINNED = "0.10"
"""The JAX series whose primitives and parameters the table of rules was written for."""

Jaxpr = jax_core.Jaxpr
ClosedJaxpr = jax_core.ClosedJaxpr
Equation = jax_core.JaxprEqn
Literal = jax_core.Literal
Primitive = jax_core.Primitive

philox_rounds = philox4x32._philox4x32_lowering
igamma = special.igamma_impl
igammac = special.igammac_impl
igamma_grad_a = special.igamma_grad_a_impl
betainc = special.regularized_incomplete_beta_impl
bessel_i0e = special.bessel_i0e_impl
gamma_sample = random_core._gamma_impl


def is_tracing() -> bool:
    """Whether a transformation of JAX's is at work on the code that calls us."""
    return not jax_core.trace_state_clean()


def trace_context() -> Any:
    """All of JAX's settings that tracing depends on, hashable: part of the key of its own jit."""
    return settings.trace_context()


def is_key(aval: Any) -> bool:
    """Whether an abstract value is an array of PRNG keys."""
    return _is_of(aval.dtype, jax.dtypes.prng_key)


@cache
def _is_of(dtype: Any, kind: Any) -> bool:
    """JAX climbs the tree of types at each call."""
    return jax.dtypes.issubdtype(dtype, kind)


def is_reference(aval: Any) -> bool:
    """Whether an abstract value is a mutable array (`jax.new_ref`)."""
    return isinstance(aval, AbstractRef)


def is_extended(aval: Any) -> bool:
    """Whether an abstract value is of a dtype that NumPy has not: keys, and types of libraries."""
    return _is_of(aval.dtype, jax.dtypes.extended)


def dtype_name(aval: Any) -> str:
    """The name of a dtype, extended or NumPy's."""
    return str(aval.dtype) if is_extended(aval) else _spelled(aval.dtype)


@cache
def _spelled(dtype: Any) -> str:
    """NumPy puts a name together at each call."""
    return np.dtype(dtype).name


def is_float0(aval: Any) -> bool:
    """Whether an abstract value is a derivative by an integer, which holds nothing."""
    return aval.dtype == jax.dtypes.float0


def key_implementation(aval: Any) -> Any:
    """The functions of the generator behind an array of keys: seed, split, fold_in, random_bits."""
    return aval.dtype._impl


def key_shape(aval: Any) -> tuple[int, ...]:
    """The words that one element has: those of a key, or none."""
    return tuple(aval.dtype._impl.key_shape) if is_key(aval) else ()


def generator(aval: Any) -> Any:
    """What `wrap_key_data` calls the generator of an array of keys: its name, if JAX knows that."""
    implementation = aval.dtype._impl
    known = prng.prngs.get(implementation.name) == implementation
    return implementation.name if known else random_core.PRNGSpec(implementation)


def map_over_keys(rank: int, function: Callable) -> Callable:
    """`function` of one key, over all the leading dimensions of an array of keys."""
    return prng.iterated_vmap_unary(rank, function)


def map_over_keys_and_messages(
    keys: tuple[int, ...], messages: tuple[int, ...], function: Callable
) -> Callable:
    """`function` of one key and one integer, over broadcast leading dimensions."""
    return prng.iterated_vmap_binary_bcast(keys, messages, function)


def close(jaxpr: Any, constants: Sequence[Any] = ()) -> ClosedJaxpr:
    """A jaxpr as a closed one."""
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, constants)


def as_function(closed: ClosedJaxpr) -> Callable[..., Sequence[Any]]:
    """What a jaxpr computes, as a function of arrays."""
    return jax_core.jaxpr_as_fun(closed)


def equations(closed: ClosedJaxpr) -> Iterator[Equation]:
    """Those of a jaxpr, and of what it jits."""
    for equation in closed.jaxpr.eqns:
        yield equation
        if equation.primitive.name == "jit":
            yield from equations(equation.params["jaxpr"])


def without_unused_results(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A jaxpr in which equations do no more than is read of them.

    What `custom_vjp(optimize_remat=True)` made is then as jit would run it: where nobody reads what
    its forward function keeps for the derivative, it is the function itself that runs. And it shows
    of which eigenvalues no vectors are read.
    """
    names = {equation.primitive.name for equation in _within(closed.jaxpr)}
    if names.isdisjoint(("remat_opt", "eigh")):
        return closed
    used = [True] * len(closed.jaxpr.outvars)
    jaxpr, kept, _ = partial_eval.dce_jaxpr_consts(closed.jaxpr, used, instantiate=True)
    constants = [array for array, is_kept in zip(closed.consts, kept, strict=True) if is_kept]
    return ClosedJaxpr(jaxpr, constants)


def dropping(equation: Equation, live: Container[Any]) -> Equation:
    """The equation, whose results are dropped unless they are among those that are read."""
    results = [
        v if v in live or is_unread(v) else jax_core.DropVar(v.aval) for v in equation.outvars
    ]
    return equation if results == equation.outvars else equation.replace(outvars=results)


def is_unread(variable: Any) -> bool:
    """Whether a result of an equation is dropped."""
    return isinstance(variable, jax_core.DropVar)


def _within(jaxpr: Jaxpr) -> Iterator[Equation]:
    yield from jaxpr.eqns
    for inner in jax_core.subjaxprs(jaxpr):
        yield from _within(inner)


def without_references(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A jaxpr whose mutable arrays (`jax.new_ref`) have become values that are handed on."""
    if any(isinstance(effect, jax_core.InternalMutableArrayEffect) for effect in closed.effects):
        return pxla._discharge_internal_refs(closed)
    return closed


def is_high(aval: Any) -> bool:
    """Whether an abstract value is of a type of `jax.experimental.hijax`."""
    return bool(aval.is_high)


def without_high_types(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A jaxpr in which primitives of `jax.experimental.hijax` are what they are expanded to.

    None of its arguments, constants and results may be of a type of hijax.
    """
    return partial_eval.lower_jaxpr2(closed) if closed.jaxpr.is_high else closed


def high_equation(closed: ClosedJaxpr) -> Equation:
    """The first of a primitive of hijax that has none inside of it; else the very first."""
    high = (
        equation
        for equation in _within(closed.jaxpr)
        if equation.primitive.is_high(*(a.aval for a in equation.invars), **equation.params)
        and not any(inner.is_high for inner in jax_core.jaxprs_in_params(equation.params))
    )
    return next(high, closed.jaxpr.eqns[0])


def frames(equation: Equation) -> list[tuple[str, int]]:
    """(file, line) of every Python frame that led to an equation, innermost first."""
    traceback = equation.source_info.traceback
    if traceback is None:
        return []
    return [(frame.file_name, frame.line_num) for frame in traceback.frames]


def place_of(fn: Callable) -> str:
    """file:line of a function, or nothing: JAX knows of none for a function that is compiled."""
    said = api_util.fun_sourceinfo(fn) if callable(fn) else None
    return (said or "").rpartition(" at ")[2].replace("<unknown>", "")


def key_words(keys: Any) -> np.ndarray:
    """The uint32[..., 2] behind an array of keys."""
    return np.asarray(jax.random.key_data(keys))


def implementation(primitive: Primitive) -> Callable | None:
    """The Python function that stands for a primitive, as `function(*arrays, **params)`.

    What runs it without jit, or else what JAX lowers it to. None for neither.
    """
    function = primitive.impl
    inner = function.func if isinstance(function, partial) else function
    compiled = (dispatch.apply_primitive, jax_core.Primitive.impl)
    if getattr(inner, "__func__", inner) not in compiled:
        return function
    for table in (mlir_internals._platform_specific_lowerings["cpu"], mlir_internals._lowerings):
        rule: Any = getattr(table.get(primitive), "rule", None)
        if getattr(rule, "__qualname__", "").startswith("lower_fun."):
            return inspect.getclosurevars(rule).nonlocals["fun"]
    return None


@contextmanager
def own_settings(equation: Equation | None) -> Iterator[None]:
    """JAX's settings for functions of ours or JAX's own that stand for an equation.

    They are not the user's, who may forbid what these functions do, or change what they compute.
    64 bits are on where the equation has them; random bits are as where it was written.
    """
    atoms = [*equation.invars, *equation.outvars] if equation is not None else []
    wide = any(getattr(atom.aval.dtype, "itemsize", 0) == 8 for atom in atoms)
    with ExitStack() as stack:
        if equation is not None:
            stack.enter_context(equation.ctx.manager)
        for setting in (
            jax.enable_x64(wide),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            jax.default_matmul_precision(None),
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.disable_jit(False),
            settings.explicit_x64_dtypes(settings.ExplicitX64Mode.ALLOW),
        ):
            stack.enter_context(setting)
        yield


def new_primitive(name: str, meaning: Callable) -> Primitive:
    """An elementwise primitive of one operand that JAX runs as `meaning`."""
    primitive = Primitive(name)
    primitive.def_impl(meaning)
    primitive.def_abstract_eval(lambda x: x)
    batching.defvectorized(primitive)
    mlir.register_lowering(primitive, mlir.lower_fun(meaning, multiple_results=False))
    return primitive


def new_linear_primitive(name: str, meaning: Callable) -> Primitive:
    """A primitive of one operand and static parameters that is its own transpose.

    It works on an operand's last dimensions, and JAX runs it as `meaning(operand, **parameters)`.
    """
    primitive = Primitive(name)
    primitive.def_impl(meaning)
    primitive.def_abstract_eval(lambda x, **parameters: x)
    ad.deflinear2(primitive, lambda cotangent, x, **own: [primitive.bind(cotangent, **own)])

    def batched(operands: Any, dimensions: Any, **own: Any) -> Any:
        (operand,), (dimension,) = operands, dimensions
        return primitive.bind(jnp.moveaxis(operand, dimension, 0), **own), 0

    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(meaning, multiple_results=False))
    return primitive


def define_derivative(primitive: Primitive, rule: Callable) -> None:
    """`rule(tangent, result, operand)` is the tangent of the result."""
    ad.defjvp2(primitive, rule)
