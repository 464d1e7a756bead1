"""Untrusted weights: training checkpoints with unknown classes, and files made to attack their reader."""

import io
import pathlib
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest
from fuzzing import read_mutants

from jaxgan.errors import UserError
from jaxgan.weights.ncnn import read_ncnn
from jaxgan.weights.reading import read
from jaxgan.weights.safetensors import read_metadata, write

GOLDEN = pathlib.Path(__file__).parent / "golden"
BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_a_training_checkpoint_is_read_though_its_classes_are_not_here():
    tensors = read(str(GOLDEN / "training.pt"))
    shapes = {name: value.shape for name, value in tensors.items() if not name.startswith("optimizer")}
    assert shapes == {
        "state_dict.module.weight": (2, 2),
        "state_dict.module.bias": (2,),
        "u16": (2,),
        "noted": (3,),
    }
    np.testing.assert_array_equal(tensors["state_dict.module.weight"], np.ones((2, 2)))
    np.testing.assert_array_equal(tensors["u16"], np.array([1, 2], np.uint16))
    assert tensors["optimizer.state.0.exp_avg"].shape == (2, 2)


def test_a_whole_module_is_read_by_its_parameters():
    tensors = read(str(GOLDEN / "module.pt"))
    assert {name: value.shape for name, value in tensors.items()} == {"whole.0.weight": (1, 2), "whole.0.bias": (1,)}


def torch_zip(path, body):
    """A file of torch.save with this program as its pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body)
        archive.writestr("archive/data/0", bytes(8))
    return str(path)


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"


def tensor_of(shape, strides=b"K\x01\x85"):
    """A dict with a tensor `w` whose shape is the result of a program."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return b"}X\x01\x00\x00\x00w" + rebuild + b"(" + STORAGE + b"K\x00" + shape + strides + b"\x89}tRs."


def test_the_program_of_these_tests_is_a_tensor(tmp_path):
    assert read(torch_zip(tmp_path / "w.pth", tensor_of(b"K\x02\x85")))["w"].shape == (2,)


NESTED = b"X\x01\x00\x00\x00aq\x000" + b"h\x00h\x00\x86q\x000" * 40 + b"h\x00"  # a pair of the pair before, 40 times
DOUBLED = b"K\x01\x85q\x000" + b"h\x00h\x00\x86q\x000" * 60 + b"h\x00"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"}" + NESTED + b"K\x01s.", "a key that is a tuple, expected text or an integer"),
        (b"}(" + NESTED + b"K\x01u.", "a key that is a tuple"),
        (b"}" + DOUBLED + b"K\x01s.", "a key that is a tuple"),
        (b"(]K\x01d.", "a key that is a list"),
        (b"}\x8a\x20" + b"\xff" * 31 + b"\x7fK\x01s.", "a key that is too large a number"),
        (tensor_of(b"]Na\x8a\x04\x00\xc2\xeb\x0b\x86"), "impossible shape"),
        (tensor_of(b"(" + b"K\x01" * 65 + b"t", b"(" + b"K\x01" * 65 + b"t"), "impossible shape"),
        (tensor_of(b"\x8a\x14" + b"\xff" * 19 + b"\x7f\x85"), "impossible shape"),
        (tensor_of(b"X\x01\x00\x00\x002\x85"), "impossible shape"),
        (tensor_of(b"K\x02\x85", NESTED), "impossible shape"),
        (tensor_of(b"K\x02\x85", b"K\x07\x85"), "w: a tensor exceeds its storage"),
        (b"(" + NESTED + b"K\x01K\x01K\x01K\x01tQ.", "refers to something that is not a storage"),
        (STORAGE.replace(b"X\x01\x00\x00\x000", NESTED) + b".", "a storage of an unknown dtype"),
        (b"}q\x00X\x01\x00\x00\x00ah\x00s.", "nested too deeply"),
        (b"c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", r"it uses __builtin__\.eval.*refused"),
        (b"csubprocess\nPopen\nX\x01\x00\x00\x001\x85R.", r"it uses subprocess\.Popen.*refused"),
        pytest.param(b"]" * 3_000_000 + b".", "too many for weights", marks=pytest.mark.slow),
        (b"(I1\ntR.", "opcode INT, which files of weights do not use"),
        (b"\x82\x01.", "opcode EXT1"),
    ],
)
def test_a_program_cannot_take_time_or_memory(body, message, tmp_path):
    began = time.process_time()
    with pytest.raises(UserError, match=message) as told:
        read(torch_zip(tmp_path / "w.pth", body))
    assert time.process_time() - began < 5
    assert "\n" not in str(told.value)


