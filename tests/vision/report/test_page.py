"""The words of the page."""

from tilewright.alpha.report.html import section
from tilewright.vision.report.page import _LAYERS


def test_commands_are_code():
    found = section("Layers", _LAYERS.format(1, 2), "")
    assert "<code>python -m tilewright.calibrate</code>" in found
    assert "`" not in found
    assert "&lt;b&gt;" in section("", "<b> and `x < y`", "")
