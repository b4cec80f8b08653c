"""Steps in processes of their own: kept, gone on with, done again when disturbed."""

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.talk.records import images, talk
from tilewright.bench import gpu
from tilewright.cli.talk import SECONDS
from tilewright.errors import ArgumentError
from tilewright.talk import argument, running
from tilewright.talk.budget import LAST, Budget
from tilewright.talk.installed import no_gpu
from tilewright.talk.record import Outcome, load
from tilewright.talk.steps import (
    WORKLOADS,
    Step,
    chosen,
    of_workload,
    on_page,
    settings,
    step_of,
    steps,
)

STEP = Step("images", "batch 1", 1, images)


def nobody(step: Step, outcome: Outcome | None) -> None:
    pass


def test_done_steps_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_child", lambda step, most: pytest.fail("it is done"))
    record = talk(**{"batch 1": images()})
    assert running.run(record, tmp_path / "talk.json", [STEP], nobody, Budget(60)) == record


def test_each_step_is_kept_at_once_and_a_failed_one_is_tried_again(tmp_path, monkeypatch):
    seen, path = [], tmp_path / "talk.json"

    def child(step, most):
        seen.append(step.case)
        if step.case == "batch 2":
            raise KeyboardInterrupt
        return images()

    monkeypatch.setattr(running, "_child", child)
    both = [STEP, replace(STEP, case="batch 2")]
    failed = talk(**{"batch 1": Outcome("images", failed="it ended")})
    with pytest.raises(KeyboardInterrupt):
        running.run(failed, path, both, nobody, Budget(60))
    assert seen == ["batch 1", "batch 2"]
    assert list(load(path).outcomes) == ["images: batch 1"]
    assert not load(path).outcomes["images: batch 1"].failed


def test_a_disturbed_step_is_done_once_more_and_the_quieter_run_counts(tmp_path, monkeypatch):
    """After all others; a call later never again."""
    runs = [images(ours=9.0, others=0.9), images(), images(ours=1.0, others=0.5)]
    both, seen = [STEP, replace(STEP, case="batch 2")], []

    def child(step, most):
        seen.append(step.case)
        return runs.pop(0)

    monkeypatch.setattr(running, "_child", child)
    path = tmp_path / "talk.json"
    record = running.run(talk(), path, both, nobody, Budget(60))
    found = record.outcomes["images: batch 1"]
    assert seen == ["batch 1", "batch 2", "batch 1"]
    assert found.points[0].figure.value == 1.0
    assert found.conditions["repeated"] == 1
    assert running.disturbed(found)
    assert load(path) == running.run(record, path, both, nobody, Budget(60)) == record


def test_what_there_is_no_time_for_is_left(tmp_path, monkeypatch):
    """Also for doing a disturbed step again; a host that takes twice as long has half the rows."""
    now, seen, most_of = [0.0], [], []

    def child(step, most):
        seen.append(step.case)
        most_of.append(most)
        now[0] += 2 * step.seconds
        return images(seconds=2.0 * step.seconds, others=0.5)

    monkeypatch.setattr(running, "_child", child)
    cases = [replace(STEP, case=f"batch {n}", seconds=20) for n in (1, 2, 3, 4)]
    cases.append(replace(STEP, case="batch 5", seconds=5))
    budget = Budget(100 + LAST, clock=lambda: now[0])
    record = running.run(talk(), tmp_path / "talk.json", cases, nobody, budget)
    assert seen == ["batch 1", "batch 2", "batch 5", "batch 5"]
    assert now[0] == 100 + 0
    assert most_of == [100, 60, 20, 10]
    assert [step.case for step in running.left(record, cases)] == ["batch 3", "batch 4"]
    again = running.run(record, tmp_path / "talk.json", cases, nobody, Budget(1000))
    assert running.left(again, cases) == []
    assert seen[4:6] == ["batch 3", "batch 4"]
    assert [name for name, o in again.outcomes.items() if not o.conditions.get("repeated")] == []


def test_a_step_that_outlasts_the_time_is_ended():
    slow = running._child(STEP, 0.05)
    assert "took more than 0 seconds" in slow.failed


