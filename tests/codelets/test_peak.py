"""The loops that measure a core compute something, and exactly that."""

from tests.codelets.cases import check
from tests.codelets.run import levels
from tilewright.codelets.peak import PeakChain, PeakFma, PeakRead


@levels
def test_bits(features):
    check(PeakFma("float32", 7), features)
    check(PeakFma("float64", 7), features)
    check(PeakRead(1024, 3), features)
    check(PeakChain(5), features)
