"""The examples run, and say what they should."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*_*.py"))


MARKS = {
    # Those that train several nets, and one whose net is PyTorch's.
    "13_features_into_alpha": pytest.mark.slow,
    "14_card_frauds": pytest.mark.slow,
    "15_torch_weights_to_ticks": pytest.mark.peers,
    "16_volatility_beside_ridge": pytest.mark.slow,
    "17_skip_zero_blocks": pytest.mark.slow,
    # Sixty windows.
    "19_unseen_instruments": (
        pytest.mark.slow,
        pytest.mark.skipif(find_spec("bokeh_sampledata") is None, reason="needs bokeh-sampledata"),
    ),
}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=MARKS.get(path.stem, ()), id=path.stem) for path in EXAMPLES],
)
def test_runs(path):
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= 60
