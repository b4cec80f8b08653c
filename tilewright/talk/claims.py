"""What the talk said, in its own words, and what others have published of the same workloads.

The talk (A. Tsyplikhin, Graphcore, "New approaches for enabling machine learning innovation") is
from 2020; the values of its charts are lost, its headlines stay. It compares one processor of its
day with another, at equal watts.
"""

from __future__ import annotations

from collections.abc import Mapping

from tilewright.frozen import frozen
from tilewright.talk.figures import PUBLISHED, Figure, Point

TALK = "the talk, 2020"
CUDA = "NVIDIA, mcmc-bnn-example, README"
EXAMPLES = "NVIDIA, DeepLearningExamples, EfficientNet, README"


@frozen
class Claim:
    """`words` as they stand in the talk; `compared`: what with what, by its notes."""

    words: str
    compared: str


CLAIMS: Mapping[str, tuple[Claim, ...]] = {
    "hmc": (
        Claim(
            "15x faster time to train",
            "one C2 card against one GPU, 300 W each, TensorFlow Probability, 800 samples",
        ),
        Claim(
            "We were able to train one of our proprietary probabilistic models in 4.5 minutes "
            "instead of 2 hours. That's 26x faster.",
            "a customer's own model; on what the two hours were is not said",
        ),
    ),
    "lstm": (
        Claim(
            "Inference latencies are often too high, or throughput is too low",
            "the chart's values are lost: mixed precision, C2 card and GPU at 300 W, batches up "
            "to 1024",
        ),
    ),
    "images": (
        Claim(
            ">15x higher throughput, >14x lower latency",
            "one C2 card in mixed precision, batches 1 to 12, against one GPU in fp32, 1 to 32",
        ),
    ),
    "training": (
        Claim(
            "7x higher throughput",
            "two C2 cards in mixed precision, B0 changed to groups of 16, against two GPUs in fp32",
        ),
    ),
    "machines": (
        Claim(
            "1x, 5x - 32x, 320x",
            "bandwidth of memory: CPU, GPU, IPU",
        ),
    ),
}
"""By workload."""


def _point(case: str, who: str, value: float, unit: str, source: str) -> Point:
    return Point(case, who, Figure(value, unit, PUBLISHED, source))


WHOLE = "200 windows, 800 draws"
PUBLISHED_POINTS: Mapping[str, tuple[Point, ...]] = {
    "hmc": (
        _point(WHOLE, "A100, TF32, CUDA", 42 * 60, "s", CUDA),
        _point(WHOLE, "four A100, TF32, CUDA", 14 * 60, "s", CUDA),
    ),
    "images": (
        _point("batch 1", "V100, fp32", 1e3 / 13.15, "images/s", EXAMPLES),
        _point("batch 256", "V100, fp32", 2968, "images/s", EXAMPLES),
        _point("batch 256", "V100, mixed precision", 6176, "images/s", EXAMPLES),
    ),
    "training": (
        _point("B0", "V100, fp32", 655, "images/s", EXAMPLES),
        _point("B0", "V100, mixed precision", 1301, "images/s", EXAMPLES),
    ),
}
"""By workload, for the same net."""
