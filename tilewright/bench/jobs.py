"""What jobs of sequence nets take as they are run: walking forward, memory of a fit, live cards.

The demonstration's walk is timed on the clock, on all cores, from prices to scored windows: nine
refits of five nets, and a control. A fit's memory is the most that the process had while it fitted,
less what it had when the data lay ready: a panel of 11 inputs, cut in windows of 64 rows, or of 4,
each with 16 rows before it. Purchases are those of `sequence/cards/live.py`: 100,000 cards with a
state each, in random order, asked from C; there is no row of them without a C compiler.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.bench.record import Row

WALK = 90.0
"""Seconds, at most, of a walk over one target."""
BESIDE, INPUTS, LONG = 200.0, 11, 500
"""Megabytes, at most, beside the data, whose sequences are so long."""
BACKS = (64, 4)
PURCHASE, STATE, UNITS = 10.0, 2.0, 64
"""Microseconds a purchase at most, and bytes of a card's state over those of the net's numbers."""
PROCESS = Path("/proc/self")


def cases(quick: bool) -> Iterable[tuple[str, Any]]:
    for target in ("density", "volatility"):
        yield f"walking forward, {target}", partial(run_walk, target, quick)
    yield "memory of a fit", partial(run_memory, 20_000 if quick else 500_000)
    yield "purchases of many cards", partial(run_cards, 1_000 if quick else 100_000)


def run_walk(target: str, quick: bool = False) -> list[Row]:
    from tilewright.alpha.tables import sp500
    from tilewright.sequence.forward.demo import SETTINGS
    from tilewright.sequence.forward.walk import walk_forward

    settings, prices = SETTINGS[target], sp500()
    if quick:
        small = dict(first="2022-06-01", train=300, test=60, hidden=4, seeds=1, epochs=2)
        settings = replace(settings, **small, controls=0)
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        found = walk_forward(prices, settings, folder)
        seconds = time.perf_counter() - began
        name = f"walking forward, {target}: {len(found.windows)} windows of {settings.seeds} nets"
    return [Row("jobs", name, seconds, "s", bar=None if quick else WALK, at_most=True)]


def run_memory(rows: int) -> list[Row]:
    """Of fits to few windows and to many; what compiling takes is part of it."""
    from tilewright.sequence import LSTMRegressor

    LSTMRegressor(hidden=8, epochs=1).fit(_panel(4 * LONG))  # whatever the first fit loads
    panel, found = _panel(rows), []
    for back in BACKS:
        model = LSTMRegressor(hidden=8, epochs=1, steps_back=back, warm_up=16, batch_size=256)
        (PROCESS / "clear_refs").write_text("5")  # the most from now on
        before = _megabytes("VmRSS")
        model.fit(panel)
        name = f"memory beside {rows:,} rows, in {-(-LONG // back) * (rows // LONG):,} windows"
        most = _megabytes("VmHWM") - before
        found.append(Row("jobs", name, most, "MB", bar=BESIDE, at_most=True))
    return found


def _panel(rows: int) -> Any:
    import pandas as pd

    from tilewright.sequence import Panel

    names = [f"x{i}" for i in range(INPUTS)]
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(rows, INPUTS)), columns=names)
    frame["y"] = random.standard_t(5, rows)
    frame["group"], frame["time"] = np.divmod(np.arange(rows), LONG)
    return Panel(frame, names, "y")


def _megabytes(name: str) -> float:
    """What the system says of this process."""
    lines = (PROCESS / "status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kilobytes) / 1e3


def run_cards(cards: int) -> Sequence[Row]:
    """A net of 64 units, of whatever weights, and the bytes of its state."""
    import pandas as pd

    from tilewright.sequence import LSTMClassifier, Panel
    from tilewright.sequence.cards import live
    from tilewright.sequence.cards.features import RAW
    from tilewright.sequence.latency_in_c import compiler

    if compiler() is None:
        return []
    X = np.random.default_rng(0).normal(size=(2_000, len(RAW)))
    frame = pd.DataFrame(X, columns=list(RAW))
    frame["row"], frame["card"], frame["fraud"] = range(len(X)), np.arange(len(X)) % 50, X[:, 0] > 1
    panel = Panel(frame, RAW, "fraud", time="row", group="card")
    model = LSTMClassifier(hidden=UNITS, epochs=1, steps_back=16, validation=0.0).fit(panel)
    found = live.net(model, X, cards, 2 * cards)
    size = live.in_c(model, X[:1].astype(np.float32), np.zeros(1), 1).state_bytes
    what = f"a purchase of {cards:,} cards, {UNITS} units, from C"
    own = 4 * 2 * UNITS
    return [
        Row("jobs", what, found.median, "µs", bar=PURCHASE, at_most=True,
            notes=f"p99 {found.p99:.1f} µs"),
        Row("jobs", f"a card's state over its {own} bytes of numbers", size / own, "×", bar=STATE,
            at_most=True),
    ]  # fmt: skip
