"""What a program is made of and where its time went: tables for terminal and notebook.

report    supersteps, vertices, operations, bytes a tile and where they fit, the limit
profile   from the counters of a run with clocks: time of each superstep and codelet, the limit
"""

from tilewright.report.parts import report
from tilewright.report.profile import Profile, SuperstepTime, profile
from tilewright.report.table import Report

__all__ = ["Profile", "Report", "SuperstepTime", "profile", "report"]
