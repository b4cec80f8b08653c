"""Figures are the best of rounds that agree; a busy host is not measured."""

import pytest

from tests.machines import STATED
from tilewright.calibrate import DisturbedError, measure
from tilewright.calibrate.rounds import Chain, best, in_cycles
from tilewright.machine import figures, host
from tilewright.machine.figures import Figures

SOME = Figures(
    clock=3.456e9,
    rates={"float32": 1.999},
    reads=dict.fromkeys(("L1", "L2", "L3", "memory"), (61.23, 12.34)),
    operations={"tanh float32": 17.77},
    barrier=2345.0,
    call=11.11,
    jumps={"L3": 20.01},
    launch=3.456e-6,
)


def test_the_best_must_not_stand_alone():
    assert best("x", [3.0, 1.0, 1.05, 9.0, 1.09]) == 1.0
    assert best("x", [2.0], rounds=1) == 2.0
    with pytest.raises(DisturbedError):
        best("x", [2.0])
    with pytest.raises(DisturbedError, match=r"too busy .* timings of x differ"):
        best("x", [1.0, 1.05, 1.2, 5.0])


class Clock(Chain):
    """A chain without a core: `now` is what a cycle takes, `late` what the chain says."""

    def __init__(self):
        self.now, self.late = 1e-9, 1.0

    def seconds(self):
        return self.now * self.late


def test_rounds_of_a_slow_core_do_not_count():
    """A core at half its speed may serve memory as fast as ever: its cycles are other cycles."""
    chain = Clock()

    def timing():
        chain.now = 2e-9 if chain.now == 1e-9 else 1e-9
        return 40e-9

    found = in_cycles({"x": timing}, chain, 8)["x"]
    assert found == pytest.approx(40)


def test_a_chain_that_was_held_up_makes_nothing_fast():
    """Its cycles seem long then, and whatever is timed beside it would seem short."""
    chain, late = Clock(), iter([1.0, 1.0, 1.5, 1.5] * 100)

    def seconds():
        chain.late = next(late)
        return chain.now * chain.late

    chain.seconds = seconds
    assert in_cycles({"x": lambda: 40e-9}, chain, 8)["x"] == pytest.approx(40)


def test_a_busy_host_is_asked_again():
    """The best few agree in the end, after more rounds than were meant."""
    chain, asked = Clock(), []

    def timing():
        asked.append(1)
        return 40e-9 * (1 + 0.5 * (len(asked) % 7 != 0) * (1 + len(asked) % 5))

    assert in_cycles({"x": timing}, chain, 8)["x"] == pytest.approx(40)
    assert len(asked) > 8


def test_a_chain_takes_a_cycle_a_step():
    """Between half a GHz and ten."""
    assert 1e-10 < min(Chain(2000).seconds() for _ in range(5)) < 2e-9


def test_a_disturbed_measurement_keeps_nothing(tmp_path, monkeypatch):
    environment = host.ENVIRONMENT.__class__(tmp_path, 1 << 30, None, None, None, None)
    monkeypatch.setattr(measure, "ENVIRONMENT", environment)

    def disturbed(*_):
        raise DisturbedError("busy")

    monkeypatch.setattr(measure, "measured", disturbed)
    with pytest.raises(DisturbedError):
        measure.calibrate()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(measure, "measured", lambda *_: SOME)
    tmp_path.chmod(0o700)
    machine = measure.calibrate()
    assert machine.source.endswith("measured")
    assert figures.read(tmp_path, host.host_names()) == SOME.rounded()


def test_measured_figures_are_those_of_a_host(monkeypatch):
    """Whatever the host is busy with: the shape is right, and each is in the bounds of nature."""
    monkeypatch.setattr("tilewright.calibrate.rounds.TOLERANCE", 1e9)
    few = STATED.tile.operations[:3]
    machine = STATED.__class__(
        "few", STATED.chip.__class__(
            STATED.tile.__class__(STATED.tile.memories[:2], STATED.tile.features,
                                  STATED.tile.units, operations=few),
            1, 1e9, STATED.chip.exchange, 1),
    )  # fmt: skip
    found = measure.measured(machine, 1)
    assert 5e8 < found.clock < 1e10
    assert set(found.rates) == {unit.operands[1] for unit in STATED.tile.units}
    assert all(0.01 < rate < 10 for rate in found.rates.values())
    assert set(found.operations) == {f"{name} {dtype}" for name, dtype, _ in few}
    assert found.reads["L1"][0] > found.reads["L2"][0] / 2 > 0.5
    assert found.call > 1
