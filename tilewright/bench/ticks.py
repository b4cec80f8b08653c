"""One tick at a time, through Python: from tick to answer, and what is done between two ticks.

Weights are bound, float32, one thread. A round's figure is the median of its ticks, so that a tick
in which the machine was elsewhere does not count. The peer is ONNX Runtime's call of one step,
states in and out, by `run` or by bound memory, whichever is faster; it has nothing to do between
ticks. The bar is one of ticks from C (`latency.py`). Of a sliding window there is no peer: what it
does between ticks is held against its multiply-adds at the peak that is measured in the same round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench.record import Row
from tilewright.bench.rounds import Rounds, compare

NETS = {
    # Inputs, units, layers, steps of a window: the talk's net, and shapes A and B of the field.
    "talk's net": (16, 256, 2, 200),
    "shape A": (100, 100, 2, 50),
    "shape B": (250, 200, 3, 100),
}
BETWEEN = 1.5
"""A sliding window's work over its multiply-adds at the peak."""
TICKS = 200
"""Of a round."""

Timed = Callable[[], float]


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for name in ("shape A",) if quick else NETS:
        yield name, partial(run, name, NETS[name], 3 if quick else 15, slide=name != "talk's net")


def run(
    name: str, sizes: tuple[int, int, int, int], rounds: int, *, slide: bool = True
) -> list[Row]:
    """A stream's ticks beside the peer's, and those of a sliding window."""
    inputs, _, _, steps = sizes
    model = drawn(sizes)
    xs = np.random.default_rng(1).normal(size=(TICKS, 1, inputs)).astype(np.float32)
    stream = model.stream(tiles=1)
    runs = {"answer": _answers(stream, xs), "between": _between(stream, xs), **_peer(model, xs)}
    rows = _stream_rows(name, compare(runs, rounds, keep=tuple(runs)), runs)
    if slide:
        slides = model.slide(steps, tiles=1)
        runs = {"answer": _answers(slides, xs), "between": _between(slides, xs)}
        macs = steps * model.net.macs(1) - (steps - 1) * _first_product(model)
        rows += _slide_rows(name, compare(runs, rounds, keep=tuple(runs)), macs)
    return rows


def drawn(sizes: tuple[int, int, int, int]) -> Any:
    """A model with random weights."""
    import jax

    from tilewright.models import recurrent
    from tilewright.sequence import Model

    inputs, hidden, count, _ = sizes
    layers = tuple(recurrent.Layer("lstm", hidden if i else inputs, hidden) for i in range(count))
    net = recurrent.Recurrent(layers, (recurrent.Dense(hidden, 1),))
    return Model(net, jax.tree.map(np.asarray, recurrent.initial(net, jax.random.key(0))))


def _first_product(model: Any) -> int:
    """Multiply-adds of the first layer's product of a tick, which all rows share."""
    layer = model.net.layers[0]
    return 4 * layer.inputs * layer.hidden


def _answers(running: Any, xs: np.ndarray) -> Timed:
    """Median seconds from tick to answer; what is prepared between is not counted."""

    def seconds() -> float:
        found = []
        for x in xs:
            running.prepare()
            start = time.perf_counter()
            running.answer(x)
            found.append(time.perf_counter() - start)
        return float(np.median(found))

    seconds()
    return seconds


def _between(running: Any, xs: np.ndarray) -> Timed:
    """Median seconds of what is done between an answer and the next tick."""

    def seconds() -> float:
        found = []
        for x in xs:
            running.answer(x)
            start = time.perf_counter()
            running.prepare()
            found.append(time.perf_counter() - start)
        return float(np.median(found))

    return seconds


def _stream_rows(name: str, measured: Rounds, runs: Mapping[str, Timed]) -> list[Row]:
    peers = [run for run in runs if run not in ("answer", "between")]
    ours, between = measured.median("answer"), measured.median("between")
    ratio: tuple[float | None, ...] = (None, None, None)
    peer = measured.best(peers) if peers else ""
    if peer:
        ratio = measured.ratio(peer, "answer")
    return [
        Row(
            "ticks",
            f"{name}, a stream: from tick to answer",
            ours * 1e6,
            "µs",
            measured.median(peer) * 1e6 if peer else None,
            peer,
            *ratio,
            gflops=measured.gflops,
            notes=f"and {between * 1e6:.1f} µs between ticks",
        )
    ]


def _slide_rows(name: str, measured: Rounds, macs: int) -> list[Row]:
    ours, between = measured.median("answer"), measured.median("between")
    least = 2 * macs / (measured.gflops * 1e9)
    return [
        Row(
            "ticks",
            f"{name}, a window that slides: from tick to answer",
            ours * 1e6,
            "µs",
            gflops=measured.gflops,
            notes=f"up to {1 / (ours + between):,.0f} ticks a second",
        ),
        Row(
            "ticks",
            f"{name}, a window that slides: work between ticks over its multiply-adds at the peak",
            between / least,
            "×",
            bar=BETWEEN,
            at_most=True,
            gflops=measured.gflops,
            notes=f"{between * 1e6:.0f} µs, {macs / 1e6:.1f} million multiply-adds",
        ),
    ]


