"""NUTS over unequal chains: `tile_map` against pinned JAX processes that share the chains evenly.

Each process runs its chains one after another (`lax.map`) or all at once (`vmap`), with the data
in both orders: the best of these is the peer. Trees differ in the last bits of their energies, so
the number of leapfrogs differs a little: ratios are those of time per leapfrog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tilewright.bench.level import bar
from tilewright.bench.nuts_workloads import Nuts
from tilewright.bench.ours import Ours, behaviour
from tilewright.bench.peer import Peers
from tilewright.bench.record import Row
from tilewright.bench.rounds import Rounds, compare
from tilewright.machine.cpu import allowed_cpus

BARS = {"funnel": bar(3.5, 5.0), "logistic": bar(3.5, 4.4)}
TITLES = {"funnel": "funnel, 10 dimensions", "logistic": "logistic regression, 500 × 20"}


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for model, title in TITLES.items():
        spec = Nuts(model, draws=5 if quick else 50)
        yield title, partial(run, spec, 2 if quick else 7)


def run(spec: Nuts, rounds: int, cpus: Sequence[int] | None = None) -> list[Row]:
    """Time one model."""
    cpus = sorted(allowed_cpus()) if cpus is None else cpus
    orders = ("rows", "columns") if spec.model == "logistic" else ("rows",)
    names = [f"{mode} {order}" for mode in ("map", "vmap") for order in orders]
    with Peers(cpus) as peers:
        for name in names:
            mode, order = name.split()
            peers.build(name, replace(spec, order=order), mode)
        ours = Ours(spec)
        contenders = {"ours": ours, **{name: peers.timed(name) for name in names}}
        measured = compare(contenders, rounds, keep=("ours",))
    best = measured.best(names)
    vmap = measured.best([name for name in names if name.startswith("vmap")])
    return [_row(spec, measured, ours, (best, vmap), peers.totals)]


def _row(spec: Nuts, measured: Rounds, ours: Ours, names: tuple[str, str], totals: Mapping) -> Row:
    best, vmap = names
    mine, its = ours.totals, totals[best]
    scale = mine["leapfrogs"] / its["leapfrogs"]
    ratio, low, high = measured.ratio(best, "ours", scale)
    vmap_rate = totals[vmap]["leapfrogs"] / measured.median(vmap)
    return Row(
        "nuts",
        f"{TITLES[spec.model]}, {spec.chains} chains",
        mine["leapfrogs"] / measured.median("ours"),
        "leapfrogs/s",
        its["leapfrogs"] / measured.median(best),
        f"JAX {best}",
        ratio,
        low,
        high,
        BARS[spec.model],
        gflops=measured.gflops,
        notes=f"{behaviour(mine)} (peer {behaviour(its)}); "
        f"leapfrogs {mine['leapfrogs']:,.0f} (peer {its['leapfrogs']:,.0f}); "
        f"JAX vmap {vmap_rate:,.0f} leapfrogs/s",
        more={"ours": mine, "peer": dict(its), "seconds": measured.seconds},
    )
