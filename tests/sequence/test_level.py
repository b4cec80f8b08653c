"""Training is the same to the bit on AVX2 and AVX-512."""

import os
import subprocess
import sys

import pytest

from tilewright.machine.host import host_machine
from tilewright.machine.levels import level_of

pytestmark = pytest.mark.slow
CODE = """
from tests.sequence.test_together import DATA, models
from tilewright.sequence.checkpoint import digest

for cell in ("lstm", "gru"):
    model = models()[1].set_params(cell=cell, hidden=19).fit(DATA[1])
    print(digest((model.nets_, model.scores_)))
"""


def said(**environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return found.stdout


@pytest.mark.skipif(
    level_of(host_machine().tile.features.names) != "avx512", reason="needs AVX-512"
)
def test_what_is_learned_is_the_same_on_both():
    one = said()
    assert len(set(one.split())) == 2
    assert said(TILEWRIGHT_FEATURES="avx2") == one
