"""Weights from files: all formats, and refused files. The golden files were written by torch (golden/make.py)."""

import hashlib
import os
import pathlib
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.weights.reading import read
from jaxgan.weights.safetensors import read_metadata, write

GOLDEN = pathlib.Path(__file__).parent / "golden"
BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["zip.pt", "stream.pt"])
def test_files_of_torch(name):
    tensors = read(str(GOLDEN / name))
    expected = {
        "g_ema.transposed": BASE.transpose(2, 0, 1),
        "g_ema.shared": BASE[1, :, 1::2],
        "g_ema.parameter": np.array([1.5, -2.0], np.float32),
        "g_ema.scalar": np.int64(7),
        "bfloat16": np.array([1.0, -0.5, 3.140625], np.float32),
        "half": np.array([[0.25]], np.float16),
        "mask": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
    }
    assert tensors.pop("module.weight").shape == (1, 2)
    assert tensors.keys() == expected.keys()
    for key, value in expected.items():
        assert tensors[key].dtype == value.dtype, key
        np.testing.assert_array_equal(tensors[key], value, err_msg=key)


def test_files_older_than_torch_04(tmp_path):
    content = (GOLDEN / "stream.pt").read_bytes()
    assert content.count(b"_rebuild_tensor_v2\n") > 0
    path = tmp_path / "older.pth"
    path.write_bytes(content.replace(b"_rebuild_tensor_v2\n", b"_rebuild_tensor\n"))
    older, newer = read(str(path)), read(str(GOLDEN / "stream.pt"))
    assert older.keys() == newer.keys()
    for name, value in newer.items():
        np.testing.assert_array_equal(older[name], value, err_msg=name)


def test_archives_of_torchscript():
    tensors = read(str(GOLDEN / "script.pt"))
    # in the order of creation, which identifies modules if names do not
    assert list(tensors) == ["second.mean", "second.conv.weight", "first.mean", "first.conv.weight"]
    assert tensors["second.conv.weight"].shape == (3, 2)
    np.testing.assert_array_equal(tensors["second.mean"], [0, 1, 2])


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_arrays(protocol, tmp_path):
    tree = {"params": {"a": BASE, "b": np.asfortranarray(BASE), "c": np.float64([1.5])}, "step": 3}
    path = tmp_path / "arrays.ckpt"
    for module in (b"numpy._core.multiarray", b"numpy.core.multiarray") if protocol == 3 else (None,):
        content = pickle.dumps(tree, protocol=protocol)
        path.write_bytes(content if module is None else content.replace(b"numpy._core.multiarray", module))
        if protocol == 5:  # numpy then uses another function, which is not supported
            with pytest.raises(UserError, match="is a pickle of"):
                read(str(path))
            continue
        tensors = read(str(path))
        assert tensors.keys() == {"params.a", "params.b", "params.c"}
        for name, value in tensors.items():
            np.testing.assert_array_equal(value, tree["params"][name[-1]])
            assert value.dtype == tree["params"][name[-1]].dtype


def test_an_array_that_is_more_than_its_bytes_is_refused(tmp_path):
    content = pickle.dumps({"a": np.zeros(3, np.float32)}, protocol=3)
    assert content.count(b"K\x03\x85") == 1
    path = tmp_path / "lies.ckpt"
    path.write_bytes(content.replace(b"K\x03\x85", b"K\x09\x85"))
    with pytest.raises(UserError, match=r"a: a tensor exceeds its storage|share storages too often"):
        read(str(path))
    path.write_bytes(pickle.dumps({"a": np.array([{}], object)}, protocol=3))
    with pytest.raises(UserError, match="dtype that weights do not have"):
        read(str(path))


