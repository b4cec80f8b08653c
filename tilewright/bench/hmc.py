"""HMC leapfrog steps a second on all cores: a chain a core, against a pinned JAX process a core.

The peers run the same chains from the same keys, with the data in both orders; the best counts. In
float32 NumPyro's sampler is a peer, too, where it is installed, and a GPU where JAX sees one (all
chains as one `vmap`; shown, not held against the bar).
With a bfloat16 force the bar is held against JAX with that force; a second row holds the same
against JAX in float32, which may be the faster one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from tilewright.bench import gpu
from tilewright.bench.level import bar
from tilewright.bench.ours import Ours, behaviour
from tilewright.bench.peer import Peers
from tilewright.bench.record import Row
from tilewright.bench.rounds import Rounds, compare
from tilewright.bench.workloads import DEEP, TALK, Hmc
from tilewright.frozen import frozen
from tilewright.machine.cpu import allowed_cpus

FULL, LOW = "float32", "bfloat16"
ORDERS = ("rows", "columns")
NUMPYRO = "NumPyro "


@frozen
class Case:
    """One net and number of rows, in both precisions, each with the ratio to reach by level."""

    name: str
    spec: Hmc
    full: float | None
    low: float | None


CASES = (
    Case("talk's net, 250 rows", Hmc(TALK, 250, 6, 1000), bar(1.7, 2.7), bar(1.6, 2.2)),
    Case("talk's net, 1,000 rows", Hmc(TALK, 1000, 2, 1000), bar(1.6, 2.2), bar(1.6, 2.0)),
    Case("talk's net, 5,000 rows", Hmc(TALK, 5000, 2, 200), bar(1.4, 1.8), None),
    Case("22-40-40-1, 500 rows", Hmc(DEEP, 500, 2, 1000), bar(1.5, 1.95), bar(1.6, 1.8)),
    Case(
        "talk's net, 58,368 rows", Hmc(TALK, 58_368, 1, 100, step=0.1), bar(2.2, 3.4), bar(2.0, 3.5)
    ),
)


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    """(name, what measures it)."""
    for case in CASES:
        spec = case.spec
        if quick:
            spec = replace(spec, draws=1, leapfrogs=max(10, spec.leapfrogs // 5))
        yield case.name, partial(run, replace(case, spec=spec), 2 if quick else 7)


def run(case: Case, rounds: int, cpus: Sequence[int] | None = None) -> list[Row]:
    """Time a case; ours and all peers, in both precisions and orders, run in the same rounds."""
    cpus = sorted(allowed_cpus()) if cpus is None else cpus
    spec = replace(case.spec, chains=len(cpus))
    with Peers(cpus) as peers:
        for precision in (FULL, LOW):
            for order in ORDERS:
                peers.build(precision + order, replace(spec, precision=precision, order=order), "")
        for name, order in _numpyro().items():
            peers.build(name, replace(spec, sampler="numpyro", order=order), "")
        ours = {p: Ours(replace(spec, precision=p)) for p in (FULL, LOW)}
        names = [p + order for p in (FULL, LOW) for order in ORDERS] + list(_numpyro())
        contenders = {**ours, **{name: peers.timed(name) for name in names}, **_gpu(spec)}
        measured = compare(contenders, rounds, keep=tuple(contenders))
        totals = peers.totals
    best = {p: measured.best([n for n in names if n.startswith(p)]) for p in (FULL, LOW)}
    return [
        _row(case, measured, (FULL, ours[FULL]), (FULL, best[FULL]), totals),
        _row(case, measured, (LOW, ours[LOW]), (LOW, best[LOW]), totals),
        _row(case, measured, (LOW, ours[LOW]), (FULL, best[FULL]), totals),
    ]


def _numpyro() -> dict[str, str]:
    """Names of NumPyro's runs, and their order of data."""
    if find_spec("numpyro") is None:
        return {}
    return {FULL + NUMPYRO + order: order for order in ORDERS}


def _gpu(spec: Hmc) -> Mapping[str, Callable[[], float]]:
    import jax

    workload = spec.workload()
    return gpu.contender(jax.vmap(workload.chain), *workload.arguments)


def _row(
    case: Case, measured: Rounds, ours: tuple[str, Ours], peers: tuple[str, str], totals: Mapping
) -> Row:
    """Ours and the peer, each with its precision."""
    (precision, run), (theirs, peer) = ours, peers
    mine, its = run.totals, totals[peer]
    assert mine["leapfrogs"] == its["leapfrogs"], "not the same work"
    ratio, low, high = measured.ratio(peer, precision)
    seconds, peer_seconds = measured.median(precision), measured.median(peer)
    force = ", bf16 force" if precision == LOW else ""
    equal = precision == theirs
    name = f"{case.name}{force}" + ("" if equal else " (JAX in fp32)")
    jump, its_jump = mine["jump"] / seconds, its["jump"] / peer_seconds
    return Row(
        "hmc",
        name,
        mine["leapfrogs"] / seconds,
        "leapfrogs/s",
        its["leapfrogs"] / peer_seconds,
        f"JAX {peer.replace('float32', 'fp32 ').replace('bfloat16', 'bf16 ')}",
        ratio,
        low,
        high,
        {FULL: case.full, LOW: case.low}[precision] if equal else None,
        gflops=measured.gflops,
        notes=f"{behaviour(mine)} (peer {its['acceptance'] / its['draws']:.2f}); "
        f"squared jump {_figure(jump)} /s (peer {_figure(its_jump)})",
        more={"ours": mine, "peer": its, "seconds": measured.seconds},
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
