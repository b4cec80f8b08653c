"""A net trained further: steps over batches, with checkpoints between.

In: a model, settings, images and their classes. Out: the model after it. Always: the same settings
and images give the same bits, on any number of cores and of worker processes, and after a kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.vision import nets
from tilewright.vision.batches import Batches
from tilewright.vision.checkpoint import Checkpoint
from tilewright.vision.model import Model
from tilewright.vision.settings import Training
from tilewright.vision.sources import Item
from tilewright.vision.step import Step

REMEDY = "a smaller learning_rate would help"
Watcher = Callable[[int, int, float], None]
"""Told of each step: how many are done, of how many, and the loss."""


class Trainer:
    """One run over one set of images: `classes` (images,) by number, `weights` (images,)."""

    def __init__(
        self,
        model: Model,
        settings: Training,
        items: Sequence[Item],
        classes: np.ndarray,
        weights: np.ndarray,
        workers: int | None = None,
        machine: str = "native",
        on_bad: str = "raise",
    ):
        settings.check_size(model.preprocessing.size)
        self.model, self.settings = model, settings
        self.steps = settings.steps(len(items))
        self.step = Step(model, settings, self.steps, machine)
        targets = _soft(classes, model.net.classes, settings.smoothing)
        self.batches = Batches(
            items,
            targets,
            np.asarray(weights, np.float32),
            model.preprocessing,
            settings,
            workers,
            on_bad,
        )
        self.losses: list[float] = []

    def identity(self, contents: Sequence[str]) -> dict[str, Any]:
        """All that the result depends on, `contents` being digests of the images."""
        found = hashlib.sha256("".join(contents).encode())
        last = self.model.weights.classes
        for array in (self.batches.targets, self.batches.weights, last.kernel, last.shift):
            found.update(np.ascontiguousarray(array).tobytes())
        return {
            "settings": asdict(self.settings),
            "net": nets.to_fields(self.model.net),
            "weights": self.model.fingerprint,
            "images": found.hexdigest(),
            "machine": self.step.machine,
        }

    def run(
        self,
        checkpoint: Checkpoint | None = None,
        watch: Watcher = lambda done, wanted, loss: None,
        until: Callable[[], bool] = lambda: False,
    ) -> Model:
        """Train from the checkpoint, or from the start, to the end; `until` may end it sooner.

        Raises `CapacityError` where a step does not fit this machine's memory, `ArgumentError`
        where losses or weights leave what float32 holds.
        """
        step = self.step
        begun = step.start(), 0, []
        step.state, done, self.losses = begun if checkpoint is None else checkpoint.load(begun[0])
        if done < self.steps:  # what does not fit memory is said before a batch is made
            step.program(self.batches.largest(done, self.steps))
        for number, images, *rest in self.batches.from_step(done, self.steps):
            self.losses.append(step.take(images, *rest))
            if not np.isfinite(self.losses[-1]):
                raise ArgumentError(f"The loss of step {number + 1} is not finite: {REMEDY}.")
            watch(number + 1, self.steps, self.losses[-1])
            ends = number + 1 == self.steps or until()
            if checkpoint is not None and (ends or checkpoint.is_due):
                checkpoint.save(step.state, number + 1, self.losses, now=ends)
            if ends:
                break
        state = step.state
        if not all(np.isfinite(leaf).all() for leaf in (*state.weights, *state.mean)):
            raise ArgumentError(f"Weights are not finite after the last step: {REMEDY}.")
        return step.finished(state)


def _soft(classes: np.ndarray, count: int, smoothing: float) -> np.ndarray:
    """Targets (images, classes): a share goes to all classes alike (Szegedy et al. 2016)."""
    return ((1 - smoothing) * np.eye(count)[classes] + smoothing / count).astype(np.float32)
