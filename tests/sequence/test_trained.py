"""Nets that others trained, with their own weights: their answers here, and what precision costs.

silero-vad (MIT) finds speech: an LSTM cell of 128 that carries its state, after four convolutions.
g2p-en (Apache-2.0) spells words in sounds: GRUs of 256. Both packages are read, not imported.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.sequence.test_precision import BARS
from tilewright.sequence import Model, load

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.peers

FRAME, BEFORE, FRAMES = 512, 64, 200
"""Samples of a frame, those of the last one that it begins with, and frames of a recording."""
ENCODED = "/Transpose_output_0"
"""Where in silero-vad's graph convolutions end and the LSTM begins."""


def folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package} is not installed (make test-peers installs it)")
    return Path(found.submodule_search_locations[0])


def voice(seed: int) -> np.ndarray:
    """Syllables, as far as a formula goes: harmonics under three formants, pauses, noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(FRAMES * FRAME) / 16_000
    pitch = 120 + rng.uniform(-30, 60) + 60 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * t)
    phase, sound = 2 * np.pi * np.cumsum(pitch) / 16_000, np.zeros(len(t))
    formants = [
        (centre * (1 + 0.3 * np.sin(2 * np.pi * speed * t + rng.uniform(0, 6))), width)
        for centre, width, speed in ((600, 150, 3.1), (1500, 250, 2.3), (2600, 300, 1.7))
    ]
    for k in range(1, 25):
        loud = sum(np.exp(-(((k * pitch - at) / width) ** 2)) for at, width in formants)
        sound += loud * np.sin(k * phase)
    gate = np.clip(np.sin(2 * np.pi * rng.uniform(2.5, 4.5) * t) + 0.4, 0, 1)
    gate *= np.sin(2 * np.pi * 0.35 * t + rng.uniform(0, 6)) > -0.2
    noise = rng.normal(size=len(t)) * 0.003 * rng.uniform(0.1, 10)
    return (0.2 * sound * gate + noise).astype(np.float32)


def framed(sound: np.ndarray) -> np.ndarray:
    """(frames, samples): each with the end of the one before."""
    padded = np.concatenate([np.zeros(BEFORE, np.float32), sound])
    return np.lib.stride_tricks.sliding_window_view(padded, FRAME + BEFORE)[::FRAME].copy()


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """The file of the recurrent part, what it is given (recordings, frames, 128), its answers."""
    source = str(folder("silero_vad") / "data" / "silero_vad_16k_sequence.onnx")
    made = tmp_path_factory.mktemp("silero")
    before, path = made / "before.onnx", made / "net.onnx"
    onnx.utils.extract_model(source, before, ["input"], [ENCODED])
    onnx.utils.extract_model(source, path, [ENCODED, "h", "c"], ["speech_probs", "hn", "cn"])
    encode, answer = (runtime.InferenceSession(p).run for p in (before, path))
    zero = np.zeros((1, 1, 128), np.float32)
    features = [encode(None, {"input": framed(voice(seed))})[0] for seed in range(16)]
    answers = [answer(None, {ENCODED: x, "h": zero, "c": zero})[0] for x in features]
    return path, np.stack(features)[:, :, 0], np.stack(answers)


def test_an_onnx_lstm_whose_states_are_given_with_each_call(speech):
    path, xs, wanted = speech
    assert wanted.std() > 0.3  # it hears speech, and pauses
    net = load(path)
    np.testing.assert_allclose(net.window(*xs.shape[:2])(xs)[..., 0], wanted, atol=1e-5)
    stream = net.stream(len(xs))
    for t in range(50):
        np.testing.assert_allclose(stream.answer(xs[:, t])[:, 0], wanted[:, t], atol=1e-5)
        stream.prepare()


def test_a_cell_from_safetensors(speech):
    """The names of an `nn.LSTMCell`, and a convolution over one step as the head."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    arrays = load_file(folder("silero_vad") / "data" / "silero_vad_16k.safetensors")
    of_it = {n: a for n, a in arrays.items() if n.startswith(("lstm_cell.", "final_conv."))}
    xs, state, wanted = speech[1][:, :50], None, []
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({n[10:]: a for n, a in of_it.items() if n.startswith("lstm_cell.")})
    W, b = of_it["final_conv.weight"][..., 0], of_it["final_conv.bias"]
    with torch.no_grad():
        for x in torch.from_numpy(xs).unbind(1):
            state = cell(x, state)
            wanted.append((state[0] @ W.T + b).numpy())
    found = load(of_it, reads="every step").window(*xs.shape[:2])(xs)
    np.testing.assert_allclose(found, np.stack(wanted, 1), atol=1e-5)


@pytest.mark.parametrize("precision", BARS)
def test_trained_weights_err_less_than_the_bar(speech, precision):
    path, xs, _ = speech
    found = load(path).error(precision, xs)
    print(precision, found)
    assert 0 < found.rms <= BARS[precision]


def spelt(words: str) -> np.ndarray:
    """Their letters as g2p-en numbers them: (words, longest), padded at the front."""
    letters = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
    longest = max(map(len, words.split())) + 1
    rows = [[*map(letters.index, word), 2] for word in words.split()]
    return np.array([[0] * (longest - len(row)) + row for row in rows])


@pytest.fixture(scope="module")
def spelling():
    return dict(np.load(folder("g2p_en") / "checkpoint20.npz"))


def part(arrays, name: str) -> Model:
    """A GRU by PyTorch's names, without a head."""
    kinds = ("w_ih", "w_hh", "b_ih", "b_hh")
    whole = {"w": "weight", "b": "bias"}
    return load({f"{whole[kind[0]]}{kind[1:]}": arrays[f"{name}_{kind}"] for kind in kinds})


def test_words_into_sounds(spelling):
    """What the encoder knows of a word is where the decoder starts; it hears its own last sound."""
    phonemes = "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2"
    phonemes += " AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2"
    phonemes += " IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW"
    phonemes += " UW0 UW1 UW2 V W Y Z ZH"
    encoder, decoder = (part(spelling, name) for name in ("enc", "dec"))
    said = []
    for word in ("market", "window", "tensor"):
        letters = spelling["enc_emb"][spelt(word)]
        stream = decoder.stream()
        stream.program.state = ((encoder.window(1, letters.shape[1])(letters),),)
        sound, sounds = 2, []
        while sound != 3 and len(sounds) < 12:
            h = stream.answer(spelling["dec_emb"][[sound]])
            sound = int(np.argmax(h @ spelling["fc_w"].T + spelling["fc_b"]))
            sounds.append(phonemes.split()[sound])
        said.append(" ".join(sounds[:-1]))
    assert said == ["M AA1 R K AH0 T", "W IH1 N D OW0", "T EH1 N S ER0"]


@pytest.mark.parametrize("precision", BARS)
def test_a_trained_gru_errs_less_than_the_bar(spelling, precision):
    words = "market window tensor volatility spread order quote latency future option covariance"
    letters = spelling["enc_emb"][spelt(words)]
    net = part(spelling, "enc")
    found = net.error(precision, letters)
    print(precision, found)
    assert 0 < found.rms <= BARS[precision]
    assert net.net.layers[0].reset == "after"
