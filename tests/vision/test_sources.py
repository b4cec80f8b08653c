"""What a user may call images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.vision.nets import pixels
from tilewright.errors import ArgumentError
from tilewright.vision.errors import ImageError
from tilewright.vision.sources import content_of, items_of, labelled_folder


def folder(root, **classes):
    for name, count in classes.items():
        (root / name / "deep").mkdir(parents=True)
        for number, image in enumerate(pixels(count, 4)):
            Image.fromarray(image).save(root / name / "deep" / f"{number}.PNG")
        (root / name / "notes.txt").write_text("not an image")
    return root


def test_a_folder_of_folders(tmp_path):
    files, labels = labelled_folder(folder(tmp_path, b=1, a=2))
    assert labels.tolist() == ["a", "a", "b"]
    assert [path.parts[-3] for path in files] == ["a", "a", "b"]
    assert items_of(tmp_path) == files
    assert items_of(str(tmp_path)) == files


def test_paths_frames_and_arrays():
    paths = [Path("x.png"), Path("y.png")]
    frame = pd.DataFrame({"when": [1, 2], "path": ["x.png", "y.png"]})
    for given in (["x.png", "y.png"], paths, np.array(["x.png", "y.png"]), frame, frame[["path"]]):
        assert items_of(given) == paths
    assert len(items_of(pixels(3, 4))) == len(items_of(pixels(3, 4)[..., 0])) == 3


def test_what_is_no_source(tmp_path):
    cases = [
        (lambda: items_of("nowhere"), "There is no folder nowhere"),
        (lambda: items_of([1, 2]), r"X\[0\] must be a path, an array or an image, not int"),
        (lambda: items_of(np.zeros((3, 4))), r"X must be \(n, h, w\).*not 3x4"),
        (lambda: items_of(3), "X must be a folder, paths.*not int"),
        (lambda: items_of(pd.DataFrame({"a": [1], "b": [2]})), "one named 'path', not a, b"),
        (lambda: items_of(pd.DataFrame({"path": ["a.png", None]})), "no path in row 1 of 'path'"),
        (lambda: items_of(pd.DataFrame({"a": [1]})), "X has no path in row 0 of 'a', but 1"),
        (lambda: labelled_folder(tmp_path), "holds no folders: one for each class is needed"),
    ]
    for call, words in cases:
        with pytest.raises(ArgumentError, match=words):
            call()
    (folder(tmp_path, a=1) / "z").mkdir()
    with pytest.raises(ArgumentError, match=r"The class 'z' in .* holds no images"):
        labelled_folder(tmp_path)
    (tmp_path / "z").rmdir()
    with pytest.raises(ArgumentError, match="holds one class, 'a': 2 or more"):
        labelled_folder(tmp_path)


def test_content_is_of_what_is_inside(tmp_path):
    image = pixels(1, 4)[0]
    for name in ("a", "b"):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert content_of(tmp_path / "a.png") == content_of(tmp_path / "b.png")
    assert content_of(image) == content_of(np.asfortranarray(image))
    assert content_of(image) != content_of(image.reshape(2, 8, 3))
    grey = Image.fromarray(image[..., 0])
    lit, dark = grey.convert("P"), grey.convert("P")
    lit.putpalette(list(range(255, -1, -1)) * 3)
    assert np.asarray(lit).tobytes() == np.asarray(dark).tobytes()
    assert content_of(lit) != content_of(dark)
    with pytest.raises(ImageError, match=r"c\.png cannot be read"):
        content_of(tmp_path / "c.png")
