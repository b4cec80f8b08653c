"""The loops that measure a core compute something, and exactly that."""

import pytest

from tests.codelets.cases import check
from tests.codelets.run import AVX2, AVX512
from tilewright.codegen.host import host_features
from tilewright.codelets.peak import PeakFma, PeakRead

LEVELS = [AVX512, AVX2] if host_features().vector_bits == 512 else [AVX2]


@pytest.mark.parametrize("features", LEVELS, ids=lambda f: str(f.vector_bits))
def test_bits(features):
    check(PeakFma("float32", 7), features)
    check(PeakFma("float64", 7), features)
    check(PeakRead(1024, 3), features)
