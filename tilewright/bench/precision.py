"""The talk's net in every precision beside its peers, each with its error against float64.

Windows of 200 steps of a 2 x 256 LSTM with random weights, one thread, whose processor time counts.
Peers are PyTorch in float32 and ONNX Runtime in float32 and with dynamically quantised weights, as
signed bytes, plain and with `reduce_range`, where they are installed. All hold the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime
from tilewright.bench.level import PRETENDS, bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import Rounds, compare

HIDDEN, INPUTS, STEPS = 256, 16, 200
TRIED = 64
"""Windows over which errors are taken."""
BATCHES = (1, 64)
AGAINST_SINGLE = {("bfloat16", 1): bar(1.6, 1.8), ("int8", 1): 3.0, ("int8x8", 1): 3.0}
"""Times as fast as the best peer in float32."""
AGAINST_BYTES = {1: 1.4, 64: 1.1}
"""Times as fast as the best of the peers' int8, of ours the fastest that errs no more."""
MOST = {"bfloat16": 0.008, "int8": 0.015, "int8x8": 0.015}
"""Errors: the root mean square over the answers' deviation."""

Answers = Callable[[np.ndarray], np.ndarray]


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for batch in BATCHES[:1] if quick else BATCHES:
        yield f"batch {batch}", partial(run, batch, 3 if quick else 15)


def run(batch: int, rounds: int, hidden: int = HIDDEN, steps: int = STEPS) -> list[Row]:
    """A row a precision against the best peer in float32, then one against those in int8."""
    if find_spec("torch") is None:
        return []
    from tilewright.sequence.precision import PRECISIONS

    able, errors = contenders(batch, hidden, steps)
    peers = [name for name in able if name not in PRECISIONS]
    data = windows(batch, steps)
    runs = {name: timed(partial(answer, data)) for name, answer in able.items()}
    measured = compare(runs, rounds, keep=tuple(runs))
    notes = "; ".join(f"{n} {measured.median(n) * 1e3:.2f} ms, {errors[n]:.2%}" for n in runs)
    single = measured.best([name for name in peers if "int8" not in name])
    rows = [_row(batch, p, single, measured, errors, notes) for p in PRECISIONS]
    quantised = [name for name in peers if "int8" in name]
    if quantised:
        rows.append(_best_bytes(batch, measured.best(quantised), measured, errors))
    return rows


def windows(count: int, steps: int = STEPS) -> np.ndarray:
    """(count, steps, inputs); the first ones are always the same."""
    return np.random.default_rng(2).normal(size=(count, steps, INPUTS)).astype(np.float32)


def contenders(
    batch: int, hidden: int = HIDDEN, steps: int = STEPS
) -> tuple[dict[str, Answers], dict[str, float]]:
    """Ours by precision, then the peers; and their errors over `TRIED` windows. Needs PyTorch."""
    from tilewright.sequence import load
    from tilewright.sequence.precision import exact

    source = _net(hidden)
    model, data = load(source), windows(max(batch, TRIED), steps)
    wanted = exact(model.net, model.weights, data[:TRIED])
    found = ours(model, batch, steps) | _peers(source, data[:batch])
    return found, {name: _error(answer, data, wanted, batch) for name, answer in found.items()}


def drawn(hidden: int = HIDDEN) -> Any:
    """A model of the same shape with random weights of our own, for hosts without PyTorch."""
    import jax

    from tilewright.models import recurrent
    from tilewright.sequence.model import Model

    layers = tuple(recurrent.Layer("lstm", inputs, hidden) for inputs in (INPUTS, hidden))
    net = recurrent.Recurrent(layers, (recurrent.Dense(hidden, 1),))
    held = jax.tree.map(np.asarray, recurrent.initial(net, jax.random.key(0)))
    return Model(net, held)


def ours(model: Any, batch: int, steps: int = STEPS) -> dict[str, Answers]:
    """Windows of a loaded model by precision."""
    from tilewright.sequence.precision import PRECISIONS

    return {p: model.window(batch, steps, precision=p, tiles=1) for p in PRECISIONS}


def _row(
    batch: int, name: str, peer: str, measured: Rounds, errors: Mapping[str, float], notes: str
) -> Row:
    ratio, low, high = measured.ratio(peer, name)
    return Row(
        "precision",
        f"talk's net, batch {batch}, {name}, error {errors[name]:.2%}",
        measured.median(name) * 1e3,
        "ms",
        measured.median(peer) * 1e3,
        peer,
        ratio,
        low,
        high,
        # A peer that does not know of the pretended level uses the host's own.
        None if PRETENDS else AGAINST_SINGLE.get((name, batch)),
        gflops=measured.gflops,
        notes=notes,
        more={"error": errors[name], "allowed": MOST.get(name)},
    )


def _best_bytes(batch: int, peer: str, measured: Rounds, errors: Mapping[str, float]) -> Row:
    able = [p for p in ("int8", "int8x8") if errors[p] <= errors[peer]] or ["int8"]
    best = measured.best(able)
    ratio, low, high = measured.ratio(peer, best)
    return Row(
        "precision",
        f"talk's net, batch {batch}, {best}, against int8, error {errors[peer]:.2%}",
        measured.median(best) * 1e3,
        "ms",
        measured.median(peer) * 1e3,
        peer,
        ratio,
        low,
        high,
        None if PRETENDS else AGAINST_BYTES[batch],
        gflops=measured.gflops,
    )


def _error(answer: Answers, data: np.ndarray, wanted: np.ndarray, batch: int) -> float:
    from tilewright.sequence.precision import error

    found = [answer(data[i : i + batch]) for i in range(0, len(wanted), batch)]
    return error(np.concatenate(found)[: len(wanted)], wanted).rms


def _net(hidden: int) -> Any:
    torch = import_module("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.LSTM(INPUTS, hidden, 2, batch_first=True)
            self.head = torch.nn.Linear(hidden, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.layers(x)[0][:, -1])

    return Net().eval()


def _peers(net: Any, xs: np.ndarray) -> dict[str, Answers]:
    torch = import_module("torch")

    def answer(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()

    found: dict[str, Answers] = {"PyTorch": answer}
    if onnx_runtime.is_here():
        with TemporaryDirectory() as folder:
            found |= _onnxruntime(torch, net, torch.from_numpy(xs), Path(folder))
    return found


def _onnxruntime(torch: Any, net: Any, x: Any, folder: Path) -> dict[str, Answers]:
    plain = folder / "net.onnx"
    plain.write_bytes(onnx_runtime.exported(torch, net, x))
    quantisation = import_module("onnxruntime.quantization")
    files = {"ONNX Runtime": plain}
    for name, reduce in (("ONNX Runtime int8", False), ("ONNX Runtime int8, 7 bits", True)):
        files[name] = folder / f"{reduce}.onnx"
        kind = quantisation.QuantType.QInt8
        quantisation.quantize_dynamic(plain, files[name], weight_type=kind, reduce_range=reduce)
    return {name: onnx_runtime.answering(path.read_bytes()) for name, path in files.items()}
