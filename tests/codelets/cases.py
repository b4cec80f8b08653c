"""Operands and their values for codelet tests: every dtype, any strides, the same every time."""

from __future__ import annotations

import numpy as np

from tests.codelets.run import run
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.emit.llvm import Features
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import dense_strides


def dense(dtype: str, *shape: int) -> Operand:
    """An operand without gaps."""
    return Operand(dtype, shape, dense_strides(shape))


def values(operand: Operand, seed: int = 0) -> np.ndarray:
    """Numbers of both signs, equal along dimensions of stride 0."""
    random = np.random.default_rng(seed)
    shape = tuple(
        1 if step == 0 else n for n, step in zip(operand.shape, operand.strides, strict=True)
    )
    dtype = numpy_dtype(operand.dtype)
    if operand.dtype == "bool":
        array = random.random(shape) < 0.5
    elif dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        array = random.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)
    else:
        array = random.normal(size=shape).astype(dtype)
    return np.broadcast_to(array, operand.shape)


def arguments(codelet: Codelet) -> list[np.ndarray]:
    """Inputs, and old contents of outputs that are updated."""
    updated = [codelet.outputs[i] for i in codelet.in_place]
    return [values(operand, seed) for seed, operand in enumerate((*codelet.inputs, *updated))]


def assert_same_bits(expected: np.ndarray, found: np.ndarray, name: str) -> None:
    assert expected.shape == found.shape, name
    assert expected.dtype == found.dtype, name
    same = np.ascontiguousarray(expected).tobytes() == np.ascontiguousarray(found).tobytes()
    assert same, f"{name}: {expected.ravel()[:8]} against {found.ravel()[:8]}"


def check(codelet: Codelet, features: Features, given: list[np.ndarray] | None = None) -> None:
    """Native code gives the bits of the meaning."""
    given = arguments(codelet) if given is None else given
    expected = codelet.meaning(*given)
    found = run(codelet, *given, features=features)
    for one, other in zip(expected, found, strict=True):
        assert_same_bits(one, other, f"{codelet.name} on {features}")
