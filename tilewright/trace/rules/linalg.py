"""Linear algebra: the functions of `decompose`, over the leading dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax

from tilewright.graph.ir import Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose.cholesky import cholesky
from tilewright.trace.decompose.eigh import eigh
from tilewright.trace.decompose.lu import lu, permutation_of
from tilewright.trace.decompose.qr import geqrf, householder_product, qr
from tilewright.trace.decompose.svd import singular_values, svd
from tilewright.trace.decompose.triangular import triangular_solve
from tilewright.trace.decompose.tridiagonal import tridiagonal_solve
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of

ITERATED, APART = (eigh, singular_values, svd), 32
"""Matrices of more rows wait for no other's iteration: each is done whole, where it stays near."""


def _inline(
    scope: Scope,
    equation: internals.Equation,
    operands: Sequence[Value],
    function: Callable,
    rank: int,
    **options: object,
) -> Sequence[Value]:
    """Trace `function`, of operands of this rank, over as many leading dimensions as there are."""
    results = [type_of(variable.aval) for variable in equation.outvars]
    if operands[0].type.size == 0 or not any(result.size for result in results):
        return [_of_nothing(scope, result) for result in results]
    avals = [atom.aval for atom in equation.invars]
    return _over_batch(scope, avals, operands, function, rank, options)


def _over_batch(
    scope: Scope,
    avals: Sequence[Any],
    operands: Sequence[Value],
    function: Callable,
    rank: int,
    options: Mapping[str, object],
) -> Sequence[Value]:
    mapped = partial(function, **options)
    iterated = function in ITERATED and min(avals[0].shape[-2:]) > APART
    for _ in range(len(avals[0].shape) - rank):
        mapped = partial(jax.lax.map, mapped) if iterated else jax.vmap(mapped)
    key = (function, tuple(sorted(options.items())))
    return scope.inline(mapped, avals, operands, key=key)


def _of_nothing(scope: Scope, result: Type) -> Value:
    """What a factorisation of an empty matrix gives: what is not empty too is an identity.

    Orthogonal factors (all of Q, U or V'), and the permutation of rows.
    """
    rank = len(result.shape)
    if not result.size:
        return scope.full(0, result)
    if result.dtype == "int32":
        return scope.op("iota", dimension=rank - 1, shape=result.shape, dtype="int32")
    places = [
        scope.op("iota", dimension=axis, shape=result.shape, dtype="int32")
        for axis in (rank - 2, rank - 1)
    ]
    return scope.convert(scope.op("eq", *places), result.dtype)


def _plain(function: Callable, *names: str, rank: int = 2) -> Rule:
    """A primitive whose named parameters are the function's own."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
        options = {name: equation.params[name] for name in names}
        return _inline(scope, equation, operands, function, rank, **options)

    return rule


BLOCK = 1024
"""Matrices of so many rows are factored by one vertex; larger ones in blocks, by products."""


def _cholesky(scope: Scope, equation: internals.Equation, matrix: Value) -> Sequence[Value] | Value:
    if matrix.shape[-1] <= BLOCK:
        return scope.op("cholesky", matrix)
    return _inline(scope, equation, [matrix], cholesky, 2)


def _triangular_solve(
    scope: Scope, equation: internals.Equation, matrix: Value, target: Value
) -> Value:
    """Always a matrix on the left, as it is: X A = B is A' X' = B'."""
    params = equation.params
    lower, left = params["lower"], params["left_side"]
    if not left:
        target = _transposed(scope, target)
    if params["transpose_a"] == left:
        matrix, lower = _transposed(scope, matrix), not lower
    options = dict(lower=lower, unit=params["unit_diagonal"])
    if matrix.shape[-1] <= BLOCK:
        solution = scope.op("triangular_solve", matrix, target, **options)
    else:
        avals = [jax.ShapeDtypeStruct(v.shape, v.type.numpy) for v in (matrix, target)]
        (solution,) = _over_batch(scope, avals, [matrix, target], triangular_solve, 2, options)
    return solution if left else _transposed(scope, solution)


def _lu(scope: Scope, equation: internals.Equation, matrix: Value) -> Sequence[Value]:
    *batch, rows, columns = matrix.shape
    if min(rows, columns) > BLOCK:
        return _inline(scope, equation, [matrix], lu, 2)
    types = [matrix.type, *(Type("int32", (*batch, n)) for n in (min(rows, columns), rows))]
    if not matrix.type.size:
        return [_of_nothing(scope, kind) for kind in types]
    return scope.builder.add("lu", [matrix], types)


def _transposed(scope: Scope, matrix: Value) -> Value:
    rank = len(matrix.shape)
    return scope.op("transpose", matrix, permutation=(*range(rank - 2), rank - 1, rank - 2))


def _qr(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    if equation.params.get("pivoting"):
        raise scope.unsupported(equation, "with pivoting")
    full = equation.params["full_matrices"]
    return _inline(scope, equation, operands, qr, 2, full_matrices=full)


def _eigh(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    params = equation.params
    options = dict(
        lower=params["lower"],
        sort=params["sort_eigenvalues"],
        subset=params.get("subset_by_index"),
        vectors_read=not internals.is_unread(equation.outvars[0]),
    )
    return _inline(scope, equation, operands, eigh, 2, **options)


def _svd(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    params = equation.params
    if params.get("subset_by_index") is not None:
        raise scope.unsupported(equation, "a part of the singular values")
    full = params["full_matrices"]
    if not params["compute_uv"]:
        return _inline(scope, equation, operands, singular_values, 2)
    return _inline(scope, equation, operands, svd, 2, full_matrices=full)


def _permutation(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    size = equation.params["permutation_size"]
    return _inline(scope, equation, operands, permutation_of, 1, size=size)


def _symmetric_product(scope: Scope, equation: internals.Equation, a: Value, c: Value) -> Value:
    """alpha a a' + beta c."""
    rank = len(a.shape)
    batch = tuple(range(rank - 2))
    contract = ((rank - 1,), (rank - 1,))
    product = scope.op("dot", a, a, contract=contract, batch=(batch, batch), dtype=a.dtype)
    result = type_of(equation.outvars[0].aval)
    alpha, beta = (scope.full(equation.params[name], result) for name in ("alpha", "beta"))
    return scope.op("add", scope.op("mul", alpha, product), scope.op("mul", beta, c))


def _tridiagonal(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    if equation.params["perturb_singular"]:
        raise scope.unsupported(equation, "with perturb_singular")
    return _inline(scope, equation, operands, tridiagonal_solve, 1)


RULES: dict[str, Rule] = {
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "lu": _lu,
    "lu_pivots_to_permutation": _permutation,
    "geqrf": _plain(geqrf),
    "householder_product": _plain(householder_product),
    "qr": _qr,
    "eigh": _eigh,
    "svd": _svd,
    "tridiagonal_solve": _tridiagonal,
    "symmetric_product": _symmetric_product,
}
