"""The scale net on instruments that its features were not found on: the only clean test.

Two indices and five stocks, walked forward with the settings as they come; two of the stocks are
among the 20 on which features were found, and are left out of the count. Takes some minutes, and
needs bokeh-sampledata. Arguments: a folder that keeps the job and its page, and training days.
"""

import sys

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.report.files import write_report
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale.unseen import CLEAN, difference, unseen
from tilewright.alpha.scale.walk import walk

PAIRS = [("net", "EWMA"), ("net", "GJR-t"), ("net", "linear"), ("linear", "EWMA"),
         ("linear", "GJR-t")]  # fmt: skip


def main() -> None:
    try:
        prices = unseen()
    except AlphaError as error:
        sys.exit(str(error))
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    train = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    settings = ScaleSettings(train=train, rivals="few")
    job = walk(prices, settings, folder)
    if folder:
        write_report(job)
    print(f"{settings.train} training days; on {', '.join(CLEAN)}, nats a day:")
    for first, second in PAIRS:
        found = difference(job, first, second)
        print(
            f"{first:>6} to {second:<6} {found.mean:+.4f} ± {found.error:.4f} "
            f"(z {found.z:+.1f}, {found.days:,} days)"
        )


if __name__ == "__main__":
    main()
