"""A trained net with all that its answers depend on: weights, preprocessing, names of classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.answers import FEATURES, LOGITS, answers
from tilewright.vision.nets import Net, to_fields, with_classes
from tilewright.vision.preprocessing import Preprocessing


@frozen(eq=False)
class Model:
    """`weights` and `kept` as `models/` has them; `labels` (classes,), or none where nobody says.

    `source` is where the weights came from, in words.
    """

    net: Net
    weights: Any = field(repr=False)
    kept: Any = field(repr=False)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[str, ...] = field(default=(), repr=False)
    source: str = ""

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != self.net.classes:
            raise ArgumentError(
                f"labels must be {self.net.classes}, one for each class of the net, not "
                f"{len(self.labels)}."
            )

    def logits(self, images: Any, machine: str = "native") -> np.ndarray:
        """(n, classes) of images (n, size, size, 3) in 8 bits: what `preprocessing` gives."""
        return self._answers(LOGITS, images, machine)

    def features(self, images: Any, machine: str = "native") -> np.ndarray:
        """(n, channels): what the last layer reads, of the same images."""
        return self._answers(FEATURES, images, machine)

    def _answers(self, what: str, images: Any, machine: str) -> np.ndarray:
        return answers(self.net, self.preprocessing, what, self.weights, self.kept, images, machine)

    def label(self, index: int) -> str:
        """The name of a class."""
        return self.labels[index] if self.labels else f"class {index}"

    def for_classes(self, labels: Sequence[str]) -> Model:
        """The same net with a new last layer of zeros, so that all classes are as likely."""
        from tilewright.models.convolutional import Plain
        from tilewright.vision.nets import width

        net = with_classes(self.net, len(labels))
        zeros = Plain(
            np.zeros((width(net), len(labels)), np.float32), np.zeros(len(labels), np.float32)
        )
        weights = self.weights._replace(classes=zeros)
        return replace(self, net=net, weights=weights, labels=tuple(map(str, labels)))

    def at(self, size: int) -> Model:
        """The same for images of another size."""
        if size == self.preprocessing.size:
            return self
        return replace(self, preprocessing=self.preprocessing.at(size))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that features depend on: net, preprocessing, weights but the last layer's.

        The same weights under another name have the same one.
        """
        import jax

        net = {**to_fields(self.net), "classes": 0}
        text = json.dumps([net, self.preprocessing.fields()], sort_keys=True)
        found = hashlib.sha256(text.encode())
        for leaf in jax.tree.leaves((self.weights._replace(classes=None), self.kept)):
            found.update(np.ascontiguousarray(leaf).tobytes())
        return found.hexdigest()
