"""`Snapshot`: the state of one stream, to be put back, here or in another process.

In: a running net's arrays. Out: the same, with a mark of the model and of the way it was run, so
that no state gets into another's place. In a file it is an `.npz` without pickles.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.files import write_bytes
from tilewright.frozen import frozen

FORMAT = "tilewright state 2"


@frozen(eq=False)
class Snapshot:
    """`arrays` are the state's leaves for one stream; `last` its last finite tick (inputs,).

    `model` is `Model.fingerprint`, `precision` and `kind` how it is run; `ticks` have been seen.
    """

    model: str
    precision: str
    kind: str
    arrays: tuple[np.ndarray, ...]
    last: np.ndarray
    ticks: int

    def save(self, path: str | os.PathLike[str]) -> None:
        """Leave it in a file, which is replaced whole."""
        named: dict[str, Any] = {f"state{i}": array for i, array in enumerate(self.arrays)}
        named |= {
            "about": np.array([FORMAT, self.model, self.precision, self.kind]),
            "last": self.last,
        }
        data = io.BytesIO()
        np.savez(data, ticks=np.int64(self.ticks), **named)
        write_bytes(Path(path), data.getvalue())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Snapshot:
        """Raises ArgumentError for what `save` did not write, OSError where there is no file."""
        content = Path(path).read_bytes()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                about, found = file["about"], {name: file[name] for name in file.files}
            form, model, precision, kind = map(str, about)
            if form != FORMAT:
                raise ValueError(f"format {form!r}")
            count = len(found) - 3
            arrays = tuple(found[f"state{i}"] for i in range(count))
            return Snapshot(model, precision, kind, arrays, found["last"], int(found["ticks"]))
        # What a ZIP file and arrays that are damaged, or are none, raise.
        except (
            KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, OSError,
            NotImplementedError, RuntimeError, OverflowError,
        ) as error:  # fmt: skip
            raise ArgumentError(f"{path} holds no state of a stream ({error}).") from None
