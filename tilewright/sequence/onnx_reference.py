"""What an ONNX file itself computes, by ONNX's own reference evaluator.

Of a recurrent net, what hangs on its input's shape alone (`known`), and its answers (`Reference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright import onnx_file
from tilewright.sequence.trial import BATCH, STEPS

DIMENSIONS = ("batch", "steps", "ways", "features")
"""Of values, in the order in which answers are given."""


def known(file: Any, given: Any, states: Sequence[Any]) -> dict[str, np.ndarray]:
    """Values that hang on the input's shape at most: initial states are often made from it.

    States that are given with each call begin at zero, as ours do.
    """
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = file.graph
    initial = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    flowing = {given.name}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and not flowing.isdisjoint(node.input):
            flowing.update(node.output)
    width = next((initial[n.input[1]].shape[2] for n in graph.node if _has_weights(n, initial)), 1)
    sizes = [
        size or default for size, default in zip(onnx_file.sizes(given), (1, 1, width), strict=True)
    ]
    zeros = np.zeros(sizes, np.float32)
    fed = {given.name: zeros} | _zeros(states, 1)
    values = ReferenceEvaluator(file).run(None, fed, intermediate=True)
    assert isinstance(values, dict)
    del fed[given.name]
    return initial | fed | {name: v for name, v in values.items() if name not in flowing}


def _has_weights(node: Any, initial: dict[str, np.ndarray]) -> bool:
    return node.op_type in ("LSTM", "GRU") and node.input[1] in initial


class Reference:
    """The file's own answers; one by one where a batch of 1 is baked in.

    `name` is the graph's input; `given` and `found` are the dimensions of input and output as they
    lie, `sizes` those of the input, 0 where open; `states` are the inputs beside it, which begin
    at zero. `rows` are as many windows as a trial wants, and a multiple of the file's own batch.
    """

    def __init__(
        self,
        file: Any,
        name: str,
        states: Sequence[Any],
        given: tuple[str, ...],
        found: tuple[str, ...],
        sizes: dict[str, int],
    ):
        from onnx.reference import ReferenceEvaluator

        self.run = ReferenceEvaluator(file).run
        self.name, self.states, self.given, self.found = name, states, given, found
        self.steps, self.batch = sizes["steps"] or STEPS, sizes["batch"] or BATCH
        self.rows = self.batch * -(-BATCH // self.batch)

    def __call__(self, xs: np.ndarray) -> np.ndarray:
        parts = [self._some(xs[i : i + self.batch]) for i in range(0, len(xs), self.batch)]
        return np.concatenate(parts)

    def _some(self, xs: np.ndarray) -> np.ndarray:
        """(batch, ...), whichever way the file turns its dimensions."""
        order = [axis for axis in DIMENSIONS if axis in self.given]
        given = np.ascontiguousarray(xs.transpose([order.index(axis) for axis in self.given]))
        fed = {self.name: given} | _zeros(self.states, len(xs))
        (answer, *_) = self.run(None, fed)
        if answer.ndim == len(self.found) and {*self.found} <= {*DIMENSIONS}:
            answer = answer.transpose([self.found.index(a) for a in DIMENSIONS if a in self.found])
        return answer.reshape(len(xs), -1)


def _zeros(states: Sequence[Any], batch: int) -> dict[str, np.ndarray]:
    """States given with a call, open dimensions of which are a batch's."""
    return {
        value.name: np.zeros([size or batch for size in onnx_file.sizes(value)], np.float32)
        for value in states
    }
