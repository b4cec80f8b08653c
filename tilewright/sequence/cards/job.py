"""The demonstration: both recipes compared, a net asked live, a page and a JSON beside it.

In: settings, a folder. Out: `fraud.html`, `fraud.json`, each replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import tilewright
from tilewright.errors import ArgumentError
from tilewright.files import write_all
from tilewright.frozen import frozen
from tilewright.sequence.cards import comparison, live
from tilewright.sequence.cards.comparison import compare
from tilewright.sequence.cards.live import Delays
from tilewright.sequence.cards.page import SIMULATED, page
from tilewright.sequence.cards.settings import Settings
from tilewright.sequence.cards.tally import Tally, tally

SCHEMA = "tilewright fraud 1"
SCORES, LIVE = "scores and their errors", "asked as purchases come"


@frozen(eq=False)
class Outcome:
    tallies: list[Tally]
    delays: list[Delays]
    html: Path


def run(
    recipes: Sequence[Settings],
    folder: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """All recipes, one after the other; `tell` hears what is being done.

    Raises `ArgumentError` for settings that no data can have, and for a folder that cannot be
    written into, before anything is computed.
    """
    for settings in recipes:
        settings.check_days()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError(f"{folder} cannot be written into: {error.strerror}.") from None
    found = []
    for settings in recipes:
        compared = compare(settings, tell=partial(_of_recipe, settings.recipe, tell))
        _of_recipe(settings.recipe, tell, SCORES)
        found.append(tally(compared))
    tell(LIVE)
    delays = live.measured(found[-1].comparison.last)
    content = {
        "schema": SCHEMA,
        "version": tilewright.__version__,
        "data": SIMULATED,
        "recipes": {one.comparison.settings.recipe: one.as_json() for one in found},
        "live": [one.as_json() for one in delays],
    }
    html = folder / "fraud.html"
    write_all(
        {folder / "fraud.json": json.dumps(content, indent=1) + "\n", html: page(found, delays)}
    )
    return Outcome(found, delays, html)


def _of_recipe(recipe: str, tell: Callable[[str], None], text: str) -> None:
    tell(f"{recipe}: {text}")


def steps(recipes: Sequence[Settings]) -> dict[str, float]:
    """What `run` tells, in its order, and how long each takes beside the others, about."""
    found: dict[str, float] = {}
    for settings in recipes:
        own = {**comparison.steps(settings), SCORES: 1}
        found |= {f"{settings.recipe}: {text}": share for text, share in own.items()}
    return {**found, LIVE: 1}
