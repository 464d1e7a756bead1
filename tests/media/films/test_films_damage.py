"""Damaged films: intact frames are shown, lost ones are counted and reported, and times do not change."""

import random
import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from filming import make, same, scenery

from jaxgan.media.films.frames import open_frames
from jaxgan.media.reading import PictureError

av = pytest.importorskip("av")
from jaxgan.media.films.decoding import Decoding  # noqa: E402

pytestmark = pytest.mark.quick  # PyAV differs between Python versions

FRONT = {"movflags": "faststart"}


def content_of(path):
    """Offset and size of each packet, in file order."""
    with av.open(str(path)) as film:
        return [(packet.pos, packet.size, packet.pts) for packet in film.demux(video=0) if packet.size]


@pytest.fixture
def film(tmp_path):
    """H.264 with reordered frames and its index at the front."""
    return make(tmp_path / "film.mp4", scenery(60), container_options=FRONT)


@pytest.fixture
def stills(tmp_path):
    """Independent frames: damage in one does not show in others."""
    return make(tmp_path / "film.mov", scenery(12), "png", "rgb24")


def read(path):
    film = open_frames(path)
    return list(film.frames()), film


def spoil(path, *numbers):
    """Replaces whole packets by zeros."""
    data = bytearray(path.read_bytes())
    packets = content_of(path)
    for number in numbers:
        at, size, _ = packets[number]
        data[at : at + size] = bytes(size)
    path.write_bytes(data)


def test_a_whole_film_is_not_damaged(film, stills):
    for path in (film, stills):
        _, found = read(path)
        assert (found.damaged, found.remarks) == (False, [])


def test_cut_off_with_the_index_at_the_end(tmp_path):
    path = make(tmp_path / "film.mp4", scenery(10))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PictureError, match="not a film of a known format, or it is cut off"):
        open_frames(path)


