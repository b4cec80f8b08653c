"""The page of both answers, and what the demo's own settings promise."""

from tilewright.alpha.report.verdict import Verdict
from tilewright.alpha.scale.demo import MEAN, SCALE, SETTINGS, both
from tilewright.alpha.scale.report.words import Words
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.tables import sp500
from tilewright.alpha.walking.windows import windows_of

MEANT = Verdict("No gain <here>.", ["a finding of the mean"], [], [], True, True)
WIDE = Words("The net beats the EWMA.", ["a finding of the scale"], [], [], True, True)


def test_both_answers_stand_beside_each_other(tmp_path):
    text = both(tmp_path, MEANT, WIDE).read_text()
    for part in ("No gain &lt;here&gt;.", "a finding of the mean", WIDE.headline, WIDE.findings[0]):
        assert part in text
    for name in (MEAN, SCALE):
        assert f'href="{name}/report.html"' in text
    assert "survivors" in text
    for word in ("CRPS", "null, zero-mean null", "EWMA", "GJR-t", "log score", "planted, shuffled"):
        assert f"<dt>{word}</dt>" in text


def test_without_the_second_answer_the_first_is_shown(tmp_path):
    text = both(tmp_path, MEANT, None).read_text()
    assert "a finding of the mean" in text
    assert f'href="{SCALE}' not in text


def test_the_demo_shortens_no_chain_and_has_days_for_a_verdict():
    SETTINGS.check()
    assert SETTINGS.chain == ScaleSettings().chain
    assert SETTINGS.chains == ScaleSettings().chains
    windows = windows_of(sp500().days, SETTINGS)
    assert windows[0].day == "2000-12-13"
    assert sum(window.whole for window in windows) == 22
