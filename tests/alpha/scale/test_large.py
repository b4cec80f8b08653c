"""Tables of five hundred instruments: a job's page stays small, and nobody is left out."""

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.alpha.market import prices
from tests.alpha.scale.small import SMALL
from tilewright.alpha.scale.ahead import today
from tilewright.alpha.scale.folder import opened
from tilewright.alpha.scale.report.files import write_report
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale.walk import walk

INSTRUMENTS, PAGE, MEMORY = 500, 5_000_000, 6e9
"""And bytes at most."""


def run(folder: Path, days: int, settings: ScaleSettings) -> None:
    """From prices to the page and tomorrow's table."""
    table = prices(days, INSTRUMENTS, seed=2)
    found = walk(table, replace(settings, first=table.days[-3 * settings.test // 2]), folder)
    assert [len(set(one.places[:, 1])) for one in found.scored()] == [INSTRUMENTS]
    assert write_report(found) is not None
    assert (folder / "report.html").stat().st_size < PAGE
    assert len(today(opened(folder))) == INSTRUMENTS


def test_the_page_of_five_hundred(tmp_path):
    run(tmp_path / "job", 430, SMALL)


@pytest.mark.slow
def test_thirty_years_of_five_hundred(tmp_path):
    """Windows as they come, GJR-t five hundred times, chains cut short: 3.7 GB, 52 s."""
    code = f"from tests.alpha.scale.test_large import main; main({str(tmp_path / 'job')!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout.split()[-1]) < MEMORY


def main(folder: str) -> None:
    """The job; prints its peak memory in bytes."""
    settings = ScaleSettings(chain=SMALL.chain, rivals="few", chains=2)
    run(Path(folder), 30 * 252, settings)
    print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
