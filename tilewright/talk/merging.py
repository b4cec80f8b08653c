"""Records of several machines on one page: workloads must be equal, ratios stay inside each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tilewright.errors import ArgumentError
from tilewright.talk.record import Talk, load


def merged(paths: Sequence[Path]) -> list[Talk]:
    """The records, in the order given.

    Raises `ArgumentError` for fewer than two, for a file that is none of ours, and for workloads
    that differ.
    """
    if len(paths) < 2:
        raise ArgumentError("There must be two records or more to merge.")
    talks = [load(path) for path in paths]
    for path, talk in zip(paths[1:], talks[1:], strict=True):
        if talk.settings != talks[0].settings:
            raise ArgumentError(
                f"{path} holds other workloads than {paths[0]}: "
                f"{dict(talk.settings)} and {dict(talks[0].settings)}."
            )
    return talks
