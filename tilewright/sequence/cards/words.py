"""What a comparison says, in sentences: against the best peer, never against the weakest.

In: a `Tally`. Out: a headline and findings. A lead counts from two standard errors on.
"""

from __future__ import annotations

from tilewright.sequence.cards.comparison import BLEND, LAGS, NET, NET_AND_15, PEERS
from tilewright.sequence.cards.figures import Mean
from tilewright.sequence.cards.precision import Estimate
from tilewright.sequence.cards.settings import ORDER
from tilewright.sequence.cards.tally import Tally

ERRORS = 2.0
NETS = (NET, NET_AND_15)


def best_net(found: Tally) -> str:
    """By average precision of all frauds."""
    return max(NETS, key=lambda model: found.models[model].all.precision.value)


def verdict(lead: Estimate) -> str:
    """Of a lead: "ahead", "behind" or "level"."""
    if abs(lead.value) <= ERRORS * lead.error:
        return "level"
    return "ahead" if lead.value > 0 else "behind"


def headline(found: Tally) -> str:
    """One sentence."""
    lead = found.lead(best_net(found))
    what = {
        "ahead": "An LSTM finds what tuned boosting misses",
        "behind": "Tuned boosting is ahead of the LSTM",
        "level": "An LSTM and tuned boosting cannot be told apart",
    }[verdict(lead)]
    where = (
        "where order is the signal"
        if found.comparison.settings.recipe == ORDER
        else "in the published recipe"
    )
    return f"{what} {where} ({figure(lead, sign=True)})"


def findings(found: Tally) -> list[str]:
    """Who leads, by kind too; what blending and lags do; what a team of k saves."""
    net, peer = best_net(found), found.best_peer
    mine, theirs = found.models[net].all.precision, found.models[peer].all.precision
    said = [
        f"Average precision: {net} has {figure(mine)}, the best peer, {peer}, has "
        f"{figure(theirs)}; the net is {verdict(found.lead(net))} "
        f"({figure(found.lead(net), sign=True)}). A model that knows nothing has "
        f"{found.random:.4f}.",
        *_kinds(found),
        f"Blended with {LAGS}, {NET_AND_15} has {figure(found.models[BLEND].all.precision)}, "
        f"{figure(found.lead(BLEND), sign=True)} over the best peer: {verdict(found.lead(BLEND))}.",
    ]
    best = max(found.models, key=lambda model: found.models[model].all.saved.value)
    scores, k = found.models[best].all, found.comparison.settings.k
    said.append(
        f"With {k} alerts a day {best} saves most: {scores.saved.value:,.0f} ± "
        f"{scores.saved.error:,.0f} a day, {scores.share_saved:.0%} of what frauds would cost; "
        f"{scores.cards.value:.0%} of its alerts are right, where {scores.ceiling:.0%} would be if "
        "none were wrong."
    )
    return said


def _kinds(found: Tally) -> list[str]:
    """Who finds which kind of fraud, if there are several."""
    kinds = found.kinds
    if len(kinds) < 2:
        return []
    said = []
    for kind in kinds:
        net, peer = (
            max(models, key=lambda model: found.models[model].kinds[kind].precision.value)
            for models in (NETS, PEERS)
        )
        said.append(
            f"{kind.capitalize()}: {net} has {figure(found.models[net].kinds[kind].precision)}, "
            f"{peer} has {figure(found.models[peer].kinds[kind].precision)}; the net is "
            f"{verdict(found.lead(net, kind, peer))}."
        )
    return said


def figure(of: Estimate | Mean, sign: bool = False) -> str:
    """Value ± standard error."""
    return f"{of.value:{'+' if sign else ''}.3f} ± {of.error:.3f}"
