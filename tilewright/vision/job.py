"""A job from images to a page: split, features, training, what it is worth, files.

    job.json            settings, data and version: everything that the result depends on
    plan.json           how many epochs were settled on, where there is a time limit
    checkpoint.npz      the state of training, so that the same command goes on after a kill
    model.safetensors   the net with preprocessing and classes, its probabilities calibrated
    predictions.csv, scores.csv, summary.json, report.html     written at the end

A folder serves one job only. Features are kept by content in the cache, so they are not looked at
again either.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import tilewright
from tilewright.alpha.identity import difference
from tilewright.errors import ArgumentError
from tilewright.files import write_text
from tilewright.frozen import frozen
from tilewright.vision.activation import activation_maps
from tilewright.vision.classifier import FEATURES, ImageClassifier
from tilewright.vision.comparison import Comparison
from tilewright.vision.datasets import Data
from tilewright.vision.features import extracted
from tilewright.vision.inputs import Recipe
from tilewright.vision.layers import LayerTime, layer_times
from tilewright.vision.loading import load
from tilewright.vision.model import Model
from tilewright.vision.sources import content_of
from tilewright.vision.splits import hold_out

MOST_EPOCHS = 30
BACKWARD = 2.0
"""What training on an image takes of what looking at it takes: last blocks, by measurement."""
SHOWN = 12
OURS = {"job.json", "plan.json", "checkpoint.npz", "model.safetensors", "lock"}


@frozen
class Plan:
    """`test`: share that is held out to the end. `seconds`: limit of the whole job, or None."""

    stage: str = "blocks"
    net: str = "lite0"
    test: float = 0.2
    seconds: float | None = None
    layers: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    epochs: int = 10
    """Where there is no limit of time."""

    def identity(self) -> dict[str, Any]:
        """What the result depends on."""
        names = ("stage", "net", "test", "seed", "options", "epochs")
        found = {name: getattr(self, name) for name in names}
        return found | {"time limit": self.seconds}

    def check(self) -> None:
        """Raise `ArgumentError` for what cannot be run, before anything is looked at."""
        ImageClassifier(stage=self.stage, **self.options).settings()
        if not 0 < self.test < 1:
            raise ArgumentError(f"test must be between 0 and 1, not {self.test!r}.")


@frozen
class Shown:
    """An image of the test part with its map: what came, and how likely it was held to be."""

    image: np.ndarray
    heat: np.ndarray
    came: str
    said: str
    share: float


@frozen
class Outcome:
    """All that the page is made of."""

    data: Data
    plan: Plan
    classifier: ImageClassifier
    comparison: Comparison
    tested: np.ndarray
    """Numbers of the items that were tested."""
    trained: int
    shown: tuple[Shown, ...]
    layers: tuple[LayerTime, ...]
    rate: float
    """Images a second, all cores, looked at in blocks."""
    epochs: int
    ended_early: bool
    skipped: tuple[str, ...]


class Watcher(Protocol):
    """Hears what the job does, and ends training once `deadline` (monotonic seconds) is over."""

    deadline: float | None
    ended: bool

    def stage(self, text: str) -> None: ...
    def features(self, done: int, wanted: int) -> None: ...
    def steps(self, done: int, wanted: int, loss: float) -> None: ...
    def ends(self) -> bool: ...


def open_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Make the folder of a job, or go on in it.

    Raises `ArgumentError` when it holds something else, before anything is written.
    """
    path = folder / "job.json"
    wanted = json.loads(json.dumps({"tilewright": tilewright.__version__, **identity}))
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            raise ArgumentError(f"{path} cannot be read: choose another folder.") from None
        differs = difference(found, wanted)
        if differs:
            raise ArgumentError(f"The folder {folder} belongs to another job ({differs}).")
    elif folder.exists() and (
        not folder.is_dir() or any(p.name not in OURS for p in folder.iterdir())
    ):
        raise ArgumentError(f"{folder} holds other things: choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(wanted, indent=2))


def run(folder: Path, data: Data, plan: Plan, watcher: Watcher) -> Outcome:
    """The whole job in a folder that `open_folder` has opened. Raises `ArgumentError`."""
    began = time.monotonic()
    model = _prepared(load(plan.net), data, plan)
    watcher.stage("looking at images")
    on_bad = plan.options.get("on_bad", "raise")
    seen = extracted(model, data.items, on_bad=on_bad, seen=watcher.features)
    data = _only(data, seen.good)
    rate = _rate(model, data)
    names, classes = np.unique(data.labels, return_inverse=True)
    if len(names) < 2:
        raise ArgumentError(f"There must be 2 classes or more, not {len(names)}.")
    rest, tested = hold_out(classes, plan.test, plan.seed, data.groups, data.times)
    left = None if plan.seconds is None else plan.seconds - (time.monotonic() - began)
    epochs = _epochs(folder, plan, len(rest), rate, left)
    watcher.deadline = None if plan.seconds is None else began + 0.8 * plan.seconds
    stage = plan.stage if epochs else FEATURES
    watcher.stage("logistic regression" if stage == FEATURES else f"training ({stage})")
    classifier = ImageClassifier(
        model, stage, epochs=max(1, epochs), random_state=plan.seed,
        checkpoint=folder / "checkpoint.npz", **plan.options,
    )  # fmt: skip
    groups, times = (None if c is None else c[rest] for c in (data.groups, data.times))
    classifier.fit([data.items[i] for i in rest], data.labels[rest], groups, times, watcher)
    watcher.stage("what it is worth")
    test_groups = None if data.groups is None else data.groups[tested]
    items = [data.items[i] for i in tested]
    comparison = classifier.compare(items, data.labels[tested], test_groups)
    watcher.stage("where it looked")
    shown = _shown(classifier, data, tested, comparison)
    layers = layer_times(classifier.model_) if plan.layers else []
    return Outcome(
        data, plan, classifier, comparison, tested, len(rest), shown, tuple(layers), rate,
        0 if stage == FEATURES else epochs, watcher.ended, seen.bad,
    )  # fmt: skip


def identity_of(data: Data, plan: Plan) -> dict[str, Any]:
    """What the result depends on; files that cannot be read count by their names."""
    found = hashlib.sha256("\0".join(map(str, data.labels)).encode())
    for column in (data.groups, data.times):
        found.update(b"" if column is None else np.asarray(column).astype(str).tobytes())
    for item in data.items:
        try:
            found.update(content_of(item).encode())
        except ArgumentError:
            found.update(str(item).encode())
    return {"data": found.hexdigest(), **plan.identity()}


def _prepared(model: Model, data: Data, plan: Plan) -> Model:
    """Images that are cut to their subject lose nothing at the rim."""
    size = plan.options.get("size") or model.preprocessing.size
    if not data.whole:
        return model.at(size)
    return replace(model, preprocessing=replace(model.preprocessing, size=size, resize=size))


def _only(data: Data, good: np.ndarray) -> Data:
    columns = (None if c is None else c[good] for c in (data.groups, data.times))
    groups, times = columns
    items = [data.items[i] for i in good]
    return replace(data, items=items, labels=data.labels[good], groups=groups, times=times)


def _rate(model: Model, data: Data) -> float:
    """Images a second; the first block compiles and binds."""
    pixels = Recipe(model.preprocessing).pixels(data.items[0], 0, 0)
    block = np.repeat(np.asarray(pixels)[None], 16, axis=0)
    model.features(block)
    start = time.monotonic()
    model.features(block)
    return len(block) / (time.monotonic() - start)


def _epochs(folder: Path, plan: Plan, images: int, rate: float, left: float | None) -> int:
    """As many as the limit allows, settled once; 0 where it allows none."""
    if plan.stage == FEATURES:
        return 0
    if left is None:
        return plan.epochs
    path = folder / "plan.json"
    if path.exists():
        try:
            return int(json.loads(path.read_text())["epochs"])
        except (ValueError, KeyError, TypeError):
            path.unlink()
    epochs = min(MOST_EPOCHS, int(0.6 * left * rate / ((1 + BACKWARD) * images)))
    if epochs == 0 and left * rate > 5 * images / 2:
        epochs = 1  # as many steps of it as fit
    write_text(path, json.dumps({"epochs": epochs}))
    return epochs


def _shown(
    classifier: ImageClassifier, data: Data, tested: np.ndarray, found: Comparison
) -> tuple[Shown, ...]:
    """Half of them right, half wrong, each the surest of its kind, with maps of what was said."""
    shares = found.shares[found.rows[-1].name]
    said, sure = shares.argmax(axis=1), shares.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    right = _by_turns(order[said[order] == found.came[order]], said, SHOWN // 2)
    wrong = order[said[order] != found.came[order]][: SHOWN // 2]
    chosen = np.array([*right, *wrong], int)
    model = classifier.model_
    recipe = Recipe(model.preprocessing)
    images = np.stack([np.asarray(recipe.pixels(data.items[i], i, 0)) for i in tested[chosen]])
    heats = activation_maps(model, images, said[chosen])
    names = classifier.classes_
    return tuple(
        Shown(image, heat, str(names[found.came[i]]), str(names[said[i]]), float(sure[i]))
        for image, heat, i in zip(images, heats, chosen, strict=True)
    )


def _by_turns(order: np.ndarray, said: np.ndarray, count: int) -> list[int]:
    """The first of each class, then the second of each, and so on."""
    ranks = np.zeros(len(order), int)
    for one in np.unique(said):
        members = said[order] == one
        ranks[members] = np.arange(members.sum())
    return [int(i) for i in order[np.argsort(ranks, kind="stable")][:count]]
