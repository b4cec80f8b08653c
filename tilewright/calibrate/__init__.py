"""What this host does, measured through our own compiler: the only place that measures a host.

    machine = calibrate()             measures, and leaves the figures beside the object cache
    python -m tilewright.calibrate    the same, and says what was found
    known(print)                      the kept figures, or new ones where there are none

Programs compiled from then on see those figures, for a month (see `machine/figures.py`). Where the
host was busy with something else, nothing is kept.
"""

from tilewright.calibrate.alone import Alone, FmaPeak, executable
from tilewright.calibrate.kept import known
from tilewright.calibrate.measure import DisturbedError, calibrate

__all__ = ["Alone", "DisturbedError", "FmaPeak", "calibrate", "executable", "known"]
