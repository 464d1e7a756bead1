"""Reading the colours of films: matrix, range, depth, grey."""

import numpy as np
import pytest
from filming import COLOURS, HEIGHT, make, patches, scenery, yuv_frame

from jaxgan.media.films.colours import Colours
from jaxgan.media.films.frames import open_frames

av = pytest.importorskip("av")
pytestmark = pytest.mark.quick  # PyAV differs between Python versions
MATRICES = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # Kr and Kb, ITU-T H.273


def flat(path, matrix, full, *, tagged, height=HEIGHT, bits=8):
    """A lossless film of uniform columns in a matrix and a range."""
    planes = patches(*MATRICES[matrix], full, bits)
    planes = np.concatenate([planes] * (height // HEIGHT), axis=1)

    def tag(stream):
        if tagged:
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1

    pixels = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    return make(path, [yuv_frame(planes, pixels)] * 2, "ffv1", pixels, setup=tag)


def farthest(path):
    """The error of the columns, in levels of 8 bits."""
    picture = next(open_frames(path).frames()).picture
    levels = picture.pixels.astype(float) * 255 / picture.span[1]
    return max(np.abs(levels[:, 8 * k : 8 * k + 8] - np.array(c)).max() for k, c in enumerate(COLOURS))


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
def test_tagged_colours(tmp_path, matrix, full):
    path = flat(tmp_path / "film.mkv", matrix, full, tagged=True)
    assert farthest(path) <= 2
    colours = open_frames(path).format.colours
    assert (colours.matrix, colours.range) == (matrix, 2 if full else 1)


@pytest.mark.parametrize(("matrix", "height"), [(6, HEIGHT), (1, 15 * HEIGHT)])
def test_untagged_colours(tmp_path, matrix, height):
    """The default of players: limited range, BT.601 below 720 lines, else BT.709."""
    path = flat(tmp_path / "film.mkv", matrix, False, tagged=False, height=height)
    assert farthest(path) <= 2
    assert open_frames(path).format.colours[:2] == (matrix, 1)


def test_old_full_range(tmp_path):
    """MJPEG has full range without a tag."""
    planes = patches(*MATRICES[6], True)
    path = make(tmp_path / "film.mov", [yuv_frame(planes, "yuvj444p")], "mjpeg", "yuvj444p", options={"q": "1"})
    film = open_frames(path)
    assert film.format.colours.range == 2
    assert np.abs(next(film.frames()).picture.pixels[:, 3].astype(int) - 255).max() <= 2


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("full", [False, True])
def test_deep_colours(tmp_path, bits, full):
    assert farthest(flat(tmp_path / "film.mkv", 1, full, tagged=True, bits=bits)) <= 2


def test_ten_bits_have_more_than_256_levels(tmp_path):
    ramp = np.tile(np.linspace(64, 940, 512)[None], (16, 1))
    grey = np.full_like(ramp, 512)
    path = make(tmp_path / "film.mkv", [yuv_frame([ramp, grey, grey], "yuv444p10le")], "ffv1", "yuv444p10le")
    film = open_frames(path)
    picture = next(film.frames()).picture
    assert film.format.deep
    assert picture.pixels.dtype == np.uint16
    assert picture.span == (0.0, 65535.0)
    assert len(np.unique(picture.pixels[0, :, 0])) > 500


def test_subsampling_is_told(tmp_path):
    for pixels, expected in (("yuv420p", 420), ("yuv422p", 422), ("yuv444p", 444), ("yuv422p10le", 422)):
        path = make(tmp_path / f"{pixels}.mkv", scenery(1), "ffv1", pixels)
        assert open_frames(path).format.subsampling == expected


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_told_and_its_tags_are_kept(tmp_path, transfer, name):
    def tag(stream):
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 9, 1, 9, transfer

    film = open_frames(make(tmp_path / "film.mkv", scenery(1), "ffv1", "yuv420p10le", setup=tag))
    assert film.format.colours == Colours(9, 1, 9, transfer)
    assert [name in line for line in film.remarks] == [True]


def test_wide_primaries_without_a_matrix(tmp_path):
    def tag(stream):
        stream.codec_context.color_primaries = 9

    assert open_frames(make(tmp_path / "film.mkv", scenery(1), "ffv1", "yuv420p", setup=tag)).format.colours.matrix == 9


def test_a_matrix_that_cannot_be_converted_is_told(tmp_path):
    def tag(stream):
        stream.codec_context.colorspace = 8  # YCgCo

    film = open_frames(make(tmp_path / "film.mkv", scenery(1), "ffv1", "yuv444p", setup=tag))
    assert film.format.colours.matrix == 6
    assert len(film.remarks) == 1


@pytest.mark.parametrize(("pixels", "dtype"), [("gray", np.uint8), ("gray10le", np.uint16)])
def test_grey_of_both_ranges(tmp_path, pixels, dtype):
    """FFmpeg takes all grey as full range, whatever the tag."""
    levels = np.array([16, 126, 235]) * (4 if "10" in pixels else 1)
    raw = np.repeat(levels, 16)[None].repeat(HEIGHT, axis=0)
    frame = av.VideoFrame(48, HEIGHT, pixels)
    rows = np.zeros((HEIGHT, frame.planes[0].line_size), np.uint8)
    stored = np.ascontiguousarray(raw.astype(dtype)).view(np.uint8)
    rows[:, : stored.shape[1]] = stored
    frame.planes[0].update(rows.tobytes())

    def limited(stream):
        stream.codec_context.color_range = 1

    found = {}
    for name, setup in (("limited", limited), ("untold", lambda stream: None)):
        frame.color_range = 1 if name == "limited" else 0
        picture = next(
            open_frames(make(tmp_path / f"{name}.mkv", [frame], "ffv1", pixels, setup=setup)).frames()
        ).picture
        assert picture.pixels.dtype == dtype
        assert (picture.pixels[..., :1] == picture.pixels).all()
        found[name] = picture.pixels[0, ::16, 0].astype(float) * 255 / picture.span[1]
    np.testing.assert_allclose(found["limited"], [0, 128, 255], atol=1)
    np.testing.assert_allclose(found["untold"], [16, 126, 235], atol=1)


def test_rgb_is_exact(tmp_path):
    for codec, pixels, suffix in (("ffv1", "bgr0", "mkv"), ("png", "rgb24", "mov"), ("libx264rgb", "rgb24", "mp4")):
        options = {"qp": "0"} if codec == "libx264rgb" else {}
        path = make(tmp_path / f"{codec}.{suffix}", scenery(2), codec, pixels, options=options)
        for frame, expected in zip(open_frames(path).frames(), scenery(2), strict=True):
            np.testing.assert_array_equal(frame.picture.pixels, expected)


def test_palette(tmp_path):
    indices = np.tile(np.arange(8).repeat(8)[None], (HEIGHT, 1)).astype(np.uint8)
    colours = np.zeros((256, 4), np.uint8)
    colours[:8] = [(255, *colour) for colour in COLOURS]
    frame = av.VideoFrame.from_ndarray((indices, colours), format="pal8")
    film = open_frames(make(tmp_path / "film.mov", [frame], "png", "pal8"))
    np.testing.assert_array_equal(next(film.frames()).picture.pixels[0, ::8], COLOURS)
    assert not film.format.deep
