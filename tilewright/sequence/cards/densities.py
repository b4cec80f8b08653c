"""How thin a net of card frauds may be: average precision against the share of weights left.

In: a simulated world by the published recipe, small. Out: a `Row` a density. Nets read raw
purchases and the fifteen aggregates, as in the comparison; they are judged on a week that they have
not seen, by average precision with its error by cards and terminals, and the lead over the dense
nets with its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence import pruning
from tilewright.sequence.cards import features, nets
from tilewright.sequence.cards.features import AGGREGATES, RAW
from tilewright.sequence.cards.nets import Net
from tilewright.sequence.cards.precision import Estimate, Ranking, parts_of
from tilewright.sequence.cards.settings import recipe
from tilewright.sequence.cards.split import weeks

NET = Net(hidden=32, seeds=2, epochs=20, prune_epochs=5)


@frozen
class Study:
    """So many cards; nets of 32 units, from which blocks of 4 × 16 are taken."""

    densities: Sequence[float] = (1.0, 0.5, 0.25, 0.1)
    cards: int = 1000
    net: Net = NET
    seed: int = 0


@frozen
class Row:
    """At one density; `lead` is over the densest, 0 for itself."""

    density: float  # asked for
    left: float  # of the blocks, found in the nets
    precision: float
    error: float
    lead: float
    lead_error: float


def study(settings: Study) -> list[Row]:
    """Train and judge, the densest first. Raises `ArgumentError` for settings that cannot be."""
    world = recipe("published", cards=settings.cards, weeks=1)
    given = world.purchases()
    (week,) = weeks(given, world.first, 1, world.train, world.delay)
    X = np.hstack([features.raw(given), features.aggregates(given, world.delay)])
    rows = week.judged
    parts = parts_of(given.card[rows], given.terminal[rows], rows)
    found: list[Row] = []
    dense: Estimate | None = None
    for density in sorted(settings.densities, reverse=True):
        net = replace(settings.net, density=density)
        said, model = nets.read(given, X, (*RAW, *AGGREGATES), week, net, settings.seed)
        here = Ranking(said, given.fraud[rows].astype(bool), parts).average_precision()
        dense = here if dense is None else dense
        lead = here - dense
        found.append(Row(density, _left(model), here.value, here.error, lead.value, lead.error))
    return found


def _left(model: Any) -> float:
    """Share of blocks that are not zero, over all seeds."""
    each = [jax.tree.map(lambda a, i=i: a[i], model.nets_) for i in range(model.seeds)]
    return float(np.mean([pruning.density(net, model.block_rows) for net in each]))


def said(rows: Sequence[Row]) -> str:
    """In words: the thinnest whose precision is no lower than the dense nets', within its error."""
    dense = rows[0]
    fine = [row for row in rows[1:] if row.lead >= -row.lead_error]
    start = (
        f"Of simulated card frauds the dense nets have an average precision of "
        f"{dense.precision:.3f} ± {dense.error:.3f}"
    )
    if not fine:
        return f"{start}; every thinner net has less, by more than a standard error."
    best = min(fine, key=lambda row: row.density)
    return (
        f"{start}; with {best.density:.0%} of the blocks left it is {best.lead:+.3f} ± "
        f"{best.lead_error:.3f} to that, the thinnest that is as good within a standard error."
    )