def test_classes_of_strangers_are_recorded_and_never_made(tmp_path):
    """Calls, items and attributes of unknown classes do nothing, and the tensor beside them is read."""
    class_made = b"cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x01sb"
    called = b"cstranger.things\nmake\n(K\x01]K\x02tR"
    filled = b"cstranger\nList\n)\x81(K\x01K\x02e"
    enumerated = b"c__builtin__\ngetattr\ncstranger\nColour\nX\x03\x00\x00\x00RED\x86R"
    body = b"}"
    for index, each in enumerate((class_made, called, filled, enumerated)):
        body += b"X\x01\x00\x00\x00" + b"abcd"[index : index + 1] + each + b"s"
    body += b"X\x01\x00\x00\x00s" + tensor_of(b"K\x02\x85")[:-1] + b"s."
    assert read(torch_zip(tmp_path / "w.pth", body)).keys() == {"s.w"}


def test_a_file_does_not_grow_when_it_is_unpacked(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + bytes(10_000_000))
    with pytest.raises(UserError, match="would grow when unpacked"):
        read(str(path))
    np.savez_compressed(tmp_path / "w.npz", a=np.zeros(2 * 10**7, np.uint8))
    with pytest.raises(UserError, match=r"would grow to 200001\d\d when unpacked, which is too much"):
        read(str(tmp_path / "w.npz"))


def npy(header, numbers=bytes(8)):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + numbers


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "8 bytes of numbers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "expected integers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': ([None], 200000000), }", "expected integers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", "its shape is invalid"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", r"it is of \|O, expected numbers"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "it is of objects"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), ", "its header cannot be read"),
        ("(" * 9000, "its header cannot be read"),
        ("'" * 9001, "its header cannot be read"),
        ("[1]", "is incomplete"),
    ],
)
def test_an_npz_whose_header_lies_is_refused(header, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", npy(header))
    with pytest.raises(UserError, match=rf"w\.npz: it cannot be read: a: .*{message}"):
        read(str(tmp_path / "w.npz"))


def test_arrays_of_any_order_and_kind_are_read_from_an_npz(tmp_path):
    given = {"c": BASE, "fortran": np.asfortranarray(BASE), "big": BASE.astype(">f8"), "one": np.array(3)}
    np.savez(tmp_path / "w.npz", **given)
    found = read(str(tmp_path / "w.npz"))
    for name, value in given.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_packed_array_whose_bytes_changed_is_damaged(tmp_path):
    np.savez_compressed(tmp_path / "w.npz", a=np.random.default_rng(0).normal(size=500))
    data = bytearray((tmp_path / "w.npz").read_bytes())
    data[200:240] = bytes(40)
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(UserError, match="it is damaged"):
        read(str(tmp_path / "w.npz"))


def test_an_archive_of_two_members_of_one_name_is_refused(tmp_path):
    """Readers differ in which of the two they use."""
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(UserError, match="two of its members have the same name"):
        read(str(tmp_path / "a.pth"))


def test_an_archive_that_announces_more_than_it_lists_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(3, np.float32))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    assert data[-12:-10] == b"\x01\x00"  # the number of members, in the end of 22 bytes
    data[-12] = 2
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UserError, match="it announces 2 members, but lists 1"):
        read(str(tmp_path / "a.npz"))


