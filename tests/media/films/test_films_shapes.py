"""Rotated, mirrored, anamorphic, interlaced and transparent films; and which stream counts as the film."""

import contextlib
from fractions import Fraction

import numpy as np
import pytest
from filming import HEIGHT, WIDTH, make, same, scenery

from jaxgan.media.films.frames import is_film, open_frames
from jaxgan.media.reading import PictureError
from jaxgan.media.turns import upright

av = pytest.importorskip("av")
from jaxgan.media.films.siting import SWSCALE_FLAGS  # noqa: E402

pytestmark = pytest.mark.quick  # PyAV differs between Python versions

# the EXIF orientation equal to a display rotation (counterclockwise, as PyAV writes it), mirrored before it or not
TURNS = {(0, False): 1, (90, False): 8, (-90, False): 6, (180, False): 3, (0, True): 2, (180, True): 4}


def quarters(height=HEIGHT, width=WIDTH):
    """Red, green, blue and white quarters, so that every turn gives a different picture."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = (250, 0, 0), (0, 250, 0)
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = (0, 0, 250), (250, 250, 250)
    return picture


@pytest.mark.parametrize(("degrees", "mirrored"), TURNS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_are_upright(tmp_path, degrees, mirrored, suffix):
    """A phone's portrait clip (FFMpegCore#509). `frame.rotation` gives 180 degrees for a mirrored one."""

    def turn(stream):
        stream.set_display_rotation(degrees, hflip=mirrored)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = make(tmp_path / f"film.{suffix}", [quarters()] * 3, pixels="yuv444p", setup=turn)
    film = open_frames(path)
    expected = upright(quarters(), TURNS[degrees, mirrored])
    form = film.format
    assert (form.height, form.width) == expected.shape[:2]
    assert form.sample_aspect == (Fraction(3, 4) if degrees in (90, -90) else Fraction(4, 3))
    frames = list(film.frames())
    assert len(frames) == 3
    for frame in frames:
        inside = np.abs(frame.picture.pixels.astype(int) - expected)[4:-4, 4:-4]
        assert np.median(inside) <= 3
    assert film.remarks == []


def test_a_turn_that_is_not_by_right_angles_is_told(tmp_path):
    path = make(tmp_path / "film.mp4", [quarters()], setup=lambda stream: stream.set_display_rotation(30))
    film = open_frames(path)
    assert (film.format.width, film.format.height) == (WIDTH, HEIGHT)
    assert len(film.remarks) == 1


def test_square_pixels_where_nothing_is_told(tmp_path):
    assert open_frames(make(tmp_path / "film.mkv", scenery(1), "ffv1", "bgr0")).format.sample_aspect == 1


def comb(count):
    """Interlaced frames of a moving bar: odd lines show it half a frame later."""
    frames = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    for number in range(count):
        frames[number, 0::2, 4 * number : 4 * number + 16] = 255
        frames[number, 1::2, 4 * number + 2 : 4 * number + 18] = 255
    return list(frames)


def combing(picture):
    """The mean difference of neighbouring lines."""
    return np.abs(np.diff(picture.pixels.astype(int), axis=0)).mean()


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("film.mp4", "libx264", "yuv420p", {"x264-params": "tff=1"}),
        ("film.mpg", "mpeg2video", "yuv422p", {"flags": "+ilme+ildct"}),
        ("film.mov", "prores_ks", "yuv422p10le", {"flags": "+ilme+ildct"}),
    ],
)
def test_interlaced_films_are_made_whole(tmp_path, name, codec, pixels, options):
    """Combing would be enlarged (video2x#898)."""
    path = make(tmp_path / name, comb(10), codec, pixels, options=options, tick=Fraction(1, 25))
    with av.open(str(path)) as stored:
        times = [frame.pts for frame in stored.decode(video=0)]
    film = open_frames(path)
    frames = list(film.frames())
    assert [frame.pts for frame in frames] == times
    assert len(film.remarks) == 1
    assert "interlaced" in film.remarks[0]
    assert not film.damaged
    span = frames[0].picture.span[1] / 255
    with av.open(str(path)) as stored:
        raw = [np.diff(frame.to_ndarray(format="rgb24").astype(int), axis=0) for frame in stored.decode(video=0)]
    assert np.mean([combing(frame.picture) for frame in frames]) / span < np.abs(raw).mean() / 2
    for skip in (1, 4, 9):
        assert same(list(film.frames(skip)), frames[skip:])
    assert len(film.remarks) == 1
    one = open_frames(path, start=5 / 25, end=8 / 25)
    assert same(list(one.frames()), frames[5:8])


