"""The state of a run on the disk: killed at any moment, it goes on from there to the same bits.

In: a tree of arrays, how many steps are done, the losses. Out: one `.npz`, replaced as a whole. A
file belongs to one run: settings, net and images of another are refused by the first difference.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import tilewright
from tilewright.alpha.identity import difference
from tilewright.errors import ArgumentError
from tilewright.files import write_bytes

SECONDS = 20.0
"""Between two, at least."""


def check_place(path: Any) -> None:
    """Raises `ArgumentError` for what is no path, or a place where there is no folder for it."""
    if not isinstance(path, str | Path):
        raise ArgumentError(f"checkpoint must be a path, not {type(path).__name__}.")
    if not Path(path).parent.is_dir():
        raise ArgumentError(f"There is no folder {Path(path).parent}.")


class Checkpoint:
    """A file for the run that `identity` describes."""

    def __init__(self, path: Path, identity: dict[str, Any], seconds: float = SECONDS):
        self.path, self.seconds, self._last = path, seconds, time.monotonic()
        whole = {"tilewright": tilewright.__version__, **identity}
        self.identity = json.loads(json.dumps(whole, default=float))

    @property
    def is_due(self) -> bool:
        """Whether the last one is long ago."""
        return time.monotonic() - self._last >= self.seconds

    def save(self, state: Any, done: int, losses: list[float], now: bool = False) -> None:
        """Write it, if it is time, or `now`. Raises OSError that names the file."""
        import jax

        if not now and not self.is_due:
            return
        leaves = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            identity=np.array(json.dumps(self.identity)),
            done=np.array(done),
            losses=np.array(losses),
            **leaves,  # type: ignore[arg-type]
        )
        write_bytes(self.path, content.getvalue())
        self._last = time.monotonic()

    def load(self, start: Any) -> tuple[Any, int, list[float]]:
        """State, steps and losses so far; `start` and none where there is no file.

        Raises `ArgumentError` for a file of another run, and for one that is damaged.
        """
        import jax

        if not self.path.exists():
            return start, 0, []
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as file:
                found = dict(file)
            identity = json.loads(str(found["identity"]))
            leaves = [found[f"leaf{i}"] for i in range(sum(k.startswith("leaf") for k in found))]
            done, losses = int(found["done"]), found["losses"].tolist()
        except Exception:  # NumPy and its archives have no class of their own for what is damaged
            identity = None
        if identity is None:
            raise ArgumentError(f"{self.path} is not a checkpoint that can be read: remove it.")
        differs = difference(identity, self.identity)
        if differs:
            raise ArgumentError(f"{self.path} belongs to another run ({differs}).")
        wanted = jax.tree.structure(start).num_leaves
        if len(leaves) != wanted:  # means of statistics of norms were not kept once
            raise ArgumentError(
                f"{self.path} is of another version: it holds {len(leaves)} arrays, not {wanted}. "
                "Remove it."
            )
        return jax.tree.unflatten(jax.tree.structure(start), leaves), done, losses
