"""Pictures, folders of pictures, and animated GIF, WebP and PNG as films."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, features

from jaxgan.media.films.frames import Unfit, open_frames
from jaxgan.media.films.stills import natural
from jaxgan.media.reading import PictureError

pytestmark = pytest.mark.quick
SIZE = (20, 12)


def drawn(number):
    """A picture whose brightness is its number."""
    picture = np.full((SIZE[1], SIZE[0], 3), 10 * number, np.uint8)
    picture[:, number] = (255, 0, 0)
    return picture


@pytest.fixture
def folder(tmp_path):
    """Pictures 0 to 11, whose names are not in alphabetical order."""
    for number in range(12):
        Image.fromarray(drawn(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def numbers(film, skip=0):
    """The numbers of the pictures, from their brightness."""
    return [int(frame.picture.pixels[0, -1, 0]) // 10 for frame in film.frames(skip)]


def test_numbers_in_names_are_numbers():
    names = ["b1", "a10", "a2", "A1", "a01", "a", "a2b10", "a2b9", "7", "12"]
    assert sorted(names, key=natural) == ["7", "12", "a", "A1", "a01", "a2", "a2b9", "a2b10", "a10", "b1"]


def test_a_folder_is_a_film(folder):
    film = open_frames(folder, rate=Fraction(24000, 1001))
    assert numbers(film) == list(range(12))
    assert [frame.pts * film.format.time_base for frame in film.frames()] == [
        number / Fraction(24000, 1001) for number in range(12)
    ]
    form = film.format
    assert (form.width, form.height, form.rate, form.deep, form.alpha) == (*SIZE, Fraction(24000, 1001), False, False)
    assert (film.count(), film.still, film.damaged, film.remarks) == (12, False, False, [])
    assert form.colours.conversion == 1  # a film made of it is tagged as BT.709
    assert film.seconds == pytest.approx(12 * 1001 / 24000)
    assert open_frames(folder).format.rate == 25
    assert numbers(film, skip=7) == list(range(7, 12))


def test_start_and_end_of_a_folder(folder):
    film = open_frames(folder, start=0.12, end=0.28)
    assert numbers(film) == [3, 4, 5, 6]
    assert next(film.frames()).pts == 3
    assert numbers(open_frames(folder, start=0.13, end=0.17)) == [4]
    assert film.count() == 4
    with pytest.raises(Unfit, match="--start"):
        open_frames(folder, start=0.48)


def test_missing_numbers_are_reported(folder):
    for number in (4, 5, 6):
        (folder / f"frame{number}.png").unlink()
    film = open_frames(folder)
    told = "numbers are missing between frame3.png and frame7.png{}: no frames are inserted for them"
    assert numbers(film) == [0, 1, 2, 3, 7, 8, 9, 10, 11]
    assert (film.remarks, film.damaged) == ([told.format("")], False)
    (folder / "frame9.png").unlink()
    assert open_frames(folder).remarks == [told.format(", and at 1 more place")]
    assert open_frames(folder, end=4 / 25).remarks == []
    for number in (1, 3, 7, 11):
        (folder / f"frame{number}.png").unlink()
    (folder / "frame4.png").write_bytes((folder / "frame2.png").read_bytes())
    (folder / "frame6.png").write_bytes((folder / "frame2.png").read_bytes())
    assert open_frames(folder).remarks == []  # every second one
    (folder / "name.png").write_bytes((folder / "frame2.png").read_bytes())
    (folder / "frame8.png").unlink()
    assert open_frames(folder).remarks == []  # not all are numbered


def test_all_kinds_of_pictures_in_one_folder(tmp_path):
    """32-bit PNG gave white frames elsewhere (TecoGAN#44)."""
    size = (4, 4)
    Image.new("L", size, 51).save(tmp_path / "1.png")
    Image.new("RGBA", size, (10, 20, 30, 102)).save(tmp_path / "2.png")
    Image.fromarray(np.full(size, 32896, np.uint16)).save(tmp_path / "3.png")
    Image.new("RGB", size, (255, 0, 128)).quantize(4).save(tmp_path / "4.png")
    Image.new("1", size, 1).save(tmp_path / "5.png")
    Image.new("F", size, 0.5).save(tmp_path / "6.tif")
    Image.new("L", size, 255).save(tmp_path / "7.png")
    film = open_frames(tmp_path)
    found = [frame.picture for frame in film.frames()]
    assert (film.format.deep, film.format.alpha) == (True, True)
    colours = [each.pixels[0, 0].tolist() for each in found]
    assert colours == [
        [51 * 257] * 3,
        [10 * 257, 20 * 257, 30 * 257],
        [32896] * 3,
        [65535, 0, 128 * 257],
        [65535] * 3,
        [32768] * 3,
        [65535] * 3,
    ]
    assert [int(each.alpha[0, 0, 0]) for each in found] == [65535, 102 * 257, *[65535] * 5]
    assert {each.pixels.dtype for each in found} == {each.alpha.dtype for each in found} == {np.dtype(np.uint16)}
    assert {each.span for each in found} == {(0.0, 65535.0)}


def test_turned_pictures(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        Image.fromarray(drawn(number)).save(tmp_path / f"{number}.jpg", exif=exif)
    film = open_frames(tmp_path)
    assert (film.format.width, film.format.height) == (SIZE[1], SIZE[0])
    assert [frame.picture.pixels.shape for frame in film.frames()] == [(SIZE[0], SIZE[1], 3)] * 2


def test_another_size_is_one_line_that_names_the_file(folder):
    Image.new("RGB", (21, 12)).save(folder / "frame9.png")
    with pytest.raises(PictureError, match=r"^frame9\.png has 21 x 12 pixels, expected 20 x 12 as before it$"):
        open_frames(folder)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="it is a folder without pictures"):
        open_frames(tmp_path)


@pytest.mark.parametrize("half", [False, True])
def test_a_picture_that_is_broken_is_repeated_and_told(folder, half):
    """Broken in the header, which is found on opening, or after it."""
    for name in ("frame0.png", "frame4.png", "frame5.png"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2] if half else b"broken")
    film = open_frames(folder)
    assert numbers(film) == [1, 1, 2, 3, 3, 3, 6, 7, 8, 9, 10, 11]
    assert film.damaged
    assert len(film.remarks) == 1
    assert "3 such files" in film.remarks[0]
    assert numbers(film, skip=5) == [3, 6, 7, 8, 9, 10, 11]