def test_cut_off_with_the_index_at_the_front(film):
    """FFmpeg ends without an error. Decoding the rest of the last packet would lose the frames before it."""
    whole, data = read(film)[0], film.read_bytes()
    packets = content_of(film)
    for number in (30, 31, 32, 33):
        at, size, _ = packets[number]
        shown = sum(pts < min(later for *_, later in packets[number:]) for *_, pts in packets[:number])
        film.write_bytes(film.read_bytes()[: at + size // 2])
        frames, found = read(film)
        assert same(frames[:shown], whole[:shown])
        assert len(frames) == number
        assert found.damaged
        assert [("cut off" in line, f"{60 - number} frames are missing" in line) for line in found.remarks] == [
            (True, True)
        ]
        film.write_bytes(data)
    film.write_bytes(data[: packets[30][0]])
    begun = open_frames(film, end=0.5)
    assert same(list(begun.frames()), whole[:13])
    assert not begun.damaged  # the rest has not been read


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [("mkv", "libx264", "yuv420p"), ("avi", "mjpeg", "yuvj420p"), ("flv", "libx264", "yuv420p")],
)
def test_cut_off_in_other_containers(tmp_path, suffix, codec, pixels):
    path = make(tmp_path / f"film.{suffix}", scenery(30), codec, pixels)
    assert not read(path)[1].damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, found = read(path)
    assert 5 < len(frames) < 25
    assert found.damaged
    assert any("cut off" in line for line in found.remarks)


def test_missing_frames_at_the_end_of_matroska_are_reported(tmp_path):
    """The header also states the length of the file."""
    path = make(tmp_path / "film.mkv", scenery(30), "ffv1", "bgr0")
    at, *_ = content_of(path)[-2]
    path.write_bytes(path.read_bytes()[:at])
    frames, found = read(path)
    assert len(frames) == 28
    assert found.damaged
    assert found.remarks == ["it is cut off: the file is shorter than its header states"]


@pytest.mark.parametrize("seconds", [0.6, 30.0])
def test_a_matroska_that_begins_late_is_whole(tmp_path, seconds):
    """FFmpeg's writer states the end time, not the duration."""
    given, path = make(tmp_path / "film.mp4", scenery(30), sound=1.2), tmp_path / "film.mkv"
    with av.open(str(given)) as film, av.open(str(path), "w") as out:
        copies = {each.index: out.add_stream_from_template(each, opaque=True) for each in film.streams}
        for packet in film.demux():
            if packet.dts is not None:
                late = int(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    frames, found = read(path)
    assert (len(frames), found.damaged, found.remarks) == (30, False, [])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read(path)[1].damaged


@pytest.mark.parametrize("lost", [(4,), (4, 5, 6), (0,), (0, 1), (11,), (10, 11), (0, 5, 11)])
def test_lost_frames_are_repeated(stills, lost):
    """Each is replaced by the last good frame, at its own time; at the beginning by the first good one."""
    whole, _ = read(stills)
    spoil(stills, *lost)
    frames, found = read(stills)
    assert [each.pts for each in frames] == [each.pts for each in whole]
    good = [number for number in range(12) if number not in lost]
    for number, frame in enumerate(frames):
        stands = max([each for each in good if each <= number], default=good[0])
        np.testing.assert_array_equal(frame.picture.pixels, whole[stands].picture.pixels)
    assert found.damaged
    each = "" if len(lost) == 1 else " of each"
    line = f"damaged: {len(lost)} of 12 frames cannot be decoded, the previous one is shown instead{each}"
    assert found.remarks == [line]
    assert same(list(found.frames(7)), frames[7:])
    assert len(found.remarks) == 1


def test_no_frame_can_be_decoded(stills):
    spoil(stills, *range(12))
    with pytest.raises(PictureError, match="not one of its frames can be decoded"):
        open_frames(stills)


@pytest.mark.parametrize("lost", [2, 4, 9, 10])
def test_damage_outside_of_start_and_end_is_not_reported(stills, lost):
    """Some frames before the start and after the end are decoded, too."""
    spoil(stills, lost)
    part = open_frames(stills, start=6 / 25, end=9 / 25)
    assert len(list(part.frames())) == 3
    assert (part.damaged, part.remarks) == (False, [])


def test_a_frame_that_is_decoded_in_part_is_told(film):
    """The decoder conceals the errors, and flags the frame."""
    data = bytearray(film.read_bytes())
    at, size, _ = content_of(film)[0]
    data[at + size // 2 : at + size - 50] = bytes(size - 50 - size // 2)
    film.write_bytes(data)
    frames, found = read(film)
    assert len(frames) == 60
    assert found.damaged
    assert "can only be decoded in part" in found.remarks[0]


class Hiding:
    """A fake decoder in which every third packet is hidden, as in some VP8; `broken` packets fail."""

    def __init__(self, count, broken=()):
        self._broken = broken
        self.packets = iter([SimpleNamespace(pts=10 * number, is_discard=False) for number in range(count)])

    def decode(self, packet):
        if packet is None or packet.pts % 30 == 10:
            return []
        if packet.pts in self._broken:
            raise av.error.InvalidDataError(1, "broken")
        return [SimpleNamespace(pts=packet.pts, duration=10, is_corrupt=False, interlaced_frame=False)]


@pytest.mark.parametrize(("broken", "repeated"), [((), []), ((60,), [60]), ((110,), [110])])
def test_hidden_frames_are_not_taken_for_lost_ones(broken, repeated):
    decoder = Hiding(12, broken)
    tick = Fraction(1, 1000)
    decoding = Decoding(decoder.packets, decoder, Fraction(10), ordered=False, strict=False, tick=tick)
    found = list(decoding)
    assert [shown.pts for shown in found if shown.repeated] == repeated
    assert [shown.pts for shown in found] == [0, 20, 30, 50, 60, 80, 90, 110]


def test_a_decoder_that_drops_frames_silently():
    """As in HEVC: if every packet is shown, missing frames are lost."""
    decoder = Hiding(7)
    tick = Fraction(1, 1000)
    decoding = Decoding(decoder.packets, decoder, Fraction(10), ordered=False, strict=True, tick=tick)
    assert [(shown.pts, shown.repeated) for shown in decoding] == [(10 * k, k in (1, 4)) for k in range(7)]


def test_lost_frames_of_a_film_without_times():
    decoder = Hiding(5)
    decoder.packets = iter([SimpleNamespace(pts=None, is_discard=False, number=number) for number in range(6)])

    def decode(packet):
        if packet is not None and packet.number == 2:
            raise av.error.InvalidDataError(1, "broken")
        return (
            [] if packet is None else [SimpleNamespace(pts=None, duration=0, is_corrupt=False, interlaced_frame=False)]
        )

    decoder.decode = decode
    decoding = Decoding(decoder.packets, decoder, Fraction(4), ordered=False, strict=False, tick=Fraction(1, 100))
    assert [(shown.pts, shown.repeated) for shown in decoding] == [(4 * k, k == 2) for k in range(6)]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("film.mp4", "libx264", "yuv420p"),
        ("film.mp4", "libsvtav1", "yuv420p"),
        ("film.mkv", "libx264", "yuv420p"),
        ("film.avi", "mpeg4", "yuv420p"),
    ],
)
def test_twenty_kinds_of_damage(tmp_path, name, codec, pixels):
    """Nothing crashes or hangs, times increase, skipping changes nothing, and decoding errors are reported."""
    path = make(tmp_path / name, scenery(24), codec, pixels, container_options=FRONT if name.endswith("mp4") else {})
    whole, data = list(open_frames(path).frames()), path.read_bytes()
    begin = min(at for at, *_ in content_of(path))
    for seed in range(20):
        chance, broken = random.Random(seed), bytearray(data)
        if seed % 4 == 0:
            broken = broken[: chance.randrange(begin + 100, len(broken))]
        elif seed % 4 == 1:
            at = chance.randrange(begin, len(broken) - 60)
            broken[at : at + 60] = bytes(60)
        else:
            for _ in range(1 + seed % 7):
                broken[chance.randrange(begin, len(broken))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        errors = complaints(path)
        try:
            frames, found = read(path)
        except PictureError:
            continue
        times = [each.pts for each in frames]
        assert times == sorted(set(times))
        assert same(list(found.frames(max(0, len(frames) - 2))), frames[-2:])
        if name.endswith("mp4") and seed % 4:
            assert times == [each.pts for each in whole], seed
        assert found.damaged or not errors, seed


def complaints(path):
    """The errors and corrupt frames that PyAV alone reports."""
    found = 0
    with av.open(str(path)) as film:
        for packet in film.demux(video=0):
            try:
                found += sum(frame.is_corrupt for frame in packet.decode())
            except av.error.FFmpegError:
                found += 1
    return found


def peak(path):
    """The memory in kilobytes that a process needs to read a film."""
    code = (
        "import resource, sys; from jaxgan.media.films.frames import open_frames\n"
        "count = sum(1 for _ in open_frames(sys.argv[1]).frames())\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return tuple(int(each) for each in done.stdout.split())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(tmp_path):
    """mmagic#927."""
    counted, needed = zip(
        *(
            peak(make(tmp_path / f"{count}.mp4", cycled(count), options={"preset": "ultrafast"}))
            for count in (300, 3000)
        ),
        strict=True,
    )
    assert counted == (300, 3000)
    assert needed[1] <= needed[0] * 1.1


def cycled(count):
    frames = scenery(10)
    return (frames[number % 10] for number in range(count))


class Failing:
    """A fake frame whose pixels cannot be read."""

    def __init__(self, error):
        self.error, self.format = error, SimpleNamespace(is_rgb=True)

    def reformat(self, **_):
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (av.error.MemoryError(12, "Cannot allocate memory"), "there is not enough memory for it"),
        (MemoryError(), "there is not enough memory for it"),
        (av.error.ExternalError(1, "Generic error in an external library"), "Generic error in an external library"),
        (ValueError("odd"), "odd"),
    ],
)
def test_errors_of_reading_are_reported_as_such(film, monkeypatch, error, reason):
    """A caller that writes at the same time must not take it for an error of writing."""
    found = open_frames(film)
    shown = [SimpleNamespace(frame=Failing(error), pts=0, duration=512)]
    monkeypatch.setattr(found, "_selected", lambda: iter(shown))
    with pytest.raises(PictureError, match=f"it cannot be read: {reason}"):
        list(found.frames())


def test_a_film_that_vanishes_is_one_that_cannot_be_read(film):
    found = open_frames(film)
    film.unlink()
    with pytest.raises(PictureError, match="No such file"):
        list(found.frames())
    with pytest.raises(PictureError, match="it cannot be read: No such file"):
        found.count()
