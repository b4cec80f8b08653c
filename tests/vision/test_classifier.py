"""The estimator: scikit-learn's conventions, what it learns, and what it says of itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from tests.vision.nets import model, pixels
from tilewright.errors import ArgumentError, CapacityError
from tilewright.vision import ImageClassifier, load, save
from tilewright.vision.comparison import LINEAR, MAJORITY
from tilewright.vision.errors import ImageError

NET = model()


def data(count, seed=0, gap=120):
    """Bright images are days."""
    y = np.random.default_rng(seed).integers(0, 2, count)
    X = pixels(count, 32, seed) // 8 + (gap * y)[:, None, None, None].astype(np.uint8)
    return X, np.array(["night", "day"])[y]


X, Y = data(60)
EASY: Any = dict(net=NET, cache=False)


def test_features_and_logistic_regression():
    one = ImageClassifier(**EASY).fit(X, Y)
    assert one.classes_.tolist() == ["day", "night"]
    test, labels = data(40, 1)
    shares = one.predict_proba(test)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert one.score(test, labels) == 1
    assert (one.predict(test) == one.classes_[shares.argmax(axis=1)]).all()
    assert one.model_.labels == ("day", "night")


def test_scikit_learn_s_conventions():
    one = ImageClassifier(**EASY, class_weight="balanced", random_state=3)
    ours, theirs = one.get_params(), clone(one).get_params()
    assert ours.pop("net").fingerprint == theirs.pop("net").fingerprint
    assert ours == theirs
    search = GridSearchCV(ImageClassifier(**EASY), {"validation": [0.0, 0.2]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.9
    assert Pipeline([("net", ImageClassifier(**EASY))]).fit(X, Y).score(X, Y) == 1


def test_the_same_bits_from_frames_folders_and_arrays(tmp_path):
    for number, (image, label) in enumerate(zip(X, Y, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / label / f"{number:03}.png")
    order = np.argsort(Y, kind="stable")
    paths = [str(tmp_path / Y[i] / f"{i:03}.png") for i in order]
    arrays = ImageClassifier(**EASY).fit(X[order], Y[order]).predict_proba(X[:5])
    for given in ((tmp_path,), (pd.DataFrame({"path": paths}), Y[order])):
        found = ImageClassifier(**EASY).fit(*given)
        np.testing.assert_array_equal(found.predict_proba(X[:5]), arrays)


def test_three_classes_and_their_weights():
    y = np.arange(60) % 3
    x = pixels(60) // 8 + (100 * y)[:, None, None, None].astype(np.uint8)
    one = ImageClassifier(**EASY, class_weight={0: 1.0, 1: 5.0, 2: 1.0}).fit(x, y)
    assert one.predict_proba(x).shape == (60, 3)
    assert one.score(x, y) > 0.8
    with pytest.raises(ArgumentError, match="class_weight has no weight for 2"):
        ImageClassifier(**EASY, class_weight={0: 1.0, 1: 1.0}).fit(x, y)


def test_labels_that_are_dates_have_weights_too():
    days = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")[np.arange(60) % 2]
    x = pixels(60)
    weights = dict.fromkeys(np.unique(days).tolist(), 1.0)
    one = ImageClassifier(**EASY, class_weight=weights).fit(x, days)
    assert one.predict(x).dtype == days.dtype


@pytest.mark.parametrize("stage", ["features", "head"])
def test_a_class_of_no_weight_is_as_if_its_images_were_not_there(stage):
    """Also where a batch would hold nothing else."""
    y = np.arange(60) % 3
    x = pixels(60) // 8 + (100 * y)[:, None, None, None].astype(np.uint8)
    settings: dict[str, Any] = dict(stage=stage, epochs=1, batch=1, flip="none", crop=1.0)
    one = ImageClassifier(**EASY, **settings, class_weight={0: 1, 1: 0, 2: 1}).fit(x, y)
    assert one.classes_.tolist() == [0, 1, 2]
    assert one.predict_proba(x)[:, 1].max() < 0.05
    assert one.score(x[y != 1], y[y != 1]) > 0.8


def test_a_stage_further_starts_from_the_logistic_regression(tmp_path):
    settings: dict[str, Any] = dict(stage="head", epochs=1, batch=8, flip="none", crop=1.0)
    settings |= dict(checkpoint=tmp_path / "run.npz")
    one = ImageClassifier(**EASY, **settings).fit(X, Y)
    assert len(one.losses_) == 7
    assert one.losses_[0] < 0.3  # not of a net that knows nothing
    again = ImageClassifier(**EASY, **settings).fit(X, Y)  # from the checkpoint: nothing to do
    np.testing.assert_array_equal(one.predict_proba(X[:3]), again.predict_proba(X[:3]))
    with pytest.raises(ArgumentError, match=r"belongs to another run \(seed 0, not 1\)"):
        ImageClassifier(**EASY, **settings, random_state=1).fit(X, Y)
    found = one.compare(*data(40, 1))
    assert [row.name for row in found.rows][:2] == [MAJORITY, LINEAR]
    assert found.rows[2].name == "net, last layer trained further"
    assert "gains nothing" in found.verdict[0]
    assert found.best == LINEAR


def test_probabilities_travel_with_the_saved_model(tmp_path):
    one = ImageClassifier(**EASY).fit(X, Y)
    save(one.model_, tmp_path / "net.safetensors")
    from tilewright.vision.predicted import softmax

    prepared = np.stack([NET.preprocessing.pixels(Image.fromarray(image)) for image in X[:4]])
    shares = softmax(load(tmp_path / "net.safetensors").logits(prepared))
    np.testing.assert_allclose(shares, one.predict_proba(X[:4]), 1e-4, 1e-6)


def test_what_cannot_be_read_is_named_counted_and_skipped():
    broken = [*X[:30], np.full((3, 3), 7.0)]
    labels = [*Y[:30], "day"]
    with pytest.raises(ImageError, match="image 30 has values from 7 to 7"):
        ImageClassifier(**EASY).fit(broken, labels)
    one = ImageClassifier(**EASY, on_bad="skip").fit(broken, labels)
    assert len(one.skipped_) == 1
    with pytest.raises(ImageError, match="image 0"):
        one.predict(broken[-1:])


@pytest.mark.parametrize("given, call, words", [
    ({}, (X, Y[:5]), "y must have one label for each of 60 images, not 5"),
    ({}, (X,), "y is missing"),
    ({}, ("nowhere",), "There is no folder nowhere"),
    ({}, (".", Y), "leave out y"),
    ({}, (X, np.zeros(60)), "y must have 2 classes or more, not 1"),
    ({"stage": "all"}, (X, Y), "stage must be one of features, head"),
    ({"on_bad": "no"}, (X, Y), "on_bad must be raise or skip"),
    ({"validation": 1}, (X, Y), "validation must be 0 or more"),
    ({"epochs": 0}, (X, Y), "epochs must be"),
    ({}, (X, [None, *Y[1:]]), "y has no value for image 0"),
    ({}, (X, np.where(np.arange(60) == 7, np.nan, np.arange(60) % 2)), "no value for image 7"),
    ({}, (X, np.array([1, *Y[1:]], object)), "y must hold values of one kind"),
    ({}, (X, Y, [1]), "groups must hold one value for each of 60 images"),
    ({"size": 40.5}, (X, Y), "size must be a whole number from 1 on, not 40.5"),
    ({"workers": -1}, (X, Y), "workers must be a whole number from 0 on, not -1"),
    ({"random_state": None}, (X, Y), "random_state must be a whole number from 0 on, not None"),
    ({"validation": "some"}, (X, Y), "validation must be 0 or more, and below 1, not 'some'"),
    ({"crop": "x"}, (X, Y), "crop must be a number, not 'x'"),
    ({"colour": True}, (X, Y), "colour must be a number, not True"),
    ({"weight_decay": np.complex64(1)}, (X, Y), "weight_decay must be 0 or more|decay must be 0"),
    ({"checkpoint": 3}, (X, Y), "checkpoint must be a path, not int"),
    ({"checkpoint": "nowhere/run.npz"}, (X, Y), "There is no folder nowhere"),
    ({"class_weight": {"day": -1.0, "night": 1.0}}, (X, Y), "numbers of 0 or more, not -1.0"),
    ({"class_weight": {"day": "x", "night": 1.0}}, (X, Y), "numbers of 0 or more, not 'x'"),
    ({"class_weight": {"day": 0, "night": 1.0}}, (X, Y), "must be above 0 for 2 classes or more"),
    ({"flip": "x"}, (X, Y), "flip must be one of"),
    ({"class_weight": 3}, (X, Y), "class_weight must be None"),
    ({"net": "b0.pth"}, (X, Y), r"There is no file b0\.pth"),
], ids=lambda value: "")  # fmt: skip
def test_one_sentence_each(given, call, words):
    with pytest.raises(ArgumentError, match=words):
        ImageClassifier(**{**EASY, **given}).fit(*call)


def test_a_batch_that_does_not_fit_is_refused_before_it_is_made():
    one = ImageClassifier(**EASY | dict(stage="head", batch=1 << 30))
    with pytest.raises(CapacityError, match=r"3,298\.5 GB of uint8, an input"):
        one.fit(X, Y)


def test_nothing_is_answered_before_training():
    for asked in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(ImageClassifier(), asked)(X)


def test_labels_that_were_not_in_training():
    one = ImageClassifier(**EASY).fit(X, Y)
    with pytest.raises(ArgumentError, match="a label that was not in training: 'dusk'"):
        one.compare(X[:2], ["day", "dusk"])
    numbers = np.where(Y == "day", 10, 2)
    other = ImageClassifier(**EASY).fit(X, numbers)
    with pytest.raises(ArgumentError, match="a label that was not in training: '10'"):
        other.compare(X[:2], ["10", "2"])
    found = other.compare(X, numbers.astype(float))
    np.testing.assert_array_equal(other.classes_[found.came], numbers)
    with pytest.raises(ArgumentError, match="groups must hold one value for each of 60"):
        other.compare(X, numbers, groups=[1])
