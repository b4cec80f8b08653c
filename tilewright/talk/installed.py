"""Peers that may be missing, and how to have them."""

from __future__ import annotations

from importlib.util import find_spec

PEERS = {
    "PyTorch": ("torch", "pip install torch"),
    "ONNX Runtime": ("onnxruntime", "pip install onnxruntime onnx"),
}
"""Module, and what installs it."""


def missing(*peers: str) -> dict[str, str]:
    """Of these peers, those that are not here, and what would install them."""
    return {peer: PEERS[peer][1] for peer in peers if find_spec(PEERS[peer][0]) is None}
