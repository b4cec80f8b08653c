"""Small trained nets for tests: right in every shape, random in every number."""

from typing import Any

import numpy as np

from tests.models.nets import weights_of
from tilewright.models import resnext
from tilewright.models.efficientnet import EfficientNet
from tilewright.vision.model import Model
from tilewright.vision.nets import module
from tilewright.vision.preprocessing import Preprocessing

SMALL = EfficientNet(width=0.25, depth=0.3, size=32, classes=5)
LITE = EfficientNet(width=0.25, depth=0.3, size=32, classes=5, lite=True)
GROUPS = EfficientNet(width=0.5, depth=0.3, size=32, classes=5, group=16, expansion=4)
RESIDUAL = resnext.ResNeXt(repeats=(1, 1, 1, 1), groups=4, width=4, size=32, classes=5)
PREPARED = Preprocessing(32, 36, "bilinear")


def model(net: Any = LITE, labels=tuple("abcde")):
    weights, kept = weights_of(module(net).start, net)
    return Model(net, weights, kept, PREPARED, labels, "a test")


def pixels(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)
