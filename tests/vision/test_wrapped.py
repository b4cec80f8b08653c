"""State dicts as training scripts leave them: inside others, with names that begin alike."""

import numpy as np
import pytest

from tests.vision.nets import LITE, SMALL
from tests.vision.test_loading import tensors
from tilewright.errors import ArgumentError
from tilewright.vision import efficientnet_weights, load
from tilewright.vision.from_torch import state_dict

GIVEN = tensors(LITE)


def under(head, given=GIVEN):
    return {f"{head}{name}": array for name, array in given.items()}


@pytest.mark.parametrize("given", [
    under("module."),
    under("module._orig_mod.") | {"module._orig_mod.bn1.num_batches_tracked": np.int64(3)},
    under("module.") | {"n_averaged": np.int64(3)},
    {"state_dict": under("model."), "epoch": 3},
    {"epoch": 3, "model": GIVEN, "model_ema": under("module."), "optimizer": {"state": {}}},
    {"model_ema": under("module.")},
    {"model": {"state_dict": GIVEN}},
], ids="parallel compiled averaged lightning torchvision ema nested".split())  # fmt: skip
def test_the_net_is_found_inside(given):
    found = load(given, LITE)
    assert found.labels == ()
    for name, array in state_dict(LITE, found.weights, found.kept).items():
        np.testing.assert_array_equal(array, GIVEN[name])
    weights, _ = efficientnet_weights(LITE, given)
    np.testing.assert_array_equal(weights.classes.kernel, GIVEN["classifier.weight"].T)


@pytest.mark.parametrize("spelling", ["lukemelas", "timm", "torchvision"])
def test_every_package_s_names_may_begin_with_more(spelling):
    given = tensors(SMALL, spelling)
    found = load(under("module.", given), SMALL)
    for name, array in state_dict(SMALL, found.weights, found.kept, spelling).items():
        np.testing.assert_array_equal(array, given[name])


@pytest.mark.parametrize("given, words", [
    (under("model.") | under("ema."), "more than one net, under 'model.' and 'ema.': give one"),
    (under("net.") | {"head.weight": np.zeros((2, 5))}, "hold head.weight, which is no part of"),
])  # fmt: skip
def test_what_else_there_is_is_named(given, words):
    with pytest.raises(ArgumentError, match=words):
        load(given, LITE)
