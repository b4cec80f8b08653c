"""`dot` to codelets: operands as (batch, m, k) and (batch, k, n) or (batch, n, k)."""

from __future__ import annotations

from math import prod

from tilewright.codelets.contract import ContractInner, ContractOuter
from tilewright.graph.ir import Node, Type
from tilewright.graph.order import dot_form
from tilewright.plan import views
from tilewright.plan.basic import add_codelet, operand
from tilewright.plan.ir import View
from tilewright.plan.scope import Scope

WORTH_PACKING = 4
"""Operands read at least so many times are brought to the layout that the codelet is fast on."""


def lower_contraction(scope: Scope, node: Node) -> None:
    """One vertex, and before it the copies that its layout asks for."""
    lhs, rhs = (scope.view(v) for v in node.inputs)
    contract, batch = node.params["contract"], node.params["batch"]
    inner = dot_form(lhs.shape, rhs.shape, contract, batch) == "inner"
    left = _matrix(scope, lhs, batch[0], contract[0], contract_last=True)
    right = _matrix(scope, rhs, batch[1], contract[1], contract_last=inner)
    m, n = left.shape[-2], right.shape[-2 if inner else -1]
    left, right = _packed(scope, left, right, inner, m, n)
    target, accumulate = scope.sum_target(node.output)
    shape = (*left.shape[:-2], m, n)
    out = views.reshape(target, shape)
    beside = out is None
    if out is None:
        out = scope.new(Type(target.dtype, shape))
    kind = ContractInner if inner else ContractOuter
    codelet = kind(operand(left), operand(right), operand(out), accumulate and not beside)
    scope.call(codelet, [left, right], [out])
    if beside:
        _write_back(scope, out, target, accumulate)


def _write_back(scope: Scope, out: View, target: View, accumulate: bool) -> None:
    shaped = views.reshape(out, target.shape)
    assert shaped is not None
    if accumulate:
        scope.call(add_codelet(target, shaped), [target, shaped], [target])
    else:
        scope.copy(shaped, target)


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


def _packed(
    scope: Scope, left: View, right: View, inner: bool, m: int, n: int
) -> tuple[View, View]:
    """Contiguous along the lanes, where reading each element several times pays for the copy."""
    if inner:
        if left.strides[-1] != 1 and n >= WORTH_PACKING:
            left = scope.dense(left)
        if right.strides[-1] != 1 and m >= WORTH_PACKING:
            right = scope.dense(right)
    elif right.strides[-1] != 1 and left.strides[-2] != 1 and m >= WORTH_PACKING and n > 1:
        right = scope.dense(right)
    return left, right
