"""Peers that may be missing, and how to have them; and whether there is a GPU."""

from __future__ import annotations

from importlib.util import find_spec

from tilewright.bench import gpu

PEERS = {
    "PyTorch": ("torch", "pip install torch"),
    "ONNX Runtime": ("onnxruntime", "pip install onnxruntime onnx"),
    "OpenVINO": ("openvino", "pip install openvino onnx"),
    "NumPyro": ("numpyro", "pip install numpyro"),
}
"""Module, and what installs it."""


def missing(*peers: str) -> dict[str, str]:
    """Of these peers, those that are not here, and what would install them."""
    return {peer: PEERS[peer][1] for peer in peers if find_spec(PEERS[peer][0]) is None}


def no_gpu() -> dict[str, str]:
    """What is said of the rows through XLA on a GPU that are left out, where they are."""
    return {"A GPU": gpu.ABSENT} if gpu.device() is None else {}