class Evil:
    """A pickle that runs a command when it is loaded by Python's own unpickler."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def zipped(path, tree):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(tree, protocol=2))
    return str(path)


def test_code_is_refused_by_name_and_not_run(tmp_path):
    marker = tmp_path / "was_here"
    path = zipped(tmp_path / "evil.pt", {"a": Evil(str(marker))})
    with pytest.raises(UserError, match=r"evil\.pt: it uses (posix|nt)\.mkdir.*refused"):
        read(path)
    stream = tmp_path / "evil_stream.pt"
    stream.write_bytes(pickle.dumps(Evil(str(marker)), protocol=2))
    with pytest.raises(UserError, match=r"it uses (posix|nt)\.mkdir.*refused"):
        read(str(stream))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["zip.pt", "stream.pt"])
def test_a_truncated_or_changed_file_is_one_line(name, tmp_path):
    whole = (GOLDEN / name).read_bytes()
    for size in (0, 3, 40, len(whole) // 2, len(whole) - 30):
        path = tmp_path / f"{size}.pt"
        path.write_bytes(whole[:size])
        with pytest.raises(UserError) as told:
            read(str(path))
        assert "\n" not in str(told.value)


def test_no_byte_of_a_file_can_break_the_reader(tmp_path):
    random = np.random.default_rng(0)
    arrays = np.frombuffer(pickle.dumps({"a": BASE}, protocol=4), np.uint8)
    files = [np.frombuffer((GOLDEN / name).read_bytes(), np.uint8) for name in ("zip.pt", "stream.pt", "script.pt")]
    for whole in (*files, arrays):
        for _ in range(150):
            broken = whole.copy()
            broken[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
            path = tmp_path / "broken.pt"
            path.write_bytes(broken.tobytes())
            try:
                read(str(path))
            except UserError:
                continue


def test_a_view_must_stay_in_its_storage(tmp_path):
    import collections

    from jaxgan.weights.unpickling import Storage, Tensor

    storage = Storage("<f4", 6, np.arange(6, dtype="<f4").tobytes())
    np.testing.assert_array_equal(Tensor(storage, 1, (2, 2), (1, 2)).array(), [[1, 3], [2, 4]])
    for view in ((3, (2, 2), (1, 2)), (0, (10**9, 10**9), (0, 0)), (-1, (1,), (1,)), (0, (2,), (-1,)), (0, (7,), (1,))):
        with pytest.raises(UserError, match=r"exceeds its storage|impossible shape"):
            Tensor(storage, *view).array()
    path = zipped(tmp_path / "none.pt", collections.OrderedDict(step=3))
    with pytest.raises(UserError, match="it has no named tensors"):
        read(path)


def build(module, name, state):
    """Opcodes that change the state of a named object."""
    body = pickle.dumps(state, protocol=2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + body + b"b."


@pytest.mark.parametrize(
    ("module", "name"),
    [("torch", "FloatStorage"), ("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")],
)
def test_a_file_cannot_change_how_the_next_one_is_read(module, name, tmp_path):
    for state in ({"kind": "<i4"}, (None, {"kind": "<i4", "function": 3})):
        path = tmp_path / "poison.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", build(module, name, state))
        with pytest.raises(UserError, match="refused"):
            read(str(path))
    np.testing.assert_array_equal(read(str(GOLDEN / "zip.pt"))["g_ema.parameter"], [1.5, -2.0])


def test_small_files_stay_small_in_memory_and_time(tmp_path):
    with zipfile.ZipFile(tmp_path / "memo.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}r\xff\xff\xff\x0f.")  # the object with the number 2^28
    with pytest.raises(UserError, match="memo numbers that are too large"):
        read(str(tmp_path / "memo.pt"))
    laughs = {}
    for _ in range(40):
        laughs = {"a": laughs, "b": laughs}
    with pytest.raises(UserError, match="nested too deeply"):
        read(zipped(tmp_path / "laughs.pt", laughs))


def test_two_tensors_of_one_name_are_refused():
    from jaxgan.weights.unpickling import Storage, Tensor, flattened

    tensor = Tensor(Storage("<f4", 1, bytes(4)), 0, (1,), (1,))
    with pytest.raises(UserError, match=r"two of its tensors are named a\.b"):
        flattened({"a.b": tensor, "a": {"b": tensor}}, 1000)
    large = Tensor(Storage("<f4", 1000, bytes(4000)), 0, (1000,), (1,))
    with pytest.raises(UserError, match="share storages too often"):
        flattened({str(number): large for number in range(100)}, 4000)


def test_a_safetensors_header_as_long_as_a_pickle_begins_is_no_pickle(tmp_path):
    first = set()
    for length in range(1, 300):
        path = tmp_path / "w.safetensors"
        write(str(path), {"n" * length: BASE})
        first.add(path.read_bytes()[:1])
        np.testing.assert_array_equal(read(str(path))["n" * length], BASE)
    assert b"\x80" in first


def test_safetensors_round_trip_in_the_layout_of_the_format(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {"b": BASE.astype(np.float16), "a": np.int64(3) * np.ones((2, 1), np.int64), "c": np.array(True)}
    write(path, tensors, {"format": "test"})
    for name, value in read(str(path)).items():
        assert value.dtype == tensors[name].dtype
        np.testing.assert_array_equal(value, tensors[name])
    assert read_metadata(path) == {"format": "test"}
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0
    assert raw[8:9] == b"{"
    assert len(raw) == 8 + length + 16 + 48 + 1


@pytest.mark.parametrize(
    "header",
    [
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 99]}}',
        b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F9", "shape": [2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},'
        b' "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},'
        b' "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        b'{"a": 3}',
        b"[1]",
        b"{",
    ],
)
def test_a_header_that_lies_is_refused(header, tmp_path):
    path = tmp_path / "lies.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(UserError, match=r"lies\.safetensors"):
        read(str(path))


def test_npz_without_pickles(tmp_path):
    path = tmp_path / "w.npz"
    np.savez_compressed(path, a=BASE)
    np.testing.assert_array_equal(read(str(path))["a"], BASE)
    np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(UserError, match=r"w\.npz: it cannot be read"):
        read(str(path))
    np.savez_compressed(path, a=np.zeros(30_000_000, np.uint8))
    with pytest.raises(UserError, match="which is too much"):
        read(str(path))


def test_the_hash_is_checked(tmp_path):
    path = tmp_path / "zip.pt"
    shutil.copy(GOLDEN / "zip.pt", path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(str(path), expect=digest[:8].upper())
    with pytest.raises(UserError, match=f"its sha256 is {digest}, expected 6726825d"):
        read(str(path), expect="6726825d")
    with pytest.raises(UserError, match="nowhere"):
        read(str(tmp_path / "nowhere"))
