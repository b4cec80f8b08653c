"""Weights in PyTorch's own files, read without PyTorch, and without running what they hold.

In: a `.pt` or `.pth` file, of the form with a zip archive (since PyTorch 1.6) or of the one before.
Out: arrays by name. Pickles are programs: this one knows how to make tensors, ordered dictionaries
and plain values, and refuses by name to call anything else.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tilewright.errors import ArgumentError
from tilewright.vision.wrapped import state_dict_in

MAGIC = 0x1950A86A20F9469CFC6C
"""The first thing in a file of the old form."""
TYPES = {
    "FloatStorage": np.dtype("<f4"), "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"), "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"), "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"), "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"), "BoolStorage": np.dtype(bool),
}  # fmt: skip


class _Storage:
    """Memory that tensors are views of; filled at the end in the old form."""

    def __init__(self, dtype: np.dtype, size: int):
        self.dtype, self.size = dtype, size
        self.values = np.empty(0, dtype)


class _Tensor:
    """A view of a storage, in elements."""

    def __init__(self, storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any):
        self.storage, self.offset = storage, int(offset)
        self.shape, self.strides = tuple(map(int, shape)), tuple(map(int, strides))

    def array(self) -> np.ndarray:
        """A copy. Raises ValueError for a view that leaves its storage."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        empty = 0 in self.shape
        if min((self.offset, *self.shape, *self.strides)) < 0 or (
            not empty and last >= len(self.storage.values)
        ):
            raise ValueError("a tensor is not inside its storage")
        values = self.storage.values[0 if empty else self.offset :]
        step = values.itemsize
        bytes_ = [step * stride for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, bytes_).copy()


class _Reader(pickle.Unpickler):
    """Knows what weights are made of, and nothing else."""

    def __init__(self, file: Any, storage: Callable[[Any], _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in TYPES:
            return TYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise _CodeError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        return self._storage(pid)


class _CodeError(Exception):
    """The name of what a pickle wants to call."""


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name. Raises `ArgumentError` for damage, and for a pickle that holds code."""
    try:
        archive = zipfile.is_zipfile(path)
        found = _from_archive(path) if archive else _from_stream(path)
        return {name: tensor.array() for name, tensor in _tensors(found).items()}
    except _CodeError as error:
        raise ArgumentError(
            f"{path} is refused: reading it would call {error}, and weights need no code."
        ) from None
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # a damaged pickle raises whatever its reader stumbles over
        words = str(error).rstrip(".") or type(error).__name__
        raise ArgumentError(f"{path} is not a file of PyTorch's weights: {words}.") from None


def _from_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        (head,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = head.removesuffix("data.pkl")

        def storage(pid: Any) -> _Storage:
            _, dtype, key, _, size = pid
            made = _Storage(dtype, int(size))
            made.values = np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)
            return made

        return _Reader(io.BytesIO(archive.read(head)), storage).load()


def _from_stream(path: Path) -> Any:
    """Four pickles, then each storage: its size and its elements."""
    made: dict[str, _Storage] = {}

    def storage(pid: Any) -> _Storage:
        _, dtype, key, _, size, *view = pid
        if view and view[0] is not None:
            raise ValueError("views of storages are not read")
        return made.setdefault(str(key), _Storage(dtype, int(size)))

    with path.open("rb") as file:
        if _Reader(file, storage).load() != MAGIC:
            raise ValueError("it does not begin as one")
        _Reader(file, storage).load()
        _Reader(file, storage).load()
        found = _Reader(file, storage).load()
        for key in _Reader(file, storage).load():
            (size,) = struct.unpack("<q", file.read(8))
            dtype = made[str(key)].dtype
            made[str(key)].values = np.frombuffer(file.read(size * dtype.itemsize), dtype)
    return found


def _tensors(found: Any) -> dict[str, _Tensor]:
    """The state dict, or the one inside what a training script kept."""
    if not isinstance(found, dict):
        raise ValueError("it holds no state dict")
    found = state_dict_in(found)
    tensors = {str(name): value for name, value in found.items() if isinstance(value, _Tensor)}
    if not tensors:
        raise ValueError("it holds no tensors")
    return tensors