def test_what_is_no_regular_file_is_refused(tmp_path):
    for path in ("/dev/zero", str(tmp_path)):
        with pytest.raises(UserError, match="not a regular file"):
            read(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"shape": [true, 2]', "outside of the file"),
        (f'"shape": [{", ".join(["1"] * 65)}]', "at most 64 integers"),
        ('"shape": [1e999]', "outside of the file"),
        (f'"shape": [{"9" * 400}]', "outside of the file"),
        ('"shape": "ab"', "at most 64"),
        ('"shape": [4000000000, 4000000000, 4000000000]', "impossible shape"),
    ],
)
def test_a_shape_is_checked_before_it_is_multiplied(entry, message, tmp_path):
    header = f'{{"a": {{"dtype": "F32", {entry}, "data_offsets": [0, 8]}}}}'.encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(UserError, match=message):
        read(str(tmp_path / "w.safetensors"))


def test_what_stands_beside_tensors_is_text(tmp_path):
    for said in ("[1]", '{"a": [1]}'):
        header = f'{{"__metadata__": {said}}}'.encode()
        (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(UserError, match="not text"):
            read_metadata(tmp_path / "w.safetensors")


def test_a_pickle_of_something_else_says_what_it_is(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"G": 1}, protocol=4))
    with pytest.raises(UserError, match=r"it is a pickle of a dict, not a file of torch\.save"):
        read(str(tmp_path / "w.pkl"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS, not the file itself"),
        (b"<!DOCTYPE html><html></html>", "a web page or XML, not a file of weights"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "compressed with gzip: unpack it first"),
        (b"", "expected one of torch.save, safetensors, npz"),
        (b"GGUF" + bytes(40), "expected one of torch.save, safetensors, npz"),
    ],
)
def test_what_lies_in_the_place_of_weights_is_told(content, message, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(str(tmp_path / "w.pth"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "npz"])
def test_no_flipped_byte_gives_other_weights_where_there_is_a_checksum(kind, tmp_path):
    whole, path = saved(tmp_path)[kind][0], tmp_path / "flipped"
    path.write_bytes(whole)
    expected, refused = read(str(path)), 0
    places = range(len(whole)) if len(whole) < 1000 else np.random.default_rng(0).permutation(len(whole))[:1000]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        try:
            found = read(str(path))
        except UserError:
            refused += 1
            continue
        assert found.keys() == expected.keys(), place
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{place}: {name}")
    assert refused > len(places) / 4


def saved(folder):
    """A good file of each format, by the name of its reader."""
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, a=BASE, b=np.arange(5))
    np.savez_compressed(packed, a=BASE, b=np.arange(5))
    write(folder / "good", {"a": BASE, "b": np.arange(5)}, {"format": "test"})
    golden = {name: [(GOLDEN / file).read_bytes() for file in files] for name, files in TORCH.items()}
    golden["arrays"] = [pickle.dumps({"a": BASE, "b": {"c": np.asfortranarray(BASE)}}, protocol=4)]
    return golden | {"npz": [plain.getvalue(), packed.getvalue()], "safetensors": [(folder / "good").read_bytes()]}


TORCH = {"zip": ["zip.pt", "training.pt", "module.pt", "script.pt"], "stream": ["stream.pt"]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "stream", "arrays", "npz", "safetensors"])
def test_mutants_are_read_or_refused(kind, tmp_path):
    read_mutants(lambda path: read(str(path)), saved(tmp_path)[kind], tmp_path / "mutant")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["param", "bin"])
def test_mutants_of_ncnn_files_are_read_or_refused(part, tmp_path):
    text = (
        b"7767517\n3 3\nInput image 0 1 in\nConvolution conv 1 1 in out 0=3 1=3 4=1 5=1 6=27\nPReLU p 1 1 out q 0=3\n"
    )
    files = {"param": text, "bin": bytes(4) + BASE.tobytes() + bytes(4 * (27 + 3 + 3 - 24))}
    for suffix, content in files.items():
        (tmp_path / f"net.{suffix}").write_bytes(content)
    read_mutants(read_ncnn, [files[part]], tmp_path / f"net.{part}")


@pytest.mark.slow
def test_mutants_of_a_pickle_are_read_or_refused(tmp_path):
    """The program itself is changed, which a checksum of the archive would hide."""
    with zipfile.ZipFile(GOLDEN / "training.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("data.pkl"))

    def wrapped(program):
        with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, program.read_bytes() if name == pickled else content)
        return read(str(tmp_path / "w.pth"))

    read_mutants(wrapped, [members[pickled]], tmp_path / "program")
