"""The self-contained HTML page of a job: verdict, scores, calibration, maps, time by layer.

In: an outcome. Out: one text with everything inside.
"""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

import tilewright
from tilewright.alpha.report.html import (
    document,
    facts_of,
    plot,
    section,
    tiles_of,
    verdict_of,
)
from tilewright.models.convolutional import count
from tilewright.vision import nets
from tilewright.vision.activation import overlaid
from tilewright.vision.comparison import LINEAR, Row
from tilewright.vision.job import Outcome, Shown
from tilewright.vision.measures import Mean
from tilewright.vision.report import figures

SIDE = 160
"""Pixels of an image on the page."""
CSS = """
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px; }
.maps figure { margin: 0; }
.maps .two { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
.maps img { width: 100%; display: block; border-radius: 4px; }
.maps figcaption { font-size: 12.5px; line-height: 1.35; margin-top: 5px; color: var(--soft); }
.maps figcaption b { color: var(--good); } .maps figcaption b.wrong { color: var(--bad); }
.maps + h3, h3 { font-size: 15px; margin: 18px 0 8px; }
@media (max-width: 480px) {
  main { padding: 24px 12px 40px; } section { padding: 16px 14px; } h1 { font-size: 24px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; }
  .maps { grid-template-columns: 1fr 1fr; }
}
"""


def page(outcome: Outcome) -> str:
    """The whole page."""
    found = outcome.comparison
    headline, *details = found.verdict
    caveats = [*outcome.data.caveats]
    if outcome.ended_early:
        done = len(outcome.classifier.losses_)
        caveats.append(f"The time limit ended training after {done} steps.")
    if outcome.skipped:
        caveats.append(
            f"{len(outcome.skipped)} images could not be read; the first: {outcome.skipped[0]}"
        )
    best = f"Use: {found.best}."
    body = [
        f'<p class="kicker">tilewright vision · {escape(outcome.data.source)}</p>',
        f"<h1>{escape(headline)}</h1>",
        f'<p class="lede">{escape(_lede(outcome))}</p>',
        tiles_of(_tiles(outcome)),
        verdict_of([best, *details, *caveats]),
        section("Scores on images that trained nothing", _SCORES, _table(found.rows)),
        '<div class="pair">',
        section("Calibration", _CALIBRATION, plot(figures.calibration(found))),
        section(
            "What was taken for what", _CONFUSION, plot(figures.confusion(found, _names(outcome)))
        ),
        "</div>",
        _maps(outcome.shown),
    ]
    if outcome.classifier.losses_:
        loss = plot(figures.losses(outcome.classifier.losses_))
        body.append(section("Loss in training", "On changed images, calibrated later.", loss))
    if outcome.layers:
        note = _LAYERS.format(
            sum(row.seconds for row in outcome.layers) * 1e3,
            sum(row.limit for row in outcome.layers) * 1e3,
        )
        body.append(
            section("Where the time of one image goes", note, plot(figures.layers(outcome.layers)))
        )
    body.append(section("How it was made", "", facts_of(_facts(outcome))))
    return document("tilewright vision", body, CSS)


_SCORES = (
    "Means, and below them the difference to logistic regression on frozen features ± its "
    "standard error, paired by image. Log loss, Brier score and calibration error: smaller is "
    "better. Colour marks what chance alone does in 2.5 % of cases a side."
)
_CALIBRATION = (
    "Images in bins of equal number. On the dotted line, a probability of 80 % comes true in 80 %."
)
_CONFUSION = "Rows are what came, columns what the last model said; colour is the share of a row."
_MAPS = (
    "Beside each image, what speaks for the class that was said, place by place: yellow most of "
    "that image, blue nothing. The surest answers of either kind."
)
_LAYERS = (
    "One image on one core: {:.1f} ms in all; of each step, the fastest of a few runs. Marks: what "
    "the model of this machine says is least, {:.1f} ms in all. Its figures are those stated for "
    "the level of instructions, until `python -m tilewright.calibrate` measures them."
)
_SIDES = {"center": "shorter side", "squash": "both sides"}


def _names(outcome: Outcome) -> list[str]:
    return [str(name) for name in outcome.classifier.classes_]


def _lede(outcome: Outcome) -> str:
    names = _names(outcome)
    classes = ", ".join(names) if len(names) <= 6 else f"{len(names)} classes"
    data = outcome.data
    how = "at random, like shares of each class"
    if data.times is not None:
        how = "the newest"
    elif data.groups is not None:
        how = "whole groups"
    return (
        f"{outcome.trained:,} images trained, {len(outcome.tested):,} tested ({how}). Classes: "
        f"{classes}."
    )


