"""What the page's figures show can be seen."""

from tilewright.vision.report.figures import losses


def contrast(colour: str) -> float:
    """To white, as the Web Content Accessibility Guidelines count it (2.1, 1.4.11)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 1.05 / (sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05)


def test_each_step_s_loss_is_seen():
    steps, mean = losses([2.0, 1.5, 1.0]).data
    assert (len(steps.x), len(mean.x)) == (3, 1)
    assert contrast(steps.marker.color) > 2.4
    assert contrast("#ffffff") == 1
