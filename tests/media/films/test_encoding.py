"""Writing films: colours, depth, times, transparency, sizes, and errors."""

import dataclasses
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from film_making import film, form, greys, picture, shown, write  # noqa: E402
from filming import moving  # noqa: E402

from jaxgan.errors import UserError  # noqa: E402
from jaxgan.media.films.colours import BT709, BT2020, FULL, LIMITED, PQ, RGB, SMPTE170M, Colours  # noqa: E402
from jaxgan.media.films.encoding import CODECS, SegmentWriter, plan_encoding  # noqa: E402
from jaxgan.media.films.frames import CONTAINERS, open_frames  # noqa: E402
from jaxgan.media.films.joining import join  # noqa: E402
from jaxgan.media.films.mastering import Display, Mastering  # noqa: E402
from jaxgan.media.reading import PictureError  # noqa: E402
from jaxgan.parallel.compiler import keep_freed_memory  # noqa: E402

pytestmark = pytest.mark.quick  # FFmpeg differs between Python versions
PAIRS = [
    (name, suffix)
    for name, codec in CODECS.items()
    for suffix in CONTAINERS
    if CONTAINERS[suffix] in codec.containers and suffix != ".m4v"
]
PATCHES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128], [200, 30, 90], [20, 180, 160]],
    np.uint8,
)


def decoded(path, layout="rgb24"):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=layout) for frame in container.decode(video=0)]


