"""Thin nets of frauds are judged by average precision, beside the dense ones."""

from tilewright.sequence.cards.densities import Row, Study, said, study
from tilewright.sequence.cards.nets import Net
from tilewright.sequence.densities import Row as Of
from tilewright.sequence.densities import Study as OfReturns
from tilewright.sequence.densities import write

ROWS = [
    Row(1.0, 1.0, 0.60, 0.03, 0.0, 0.0),
    Row(0.5, 0.5, 0.61, 0.03, 0.01, 0.01),
    Row(0.1, 0.1, 0.40, 0.03, -0.2, 0.02),
]


def test_dense_first_and_thin_ones_are_thin():
    net = Net(hidden=16, seeds=1, epochs=2, prune_epochs=1)
    dense, thin = study(Study(densities=(0.25, 1.0), cards=100, net=net))
    assert (dense.density, thin.density) == (1.0, 0.25)
    assert dense.lead == dense.lead_error == 0
    assert dense.left > 0.99
    assert 0.15 < thin.left < 0.35
    assert thin.lead == thin.precision - dense.precision
    assert 0 < thin.precision < 1


def test_the_thinnest_that_is_as_good_is_named():
    assert "0.600 ± 0.030; with 50% of the blocks left it is +0.010 ± 0.010" in said(ROWS)
    assert "every thinner net has less" in said([ROWS[0], ROWS[2]])


def test_the_page_has_a_section_for_them(tmp_path):
    own = [Of(1.0, 1.0, 1.2, (1.2, 1.3), 0.0, 0.0, 9.0), Of(0.5, 0.5, 1.1, (1.1,), 0.1, 0.1, 7.0)]
    page = write(tmp_path, "prices", OfReturns(), own, ROWS).read_text()
    assert "Average precision of card frauds" in page
    assert "-0.200 ± 0.020" in page
    assert '"lead_error": 0.02' in (tmp_path / "densities.json").read_text()
    assert "card frauds" not in write(tmp_path, "prices", OfReturns(), own).read_text()
