"""Imported SRVGG weights, of state dicts and of ncnn files, beside a forward in plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weighing import same

from jaxgan.building.builder import build
from jaxgan.errors import FINISHED, UserError
from jaxgan.inference.restorer import load_pretrained
from jaxgan.main import help_text, main
from jaxgan.media.reading import read_picture
from jaxgan.models.pretrained import published
from jaxgan.weights.safetensors import write

WIDTH, CONVS = 5, 2


def random_weights(upscale=4, channels=3):
    """A state dict under the published names; kernels that keep the signal's size."""
    random = np.random.default_rng(0)
    widths = [channels, *[WIDTH] * (CONVS + 1), channels * upscale**2]
    weights = {}
    for index in range(CONVS + 2):
        before, after = widths[index : index + 2]
        kernel = random.normal(size=(after, before, 3, 3)) / np.sqrt(9 * before)
        weights[f"body.{2 * index}.weight"] = kernel.astype(np.float32)
        weights[f"body.{2 * index}.bias"] = random.normal(size=after).astype(np.float32) / 5
        if index <= CONVS:
            weights[f"body.{2 * index + 1}.weight"] = random.uniform(-0.5, 1.5, after).astype(np.float32)
    return weights


def golden(weights, image, upscale):
    """The image `[h,w,C]` of [0, 1] that the network's formulas make of one."""
    x = image.transpose(2, 0, 1).astype(np.float64)
    for index in range(CONVS + 2):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        x = np.einsum("ihwkl,oikl->ohw", windows, weights[f"body.{2 * index}.weight"].astype(np.float64))
        x += weights[f"body.{2 * index}.bias"][:, None, None]
        if index <= CONVS:
            x = np.where(x > 0, x, weights[f"body.{2 * index + 1}.weight"][:, None, None] * x)
    height, width, channels = image.shape
    made = np.zeros((upscale * height, upscale * width, channels))
    for channel, i, j in np.ndindex(channels, upscale, upscale):
        own = x[channel * upscale**2 + i * upscale + j]
        made[i::upscale, j::upscale, channel] = own + image[..., channel]
    return made


def reduced_by_half(image):
    """By a factor of 1/2 each new pixel lies between two old ones: the cubic of a = -3/4 at 1/2 and 3/2."""
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if each == axis else (0, 0) for each in range(3)], mode="edge")
        new = image.shape[axis] // 2
        taps = [padded.take(range(start, start + 2 * new, 2), axis) for start in range(4)]
        image = (19 * (taps[1] + taps[2]) - 3 * (taps[0] + taps[3])) / 32
    return image


def section(scale, **others):
    fields = {"channels": 3, "scale": scale, "convs": CONVS, "base_width": WIDTH, "unit_range": True}
    return {"name": "srvgg.Generator", **fields, **others}


