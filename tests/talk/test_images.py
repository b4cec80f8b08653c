"""Steps over images are the bench's: every contender is a point, in either precision."""

import pytest

from tilewright.bench import image_steps
from tilewright.talk import images

pytestmark = pytest.mark.usefixtures("cheap_collections")


@pytest.mark.parametrize("halves", [True, False])
def test_all_contenders_of_training_are_points(halves, monkeypatch):
    """Contenders of made-up times: what is looked at is what becomes of the bench's rows."""
    names = (
        ["tilewright", "tilewright bfloat16", "PyTorch"] if halves else ["tilewright", "PyTorch"]
    )
    monkeypatch.setattr(image_steps, "multiplies_halves", lambda: halves)
    monkeypatch.setattr(image_steps, "net_of", lambda *_: None)
    monkeypatch.setattr(
        image_steps, "stepping", lambda *_, **__: dict.fromkeys(names, lambda: 0.002)
    )
    points = images.training(images.QUICK).points
    assert [p.who for p in points] == names
    assert all(p.figure.value == pytest.approx(image_steps.TRAINED / 0.002) for p in points)