def test_a_step_that_ends_says_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    found = running._child(STEP)
    assert found.failed == "status 1"
    assert found.points == ()
    assert found.conditions["seconds"] >= 0


def test_a_record_of_other_packages_or_settings_is_not_gone_on_with(tmp_path):
    path = tmp_path / "talk.json"
    record = running.begin(path, settings())
    record.save(path)
    assert running.begin(path, settings()) == record
    replace(record, packages=dict(record.packages) | {"jax": "0.1"}).save(path)
    with pytest.raises(ArgumentError, match=r"begun with other packages \(jax\)"):
        running.begin(path, settings())
    record.save(path)
    with pytest.raises(ArgumentError, match=r"begun with other settings \(hmc\)"):
        running.begin(path, settings() | {"hmc": [1, 1]})


def test_steps_have_names_and_a_short_run_has_fewer():
    names = [step.name for step in steps()]
    assert len(set(names)) == len(names)
    assert all(step_of(name).name == name for name in names)
    assert {step.name for step in chosen(True, None)} < set(names)
    assert {step.workload for step in chosen(False, "lstm")} == {"lstm"}
    with pytest.raises(ArgumentError, match="There is no workload 'lstms'"):
        chosen(False, "lstms")
    assert sum(step.seconds for step in chosen(True, None)) <= SECONDS[True]
    assert sum(step.seconds for step in chosen(False, None)) <= SECONDS[False]
    assert {step.workload for step in chosen(True, None)} == set(WORKLOADS) - {"machines"}
    assert [step.quick for step in steps()] == sorted((s.quick for s in steps()), reverse=True)
    shuffled = {step.name: Outcome(step.workload) for step in reversed(steps())}
    assert list(of_workload(shuffled, "lstm")) == [
        s.name for s in on_page() if s.workload == "lstm"
    ]
    with pytest.raises(ArgumentError, match="There is no step"):
        step_of("lstm: batch 3")


def test_a_gpu_that_jax_sees_is_a_contender_and_its_absence_is_said(monkeypatch):
    assert gpu.device() is None
    assert list(no_gpu()) == ["A GPU"]
    assert gpu.contender(np.add, 1.0, 2.0) == {}
    monkeypatch.setattr(gpu, "device", lambda: jax.devices("cpu")[0])
    assert no_gpu() == {}
    (found,) = gpu.contender(lambda x: x + 1, np.ones(3)).items()
    assert found[0].startswith("JAX on ")
    assert 0 < found[1]() < 1


def test_a_program_an_operation_gives_what_one_program_gives():
    import jax.numpy as jnp

    def function(x, w):
        return jnp.sum(jnp.tanh(x @ w) ** 2), x @ w

    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 3), (3, 4)))
    found = argument.one_by_one(function, x, w)(x, w)
    for value, wanted in zip(found, function(x, w), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5)


def test_strips_are_switched_off_and_on_again():
    import tilewright
    from tilewright import compiler
    from tilewright.bench.workloads import TALK, Hmc

    workload = Hmc(TALK, 600, 1, 2, chains=1).workload()
    stages = compiler.Stages

    def marked(*slices):
        return workload.chain(*slices), np.int32(1)

    with argument._without_strips():
        whole = str(tilewright.compile(tilewright.tile_map(marked), *workload.arguments).program)
    assert compiler.Stages is stages
    strips = tilewright.compile(tilewright.tile_map(workload.chain), *workload.arguments)
    assert "_256x40x22" in str(strips.program)
    assert "_256x40x22" not in whole


def test_sparsity_is_switched_off_and_on_again():
    import tilewright
    from tests.graph.test_blocks import pruned, skips
    from tilewright import compilation

    w = pruned(np.random.default_rng(0).normal(size=(128, 96)).astype(np.float32), 4, 0.2)
    x, looked = np.ones((1, 128), np.float32), compilation.thin_lines
    program = tilewright.compile(lambda w, x: x @ w, w, x)
    with argument._without_blocks():
        whole = program.bind(w)
    assert compilation.thin_lines is looked
    thin = program.bind(w)
    assert (skips(whole), skips(thin)) == (0, 1)
    assert whole(x).tobytes() == thin(x).tobytes()