def check(imported, expected_section, reference):
    assert imported.section == expected_section
    assert imported.variables == {}
    network = build(imported.section, "network")
    image = np.random.default_rng(1).uniform(size=(4, 7, expected_section["channels"])).astype(np.float32)
    apply = jax.jit(lambda params, x: network.apply({"params": params}, x, train=False))
    ours = apply(jax.tree.map(jnp.asarray, imported.params), 2 * image[None] - 1)[0]
    theirs = reference(image)
    assert theirs.std() > 0.05
    np.testing.assert_allclose((ours + 1) / 2, theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(("upscale", "channels"), [(4, 3), (2, 3), (1, 3), (3, 1)])
def test_the_network_of_a_state_dict_computes_the_formulas(upscale, channels):
    weights = random_weights(upscale, channels)
    imported = published.from_torch({f"params.{name}": value for name, value in weights.items()})
    check(imported, section(upscale, channels=channels), lambda image: golden(weights, image, upscale))


def test_every_layout_and_file_means_the_same(tmp_path):
    weights = random_weights()
    expected = published.from_torch(weights)
    other = {f"params.{name}": value + 1 for name, value in weights.items()}  # trained weights beside their average
    same(published.from_torch(other | {f"params_ema.{name}": value for name, value in weights.items()}), expected)
    write(tmp_path / "net.safetensors", weights)
    same(published.from_file(str(tmp_path / "net.safetensors")), expected)


def test_a_file_restores_pictures_of_any_size(tmp_path, capsys):
    from PIL import Image

    write(tmp_path / "net.safetensors", random_weights())
    Image.new("RGB", (9, 5), (200, 100, 50)).save(tmp_path / "a.png")
    flags = ["--mode=apply", f"--pretrained={tmp_path / 'net.safetensors'}"]
    assert main([*flags, f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}"]) == FINISHED
    assert read_picture(tmp_path / "b.png").pixels.shape == (20, 36, 3)
    assert "does not say" in capsys.readouterr().out


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: without(w, "body.0.weight"),
            r"lack conv_first\.weight \(RRDB\), body\.0\.weight \(SRVGG\) and",
        ),
        (
            lambda w: {"layer1.weight": np.zeros(3)},
            r"lack conv_first\.weight \(RRDB\), body\.0\.weight \(SRVGG\) and",
        ),
        (lambda w: without(w, "body.2.bias"), r"the weights lack body\.2\.bias"),
        (lambda w: without(w, "body.1.weight"), r"the weights lack body\.1\.weight"),
        (lambda w: without(w, "body.3.weight"), r"have body\.4\.bias, which the network does not"),
        (lambda w: w | {"mask.weight": np.zeros(3)}, r"have mask\.weight, which the network does not"),
        (lambda w: w | {"body.3.weight": np.zeros(1)}, r"body\.3\.weight: got shape \(1,\), expected \(5,\)"),
        (lambda w: w | {"body.3.weight": np.zeros((5, 5))}, r"body\.3\.weight: got shape \(5, 5\)"),
        (lambda w: w | {"body.2.weight": np.zeros((5, 5, 1, 1))}, r"expected \(5, 5, 3, 3\)"),
        (lambda w: w | {"body.2.weight": np.zeros((6, 5, 3, 3)), "body.2.bias": np.zeros(6)}, r"body\.2: got shape"),
        (lambda w: w | {"body.0.weight": np.zeros(5)}, r"body\.0: got shape \(5,\)"),
        (
            lambda w: w | {"body.6.weight": np.zeros((47, 5, 3, 3)), "body.6.bias": np.zeros(47)},
            "got 47 output channels for 3",
        ),
        (
            lambda w: w | {"body.6.weight": np.zeros((2, 5, 3, 3)), "body.6.bias": np.zeros(2)},
            "got 2 output channels for 3",
        ),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    with pytest.raises(UserError, match=message) as error:
        published.from_torch(change(random_weights()))
    assert "\n" not in str(error.value)


def exported(folder, weights, reduced=None, change=lambda text: text):
    """The files that a converter makes of a state dict: the path of the param file."""
    lines, numbers, blob = ["Input image 0 1 data", "Split split 1 2 data data_0 data_1"], b"", "data_0"
    for index in range(CONVS + 2):
        weight, bias = (weights[f"body.{2 * index}.{part}"] for part in ("weight", "bias"))
        lines.append(f"Convolution conv{index} 1 1 {blob} c{index} 0={len(weight)} 1=3 4=1 5=1 6={weight.size}")
        numbers, blob = numbers + bytes(4) + weight.tobytes() + bias.tobytes(), f"c{index}"
        if index <= CONVS:
            slopes = weights[f"body.{2 * index + 1}.weight"]
            lines.append(f"PReLU prelu{index} 1 1 {blob} p{index} 0={len(slopes)}")
            numbers, blob = numbers + slopes.tobytes(), f"p{index}"
    factor = int((len(bias) // weights["body.0.weight"].shape[1]) ** 0.5)
    lines.append(f"PixelShuffle pixels 1 1 {blob} shuffled 0={factor}")
    lines.append(f"Interp repeat 1 1 data_1 repeated 0=1 1={factor:e} 2={factor:e}")
    lines.append("BinaryOp add 2 1 shuffled repeated sum")
    if reduced is not None:
        lines.append(f"Interp reduce 1 1 sum output 0=3 1={reduced:e} 2={reduced:e}")
    lines = change("\n".join(lines)).splitlines()
    blobs = sum(int(line.split()[3]) for line in lines)
    (folder / "net.param").write_text("\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""]))
    (folder / "net.bin").write_bytes(numbers)
    return str(folder / "net.param")


def test_the_graph_of_an_ncnn_file_is_followed(tmp_path):
    weights = random_weights()
    imported = published.from_file(exported(tmp_path, weights))
    same(imported, published.from_torch(weights))
    check(imported, section(4), lambda image: golden(weights, image, 4))


def test_a_graph_that_ends_with_resizing_has_a_smaller_scale(tmp_path):
    weights = random_weights()
    imported = published.from_file(exported(tmp_path, weights, 0.5))
    check(imported, section(2, upscale=4), lambda image: reduced_by_half(golden(weights, image, 4)))
    assert published.from_file(exported(tmp_path, weights, 0.75)).section == section(3, upscale=4)
    assert published.from_file(exported(tmp_path, random_weights(2), 0.5)).section == section(1, upscale=2)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("p1 0=5", "p1 0=5 1=2", r"got layer prelu1 .*expected a PReLU"),
        ("Convolution conv1 1 1 p0", "Convolution conv1 1 1 c0", r"got layer conv1 .*expected a Convolution"),
        ("c1 0=5 1=3 4=1", "c1 0=5 1=3 4=0", r"got layer conv1 .*expected a Convolution"),
        ("shuffled 0=4", "shuffled 0=4 1=1", r"got layer pixels .*expected a PixelShuffle"),
        ("shuffled 0=4", "shuffled", r"got layer pixels .*expected a PixelShuffle"),
        ("repeated 0=1", "repeated 0=2", r"got layer repeat .*expected a Interp"),
        ("repeated 0=1 1=4.0", "repeated 0=1 1=3.0", r"got layer repeat .*expected a Interp"),
        ("shuffled repeated sum", "shuffled repeated sum 0=2", r"got layer add .*expected a BinaryOp"),
        ("shuffled repeated sum", "shuffled data_1 sum", r"got layer add .*expected a BinaryOp"),
        ("output 0=3", "output 0=2", r"got layer reduce .*expected a Interp"),
        ("1=5.000000e-01 2=5.000000e-01", "-23301=1,0.5 2=5.000000e-01", r"got layer reduce .*expected a Interp"),
        ("1=5.000000e-01 2=5.000000e-01", "2=5.000000e-01", r"got layer reduce .*expected a Interp"),
        ("1=5.000000e-01 2=5.000000e-01", "1=6.000000e-01 2=6.000000e-01", "enlarged 4 times and resized by 0.6"),
        ("1=5.000000e-01 2=5.000000e-01", "1=1.500000e+00 2=1.500000e+00", "enlarged 4 times and resized by 1.5"),
        ("1=5.000000e-01 2=5.000000e-01", "1=-5.000000e-01 2=-5.000000e-01", "resized by -0.5"),
        ("1=5.000000e-01 2=5.000000e-01", "1=1.0e+308 2=1.0e+308", "resized by 1e"),
    ],
)
def test_a_graph_of_another_network_is_refused(before, after, message, tmp_path):
    def change(text):
        assert before in text
        return text.replace(before, after, 1)

    with pytest.raises(UserError, match=message) as error:
        published.from_file(exported(tmp_path, random_weights(), 0.5, change))
    assert str(error.value).startswith(str(tmp_path / "net.param"))
    assert "\n" not in str(error.value)


def test_a_graph_whose_pixels_are_not_its_channels_is_refused(tmp_path):
    def change(text):
        changed = text.replace("shuffled 0=4", "shuffled 0=2").replace("1=4.000000e+00 2=4.000000e+00", "1=2.0 2=2.0")
        assert changed != text
        return changed

    with pytest.raises(UserError, match="got channels for 4 x 4 pixels, expected 2 x 2"):
        published.from_file(exported(tmp_path, random_weights(), change=change))


def test_a_graph_that_ends_early_or_goes_on_is_refused(tmp_path):
    with pytest.raises(UserError, match="got layer relu, expected the end of SRVGG"):
        published.from_file(
            exported(tmp_path, random_weights(), 0.5, lambda text: f"{text}\nReLU relu 1 1 output more")
        )
    with pytest.raises(UserError, match="the graph: got its end, expected the layer Interp of SRVGG"):
        published.from_file(exported(tmp_path, random_weights(), 0.5, lambda text: text.partition("\nInterp")[0]))


def test_every_published_name_is_listed_in_errors_and_in_the_help():
    assert list(published.PUBLISHED)[2:] == [f"realesr_animevideov3_x{scale}" for scale in (2, 3, 4)]
    (line,) = [line for line in help_text().splitlines() if line.strip().startswith("--pretrained")]
    for ask in (lambda: load_pretrained("x9"), lambda: published.pretrained("x9")):
        with pytest.raises(UserError) as error:
            ask()
        for name in published.PUBLISHED:
            assert name in str(error.value)
            assert name in line


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_published_network_of_films_says_what_it_was_trained_for(scale, tmp_path, monkeypatch):
    """With other weights in the published layout, so that the package is not needed."""
    name = f"realesr_animevideov3_x{scale}"
    file = exported(tmp_path, random_weights(), scale / 4 if scale < 4 else None)
    monkeypatch.setattr(published, "pretrained", lambda _: published.from_file(file))
    restorer = load_pretrained(name)
    assert (restorer.scale, restorer.channels, restorer.multiple) == (scale, 3, 1)
    assert restorer.receptive_field == CONVS + 2 + (scale < 4)
    assert restorer.description.startswith("frames of animation films reduced 4 times along each side")
    assert ("then reduced" in restorer.description) == (scale < 4)
    assert restorer.degrade is None  # the compression of films is not made here
