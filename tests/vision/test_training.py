"""Training: it learns, what is frozen stays, and a run that was ended goes on to the same bits."""

import jax
import numpy as np
import pytest

from tests.vision.nets import model, pixels
from tilewright.errors import ArgumentError
from tilewright.vision.augment import Augment
from tilewright.vision.checkpoint import Checkpoint
from tilewright.vision.errors import ImageError
from tilewright.vision.settings import Training
from tilewright.vision.step import trained
from tilewright.vision.training import Trainer

NET = model().for_classes(["dark", "light"])
Y = np.arange(20) % 2
X = [
    (image // 8 + 120 * label).astype(np.uint8) for image, label in zip(pixels(20), Y, strict=True)
]
PLAIN = Augment("none", 1.0)


def leaves(net):
    return jax.tree.leaves((net.weights, net.kept))


def trainer(workers=None, net=NET, items=X, on_bad="raise", **settings):
    given = Training(**{"epochs": 3, "batch": 8, "augment": PLAIN, **settings})
    return Trainer(net, given, items, Y, np.ones(len(items)), workers, on_bad=on_bad)


def test_the_last_layer_learns_and_nothing_else_moves():
    run = trainer(epochs=12, rate=0.01, ema=0.0)
    after = run.run()
    assert np.mean(run.losses[-3:]) < 0.5 * run.losses[0]
    assert run.losses[0] == pytest.approx(np.log(2), rel=1e-6)
    right = after.logits(np.stack(X)).argmax(axis=1) == Y
    assert right.all()
    before, now = (n.weights._replace(classes=None) for n in (NET, after))
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(now), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_losses_fall_at_the_usual_rates(optimiser):
    """Features are long, as those of trained nets: the last layer takes small steps alone."""
    assert (NET.features(np.stack(X)) ** 2).sum(axis=1).mean() > 300
    run = trainer(optimiser=optimiser, epochs=12)
    run.run()
    losses = run.losses
    assert max(losses) < 2 * losses[0]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


def test_a_mean_is_of_weights_and_of_what_norms_keep():
    """It begins with what there was; statistics of a batch's norms count as weights do."""
    run = trainer(stage="head", frozen_norms=False, rate=0.01, ema=0.5, epochs=1)
    states = [run.step.start()]
    for _, images, *rest in run.batches.from_step(0, 3):
        run.step.take(images, *rest)
        states.append(run.step.state)
    means = jax.tree.leaves((states[0].weights, states[0].kept))
    for state in states[1:]:
        now = jax.tree.leaves((state.weights, state.kept))
        means = [0.5 * old + 0.5 * new for old, new in zip(means, now, strict=True)]
    found, count = run.step.finished(states[-1]), len(states[0].weights)
    for one, other in zip(jax.tree.leaves(found.kept), means[count:], strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)
    last = jax.tree.leaves(states[-1].kept)[0]
    assert np.abs(last - means[count]).max() > 1e-3


@pytest.mark.parametrize("rate, batch, words", [
    (1e30, 8, r"The loss of step \d is not finite: a smaller learning_rate would help"),
    (1e39, 20, "Weights are not finite after the last step: a smaller learning_rate would help"),
])  # fmt: skip
def test_what_leaves_float32_is_said(rate, batch, words):
    run = trainer(optimiser="sgd", rate=rate, batch=batch, epochs=1, warmup=0.0)
    with pytest.raises(ArgumentError, match=words):
        run.run()


@pytest.mark.parametrize("settings", [
    dict(stage="blocks", blocks=1, ema=0.5, mixup=0.4, smoothing=0.1, augment=Augment(colour=0.2)),
    dict(stage="head", optimiser="sgd", frozen_norms=False, train_size=24),
    dict(stage="blocks", blocks=1, micro_batch=4, precision="bfloat16"),
], ids=["frozen", "batch", "bfloat16"])  # fmt: skip
def test_killed_anywhere_and_begun_again_it_ends_with_the_same_bits(settings, tmp_path):
    whole = trainer(**settings)
    wanted = leaves(whole.run())
    ends = iter([False, True, False, False, True, False, False, False, False])
    for turn in range(3):
        run = trainer(workers=turn % 2, **settings)  # nor does it matter who reads the images
        file = Checkpoint(tmp_path / "run.npz", run.identity(["x"]))
        found = leaves(run.run(file, until=lambda: next(ends)))
    assert run.losses == whole.losses
    assert len(run.losses) == 9
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_step_overwrites_its_state_where_it_lies():
    """The same arrays after a step as before, with the values that a step of new ones gives; what
    is taken out is a copy."""
    import tilewright

    run = trainer(stage="blocks", blocks=1, train_size=24, epochs=2)
    step, fixed, state = run.step, run.step._fixed(), run.step.start()
    places, apart = {}, {}
    for _, images, *rest in run.batches.from_step(0, run.steps):
        size = images.shape[1]
        if size not in apart:
            apart[size] = tilewright.compile(step._step, fixed, state, images, *rest)
        state, loss = apart[size](fixed, state, images, *rest)
        assert step.take(images, *rest) == float(loss)
        held = [array.ctypes.data for array in step.program(size).arrays()]
        assert places.setdefault(size, held) == held
    assert len(places) == 2
    for one, other in zip(jax.tree.leaves(step.state), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).ctypes.data not in held


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_a_gradient_is_jax_s(micro_batch):
    """Of the sum over groups, with weights and a batch that is not full."""
    run = trainer(stage="blocks", blocks=1, micro_batch=micro_batch)
    state, fixed = run.step.start(), run.step._fixed()
    _, images, targets, weights = next(iter(run.batches.from_step(2, 3)))
    assert (weights > 0).sum() == 4
    weights = weights / weights.sum()
    import tilewright

    of_groups = tilewright.compile(run.step._of_groups, fixed, state, images, targets, weights)
    ours = of_groups(fixed, state, images, targets, weights)
    step = jax.jit(jax.value_and_grad(run.step._loss, has_aux=True))
    (loss, _), theirs = step(state.weights, fixed, state.kept, images, targets, weights)
    assert float(ours[0]) == pytest.approx(float(loss), rel=1e-5)
    for one, other in zip(ours[1], theirs, strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-4 * float(np.abs(other).max()))


def test_stages_train_what_they_say():
    def count(**settings):
        marks = trained(NET, Training(**settings))
        return sum(jax.tree.leaves(marks))

    every = len(jax.tree.leaves(NET.weights))
    assert count(stage="head") == 2
    assert 2 < count(stage="blocks", blocks=1) < count(stage="blocks", blocks=2) < every
    assert count(stage="whole", frozen_norms=False) == every
    kernels = sum(leaf.ndim > 1 for leaf in jax.tree.leaves(NET.weights))
    assert count(stage="whole") == kernels + 1  # and the last layer's shift


def test_small_images_first_and_full_size_at_the_end():
    settings = Training(epochs=8, train_size=24)
    assert [settings.size(epoch, 32) for epoch in range(8)] == [24] * 6 + [32] * 2


def test_a_first_size_that_is_no_smaller_one():
    with pytest.raises(ArgumentError, match="train_size must be no larger than the 32 pixels"):
        trainer(train_size=33)


def test_mixed_images_count_for_both_classes_by_their_weights():
    weights = np.where(Y, 3.0, 1.0)
    settings = Training(batch=20, mixup=0.4, augment=PLAIN)
    run = Trainer(NET, settings, X, Y, weights)
    _, _, targets, mixed = next(iter(run.batches.from_step(0, 1)))
    assert (targets.max(axis=1) < 0.99).sum() > 0
    np.testing.assert_allclose(targets.sum(axis=1), 1, 1e-6)
    np.testing.assert_allclose(mixed @ targets, np.bincount(Y, weights), 1e-5)


def test_a_broken_image_is_raised_or_counted():
    items = [*X[:19], np.full((4, 4), np.nan)]
    with pytest.raises(ImageError, match="image 19 has values that are not numbers"):
        trainer(items=items).run()
    run = trainer(items=items, on_bad="skip", epochs=1)
    run.run()
    assert list(run.batches.bad) == [19]


def test_a_run_made_again_begins_again():
    run = trainer(epochs=1)
    first, losses = leaves(run.run()), run.losses
    for a, b in zip(first, leaves(run.run()), strict=True):
        np.testing.assert_array_equal(a, b)
    assert run.losses == losses


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    one = trainer()
    Checkpoint(path, one.identity(["x"])).save(one.step.start(), 1, [0.5], now=True)
    cases = {
        r"belongs to another run \(rate None, not 0.5\)": trainer(rate=0.5).identity(["x"]),
        r"machine native, not xla": Trainer(
            NET, one.settings, X, Y, np.ones(20), machine="xla"
        ).identity(["x"]),
        "other images": one.identity(["y"]),
    }
    other = trainer(net=model().at(16).for_classes(["a", "b"]))
    cases["other weights"] = other.identity(["x"])
    for words, identity in cases.items():
        with pytest.raises(ArgumentError, match=words):
            Checkpoint(path, identity).load(one.step.start())
    fewer = one.step.start()._replace(kept=())
    Checkpoint(path, one.identity(["x"])).save(fewer, 1, [0.5], now=True)
    with pytest.raises(ArgumentError, match=r"of another version: it holds \d+ arrays, not \d+"):
        Checkpoint(path, one.identity(["x"])).load(one.step.start())
    archive = path.read_bytes()
    place = archive.index(b"PK\x01\x02")  # of the archive's list; a version follows
    strange = archive[: place + 4] + b"\xff" * 4 + archive[place + 8 :]
    for content in archive[:99], strange:
        path.write_bytes(content)
        with pytest.raises(ArgumentError, match="is not a checkpoint that can be read"):
            Checkpoint(path, one.identity(["x"])).load(one.step.start())


@pytest.mark.parametrize("settings, words", [
    (dict(stage="all"), "stage must be one of head, blocks, whole, not 'all'"),
    (dict(epochs=0), "epochs must be a whole number from 1 on"),
    (dict(batch=2.5), "batch must be a whole number from 1 on, not 2.5"),
    (dict(optimiser="lion"), "optimiser must be one of adamw, sgd"),
    (dict(precision="float16"), "precision must be one of float32, bfloat16, not 'float16'"),
    (dict(rate=-1), "learning_rate must be above 0"),
    (dict(ema=1), "ema must be 0 or more, and below 1"),
    (dict(mixup=-0.1), "mixup must be 0 or more"),
    (dict(decay="much"), "decay must be 0 or more, not 'much'"),
    (dict(warmup=None), "warmup must be 0 or more, and below 1, not None"),
    (dict(rate="fast"), "learning_rate must be above 0, not 'fast'"),
    (dict(train_size=0), "train_size must be a whole number from 1 on, not 0"),
    (dict(seed=None), "seed must be a whole number from 0 on, not None"),
])  # fmt: skip
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ArgumentError, match=words):
        Training(**settings)


