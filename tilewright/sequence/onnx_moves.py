"""ONNX nodes that move what a recurrent layer made: what the dimensions of their result are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tilewright import onnx_file
from tilewright.frozen import frozen


@frozen
class Flow:
    """A value on its way from input to output: its dimensions, outermost first.

    "ways" are the directions of a layer's result, "states" those of several layers behind each
    other; `reads` is set once steps are gone. Which of them are taken is not kept: a net that reads
    others than those of the last layer, in their order, does not answer as the file does.
    """

    axes: tuple[str, ...]
    reads: str | None = None


@frozen
class Net:
    """What a move hangs on besides the flow: the net before it, and the graph's constants.

    `sizes` are those of the graph's input, by dimension, 0 where they are open; `value(node, k,
    default)` is a constant input of a node.
    """

    features: int
    ways: int
    sizes: dict[str, int]
    value: Callable[..., Any]

    def is_single(self, axis: str) -> bool:
        """Whether this dimension of a flow has one element, whatever the batch."""
        return axis == "taken" or {"ways": self.ways, "features": self.features}.get(axis) == 1


def moved(node: Any, flows: Sequence[Flow | None], net: Net) -> Flow:
    """The result of a node of MOVES. `flows` are its inputs, None where they are constants."""
    flow = flows[0]
    if flow is None or (node.op_type == "Concat" and any(other != flow for other in flows)):
        raise onnx_file.refused(node)
    return MOVES[node.op_type](node, flow, net)


def _transpose(node: Any, flow: Flow, net: Net) -> Flow:
    (attribute,) = [a for a in node.attribute if a.name == "perm"] or [None]
    order = list(attribute.ints) if attribute else list(range(len(flow.axes)))[::-1]
    return replace(flow, axes=tuple(flow.axes[i] for i in order))


def _squeeze(node: Any, flow: Flow, net: Net) -> Flow:
    given = net.value(node, 1)
    given = [a.ints for a in node.attribute if a.name == "axes"] if given is None else [given]
    rank = len(flow.axes)
    single = {i for i, axis in enumerate(flow.axes) if net.is_single(axis)}
    gone = {int(i) % rank for i in np.ravel(given[0])} if given else single
    if not gone <= single:
        raise onnx_file.refused(node, f"of the {flow.axes[min(gone - single)]}")
    return replace(flow, axes=tuple(axis for i, axis in enumerate(flow.axes) if i not in gone))


def _reshape(node: Any, flow: Flow, net: Net) -> Flow:
    """Directions beside each other, or dimensions of one that go."""
    shape = [int(n) for n in net.value(node, 1)]
    axes = tuple(a for a in flow.axes if a != "taken")
    if shape == [-1] and net.sizes["batch"] == net.features == 1:
        axes = tuple(a for a in axes if a == "steps")
    if axes[-2:] == ("ways", "features") or ("ways" in axes and net.is_single("ways")):
        axes = tuple(a for a in axes if a != "ways")
    if len(shape) != len(axes):
        raise onnx_file.refused(node, f"to {shape}")
    return replace(flow, axes=axes)


def _gather(node: Any, flow: Flow, net: Net) -> Flow:
    """The last step (an index of -1), or the last layer's state."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0) % len(flow.axes)
    index = net.value(node, 1)
    where = flow.axes[axis]
    if np.ndim(index) > 1 or np.size(index) != 1:
        raise onnx_file.refused(node, "of more than one index")
    kept = ("taken",) if np.ndim(index) else ()
    rest = (*flow.axes[:axis], *kept, *flow.axes[axis + 1 :])
    if where == "steps" and int(np.ravel(index)[0]) in (-1, net.sizes["steps"] - 1):
        return Flow(rest, "last step")
    if net.is_single(where) or where in _ends(flow):
        return replace(flow, axes=rest)
    raise onnx_file.refused(node, f"of {index} among the {where}")


def _concat(node: Any, flow: Flow, net: Net) -> Flow:
    """Last states: of layers, behind each other; of a layer's directions, side by side."""
    axis = onnx_file.attributes(node)["axis"]
    if flow.reads != "last state":
        raise onnx_file.refused(node)
    where, ends = flow.axes[axis % len(flow.axes)], _ends(flow)
    if where not in ends and (where != "features" or ends & {*flow.axes}):
        raise onnx_file.refused(node, f"of {where}")
    return replace(flow, axes=tuple("states" if a in ends else a for a in flow.axes))


def _slice(node: Any, flow: Flow, net: Net) -> Flow:
    starts, axes = np.ravel(net.value(node, 1)), np.ravel(net.value(node, 3, [0]))
    step = np.ravel(net.value(node, 4, [1]))
    where = flow.axes[int(axes[0]) % len(flow.axes)]
    if len(starts) != 1 or where != "steps" or starts[0] != -1 or step[0] != 1:
        raise onnx_file.refused(node, "of anything but the last step")
    return Flow(tuple("taken" if a == "steps" else a for a in flow.axes), "last step")


def _ends(flow: Flow) -> set[str]:
    """Dimensions along which last states lie."""
    return {"ways", "states"} if flow.reads == "last state" else set()


MOVES: dict[str, Callable[[Any, Flow, Net], Flow]] = {
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
}
