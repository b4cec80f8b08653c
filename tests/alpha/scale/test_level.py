"""A process is kept to a lower level of the instruction set by variables of its environment."""

import os
import subprocess
import sys

import pytest

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.level import AVX2, here, kept_to

CODE = "from tilewright.alpha.scale.level import here; print(here())"


@pytest.mark.skipif(here() not in ("avx512", AVX2), reason="needs AVX2")
def test_a_process_is_kept_to_avx2():
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE], env={**os.environ, **kept_to(AVX2)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == AVX2


def test_other_levels_are_refused():
    assert kept_to(None) == {}
    with pytest.raises(AlphaError, match="level must be 'avx2'"):
        kept_to("avx1024")
