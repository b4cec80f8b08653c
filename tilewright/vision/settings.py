"""What a run of training is: everything that its result depends on, beside net and images."""

from __future__ import annotations

from dataclasses import field
from math import ceil
from typing import Any

from tilewright.checks import is_number, is_whole, whole
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.augment import Augment

HEAD, BLOCKS, WHOLE = STAGES = ("head", "blocks", "whole")
ADAMW, SGD = OPTIMISERS = ("adamw", "sgd")
FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")
RATES = {ADAMW: 1e-3, SGD: 1e-3}
"""Where none is given. Trained nets' features are hundreds long, squared, and momentum multiplies a
rate by ten: five times SGD's, and the last blocks of lite0 lose what they know in a few steps."""
FULL_SIZE = 0.25
"""Share of the epochs, the last ones, that are at full size where `train_size` is smaller."""


@frozen
class Training:
    """Settings of a run. `blocks`: how many of the last ones the stage "blocks" trains.

    `rate`: the highest learning rate, reached after `warmup` of all steps, then a cosine to 0.
    `ema`: decay of the mean of weights, and of norms' statistics where these move, that is the
    result (0: the last ones are). `smoothing`: share of a target that goes to all classes alike.
    `mixup`: the Beta's parameter (Zhang et al. 2018), 0 for none. `frozen_norms`: statistics,
    scales and shifts of norms stay as they are.
    `micro_batch`: how many images go through the net at once, of a batch whose gradients are added
    up in their order (None: one with frozen norms, otherwise all, as they see each other there).
    `precision`: what products and convolutions read, rounded to it; their sums, all between them,
    the weights and the optimiser's state stay in float32.
    """

    stage: str = HEAD
    blocks: int = 3
    epochs: int = 10
    batch: int = 32
    optimiser: str = ADAMW
    rate: float | None = None
    decay: float = 1e-2
    warmup: float = 0.1
    ema: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0
    frozen_norms: bool = True
    micro_batch: int | None = None
    train_size: int | None = None
    precision: str = FLOAT32
    augment: Augment = field(default_factory=Augment)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `ArgumentError` for what cannot be."""
        choices = ("stage", STAGES), ("optimiser", OPTIMISERS), ("precision", PRECISIONS)
        for name, known in choices:
            if getattr(self, name) not in known:
                found = getattr(self, name)
                raise ArgumentError(f"{name} must be one of {', '.join(known)}, not {found!r}.")
        for name in ("blocks", "epochs", "batch"):
            whole(name, getattr(self, name), 1)
        whole("seed", self.seed, 0, most=None)
        if self.train_size is not None:
            whole("train_size", self.train_size, 1)
        for name in ("warmup", "ema", "smoothing"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < 1:
                raise ArgumentError(f"{name} must be 0 or more, and below 1, not {value!r}.")
        for name in ("decay", "mixup"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < float("inf"):
                raise ArgumentError(f"{name} must be 0 or more, not {value!r}.")
        if self.micro_batch is not None:
            self._check_micro_batch(self.micro_batch)
        rate = self.rate
        if rate is not None and not (is_number(rate) and 0 < rate < float("inf")):
            raise ArgumentError(f"learning_rate must be above 0, not {rate!r}.")

    def _check_micro_batch(self, count: Any) -> None:
        if not is_whole(count) or not 1 <= count <= self.batch or self.batch % count:
            raise ArgumentError(
                f"micro_batch must divide the batch of {self.batch} images, not {count!r}."
            )
        if not self.frozen_norms:
            raise ArgumentError(
                "micro_batch needs frozen_norms: norms by a batch's statistics take it as a whole."
            )

    def check_size(self, full: int) -> None:
        """Raises `ArgumentError` where images begin larger than the `full` pixels of the end."""
        if self.train_size is not None and self.train_size > full:
            raise ArgumentError(
                f"train_size must be no larger than the {full} pixels of the net's images, not "
                f"{self.train_size}."
            )

    def steps(self, images: int) -> int:
        """Of the whole run."""
        return self.epochs * ceil(images / self.batch)

    def size(self, epoch: int, full: int) -> int:
        """Side of images in an epoch."""
        if self.train_size is None or epoch >= self.epochs - ceil(FULL_SIZE * self.epochs):
            return full
        return self.train_size
