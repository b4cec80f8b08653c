"""What all estimators can: be saved and loaded, and go on tick by tick."""

from typing import Any

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.sequence import LSTMClassifier, LSTMFeatures, LSTMRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 6, 2)) * 3 + 1
Y = X[:, -1, 0] + X[:, 0, 1]
SHORT: dict[str, Any] = dict(
    hidden=5, batch_size=32, epochs=6, learning_rate=0.03, seeds=2, steps=6
)
MADE = {
    "student_t": lambda: LSTMRegressor(**SHORT).fit(X, Y),
    "quantiles": lambda: LSTMRegressor(**SHORT, head="quantiles", levels=(0.1, 0.5, 0.9)).fit(X, Y),
    "classes": lambda: LSTMClassifier(
        **SHORT, calibration="isotonic", prior=0.2, class_weight={"high": 2.0, "low": 1.0}
    ).fit(X, np.where(Y > 2, "low", "high")),
    "features": lambda: LSTMFeatures(**SHORT).fit(X),
}


@pytest.fixture(scope="module", params=list(MADE))
def fitted(request):
    return MADE[request.param]()


def said(model):
    """Everything that it says of X, as arrays."""
    if isinstance(model, LSTMFeatures):
        return [model.transform(X)]
    if isinstance(model, LSTMClassifier):
        return [model.predict_proba(X), model.predict(X)]
    found = model.predict_distribution(X)
    return [model.predict(X), *([found] if model.head == "quantiles" else [found.location])]


def test_there_and_back(fitted, tmp_path):
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    loaded = type(fitted).load(path)
    for found, wanted in zip(said(loaded), said(fitted), strict=True):
        np.testing.assert_array_equal(found, wanted)
    parameters = loaded.get_params(deep=False)
    assert parameters == fitted.get_params(deep=False)
    other = next(k for k in (LSTMRegressor, LSTMFeatures) if not isinstance(fitted, k))
    with pytest.raises(ArgumentError, match=r"holds a .*: load it by that class"):
        other.load(path)


def test_ticks(fitted):
    """The answer to a sample's last step is what is said of the sample."""
    stream = fitted.to_stream(len(X))
    for step in range(X.shape[1]):
        found = stream.answer(X[:, step].astype(np.float32))
        stream.prepare()
    close: dict[str, Any] = dict(rtol=2e-3, atol=2e-4)
    if isinstance(fitted, LSTMRegressor) and fitted.head == "student_t":
        assert found.shape == (80, 2, 1, 2)
        forecast = fitted.predict_distribution(X)
        np.testing.assert_allclose(found[:, :, 0, 0].T, forecast.location, **close)
        np.testing.assert_allclose(found[:, :, 0, 1].T, forecast.scale, **close)
    elif isinstance(fitted, LSTMRegressor):
        np.testing.assert_allclose(found[:, 0], fitted.predict_distribution(X), **close)
    else:
        np.testing.assert_allclose(found, said(fitted)[0], **close)


@pytest.mark.parametrize("precision", ["bfloat16x16", "int8"])
def test_nets_may_answer_in_another_precision(precision, tmp_path):
    """All that they say is in it: near what float32 says, and a file keeps it."""
    model = LSTMRegressor(steps=5, epochs=2, hidden=8, seeds=2, head="normal").fit(
        X, X[:, -1].sum(1)
    )
    exact = model.predict(X)
    model.set_params(precision=precision)
    found, stream = model.predict(X), model.to_stream(len(X))
    assert 0 < np.abs(found - exact).max() < 0.02 * exact.std()
    for step in range(X.shape[1]):
        ticks = stream.answer(X[:, step].astype(np.float32))
        stream.prepare()
    assert stream.precision == precision
    np.testing.assert_allclose(ticks[:, :, 0, 0].mean(axis=1), found, atol=1e-3 * exact.std())
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(LSTMRegressor.load(tmp_path / "model").predict(X), found)


def test_settings_that_are_arrays_are_saved(tmp_path):
    levels: Any = np.array([0.1, 0.5, 0.9])
    model = LSTMRegressor(**SHORT, head="quantiles", levels=levels).fit(X, Y)
    model.save(tmp_path / "model")
    loaded = LSTMRegressor.load(tmp_path / "model")
    assert loaded.levels == (0.1, 0.5, 0.9)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_precision_that_there_is_not():
    with pytest.raises(ArgumentError, match="precision must be one of"):
        LSTMRegressor(precision="float8").fit(X, X[:, -1].sum(1))


def test_files_that_are_none(fitted, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ArgumentError, match="There is no file"):
        LSTMRegressor.load(path)
    fitted.save(path)
    whole = path.read_bytes()
    for cut in RNG.integers(1, len(whole), size=20):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArgumentError, match=r"model\.safetensors"):
            type(fitted).load(path)
    begin = 8 + int.from_bytes(whole[:8], "little")
    for place in RNG.integers(begin, len(whole), size=20):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ArgumentError, match="its checksum is not that of its content"):
            type(fitted).load(path)
    with pytest.raises(ArgumentError, match="cannot be written"):
        fitted.save(tmp_path / "none" / "model")
