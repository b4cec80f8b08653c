"""Keras files: Keras's own answers, and refusals by layer and option."""

import os

import numpy as np
import pytest

from tests.sequence.sources import inputs
from tilewright import ArgumentError, UnsupportedError
from tilewright.sequence import load

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="keras is not installed (make test-peers installs it)")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

layers = keras.layers


def chain(*parts, features=4):
    return keras.Sequential([keras.Input((7, features)), *parts])


NETS = {
    "lstm": lambda: chain(layers.LSTM(5), layers.Dense(2, activation="sigmoid"), layers.Dense(1)),
    "no bias": lambda: chain(layers.LSTM(5, use_bias=False), layers.Dense(1, use_bias=False)),
    "gru": lambda: chain(layers.GRU(5, return_sequences=True), layers.GRU(3), layers.Dense(2)),
    "reset before": lambda: chain(layers.GRU(5, reset_after=False), layers.Dense(2)),
    "both": lambda: chain(layers.Bidirectional(layers.LSTM(5)), layers.Dropout(0.5)),
    "activations": lambda: chain(
        layers.LSTM(5), layers.Activation("relu"), layers.Dense(2), layers.Activation("tanh")
    ),
    "every step": lambda: chain(
        layers.Normalization(mean=[1.0, 0, 0, 2], variance=[4.0, 1, 1, 1]),
        layers.Bidirectional(layers.GRU(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_a_file_answers_as_keras_does(name, tmp_path):
    net, xs = NETS[name](), inputs()
    random = np.random.default_rng(1)
    fixed = {id(layer.weights) for layer in net.layers if "Normal" in type(layer).__name__}
    for layer in net.layers:
        if id(layer.weights) not in fixed:
            layer.set_weights([0.5 * random.normal(size=w.shape) for w in layer.get_weights()])
    net.save(tmp_path / "net.keras")
    model = load(tmp_path / "net.keras")
    np.testing.assert_allclose(
        model.window(*xs.shape[:2])(xs), np.asarray(net(xs, training=False)), atol=1e-5
    )


def test_a_functional_model_in_memory():
    given = keras.Input((7, 4))
    net = keras.Model(given, layers.Dense(1)(layers.LSTM(5)(given)))
    xs = inputs()
    answers = load(net).window(*xs.shape[:2])(xs)
    np.testing.assert_allclose(answers, np.asarray(net(xs)), atol=1e-5)


def branching():
    given = keras.Input((7, 4))
    found = layers.Concatenate()([layers.LSTM(5)(given), layers.LSTM(3)(given)])
    return keras.Model(given, layers.Dense(1)(found))


REFUSED = {
    "activation='relu' does not map": lambda: chain(layers.LSTM(5, activation="relu")),
    "recurrent_activation='hard_sigmoid'": lambda: chain(
        layers.GRU(5, recurrent_activation="hard_sigmoid")
    ),
    "merge_mode='sum' does not map": lambda: chain(
        layers.Bidirectional(layers.LSTM(5), merge_mode="sum")
    ),
    "go_backwards=True": lambda: chain(layers.LSTM(5, go_backwards=True)),
    "a Keras Masking does not map": lambda: chain(layers.Masking(), layers.LSTM(5)),
    "activation='softplus' does not map": lambda: chain(
        layers.LSTM(5), layers.Dense(1, activation="softplus")
    ),
    "activation='tanh' does not map there": lambda: chain(
        layers.Activation("tanh"), layers.LSTM(5)
    ),
    "comes after a layer": lambda: chain(
        layers.LSTM(5, return_sequences=True), layers.Activation("tanh"), layers.LSTM(5)
    ),
    "does not follow": branching,
    "no LSTM or GRU": lambda: chain(layers.Dropout(0.1)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_map_is_refused_by_layer_and_option(message):
    with pytest.raises(UnsupportedError, match=message):
        load(REFUSED[message]())


def test_a_damaged_file(tmp_path):
    path = tmp_path / "net.keras"
    chain(layers.LSTM(5)).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises((ArgumentError, UnsupportedError), match="not a Keras 3 file"):
        load(path)
