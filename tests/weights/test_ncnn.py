"""The reader of ncnn files: valid and refused files."""

import hashlib

import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.weights.ncnn import Layer, parse, read_ncnn

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(3, 1, 3, 3)).astype(np.float32)  # 27 numbers: as float16 they need padding
BIAS = np.array([0.5, -1.0, 2.0], np.float32)
CONV = "Convolution conv 1 1 in out 0=3 1=3 4=1 5=1 6=27"
TEXT = f"7767517\n2 2\nInput image 0 1 in\n{CONV}\n"


def tag(number):
    return number.to_bytes(4, "little")


def padded(array):
    data = array.tobytes()
    return data + bytes(-len(data) % 4)


NUMBERS = tag(0) + WEIGHT.tobytes() + BIAS.tobytes()


def written(folder, text=TEXT, numbers=NUMBERS):
    (folder / "net.param").write_text(text)
    (folder / "net.bin").write_bytes(numbers)
    return folder / "net.param"


def with_line(line):
    return TEXT.replace(CONV, line)


def test_the_graph_is_what_the_text_says():
    text = """7767517
5 6
Input            image   0 1 data
Split            copies  1 2 data a b
Convolution      conv    1 1 a c 0=2 1=3 -23310=1,2.000000e-01 9=2
BinaryOp         sum     2 1 c b d
Interp           double  1 1 d e 0=1 1=2.5 2=-.5e1
"""
    assert parse(text) == (
        Layer("Input", "image", (), ("data",), {}),
        Layer("Split", "copies", ("data",), ("a", "b"), {}),
        Layer("Convolution", "conv", ("a",), ("c",), {0: 2, 1: 3, 10: (0.2,), 9: 2}),
        Layer("BinaryOp", "sum", ("c", "b"), ("d",), {}),
        Layer("Interp", "double", ("d",), ("e",), {0: 1, 1: 2.5, 2: -5.0}),
    )


@pytest.mark.parametrize(
    ("number", "weight"),
    [(0, WEIGHT), (0x0002C056, WEIGHT), (0x01306B47, WEIGHT.astype(np.float16))],
    ids=["float32", "float32 with a tag", "float16"],
)
def test_weights_of_every_kind(number, weight, tmp_path):
    path = written(tmp_path, numbers=tag(number) + padded(weight) + BIAS.tobytes())
    for each in (path, path.with_suffix(".bin")):
        network = read_ncnn(each)
        assert [layer.name for layer in network.layers] == ["image", "conv"]
        assert network.tensors.keys() == {"conv.weight", "conv.bias"}
        for name, expected in (("weight", weight), ("bias", BIAS)):
            assert network.tensors[f"conv.{name}"].dtype == np.float32
            np.testing.assert_array_equal(network.tensors[f"conv.{name}"], expected.astype(np.float32))


@pytest.mark.parametrize(("term", "behind"), [(1, 1), (2, 1), (101, 2)])
def test_int8_weights_are_divided_by_their_scales(term, behind, tmp_path):
    weight = RANDOM.integers(-127, 128, (3, 1, 3, 3)).astype(np.int8)
    scales = np.array([10.0, 20.0, 40.0], np.float32)
    numbers = tag(0x000D4B38) + padded(weight) + BIAS.tobytes() + scales.tobytes() + bytes(4 * behind)
    network = read_ncnn(written(tmp_path, with_line(f"{CONV} 8={term}"), numbers))
    expected = weight / scales.reshape(3, 1, 1, 1)
    np.testing.assert_allclose(network.tensors["conv.weight"], expected, rtol=1e-6)
    with pytest.raises(UserError, match=r"net\.bin: conv: its weights are int8 without scales"):
        read_ncnn(written(tmp_path, TEXT, numbers))


