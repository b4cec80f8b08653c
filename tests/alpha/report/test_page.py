"""The page of the talk's job: everything inside, drawn when it is looked at, and small."""

import base64
import gzip
import re

import pytest

from tests.alpha.market import prices, result
from tilewright.alpha.forward import Outcome
from tilewright.alpha.report import figures
from tilewright.alpha.report.page import page
from tilewright.alpha.report.verdict import verdict
from tilewright.alpha.scores import score
from tilewright.alpha.settings import Settings

WINDOWS, PAGE = 12, 5_000_000


def page_of(stocks: int) -> str:
    """A year of test days."""
    rows = [result("real", i, 504 + 21 * (WINDOWS - i), stocks) for i in range(WINDOWS)]
    found = {(r.series, r.index): r for r in rows}
    table = prices(504 + 21 * (WINDOWS + 2), stocks)
    made = Outcome(table, Settings(controls=0), found, WINDOWS, WINDOWS, {})
    scores = {"real": score(rows)}
    return page(made, scores, verdict(made, scores))


@pytest.mark.parametrize("stocks", [3, 500])
def test_it_is_small_and_draws_itself(stocks):
    text = page_of(stocks)
    assert len(text) < PAGE
    (packed,) = re.findall('<script id="plotly" type="text/plain">(.*?)</script>', text)
    assert b"Plotly" in gzip.decompress(base64.b64decode(packed))
    assert text.count('<script type="text/plot">') == text.count("Plotly.newPlot(") == 5
    (said,) = re.findall('querySelectorAll\\("[.]([a-z-]+)"\\)\\)\n *place.textContent', text)
    assert text.count(f'class="{said}"') == 5  # where older browsers say why nothing is drawn
    named = re.findall('"label":"(S[0-9]+)"', text)
    assert len(named) == min(stocks, figures.FAN_STOCKS)
    assert named[-1] == f"S{stocks - 1}"


def test_models_can_be_told_apart_in_grey():
    text = page_of(3)
    drawn = {model: figures.DASHES[model] for model in ("net", "ridge", "OLS", "OLS, normal")}
    assert len(set(drawn.values())) == len(drawn)
    for dash in drawn.values():
        assert f'"dash":"{dash}"' in text