def test_images_one_by_one_are_a_micro_batch_of_one():
    one, other = (leaves(trainer(micro_batch=count).run()) for count in (None, 1))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (dict(micro_batch=3), "must divide the batch of 8 images, not 3."),
        (dict(micro_batch=0), "must divide the batch of 8 images, not 0."),
        (dict(micro_batch=2.0), "must divide the batch of 8 images, not 2.0."),
        (dict(micro_batch=True), "must divide the batch of 8 images, not True."),
        (dict(micro_batch=4, frozen_norms=False), "needs frozen_norms: norms by a batch's"),
    ],
)
def test_a_micro_batch_that_cannot_be(settings, what):
    with pytest.raises(ArgumentError, match=f"micro_batch {what}"):
        trainer(**settings)


def test_in_bfloat16_it_goes_nearly_as_in_float32():
    """Nearly the same losses and weights, which are kept in float32; not the same bits."""
    one, other = (
        trainer(stage="blocks", blocks=1, epochs=8, rate=0.005, precision=name)
        for name in ("float32", "bfloat16")
    )
    start, wanted, found = leaves(NET), leaves(one.run()), leaves(other.run())
    assert {np.asarray(leaf).dtype for leaf in found} == {np.dtype(np.float32)}
    assert other.losses != one.losses
    np.testing.assert_allclose(other.losses, one.losses, rtol=0.1, atol=0.02)
    moved = np.concatenate([(a - b).ravel() for a, b in zip(wanted, start, strict=True)])
    apart = np.concatenate([(a - b).ravel() for a, b in zip(wanted, found, strict=True)])
    assert 0 < np.linalg.norm(apart) < 0.5 * np.linalg.norm(moved)
