"""What a net is worth beside simpler things, in numbers and in words.

In: probabilities of a trained net and of logistic regression on frozen features, classes that came.
Out: a row a model, with differences to the logistic regression and their standard errors, and a
verdict. Where the net gains nothing, the words say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from tilewright.frozen import frozen
from tilewright.vision.measures import Mean, Reliability, brier, hits, log_loss, mean, reliability

MAJORITY, LINEAR = "majority class", "logistic regression on frozen features"
NETS = {
    "head": "net, last layer trained further",
    "blocks": "net, last blocks trained further",
    "whole": "net, trained further as a whole",
}


@frozen
class Row:
    """Scores of one model; differences are to the logistic regression, paired by image."""

    name: str
    accuracy: Mean
    log_loss: Mean
    brier: Mean
    calibration: float
    accuracy_difference: Mean
    log_loss_difference: Mean


@frozen
class Comparison:
    """`shares` by model (images, classes), `came` (images,); `groups`: how many there are."""

    rows: tuple[Row, ...]
    came: np.ndarray = field(repr=False)
    shares: Mapping[str, np.ndarray] = field(repr=False)
    groups: int | None = None

    @property
    def best(self) -> str:
        """The model to use: one only where it is better than the one before by more than chance."""
        majority, net = self.rows[0], self.rows[-1]
        if net.log_loss_difference.effect < 0:
            return net.name
        return LINEAR if majority.log_loss_difference.effect > 0 else MAJORITY

    @property
    def verdict(self) -> tuple[str, ...]:
        """Sentences, the first one the headline."""
        return (_headline(self.rows), *_details(self))

    def reliability(self, name: str) -> Reliability:
        """Of one model, for the page."""
        return reliability(self.shares[name], self.came)


def compared(
    frequencies: np.ndarray,
    shares: Mapping[str, np.ndarray],
    came: np.ndarray,
    stage: str,
    groups: np.ndarray | None = None,
) -> Comparison:
    """`frequencies` (classes,) of the training images; `shares` "frozen" and perhaps "net"."""
    named = {
        MAJORITY: np.tile(frequencies, (len(came), 1)),
        LINEAR: shares["frozen"],
    }
    if "net" in shares:
        named[NETS[stage]] = shares["net"]
    rows = tuple(_row(name, named[name], named[LINEAR], came, groups) for name in named)
    count = None if groups is None else len(np.unique(groups))
    return Comparison(rows, came, named, count)


def _row(
    name: str, shares: np.ndarray, linear: np.ndarray, came: np.ndarray, groups: np.ndarray | None
) -> Row:
    return Row(
        name,
        mean(hits(shares, came), groups),
        mean(log_loss(shares, came), groups),
        mean(brier(shares, came), groups),
        reliability(shares, came).error,
        mean(hits(shares, came) - hits(linear, came), groups),
        mean(log_loss(shares, came) - log_loss(linear, came), groups),
    )


def _headline(rows: tuple[Row, ...]) -> str:
    linear, net = rows[1], rows[-1]
    if net is linear:
        gain = rows[0].log_loss_difference
        if gain.effect > 0:
            return "The features tell the classes apart better than their frequencies do."
        return (
            "The features tell no more than the frequencies of the classes do, or no more than "
            "chance alone."
        )
    gain = net.log_loss_difference
    if gain.effect < 0:
        return "Training the net further pays: it beats logistic regression on frozen features."
    if rows[0].log_loss_difference.effect <= 0:
        return (
            "Neither the net nor logistic regression on frozen features tells more than the "
            "frequencies of the classes do, or no more than chance alone."
        )
    if gain.effect > 0:
        return "Training the net further made it worse: use logistic regression on frozen features."
    return (
        "Training the net further gains nothing that can be told from chance: logistic regression "
        "on frozen features is as good, and cheaper."
    )


def _details(found: Comparison) -> tuple[str, ...]:
    sentences = []
    for row in found.rows:
        if row.name != LINEAR:
            loss, right = row.log_loss_difference, row.accuracy_difference
            sentences.append(
                f"{row.name[0].upper()}{row.name[1:]}, less logistic regression: log loss "
                f"{loss.value:+.3f} ± {loss.error:.3f} nats, accuracy {100 * right.value:+.1f} ± "
                f"{100 * right.error:.1f} points."
            )
    last = found.rows[-1]
    sentences.append(
        f"Probabilities of the {last.name} are off by {100 * last.calibration:.1f} points on "
        "average (expected calibration error)."
    )
    by = "images as if independent" if found.groups is None else f"{found.groups} groups"
    sentences.append(f"{len(found.came)} images were tested; standard errors are by {by}.")
    return tuple(sentences)