def test_layers_in_their_order(tmp_path):
    text = """7767517
5 5
Input            image   0 1 data
Convolution      wide    1 1 data a 0=2 1=3 11=1 6=12
PReLU            slope   1 1 a b 0=2
PixelShuffle     pixels  1 1 b c 0=2
Convolution      last    1 1 c d 0=1 1=1 5=1 6=2
"""
    wide, slopes = np.arange(12, dtype=np.float32), np.array([0.25, 0.5], np.float32)
    last, bias = np.array([3.0, 4.0], np.float32), np.array([5.0], np.float32)
    numbers = tag(0) + wide.tobytes() + slopes.tobytes() + tag(0) + last.tobytes() + bias.tobytes()
    tensors = read_ncnn(written(tmp_path, text, numbers)).tensors
    expected = {
        "wide.weight": wide.reshape(2, 2, 1, 3),
        "slope.slope": slopes,
        "last.weight": last.reshape(1, 2, 1, 1),
        "last.bias": bias,
    }
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with 7767517"),
        ("7767518\n1 1\nInput image 0 1 in\n", "does not begin with 7767517"),
        ("7767517\n", "does not announce its numbers"),
        ("7767517\n2\n", "does not announce its numbers"),
        ("7767517\n999999999 2\nInput image 0 1 in\n", "announces 999999999 layers and 2 blobs, there are 1 and 1"),
        ("7767517\n-1 1\nInput image 0 1 in\n", "announces -1 layers"),
        ("7767517\n99999999999999999999 1\nInput image 0 1 in\n", "is not an integer"),
        ("7767517\n1 1\nInput image 0\n", "cut off"),
        ("7767517\n1 1\nInput image 0 999999999 in\n", "999999999 outputs, but names fewer"),
        ("7767517\n1 1\nInput image 0 -1 in\n", "-1 outputs"),
        ("7767517\n1 1\nInput image x 1 in\n", "'x' is not an integer"),
        ("7767517\n1 1\nConvolution conv 1 1 in out\n", "conv reads in, which no earlier layer writes"),
        ("7767517\n2 1\nInput image 0 1 in\nReLU relu 1 1 in in\n", "relu writes an output that exists already"),
        ("7767517\n2 2\nInput image 0 1 in\nReLU image 1 1 in out\n", "two of its layers have the same name"),
        (with_line(f"{CONV} 9"), "'9'|not a parameter|is not a number"),
        (with_line(f"{CONV} 9=1,2"), "is not a parameter"),
        (with_line(f"{CONV} 9=nan"), "'nan' is not a number"),
        (with_line(f"{CONV} 9=1e999"), "'1e999' is not a number"),
        (with_line(f"{CONV} 9={'1' * 5000}"), "is not a number"),
        (with_line(f"{CONV} 9=__import__"), "is not a number"),
        (with_line(f"{CONV} -23310=2,0.5"), "not have the announced length"),
        (with_line(f"{CONV} -23310=999999999,0.5"), "not have the announced length"),
        (with_line(f"{CONV} 0=3"), "parameter 0 is given twice"),
        (with_line(f"{CONV} -23300=1,3"), "parameter 0 is given twice"),
    ],
)
def test_a_text_that_is_no_graph_is_refused(text, message, tmp_path):
    with pytest.raises(UserError, match=message) as told:
        read_ncnn(written(tmp_path, text))
    assert str(told.value).startswith(str(tmp_path / "net.param: "))
    assert len(str(told.value)) < len(str(tmp_path)) + 300
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (CONV.replace("6=27", "6=9999999999"), "do not make kernels"),
        (
            CONV.replace("6=27", "6=9999999999").replace("1=3", "1=1"),
            r"39999999996 bytes are required at 4, 120 are left",
        ),
        (CONV.replace("0=3", "0=9999999999"), "do not make kernels"),
        (CONV.replace("0=3", "0=0"), "parameter 0 is 0, expected a positive integer"),
        (CONV.replace("0=3", "0=-3"), "parameter 0 is -3"),
        (CONV.replace("0=3", "0=3.0"), r"parameter 0 is 3\.0"),
        (CONV.replace("1=3", "1=0"), "parameter 1 is 0"),
        (CONV.replace("1=3", ""), "parameter 1 is None"),
        (f"{CONV} 11=2", "do not make kernels of 2x3 for 3 outputs"),
        (f"{CONV} 19=1", "its weights come from another layer"),
        (f"{CONV} 8=0.5", r"parameter 8 is 0\.5"),
        (f"{CONV} -23308=1,1", r"parameter 8 is \(1,\)"),
        (CONV.replace("5=1", ""), "12 bytes are left over"),
        (f"{CONV} 8=1", "12 bytes are required at 124, 0 are left"),
        ("PReLU slope 1 1 in out 0=9999999999", "39999999996 bytes are required"),
        ("Crop crop 1 1 in out", "kind Crop, expected one of BinaryOp, Concat, Convolution"),
        ("ReLU relu 1 1 in out", "124 bytes are left over after the last layer"),
    ],
)
def test_sizes_that_do_not_fit_the_file_are_refused(line, message, tmp_path):
    with pytest.raises(UserError, match=message) as told:
        read_ncnn(written(tmp_path, with_line(line)))
    assert str(told.value).startswith(str(tmp_path / "net.bin: "))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("number", [1, 0x01306B48, 0xFFFFFFFF])
def test_weights_of_an_unknown_kind_are_refused(number, tmp_path):
    with pytest.raises(UserError, match=f"conv: the weights have the unknown tag 0x{number:08X}"):
        read_ncnn(written(tmp_path, numbers=tag(number) + NUMBERS[4:]))


def test_every_truncation_is_one_line(tmp_path):
    for size in range(len(NUMBERS)):
        with pytest.raises(UserError, match=r"bytes are required at \d+, \d+ are left"):
            read_ncnn(written(tmp_path, numbers=NUMBERS[:size]))
    for size in range(len(TEXT) - len(" 6=27\n")):
        with pytest.raises(UserError):
            read_ncnn(written(tmp_path, TEXT[:size]))


def test_no_byte_of_a_file_can_break_the_reader(tmp_path):
    random = np.random.default_rng(0)
    path, outcomes = written(tmp_path), set()
    for file in (path, path.with_suffix(".bin")):
        whole = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(300):
            broken = whole.copy()
            broken[random.integers(0, len(whole), 2)] = random.integers(0, 256, 2)
            file.write_bytes(broken.tobytes())
            try:
                read_ncnn(path)
                outcomes.add("read")
            except UserError:
                outcomes.add("refused")
        file.write_bytes(whole.tobytes())
    assert outcomes == {"read", "refused"}


def test_files_that_are_not_there_and_hashes(tmp_path):
    path = written(tmp_path)
    digests = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, path.with_suffix(".bin")))
    assert read_ncnn(path, expect=digests).tensors
    for wrong in ((digests[1], digests[1]), (digests[0], digests[0])):
        with pytest.raises(UserError, match=r"net\.(param|bin): its sha256 is [0-9a-f]{64}, expected "):
            read_ncnn(path, expect=wrong)
    with pytest.raises(UserError, match=r"nowhere\.param: it cannot be read \(No such file"):
        read_ncnn(tmp_path / "nowhere.param")
    path.with_suffix(".bin").unlink()
    with pytest.raises(UserError, match=r"net\.bin: it cannot be read"):
        read_ncnn(path)


def test_a_text_beyond_all_measure_is_not_read(tmp_path):
    path = written(tmp_path)
    with path.open("wb") as file:
        file.truncate(2**30)  # a sparse file of zeros
    with pytest.raises(UserError, match="it is not a param file: it has 1073741824 bytes"):
        read_ncnn(path)