def told(path):
    """The tagged matrix, range, primaries and transfer of a file."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return Colours(context.colorspace, context.color_range, context.color_primaries, context.color_trc)


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [BT709, SMPTE170M])
@pytest.mark.parametrize(
    ("name", "suffix"), [("h264", ".mp4"), ("h264", ".mov"), ("h264", ".mkv"), ("hevc", ".mp4"), ("vp9", ".webm")]
)
def test_flat_patches_and_what_their_numbers_mean_come_back(tmp_path, name, suffix, matrix, span):
    """Colours that are tagged but not converted, or the reverse, are off by 5 on average and by 29 at most."""
    colours = Colours(matrix, span, matrix, matrix)
    pixels = np.repeat(np.repeat(PATCHES.reshape(2, 4, 3), 16, axis=0), 16, axis=1)
    plan = plan_encoding(form(64, 32, subsampling=444, colours=colours), suffix, name)
    path = film(tmp_path, plan, suffix, [picture(pixels)] * 3, lengths=[2, 1])
    assert told(path) == colours
    for frame in decoded(path):
        assert np.abs(frame[8::16, 8::16].astype(int) - PATCHES.reshape(2, 4, 3)).max() <= 2


def test_an_untagged_film_is_tagged_with_the_defaults_of_players(tmp_path):
    for height, matrix in ((48, SMPTE170M), (720, BT709)):
        plan = plan_encoding(form(64, height, colours=Colours()), ".mp4")
        assert (plan.film.colours.matrix, plan.film.colours.range) == (matrix, LIMITED)


def test_prores_is_limited_as_it_cannot_tell_another_range(tmp_path):
    plan = plan_encoding(form(colours=Colours(BT709, FULL, 1, 1), subsampling=444), ".mov", "prores")
    path = film(tmp_path, plan, ".mov", [picture(np.full((48, 64, 3), [200, 30, 90], np.uint8))])
    assert told(path).range == LIMITED
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)  # also in each frame
    assert np.abs(decoded(path)[0].astype(int) - [200, 30, 90]).max() <= 2


@pytest.mark.parametrize(
    ("name", "suffix"),
    [(None, ".mp4"), (None, ".mov"), (None, ".mkv"), (None, ".webm"), ("h264", ".mp4"), ("ffv1", ".mkv")],
)
def test_ten_bits_stay_with_their_tags(tmp_path, name, suffix):
    ramp = np.broadcast_to((np.arange(1024) * 65535 // 1023).astype(np.uint16)[None, :, None], (64, 1024, 3)).copy()
    colours = Colours(BT2020, LIMITED, BT2020, PQ)
    plan = plan_encoding(form(1024, 64, deep=True, colours=colours), suffix, name)
    assert not plan.lost
    path = film(tmp_path, plan, suffix, [picture(ramp)] * 2)
    assert len(np.unique(decoded(path, "rgb48le")[0][..., 1])) > 600
    if name == "ffv1":
        colours = colours._replace(matrix=RGB, range=FULL)
    assert told(path) == colours


@pytest.mark.parametrize(("name", "suffix"), [("hevc", ".mp4"), ("hevc", ".mkv"), ("av1", ".mp4"), ("av1", ".webm")])
def test_mastering_metadata_of_hdr_films_is_kept(tmp_path, name, suffix):
    points = [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329)]
    display = Display(*[(Fraction(str(x)), Fraction(str(y))) for x, y in points], Fraction(5, 1000), Fraction(1000))
    given = form(deep=True, colours=Colours(BT2020, LIMITED, BT2020, PQ), mastering=Mastering(display, 1000, 400))
    plan = plan_encoding(given, suffix, name)
    assert not plan.lost
    frames = open_frames(film(tmp_path, plan, suffix, greys(3), lengths=[1, 2]))
    found = frames.format.mastering
    frames.close()
    assert (found.brightest_pixel, found.brightest_frame) == (1000, 400)
    flat = [float(each) for pair in (*found.display[:4], found.display[4:]) for each in pair]
    np.testing.assert_allclose(flat, [*np.ravel(points), 0.005, 1000], atol=4e-5)


def test_mastering_metadata_lost_with_other_codecs_is_reported():
    plan = plan_encoding(form(mastering=Mastering(None, 1000, 400)), ".mp4", "h264")
    assert plan.lost == ("its HDR mastering metadata is left out: h264 cannot store it (--codec=hevc or av1 does)",)


@pytest.mark.parametrize(
    ("name", "suffix", "deep"),
    [
        ("prores", ".mov", False),
        ("prores", ".mkv", True),
        ("vp9", ".webm", False),
        ("vp9", ".mkv", False),
        ("ffv1", ".mkv", False),
        ("ffv1", ".mkv", True),
    ],
)
def test_transparency_stays_where_it_can_be_held(tmp_path, name, suffix, deep):
    levels = np.repeat(np.array([0, 128, 255], np.uint8), 24)[None, :, None].repeat(48, axis=0)
    pixels = np.full((48, 72, 3), 90, np.uint8)
    if deep:
        levels, pixels = levels.astype(np.uint16) * 257, pixels.astype(np.uint16) * 257
    plan = plan_encoding(form(72, 48, alpha=True, deep=deep), suffix, name)
    assert not plan.lost
    path = film(tmp_path, plan, suffix, [picture(pixels, levels)] * 4, lengths=[1, 3], rate=plan.film.rate)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r") if name == "vp9" else stream
        assert name != "vp9" or stream.metadata["alpha_mode"] == "1"
        assert stream.average_rate == 25
        frames = [frame for each in container.demux(stream) if each.size for frame in decoder.decode(each)]
        frames += decoder.decode(None)
        assert len(frames) == 4
        for frame in frames:
            assert np.abs(frame.to_ndarray(format="rgba")[24, 12::24, 3].astype(int) - [0, 128, 255]).max() <= 2


@pytest.mark.parametrize("deep", [False, True])
def test_transparency_is_composited_onto_white_elsewhere_with_a_remark(tmp_path, deep):
    for name in ("h264", "vp9"):  # VP9 can store it, but not in MP4
        plan = plan_encoding(form(alpha=True, deep=deep), ".mp4", name)
        assert any("transparency is composited onto white" in each and "in .mkv does" in each for each in plan.lost)
        kind, top = (np.uint16, 65535) if deep else (np.uint8, 255)
        pixels = np.full((48, 64, 3), top // 5, kind)
        path = film(tmp_path, plan, ".mp4", [picture(pixels, np.full((48, 64, 1), top // 2, kind))])
        assert np.abs(decoded(path)[0].astype(int) - 153).max() <= 2


@pytest.mark.parametrize(("name", "suffix", "alpha"), [*((*pair, False) for pair in PAIRS), ("vp9", ".webm", True)])
def test_irregular_times_are_exact_over_the_borders_of_segments(tmp_path, name, suffix, alpha):
    """Gaps of one tick and of seconds, also between segments, where decoding times of B-frames would collide."""
    lengths, draw = [1, 7, 12, 2, 9], random.Random(0)
    borders, times = np.cumsum(lengths), [1000]
    for number in range(1, sum(lengths)):
        gap = draw.choice([1, 200_000] if number in borders else [1, 3, 50, 512, 5000, 100_000])
        times.append(times[-1] + gap)
    plan = plan_encoding(form(alpha=alpha), suffix, name)
    path = film(tmp_path, plan, suffix, greys(len(times)), times, lengths, last=7777, rate=plan.film.rate)
    wanted = [(time - times[0]) * plan.film.time_base for time in times]
    found, error = shown(path), Fraction(1, 2000) if suffix in (".mkv", ".webm") else 0
    assert len(found) == len(wanted)
    assert max(abs(one - other) for one, other in zip(found, wanted)) <= error
    with av.open(str(path)) as container:
        assert suffix in (".mp4", ".mov") or container.streams.video[0].average_rate == 25  # a hint, as in the source
        dts = [each.dts for each in container.demux(video=0) if each.dts is not None]
        assert dts == sorted(dts)
        assert abs(Fraction(container.duration, 10**6) - wanted[-1] - 7777 * plan.film.time_base) <= max(
            error * 2, 1e-6
        )
    levels = [int(frame[24, 32, 0]) for frame in decoded(path)]
    assert np.abs(np.array(levels) - [20 + 4 * number for number in range(len(times))]).max() <= 3


@pytest.mark.parametrize(("name", "alpha"), [*((name, False) for name in CODECS), ("vp9", True)])
def test_the_same_frames_give_the_same_bytes(tmp_path, name, alpha):
    """A film that is resumed after a kill equals one that was never interrupted."""
    draw = np.random.default_rng(0)
    pictures = [picture(draw.integers(0, 255, (144, 256, 3), dtype=np.uint8)) for _ in range(6)]
    suffix = ".webm" if alpha else next(suffix for each, suffix in PAIRS if each == name)
    plan = plan_encoding(form(256, 144, alpha=alpha), suffix, name)
    contents = []
    for lengths in ([6], [6], [1, 2, 3], [1, 2, 3]):
        segments = write(tmp_path, plan, pictures, [512 * number for number in range(6)], lengths)
        contents.append([segment.path.read_bytes() for segment in segments])
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]


def test_uninitialized_memory_does_not_change_the_bytes(tmp_path):
    keep_freed_memory()  # as every command does: freed memory is neither returned nor zeroed
    draw = np.random.default_rng(0)
    plan, contents = plan_encoding(form(112, 60), ".mp4", "h264"), set()
    pictures = [picture(frame) for frame in moving(7, 60, 112)]
    for _ in range(12):
        junk = [draw.integers(0, 256, int(size), dtype=np.uint8) for size in 10 ** draw.uniform(1, 6.5, 150)]
        del junk
        [segment] = write(tmp_path, plan, pictures, [640 * k + k % 4 * 64 for k in range(7)], [7])
        contents.add(segment.path.read_bytes())
    assert len(contents) == 1


def test_rates_and_two_hours_of_times_are_exact(tmp_path):
    base = Fraction(1001, 24000)
    plan = plan_encoding(form(rate=1 / base, time_base=base), ".mp4")
    numbers = [*range(4), *range(172_000, 172_004)]  # 2 hours later
    path = film(tmp_path, plan, ".mp4", greys(8), numbers, [4, 4], rate=1 / base)
    assert shown(path) == [number * base for number in numbers]
    for suffix in (".mp4", ".mkv"):
        with av.open(str(film(tmp_path, plan, suffix, greys(4), range(4), rate=1 / base))) as container:
            assert container.streams.video[0].average_rate == Fraction(24000, 1001)


def test_hevc_has_the_tag_that_all_players_of_mp4_read(tmp_path):
    for suffix in (".mp4", ".mov"):
        with av.open(str(film(tmp_path, plan_encoding(form(), suffix, "hevc"), suffix, greys(2)))) as container:
            assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize(("name", "suffix"), [("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mov"), ("av1", ".mp4")])
def test_the_shape_of_pixels_stays(tmp_path, name, suffix):
    plan = plan_encoding(form(sample_aspect=Fraction(32, 27)), suffix, name)
    assert not plan.lost
    with av.open(str(film(tmp_path, plan, suffix, greys(2)))) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(32, 27)


def test_the_shape_of_pixels_that_is_lost_is_told():
    assert "become square instead of 32/27" in plan_encoding(form(sample_aspect=Fraction(32, 27)), ".webm").lost[0]


@pytest.mark.parametrize(("name", "suffix"), [pair for pair in PAIRS if pair[1] != ".mov" or pair[0] == "prores"])
def test_odd_sides_are_kept_or_become_even_by_the_edge(tmp_path, name, suffix):
    plan = plan_encoding(form(95, 63), suffix, name)
    pixels = np.full((63, 95, 3), 60, np.uint8)
    pixels[:, -1], pixels[-1] = 180, 180
    frame = decoded(film(tmp_path, plan, suffix, [picture(pixels)]))[0]
    even = name in ("h264", "hevc")
    assert frame.shape == ((64, 96, 3) if even else (63, 95, 3))
    assert [each for each in plan.lost if "96 x 64" in each] == [*plan.lost] == [*plan.lost][: int(even)]
    assert abs(int(frame[-1, -1, 0]) - 180) <= 6


def test_444_keeps_odd_sides(tmp_path):
    plan = plan_encoding(form(95, 63, subsampling=444), ".mp4")
    assert decoded(film(tmp_path, plan, ".mp4", [picture(np.zeros((63, 95, 3), np.uint8))]))[0].shape == (63, 95, 3)


def test_quality_is_one_number_and_constant_by_default(tmp_path):
    draw = np.random.default_rng(0)
    pictures = [picture(draw.integers(0, 255, (96, 128, 3), dtype=np.uint8)) for _ in range(4)]
    for name in ("h264", "hevc", "av1", "vp9"):
        sizes = []
        for quality in (5, None, 40):
            plan = plan_encoding(form(128, 96), ".mp4", name, quality)
            sizes.append(film(tmp_path, plan, ".mp4", pictures).stat().st_size)
        assert sizes[0] > 1.2 * sizes[1] > 1.5 * sizes[2], name


@pytest.mark.parametrize(
    ("suffix", "codec", "quality", "message"),
    [
        (".avi", None, None, r"got the film suffix '\.avi', expected one of \.mp4, "),
        (".mp4", "divx", None, r"--codec: got 'divx', expected one of h264, hevc, av1, vp9, prores, ffv1$"),
        (".webm", "h264", None, r"--codec: got 'h264', expected one of av1, vp9 for \.webm$"),
        (".mov", "av1", None, r"--codec: got 'av1', expected one of h264, hevc, prores for \.mov$"),
        (".mp4", "h264", 52.0, r"--quality: got 52, expected 0 \(best\) to 51 for h264$"),
        (".mp4", None, float("nan"), "--quality: got nan"),
        (".mkv", "ffv1", 3.0, "--quality: got 3, expected no value, because ffv1 has only one quality"),
    ],
)
def test_what_cannot_be_written_is_one_clear_line(suffix, codec, quality, message):
    with pytest.raises(UserError, match=message):
        plan_encoding(form(), suffix, codec, quality)


def test_an_encoder_that_av_lacks_is_told(monkeypatch):
    monkeypatch.setitem(CODECS, "h264", dataclasses.replace(CODECS["h264"], encoder="libnone"))
    with pytest.raises(UserError, match="--codec: h264 needs libnone, which the installed av was built without"):
        plan_encoding(form(), ".mp4")


def test_frames_that_cannot_be_encoded_are_no_traceback(tmp_path):
    writer = SegmentWriter(tmp_path / "a.mp4", plan_encoding(form(8, 4), ".mp4", "hevc"))
    with pytest.raises(PictureError, match=r"libx265 cannot encode frames of 8 x 4 pixels \(yuv420p\): "):
        writer.add(greys(1, 8, 4)[0], 0, 1)
    writer.abandon()
    writer = SegmentWriter(tmp_path / "a.mp4", plan_encoding(form(), ".mp4"))
    with pytest.raises(PictureError, match="32 x 48 pixels, expected 64 x 48"):
        writer.add(greys(1, 32, 48)[0], 0, 1)
    writer.abandon()
    assert not list(tmp_path.iterdir())


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, "tests/media/films")
from film_making import form, picture, write
from jaxgan.media.films.encoding import SegmentWriter, plan_encoding
from jaxgan.media.films.joining import join
folder, name, suffix = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
draw = np.random.default_rng(0)
pictures = [picture(draw.integers(0, 255, (192, 256, 3), dtype=np.uint8)) for _ in range(24)]
plan = plan_encoding(form(256, 192), suffix, name)
segments = write(folder, plan, pictures, [512 * number for number in range(24)], [24])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
writer = SegmentWriter(folder / ("full" + plan.codec.segment), plan)
try:
    for number, each in enumerate(pictures):
        writer.add(each, 512 * number, 512)
    writer.close()
except OSError as error:
    print(type(error).__name__, error.strerror)
    writer.abandon()
try:
    join(segments, folder / "out", suffix, source=None, time_base=plan.film.time_base)
except OSError as error:
    print(type(error).__name__, error.strerror)
print(len(list(folder.iterdir())))
"""


