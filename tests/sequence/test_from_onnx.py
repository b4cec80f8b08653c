"""ONNX files as exporters write them, and nodes by hand: onnxruntime's answers, and refusals."""

import numpy as np
import pytest

from tests.sequence.sources import inputs, torch_net
from tilewright import ArgumentError, UnsupportedError
from tilewright.sequence import load

onnx = pytest.importorskip("onnx", reason="onnx is not installed (make test-peers installs it)")
runtime = pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

RANDOM = np.random.default_rng(2)


def by_runtime(path, xs: np.ndarray) -> np.ndarray:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: xs})[0]


EXPORTED = [
    dict(kind="LSTM", reads="last step"),
    dict(kind="LSTM", reads="every step", bidirectional=True),
    dict(kind="GRU", reads="last step", layers=1),
    dict(kind="GRU", reads="every step"),
]


@pytest.mark.parametrize("options", EXPORTED, ids=lambda o: "-".join(map(str, o.values())))
def test_what_torch_exports(options, tmp_path):
    torch = pytest.importorskip("torch")
    net, path = torch_net(**options).eval(), tmp_path / "net.onnx"
    example = torch.zeros(1, 7, 4)
    torch.onnx.export(net, (example,), path, dynamo=False)  # a batch of 1 is baked in
    model, xs = load(path), inputs()
    wanted = np.concatenate([by_runtime(path, xs[i : i + 1]) for i in range(len(xs))])
    np.testing.assert_allclose(model.window(*xs.shape[:2])(xs), wanted, atol=1e-5)


def side_by_side(*which):
    """States of a layer's directions."""

    def read(h):
        torch = pytest.importorskip("torch")
        return torch.cat([h[i] for i in which], 1)

    return read


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize(
    ("read", "both", "maps"),
    [
        (lambda h: h[-1], False, True),
        (lambda h: h[0], False, False),
        (side_by_side(-2, -1), True, True),
        (side_by_side(-1, -2), True, False),
    ],
    ids=["last", "first", "both", "crossed"],
)
def test_states_of_stacked_layers(read, both, maps, kind, dynamic, tmp_path):
    """As people read them, and as they hardly do; answers of one number, without its dimension."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            make = getattr(torch.nn, kind)
            self.rnn = make(4, 5, 2, batch_first=True, bidirectional=both)
            self.out = torch.nn.Linear(10 if both else 5, 1)

        def forward(self, xs):
            _, h = self.rnn(xs)
            h = h[0] if kind == "LSTM" else h
            return self.out(read(h)).squeeze(-1)

    torch.manual_seed(0)
    net, path, xs = Net().eval(), tmp_path / "net.onnx", inputs()
    axes = {"xs": {0: "batch", 1: "steps"}} if dynamic else None
    torch.onnx.export(
        net, (torch.zeros(3, 7, 4),), path, dynamo=False, input_names=["xs"], dynamic_axes=axes
    )
    if not maps:
        with pytest.raises(UnsupportedError, match="computes something else"):
            load(path)
        return
    found = load(path).window(*xs.shape[:2])(xs)
    np.testing.assert_allclose(found[:, 0], by_runtime(path, xs), atol=1e-5)


@pytest.mark.parametrize("step", [6, -1, 5, 2])
def test_a_step_that_is_read_by_its_number(step, tmp_path):
    """Of seven steps the last is number six; a batch of three has nothing to do with it."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(4, 5, batch_first=True)

        def forward(self, xs):
            return self.rnn(xs)[0][:, step]

    torch.manual_seed(0)
    net, path, xs = Net().eval(), tmp_path / "net.onnx", inputs()[:3, :7]
    torch.onnx.export(net, (torch.zeros(3, 7, 4),), path, dynamo=False)
    if step not in (6, -1):
        with pytest.raises(UnsupportedError, match="among the steps"):
            load(path)
        return
    found = load(path).window(*xs.shape[:2])(xs)
    np.testing.assert_allclose(found, by_runtime(path, xs), atol=1e-5)


def graph(nodes, arrays, output, shape=("steps", "batch", 4), more=()):
    """A file's bytes, of nodes by hand."""
    make = onnx.helper
    given = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    found = make.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ("a", "b"))
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()]
    made = make.make_graph(nodes, "net", [given, *more], [found], constants)
    return make.make_model(made, opset_imports=[make.make_opsetid("", 17)], ir_version=9)


def lstm(kind="LSTM", gates=4, **options):
    arrays = {
        "W": RANDOM.normal(size=(1, gates * 5, 4)).astype(np.float32),
        "R": RANDOM.normal(size=(1, gates * 5, 5)).astype(np.float32),
        "B": RANDOM.normal(size=(1, 2 * gates * 5)).astype(np.float32),
        "axis": np.array([1], np.int64),
        "first": np.array([0], np.int64),
        "V": RANDOM.normal(size=(5, 2)).astype(np.float32),
        "v": RANDOM.normal(size=2).astype(np.float32),
    }
    node = onnx.helper.make_node(
        kind, ["x", "W", "R", "B"], ["all", "h"], hidden_size=5, name="rnn", **options
    )
    return node, arrays