def test_single_interlaced_frame(tmp_path):
    path = make(tmp_path / "film.mp4", comb(1), options={"x264-params": "tff=1"})
    assert len(list(open_frames(path).frames())) == 1


def filtered(path):
    """Times and luma of a film's frames after FFmpeg's filter over all of them."""
    graph, found = av.filter.Graph(), []
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        buffer = graph.add_buffer(width=WIDTH, height=HEIGHT, format="yuv420p", time_base=Fraction(stream.time_base))
        whole = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        buffer.link_to(whole)
        whole.link_to(graph.add("buffersink"))
        graph.configure()
        for number, frame in enumerate([*film.decode(stream), None]):
            if frame is not None:
                frame.pts, frame.time_base = number, Fraction(stream.time_base)
            graph.push(frame)
            with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
                while True:
                    found.append(graph.pull())
    return found


def test_a_film_that_is_interlaced_in_parts(tmp_path):
    """The first interlaced frame is deinterlaced with the help of the previous frame."""
    parts = []
    for number, options in enumerate([{}, {"x264-params": "tff=1"}, {}]):
        part = make(tmp_path / f"{number}.h264", comb(12)[4 * number : 4 * number + 4], options={"qp": "0", **options})
        parts.append(part.read_bytes())
    (tmp_path / "film.h264").write_bytes(b"".join(parts))
    film = open_frames(tmp_path / "film.h264")
    frames = list(film.frames())
    expected = filtered(tmp_path / "film.h264")
    assert len(frames) == len(expected) == 12
    assert len(film.remarks) == 1
    for frame, each in zip(frames, expected, strict=True):
        levels = each.reformat(format="gbrp", interpolation=SWSCALE_FLAGS, src_colorspace=5).to_ndarray()
        np.testing.assert_array_equal(frame.picture.pixels, levels)


def test_progressive_films_stay_as_they_are(tmp_path):
    film = open_frames(make(tmp_path / "film.mkv", comb(3), "ffv1", "bgr0"))
    for frame, drawn in zip(film.frames(), comb(3), strict=True):
        np.testing.assert_array_equal(frame.picture.pixels, drawn)
    assert film.remarks == []


def glass(count):
    """Frames with alpha from 0 to 255."""
    frames = [np.dstack([each, np.full((HEIGHT, WIDTH), 0, np.uint8)]) for each in scenery(count)]
    for frame in frames:
        frame[..., 3] = np.linspace(0, 255, WIDTH)[None]
        frame[..., :3] = (200, 40, 90)
    return frames


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "deep"),
    [
        ("film.mov", "prores_ks", "yuva444p10le", True),
        ("film.mkv", "ffv1", "yuva444p", False),
        ("film.mov", "qtrle", "argb", False),
        ("film.mov", "png", "rgba", False),
        ("film.webm", "libvpx-vp9", "yuva420p", False),
        ("film.mkv", "libvpx", "yuva420p", False),
    ],
)
def test_alpha(tmp_path, name, codec, pixels, deep):
    """FFmpeg's own decoders of VP8 and VP9 ignore the alpha, which gave green frames elsewhere (video2x#1355)."""

    def tell(stream):
        if "vpx" in codec:
            stream.metadata["alpha_mode"] = "1"

    options = {"auto-alt-ref": "0", "b": "2M"} if "vpx" in codec else {}
    drawn = [av.VideoFrame.from_ndarray(each, format="rgba").reformat(format=pixels) for each in glass(4)]
    film = open_frames(make(tmp_path / name, drawn, codec, pixels, setup=tell, options=options))
    frames = list(film.frames())
    assert (film.format.alpha, film.format.deep, len(frames)) == (True, deep, 4)
    for frame in frames:
        levels = frame.picture.alpha[..., 0] * (255 / frame.picture.span[1])
        np.testing.assert_allclose(levels, glass(1)[0][..., 3], atol=6 if "vpx" in codec else 1.5)
        solid = frame.picture.pixels[:, -4:] * (255 / frame.picture.span[1])
        np.testing.assert_allclose(solid, np.broadcast_to((200, 40, 90), solid.shape), atol=6)
    assert film.remarks == []


