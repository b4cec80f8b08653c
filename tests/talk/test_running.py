"""Steps in processes of their own: kept, gone on with, done again when disturbed."""

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.talk.records import images, talk
from tilewright.bench import gpu
from tilewright.errors import ArgumentError
from tilewright.talk import argument, running
from tilewright.talk.installed import no_gpu
from tilewright.talk.record import Outcome, load
from tilewright.talk.steps import Step, chosen, settings, step_of, steps

STEP = Step("images", "batch 1", 1, images)


def nobody(step: Step, outcome: Outcome | None) -> None:
    pass


def test_done_steps_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_child", lambda step: pytest.fail("it is done"))
    record = talk(**{"batch 1": images()})
    assert running.run(record, tmp_path / "talk.json", [STEP], nobody) == record


def test_each_step_is_kept_at_once_and_a_failed_one_is_tried_again(tmp_path, monkeypatch):
    seen, path = [], tmp_path / "talk.json"

    def child(step):
        seen.append(step.case)
        if step.case == "batch 2":
            raise KeyboardInterrupt
        return images()

    monkeypatch.setattr(running, "_child", child)
    both = [STEP, replace(STEP, case="batch 2")]
    failed = talk(**{"batch 1": Outcome("images", failed="it ended")})
    with pytest.raises(KeyboardInterrupt):
        running.run(failed, path, both, nobody)
    assert seen == ["batch 1", "batch 2"]
    assert list(load(path).outcomes) == ["images: batch 1"]
    assert not load(path).outcomes["images: batch 1"].failed


def test_a_disturbed_step_is_done_once_more_and_the_quieter_run_counts(monkeypatch):
    runs = [images(ours=9.0, others=0.9), images(ours=1.0, others=0.5)]
    monkeypatch.setattr(running, "_child", lambda step: runs.pop(0))
    found = running.one(STEP)
    assert found.points[0].figure.value == 1.0
    assert found.conditions["repeated"] == 1
    assert running.disturbed(found)


def test_a_step_that_ends_says_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    found = running.one(STEP)
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
    with pytest.raises(ArgumentError, match="A quick run leaves out 'training'"):
        chosen(True, "training")
    assert sum(step.seconds for step in chosen(True, None)) <= 8 * 60
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
        whole = tilewright.compile(tilewright.tile_map(marked), *workload.arguments)
    assert compiler.Stages is stages
    strips = tilewright.compile(tilewright.tile_map(workload.chain), *workload.arguments)
    assert "_256x40x22" in str(strips.program)
    assert "_600x40x22" in str(whole.program) or "_40x600x22" in str(whole.program)


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
