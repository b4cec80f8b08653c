"""`python -m fidelity`: the modelled time of every case beside the measured one, and the bars.

First measures this host (`tilewright machine measure`), or takes its figures from a file; no figure
comes from a case. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tilewright
from fidelity.cases import cases
from fidelity.judge import Row, markdown, verdict
from fidelity.measured import cycles
from tilewright.calibrate import calibrate
from tilewright.calibrate.rounds import Chain
from tilewright.machine import machine
from tilewright.simulate.cpu import timing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", help="a TOML file of this host's figures; none: measure it")
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    parser.add_argument("--out", type=Path, help="write the table there")
    options = parser.parse_args()
    host = machine(options.machine) if options.machine else calibrate()
    rows, chain = [], Chain()
    for case in cases():
        if options.only in case.name:
            exe = tilewright.compile(case.function, *case.arguments, tiles=case.tiles)
            trips = exe.trips(*case.arguments)
            found = timing(exe.compiled.program, host, case.tiles, trips)
            measured = cycles(exe, case.arguments, chain)
            rows.append(Row(case.name, case.tiles, measured, found.cycles, found.limit))
            print(markdown(rows).splitlines()[-1], flush=True)
    text = f"{markdown(rows)}\n\n{len(rows)} cases on {host.name}, in thousands of cycles: "
    text += f"{verdict(rows)}.\n"
    if options.out:
        options.out.write_text(text)
    print(text)
    return 0 if verdict(rows).holds else 1


if __name__ == "__main__":
    sys.exit(main())