def test_vp9_that_is_turned_and_transparent(tmp_path):
    def tell(stream):
        stream.metadata["alpha_mode"] = "1"
        stream.set_display_rotation(90)

    drawn = [av.VideoFrame.from_ndarray(each, format="rgba").reformat(format="yuva420p") for each in glass(2)]
    film = open_frames(
        make(tmp_path / "film.mkv", drawn, "libvpx-vp9", "yuva420p", setup=tell, options={"auto-alt-ref": "0"})
    )
    alpha = next(film.frames()).picture.alpha[..., 0]
    assert alpha.shape == (WIDTH, HEIGHT)
    assert alpha[0].mean() > 240 > 20 > alpha[-1].mean()


def test_odd_sizes(tmp_path):
    drawn = scenery(2, height=33, width=47)
    for frame, expected in zip(
        open_frames(make(tmp_path / "film.mkv", drawn, "ffv1", "bgr0")).frames(), drawn, strict=True
    ):
        np.testing.assert_array_equal(frame.picture.pixels, expected)


def test_a_size_that_changes_is_one_clear_error(tmp_path):
    parts = [make(tmp_path / f"{width}.h264", scenery(5, width=width)).read_bytes() for width in (64, 96)]
    (tmp_path / "film.h264").write_bytes(b"".join(parts))
    frames = open_frames(tmp_path / "film.h264").frames()
    with pytest.raises(PictureError, match=r"size changes from 64 x 48 to 96 x 48 at 0\.20 seconds"):
        list(frames)


def sound(out, seconds=0.5):
    """Adds a sound stream with a tone."""
    stream = out.add_stream("aac", rate=48000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, int(48000 * seconds)), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 48000, 0
    out.mux(stream.encode(frame))
    out.mux(stream.encode())


def test_sound_alone_is_no_film(tmp_path):
    with av.open(str(tmp_path / "sound.m4a"), "w") as out:
        sound(out)
    (tmp_path / "sound.mp4").write_bytes((tmp_path / "sound.m4a").read_bytes())
    with pytest.raises(PictureError, match="it has no video stream"):
        open_frames(tmp_path / "sound.mp4")


def pictures_of(out, width, cover=False):
    """Adds a video stream; returns a function that writes its frames once all streams are added."""
    stream = out.add_stream("mjpeg" if cover else "libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = width, HEIGHT, "yuvj420p" if cover else "yuv420p"
    if cover:
        stream.disposition = 0x400

    def write():
        for samples in scenery(1 if cover else 4, width=width):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(samples, format="rgb24")))
        out.mux(stream.encode())

    return write


def test_covers_are_no_films(tmp_path):
    with av.open(str(tmp_path / "film.mp4"), "w") as out:
        for write in [pictures_of(out, 32, cover=True), pictures_of(out, 64)]:
            write()
    film = open_frames(tmp_path / "film.mp4")
    assert (film.format.width, len(list(film.frames())), film.remarks) == (64, 4, [])
    with av.open(str(tmp_path / "song.mp4"), "w") as out:
        pictures_of(out, 32, cover=True)()
    with pytest.raises(PictureError, match="it has no video stream"):
        open_frames(tmp_path / "song.mp4")


def test_the_first_of_several_video_streams_is_read(tmp_path):
    with av.open(str(tmp_path / "film.mkv"), "w") as out:
        for write in [pictures_of(out, width) for width in (64, 96)]:
            write()
    film = open_frames(tmp_path / "film.mkv")
    assert (film.format.width, len(list(film.frames()))) == (64, 4)
    assert film.remarks == ["the first of its 2 video streams"]


def test_what_is_no_film(tmp_path):
    """One line each (Real-ESRGAN#216)."""
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mkv").write_bytes(b"")
    for name in ("text.mp4", "empty.mkv", "missing.mp4"):
        with pytest.raises(PictureError) as error:
            open_frames(tmp_path / name)
        assert str(error.value)
        assert "\n" not in str(error.value)
    assert is_film("a/FILM.MP4")
    assert not is_film("picture.png")
