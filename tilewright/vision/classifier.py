"""Images by class: a trained net's features with logistic regression on them, or the net itself.

In: images in any form (`sources.py`) and a label each. Out: classes and probabilities. The stages
are in the order of what they cost, and each starts from the one before:

    "features"   each image is looked at once, then logistic regression
    "head"       the last layer alone, on changed images
    "blocks"     the last blocks as well
    "whole"      everything

After any of them `compare` says what it is worth beside the majority class and logistic regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from tilewright.checks import is_number, whole
from tilewright.errors import ArgumentError
from tilewright.vision.augment import Augment
from tilewright.vision.checkpoint import Checkpoint, check_place
from tilewright.vision.columns import column, complete, moments
from tilewright.vision.comparison import Comparison, compared
from tilewright.vision.errors import ImageError
from tilewright.vision.features import ON_BAD, Extracted, extracted
from tilewright.vision.inputs import Recipe, stream
from tilewright.vision.linear import fit_linear
from tilewright.vision.loading import load
from tilewright.vision.measures import temperature
from tilewright.vision.model import Model
from tilewright.vision.predicted import softmax
from tilewright.vision.settings import BFLOAT16, STAGES, Training
from tilewright.vision.sources import Item, content_of, items_of, labelled_folder
from tilewright.vision.splits import hold_out
from tilewright.vision.training import Trainer

FEATURES = "features"
FEW = 20
"""Images that are not worth holding some out."""
BLOCK = 64
"""Images in memory at a time."""


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """Classes of images, from a net that was trained on others.

    X is a folder with a folder for each class (then y is left out), paths, a data frame with a
    column of paths, or arrays (n, h, w[, channels]); y has one label an image.

    Parameters
    ----------
    net : what `tilewright.vision.load` takes: "lite0", a file, a state dict, a `Model`.
    stage : "features", "head", "blocks" or "whole", see above. blocks : how many of the last ones.
    size : side of the images in pixels, the net's own where it is None. train_size : a smaller one
        for all but the last quarter of the epochs.
    epochs, batch, optimiser ("adamw" or "sgd"), learning_rate, weight_decay, warmup, ema,
    smoothing, mixup, frozen_norms, micro_batch : see `settings.Training`.
    precision : "float32", or "bfloat16": products and convolutions of a step of training read
        numbers rounded to it; weights, sums and answers stay in float32. Not with machine="xla".
    class_weight : None, "balanced", or a weight for each label; from one of weight 0 nothing is
        learned.
    flip, crop, colour : see `augment.Augment`.
    validation : share of the images that choose the penalty and the temperature, and train nothing.
    on_bad : "raise" for the first image that cannot be read in `fit`, or "skip" all of them.
    workers : processes that decode, None for as many as suit. cache : keep features by content.
    checkpoint : a file from which a run that was killed goes on, to the same bits.
    machine : "native", or "xla" for JAX's default device. random_state : a whole number.

    Attributes: `classes_`, `model_` (its probabilities are calibrated: the temperature is part of
    the last layer), `frozen_` (the same of the stage "features"), `temperature_`, `penalty_`,
    `losses_` (of each step), `shares_` (of each class in training), `skipped_` (what was wrong with
    images that were left out).
    """

    def __init__(
        self,
        net: Any = "lite0",
        stage: str = FEATURES,
        blocks: int = 3,
        size: int | None = None,
        train_size: int | None = None,
        epochs: int = 10,
        batch: int = 32,
        optimiser: str = "adamw",
        learning_rate: float | None = None,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        ema: float = 0.0,
        smoothing: float = 0.0,
        mixup: float = 0.0,
        frozen_norms: bool = True,
        micro_batch: int | None = None,
        precision: str = "float32",
        class_weight: Any = None,
        flip: str = "horizontal",
        crop: float = 0.6,
        colour: float = 0.0,
        validation: float = 0.15,
        on_bad: str = "raise",
        workers: int | None = None,
        cache: bool = True,
        checkpoint: str | Path | None = None,
        machine: str = "native",
        random_state: int = 0,
    ):
        self.net = net
        self.stage = stage
        self.blocks = blocks
        self.size = size
        self.train_size = train_size
        self.epochs = epochs
        self.batch = batch
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.ema = ema
        self.smoothing = smoothing
        self.mixup = mixup
        self.frozen_norms = frozen_norms
        self.micro_batch = micro_batch
        self.precision = precision
        self.class_weight = class_weight
        self.flip = flip
        self.crop = crop
        self.colour = colour
        self.validation = validation
        self.on_bad = on_bad
        self.workers = workers
        self.cache = cache
        self.checkpoint = checkpoint
        self.machine = machine
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any = None, groups: Any = None, times: Any = None, watch: Any = None
    ) -> Self:
        """Train on images X with labels y, or on a folder of folders.

        `groups` (n,): images of one group stay together where some are held out for validation;
        `times` (n,): the newest are held out. `watch` is told of progress, see `Watching`.

        Raises `ArgumentError`, one sentence, for images, labels or settings that cannot be used.
        """
        watch = watch or Watching()
        settings = self.settings()
        items, labels = _labelled(X, y)
        groups = None if groups is None else column("groups", groups, len(items))
        times = None if times is None else moments("times", times, len(items))
        model = load(self.net)
        model = model if self.size is None else model.at(self.size)
        if settings is not None:
            settings.check_size(model.preprocessing.size)
        seen = extracted(
            model, items, self.machine, self.workers, self.on_bad, self.cache, watch.features
        )
        self.skipped_ = list(seen.bad)
        items, labels = [items[i] for i in seen.good], labels[seen.good]
        self.classes_, classes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ArgumentError(f"y must have 2 classes or more, not {len(self.classes_)}.")
        self.shares_ = np.bincount(classes) / len(classes)
        weights = self._weights(classes)
        kept = [None if part is None else part[seen.good] for part in (groups, times)]
        rest, held = (part[weights[part] > 0] for part in self._held_out(classes, *kept))
        layer, self.penalty_ = fit_linear(
            seen.rows[rest], classes[rest], len(self.classes_), weights[rest],
            seen.rows[held], classes[held],
        )  # fmt: skip
        frozen = model.for_classes([str(c) for c in self.classes_])
        frozen = _with_layer(frozen, layer)
        learned, came = np.unique(classes[rest]), classes[held]
        self.frozen_, cool = _calibrated(frozen, _last(frozen, seen.rows[held]), came, learned)
        if settings is None:
            self.model_, self.temperature_, self.losses_ = self.frozen_, cool, []
            return self
        trained = self._trained(frozen, settings, items, rest, classes, weights, watch)
        logits = self._logits(trained, [items[i] for i in held])
        self.model_, self.temperature_ = _calibrated(trained, logits, came, learned)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, classes), in the order of `classes_`.

        Raises `ImageError` that names the first image that cannot be read.
        """
        check_is_fitted(self)
        return softmax(self._answers(self.model_, items_of(X)))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each image (n,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def compare(self, X: Any, y: Any = None, groups: Any = None) -> Comparison:
        """What the net is worth on images that it has not seen, beside simpler things.

        `groups` (n,): images that are no independent witnesses, for the standard errors.
        """
        check_is_fitted(self)
        items, labels = _labelled(X, y)
        groups = None if groups is None else column("groups", groups, len(items))
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        unseen = next((label for label in labels.tolist() if label not in numbers), None)
        if unseen is not None:
            raise ArgumentError(f"y has a label that was not in training: {unseen!r}.")
        classes = np.array([numbers[label] for label in labels.tolist()])
        shares = {"frozen": softmax(self._answers(self.frozen_, items))}
        if self.model_ is not self.frozen_:
            shares["net"] = softmax(self._answers(self.model_, items))
        return compared(self.shares_, shares, classes, self.stage, groups)

    def settings(self) -> Training | None:
        """Of the training, with every parameter checked; None for the stage "features"."""
        if self.stage not in (FEATURES, *STAGES):
            known = ", ".join((FEATURES, *STAGES))
            raise ArgumentError(f"stage must be one of {known}, not {self.stage!r}.")
        if self.on_bad not in ON_BAD:
            raise ArgumentError(f"on_bad must be raise or skip, not {self.on_bad!r}.")
        if not is_number(self.validation) or not 0 <= self.validation < 1:
            raise ArgumentError(
                f"validation must be 0 or more, and below 1, not {self.validation!r}."
            )
        if self.size is not None:
            whole("size", self.size, 1)
        if self.workers is not None:
            whole("workers", self.workers, 0)
        whole("random_state", self.random_state, 0, most=None)
        if self.checkpoint is not None:
            check_place(self.checkpoint)
        settings = Training(
            stage=STAGES[0] if self.stage == FEATURES else self.stage,
            blocks=self.blocks,
            epochs=self.epochs,
            batch=self.batch,
            optimiser=self.optimiser,
            rate=self.learning_rate,
            decay=self.weight_decay,
            warmup=self.warmup,
            ema=self.ema,
            smoothing=self.smoothing,
            mixup=self.mixup,
            frozen_norms=self.frozen_norms,
            micro_batch=self.micro_batch,
            precision=self.precision,
            train_size=self.train_size,
            augment=Augment(self.flip, self.crop, self.colour),
            seed=self.random_state,
        )
        if settings.precision == BFLOAT16 and self.machine == "xla":
            raise ArgumentError('precision="bfloat16" is for machine="native", not "xla".')
        return None if self.stage == FEATURES else settings

    def _weights(self, classes: np.ndarray) -> np.ndarray:
        """Of each image, by its class; nothing is learned from those of weight 0."""
        given = self.class_weight
        if isinstance(given, Mapping):
            missing = next((c for c in self.classes_.tolist() if c not in given), None)
            if missing is not None:
                raise ArgumentError(f"class_weight has no weight for {missing!r}.")
            labels = enumerate(self.classes_.tolist())
            given = {number: given[label] for number, label in labels}
            for weight in given.values():
                if not is_number(weight) or not 0 <= weight < np.inf:
                    raise ArgumentError(
                        f"class_weight must hold numbers of 0 or more, not {weight!r}."
                    )
            if sum(weight > 0 for weight in given.values()) < 2:
                raise ArgumentError("class_weight must be above 0 for 2 classes or more.")
        elif given not in (None, "balanced"):
            raise ArgumentError(
                f'class_weight must be None, "balanced" or a weight for each label, not {given!r}.'
            )
        numbers = np.arange(len(self.classes_))
        return compute_class_weight(given, classes=numbers, y=classes)[classes]

    def _held_out(self, classes: np.ndarray, groups: Any, times: Any) -> Any:
        """(rest, held); of few images none is held out."""
        everything = np.arange(len(classes))
        if not self.validation or len(classes) < FEW:
            return everything, everything[:0]
        rest, held = hold_out(classes, self.validation, self.random_state, groups, times)
        if len(np.unique(classes[rest])) < len(self.classes_):
            raise ArgumentError(
                "A class would be held out whole: give validation=0, or more images of it."
            )
        return rest, held

    def _trained(
        self,
        frozen: Model,
        settings: Training,
        items: list[Item],
        rest: np.ndarray,
        classes: np.ndarray,
        weights: np.ndarray,
        watch: Any,
    ) -> Model:
        some = [items[i] for i in rest]
        trainer = Trainer(
            frozen, settings, some, classes[rest], weights[rest],
            self.workers, self.machine, self.on_bad,
        )  # fmt: skip
        checkpoint = None
        if self.checkpoint is not None:
            identity = trainer.identity([content_of(item) for item in some])
            checkpoint = Checkpoint(Path(self.checkpoint), identity)
        trained = trainer.run(checkpoint, watch.steps, watch.ends)
        self.losses_ = trainer.losses
        return trained

    def _answers(self, model: Model, items: list[Item]) -> np.ndarray:
        """Logits; of frozen features by way of the cache."""
        if model is self.frozen_:
            return _last(model, self._features(model, items).rows)
        return self._logits(model, items)

    def _features(self, model: Model, items: list[Item]) -> Extracted:
        return extracted(model, items, self.machine, self.workers, cache=self.cache)

    def _logits(self, model: Model, items: list[Item]) -> np.ndarray:
        rows = [np.empty((0, model.net.classes), np.float32)]
        wanted = [(0, number) for number in range(len(items))]
        pixels = stream(items, wanted, Recipe(model.preprocessing), self.workers)
        for at in range(0, len(items), BLOCK):
            images = [next(pixels) for _ in items[at : at + BLOCK]]
            for image in images:
                if isinstance(image, ImageError):
                    raise image
            rows.append(model.logits(np.stack(images), self.machine))  # type: ignore[arg-type]
        return np.concatenate(rows)


class Watching:
    """What `fit` tells as it goes; this one does nothing with it."""

    def features(self, done: int, wanted: int) -> None:
        """So many of the images that are new have been looked at."""

    def steps(self, done: int, wanted: int, loss: float) -> None:
        """A step of training."""

    def ends(self) -> bool:
        """Asked after each step: whether to end here."""
        return False


def _labelled(X: Any, y: Any) -> tuple[list[Item], np.ndarray]:
    """Items and their labels."""
    if isinstance(X, str | Path):
        if y is not None:
            raise ArgumentError("X is a folder, whose folders are the labels: leave out y.")
        files, labels = labelled_folder(X)
        return list(files), labels
    items = items_of(X)
    if y is None:
        raise ArgumentError("y is missing: only a folder of folders has labels of its own.")
    labels = np.asarray(y)
    if labels.shape != (len(items),):
        shape = "x".join(map(str, labels.shape)) or "one value"
        raise ArgumentError(f"y must have one label for each of {len(items)} images, not {shape}.")
    if not items:
        raise ArgumentError("X holds no images.")
    return items, complete("y", labels)


def _with_layer(model: Model, layer: Any) -> Model:
    return replace(model, weights=model.weights._replace(classes=layer))


def _last(model: Model, rows: np.ndarray) -> np.ndarray:
    """Logits of features."""
    layer = model.weights.classes
    return rows @ layer.kernel + layer.shift


def _calibrated(
    model: Model, logits: np.ndarray, came: np.ndarray, learned: np.ndarray
) -> tuple[Model, float]:
    """The model with the temperature in its last layer, and the temperature, by the classes of
    which something was learned."""
    given = logits[:, learned].astype(np.float64)
    cool = temperature(given, np.searchsorted(learned, came)) if len(came) else 1.0
    layer = model.weights.classes
    scaled = type(layer)(*(np.float32(np.asarray(part) / cool) for part in layer))
    return _with_layer(model, scaled), cool
