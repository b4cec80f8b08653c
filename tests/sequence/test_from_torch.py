"""PyTorch's modules, state dicts and files: their own answers, and refusals by name."""

import numpy as np
import pytest

from tests.sequence.sources import inputs, torch_answers, torch_net
from tilewright import ArgumentError, UnsupportedError
from tilewright.errors import DataWarning
from tilewright.sequence import load

torch = pytest.importorskip("torch", reason="torch is not installed (make test-peers installs it)")
pytestmark = pytest.mark.peers

CASES = [
    dict(kind=kind, reads=reads, bidirectional=both, batch_first=first, bias=bias)
    for kind, reads, both, first, bias in (
        ("LSTM", "last step", False, True, True),
        ("LSTM", "last state", True, True, True),
        ("LSTM", "every step", True, False, False),
        ("GRU", "last step", True, True, True),
        ("GRU", "every step", False, False, True),
        ("GRU", "last state", False, True, False),
    )
]


@pytest.mark.parametrize("options", CASES, ids=lambda o: "-".join(map(str, o.values())))
def test_a_module_answers_as_it_does_in_torch(options):
    net = torch_net(**options)
    net.train()
    model, xs = load(net), inputs()
    assert net.training
    program = model.window(*xs.shape[:2])
    np.testing.assert_allclose(program(xs), torch_answers(net, xs), atol=1e-5)
    by_name = load(net.state_dict(), reads=model.net.reads)
    # A state dict does not know of the activation between the dense layers.
    assert [d.activation for d in model.net.head] == ["tanh", "linear"]
    assert by_name.net.layers == model.net.layers
    for mine, its in zip(by_name.weights.layers, model.weights.layers, strict=True):
        for a, b in zip(mine, its, strict=True):
            np.testing.assert_array_equal(a.U, b.U)


def test_a_cell_in_a_loop_and_an_activation_before_the_head():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.rectify = torch.nn.GRUCell(4, 5), torch.nn.ReLU()
            self.out = torch.nn.Linear(5, 2)

        def forward(self, xs):
            h = None
            for x in xs.unbind(1):
                h = self.cell(x, h)
            return self.out(self.rectify(h))

    torch.manual_seed(0)
    net, xs = Net(), inputs()
    model = load(net)
    assert model.net.read_activation == "relu"
    with torch.no_grad():
        wanted = net(torch.from_numpy(xs)).numpy()
    np.testing.assert_allclose(model.window(*xs.shape[:2])(xs), wanted, atol=1e-5)
    by_name = load(net.state_dict()).weights
    np.testing.assert_array_equal(by_name.layers[0][0].d, model.weights.layers[0][0].d)


def test_files_of_weights(tmp_path):
    from safetensors.torch import save_file

    net = torch_net("GRU")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    wanted = load(net.state_dict()).weights
    for name in ("net.pt", "net.safetensors"):
        found = load(tmp_path / name).weights
        np.testing.assert_array_equal(found.layers[1][0].W, wanted.layers[1][0].W)
        np.testing.assert_array_equal(found.head[1].W, wanted.head[1].W)


def test_what_does_not_map_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="rnn: proj_size=2 does not map"):
        load(torch_net(proj_size=2, layers=1))
    with pytest.raises(UnsupportedError, match="rnn: a RNN does not map"):
        load(torch_net("RNN"))
    net = torch_net()
    net.norm = torch.nn.LayerNorm(3)
    with pytest.raises(UnsupportedError, match="norm: a LayerNorm does not map"):
        load(net)
    extra = torch_net().state_dict() | {"scale": torch.ones(3)}
    with pytest.raises(UnsupportedError, match="scale would be left unread"):
        load(extra)


