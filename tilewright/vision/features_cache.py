"""Features of images that were seen before, by what the image holds and what the net is.

In: keys (SHA-256 of a file's bytes or of an array) under a model's fingerprint. Out: rows of
float32. A database of SQLite in the folder of the object cache; several processes may use it, and
the oldest rows make room for new ones. It is only a cache: where it cannot be used, it is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

import tilewright
from tilewright.env import ENVIRONMENT
from tilewright.files import usable_folder

NAME, SECONDS, SOME = "features.sqlite", 10.0, 500
TABLE = (
    "CREATE TABLE IF NOT EXISTS features (net TEXT, image TEXT, row BLOB, PRIMARY KEY (net, image))"
)


class FeaturesCache:
    """Of one model. `folder` None: nothing is kept."""

    def __init__(
        self,
        fingerprint: str,
        folder: Path | None = ENVIRONMENT.cache,
        most_bytes: int = ENVIRONMENT.cache_bytes,
    ):
        self.net = f"{tilewright.__version__} {fingerprint}"
        self.most = most_bytes
        usable = folder is not None and usable_folder(folder)
        self.path = folder / NAME if folder is not None and usable else None

    def get(self, images: Sequence[str]) -> dict[str, np.ndarray]:
        """Rows of the images that are known."""
        found: dict[str, np.ndarray] = {}
        try:
            with closing(self._opened()) as base:
                for at in range(0, len(images), SOME):
                    some = images[at : at + SOME]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT image, row FROM features WHERE net = ? AND image IN ({marks})"
                    for image, row in base.execute(query, (self.net, *some)):
                        found[image] = np.frombuffer(row, np.float32)
        except sqlite3.Error:
            return {}
        return found

    def put(self, rows: Mapping[str, np.ndarray]) -> None:
        """Keep these, and let the oldest go where there are too many."""
        blobs = [(self.net, image, np.float32(row).tobytes()) for image, row in rows.items()]
        try:
            with closing(self._opened()) as base, base:
                base.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", blobs)
                (held,) = base.execute(
                    "SELECT coalesce(sum(length(row)), 0) FROM features"
                ).fetchone()
                if held > self.most:
                    base.execute(
                        "DELETE FROM features WHERE rowid IN (SELECT rowid FROM features "
                        "ORDER BY rowid LIMIT (SELECT count(*) / 2 FROM features))"
                    )
        except sqlite3.Error:
            return

    def _opened(self) -> sqlite3.Connection:
        if self.path is None:
            raise sqlite3.OperationalError("no folder")
        base = sqlite3.connect(self.path, timeout=SECONDS)
        base.execute(TABLE)
        return base
