"""How thin a net may be: log score and microseconds a tick against the share of weights left.

In: prices. Nets of the next day's return (a Student-t distribution, in units of the EWMA
volatility) are trained at several densities on the earlier days, several seeds each, and judged on
the later ones, which neither trained nor stopped them. Out: a `Row` a density; one page.

Pruning takes few epochs here: nets of such data are at their best after some, and thin ones are
not judged before they are thin, so that those pruned slowly are trained too long.

The log score is in nats a stock-day. A lead is over the dense nets, by date: its standard error is
that of means of blocks of 21 days. The dense nets' own error bar is how far their seeds are apart:
a thinner net within it is as good as another draw of the dense one. Ticks are those of a stream of
one seed's net, through Python, the least median of some rounds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tilewright.alpha.tables import Prices
from tilewright.alpha.walking import svg
from tilewright.alpha.walking.page import BLUE, GREY, html, section, table, verdict
from tilewright.files import write_all
from tilewright.frozen import frozen
from tilewright.sequence import pruning
from tilewright.sequence.cards import densities as frauds_
from tilewright.sequence.forward.panel import ForwardPanel, make_forward_panel
from tilewright.sequence.forward.settings import DENSITY
from tilewright.sequence.regressor import LSTMRegressor
from tilewright.sequence.settings import check
from tilewright.sequence.together import fit_together

BLOCK = 21
"""Days of a block, whose means are taken to be independent."""
TICKS, ROUNDS = 300, 9


@frozen
class Study:
    """`later` days are judged, the `earlier` days before them learned from and stopped by."""

    densities: Sequence[float] = (1.0, 0.5, 0.25, 0.1, 0.05)
    hidden: int = 128
    seeds: int = 3
    epochs: int = 40
    prune_epochs: int = 4
    block_rows: int = 4
    earlier: int = 2500
    later: int = 1000


@frozen
class Row:
    """At one density. `lead` over dense, with its standard error; 0 and 0 for dense itself."""

    density: float  # asked for
    left: float  # of the blocks, found in the nets
    score: float  # nats a stock-day, of the mixture of all seeds
    seeds: tuple[float, ...]  # of each seed's net alone
    lead: float
    error: float
    tick: float  # microseconds


def study(prices: Prices, settings: Study) -> list[Row]:
    """Train, judge and time; the densest first.

    Raises `ArgumentError` for settings that cannot be, before anything is trained.
    """
    models = {d: _model(d, settings) for d in sorted(settings.densities, reverse=True)}
    for model in models.values():
        check(model)
    panel = make_forward_panel(prices, DENSITY)
    begin = len(panel.days) - settings.later
    rows = panel.rows(max(0, begin - settings.earlier), begin - 1, panel.target)
    for some in ([d for d in models if d == 1], [d for d in models if d < 1]):
        if some:
            fit_together([models[d] for d in some], [rows] * len(some))
    scores = {d: _scores(model, panel, begin) for d, model in models.items()}
    dense = scores[max(scores)][0]
    return [
        Row(
            density,
            float(np.mean([pruning.density(net, settings.block_rows) for net in _nets(model)])),
            float(scores[density][0].mean()),
            tuple(float(days.mean()) for days in scores[density][1]),
            *_lead(scores[density][0] - dense),
            _tick(model, panel, begin),
        )
        for density, model in models.items()
    ]


def _model(density: float, settings: Study) -> LSTMRegressor:
    return LSTMRegressor(
        hidden=settings.hidden,
        seeds=settings.seeds,
        epochs=settings.epochs,
        density=density,
        prune_epochs=settings.prune_epochs,
        block_rows=settings.block_rows,
        random_state=0,
    )


def _nets(model: LSTMRegressor) -> list[Any]:
    return [jax.tree.map(lambda a, i=i: a[i], model.nets_) for i in range(model.seeds)]


def _scores(
    model: LSTMRegressor, panel: ForwardPanel, begin: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Mean log score of each day, of the mixture and of each seed."""
    first = max(0, begin - 2 * model.warm_up)
    places = panel.places(first, len(panel.days))
    outcome = panel.target[places[:, 0], places[:, 1]]
    judged = (places[:, 0] >= begin) & np.isfinite(outcome)
    day = places[judged, 0] - begin
    said = model.predict_distribution(panel.rows(first, len(panel.days)))

    def by_day(one: Any) -> np.ndarray:
        score = one.log_score(outcome)[judged]
        count = np.bincount(day)
        return -(np.bincount(day, score)[count > 0] / count[count > 0])

    alone = [type(said)(*(part[i : i + 1] for part in _parts(said))) for i in range(model.seeds)]
    return by_day(said), [by_day(one) for one in alone]


def _parts(mixture: Any) -> tuple[np.ndarray, ...]:
    return mixture.location, mixture.scale, mixture.df