def _tiles(outcome: Outcome) -> list[tuple[str, str]]:
    last = outcome.comparison.rows[-1]
    gain = round(-100 * outcome.comparison.rows[0].accuracy_difference.value, 1) + 0.0  # no -0.0
    tiles = [
        (f"{last.accuracy.value:.1%}", f"right, ± {100 * last.accuracy.error:.1f} points"),
        (f"{gain:+.1f}", "points of frozen features above the majority class"),
        (f"{100 * last.calibration:.1f}", "points that probabilities are off, on average"),
    ]
    if last.name != LINEAR:
        loss = last.log_loss_difference
        tiles.append(
            (f"{loss.value:+.3f}", f"log loss of the net, less frozen's, ± {loss.error:.3f}")
        )
    return [*tiles, (f"{outcome.rate:,.0f}", "images a second, all cores")]


def _table(rows: tuple[Row, ...]) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("right", "log loss", "Brier score", "calibration error")
    )
    cells = []
    for row in rows:
        kind = ' class="net"' if row is rows[-1] else ""
        right, loss = row.accuracy_difference, row.log_loss_difference
        plain = row.name == LINEAR
        cells.append(
            f"<tr{kind}><td>{escape(row.name)}</td>"
            f"<td>{row.accuracy.value:.1%}{_under(right, 100, 1, 1, plain)}</td>"
            f"<td>{row.log_loss.value:.3f}{_under(loss, 1, 3, -1, plain)}</td>"
            f"<td>{row.brier.value:.3f}</td><td>{row.calibration:.1%}</td></tr>"
        )
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(cells)}</tbody></table></div>"
    )


def _under(found: Mean, unit: float, digits: int, good: int, plain: bool) -> str:
    """The difference in small type; `good`: the sign of what is better."""
    if plain:
        return "<small>—</small>"
    side = {1: "better", -1: "worse"}.get(found.effect * good, "")
    text = f"{unit * found.value:+.{digits}f} ± {unit * found.error:.{digits}f}"
    return f'<small class="{side}">{text}</small>'


def _maps(shown: tuple[Shown, ...]) -> str:
    parts = []
    for title, wanted in (("Right", True), ("Wrong", False)):
        chosen = [one for one in shown if (one.came == one.said) == wanted]
        if chosen:
            inside = "".join(map(_figure, chosen))
            parts.append(f'<h3>{title}</h3><div class="maps">{inside}</div>')
    return section("Where it looked", _MAPS, "".join(parts))


def _figure(one: Shown) -> str:
    most = max(float(one.heat.max()), 1e-9)
    right = one.came == one.said
    mark = f"<b{'' if right else ' class=wrong'}>{escape(one.said)}</b> {one.share:.0%}"
    came = "" if right else f"<br>came: {escape(one.came)}"
    pair = _picture(Image.fromarray(one.image)) + _picture(overlaid(one.image, one.heat, most))
    return f'<figure><div class="two">{pair}</div><figcaption>{mark}{came}</figcaption></figure>'


def _picture(image: Image.Image) -> str:
    content = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(content, "JPEG", quality=82)
    return (
        f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}">'
    )


def _facts(outcome: Outcome) -> dict[str, str]:
    model, plan, classifier = outcome.classifier.model_, outcome.plan, outcome.classifier
    prepared = model.preprocessing
    parameters = count(model.weights)
    millions = nets.module(model.net).multiply_adds(model.net, prepared.size) / 1e6
    steps = len(classifier.losses_)
    training = (
        f"{steps} steps of {classifier.batch} images, {classifier.optimiser}, cosine with warm-up; "
        "norms as they were"
        if steps
        else "none: logistic regression on frozen features"
    )
    return {
        "Net": f"{plan.net} ({model.source}): {parameters:,} parameters, {millions:,.0f} million "
        f"multiply-adds an image of {prepared.size} × {prepared.size}",
        "Preprocessing": f"{_SIDES[prepared.crop]} to {prepared.resize}, middle {prepared.size}, "
        f"{prepared.interpolation}; mean {_three(prepared.mean)}, deviation {_three(prepared.std)}",
        "Training": training,
        "Logistic regression": f"penalty C = {classifier.penalty_:g} of standardised features, "
        "chosen on images held out of training",
        "Temperature": f"{classifier.temperature_:.2f}, fitted on images held out of training; it "
        "is part of the saved weights",
        "Seed, version": f"{plan.seed}, tilewright {tilewright.__version__}",
        "Data": outcome.data.source,
    }


def _three(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.3f}" for value in np.asarray(values))
