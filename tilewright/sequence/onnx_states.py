"""Inputs of an ONNX graph beside the sequence: where a layer starts from, and nothing else.

In: a graph, the name of such an input. Out: nothing, or an error that names it.
"""

from __future__ import annotations

from typing import Any

from tilewright.errors import UnsupportedError

SAME = ("Identity", "Cast", "Dropout")
"""What leaves a value as it is."""
MOVES = (*SAME, *"Squeeze Unsqueeze Slice Gather Split Reshape Transpose Concat".split())
"""What an initial state that is given with each call may go through."""


def check_state(graph: Any, name: str) -> None:
    """Raises `UnsupportedError` for one that goes elsewhere."""
    states = {name}
    for node in graph.node:
        used = [i for i, source in enumerate(node.input) if source in states]
        if used and node.op_type in MOVES and (used == [0] or node.op_type == "Concat"):
            states.update(node.output)
        elif used and not (node.op_type in ("LSTM", "GRU") and min(used) >= 5):
            raise UnsupportedError(
                f"{name}: an input beside the sequence that is more than an initial state (it goes "
                f"into {node.op_type} {node.name or node.output[0]}) does not map."
            )
