"""What `load` takes, what it folds into weights, and what `save` keeps."""

import sys
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

from tests.sequence.sources import inputs
from tilewright import ArgumentError
from tilewright.models import recurrent
from tilewright.models.recurrent import Dense, Layer, Recurrent
from tilewright.sequence import Model, files, load, save
from tilewright.sequence.scaler import pair_of

NET = Recurrent(
    (Layer("lstm", 4, 5), Layer("gru", 5, 6, "both")), (Dense(12, 3, "tanh"), Dense(3, 2))
)


def model(net=NET) -> Model:
    weights = recurrent.initial(net, jax.random.key(0))
    return Model(net, jax.tree.map(np.asarray, weights))


def test_what_was_saved_is_loaded_with_equal_bits(tmp_path):
    save(model(), tmp_path / "net.safetensors")
    found = load(tmp_path / "net.safetensors")
    assert found.net == NET
    jax.tree.map(np.testing.assert_array_equal, found.weights, model().weights)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_what_a_source_says_is_not_contradicted(tmp_path):
    path = tmp_path / "net.safetensors"
    save(model(), path)
    assert load(path, reads="last step").net == NET
    for reads in ("every step", "last state"):  # a layer runs backward
        with pytest.raises(ArgumentError, match=f"reads='{reads}', but the source says .*'last s"):
            load(path, reads=reads)
    save(model(Recurrent((Layer("lstm", 4, 5),))), path)
    assert load(path, reads="last state").net.reads == "last step"


def test_sizes_may_be_numpys():
    xs, net = inputs(), Recurrent((Layer("lstm", 4, 5),))
    wanted = model(net).window(*xs.shape[:2])(xs)
    many, steps = np.array(xs.shape[:2])
    np.testing.assert_array_equal(model(net).window(many, steps)(xs), wanted)
    stream, slide = model(net).stream(many), model(net).slide(steps, streams=many)
    for x in xs.swapaxes(0, 1):
        found = stream.answer(x.copy()), slide.answer(x.copy())
        stream.prepare()
        slide.prepare()
    for one in found:
        np.testing.assert_array_equal(one, wanted)
    with pytest.raises(ArgumentError, match="steps must be a whole number above 0, not True"):
        model(net).window(1, steps=True)


def test_windows_are_compiled_with_the_weights_bound():
    xs = inputs()
    program = model().window(3, 7)
    wanted = recurrent.window(NET, model().weights, xs)
    np.testing.assert_allclose(program(xs), wanted, atol=1e-6)


SCALERS = {
    "pair": (np.arange(4.0), np.arange(1.0, 5.0)),
    "standard": SimpleNamespace(mean_=np.arange(4.0), scale_=np.arange(1.0, 5.0)),
    "robust": SimpleNamespace(center_=np.arange(4.0), scale_=np.arange(1.0, 5.0)),
}


@pytest.mark.parametrize("name", SCALERS)
def test_scalers_become_weights(name, tmp_path):
    save(model(), tmp_path / "net.safetensors")
    raw = inputs() * 3 + 2
    scaled = ((raw - np.arange(4)) / np.arange(1, 5)).astype(np.float32)
    answers = np.asarray(recurrent.window(NET, model().weights, scaled))
    wanted = answers * np.array([2.0, 3.0]) + np.array([10.0, 20.0])
    found = load(
        tmp_path / "net.safetensors",
        scaler=SCALERS[name],
        target_scaler=([10.0, 20.0], [2.0, 3.0]),
    )
    answers = np.asarray(recurrent.window(NET, found.weights, raw))
    np.testing.assert_allclose(answers, wanted, rtol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "bfloat16x16", "int8", "int8x8"])
def test_what_is_scaled_is_rounded_as_if_it_had_come_so(precision, tmp_path):
    """Volumes of millions beside returns of a thousandth, and prices that hardly move."""
    net = Recurrent((Layer("lstm", 3, 8), Layer("gru", 8, 6)), (Dense(6, 1),))
    plain, path = model(net), tmp_path / "net.safetensors"
    save(plain, path)
    scaler = np.array([3e7, 0.0, 500.0]), np.array([1e6, 1e-3, 2.0])
    found, scaled = load(path, scaler=scaler), inputs(20, 12, 3)
    raw = (scaled * scaler[1] + scaler[0]).astype(np.float32)
    allowed = 1.5 * plain.error(precision, scaled).rms + 1e-4
    assert found.error(precision, raw).rms < allowed
    save(found, path)
    again = load(path)
    assert again.fingerprint == found.fingerprint != plain.fingerprint
    window = again.window(20, 12, precision=precision)(raw)
    stream = found.stream(20, precision=precision)
    for x in raw.swapaxes(0, 1):
        answers = stream.answer(x.copy())
        stream.prepare()
    assert answers.tobytes() == window.tobytes()
    twice = load(path, scaler=(np.ones(3), np.full(3, 2.0)))
    assert twice.error(precision, 2 * raw + 1).rms < allowed


