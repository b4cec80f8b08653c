"""The words of the page."""

from tilewright.alpha.report.html import facts_of, section
from tilewright.vision.report.page import _LAYERS


def test_commands_are_code():
    found = section("Layers", _LAYERS.format(1, 2), "")
    assert "<code>python -m tilewright.calibrate</code>" in found
    assert "`" not in found
    assert "&lt;b&gt;" in section("", "<b> and `x < y`", "")


def test_commands_in_facts_are_code_too():
    found = facts_of({"Size": "`--full` takes all, a < b"})
    assert found == "<dl><dt>Size</dt><dd><code>--full</code> takes all, a &lt; b</dd></dl>"