def _lead(days: np.ndarray) -> tuple[float, float]:
    """Mean, and the standard error of means of blocks of days."""
    blocks = [block.mean() for block in np.array_split(days, max(2, len(days) // BLOCK))]
    return float(days.mean()), float(np.std(blocks, ddof=1) / np.sqrt(len(blocks)))


def _tick(model: LSTMRegressor, panel: ForwardPanel, begin: int) -> float:
    """Median microseconds of a tick of one net, preparation and answer; the least of rounds."""
    one = copy(model)
    one.nets_ = jax.tree.map(lambda a: a[:1], model.nets_)
    stream = one.to_stream(tiles=1)
    xs = panel.inputs[begin : begin + TICKS, :1]
    found = []
    for _ in range(ROUNDS):
        times = []
        for x in xs:
            start = time.perf_counter()
            stream.prepare()
            stream.answer(x)
            times.append(time.perf_counter() - start)
        found.append(np.median(times))
    return float(min(found)) * 1e6


def spread(dense: Row) -> float:
    """How far the dense nets' seeds are apart: the deviation of their scores."""
    return float(np.std(dense.seeds, ddof=1)) if len(dense.seeds) > 1 else 0.0


def thinnest(rows: Sequence[Row]) -> Row:
    """The one of least density that is behind by no more than its error, or the seeds' spread."""
    dense = rows[0]
    fine = [r for r in rows if r.lead >= -max(r.error, spread(dense))]
    return min(fine, key=lambda row: row.density)


def said(rows: Sequence[Row]) -> list[str]:
    """What came of it, in words."""
    dense, best = rows[0], thinnest(rows)
    faster = dense.tick / best.tick
    found = [
        f"Dense nets: {dense.score:.4f} nats a stock-day; their seeds are {spread(dense):.4f} "
        f"apart (one deviation). A tick takes {dense.tick:.1f} µs."
    ]
    if best is dense:
        return [*found, "No thinner net is as good, within a standard error or the spread."]
    return [
        *found,
        f"With {best.density:.0%} of the blocks left, {best.lead:+.4f} ± {best.error:.4f} nats to "
        f"the dense ones, and {faster:.1f} times as fast a tick: the thinnest that is as good, "
        "within a standard error or the spread of the seeds.",
    ]


def write(
    folder: Path,
    source: str,
    settings: Study,
    rows: Sequence[Row],
    frauds: Sequence[frauds_.Row] = (),
) -> Path:
    """`densities.json` and `densities.html`; the path of the latter. `frauds` as well, if any."""
    content = {"source": source, "settings": asdict(settings), "rows": [asdict(r) for r in rows]}
    content["frauds"] = [asdict(row) for row in frauds]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "densities.html"
    text = json.dumps(content, indent=1) + "\n"
    write_all({folder / "densities.json": text, path: _page(source, settings, rows, frauds)})
    return path


def _page(source: str, settings: Study, rows: Sequence[Row], frauds: Sequence[frauds_.Row]) -> str:
    names = [f"{row.density:g}" for row in rows]
    dense, best = rows[0], thinnest(rows)
    leads, errors = (np.array([getattr(r, name) for r in rows]) for name in ("lead", "error"))
    errors[0] = spread(dense)
    colours = [GREY, *[BLUE] * (len(rows) - 1)]
    cells = [
        [
            f"{row.density:g}", f"{row.left:.1%}", f"{row.score:.4f}",
            "" if row is dense else f"{row.lead:+.4f} ± {row.error:.4f}",
            f"{row.tick:.1f}", f"{dense.tick / row.tick:.2f}",
        ]
        for row in rows
    ]  # fmt: skip
    body = [
        f'<p class="kicker">tilewright lstm · {source}</p>',
        "<h1>How thin a net may be</h1>",
        verdict("In words", said(rows), best is not dense),
        section(
            "Log score over the dense nets, against the share of blocks left",
            "Nats a stock-day, with standard errors by blocks of days; of the dense nets, the "
            "deviation over seeds.",
            svg.bars(names, leads, "Lead over dense", colours, errors),
        ),
        section(
            "Microseconds a tick, against the share of blocks left",
            "One net, through Python, on this machine.",
            svg.bars(names, np.array([r.tick for r in rows]), "Time of a tick", colours),
        ),
        section(
            "All of it",
            f"{settings.hidden} units, {settings.seeds} seeds, blocks of {settings.block_rows} × "
            f"16 of the cells' matrices, pruned by magnitude over {settings.prune_epochs} epochs; "
            f"{settings.later:,} days judged after {settings.earlier:,} days learned from.",
            table(["left", "found", "log score", "lead", "µs a tick", "times as fast"], cells),
        ),
    ]
    return html("How thin a net may be", [*body, *_of_frauds(frauds)])


def _of_frauds(rows: Sequence[frauds_.Row]) -> list[str]:
    """A section of average precisions, if there are any."""
    if not rows:
        return []
    values, errors = (np.array([getattr(r, n) for r in rows]) for n in ("precision", "error"))
    cells = [
        [f"{row.density:g}", f"{row.left:.1%}", f"{row.precision:.3f} ± {row.error:.3f}",
         "" if row is rows[0] else f"{row.lead:+.3f} ± {row.lead_error:.3f}"]
        for row in rows
    ]  # fmt: skip
    colours = [GREY, *[BLUE] * (len(rows) - 1)]
    names = [f"{row.density:g}" for row in rows]
    return [
        section(
            "Average precision of card frauds, against the share of blocks left",
            frauds_.said(rows) + " Purchases are simulated; a week that no net has seen.",
            svg.bars(names, values, "Average precision", colours, errors)
            + table(["left", "found", "average precision", "to dense"], cells),
        )
    ]
