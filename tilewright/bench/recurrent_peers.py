"""A PyTorch net of LSTMs through everything else that answers it on this host, by name.

In: a module in evaluation mode, an example of its input (batch, steps, inputs), how many threads a
peer may have. Out: what answers such inputs. PyTorch is asked in float32, in bfloat16 and with
dynamically quantised weights; ONNX Runtime, where it is installed, in float32 and with dynamically
quantised weights, plain and with `reduce_range`; OpenVINO, where it is installed, in float32 and in
bfloat16 where it says that the processor has it. What `torch.compile` makes of such a net calls the
same function of PyTorch's for the whole of its layers: the same bits in the same time (a window of
the talk's net 11.6 ms for 12.0, PyTorch 2.13), so it is no peer of its own.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime, openvino

Answers = Callable[[np.ndarray], np.ndarray]


def answering(net: Any, xs: np.ndarray, threads: int = 1) -> dict[str, Answers]:
    """Of all that are installed. Weights are the net's own, and stay as they are."""
    torch = import_module("torch")
    found = _by_torch(torch, net, threads)
    if onnx_runtime.is_here():
        content = onnx_runtime.exported(torch, net, torch.from_numpy(xs))
        found |= _by_onnx_runtime(content, threads)
        if openvino.is_here():
            found |= openvino.answering(content, xs.shape, threads)
    return found


def precision_of(name: str) -> str:
    """Of a peer, by its name."""
    return next((kind for kind in ("int8", "bfloat16") if kind in name), "float32")


def _by_torch(torch: Any, net: Any, threads: int) -> dict[str, Answers]:
    def answer(own: Any, kind: Any, x: np.ndarray) -> np.ndarray:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            return own(torch.from_numpy(x).to(kind)).float().numpy()

    kinds, single = {torch.nn.LSTM, torch.nn.Linear}, torch.float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(net, kinds, dtype=torch.qint8)
    return {
        "PyTorch": partial(answer, net, single),
        "PyTorch bfloat16": partial(answer, copy.deepcopy(net).bfloat16(), torch.bfloat16),
        "PyTorch int8": partial(answer, quantised, single),
    }


def _by_onnx_runtime(content: bytes, threads: int) -> dict[str, Answers]:
    quantisation = import_module("onnxruntime.quantization")
    contents = {"ONNX Runtime": content}
    with TemporaryDirectory() as folder:
        plain, made = Path(folder, "net.onnx"), Path(folder, "int8.onnx")
        plain.write_bytes(content)
        for name, reduce in (("ONNX Runtime int8", False), ("ONNX Runtime int8, 7 bits", True)):
            kind = quantisation.QuantType.QInt8
            quantisation.quantize_dynamic(plain, made, weight_type=kind, reduce_range=reduce)
            contents[name] = made.read_bytes()
    return {name: onnx_runtime.answering(own, threads) for name, own in contents.items()}