def test_layers_of_a_file_that_keeps_no_order(tmp_path):
    """Names are sorted in it: "first" would come before "zeroth", "10" before "9"."""
    from safetensors.torch import save_file

    class Net(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.zeroth = torch.nn.LSTM(4, 5, batch_first=True)
            self.first = torch.nn.GRU(5, width, batch_first=True)
            dense = [torch.nn.Linear(width, width) for _ in range(11)]
            self.head = torch.nn.Sequential(*dense, torch.nn.Linear(width, 2))

        def forward(self, xs):
            return self.head(self.first(self.zeroth(xs)[0])[0][:, -1])

    torch.manual_seed(0)
    net, xs, path = Net(6), inputs(), tmp_path / "net.safetensors"
    save_file(net.state_dict(), path)
    with torch.no_grad():
        wanted = net(torch.from_numpy(xs)).numpy()
    np.testing.assert_allclose(load(path).window(*xs.shape[:2])(xs), wanted, atol=1e-5)
    net = Net(5)
    net.zeroth = torch.nn.LSTM(5, 5)
    save_file(net.state_dict(), path)
    with pytest.raises(UnsupportedError, match=r"first\., zeroth\.: .* fit together in several"):
        load(path)
    net.zeroth = torch.nn.LSTM(4, 3)
    save_file(net.state_dict(), path)
    with pytest.raises(UnsupportedError, match=r"first\., zeroth\.: .* fit together in no order"):
        load(path)


def test_half_as_many_bits(tmp_path):
    from safetensors.torch import save_file

    net = torch_net().bfloat16()
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    wanted = net.out.weight.detach().float().numpy().T
    for source in (net, net.state_dict(), tmp_path / "net.safetensors"):
        np.testing.assert_array_equal(load(source).weights.head[1].W, wanted)
    assert net.out.weight.dtype == torch.bfloat16


ODD = {
    "rnn: there is no matrix weight_hh_l0": {"rnn.weight_hh_l0": None},
    "rnn: there is no matrix weight_ih_l1": {"rnn.weight_ih_l1": torch.zeros(3)},
    "rnn: recurrent weights of 5 units have the shape": {"rnn.weight_hh_l1": torch.zeros(24, 5)},
    "rnn: biases of 5 units have the shape": {"rnn.bias_ih_l0": torch.zeros(3)},
    "hidden: biases have the shape": {"hidden.bias": torch.zeros(3)},
    "Dense layer 0 takes 7 features, but what comes before it gives 5": {
        "hidden.weight": torch.zeros(6, 7)
    },
    "Recurrent layer 1 takes 7 features": {"rnn.weight_ih_l1": torch.zeros(20, 7)},
    "out.weight: weights of complex64": {"out.weight": torch.zeros(2, 6, dtype=torch.complex64)},
    "out.weight: weights of torch.int8|int8": {"out.weight": torch.zeros(2, 6, dtype=torch.int8)},
    "epoch: weights of int64": {"epoch": 3},
    "out: weights of dict": {"out": {}},
    "rnn: not an LSTM or GRU": {"rnn.weight_hh_l0": torch.zeros(5, 5)},
}


@pytest.mark.parametrize("message", ODD)
def test_arrays_that_are_none_of_a_net_are_refused_by_name(message):
    arrays = torch_net().state_dict() | ODD[message]
    with pytest.raises(UnsupportedError, match=message):
        load({name: array for name, array in arrays.items() if array is not None})


def test_a_head_that_is_noted_before_what_it_reads():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(5, 1)
            self.rnn = torch.nn.LSTM(4, 5, batch_first=True)

        def forward(self, xs):
            return self.out(self.rnn(xs)[0][:, -1])

    net, xs = Net(), inputs()
    with torch.no_grad():
        wanted = net(torch.from_numpy(xs)).numpy()
    for source in (net, net.state_dict()):
        np.testing.assert_allclose(load(source).window(*xs.shape[:2])(xs), wanted, atol=1e-5)


def test_numbers_that_are_not_finite_are_refused_by_name():
    for name, message in [
        ("out.weight", "out: weights hold a number that is not finite"),
        ("hidden.bias", "hidden: biases hold"),
        ("rnn.weight_hh_l1", "rnn: recurrent weights of 5 units hold"),
    ]:
        net = torch_net()
        with torch.no_grad():
            net.get_parameter(name).view(-1)[0] = np.nan
        for source in (net, net.state_dict()):
            with pytest.raises(UnsupportedError, match=message):
                load(source)


@pytest.mark.filterwarnings("ignore")
def test_wide_answers_of_large_terms_for_one_window_at_a_time(tmp_path):
    """Of thousands of outputs some are summed up without an error, which says nothing then."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(4, 256, batch_first=True)
            self.out = torch.nn.Linear(256, 4000)
            torch.nn.init.normal_(self.out.weight, std=3.0)

        def forward(self, xs):
            return self.out(self.rnn(xs)[0][:, -1])

    torch.manual_seed(0)
    torch.onnx.export(Net().eval(), (torch.zeros(1, 7, 4),), tmp_path / "net.onnx", dynamo=False)
    assert load(tmp_path / "net.onnx").net.outputs == 4000


def test_a_dense_layer_in_front_is_refused():
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.LSTM(5, 5, batch_first=True))
    with pytest.raises(UnsupportedError, match="Dense layer 0 takes 4 features, but"):
        load(net)
    net = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.LSTM(5, 5), torch.nn.Linear(5, 1))
    with pytest.raises(UnsupportedError, match=r"0\.weight: a dense layer before a recurrent one"):
        load(net.state_dict())


def test_a_forward_that_takes_or_gives_something_else():
    net = torch_net()
    plain = type(net).forward
    net.forward = lambda xs, lengths: plain(net, xs)
    with pytest.raises(UnsupportedError, match=r"does not answer \(8, 7, 4\), .* 'lengths'"):
        load(net)
    net.forward = lambda xs: {"answers": plain(net, xs)}
    with pytest.raises(UnsupportedError, match="forward gives a dict, not a tensor"):
        load(net)
    with pytest.raises(UnsupportedError, match="weight_ih_l0: a tensor without values"):
        load(torch.nn.LSTM(4, 5, device="meta"))


def test_what_forward_does_beside_its_layers_is_noticed():
    net = torch_net()
    plain = type(net).forward
    net.forward = lambda xs: 2 * plain(net, xs)
    with pytest.raises(UnsupportedError, match="computes something else"):
        load(net)


@pytest.mark.parametrize("small", [[1e-4, 1e-4], [1.0, 1e-6]])
def test_however_small_the_answers_are(small):
    net = torch_net()
    with torch.no_grad():
        net.out.weight *= torch.tensor(small)[:, None]
    assert load(net).net.outputs == 2
    plain = type(net).forward
    net.forward = lambda xs: plain(net, xs) * torch.tensor([1.0, 0.5])
    with pytest.raises(UnsupportedError, match="computes something else"):
        load(net)


def test_an_order_of_sums_that_counts():
    """Terms of thousands, which nearly cancel."""
    net = torch_net(layers=1)
    with torch.no_grad():
        net.hidden.weight[:] = 0
        net.hidden.bias[:] = 0.5
        net.out.weight[:] = torch.tensor([4e4, -4e4, 3e4, -3e4, 1.0, -1.0])
    assert load(net).net.outputs == 2


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    torch.save({"net": torch_net().rnn}, tmp_path / "code.pt")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "foreign.pt").write_bytes(b"no model at all" * 9)
    torch.save(torch_net().state_dict(), tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    for name in ("code", "empty", "foreign", "cut"):
        with pytest.raises(ArgumentError, match=r"weights alone, as torch\.save") as found:
            load(tmp_path / f"{name}.pt")
        assert "weights_only" not in str(found.value)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_a_parameter_of_the_modules_own_is_not_left_out_in_silence(scale):
    """Where answers show it, it is refused; where they do not, it is named."""

    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.head = torch.nn.LSTM(4, 5, batch_first=True), torch.nn.Linear(5, 1)
            self.scale = torch.nn.Parameter(torch.full((1,), scale))

        def forward(self, xs):
            return self.head(self.layers(xs)[0][:, -1]) * self.scale

    torch.manual_seed(0)
    if scale == 1:
        with pytest.warns(DataWarning, match=r"^scale: left unread, as the module's answers do"):
            load(Scaled())
    else:
        with pytest.raises(UnsupportedError, match="something else than its layers"):
            load(Scaled())
