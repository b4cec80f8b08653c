"""Batches of a run, in the order that its seed gives: images in 8 bits, soft targets, weights.

Always: a step's batch depends on the seed and the step, not on those before it, so a run can go on
from any of them. Each image comes once an epoch; what a last batch lacks to be full has weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from tilewright.vision.errors import ImageError
from tilewright.vision.inputs import Recipe, stream
from tilewright.vision.preprocessing import Preprocessing
from tilewright.vision.settings import Training
from tilewright.vision.sources import Item


class Batches:
    """Of `items` with soft targets (items, classes) and weights (items,).

    An image that cannot be read is raised, or noted in `bad` by its number and left out.
    """

    def __init__(
        self,
        items: Sequence[Item],
        targets: np.ndarray,
        weights: np.ndarray,
        prepared: Preprocessing,
        settings: Training,
        workers: int | None = None,
        on_bad: str = "raise",
    ):
        self.items, self.targets, self.weights = items, targets, weights
        self.prepared, self.settings = prepared, settings
        self.workers, self.on_bad = workers, on_bad
        self.bad: dict[int, str] = {}

    def from_step(self, done: int, wanted: int) -> Iterator[tuple[int, Any, Any, Any]]:
        """From step `done` on: images, soft targets, and a weight an image."""
        for size, steps in self._phases(done, wanted):
            order = [self._numbers(step) for step in steps]
            recipe = Recipe(self.prepared.at(size), self.settings.augment, self.settings.seed)
            one_by_one = [
                (self._epoch(step), int(number))
                for step, numbers in zip(steps, order, strict=True)
                for number in numbers
            ]
            pixels = stream(self.items, one_by_one, recipe, self.workers)
            for step, numbers in zip(steps, order, strict=True):
                yield step, *self._batch(step, numbers, size, pixels)

    def largest(self, done: int, wanted: int) -> int:
        """The side of the largest images from step `done` on, in pixels."""
        return max(size for size, _ in self._phases(done, wanted))

    def _phases(self, done: int, wanted: int) -> Iterator[tuple[int, list[int]]]:
        """Steps of one size of images after the other."""
        full = self.prepared.size
        sizes = [self.settings.size(self._epoch(step), full) for step in range(wanted)]
        for size in dict.fromkeys(sizes):
            steps = [step for step in range(done, wanted) if sizes[step] == size]
            if steps:
                yield size, steps

    def _epoch(self, step: int) -> int:
        return step // ceil(len(self.items) / self.settings.batch)

    def _numbers(self, step: int) -> np.ndarray:
        """Images of a step, each once an epoch; a last batch that is not full is shorter."""
        epoch, batch = self._epoch(step), self.settings.batch
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.items))
        at = step * batch - epoch * ceil(len(self.items) / batch) * batch
        return order[at : at + batch]

    def _batch(
        self, step: int, numbers: np.ndarray, size: int, pixels: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What cannot be read, and what a batch lacks to be full, has weight 0."""
        batch, count = self.settings.batch, self.targets.shape[1]
        images = np.zeros((batch, size, size, 3), np.uint8)
        targets, weights = np.zeros((batch, count), "f4"), np.zeros(batch, "f4")
        for row, number in enumerate(numbers):
            image = next(pixels)
            if isinstance(image, ImageError):
                self._note(int(number), image)
                continue
            images[row], targets[row] = image, self.targets[number]
            weights[row] = self.weights[number]
        if not weights.any():
            raise ImageError(f"None of the {len(numbers)} images of a batch can be read.")
        if not self.settings.frozen_norms:
            full = np.flatnonzero(weights)
            images[weights == 0] = images[np.resize(full, batch)[weights == 0]]
        return self._mixed(step, images, targets, weights)

    def _mixed(
        self, step: int, images: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each image with another of its batch, in 8 bits. Targets are mixed by weight, too: the
        loss is that of both classes, each with its own weight."""
        if not self.settings.mixup:
            return images, targets, weights
        rng = np.random.default_rng([self.settings.seed, step, 1])
        share = np.float32(rng.beta(self.settings.mixup, self.settings.mixup))
        good = np.flatnonzero(weights)
        other = rng.permutation(good)
        blend = share * images[good] + (1 - share) * images[other]
        images[good] = np.rint(blend).astype(np.uint8)
        own, others = share * weights[good], (1 - share) * weights[other]
        mixed = own[:, None] * targets[good] + others[:, None] * targets[other]
        weights[good] = own + others
        targets[good] = mixed / weights[good, None]
        return images, targets, weights

    def _note(self, number: int, error: ImageError) -> None:
        if self.on_bad == "raise":
            raise error
        self.bad[number] = str(error)
