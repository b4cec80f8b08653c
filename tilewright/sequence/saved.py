"""A trained estimator in one safetensors file: what it was told, what it found, its nets.

In: an estimator of this package. Out: a file that is replaced whole, and the estimator back, which
says the same to the bit; the same estimator is the same bytes. No pickle; an optimiser is code, and
is not kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

import tilewright
from tilewright.errors import ArgumentError
from tilewright.files import write_bytes
from tilewright.models import forecaster
from tilewright.sequence import files

FORMAT = "tilewright sequence estimator 2"
UNSAVED = ("optimizer", "checkpoint")
NOT_ARRAYS = (str, int, float, bool, list, type(None))


def save(model: Any, path: str | Path) -> None:
    """Write a fitted `model`. Raises `ArgumentError` where it cannot be written."""
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, Any] = {}
    for name, value in model._found().items():
        if isinstance(value, NOT_ARRAYS):
            plain[name] = value
        else:
            array = np.asarray(value)
            arrays[name] = np.array(array.astype(str)) if array.dtype == object else array
    for name in [name for name, array in arrays.items() if array.dtype.kind == "U"]:
        plain[name] = {"texts": arrays.pop(name).tolist()}
    for i, leaf in enumerate(jax.tree.leaves(model.nets_)):
        arrays[f"net.{i}"] = np.asarray(leaf)
    head = {
        "tilewright": tilewright.__version__,
        "class": type(model).__name__,
        "parameters": _parameters(model),
        "found": plain,
    }
    about = json.dumps(head)
    content = to_bytes(
        {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()},
        {"format": FORMAT, "estimator": about, files.CHECKSUM: files.checksum(arrays, about)},
    )
    try:
        write_bytes(Path(path), _in_order(content))
    except OSError as error:
        raise ArgumentError(f"{path} cannot be written: {error.strerror}.") from None


def _in_order(content: bytes) -> bytes:
    """The same file with its header sorted: safetensors writes its entries in random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def load(kind: type, path: str | Path) -> Any:
    """The estimator of class `kind` that `save` wrote into `path`.

    Raises `ArgumentError` for a file that holds none, or one of another class.
    """
    path = Path(path)
    if not path.is_file():
        raise ArgumentError(f"There is no file {path}.")
    arrays, header = files.read(path)
    if header.get("format") != FORMAT:
        raise ArgumentError(f"{path} is not an estimator that this version can read.")
    files.check(path, arrays, header, "estimator")
    try:
        head = json.loads(header["estimator"])
        if head["class"] != kind.__name__:
            raise ArgumentError(f"{path} holds a {head['class']}: load it by that class.")
        model = kind(**{name: _back(value) for name, value in head["parameters"].items()})
        nets = [arrays.pop(f"net.{i}") for i in range(sum(n.startswith("net.") for n in arrays))]
        for name, value in {**head["found"], **arrays}.items():
            texts = isinstance(value, dict)
            setattr(model, name, np.array(value["texts"]) if texts else value)
        form = model._remake()
        pattern = jax.eval_shape(lambda: forecaster.initial(form, jax.random.key(0)))
        wanted = [leaf.shape for leaf in jax.tree.leaves(pattern)]
        if [leaf.shape[1:] for leaf in nets] != wanted:
            raise ValueError("its nets have other shapes")
        model.nets_ = jax.tree.structure(pattern).unflatten(nets)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{path} is damaged: {error}.") from None
    return model


def _parameters(model: Any) -> dict[str, Any]:
    """As JSON has them. A random state that is no number is over: it is not kept."""
    found = {}
    for name, value in model.get_params(deep=False).items():
        value = _plain(value)
        lost = name in UNSAVED or (name == "random_state" and not isinstance(value, int))
        if isinstance(value, dict):
            value = {"items": [[_plain(key), _plain(own)] for key, own in value.items()]}
        found[name] = None if lost else value
    return found


def _plain(value: Any) -> Any:
    """Without arrays or numbers of NumPy's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _back(value: Any) -> Any:
    """Lists were tuples."""
    if isinstance(value, dict):
        return dict(value["items"])
    return tuple(value) if isinstance(value, list) else value
