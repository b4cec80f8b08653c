"""A fitted estimator in a folder: what it was told, what it found, and its draws; no pickle.

    estimator.json   class, version, parameters, plain attributes, and the name of the draws' file
    draws-HASH.npz   leaves of the positions, and the features' means and deviations

The draws are written first, and named by their content: whenever the writer is killed, the folder
holds the whole of the estimator before, or of this one.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

import tilewright
from tilewright.alpha.arguments import prior_of
from tilewright.alpha.errors import AlphaError
from tilewright.files import PARTIAL, write_bytes, write_text
from tilewright.models.bnn import CONSTANT

FORMAT = 1
HEAD, DRAWS = "estimator.json", "draws-"
PLAIN = (
    "centre_", "unit_", "df_", "signal_", "scale_", "scale_p_value_", "extended_", "failure_",
    "n_features_in_",
)  # fmt: skip
ARRAYS = ("relevance_", "r_hat_", "ess_", "acceptance_", "feature_names_in_")


def save(model: Any, folder: Path) -> None:
    """Write `model` into `folder`, which is made; raises `AlphaError`."""
    content = _draws(model)
    name = f"{DRAWS}{hashlib.sha256(content).hexdigest()[:16]}.npz"
    head = {
        "format": FORMAT,
        "tilewright": tilewright.__version__,
        "class": type(model).__name__,
        "parameters": _parameters(model),
        "attributes": {key: getattr(model, key) for key in PLAIN if hasattr(model, key)},
        "draws": name,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check(folder)
        write_bytes(folder / name, content)
        write_text(folder / HEAD, json.dumps(head, indent=2))
        for path in folder.glob(f"{DRAWS}*.npz"):
            if path.name != name:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise AlphaError(
            f"{error.filename or folder} cannot be written: {error.strerror}."
        ) from None


def load(kind: type, folder: Path) -> Any:
    """The estimator of class `kind` that `folder` holds; raises `AlphaError`."""
    head = _head(folder)
    if head["class"] != kind.__name__:
        raise AlphaError(f"{folder} holds a {head['class']}: load it by that class.")
    model = kind(**{key: _back(value) for key, value in head["parameters"].items()})
    for key, value in head["attributes"].items():
        setattr(model, key, value)
    try:
        with np.load(io.BytesIO((folder / head["draws"]).read_bytes()), allow_pickle=False) as file:
            arrays = dict(file)
        model.train_ = arrays["centre"], arrays["spread"]
        _restore(model, arrays)
    except (OSError, KeyError, ValueError, BadZipFile):
        raise AlphaError(f"{folder / head['draws']} is missing or damaged.") from None
    return model


def _draws(model: Any) -> bytes:
    """One archive of all arrays."""
    import jax

    leaves = jax.tree.leaves(model.positions_)
    arrays: dict[str, Any] = {f"position_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays |= dict(centre=model.train_[0], spread=model.train_[1])
    for name in ARRAYS:
        if hasattr(model, name):
            value = np.asarray(getattr(model, name))
            arrays[name] = value.astype(str) if value.dtype == object else value
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _restore(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Positions and the attributes that are arrays."""
    import jax

    model._prior = prior_of(model, model.n_features_in_, 0, getattr(model, "scale_", CONSTANT))
    pattern = jax.tree.structure(model._prior.example())
    leaves = [arrays[f"position_{i}"] for i in range(pattern.num_leaves)]
    model.positions_ = jax.tree.unflatten(pattern, leaves)
    for name in ARRAYS:
        if name in arrays:
            value = arrays[name]
            setattr(model, name, value.astype(object) if value.dtype.kind == "U" else value)


def _parameters(model: Any) -> dict[str, Any]:
    """As JSON has them. A random state that is no number is over: it is not kept."""
    found = {}
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, np.generic):
            value = value.item()
        keep = name != "random_state" or isinstance(value, int)
        found[name] = value if keep else None
    return found


def _back(value: Any) -> Any:
    """Layers are tuples."""
    return tuple(value) if isinstance(value, list) else value


def _head(folder: Path) -> dict[str, Any]:
    path = folder / HEAD
    try:
        head = json.loads(path.read_text())
        known = head["format"] == FORMAT and {"class", "parameters", "attributes", "draws"} <= set(
            head
        )
    except OSError as error:
        raise AlphaError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise AlphaError(f"{path} is not an estimator that this version can read.")
    return head


def _check(folder: Path) -> None:
    """Nothing of others' is written over."""
    for path in folder.iterdir():
        ours = path.name == HEAD or (path.name.startswith(DRAWS) and path.suffix == ".npz")
        if not ours and path.suffix != PARTIAL:
            raise AlphaError(f"The folder {folder} holds other things: choose another.")
