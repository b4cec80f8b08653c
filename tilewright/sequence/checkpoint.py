"""A fit under way in a file: killed at any moment and run again, it ends with the same bits.

In: what the fit depends on (settings and data) and its state now and then. Out: the newest state
that was written whole. Another file, other data or other settings are refused by name.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import numpy as np

import tilewright
from tilewright.errors import ArgumentError
from tilewright.files import write_bytes

FORMAT = 3
"""3: an epoch that is undone has a place of its own in the table of scores."""


class Checkpoint:
    """`settings` as JSON has them, and `data`, any arrays.

    Raises `ArgumentError` for a path whose folder is not there.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], data: Any):
        self._path = Path(path)
        if not self._path.parent.is_dir():
            raise ArgumentError(f"checkpoint: there is no folder {self._path.parent}.")
        self._head = {
            "format": FORMAT,
            "tilewright": tilewright.__version__,
            "settings": json.loads(json.dumps(dict(settings), default=repr)),
            "data": digest(data),
        }

    def read(self, example: Any) -> Any:
        """A tree like `example`; None where nothing was written.

        Raises `ArgumentError` for a file of other data, settings or version, and a damaged one.
        """
        if not self._path.exists():
            return None
        leaves, pattern = jax.tree.flatten(example)
        try:
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                arrays = [file[f"leaf_{i}"] for i in range(len(file.files) - 1)]
            self._compare(head)
        except OSError as error:
            raise ArgumentError(f"{self._path} cannot be read: {error.strerror}.") from None
        except (KeyError, ValueError, TypeError, EOFError, BadZipFile) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"{self._path} is not a checkpoint of a fit.") from None
        if [(a.shape, a.dtype) for a in arrays] != [(np.shape(a), a.dtype) for a in leaves]:
            raise ArgumentError(f"{self._path} is of another net: choose another file.")
        return pattern.unflatten(arrays)

    def write(self, tree: Any) -> None:
        """In the place of what was there. Raises `ArgumentError` where it cannot be written."""
        arrays = {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, head=np.array(json.dumps(self._head)), **arrays)
        try:
            write_bytes(self._path, content.getvalue())
        except OSError as error:
            raise ArgumentError(f"{self._path} cannot be written: {error.strerror}.") from None

    def _compare(self, head: dict[str, Any]) -> None:
        """With what this fit depends on."""
        for name in ("format", "tilewright"):
            if head[name] != self._head[name]:
                raise ArgumentError(
                    f"{self._path} is of another version ({head[name]}, not {self._head[name]})."
                )
        odd = {*head["settings"]} ^ {*self._head["settings"]}
        if odd:
            raise ArgumentError(
                f"{self._path} is of a fit with other settings ({', '.join(sorted(odd))}): choose "
                "another file, or remove it."
            )
        for name, value in self._head["settings"].items():
            if head["settings"][name] != value:
                raise ArgumentError(
                    f"{self._path} is of a fit with {name}={head['settings'][name]!r}, not "
                    f"{value!r}: choose another file, or remove it."
                )
        if head["data"] != self._head["data"]:
            raise ArgumentError(
                f"{self._path} is of a fit to other data: choose another file, or remove it."
            )


def digest(tree: Any) -> str:
    """Of shapes, dtypes and values."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        found.update(f"{array.shape} {array.dtype.str};".encode())
        found.update(array.tobytes())
    return found.hexdigest()
