"""The chroma location is kept from film to film, measured at an edge in the colours."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from film_making import film, form, picture  # noqa: E402
from filming import make, yuv_frame  # noqa: E402

from jaxgan.media.films.colours import BT2020, LIMITED, PQ, SMPTE170M, Colours  # noqa: E402
from jaxgan.media.films.encoding import plan_encoding  # noqa: E402
from jaxgan.media.films.frames import open_frames  # noqa: E402

pytestmark = pytest.mark.quick  # FFmpeg differs between Python versions
LOSSLESS = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1:log-level=none"}, "mpeg4": {"q": "1"}}


def edges(path):
    """Where Cb rises along a row, and Cr falls along a column, in the first frame: in chroma samples."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    dtype = np.uint16 if "10" in frame.format.name else np.uint8
    _, blue, red = (
        np.frombuffer(bytes(p), dtype).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes
    )
    return _position(blue[6]), _position(red[:, 8])


def _position(values):
    """The position of the step that has the same sum."""
    first, last = values[:4].mean(), values[-4:].mean()
    return float(((values - last) / (first - last)).sum())


def edged(path, codec, location="left", pixels="yuv420p", high=24):
    levels, deep = (np.full((48, 64), 120), np.full((high, 32), 128), np.full((high, 32), 128)), "10" in pixels
    levels[1][:, 16:], levels[2][high // 2 :] = 160, 100

    def tagged(stream):
        stream.codec_context.colorspace, stream.codec_context.color_range = 5, 1

    options = {"chroma_sample_location": location, **LOSSLESS.get(codec, {})}
    frames = [yuv_frame([each * (4 if deep else 1) for each in levels], pixels) for _ in range(3)]
    tick = Fraction(1, 25) if codec == "mpeg1video" else Fraction(1, 12800)
    return make(path, frames, codec, pixels, options=options, setup=tagged, tick=tick)


def passed(folder, source, suffix, codec):
    """Reads a film and writes it again at the codec's best quality."""
    frames = open_frames(source)
    plan = plan_encoding(frames.format, suffix, codec, None if codec == "prores" else 1)
    pictures = [each.picture for each in frames.frames()]
    folder.mkdir()
    return film(folder, plan, suffix, pictures, [512 * k for k in range(len(pictures))])


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize(("name", "suffix"), [("h264", ".mp4"), ("hevc", ".mkv"), ("vp9", ".webm"), ("av1", ".mp4")])
def test_an_edge_in_the_colours_stays_over_several_passes(tmp_path, codec, name, suffix):
    """Chroma is at the left in all of these. Written as centred, it would move a quarter of a sample per pass."""
    path = edged(tmp_path / "film.mp4", codec)
    before = edges(path)
    for number in range(3):
        path = passed(tmp_path / str(number), path, suffix, name)
        np.testing.assert_allclose(edges(path), before, atol=0.1)


def test_from_one_codec_to_the_next(tmp_path):
    """VP9 and ProRes cannot signal the chroma location."""
    path = edged(tmp_path / "film.mp4", "libx264", pixels="yuv422p", high=48)
    before = edges(path)[0]
    for number, (name, suffix) in enumerate([("prores", ".mov"), ("vp9", ".webm"), ("h264", ".mp4"), ("vp9", ".mp4")]):
        path = passed(tmp_path / str(number), path, suffix, name)
        assert abs(edges(path)[0] - before) < 0.1


@pytest.mark.parametrize(("name", "suffix"), [("h264", ".mp4"), ("hevc", ".mp4"), ("av1", ".mkv")])
def test_colours_that_lie_on_a_pixel_stay_there_and_that_is_told(tmp_path, name, suffix):
    """As in HDR films."""
    path = edged(tmp_path / "film.mp4", "libx265", "topleft", "yuv420p10le")
    before = edges(path)
    for number in range(2):
        path = passed(tmp_path / str(number), path, suffix, name)
        assert open_frames(path).format.top_left
        np.testing.assert_allclose(edges(path), before, atol=0.1)
    path = passed(tmp_path / "vp9", path, ".mkv", "vp9")
    assert not open_frames(path).format.top_left
    np.testing.assert_allclose(edges(path), (before[0], before[1] - 0.25), atol=0.1)


def test_centred_chroma_is_read_as_centred(tmp_path):
    """As in MPEG-1; the difference from left is a quarter of a sample."""
    path = edged(tmp_path / "film.mpg", "mpeg1video")
    before = edges(path)
    np.testing.assert_allclose(
        edges(passed(tmp_path / "1", path, ".mp4", "h264")), (before[0] + 0.25, before[1]), atol=0.1
    )


@pytest.mark.parametrize(("name", "suffix"), [("h264", ".mp4"), ("hevc", ".mp4"), ("vp9", ".webm"), ("prores", ".mov")])
def test_the_same_frames_give_the_same_bytes(tmp_path, name, suffix):
    texture = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
    plan = plan_encoding(form(colours=Colours(SMPTE170M, LIMITED)), suffix, name)
    found = set()
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        path = film(tmp_path / str(number), plan, suffix, [picture(each) for each in texture])
        found.add(path.read_bytes())
    assert len(found) == 1


def test_an_edge_by_the_formula(tmp_path):
    """The centre of sample k is that of pixel 2 k."""
    pixels = np.full((48, 64, 3), [90, 120, 90], np.uint8)
    pixels[:, 32:] = [90, 120, 150]
    plan = plan_encoding(form(deep=False, colours=Colours(BT2020, LIMITED, BT2020, PQ)), ".mp4", "h264", 1)
    path = film(tmp_path, plan, ".mp4", [picture(pixels)] * 2)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    plane = frame.planes[1]
    row = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1)[6, : plane.width].astype(float)
    assert (
        abs(_position(row) - (31.5 / 2 + 0.5)) < 0.08
    )  # between pixels 31 and 32; samples are counted from their edge
