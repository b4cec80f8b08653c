"""ONNX Runtime as a peer: what PyTorch exports, answered on one thread or more."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np


def is_here() -> bool:
    """Whether it is installed, and what the export needs."""
    return find_spec("onnxruntime") is not None and find_spec("onnx") is not None


def exported(torch: Any, net: Any, x: Any) -> bytes:
    """A PyTorch module as ONNX, for inputs of the shape of x."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), file, dynamo=False, input_names=["x"])
    return file.getvalue()


def answering(content: bytes, threads: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """What an ONNX file answers, on so many threads."""
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]
