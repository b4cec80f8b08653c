"""PyTorch's modules, state dicts and files: their own answers, and refusals by name."""

import numpy as np
import pytest

from tests.sequence.sources import inputs, torch_answers, torch_net
from tilewright import ArgumentError, UnsupportedError
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
