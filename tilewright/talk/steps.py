"""What `tilewright talk` measures, step by step. Workloads and peers are the bench's own.

A step is short enough to be done again; when time is short, there are fewer of them, and none has
fewer rounds. Those of a quick run come first, so that every workload has a row before any has more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.talk import argument, elsewhere, groups, hmc, images, lstm
from tilewright.talk.record import Outcome

WORKLOADS: Mapping[str, str] = {
    "hmc": "Alpha by Hamiltonian Monte Carlo",
    "lstm": "LSTM, whole windows",
    "images": "EfficientNet-B0, inference",
    "training": "EfficientNet-B0, training",
    "groups": "Group against regular convolution",
    "machines": "CPU, GPU, IPU",
    "modelled": "On machines that are not here",
    "argument": "What frees these models, switched off one at a time",
}
"""In the page's order, with their headings."""
READ = ("machines",)
"""What is read from files, and has no steps."""


@frozen
class Step:
    """`seconds` on two cores, about, with nothing in the cache; `quick`: among those of a short
    run."""

    workload: str
    case: str
    seconds: int
    run: Callable[[], Outcome]
    quick: bool = False

    @property
    def name(self) -> str:
        return f"{self.workload}: {self.case}"


def steps() -> tuple[Step, ...]:
    """All of them, in the order in which they run."""
    return tuple(sorted(on_page(), key=lambda step: not step.quick))


def on_page() -> tuple[Step, ...]:
    """All of them, in the order in which the page shows them."""
    return (
        Step("hmc", "58,368 rows", 70, partial(hmc.run, "58,368 rows"), quick=True),
        *(Step("hmc", name, 60, partial(hmc.run, name)) for name in hmc.WINDOWS),
        *(Step("lstm", f"batch {size}", seconds, partial(lstm.run, size), size in (1, 64))
          for size, seconds in lstm.SECONDS.items()),
        *(Step("images", f"batch {size}", 38 + size // 2, partial(images.answers, size),
               size in (1, 8)) for size in images.BATCHES),
        *(Step("training", name, seconds, partial(images.training, name), name == images.QUICK)
          for name, seconds in images.TRAINED.items()),
        Step("groups", "3×3, 28 px", 15, groups.run, quick=True),
        Step("modelled", "hmc", 20, elsewhere.hmc, quick=True),
        Step("modelled", "lstm", 20, elsewhere.lstm, quick=True),
        *(Step("modelled", f"B0, batch {size}", 60, partial(elsewhere.images, size), size == 1)
          for size in elsewhere.IMAGES),
        Step("modelled", "B0, training", 76, elsewhere.training),
        Step("modelled", "3×3, 28 px", 7, elsewhere.layers, quick=True),
        *(Step("argument", name, 6, partial(argument.run, name), quick=True)
          for name in argument.SWITCHES),
    )  # fmt: skip


def of_workload(outcomes: Mapping[str, Outcome], workload: str) -> dict[str, Outcome]:
    """Of one workload, by step, in the order of the page: steps run in another."""
    places = {step.name: place for place, step in enumerate(on_page())}
    mine = ((name, one) for name, one in outcomes.items() if one.workload == workload)
    return dict(sorted(mine, key=lambda pair: places.get(pair[0], len(places))))


def chosen(quick: bool, only: str | None) -> tuple[Step, ...]:
    """Raises `ArgumentError` for a workload that there is not, or that a short run leaves out."""
    if only is not None and only not in WORKLOADS:
        raise ArgumentError(f"There is no workload {only!r}; there are {', '.join(WORKLOADS)}.")
    of_it = [step for step in steps() if only is None or step.workload == only]
    found = tuple(step for step in of_it if step.quick or not quick)
    if of_it and not found:
        raise ArgumentError(f"A quick run leaves out {only!r}: leave out --quick.")
    return found


def settings() -> dict[str, Any]:
    """Sizes and rounds: records with other ones are not comparable, nor to be gone on with."""
    return {
        "hmc": [hmc.WHOLE_LEAPFROGS, hmc.ROUNDS],
        "lstm": [lstm.bench.HIDDEN, lstm.bench.INPUTS, lstm.bench.STEPS, str(lstm.ROUNDS), "cores"],
        "images": [images.SIZE, images.ROUNDS, images.STEPS, images.image_steps.TRAINED],
        "groups": [*(list(asdict(layer).values()) for layer in groups.LAYERS), groups.ROUNDS],
        "modelled": [
            *elsewhere.MACHINES,
            *elsewhere.ROWS,
            *elsewhere.BATCHES,
            *elsewhere.IMAGES,
            *(layer.each for layer in groups.LAYERS),
        ],
        "argument": [argument.ROUNDS, *argument.SWITCHES],
    }


def step_of(name: str) -> Step:
    """By its name. Raises `ArgumentError`."""
    for step in steps():
        if step.name == name:
            return step
    raise ArgumentError(f"There is no step {name!r}.")