@pytest.mark.parametrize("kind", ["LSTM", "GRU before", "GRU after"])
def test_last_states_through_squeeze_and_gemm(kind, tmp_path):
    options = {} if kind == "LSTM" else {"linear_before_reset": int(kind == "GRU after")}
    node, arrays = lstm(kind.split()[0], 4 if kind == "LSTM" else 3, **options)
    nodes = [
        node,
        onnx.helper.make_node("Squeeze", ["h", "first"], ["s"]),
        onnx.helper.make_node("Gemm", ["s", "V", "v"], ["z"]),
        onnx.helper.make_node("Tanh", ["z"], ["y"]),
    ]
    path = tmp_path / "net.onnx"
    onnx.save(graph(nodes, arrays, "y"), path)
    model, xs = load(path), inputs()
    wanted = by_runtime(path, xs.swapaxes(0, 1).copy())
    np.testing.assert_allclose(model.window(*xs.shape[:2])(xs), wanted, atol=1e-5)


def refused(nodes, arrays, tmp_path, message, more=()):
    path = tmp_path / "net.onnx"
    onnx.save(graph(nodes, arrays, nodes[-1].output[0], more=more), path)
    with pytest.raises(UnsupportedError, match=message):
        load(path)


def test_what_does_not_map_is_refused_by_node(tmp_path):
    node, arrays = lstm()
    softmax = onnx.helper.make_node("Softmax", ["all"], ["y"], name="end")
    refused([node, softmax], arrays, tmp_path, "node end: Softmax does not map")
    clipped, arrays = lstm(clip=3.0)
    refused([clipped], arrays, tmp_path, "node rnn: LSTM with activations, clip")
    node, arrays = lstm()
    more = onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, (1, "batch", 5))
    added = onnx.helper.make_node("Add", ["h", "more"], ["y"], name="end")
    refused(
        [node, added], arrays, tmp_path, "more: an input beside the sequence .* Add end", [more]
    )


def test_operators_of_others_and_arrays_that_do_not_fit(tmp_path):
    node, arrays = lstm()
    file = graph([node, onnx.helper.make_node("Gate", ["all"], ["y"], name="end")], arrays, "y")
    file.graph.node[1].domain = "com.example"
    file.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(file, tmp_path / "net.onnx")
    with pytest.raises(UnsupportedError, match=r"node end: Gate of com\.example does not map"):
        load(tmp_path / "net.onnx")
    for name, wrong in [("R", arrays["R"][:, :, :3]), ("B", arrays["B"][:, :7])]:
        refused([node], arrays | {name: wrong}, tmp_path, "a graph that cannot be followed")


def test_lengths_are_those_of_the_whole_input_or_refused(tmp_path):
    node, arrays = lstm()
    node.input.append("lengths")
    squeeze = onnx.helper.make_node("Squeeze", ["h", "first"], ["y"])
    arrays["lengths"] = np.array([6], np.int32)
    refused([node, squeeze], arrays, tmp_path, "node rnn: LSTM with a sequence_lens of its own")
    del arrays["lengths"]
    given = onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ("batch",))
    refused([node, squeeze], arrays, tmp_path, "lengths: an input beside the sequence", [given])
    arrays["lengths"] = np.array([7], np.int32)
    path = tmp_path / "net.onnx"
    onnx.save(graph([node, squeeze], arrays, "y", shape=(7, 1, 4)), path)
    xs = inputs()[:1]
    wanted = by_runtime(path, xs.swapaxes(0, 1).copy())
    np.testing.assert_allclose(load(path).window(1, 7)(xs), wanted, atol=1e-5)


def test_opsets_that_mean_something_else(tmp_path):
    node, arrays = lstm()
    squeeze = onnx.helper.make_node("Squeeze", ["h", "first"], ["y"])
    file, path = graph([node, squeeze], arrays, "y"), tmp_path / "net.onnx"
    for version in (6, 999):
        file.opset_import[0].version = version
        path.write_bytes(file.SerializeToString())
        with pytest.raises(UnsupportedError, match=f"is of ONNX opset {version}: 7 to "):
            load(path)


def test_states_that_are_given_with_each_call_begin_at_zero(tmp_path):
    """Two of them in one input, as streaming exporters like it, and an activation after them."""
    node, arrays = lstm()
    node.input.extend(["", "h0", "c0"])
    make, path = onnx.helper.make_node, tmp_path / "net.onnx"
    nodes = [
        make("Split", ["states"], ["h0", "c0"], axis=0),
        node,
        make("Squeeze", ["all", "axis"], ["s"]),
        make("Relu", ["s"], ["y"]),
    ]
    shape = (2, "batch", 5)
    states = onnx.helper.make_tensor_value_info("states", onnx.TensorProto.FLOAT, shape)
    onnx.save(graph(nodes, arrays, "y", more=[states]), path)
    model, xs = load(path), inputs()
    assert model.net.read_activation == "relu"
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    fed = {"x": xs.swapaxes(0, 1).copy(), "states": np.zeros((2, len(xs), 5), np.float32)}
    wanted = session.run(None, fed)[0].swapaxes(0, 1)
    np.testing.assert_allclose(model.window(*xs.shape[:2])(xs), wanted, atol=1e-5)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ArgumentError, match="not an ONNX file"):
        load(tmp_path / "net.onnx")
