"""State dicts of PyTorch's EfficientNets and ResNeXts as weights of `models/`, and back.

In: names and arrays as efficientnet-pytorch, its lite form, timm or torchvision write them
(`names.py`). Out: weights and statistics. Always: every array is used, and has the shape that the
net asks for; what is written is read back with equal bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.models.efficientnet import EfficientNet, Kept, Weights
from tilewright.vision.names import SPELLINGS, TIMM, spelling_of, tree_of_names
from tilewright.vision.nets import Net, module
from tilewright.vision.wrapped import state_dict_in, unwrapped

IGNORED = "num_batches_tracked"
TO_JAX, TO_TORCH = {4: (2, 3, 1, 0), 2: (1, 0)}, {4: (3, 2, 0, 1), 2: (1, 0)}
"""Order of a kernel's axes, by how many there are."""


def efficientnet_weights(net: EfficientNet, tensors: Mapping[str, Any]) -> tuple[Weights, Kept]:
    """Weights and statistics of `net` from a state dict (arrays or tensors by name).

    Raises `ArgumentError` that names the first array that is missing, has another shape, holds a
    number that is not finite, or that the net has no place for.
    """
    return weights_from(net, unwrapped(state_dict_in(tensors)))


def weights_from(net: Net, tensors: Mapping[str, Any]) -> tuple[Any, Any]:
    """The same for any net."""
    import jax

    source = _Source(tensors)
    names = tree_of_names(net, spelling_of(tensors) or SPELLINGS[0])
    found = jax.tree.map(lambda name, like: source.take(name, like.shape), names, shapes_of(net))
    source.done()
    return found


def state_dict(net: Net, weights: Any, kept: Any, spelling: str = TIMM) -> dict[str, np.ndarray]:
    """Arrays by the names of a package of PyTorch's."""
    import jax

    names = jax.tree.leaves(tree_of_names(net, spelling))
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves((weights, kept))]
    return {name: _turned(a, TO_TORCH) for name, a in zip(names, arrays, strict=True)}


def names_of(net: Net, spelling: str) -> set[str]:
    """Of all arrays."""
    import jax

    return set(jax.tree.leaves(tree_of_names(net, spelling)))


@lru_cache(maxsize=32)
def shapes_of(net: Net) -> tuple[Any, Any]:
    """Weights and statistics, but for the numbers."""
    import jax

    return jax.eval_shape(lambda: module(net).start(net, jax.random.key(0)))


def _turned(array: np.ndarray, orders: Mapping[int, tuple[int, ...]]) -> np.ndarray:
    order = orders.get(array.ndim)
    return np.ascontiguousarray(array.transpose(order)) if order else array


def _array(tensor: Any) -> np.ndarray:
    """In NumPy, which takes none of PyTorch's with a gradient, nor its bfloat16."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
    return np.asarray(tensor)


class _Source:
    """A state dict whose arrays are taken one by one."""

    def __init__(self, tensors: Mapping[str, Any]):
        self.arrays = {
            name: _array(tensor) for name, tensor in tensors.items() if not name.endswith(IGNORED)
        }
        self.left = dict.fromkeys(self.arrays)

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """An array whose shape in JAX is `shape`; dense layers may be convolutions of one tap."""
        if name not in self.arrays:
            raise ArgumentError(f"The weights have no {name}, which this net needs.")
        array = self.arrays[name]
        expected = tuple(shape[i] for i in TO_TORCH.get(len(shape), range(len(shape))))
        single = array.ndim == 4 and len(shape) == 2 and array.shape[2:] == (1, 1)
        if (array.shape[:2] if single else array.shape) != expected:
            found, wanted = ("x".join(map(str, sizes)) for sizes in (array.shape, expected))
            raise ArgumentError(f"{name} is {found}, but this net needs {wanted}.")
        self.left.pop(name, None)
        with np.errstate(over="ignore"):
            array = array.reshape(expected).astype(np.float32)
        if not np.isfinite(array).all():
            raise ArgumentError(f"{name} holds a number that is not finite.")
        return _turned(array, TO_JAX)

    def done(self) -> None:
        if self.left:
            raise ArgumentError(f"The weights hold {next(iter(self.left))}, which this net lacks.")
