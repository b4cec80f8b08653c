"""What was narrowed in order to be kept, at fewer bytes, and is widened again by whoever reads it.

In: a node, who makes what. Always: what is between the two is a value of its own: it is stored, and
not made again of the wide one, which nobody needs then.
"""

from __future__ import annotations

from collections.abc import Mapping

from tilewright.graph.ir import Node, Value


def widens_again(node: Node, producers: Mapping[Value, Node]) -> bool:
    """Whether it gives back the dtype that its operand was narrowed from."""
    maker = producers.get(node.inputs[0]) if node.op == "convert" else None
    if maker is None or maker.op != "convert":
        return False
    wide, kept = maker.inputs[0].type, maker.output.type
    return node.output.dtype == wide.dtype and kept.nbytes < wide.nbytes
