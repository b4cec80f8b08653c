"""PyTorch's files are read without PyTorch; a pickle that holds code is refused."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.vision import pickles

MAGIC = 0x1950A86A20F9469CFC6C


class Global:
    """Pickles as a name, whether there is such a module or not."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as a call of a name."""

    def __init__(self, function, *args):
        self.function, self.args = function, args


class Pickler(pickle._Pickler):
    """Writes names of modules that are not here. (The one in C asks them.)"""

    def __init__(self, file, ids=None):
        super().__init__(file, 2)
        self.ids = ids or {}

    def persistent_id(self, obj):
        return self.ids.get(id(obj))

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
            return None
        if isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.REDUCE)
            return None
        return super().save(obj, save_persistent_id)


def dumped(obj, ids=None):
    file = io.BytesIO()
    Pickler(file, ids).dump(obj)
    return file.getvalue()


class Storage:
    """Stands for a storage in a pickle."""


ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array(7, np.int64),
    "c": np.zeros((0, 4), np.float32),
    "d": np.arange(5, dtype=np.float16),
}
NAMES = {"f4": "FloatStorage", "i8": "LongStorage", "f2": "HalfStorage"}


def parts(arrays, view=()):
    """A pickled state dict, and its storages."""
    ids, keep, found, storages = {}, [], OrderedDict(), {}
    for key, (name, array) in enumerate(arrays.items()):
        mark = Storage()
        keep.append(mark)
        kind = Global("torch", NAMES[array.dtype.str[1:]])
        ids[id(mark)] = ("storage", kind, str(key), "cpu", array.size, *view)
        strides = tuple(s // array.itemsize for s in array.strides)
        found[name] = Call(
            Global("torch._utils", "_rebuild_tensor_v2"),
            mark, 0, array.shape, strides, False, OrderedDict(),
        )  # fmt: skip
        storages[str(key)] = array
    return found, ids, storages


def archive(path, head, storages):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", head)
        for key, array in storages.items():
            file.writestr(f"net/data/{key}", array.tobytes())
    return path


def test_both_forms_are_read(tmp_path):
    found, ids, storages = parts(ARRAYS)
    new = archive(tmp_path / "new.pth", dumped(found, ids), storages)
    found, ids, storages = parts(ARRAYS, view=(None,))
    old = tmp_path / "old.pth"
    content = b"".join(
        [dumped(MAGIC), dumped(1001), dumped({}), dumped(found, ids), dumped(list(storages))]
    )
    for array in storages.values():
        content += struct.pack("<q", array.size) + array.tobytes()
    old.write_bytes(content)
    for path in (new, old):
        read = pickles.read(path)
        assert list(read) == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype


def test_a_view_of_a_storage(tmp_path):
    """Transposed, and with an offset."""
    array = np.arange(12, dtype=np.float32)
    mark = Storage()
    ids = {id(mark): ("storage", Global("torch", "FloatStorage"), "0", "cpu", 12)}
    tensor = Call(Global("torch._utils", "_rebuild_tensor_v2"), mark, 2, (2, 3), (1, 2), False, {})
    path = archive(tmp_path / "v.pth", dumped({"model": {"x": tensor}}, ids), {"0": array})
    np.testing.assert_array_equal(pickles.read(path)["x"], array[2:8].reshape(3, 2).T)
    far = Call(Global("torch._utils", "_rebuild_tensor_v2"), mark, 8, (2, 3), (1, 2), False, {})
    path = archive(tmp_path / "f.pth", dumped({"x": far}, ids), {"0": array})
    with pytest.raises(ArgumentError, match="a tensor is not inside its storage"):
        pickles.read(path)


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.nn.Linear"])
def test_code_is_refused_and_never_run(name, tmp_path):
    module, _, function = name.rpartition(".")
    marker = tmp_path / "run"
    code = Call(Global(module, function), f"touch {marker}")
    path = archive(tmp_path / "evil.pth", dumped({"x": code}), {})
    with pytest.raises(ArgumentError, match=f"is refused: reading it would call {name}"):
        pickles.read(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"hello", dumped(MAGIC), dumped([1, 2]), b"\x80\x02."])
def test_damage_is_one_sentence(content, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="is not a file of PyTorch's weights") as raised:
        pickles.read(path)
    assert "\n" not in str(raised.value)


def test_no_tensors(tmp_path):
    path = archive(tmp_path / "x.pth", dumped({"epoch": 3}), {})
    with pytest.raises(ArgumentError, match="it holds no tensors"):
        pickles.read(path)
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        pickles.read(tmp_path / "none.pth")


@pytest.mark.peers
def test_what_torch_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed (make test-peers)")
    made = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).half()
    given = {**made.state_dict(), "t": torch.arange(6.0).reshape(2, 3).T, "p": made[0].weight}
    given["b"] = torch.arange(4, dtype=torch.bfloat16)
    for old in (False, True):
        torch.save(given, tmp_path / "x.pth", _use_new_zipfile_serialization=not old)
        read = pickles.read(tmp_path / "x.pth")
        assert set(read) == set(given)
        for name, tensor in given.items():
            np.testing.assert_array_equal(read[name].astype("f4"), tensor.detach().float().numpy())
