"""Writing animations as GIF, WebP and MP4."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.videos import save_animation, usual_suffix


def frames(channels, height=16, width=16):
    """Uniform grey frames whose level rises."""
    levels = np.array([0, 60, 120, 180, 240], np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (5, height, width, channels)).copy()


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_holds_every_frame_at_its_rate_in_a_loop(tmp_path, channels):
    save_animation(frames(channels), tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 5
        assert picture.info["duration"] == 100
        assert picture.info["loop"] == 0
        for index, level in enumerate([0, 60, 120, 180, 240]):
            picture.seek(index)
            assert np.abs(np.asarray(picture.convert("L")).astype(int) - level).max() <= 2


def test_gif_is_exact_where_colours_are_few(tmp_path):
    random = np.random.default_rng(0)
    palette = random.integers(0, 256, (12, 3)).astype(np.uint8)
    shown = palette[random.integers(0, 12, (4, 20, 30))]
    save_animation(shown, tmp_path / "a.gif", fps=24)
    with Image.open(tmp_path / "a.gif") as picture:
        for index, frame in enumerate(shown):
            picture.seek(index)
            np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), frame)


def test_webp_holds_every_frame_with_what_made_it(tmp_path):
    origin = Origin("created", "samples of a generator", model="m")
    assert not save_animation(frames(3), tmp_path / "a.webp", 10, origin)
    assert b"trainedAlgorithmicMedia" in (tmp_path / "a.webp").read_bytes()
    with Image.open(tmp_path / "a.webp") as picture:
        assert (picture.n_frames, picture.info["loop"]) == (5, 0)
        for index, level in enumerate([0, 60, 120, 180, 240]):
            picture.seek(index)
            assert np.abs(np.asarray(picture.convert("L")).astype(int) - level).max() <= 3
            assert picture.info["duration"] == 100


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 16, 16), (3, 15, 17), (4, 16, 18)])
def test_mp4_holds_every_frame_at_even_sizes(tmp_path, channels, height, width):
    av = pytest.importorskip("av")
    shown = frames(channels, height, width)
    if channels == 4:
        shown[..., 3] = 255
    save_animation(shown, tmp_path / "a.mp4", fps=24)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 24
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [p.shape for p in pictures] == [(height + height % 2, width + width % 2, 3)] * 5
    assert np.abs(np.stack(pictures)[:, :height, :width].astype(int) - shown[..., :1]).max() <= 6


@pytest.mark.parametrize(
    ("fps", "rate"), [(0.5, Fraction(1, 2)), (30000 / 1001, Fraction(30000, 1001)), (60, Fraction(60))]
)
def test_mp4_stores_colour_tags_and_frame_durations(tmp_path, fps, rate):
    """Players choose how to show untagged colours, and FFmpeg's default matrix differs from most players'."""
    av = pytest.importorskip("av")
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 30, 90]], np.uint8)
    shown = np.broadcast_to(colours[None, None].repeat(16, axis=2), (3, 32, 64, 3))
    save_animation(shown, tmp_path / "a.mp4", fps=fps)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (1, 1, 1, 1)
        frames = list(container.decode(stream))
        assert [frame.pts * stream.time_base for frame in frames] == [0, 1 / rate, 2 / rate]
        assert stream.duration * stream.time_base == 3 / rate
        pixels = frames[-1].to_ndarray(format="rgb24")
    assert np.abs(pixels[16, 8::16].astype(int) - colours).max() <= 4


def test_without_the_extra_mp4_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[video\]'"):
        save_animation(frames(3), tmp_path / "a.mp4", fps=10)
    assert not list(tmp_path.iterdir())
    assert usual_suffix() == ".gif"


def test_unknown_suffixes_and_no_frames_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'\.avi', expected one of \.gif, \.webp, \.mp4"):
        save_animation(frames(3), tmp_path / "a.avi", fps=10)
    with pytest.raises(ValueError, match="got frames"):
        save_animation(frames(3)[:0], tmp_path / "a.gif", fps=10)