@pytest.mark.parametrize(("name", "suffix"), [("h264", ".mp4"), ("ffv1", ".mkv")])
def test_a_full_disk_is_an_os_error_and_leaves_nothing(tmp_path, name, suffix):
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path, name, suffix], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout.split("\n")[:3] == ["OSError File too large", "OSError File too large", "1"]


SILENCE = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/media/films")
from film_making import film, form, greys
from jaxgan.media.films.encoding import CODECS, plan_encoding
from jaxgan.media.films.frames import CONTAINERS
for name, codec in CODECS.items():
    suffix = next(each for each in CONTAINERS if CONTAINERS[each] in codec.containers)
    film(Path(sys.argv[1]), plan_encoding(form(), suffix, name), suffix, greys(3))
"""


def test_encoders_print_nothing(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "SVT_LOG"}
    run = subprocess.run(
        [sys.executable, "-c", SILENCE, tmp_path],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=True,
        env=environment,
    )
    assert run.stdout == run.stderr == b""


def test_segments_that_are_gone_are_an_os_error(tmp_path):
    plan = plan_encoding(form(), ".mp4")
    segments = write(tmp_path, plan, greys(4), range(0, 2048, 512), [2, 2])
    segments[1].path.unlink()
    with pytest.raises(FileNotFoundError):
        join(segments, tmp_path / "out", ".mp4", source=None, time_base=plan.film.time_base)
    assert not (tmp_path / "out").exists()
