"""Everything that a job of sequence nets leaves: page, JSON, scores, forecasts.

In: a `ForwardWalk`. Out: report.html, report.json, scores.csv and forecasts/DAY.parquet, a file a
window that DuckDB and others read as one table, each written as a whole.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable

import numpy as np

from tilewright.alpha.controls import REAL, SHUFFLED
from tilewright.alpha.scale.ahead import quantile_name
from tilewright.alpha.walking.figures import finite, scores_csv
from tilewright.alpha.walking.folder import FORECASTS
from tilewright.alpha.walking.scored import LEVELS
from tilewright.alpha.walking.tally import Tally, tally
from tilewright.files import write_bytes, write_text
from tilewright.sequence.forward.report.location import trading_of
from tilewright.sequence.forward.report.page import Windows, as_json, page
from tilewright.sequence.forward.report.words import Words, words
from tilewright.sequence.forward.scored import Scored, main_score
from tilewright.sequence.forward.settings import DENSITY
from tilewright.sequence.forward.walk import ForwardWalk


def write_report(walk: ForwardWalk) -> Words | None:
    """Write all files; None, and nothing, where no window is whole."""
    tallies = tallies_of(walk)
    if REAL not in tallies:
        return None
    kind, folder = walk.settings.target, walk.folder.path
    failures, retreats = zip(*((one.failure, one.retreats) for one in walk.scored()), strict=True)
    trading = trading_of(walk) if kind == DENSITY else None
    said = words(kind, tallies, failures, trading, retreats)
    found, newest = _windows(walk.scored(), said.best)
    write_text(
        folder / "report.html", page(walk.prices, walk.settings, tallies, said, newest, found)
    )
    content = json.dumps(finite(as_json(tallies, said, found)), indent=2)
    write_text(folder / "report.json", content)
    write_text(folder / "scores.csv", scores_csv(tallies))
    for one in walk.scored():
        path = folder / FORECASTS / f"{one.day}.parquet"
        if not path.exists():
            write_bytes(path, _forecasts(one, walk))
    return said


def tallies_of(walk: ForwardWalk) -> dict[str, Tally]:
    """Of the series that have a finished window."""
    main = main_score(walk.settings.target)
    return {
        series: tally(
            lambda s=series: walk.scored(s), walk.prices.days, len(walk.prices.names), main
        )
        for series in (REAL, SHUFFLED)
        if any(True for _ in walk.scored(series))
    }


def _windows(windows: Iterable[Scored], best: str) -> tuple[Windows, Scored]:
    """Of the real series; and its newest window."""
    rows, newest = [], None
    for one in windows:
        mine, lead = one.mean_score(), float(one.leads()[one.models.index(best)])
        rows.append((one.day, one.steps, mine, mine - lead, one.failure))
        newest = one
    assert newest is not None
    return Windows(*(list(column) for column in zip(*rows, strict=True))), newest


def _forecasts(one: Scored, walk: ForwardWalk) -> bytes:
    """The nets', of log returns or of log volatilities a day."""
    import pandas as pd

    day, stock = one.places.T
    log_unit = np.log(one.unit)
    density = walk.settings.target == DENSITY

    def back(values: np.ndarray) -> np.ndarray:
        return values * one.unit if density else values + log_unit

    frame = pd.DataFrame({
        "date": [walk.prices.days[d] for d in day],
        "instrument": [walk.prices.names[s] for s in stock],
        "mean": back(one.mean[0]),
        **{quantile_name(p): back(q) for p, q in zip(LEVELS, one.quantiles[0], strict=True)},
        "outcome": back(one.outcome),
        "pit": one.pit[0],
        "failed": one.failure,
    })  # fmt: skip
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()
