"""The JSON file beside the page: machine, packages, settings, and the outcome of each step.

It holds no name of the host or of a user and no path. `schema` grows when a field changes its
meaning; files of another one are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.files import write_text
from tilewright.frozen import frozen
from tilewright.talk.figures import MEASURED, Figure, Point
from tilewright.talk.peaks import PEAKS

SCHEMA = 1
NAME = "talk.json"
FIELDS = {"schema", "machine", "packages", "settings", "outcomes"}
NUMBER = float | int
MACHINE = {"cpu": str, "level": str, "system": str, "cores": int, "memory_gib": NUMBER}
"""What pages say of a machine, beside its caches and peaks."""
DRAWN = ("windows/s", "error", "p99 ms")
"""Further figures of a point that charts and verdicts take as numbers."""
MOST = 1e30
"""Of what is measured, in any unit: ratios of such figures are numbers."""


@frozen
class Outcome:
    """What a step gave: `missing` says of peers that are not installed how to install them.

    `conditions`: seconds it took, processors' share taken by others, joules where they can be
    read; `repeated` counts runs that were disturbed, `failed` is the sentence of one that ended.
    """

    workload: str
    points: tuple[Point, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    failed: str = ""


@frozen
class Talk:
    """One machine's record; outcomes by the step's name."""

    machine: Mapping[str, Any]
    packages: Mapping[str, str]
    settings: Mapping[str, Any]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def settings_hash(self) -> str:
        return hashlib.sha256(json.dumps(dict(self.settings), sort_keys=True).encode()).hexdigest()

    def with_peaks(self, found: Mapping[str, Any]) -> Talk:
        return replace(self, machine={**self.machine, PEAKS: dict(found)})

    def with_outcome(self, step: str, outcome: Outcome) -> Talk:
        return replace(self, outcomes=dict(self.outcomes) | {step: outcome})

    def save(self, path: Path) -> None:
        """Replaces the file as a whole."""
        outcomes = {name: asdict(one) for name, one in self.outcomes.items()}
        content = {
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "packages": dict(self.packages),
            "settings": dict(self.settings) | {"hash": self.settings_hash},
            "outcomes": outcomes,
        }
        write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def load(path: Path) -> Talk:
    """A file that `Talk.save` wrote. Raises `ArgumentError` for any other."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise ArgumentError(f"There is no file {path}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ArgumentError(f"{path} is no JSON.") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise ArgumentError(f"{path} is no record of the talk: it has no schema.")
    if content["schema"] != SCHEMA:
        raise ArgumentError(
            f"{path} has schema {content['schema']!r}; this version reads {SCHEMA}."
        )
    if set(content) != FIELDS:
        raise ArgumentError(f"{path} is no record of the talk: it has {', '.join(sorted(content))}")
    try:
        settings = {k: v for k, v in content["settings"].items() if k != "hash"}
        outcomes = {name: outcome_of(one) for name, one in content["outcomes"].items()}
        _check_machine(content["machine"])
        _check("packages", content["packages"], Mapping)
        return Talk(content["machine"], content["packages"], settings, outcomes)
    except (TypeError, KeyError, AttributeError) as error:
        raise ArgumentError(f"{path} is no whole record of the talk: {error}.") from None


def outcome_of(content: Mapping[str, Any]) -> Outcome:
    points = tuple(_point(point) for point in content["points"])
    for name in ("missing", "conditions"):
        _check(name, content[name], Mapping)
    for peer, how in content["missing"].items():
        _check(peer, how, str)
    for name, value in content["conditions"].items():
        _check(name, value, NUMBER if name in ("seconds", "others") else NUMBER | None)
    return Outcome(**{**content, "points": points})


def as_text(outcome: Outcome) -> str:
    """On one line."""
    return json.dumps(_plain(asdict(outcome)), allow_nan=False)


def _point(content: Mapping[str, Any]) -> Point:
    figure = {**content["figure"]}
    for name, kind in (("case", str), ("who", str), ("more", Mapping)):
        _check(name, content[name], kind)
    for name in ("unit", "source", "run"):
        _check(name, figure[name], str)
    for name, values in (("value", [figure["value"]]), ("rounds", figure["rounds"])):
        for value in values:
            _check(name, value, NUMBER | None)
            if value is not None and figure["kind"] == MEASURED and not 0 < value < MOST:
                raise TypeError(f"{name} is {value!r}")
    for name, value in content["more"].items():
        _check(name, value, NUMBER | None if name in DRAWN else NUMBER | str | None)
    rounds = (math.nan if value is None else value for value in figure["rounds"])
    return Point(**{**content, "figure": Figure(**{**figure, "rounds": tuple(rounds)})})


def _check_machine(found: Mapping[str, Any]) -> None:
    for name, kind in MACHINE.items():
        _check(name, found[name], kind)
    for size in found["cache_kib"]:
        _check("cache_kib", size, NUMBER)
    if known := found.get(PEAKS):
        _check("measured", known["measured"], bool)
        for rate in (known["Gop/s"]["float32"], *known["read_GB/s"].values()):
            _check(PEAKS, rate, NUMBER)


def _check(name: str, value: Any, kind: Any) -> None:
    """Raises TypeError for what no run leaves."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}")


def _plain(content: Any) -> Any:
    """Without NaN, which JSON has not."""
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content
