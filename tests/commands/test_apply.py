"""`--mode=apply` with networks of one or two layers: every kind of picture in, the same kind out."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from jaxgan.errors import FINISHED, MISTAKE, SOME_FAILED
from jaxgan.inference.restorer import Restorer, load_pretrained
from jaxgan.jobs import pictures
from jaxgan.main import main
from jaxgan.media.reading import Picture, read_picture
from jaxgan.media.writing import write_picture

random = np.random.default_rng(0)
kernels = [jnp.asarray(random.normal(0, 0.2, shape), jnp.float32) for shape in ((3, 3, 3, 8), (5, 5, 8, 12))]


@jax.jit
def convolved(condition):
    """3x3 and 5x5, zeros beyond the border, then channels become pixels: enlarges twice."""
    x = condition
    for kernel in kernels:
        x = jnp.tanh(
            jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        )
    count, height, width, _ = x.shape
    x = x.reshape(count, height, width, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(count, 2 * height, 2 * width, 3)


NEAREST = Restorer(lambda x: x.repeat(2, axis=1).repeat(2, axis=2), 2, 3, 3, "pictures that were halved", 0)
CONVOLVED = Restorer(convolved, 2, 3, 3, "pictures that were halved", 3)
FILLED = Restorer(lambda x: jnp.full_like(x[..., :3], 0.2), 1, 3, 3, "holes", 0, masks=True)


def noise(*shape, dtype=np.uint8):
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def enlarged(samples):
    return samples.repeat(2, axis=0).repeat(2, axis=1)


@pytest.fixture
def odd(tmp_path):
    """The folder of the issue."""
    folder = tmp_path / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    soft = np.linspace(0, 255, 30 * 20 * 3).reshape(20, 30, 3).astype(np.uint8)
    Image.fromarray(soft).save(folder / "photo.jpg", quality=98, exif=exif, icc_profile=profile)
    Image.fromarray(noise(12, 9, 4) | np.uint8([0, 0, 0, 1])).save(folder / "alpha.png")  # nothing is hidden
    Image.fromarray(noise(8, 8, dtype=np.uint16)).save(folder / "deep.png")
    Image.new("CMYK", (10, 10), (0, 127, 255, 0)).save(folder / "print.jpg", quality=95)
    Image.fromarray(noise(1, 1, 3)).save(folder / "dot.png")
    Image.fromarray(noise(200, 300, 3)).save(folder / "large.png")
    (folder / "notes.txt").write_text("no picture")
    content = (folder / "large.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    return folder


def test_a_folder_of_odd_files(odd, tmp_path, apply, capsys):
    out, side = tmp_path / "out", tmp_path / "side.png"
    assert apply(NEAREST, odd, out, tile=64, compare=side) == SOME_FAILED
    told = capsys.readouterr().out
    assert "trained for pictures that were halved" in told
    assert "notes.txt: failed, it is not an image" in told
    assert "cut.png: failed, " in told
    assert "CMYK, read as RGB" in told
    assert "6 of 8 pictures restored, 2 failed" in told
    names = {"photo.jpg", "alpha.png", "deep.png", "print.jpg", "dot.png", "large.png"}
    assert {each.name for each in out.iterdir()} == names
    before, after = ({name: read_picture(folder / name) for name in names} for folder in (odd, out))
    for name in names - {"photo.jpg", "print.jpg"}:
        np.testing.assert_array_equal(after[name].pixels, enlarged(before[name].pixels))
        assert after[name].pixels.dtype == before[name].pixels.dtype
    for name in ("photo.jpg", "print.jpg"):
        off = after[name].pixels.astype(int) - enlarged(before[name].pixels)
        assert np.abs(off).mean() < 2
    assert after["deep.png"].pixels.dtype == np.uint16
    assert after["deep.png"].channels == 1
    wanted = Image.fromarray(before["alpha.png"].alpha[..., 0]).resize((18, 24), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(after["alpha.png"].alpha[..., 0], np.asarray(wanted))
    photo = after["photo.jpg"]
    assert (photo.width, photo.height) == (40, 60)  # upright
    assert photo.icc == before["photo.jpg"].icc
    kept = Image.Exif()
    kept.load(photo.exif)
    assert (kept[0x0112], kept[0x010F]) == (1, "a camera")
    with Image.open(side) as picture:
        assert picture.width > 3 * 480


def test_tiles_give_what_the_whole_picture_gives(tmp_path, apply):
    samples = noise(150, 210, 3)
    Image.fromarray(samples).save(tmp_path / "a.png")
    for tile in (64, 1000):
        assert apply(CONVOLVED, tmp_path / "a.png", tmp_path / f"{tile}.png", tile=tile) == FINISHED
    tiled, whole = (read_picture(tmp_path / f"{tile}.png").pixels.astype(int) for tile in (64, 1000))
    direct = np.asarray(convolved(samples[None].astype(np.float32) / 127.5 - 1))[0]
    np.testing.assert_allclose(whole, (direct + 1) * 127.5, atol=0.51)
    assert np.abs(tiled - whole).max() <= 1


def test_many_small_pictures_run_in_full_batches(tmp_path, apply):
    for index in range(20):
        Image.fromarray(noise(10, 12, 3)).save(tmp_path / f"{index:02}.png")
    shapes = []

    def recorded(condition):
        shapes.append(condition.shape)
        return NEAREST.apply(condition)

    assert apply(dataclasses.replace(NEAREST, apply=recorded), tmp_path / "*.png", tmp_path / "out", batch_size=8) == 0
    assert shapes == [(8, 10, 12, 3), (8, 10, 12, 3), (4, 10, 12, 3)]
    for index in range(20):
        before, after = (read_picture(each / f"{index:02}.png") for each in (tmp_path, tmp_path / "out"))
        np.testing.assert_array_equal(after.pixels, enlarged(before.pixels))


def test_pictures_of_many_sizes_share_few_shapes(tmp_path, apply):
    for index in range(30):
        Image.fromarray(noise(20 + index, 50 - index, 3)).save(tmp_path / f"{index:02}.png")
    shapes = set()

    def recorded(condition):
        shapes.add(condition.shape[1:])
        return NEAREST.apply(condition)

    assert apply(dataclasses.replace(NEAREST, apply=recorded), tmp_path / "*.png", tmp_path / "out") == FINISHED
    assert len(shapes) <= 9
    for index in range(30):
        before, after = (read_picture(each / f"{index:02}.png") for each in (tmp_path, tmp_path / "out"))
        np.testing.assert_array_equal(after.pixels, enlarged(before.pixels))


def test_an_output_too_large_for_memory_lies_on_the_disk(tmp_path, apply, monkeypatch):
    monkeypatch.setattr(pictures, "IN_MEMORY", 1000)
    Image.fromarray(noise(40, 30, 3)).save(tmp_path / "a.png")
    assert apply(NEAREST, tmp_path / "a.png", tmp_path / "out" / "b.png", tile=16) == FINISHED
    before, after = (read_picture(tmp_path / name) for name in ("a.png", "out/b.png"))
    np.testing.assert_array_equal(after.pixels, enlarged(before.pixels))
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["b.png"]


def test_sixteen_bits_of_colour_stay(tmp_path, apply):
    samples = noise(9, 7, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb")
    assert apply(NEAREST, tmp_path / "a.tif", tmp_path / "b.tif") == FINISHED
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), enlarged(samples))


def test_what_a_format_cannot_keep_is_told(tmp_path, apply, capsys):
    Image.fromarray(noise(8, 8, dtype=np.uint16)).save(tmp_path / "a.png")
    assert apply(NEAREST, tmp_path / "a.png", tmp_path / "b.jpg") == FINISHED
    assert "16 bits become 8 bits" in capsys.readouterr().out


def test_holes_are_filled_and_the_rest_stays_to_the_bit(tmp_path, apply):
    samples = noise(20, 30, 3)
    samples[5:9, 5:9] = 255, 0, 255
    samples[0, 0] = 255, 0, 254  # another colour
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 5:9] = 255
    Image.fromarray(samples).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a.gif")
    expected = samples.copy()
    expected[5:9, 5:9] = 153
    for options in ({"mask": tmp_path / "mask.png"}, {"mask": tmp_path / "masks"}, {"mask_color": "255,0,255"}):
        assert apply(FILLED, tmp_path / "a.png", tmp_path / "b.png", tile=16, **options) == FINISHED
        np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, expected)


def test_the_network_does_not_see_what_it_is_to_fill_in(tmp_path, apply):
    seen = []
    standin = dataclasses.replace(FILLED, apply=lambda x: seen.append(np.asarray(x)) or x[..., :3])
    Image.new("RGB", (4, 4), (255, 255, 255)).save(tmp_path / "a.png")
    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(tmp_path / "mask.png")
    assert apply(standin, tmp_path / "a.png", tmp_path / "b.png", mask=tmp_path / "mask.png") == FINISHED
    np.testing.assert_array_equal(seen[0][0, ..., 3], np.eye(4))
    np.testing.assert_array_equal(seen[0][0, ..., :3], (1 - np.eye(4))[..., None].repeat(3, axis=2))


def test_clean_pictures_are_degraded_first(tmp_path, apply, capsys):
    (tmp_path / "in").mkdir()
    clean = noise(8, 11, 4) | np.uint8([0, 0, 0, 1])  # nothing is hidden
    Image.fromarray(clean).save(tmp_path / "in" / "a.png")
    Image.fromarray(noise(1, 5, 3)).save(tmp_path / "in" / "thin.png")
    halved = dataclasses.replace(NEAREST, degrade=lambda key, image: image[:, ::2, ::2])
    assert apply(halved, tmp_path / "in", tmp_path / "out", degrade="true") == SOME_FAILED
    np.testing.assert_array_equal(read_picture(tmp_path / "out" / "a.png").pixels, enlarged(clean[::2, :10:2, :3]))
    assert "thin.png: failed, it has 5 x 1 pixels, expected at least 2 along a side" in capsys.readouterr().out
    grey = dataclasses.replace(NEAREST, condition_channels=1, degrade=lambda key, image: image[:, ::2, ::2, :1])
    grey = dataclasses.replace(grey, apply=lambda x: NEAREST.apply(x.repeat(3, axis=3)))
    assert apply(grey, tmp_path / "in" / "a.png", tmp_path / "grey.png", degrade="true") == FINISHED
    drawn = read_picture(tmp_path / "grey.png").pixels
    np.testing.assert_array_equal(drawn, enlarged(clean[::2, :10:2, :1]).repeat(drawn.shape[2], axis=2))


def test_holes_are_made_in_clean_pictures(tmp_path, apply):
    def hide(key, image):
        mask = jnp.zeros_like(image[..., :1]).at[:, 2:4, 3:5].set(1.0)
        return jnp.concatenate([image * (1 - mask), mask], axis=-1)

    clean = noise(6, 8, 3)
    Image.fromarray(clean).save(tmp_path / "a.png")
    standin = dataclasses.replace(FILLED, degrade=hide)
    assert apply(standin, tmp_path / "a.png", tmp_path / "b.png", degrade="true") == FINISHED
    wanted = clean.copy()
    wanted[2:4, 3:5] = round(0.2 * 127.5 + 127.5)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, wanted)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--degrade: got true, but the degradation"),
        ({"mask_color": "0,0,0"}, "--degrade: got both true and a mask"),
    ],
)
def test_what_cannot_be_degraded_is_told(tmp_path, apply, options, words, capsys):
    Image.fromarray(noise(6, 8, 3)).save(tmp_path / "a.png")
    assert apply(NEAREST, tmp_path / "a.png", tmp_path / "b.png", degrade="true", **options) == MISTAKE
    assert words in capsys.readouterr().err


def test_a_mask_of_another_size_fails_its_picture_only(tmp_path, apply, capsys):
    for name, size in (("a", 8), ("b", 9)):
        Image.new("RGB", (size, size)).save(tmp_path / f"{name}.png")
    Image.new("L", (9, 9), 255).save(tmp_path / "m.bmp")
    assert apply(FILLED, tmp_path / "*.png", tmp_path / "out", mask=tmp_path / "m.bmp") == SOME_FAILED
    assert "a.png: failed, its mask" in capsys.readouterr().out
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["b.png"]


def test_networks_of_other_channels_than_the_picture():
    colours, grey = noise(1, 4, 4, 3) / np.float32(127.5) - 1, noise(1, 4, 4, 1) / np.float32(127.5) - 1
    of_grey = Restorer(lambda x: x * 0.5, 1, 1, 1, "")
    np.testing.assert_allclose(of_grey(colours), colours * 0.5)
    of_colours = Restorer(lambda x: x * 0.5, 1, 3, 3, "")
    np.testing.assert_allclose(of_colours(grey), grey * 0.5, atol=1e-6)
    to_colours = Restorer(lambda x: x.repeat(3, axis=3), 1, 1, 3, "")
    assert to_colours(colours).shape == to_colours(grey).shape == (1, 4, 4, 3)
    with_mask = Restorer(lambda x: x[..., :1] + 2 * x[..., 1:], 1, 1, 1, "", masks=True)
    tile = np.concatenate([colours, np.ones((1, 4, 4, 1), np.float32)], axis=3)
    np.testing.assert_allclose(with_mask(tile), np.full((1, 4, 4, 3), 2.0))


def test_a_picture_that_cannot_be_written_is_told(tmp_path, apply, capsys):
    write_picture(tmp_path / "wide.png", Picture(np.zeros((1, 40_000, 1), np.uint8)))
    assert apply(NEAREST, tmp_path / "wide.png", tmp_path / "wide.jpg") == SOME_FAILED
    assert "wide.jpg cannot be written: got 80000 x 2 pixels, expected at most 65,500" in capsys.readouterr().out
    assert not (tmp_path / "wide.jpg").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input": ""}, "--input is missing"),
        ({"output": ""}, "--output is missing"),
        ({"input": "nowhere"}, "--input: got 'nowhere', expected a file"),
        ({"output": "b.gif"}, "--output: got"),
        ({"strength": "2"}, "--strength: got '2', expected a number from 0 to 1"),
        ({"strength": "half"}, "--strength: got 'half'"),
        ({"strength": "0.5"}, "a published model has one set of weights"),
        ({"tile": "0"}, "--tile: got 0"),
        ({"batch_size": "many"}, "--batch_size: got 'many'"),
        ({"compare": "side.gif"}, "--compare: got 'side.gif', expected one of .png, .jpg"),
        ({"overwrite": "yes"}, "--overwrite: got 'yes'"),
        ({"mask": "nowhere.png"}, "--mask: got 'nowhere.png', which does not exist"),
        ({"mask_color": "1,2"}, "--mask_color: got '1,2'"),
        ({"mask_color": "1,2,300"}, "--mask_color: got '1,2,300'"),
        ({"mask_color": "1,2,3", "mask": "a.png"}, "expected one of them"),
        ({"mask_color": "1,2,3"}, "this model does not fill in"),
        ({"pretrained": "realesrgan"}, "--pretrained: got 'realesrgan', expected"),
        ({"workdir": "runs/x"}, "expected one of them"),
        ({"config.seed": "1"}, "config unchanged"),
        ({"stregth": "1"}, "did you mean strength?"),
    ],
)
def test_a_mistake_in_applying_is_one_line(tmp_path, monkeypatch, options, words, capsys):
    known = lambda name: NEAREST if name == "standin" else load_pretrained(name)  # noqa: E731
    monkeypatch.setattr("jaxgan.commands.apply.load_pretrained", known)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("a.png")
    flags = {"pretrained": "standin", "input": "a.png", "output": "b.png", **options}
    assert main(["--mode=apply", *(f"--{name}={value}" for name, value in flags.items())]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not (tmp_path / "b.png").exists()


def test_an_inpainter_asks_for_a_mask(tmp_path, apply, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert apply(FILLED, tmp_path / "a.png", tmp_path / "b.png") == MISTAKE
    assert "--mask is missing" in capsys.readouterr().err


def test_too_little_memory_is_told(tmp_path, apply, capsys):
    def exhausted(condition):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert apply(dataclasses.replace(NEAREST, apply=exhausted), tmp_path / "a.png", tmp_path / "b.png") == MISTAKE
    assert "--tile: tiles of 512 pixels do not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "features_scale", "expected"),
    [((300, 300), None, 4), ((300, 300), 1, 1), ((150, 400), None, 1)],  # height and width; tiles
)
def test_tiles_are_as_large_as_the_features_let_them(size, features_scale, expected, tmp_path, apply):
    """At scale 4 a tile has the pixels of 256 x 256, and of 512 x 512 where the features are no larger than it."""
    shapes = []
    enlarge = lambda x: shapes.append(x.shape) or x.repeat(4, axis=1).repeat(4, axis=2)  # noqa: E731
    standin = Restorer(enlarge, 4, 3, 3, "nothing", 2, features_scale=features_scale)
    Image.fromarray(noise(*size, 3)).save(tmp_path / "a.png")
    assert apply(standin, tmp_path / "a.png", tmp_path / "b.png", batch_size=1) == FINISHED
    assert len(shapes) == expected


def blurred(condition):
    """Means of 5x5 pixels, so that an outline shows what is beside it."""
    padded = jnp.pad(condition, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    return jax.lax.reduce_window(padded, 0.0, jax.lax.add, (1, 5, 5, 1), (1, 1, 1, 1), "VALID") / 25


@pytest.mark.parametrize("options", [{}, {"degrade": "true"}, {"tile": 16}])
def test_what_is_hidden_does_not_darken_the_outline(tmp_path, apply, options):
    alpha = np.zeros((24, 24, 1), np.uint8)
    alpha[6:17, 5:19], alpha[6, 5:19] = 255, 100
    standin = Restorer(blurred, 1, 3, 3, "blur", 4, degrade=lambda key, image: blurred(image))
    outputs = []
    for hidden in (0, 255):
        sprite = np.where(alpha > 0, np.uint8(255), np.uint8(hidden)).repeat(3, axis=2)
        Image.fromarray(np.concatenate([sprite, alpha], axis=2)).save(tmp_path / "a.png")
        assert apply(standin, tmp_path / "a.png", tmp_path / "b.png", **options) == FINISHED
        outputs.append(read_picture(tmp_path / "b.png"))
    assert (outputs[0].pixels[alpha[..., 0] > 0] == 255).all()
    np.testing.assert_array_equal(outputs[0].pixels, outputs[1].pixels)
    np.testing.assert_array_equal(outputs[0].alpha, alpha)


def test_opaque_pictures_with_alpha_are_what_they_are_without(tmp_path, apply):
    samples = noise(20, 30, 3)
    Image.fromarray(samples).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([samples, np.full((20, 30), 255, np.uint8)])).save(tmp_path / "b.png")
    for name in "ab":
        assert apply(CONVOLVED, tmp_path / f"{name}.png", tmp_path / f"{name}2.png") == FINISHED
    np.testing.assert_array_equal(*(read_picture(tmp_path / f"{name}2.png").pixels for name in "ab"))
