"""Estimators in folders: the same bits come back, and nothing else is taken for one."""

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from tilewright.alpha import AlphaError, AlphaRegressor, BayesianMLPRegressor

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(60, 2)), columns=pd.Index(["first", "second"]))
Y = X["first"].to_numpy() + RNG.normal(size=60)
TINY: dict[str, Any] = dict(hidden=2, chains=2, warmup=20, draws=6, patience=1)
MODELS = {
    "learned": BayesianMLPRegressor(
        **{**TINY, "hidden": (3, 2)}, doublings=3, scale="net", relevance=True
    ),
    "decided": BayesianMLPRegressor(**{**TINY, "patience": 2}, doublings=3),
    "returns": AlphaRegressor(**TINY, leapfrogs=2, random_state=np.random.RandomState(0)),
    "talk": BayesianMLPRegressor(**TINY, doublings=3, prior="talk"),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MODELS[request.param].fit(X, Y)


def test_the_same_comes_back(fitted, tmp_path):
    fitted.save(tmp_path / "new" / "folder")
    found = type(fitted).load(tmp_path / "new" / "folder")
    ours, theirs = found.predict_distribution(X), fitted.predict_distribution(X)
    for name in ("location", "scale", "df"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    asked = fitted.get_params()
    asked["random_state"] = None if fitted.prior == "returns" else 0
    assert found.get_params() == asked
    attributes = {name for name in vars(fitted) if name.endswith("_")}
    assert {name for name in vars(found) if name.endswith("_")} == attributes
    np.testing.assert_array_equal(found.feature_names_in_, ["first", "second"])
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(X.rename(columns={"first": "other"}))


def test_saved_again(fitted, tmp_path):
    """The older draws go only when the new ones are named."""
    fitted.save(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    fitted.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before
    (tmp_path / "draws-old.npz").write_bytes(b"")
    fitted.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_killed_between_the_files(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path)
    kept = fitted.predict(X)
    before = fitted.centre_
    with monkeypatch.context() as patch:
        patch.setattr("tilewright.alpha.saved.write_text", lambda *_: 1 / 0)
        fitted.centre_ = before + 1
        fitted.train_ = fitted.train_[0] + 1, fitted.train_[1]
        with pytest.raises(ZeroDivisionError):
            fitted.save(tmp_path)
    fitted.centre_, fitted.train_ = before, (fitted.train_[0] - 1, fitted.train_[1])
    np.testing.assert_array_equal(type(fitted).load(tmp_path).predict(X), kept)


def test_what_is_no_estimator(fitted, tmp_path):
    with pytest.raises(AlphaError, match="cannot be read"):
        type(fitted).load(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AlphaError, match="holds other things"):
        fitted.save(tmp_path)
    (tmp_path / "notes.txt").unlink()
    fitted.save(tmp_path)
    other = AlphaRegressor if type(fitted) is BayesianMLPRegressor else BayesianMLPRegressor
    with pytest.raises(AlphaError, match=f"holds a {type(fitted).__name__}"):
        other.load(tmp_path)
    (draws,) = tmp_path.glob("*.npz")
    draws.write_bytes(draws.read_bytes()[:100])
    with pytest.raises(AlphaError, match="is missing or damaged"):
        type(fitted).load(tmp_path)
    head = tmp_path / "estimator.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "format": 99}))
    with pytest.raises(AlphaError, match="is not an estimator that this version can read"):
        type(fitted).load(tmp_path)
    head.write_text("{")
    with pytest.raises(AlphaError, match="is not an estimator that this version can read"):
        type(fitted).load(tmp_path)


def test_folders_from_before_the_data_decided_are_read(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MODELS["learned"].fit(X, Y)
    model.save(tmp_path)
    path = tmp_path / "estimator.json"
    head = json.loads(path.read_text())
    del (
        head["parameters"]["patience"],
        head["attributes"]["scale_"],
        head["attributes"]["extended_"],
    )
    path.write_text(json.dumps(head))
    found = BayesianMLPRegressor.load(tmp_path)
    np.testing.assert_array_equal(found.predict(X), model.predict(X))
