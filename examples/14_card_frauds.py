"""Frauds on cards, simulated: an LSTM and gradient boosting, judged on a week that neither saw."""

import numpy as np

from tilewright.sequence.cards import weeks
from tilewright.sequence.cards.alerts import alerts
from tilewright.sequence.cards.boosting import Boosting, boosted
from tilewright.sequence.cards.features import AGGREGATES, RAW, aggregates, lags, raw
from tilewright.sequence.cards.nets import Net, blend, read
from tilewright.sequence.cards.precision import Ranking, parts_of
from tilewright.sequence.cards.published import published

given = published(seed=0, cards_=500, days=90)  # terminals and cards compromised, large amounts
print(given)

# Labels arrive seven days late: those of the week before are not known yet. Cards known as
# compromised are out of the week.
(week,) = weeks(given, first=80, count=1, train=28)
print(f"learned from {len(week.learned):,} purchases, judged on {len(week.judged):,}")

known = aggregates(given)  # 15 columns; a terminal's share of frauds counts what is known by then
trees, _ = boosted(np.hstack([known, lags(given)]), given.fraud, week, Boosting(0.1, 8, 100))

both, names = np.hstack([raw(given), known]), (*RAW, *AGGREGATES)
small = Net(hidden=16, seeds=2, epochs=10, batch_size=32)  # `tilewright lstm fraud` trains longer
net, model = read(given, both, names, week, small, seed=0)

rows = week.judged
parts = parts_of(given.card[rows], given.terminal[rows], np.arange(len(rows)))
for name, score in {"boosting": trees, "LSTM": net, "blend": blend(trees, net)}.items():
    found = Ranking(score, given.fraud[rows], parts).average_precision()
    team = alerts(given, rows, score, k=10)
    print(
        f"{name:>8}: average precision {found.value:.3f} ± {found.error:.3f}; of 10 alerts a day "
        f"{team.precision.mean():.0%} are right, at most {team.ceiling.mean():.0%}; "
        f"{team.saved.sum():,.0f} of {team.lost.sum():,.0f} saved"
    )

# As purchases come: a state for each card, a probability each.
stream = model.to_stream(streams=3)
print("now:", stream(both[rows[:3]].astype(np.float32))[:, 1])
