"""Records without a run."""

from tilewright.talk.figures import Point, measured
from tilewright.talk.record import Outcome, Talk
from tilewright.talk.steps import settings

MACHINE = {
    "cpu": "A processor", "cores": 2, "level": "avx2", "vector_bits": 256,
    "cache_kib": [32, 512, 16384], "memory_gib": 8.0, "system": "Linux 6", "python": "3.11",
    "battery": False,
}  # fmt: skip


def images(ours: float = 1.0, peer: float = 2.0, **conditions: float) -> Outcome:
    """A step of nets over images; seconds of each in every round."""
    points = (
        Point("batch 1", "tilewright", measured("images: batch 1", [ours] * 3, "images/s", 1)),
        Point("batch 1", "PyTorch", measured("images: batch 1", [peer] * 3, "images/s", 1)),
    )
    known = {"seconds": 3.0, "others": 0.0, "stolen": 0.0, "MHz": None} | conditions
    return Outcome("images", points, {"ONNX Runtime": "pip install onnxruntime onnx"}, known)


def talk(**outcomes: Outcome) -> Talk:
    named = {f"images: {name}": outcome for name, outcome in outcomes.items()}
    return Talk(MACHINE, {"jax": "0.10.2"}, settings(), named)
