"""Rule: what is zero above the diagonal already is not masked again (`jnp.tril` of a factor)."""

from __future__ import annotations

import numpy as np

from tilewright.graph.ir import Node, Value
from tilewright.graph.known import is_repeated
from tilewright.graph.rewrite import Rebuilder


def mask_of_factor(new: Rebuilder, node: Node) -> Value | None:
    """select(row >= column, 0, cholesky(x)) is cholesky(x)."""
    which, *cases = node.inputs
    factor = new.producer(cases[-1])
    if factor is None or factor.op != "cholesky" or not is_repeated(new, cases[0], 0):
        return None
    return cases[1] if len(cases) == 2 and _is_lower(new, which) else None


def _is_lower(new: Rebuilder, mask: Value) -> bool:
    """Whether a mask (*batch, rows, columns) holds where row >= column."""
    rank, node = len(mask.shape), new.producer(mask)
    if node is not None and node.op == "broadcast":
        if tuple(node.params["dimensions"]) != (rank - 2, rank - 1):
            return False
        node = new.producer(node.inputs[0])
    if node is None or node.op not in ("ge", "constant"):
        return False
    if node.op == "constant":
        return np.array_equal(node.params["value"], np.tri(mask.shape[-1], dtype=bool))
    iotas = [new.producer(value) for value in node.inputs]
    numbered = [it.params["dimension"] for it in iotas if it is not None and it.op == "iota"]
    return numbered == [len(node.output.shape) - 2, len(node.output.shape) - 1]
