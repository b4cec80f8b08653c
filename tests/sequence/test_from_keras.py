"""Keras files: Keras's own answers, and refusals by layer and option."""

import json
import os
import zipfile

import numpy as np
import pytest

from tests.sequence.sources import inputs
from tilewright import ArgumentError, UnsupportedError
from tilewright.sequence import load
from tilewright.sequence.from_keras import _check_is_kerass

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="keras is not installed (make test-peers installs it)")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

layers = keras.layers


def chain(*parts, features=4):
    return keras.Sequential([keras.Input((7, features)), *parts])


def adapted(**options):
    made = layers.Normalization(**options)
    made.adapt(inputs() * 3 + 1)
    return made


NETS = {
    "lstm": lambda: chain(layers.LSTM(5), layers.Dense(2, activation="sigmoid"), layers.Dense(1)),
    "no bias": lambda: chain(layers.LSTM(5, use_bias=False), layers.Dense(1, use_bias=False)),
    "gru": lambda: chain(layers.GRU(5, return_sequences=True), layers.GRU(3), layers.Dense(2)),
    "reset before": lambda: chain(layers.GRU(5, reset_after=False), layers.Dense(2)),
    "both": lambda: chain(layers.Bidirectional(layers.LSTM(5)), layers.Dropout(0.5)),
    "activations": lambda: chain(
        layers.LSTM(5), layers.Activation("relu"), layers.Dense(2), layers.Activation("tanh")
    ),
    "adapted": lambda: chain(adapted(), layers.LSTM(5)),
    "normalized": lambda: chain(
        layers.Normalization(axis=None, mean=0.5, variance=4.0),
        layers.Normalization(mean=[1.0, 0, 0, 2], variance=[4.0, 1, 1, 1]),
        layers.LSTM(5),
        layers.Flatten(),
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


def of_ends(*which):
    given = keras.Input((7, 4))
    found = layers.LSTM(5)(given)
    return keras.Model(given, [[found, layers.Dense(1)(found)][i] for i in which])


def always_dropping():
    given = keras.Input((7, 4))
    return keras.Model(given, layers.Dropout(0.5)(layers.LSTM(5)(given), training=True))


def two_ways(kind, **options):
    backward = kind(5, go_backwards=True, **options)
    return chain(layers.Bidirectional(kind(5), backward_layer=backward))


def in_integers():
    net = chain(layers.LSTM(5), layers.Dense(2))
    net.layers[-1].quantize("int8")
    return net


REFUSED = {
    "bidirectional.*'s backward layer: activation='relu'": lambda: two_ways(
        layers.LSTM, activation="relu"
    ),
    "backward layer: reset_after=False": lambda: two_ways(layers.GRU, reset_after=False),
    "output is not that of dense": lambda: of_ends(1, 0),
    "output is not that of dense_.*, its last layer, alone": lambda: of_ends(0, 1),
    "dropout.*: training=True does not map": always_dropping,
    "axis=.1. does not map": lambda: chain(adapted(axis=1), layers.LSTM(5)),
    "a Keras Flatten does not map": lambda: chain(
        layers.LSTM(5, return_sequences=True), layers.Flatten(), layers.Dense(2)
    ),
    "dense has 3 arrays, not 2": in_integers,
    "activation='LeakyReLU' does not map": lambda: chain(
        layers.LSTM(5), layers.Dense(2, activation=layers.LeakyReLU())
    ),
    "activation='a function' does not map there|activation='__lambda__'": lambda: chain(
        layers.LSTM(5), layers.Activation(lambda x: 2 * x)
    ),
    "activation='LeakyReLU' does not map there": lambda: chain(
        layers.LSTM(5), layers.Activation(layers.LeakyReLU())
    ),
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
    chain(layers.LSTM(5), layers.Dense(2)).save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    several = [
        {"model.weights.h5": b""},
        {"model.weights.h5": parts["model.weights.h5"][:2000]},
        {"config.json": b"[]"},
        {"config.json": b"{}"},
        {"config.json": b"{"},
    ]
    for content in (whole[:-500], b"", *several):
        if isinstance(content, dict):
            write(path, parts | content)
        else:
            path.write_bytes(content)
        with pytest.raises(ArgumentError, match="not a Keras 3 file"):
            load(path)
    config["config"]["layers"][1]["config"]["units"] = 7
    write(path, parts | {"config.json": json.dumps(config)})
    with pytest.raises(UnsupportedError, match=r"lstm.*: input weights of 7 units have the shape"):
        load(path)
    del config["config"]["layers"][2]
    config["config"]["layers"][1]["config"]["units"] = 5
    write(path, parts | {"config.json": json.dumps(config)})
    with pytest.raises(UnsupportedError, match=r"layers/dense/vars/0, .* would be left unread"):
        load(path)


def write(path, parts):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_a_class_of_the_same_name():
    @keras.saving.register_keras_serializable()
    class LSTM(layers.LSTM):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            return 2 * super().call(sequences, initial_state, mask, training)

    @keras.saving.register_keras_serializable("mine")
    class Dense(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    every = layers.LSTM(5, return_sequences=True)
    for parts, kind in [
        ((LSTM(5),), "Custom>LSTM"),
        ((layers.Bidirectional(LSTM(5)),), "Custom>LSTM"),
        ((layers.LSTM(5), Dense(2)), "mine>Dense"),
        ((every, layers.TimeDistributed(Dense(2))), "mine>Dense"),
    ]:
        with pytest.raises(UnsupportedError, match=rf"a {kind} does not map"):
            load(chain(*parts))
    config = chain(layers.LSTM(5)).get_config()["layers"][1] | {"module": "kerasx.layers"}
    with pytest.raises(UnsupportedError, match=r"a kerasx\.layers\.LSTM does not map"):
        _check_is_kerass(config)


def test_numbers_that_are_not_finite():
    net = chain(layers.LSTM(5), layers.Dense(2))
    net.layers[0].cell.recurrent_kernel.assign(np.full((5, 20), np.nan))
    with pytest.raises(UnsupportedError, match=r"lstm.*: recurrent weights .* not finite"):
        load(net)


def test_a_net_that_keeps_its_state_between_calls():
    net = keras.Sequential(
        [keras.Input((7, 4), batch_size=3), layers.LSTM(5, stateful=True, dropout=0.2)]
    )
    xs = inputs()
    wanted = net.predict(xs, verbose=0)
    np.testing.assert_allclose(load(net).window(*xs.shape[:2])(xs), wanted, atol=1e-5)
