"""ONNX files as `Model`s: LSTM and GRU nodes, and the dense and moving nodes around them.

The graph is walked from its input, and of every value is kept what its dimensions are ("batch",
"steps", "ways", "features"), whichever way an exporter turned them. In the end the net is tried
against ONNX's own reference evaluator. An exporter that baked a batch of 1 into reshapes and
initial states is recognised: what has one element there stands for any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tilewright import onnx_file
from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import Affine, Cell, Dense, Layer, Recurrent, Weights
from tilewright.sequence import gates
from tilewright.sequence.model import Model
from tilewright.sequence.onnx_moves import MOVES, Flow, Net, moved
from tilewright.sequence.onnx_reference import Reference, known
from tilewright.sequence.onnx_states import SAME, check_state
from tilewright.sequence.trial import matching

ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
OLDEST = 7
"""The opset from which on LSTM and GRU mean what they do."""
DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


def from_file(path: Path) -> Model:
    """Raises `UnsupportedError` by node and operator, `ArgumentError` for a damaged file."""
    import onnx

    file = onnx_file.read(path, range(OLDEST, onnx.defs.onnx_opset_version() + 1))
    for node in file.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise onnx_file.refused(node, f"of {node.domain} does not map")
    try:
        return _mapped(file)
    except UnsupportedError:
        raise
    except Exception as error:  # arrays and attributes that do not fit have no class of their own
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UnsupportedError(f"{path} holds a graph that cannot be followed: {first}.") from error


def _mapped(file: Any) -> Model:
    """Raises anything where the file is none that ONNX itself could run."""
    walk = _Walk(file)
    name, sizes = walk.given.name, walk.sizes()
    source = Reference(file, name, walk.states, walk.flows[name].axes, walk.last.axes, sizes)
    return matching([walk.net()], walk.weights(), source, source.rows, source.steps)


class _Walk:
    """Nodes in order: the flow is followed, what hangs on shapes alone is computed beforehand."""

    def __init__(self, file: Any):
        graph = file.graph
        initial = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in initial]
        self.flows: dict[str, Flow] = {}
        self.layers: list[Layer] = []
        self.cells: list[tuple[Cell, ...]] = []
        self.head: list[Dense] = []
        self.affine: list[Affine] = []
        self.read_activation = "linear"
        if not inputs:
            raise UnsupportedError("The ONNX graph has no input.")
        self.given = inputs[0]
        if len(self.given.type.tensor_type.shape.dim) != 3:
            raise UnsupportedError(f"{self.given.name}: an input of three dimensions is needed.")
        self.states = inputs[1:]
        for value in self.states:
            check_state(graph, value.name)
        self.constants = known(file, self.given, self.states)
        # Whether steps or batch come first shows at the first recurrent node.
        self.flows[self.given.name] = Flow(("first", "second", "features"))
        for node in graph.node:
            self._node(node)
        last = self.flows.get(graph.output[0].name)
        if last is None or not self.layers:
            raise UnsupportedError("The ONNX graph has no LSTM or GRU on the way to its output.")
        self.last = last

    def net(self) -> Recurrent:
        reads = self.last.reads or "every step"
        return Recurrent(tuple(self.layers), tuple(self.head), reads, self.read_activation)

    def sizes(self) -> dict[str, int]:
        """Of the input's dimensions, 0 where they are open; states may have a batch baked in."""
        found = dict(
            zip(self.flows[self.given.name].axes, onnx_file.sizes(self.given), strict=True)
        )
        baked = [size for value in self.states for size in onnx_file.sizes(value)[1:2]]
        return found | {"batch": found.get("batch") or max(baked, default=0)}

    def weights(self) -> Weights:
        return Weights(tuple(self.cells), tuple(self.affine))

    def _so_far(self) -> Net:
        made = [*self.layers[-1:], *self.head[-1:]]
        ways = len(self.layers[-1].ways) if self.layers else 0
        return Net(made[-1].outputs if made else 0, ways, self.sizes(), self._value)

    def _node(self, node: Any) -> None:
        if all(name in self.constants for name in node.output if name):
            return
        rule: Callable[[Any], None] | None = getattr(self, f"_{node.op_type.lower()}", None)
        if node.op_type in SAME:
            self.flows[node.output[0]] = self.flows[node.input[0]]
        elif node.op_type in ACTIVATIONS:
            self._activation(node)
        elif node.op_type in ("LSTM", "GRU"):
            self._recurrent(node)
        elif node.op_type in MOVES:
            flows = [self.flows.get(name) for name in node.input]
            self.flows[node.output[0]] = moved(node, flows, self._so_far())
        elif rule is not None:
            rule(node)
        else:
            raise onnx_file.refused(node)

    def _value(self, node: Any, position: int, default: Any = None) -> Any:
        """An input that must be constant."""
        if len(node.input) <= position or not node.input[position]:
            return default
        name = node.input[position]
        if name not in self.constants:
            raise onnx_file.refused(node, f"needs a constant for {name}")
        return self.constants[name]

    # Recurrent nodes

    def _recurrent(self, node: Any) -> None:
        own = onnx_file.attributes(node)
        kind, way = node.op_type.lower(), own.get("direction", b"forward")
        directions = {b"bidirectional": "both", b"reverse": "backward"}.get(way, "forward")
        names = [a.decode() for a in own.get("activations", [])]
        usual = DEFAULTS[node.op_type] * (2 if directions == "both" else 1)
        if (names and names != usual) or own.get("clip") or own.get("input_forget"):
            raise onnx_file.refused(node, "with activations, clip or input_forget of its own")
        if own.get("layout", 0) or (len(node.input) > 7 and node.input[7]):
            raise onnx_file.refused(node, "with layout=1 or peepholes")
        flow = self._named(self.flows[node.input[0]], ("steps", "batch", "features"))
        for position, what in ((4, "sequence_lens"), (5, "initial_h"), (6, "initial_c")):
            self._check_plain(node, position, what)
        plain = not self.head and self.read_activation == "linear"
        if flow.axes != ("steps", "batch", "features") or not plain:
            raise onnx_file.refused(node, "on something else than the steps of a sequence")
        W, U = self._value(node, 1), self._value(node, 2)
        bias = self._value(node, 3, np.zeros((len(W), 2 * W.shape[1]), np.float32))
        reset = "after" if own.get("linear_before_reset", 0) else "before"
        layer = Layer(kind, W.shape[2], U.shape[2], directions, reset)
        self.layers.append(layer)
        self.cells.append(
            tuple(
                gates.cell(
                    "onnx", onnx_file.named(node), layer, W[i].T, U[i].T, *np.split(bias[i], 2)
                )
                for i in range(len(W))
            )
        )
        results = (Flow(("steps", "ways", "batch", "features")),)
        results += (Flow(("ways", "batch", "features"), "last state"),) * 2
        self.flows |= zip(node.output, results, strict=False)

    def _check_plain(self, node: Any, position: int, what: str) -> None:
        """Absent, or baked in: zeros; for lengths, that of the graph's whole input."""
        if len(node.input) <= position or not node.input[position]:
            return
        value = self.constants.get(node.input[position])
        usual = self.sizes()["steps"] if what == "sequence_lens" else 0
        if value is None or np.any(value != usual):
            raise onnx_file.refused(node, f"with a {what} of its own")

    def _named(self, flow: Flow, axes: tuple[str, ...]) -> Flow:
        """The graph's own input, once it is known which dimension is which."""
        if "first" not in flow.axes:
            return flow
        meant = {flow.axes[i]: axes[i] for i in range(3)}
        for name, other in self.flows.items():
            self.flows[name] = replace(other, axes=tuple(meant.get(a, a) for a in other.axes))
        return replace(flow, axes=axes)

    # Dense nodes

    def _matmul(self, node: Any) -> None:
        self._dense(node, self._value(node, 1), None)

    def _gemm(self, node: Any) -> None:
        own = onnx_file.attributes(node)
        if own.get("transA") or own.get("alpha", 1.0) != 1.0 or own.get("beta", 1.0) != 1.0:
            raise onnx_file.refused(node, "with transA, alpha or beta")
        W = self._value(node, 1)
        self._dense(node, W.T if own.get("transB") else W, self._value(node, 2))

    def _conv(self, node: Any) -> None:
        """Over one step: a dense layer, of features that lie in the middle."""
        W, flow = self._value(node, 1), self.flows[node.input[0]]
        padded = any(any(a.ints) for a in node.attribute if a.name == "pads")
        if W.ndim != 3 or W.shape[2] != 1 or padded or flow.axes[1:2] != ("features",):
            raise onnx_file.refused(node, "over more than one step")
        turned = replace(flow, axes=(flow.axes[0], flow.axes[2], "features"))
        self.flows[node.input[0]] = turned
        self._dense(node, W[:, :, 0].T, self._value(node, 2))
        self.flows[node.input[0]] = self.flows[node.output[0]] = flow

    def _dense(self, node: Any, W: np.ndarray, b: np.ndarray | None) -> None:
        flow = self.flows[node.input[0]]
        if not self.layers or flow.axes[-1] != "features" or "ways" in flow.axes or W.ndim != 2:
            raise onnx_file.refused(node, "on something else than features")
        self.head.append(Dense(*W.shape))
        self.affine.append(
            gates.affine(
                onnx_file.named(node), W, np.zeros(W.shape[1]) if b is None else np.ravel(b)
            )
        )
        self.flows[node.output[0]] = flow

    def _add(self, node: Any) -> None:
        """The bias of the product before it."""
        flowing = [name for name in node.input if name in self.flows]
        constant = [self.constants.get(name) for name in node.input if name not in flowing]
        if len(flowing) != 1 or constant[0] is None or not self.head:
            raise onnx_file.refused(node)
        if self.head[-1].activation != "linear" or np.size(constant[0]) != self.head[-1].outputs:
            raise onnx_file.refused(node)
        last = self.affine[-1]
        self.affine[-1] = gates.affine(
            onnx_file.named(node), last.W, last.b + np.ravel(constant[0])
        )
        self.flows[node.output[0]] = self.flows[flowing[0]]

    def _activation(self, node: Any) -> None:
        before = self.head[-1].activation if self.head else self.read_activation
        if not self.layers or before != "linear":
            raise onnx_file.refused(node, "after something else than a recurrent or a dense layer")
        if self.head:
            self.head[-1] = replace(self.head[-1], activation=ACTIVATIONS[node.op_type])
        else:
            self.read_activation = ACTIVATIONS[node.op_type]
        self.flows[node.output[0]] = self.flows[node.input[0]]
