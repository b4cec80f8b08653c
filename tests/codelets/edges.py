"""Numbers at which operations behave in their own ways, by dtype."""

from __future__ import annotations

import numpy as np

from tilewright.graph.ir import numpy_dtype

FLOATS = ["float32", "float64", "bfloat16", "float16"]
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = [*FLOATS, *INTEGERS, "bool"]


def edges(dtype: str, *, denormals: bool = False) -> np.ndarray:
    """Special values and some plain ones; no two neighbours alike."""
    if dtype == "bool":
        return np.array([True, False, False, True])
    if dtype in INTEGERS:
        return _integers(dtype)
    finite = np.array([0, 0.5, 1, 1.5, 2.5, 3, 7, 127.4, 128, 255.6, 300, 32767.5, 65535, 1e5])
    large = np.array([2.0**31, 2.0**32, 2.0**63, 2.0**64, 1e30, 1e-4, 1e-30, 1 / 3, np.inf])
    tiny = {"float32": 1e-40, "float64": 1e-310, "bfloat16": 1e-39, "float16": 1e-7}[dtype]
    if denormals:
        large = np.append(large, [tiny, tiny / 3])
    half = np.concatenate([finite, large])
    with np.errstate(all="ignore"):
        return np.concatenate([half, -half, [np.nan]]).astype(numpy_dtype(dtype))


def _integers(dtype: str) -> np.ndarray:
    bounds = np.iinfo(dtype)
    plain = [0, 1, 2, 3, 5, 7, 31, 63, 64, 100, bounds.max, bounds.max - 1, bounds.max // 2]
    values = np.array(plain).astype(dtype)
    return np.unique(np.concatenate([values, (0 - values).astype(dtype), [bounds.min]])).astype(
        dtype
    )


def pairs(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each with each."""
    a, b = np.meshgrid(array, array)
    return a.ravel(), b.ravel()
