"""`dot` to codelets: operands as (batch, m, k) and (batch, k, n), or the latter as (batch, k)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.contract.words import lies_in_words
from tilewright.codelets.expression import Expression
from tilewright.graph.by_law import leaf_of
from tilewright.graph.ir import Node, Type
from tilewright.graph.law import dot_order
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.ir import View
from tilewright.plan.scope import Scope

Axes = tuple[tuple[int, ...], tuple[int, ...]]
"""Dimensions of the left and of the right operand."""

WORTH_PACKING = 4
"""Operands read at least so many times are brought to the layout that the codelet is fast on."""


def lower_contraction(scope: Scope, node: Node) -> None:
    """One vertex, and before it the copies that its layout asks for."""
    lhs, rhs = (scope.view(v) for v in node.inputs)
    contract, batch = node.params["contract"], node.params["batch"]
    target = scope.target(node.output)
    if dot_order(len(lhs.shape), len(rhs.shape), contract, batch) == "lanes":
        left, right = _vector_sides(scope, lhs, rhs, contract, batch)
        out = _shaped(scope, target, left.shape[:-1])
        codelet = ContractVector(operand(left), operand(right), operand(out), leaf=leaf_of(node))
    else:
        left, right = _sides(scope, node)
        out = _shaped(scope, target, (*left.shape[:-1], right.shape[-1]))
        codelet = ContractOuter(
            operand(left), operand(right), operand(out), leaf=leaf_of(node),
            paired=bool(node.params.get("pairs")),
        )  # fmt: skip
    scope.call(codelet, [left, right], [out])
    if out.buffer is not target.buffer:
        shaped = views.reshape(out, target.shape)
        assert shaped is not None
        scope.copy(shaped, target)


def lower_with_epilogue(
    scope: Scope, node: Node, expression: Expression, beside: Sequence[View], outs: Sequence[View]
) -> bool:
    """A product whose sums go through an expression into `outs`; False where strides forbid it."""
    lhs, rhs = (scope.view(v) for v in node.inputs)
    contract, batch = node.params["contract"], node.params["batch"]
    shape = _matrix_shape(lhs, rhs, contract, batch)
    sides = [side for v in (*beside, *outs) if (side := views.reshape(v, shape))]
    if len(sides) < len(beside) + len(outs):
        return False
    read, written = sides[: len(beside)], sides[len(beside) :]
    left, right = _sides(scope, node)
    out, *more = map(operand, written)
    codelet = ContractOuter(
        operand(left), operand(right), out, expression, tuple(map(operand, read)), tuple(more),
        leaf=leaf_of(node), paired=bool(node.params.get("pairs")),
    )  # fmt: skip
    if codelet.is_short:
        scope.call(codelet, [left, right, *read], written)
    return codelet.is_short


def _sides(scope: Scope, node: Node) -> list[View]:
    """(*batch, m, k) and (*batch, k, n), as the codelet can read them."""
    lhs, rhs = (scope.view(v) for v in node.inputs)
    left, right = _matrix_sides(scope, lhs, rhs, node.params["contract"], node.params["batch"])
    if not node.params.get("pairs"):
        return [left, right]
    return [
        scope.dense(left) if not _has_words(left, 0, 1) else left,
        scope.dense(right) if not _has_words(right, 1, 0) else right,
    ]


def _has_words(view: View, along: int, terms: int) -> bool:
    """Whether lines run along rows (columns), or along terms and begin with words."""
    step, k_step = view.strides[along], view.strides[terms]
    if step == 1 and k_step != 1:
        return True
    return view.offset % 2 == 0 and lies_in_words(step, k_step, view.shape[along])


def _matrix_shape(lhs: View, rhs: View, contract: Axes, batch: Axes) -> tuple[int, ...]:
    """(*batch, m, n)."""
    m, n = (
        prod(n for i, n in enumerate(view.shape) if i not in (*contracted, *batched))
        for view, contracted, batched in zip((lhs, rhs), contract, batch, strict=True)
    )
    return (*(lhs.shape[i] for i in batch[0]), m, n)


def _shaped(scope: Scope, target: View, shape: tuple[int, ...]) -> View:
    """The target as the codelet writes it, or a place beside it."""
    return views.reshape(target, shape) or scope.new(Type(target.dtype, shape))


def _vector_sides(scope: Scope, lhs: View, rhs: View, contract: Axes, batch: Axes) -> list[View]:
    """(*batch, m, k) and (*batch, k); the operand that has free axes comes first."""
    if len(lhs.shape) == len(contract[0]) + len(batch[0]):
        lhs, rhs = rhs, lhs
        contract, batch = (contract[1], contract[0]), (batch[1], batch[0])
    matrix = _matrix(scope, lhs, batch[0], contract[0], contract_last=True)
    vector = _matrix(scope, rhs, batch[1], contract[1], contract_last=True)
    return [matrix, views.squeeze(vector, len(vector.shape) - 2)]


def _matrix_sides(scope: Scope, lhs: View, rhs: View, contract: Axes, batch: Axes) -> list[View]:
    """(*batch, m, k) and (*batch, k, n), contiguous along the lanes if copying pays for itself.

    Here and not in `graph/layout.py`, as it hangs on where the planner has put an operand that is
    computed anew each time: a graph's values have no strides. Batches stay as they are: their
    matrices are small, and panels of each would be more bytes than they save.
    """
    left = _matrix(scope, lhs, batch[0], contract[0], contract_last=True)
    right = _matrix(scope, rhs, batch[1], contract[1], contract_last=False)
    m, n = left.shape[-2], right.shape[-1]
    strided = right.strides[-1] != 1 and left.strides[-2] != 1
    if strided and m >= WORTH_PACKING and n > 1:
        right = scope.dense(right)
    return [left, right]


def _matrix(
    scope: Scope,
    view: View,
    batch: tuple[int, ...],
    contract: tuple[int, ...],
    *,
    contract_last: bool,
) -> View:
    """As (*batch, free, contracted) or (*batch, contracted, free)."""
    free = tuple(i for i in range(len(view.shape)) if i not in (*batch, *contract))
    order = (*batch, *free, *contract) if contract_last else (*batch, *contract, *free)
    moved = views.transpose(view, order)
    first, second = (free, contract) if contract_last else (contract, free)
    shape = tuple(view.shape[i] for i in batch) + (
        prod(view.shape[i] for i in first),
        prod(view.shape[i] for i in second),
    )
    shaped = views.reshape(moved, shape)
    if shaped is None:
        shaped = views.reshape(scope.dense(moved), shape)
        assert shaped is not None
    return shaped
