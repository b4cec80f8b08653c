"""OpenVINO as a peer: what PyTorch exports, answered on so many threads.

In float32, and in bfloat16 where the processor multiplies in it (which OpenVINO would choose by
itself there).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

NAME = "OpenVINO"
PRECISIONS = {"": "f32", " bfloat16": "bf16"}
"""What a name ends in, and what OpenVINO calls it."""


def is_here() -> bool:
    """Whether it is installed, and what the export to ONNX needs."""
    return find_spec("openvino") is not None and find_spec("onnx") is not None


def answering(
    content: bytes, shape: Sequence[int], threads: int = 1
) -> Mapping[str, Callable[[np.ndarray], np.ndarray]]:
    """What an ONNX file answers to its one input of that shape, by the name of the contender."""
    core = import_module("openvino").Core()
    model = core.read_model(content)
    model.reshape(list(shape))
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {
        NAME + ending: _call(core, model, hint, threads)
        for ending, hint in PRECISIONS.items()
        if hint == "f32" or "BF16" in able
    }


def _call(core: Any, model: Any, hint: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda x: np.array(request.infer([x], share_inputs=True)[0])
