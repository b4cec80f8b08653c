"""Images come in order, the same from any number of processes; what is broken is a value."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.vision.nets import pixels
from tilewright.vision.augment import Augment
from tilewright.vision.errors import ImageError
from tilewright.vision.inputs import Recipe, stream, usual_workers
from tilewright.vision.preprocessing import Preprocessing

RECIPE = Recipe(Preprocessing(16, 16), Augment(colour=0.2), seed=3)


@pytest.fixture
def files(tmp_path):
    """Five, of which the third is no image."""
    for number, image in enumerate(pixels(5, 20)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_text("no image")
    return sorted(tmp_path.iterdir())


def test_order_and_bits_do_not_depend_on_workers(files):
    wanted = [(epoch, number) for epoch in range(9) for number in (4, 2, 0, 1, 3)]
    alone, helped = (list(stream(files, wanted, RECIPE, workers)) for workers in (0, 2))
    assert len(alone) == len(helped) == 45
    for (_, number), one, other in zip(wanted, alone, helped, strict=True):
        if number == 2:
            assert isinstance(one, ImageError)
            assert str(one) == str(other)
            assert "2.png is not an image" in str(one)
        else:
            np.testing.assert_array_equal(one, other)
    assert (alone[0] != alone[5]).any()  # another epoch


def test_who_stops_listening_leaves_no_process(files, monkeypatch):
    import tilewright.vision.inputs as inputs

    started = []
    monkeypatch.setattr(
        inputs, "_started", lambda real=inputs._started: started.append(real()) or started[-1]
    )
    pipeline = stream(files, [(e, 0) for e in range(500)], RECIPE, 2)
    next(pipeline)
    pipeline.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


def test_few_images_and_arrays_are_read_here(files):
    assert usual_workers(files) == 0
    assert usual_workers(list(pixels(100, 8))) == 0
    assert usual_workers(files * 20) > 0


def test_workers_start_without_jax():
    code = "import sys, tilewright.vision.inputs; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