def test_a_picture_is_a_film_of_one_frame(folder):
    film = open_frames(folder / "frame3.png", start=9, end=10)  # it is shown at any time
    assert numbers(film) == [3]
    assert (film.still, film.count(), film.format.width) == (True, 1, SIZE[0])
    assert list(film.frames(1)) == []
    pages = [Image.fromarray(drawn(number)) for number in range(3)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    film = open_frames(folder / "pages.tif")
    assert (numbers(film), film.remarks) == ([0], ["the first of 3 pictures"])
    with pytest.raises(PictureError):
        open_frames(folder / "missing.png")


GLASS = [np.dstack([drawn(number), np.full((SIZE[1], SIZE[0]), 255 - 60 * number, np.uint8)]) for number in range(4)]


@pytest.mark.parametrize(
    ("suffix", "options"), [(".webp", {"lossless": True}), (".png", {}), (".apng", {"format": "PNG"})]
)
def test_animations_with_alpha(tmp_path, suffix, options):
    """FFmpeg does not read animated WebP."""
    first, *rest = [Image.fromarray(each) for each in GLASS]
    path = tmp_path / f"film{suffix}"
    first.save(path, save_all=True, append_images=rest, duration=[40, 70, 100, 33], loop=0, **options)
    film = open_frames(path)
    frames = list(film.frames())
    assert [frame.pts for frame in frames] == [0, 40, 110, 210]
    assert [frame.duration for frame in frames] == [40, 70, 100, 33]
    assert (film.format.time_base, film.format.alpha, film.format.deep) == (Fraction(1, 1000), True, False)
    assert film.format.rate == Fraction(4000, 243)
    assert film.seconds == pytest.approx(0.243)
    assert film.format.colours.conversion == 1
    assert (film.still, film.count()) == (False, 4)
    for frame, given in zip(frames, GLASS, strict=True):
        np.testing.assert_array_equal(frame.picture.alpha[..., 0], given[..., 3])
        np.testing.assert_array_equal(frame.picture.pixels, given[..., :3])
    assert [frame.pts for frame in film.frames(2)] == [110, 210]
    part = open_frames(path, start=0.05, end=0.21)
    assert ([frame.pts for frame in part.frames()], part.count()) == ([110], 1)
    with pytest.raises(Unfit):
        open_frames(path, start=0.3)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_opaque_alpha_changes_nothing(tmp_path, suffix):
    first, *rest = [Image.fromarray(drawn(number)).convert("RGBA") for number in range(3)]
    first.save(tmp_path / f"film{suffix}", save_all=True, append_images=rest, duration=40, lossless=True)
    film = open_frames(tmp_path / f"film{suffix}")
    assert not film.format.alpha
    assert [frame.picture.alpha for frame in film.frames()] == [None] * 3


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(tmp_path):
    first, *rest = [Image.fromarray(drawn(number)) for number in range(3)]
    first.save(tmp_path / "film.avif", save_all=True, append_images=rest, duration=[40, 60, 80], quality=100)
    film = open_frames(tmp_path / "film.avif")
    assert [(frame.pts, frame.duration) for frame in film.frames()] == [(0, 40), (40, 60), (100, 80)]
    assert numbers(film) == [0, 1, 2]


def gif(path, disposal, transparency=None):
    """Squares that appear one after the other, each in a frame that contains nothing else."""
    frames = []
    for number in range(3):
        frame = Image.new("P", SIZE, 0)
        frame.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        frame.paste(number + 1, (5 * number, 0, 5 * number + 4, 4))
        frames.append(frame)
    options = {} if transparency is None else {"transparency": transparency}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 0, 20], disposal=disposal, **options)
    return path