def _peer(model: Any, xs: np.ndarray) -> Mapping[str, Timed]:
    """One step by ONNX Runtime, given its states and giving them back; checked against ours."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return {}
    content = one_step(model)
    _check(_session(content), model, xs[:3])
    return stepping(content, xs)


def _session(content: bytes) -> Any:
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def stepping(content: bytes, xs: np.ndarray) -> Mapping[str, Timed]:
    """Median seconds of a call of one step by ONNX Runtime: by `run`, and by bound memory."""
    session = _session(content)
    return {
        "ONNX Runtime": _timed(partial(_by_run, session, _zeros(session)), xs),
        "ONNX Runtime, memory bound": _timed(_Bound(session, xs[0]).step, xs),
    }


def one_step(model: Any) -> bytes:
    """An ONNX file: x (1, 1, inputs) and each layer's h and c to the answer, and those anew."""
    onnx = import_module("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes, weights, given, made = [], {}, [("x", (1, 1, model.net.inputs))], [("y", (1, 1, 1))]
    last = "x"
    for i, (layer, (cell,)) in enumerate(zip(model.net.layers, model.weights.layers, strict=True)):
        weights |= {f"W{i}": _turned(cell.W), f"R{i}": _turned(cell.U)}
        bias = _turned(cell.b[None])[:, :, 0]
        weights[f"B{i}"] = np.concatenate([bias, np.zeros_like(bias)], 1)
        names = [last, f"W{i}", f"R{i}", f"B{i}", "", f"h{i}", f"c{i}"]
        state = (1, 1, layer.hidden)
        given += [(f"h{i}", state), (f"c{i}", state)]
        made += [(f"h{i}_new", state), (f"c{i}_new", state)]
        outputs = [f"all{i}", f"h{i}_new", f"c{i}_new"]
        nodes.append(helper.make_node("LSTM", names, outputs, hidden_size=layer.hidden))
        last = f"h{i}_new"
    (head,) = model.weights.head
    weights |= {"head_W": head.W, "head_b": head.b}
    nodes.append(helper.make_node("MatMul", [last, "head_W"], ["product"]))
    nodes.append(helper.make_node("Add", ["product", "head_b"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "step",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in given],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in made],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in weights.items()],
    )
    opset = [helper.make_opsetid("", 14)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def _turned(matrix: np.ndarray) -> np.ndarray:
    """(k, i f g o) to ONNX's (1, i o f g, k)."""
    i, f, g, o = np.split(np.asarray(matrix), 4, axis=1)
    return np.concatenate([i, o, f, g], 1).T[None]


def _zeros(session: Any) -> dict[str, np.ndarray]:
    return {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name != "x"}


def _by_run(session: Any, state: dict[str, np.ndarray], x: np.ndarray) -> Any:
    answer, *new = session.run(None, {"x": x[None], **state})
    state.update(zip(state, new, strict=True))
    return answer


class _Bound:
    """All arrays where they are; each step's new state is the next one's old."""

    def __init__(self, session: Any, x: np.ndarray):
        self.session, self.x = session, np.array(x[None])
        self.turn, old, new = 0, _zeros(session), _zeros(session)
        self.y, self.kept = np.zeros((1, 1, 1), np.float32), []
        self.ways = [self._way(*pair) for pair in ((old, new), (new, old))]

    def _way(self, old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Any:
        way = self.session.io_binding()
        way.bind_cpu_input("x", self.x)
        for name, array in old.items():
            way.bind_cpu_input(name, array)
        places = {f"{name}_new": array for name, array in new.items()}
        places["y"] = self.y
        for name, array in places.items():
            way.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self.kept += [old, new, places]
        return way

    def step(self, x: np.ndarray) -> Any:
        self.x[0] = x
        self.turn ^= 1
        self.session.run_with_iobinding(self.ways[self.turn])
        return self.y


def _check(session: Any, model: Any, xs: np.ndarray) -> None:
    stream, state = model.stream(tiles=1), _zeros(session)
    for x in xs:
        answer = _by_run(session, state, x)
        np.testing.assert_allclose(stream.answer(x).ravel(), answer.ravel(), atol=1e-5)


def _timed(step: Callable[[np.ndarray], Any], xs: np.ndarray) -> Timed:
    def seconds() -> float:
        found = []
        for x in xs:
            start = time.perf_counter()
            step(x)
            found.append(time.perf_counter() - start)
        return float(np.median(found))

    seconds()
    return seconds
