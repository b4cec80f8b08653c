"""What an Executable is made of and where its time goes: tables for terminal and notebook.

report(exe)           supersteps, vertices, operations, bytes a tile against L1 and L2, the limit
profile(exe, *args)   the same program with clocks in it, run once: time of each superstep, codelet
"""

from tilewright.report.parts import report
from tilewright.report.profile import Profile, SuperstepTime, profile
from tilewright.report.table import Report

__all__ = ["Profile", "Report", "SuperstepTime", "profile", "report"]