def test_scikit_learns_scalers_mean_what_they_do():
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    rows = inputs(1, 50)[0].astype(float) * 3 + 1
    for scaler in (
        MaxAbsScaler(),
        MinMaxScaler((-1, 1)),
        RobustScaler(),
        RobustScaler(with_centering=False),
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
    ):
        scaler.fit(rows)
        offset, scale = pair_of(scaler, 4, "scaler")
        np.testing.assert_allclose(
            (rows - offset) / scale, np.asarray(scaler.transform(rows)), atol=1e-12
        )


def test_a_scaler_that_does_more_is_refused():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import MinMaxScaler

    rows = inputs(1, 50)[0].astype(float) * 3 + 1
    for scaler in (PCA(), MinMaxScaler(clip=True)):
        scaler.fit(rows)
        with pytest.raises(ArgumentError, match=r"a scaler does more than .* that clips or mixes"):
            pair_of(scaler, 4, "a scaler")
    pair_of(MinMaxScaler(clip=True).fit(rows), 4, "answers are never clipped", backward=True)


def test_a_scaler_that_takes_no_rows_of_numbers_is_refused():
    class OfFrames:
        mean_, scale_ = np.zeros(4), np.ones(4)

        def transform(self, frame):
            return frame[["open", "close"]]

    with pytest.raises(ArgumentError, match=r"a scaler does not take rows of 4 numbers \(.*give a"):
        pair_of(OfFrames(), 4, "a scaler")


@pytest.mark.parametrize(
    ("scaler", "message"),
    [
        ((np.zeros(3), np.ones(4)), r"an offset or a scale of shape \(3,\), not \(4,\)"),
        ((np.zeros(4), np.zeros(4)), "scaler has a scale that is not above 0"),
        ((np.full(4, np.nan), np.ones(4)), "scaler has an offset or a scale that is not finite"),
        ("standard", "scaler must be a pair"),
        (("a", 1), "scaler has an offset or a scale that is no number"),
        (([1, [2]], 1), "scaler has an offset or a scale that is no number"),
        ((0.0, 1e-45), "stretches inputs further than float32 goes"),
    ],
)
def test_scalers_that_are_none(scaler: Any, message, tmp_path):
    save(model(), tmp_path / "net.safetensors")
    with pytest.raises(ArgumentError, match=message):
        load(tmp_path / "net.safetensors", scaler=scaler)


def test_bad_sources(tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="source must be a PyTorch module"):
        load(3)
    with pytest.raises(ArgumentError, match="There is no file"):
        load(tmp_path / "none.onnx")
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(ArgumentError, match=r"must be a \.pt"):
        load(tmp_path / "net.txt")
    (tmp_path / "net.onnx").write_text("")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ArgumentError, match=r"needs onnx: pip install 'tilewright\[sequence\]'"):
        load(tmp_path / "net.onnx")
    with pytest.raises(ArgumentError, match="reads must be one of"):
        load(tmp_path / "net.txt", reads="the middle")
    with pytest.raises(ArgumentError, match="batch must be a whole number"):
        model().window(0, 7)


def test_damaged_files(tmp_path):
    path = tmp_path / "net.safetensors"
    save(model(), path)
    whole = path.read_bytes()
    for cut in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArgumentError, match="not a safetensors file"):
            load(path)
    path.write_bytes(whole.replace(b"recurrent 3", b"recurrent 4"))
    with pytest.raises(ArgumentError, match="another version"):
        load(path)
    path.write_bytes(whole)
    arrays, header = files.read(path)
    for name, array in [("scaler.offset", np.zeros(4)), ("head.1.b", np.full(2, np.inf, "f4"))]:
        path.write_bytes(safetensors.numpy.save(arrays | {name: array}, header))
        with pytest.raises(
            ArgumentError, match=rf"{name} (is not what|holds a number that is not)"
        ):
            load(path)
    path.write_bytes(whole.replace(b'hidden\\": 5', b'hidden\\": 7'))
    with pytest.raises(ArgumentError, match="not what its header says"):
        load(path)


def test_a_bit_of_a_weight(tmp_path):
    """Whichever it is, it is seen; files of before there were checksums are read."""
    path, net = tmp_path / "net.safetensors", model()
    save(net, path)
    whole = path.read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")
    for place in np.random.default_rng(0).integers(begin, len(whole), 20):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ArgumentError, match="its checksum is not that of its content"):
            load(path)
    path.write_bytes(whole)
    arrays, header = files.read(path)
    del header["checksum"]
    path.write_bytes(safetensors.numpy.save(arrays, header))
    for one, other in zip(*map(jax.tree.leaves, (load(path).weights, net.weights)), strict=True):
        np.testing.assert_array_equal(one, other)
