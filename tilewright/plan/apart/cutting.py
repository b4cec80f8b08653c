"""A vertex as a problem of dimensions: what a grid over tiles may cut it along.

In: a call. Out: `Cutting`, or None where nothing may cut it. Always: a sum is cut only where what
follows it can wait.
"""

from __future__ import annotations

from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.reduce import Reduce
from tilewright.frozen import frozen
from tilewright.plan.apart.problem import Problem
from tilewright.plan.ir import Call
from tilewright.plan.merged import merged

Dimensions = tuple[str, ...]
"""Which of m, n and k each axis of an operand is."""


@frozen
class Cutting:
    """A vertex as a problem: the dimensions of each of its views."""

    call: Call
    problem: Problem
    axes: tuple[Dimensions, ...]


def cutting(call: Call) -> Cutting | None:
    """How a grid may cut it; None: not at all."""
    if isinstance(call.codelet, Reduce) and len(call.codelet.shape) > 2:
        call = merged(call) or call
    codelet, views = call.codelet, call.views
    match codelet:
        case ContractOuter() if not codelet.batch:
            beside = (("m", "n"),) * (len(codelet.beside) + len(codelet.outputs))
            axes = (("m", "k"), ("k", "n"), *beside)
            whole = codelet.epilogue is not None or codelet.out.dtype != codelet.sum_dtype
            return _cutting(call, axes, ("mk", "kn"), whole)
        case ContractVector() if not codelet.batch:
            whole = codelet.out.dtype != codelet.sum_dtype
            return _cutting(call, (("m", "k"), ("k",), ("m",)), ("mk", "k"), whole)
        case Reduce() if len(codelet.shape) <= 2 and len(codelet.axes) == 1:
            places = any(step.op == "iota" for step in codelet.expression.instructions)
            if places or len(codelet.outputs) > 1 or not codelet.inputs:
                return None  # it asks where it is, or stores what it sums, or sums constants
            axes = tuple("k" if i in codelet.axes else "m" for i in range(len(codelet.shape)))
            read, kept = len(views) - 1, tuple(name for name in axes if name == "m")
            whole = codelet.kind != "sum" or views[-1].dtype in ("float16", "bfloat16")
            return _cutting(call, ((axes,) * read) + (kept,), ("".join(axes),) * read, whole)
    return None


def _cutting(
    call: Call, axes: tuple[Dimensions, ...], sides: tuple[str, ...], whole: bool
) -> Cutting:
    sizes = {"m": 1, "n": 1, "k": 1}
    for view, names in zip(call.views, axes, strict=False):
        sizes.update(zip(names, view.shape, strict=True))
    leaf: int = call.codelet.leaf  # type: ignore[attr-defined]
    problem = Problem(sizes["m"], sizes["n"], sizes["k"], call.views[0].dtype, sides, whole, leaf)
    return Cutting(call, problem, axes)