def test_gif_is_composed(tmp_path):
    """Transparent parts of a frame show the previous frame, or nothing if that is disposed of."""
    kept = list(open_frames(gif(tmp_path / "kept.gif", 1, 0)).frames())
    assert [frame.pts for frame in kept] == [0, 50, 150]  # a frame without a duration: 100 ms, as in browsers
    assert [[bool(frame.picture.alpha[1, 5 * k + 1, 0]) for k in range(3)] for frame in kept] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    cleared = list(open_frames(gif(tmp_path / "cleared.gif", 2, 0)).frames())
    assert [[bool(frame.picture.alpha[1, 5 * k + 1, 0]) for k in range(3)] for frame in cleared] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    assert cleared[1].picture.pixels[1, 6].tolist() == [0, 255, 0]
    solid = open_frames(gif(tmp_path / "solid.gif", 1))
    assert not solid.format.alpha
    assert next(solid.frames()).picture.alpha is None


def test_an_animation_that_is_cut_off(tmp_path):
    path = tmp_path / "film.gif"
    rng = np.random.default_rng(0)
    first, *rest = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(6)]
    first.save(path, save_all=True, append_images=rest, duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    film = open_frames(path)
    assert 1 <= len(list(film.frames())) <= 3
    assert film.damaged
    assert "cut off" in film.remarks[0]


@pytest.mark.parametrize("loops", [None, 0])
def test_a_gif_that_is_cut_anywhere(tmp_path, loops):
    """At some places Pillow raises unexpected errors; right after a frame only the trailer is missing."""
    rng = np.random.default_rng(0)
    first, *rest = [Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)) for _ in range(3)]
    whole = tmp_path / "whole.gif"
    first.save(whole, save_all=True, append_images=rest, duration=40, **({} if loops is None else {"loop": loops}))
    assert (open_frames(whole).damaged, open_frames(whole).remarks) == (False, [])
    data, path, second = whole.read_bytes(), tmp_path / "film.gif", []
    for size in range(len(data)):
        path.write_bytes(data[:size])
        try:
            film = open_frames(path)
            count = len(list(film.frames()))
        except PictureError:
            assert size < len(data) / 2
            continue
        assert film.damaged
        assert any("cut off" in line for line in film.remarks)
        second.append(count)
    assert second == sorted(second)
    assert set(second) == {1, 2, 3}
    path.write_bytes(data + b"anything")
    assert (len(list(open_frames(path).frames())), open_frames(path).damaged) == (3, False)


@pytest.mark.skipif(not features.check("webp"), reason="this Pillow has no WebP")
def test_a_webp_that_is_cut_off(tmp_path):
    rng = np.random.default_rng(0)
    first, *rest = [Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)) for _ in range(3)]
    path = tmp_path / "film.webp"
    first.save(path, save_all=True, append_images=rest, duration=40)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PictureError, match="or it is cut off"):
        open_frames(path)


def test_without_the_extra_pictures_still_work(folder, monkeypatch):
    from jaxgan.errors import UserError

    for name in ("film", "decoding", "deinterlacing"):
        monkeypatch.delitem(sys.modules, f"jaxgan.media.films.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    assert numbers(open_frames(folder)) == list(range(12))
    assert numbers(open_frames(folder / "frame2.png")) == [2]
    assert len(list(open_frames(gif(folder / "a.gif", 1)).frames())) == 3
    with pytest.raises(UserError, match=r"pip install -e '\.\[video\]'"):
        open_frames(folder / "film.mp4")


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_that_vanishes_cannot_be_read(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    Image.new("RGB", SIZE).save(path, save_all=True, append_images=[Image.new("RGB", SIZE, "red")])
    film = open_frames(path)
    path.unlink()
    with pytest.raises(PictureError, match="it cannot be read: No such file"):
        list(film.frames())


def test_a_start_while_the_last_frame_of_an_animation_is_shown(tmp_path):
    path = tmp_path / "film.gif"
    Image.new("RGB", SIZE).save(path, save_all=True, append_images=[Image.new("RGB", SIZE, "red")], duration=200)
    for span, pts in (({"start": 0.3}, 200), ({"start": 0.05, "end": 0.15}, 0)):
        film = open_frames(path, **span)
        assert [frame.pts for frame in film.frames()] == [pts]
        assert film.count() == 1
    with pytest.raises(Unfit):
        open_frames(path, start=0.4)
