"""Display times of films are kept exactly, whatever the header states."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from filming import make, plain, same, scenery

from jaxgan.media.films.frames import Unfit, open_frames
from jaxgan.media.reading import PictureError

av = pytest.importorskip("av")
from jaxgan.media.films.decoding import Decoding  # noqa: E402

pytestmark = pytest.mark.quick  # PyAV differs between Python versions


def times_of(path, **span):
    film = open_frames(path, **span)
    return [frame.pts * film.format.time_base for frame in film.frames()]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_equal_count_and_times_with_b_frames(tmp_path, suffix):
    """Reordered frames: none is lost, and each keeps its time (Real-ESRGAN#388)."""
    tick = {"ts": Fraction(1, 90000), "mkv": Fraction(1, 1000)}.get(suffix, Fraction(1, 12800))
    path = make(tmp_path / f"film.{suffix}", scenery(30), tick=tick, options={"bf": "3"})
    expected = plain(path)
    found = list(open_frames(path).frames())
    assert [each.pts for each in found] == [pts for pts, _ in expected]
    assert len(found) == 30
    steps = np.diff([each.pts for each in found])
    assert (steps == round(Fraction(1, 25) / tick)).all()
    drawn = np.stack(scenery(30)).astype(int)
    for number, frame in enumerate(found):
        assert np.abs(drawn - frame.picture.pixels).mean(axis=(1, 2, 3)).argmin() == number


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001)])
def test_the_rate_stays_a_fraction(tmp_path, rate):
    path = make(tmp_path / "film.mp4", scenery(12), rate=rate, tick=1 / rate)
    film = open_frames(path)
    assert film.format.rate == rate
    assert type(film.format.rate) is type(film.format.time_base) is Fraction
    first, *_, last = times_of(path)
    assert last - first == 11 / rate


def test_two_hours_without_drift(tmp_path):
    """video2x#1269: frames at the beginning, in the middle and at the end of two hours."""
    rate = Fraction(24000, 1001)
    numbers = [0, 1, 2, 86_000, 86_001, 172_500, 172_501]
    path = make(tmp_path / "film.mp4", scenery(7), times=numbers, rate=rate, tick=1 / rate)
    assert times_of(path) == [number / rate for number in numbers]
    start = float(86_001 / rate)
    assert times_of(path, start=start) == [number / rate for number in numbers[4:]]


class Played:
    """A fake decoder: a frame for each time."""

    def __init__(self, *times):
        self.packets = iter([self._packet(time) for time in times])

    def _packet(self, time):
        frame = SimpleNamespace(pts=time, duration=None, is_corrupt=False, interlaced_frame=False)
        return SimpleNamespace(pts=time, is_discard=False, frame=frame)

    def decode(self, packet):
        return [] if packet is None else [packet.frame]


def test_long_films_of_frames_that_tell_no_time():
    """Rounding does not accumulate if a step is not a whole number of ticks (90000 / 23.976 = 3753.75)."""
    rate, tick = Fraction(24000, 1001), Fraction(1, 90000)
    decoder = Played(*[None] * 20_000)
    decoding = Decoding(decoder.packets, decoder, 1 / (rate * tick), ordered=False, strict=False, tick=tick)
    assert [shown.pts for shown in decoding] == [round(number / (rate * tick)) for number in range(20_000)]


def test_times_that_do_not_increase():
    """Each frame comes at least a tick after the previous one; after a jump back the film continues."""
    decoder = Played(0, 40, 40, 30, 80, 120, 9000, -5000, -4960, -4920)
    decoding = Decoding(decoder.packets, decoder, Fraction(40), ordered=False, strict=False, tick=Fraction(1, 1000))
    found = [shown.pts for shown in decoding]
    assert found == [0, 40, 41, 42, 80, 120, 9000, 9040, 9080, 9120]
    assert (decoding.moved, decoding.jumped) == (2, 1)


def test_late_pictures_stay_late(tmp_path):
    """Sound from 0, pictures from 0.3 s (video2x#1360)."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=48000, layout="mono")
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 48000, 0
        out.mux(sound.encode(tone))
        for number, samples in enumerate(scenery(20)):
            frame = av.VideoFrame.from_ndarray(samples, format="rgb24")
            frame.pts, frame.time_base = 30 + 4 * number, Fraction(1, 100)
            stream.codec_context.time_base = Fraction(1, 100)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        out.mux(sound.encode())
    film = open_frames(path)
    assert times_of(path) == [Fraction(30 + 4 * number, 100) for number in range(20)]
    assert film.seconds == pytest.approx(1.1, abs=0.01)
    assert len(times_of(path, start=0.5)) == 15


def test_frames_outside_of_an_edit_list_do_not_come(tmp_path):
    """A clip that was trimmed on a phone: the file still contains all frames."""
    path = make(tmp_path / "whole.mp4", scenery(60))
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    version, count, length, begin, speed = struct.unpack_from(">IIIiI", data, at)
    struct.pack_into(">IIIiI", data, at, version, count, length // 2, begin + 10 * 512, speed)  # frames 10 to 39
    (tmp_path / "trimmed.mp4").write_bytes(data)
    whole = list(open_frames(path).frames())
    film = open_frames(tmp_path / "trimmed.mp4")
    found = list(film.frames())
    assert [each.pts for each in found] == [512 * number for number in range(30)]
    assert all(np.array_equal(a.picture.pixels, b.picture.pixels) for a, b in zip(found, whole[10:40], strict=True))
    assert film.count() == 30
    assert film.seconds == 1.2
    assert (film.damaged, film.remarks) == (False, [])


def test_avi_has_no_times_of_frames(tmp_path):
    """Its packets have decoding times. With reordered frames those are not the display times."""
    path = make(tmp_path / "film.avi", scenery(20), tick=Fraction(1, 25), options={"bf": "3"})
    assert [pts for pts, _ in plain(path)] != sorted(pts for pts, _ in plain(path))  # why this matters
    film = open_frames(path)
    found = list(film.frames())
    assert set(np.diff([each.pts for each in found])) == {round(Fraction(1, 25) / film.format.time_base)}
    assert len(found) == 20
    assert film.format.rate == 25
    assert film.remarks == []


def test_an_impossible_frame_rate_is_ignored(tmp_path):
    """This AVI's header states as many frames as there are ticks."""
    path = make(tmp_path / "film.avi", scenery(60), "mpeg4", tick=Fraction(1, 600))
    with av.open(str(path)) as film:
        assert film.streams.video[0].average_rate == 600
        assert film.streams.video[0].frames > 1000
    film = open_frames(path)
    assert film.format.rate == 25
    assert len(list(film.frames())) == 60
    assert not film.damaged


def test_raw_streams_have_no_times(tmp_path):
    path = make(tmp_path / "film.h264", scenery(10))
    film = open_frames(path)
    found = [frame.pts * film.format.time_base for frame in film.frames()]
    assert found == [Fraction(number, 25) for number in range(10)]
    assert [frame.pts for frame in film.frames()] == [frame.pts for frame in film.frames()]
    assert len(times_of(path, start=0.2)) == 5


def test_mkv_tells_no_number_of_frames(tmp_path):
    path = make(tmp_path / "film.mkv", scenery(17), tick=Fraction(1, 1000))
    with av.open(str(path)) as film:
        assert film.streams.video[0].frames == 0
    film = open_frames(path)
    assert (len(list(film.frames())), film.count(), film.damaged) == (17, 17, False)
    assert film.seconds == pytest.approx(0.68, abs=0.001)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("bf", ["0", "3"])
def test_start_and_end_are_exact(tmp_path, suffix, bf):
    tick = {"ts": Fraction(1, 90000), "mkv": Fraction(1, 1000), "avi": Fraction(1, 25)}.get(suffix, Fraction(1, 12800))
    path = make(tmp_path / f"film.{suffix}", scenery(60), tick=tick, options={"bf": bf, "x264-params": "open-gop=1"})
    whole = list(open_frames(path).frames())
    zero = open_frames(path).origin / float(tick) if suffix == "ts" else 0
    step = whole[1].pts - whole[0].pts
    late = round((whole[0].pts - zero) / step)  # number of frames by which the first one is late
    for first, last in ((0, 7), (1, 60), (11, 14), (12, 13), (13, 40), (24, 60), (47, 48), (59, 60)):
        first, last = first + late, last + late
        film = open_frames(path, start=first / 25, end=last / 25)
        assert same(list(film.frames()), whole[first - late : last - late]), (first, last)
        assert film.remarks == []
        assert film.count() == last - first


def test_start_between_frames_takes_the_next(tmp_path):
    path = make(tmp_path / "film.mp4", scenery(20))
    assert times_of(path, start=0.41, end=0.55) == [Fraction(11, 25), Fraction(12, 25), Fraction(13, 25)]


def test_a_start_beyond_the_end(tmp_path):
    path = make(tmp_path / "film.mp4", scenery(5))
    with pytest.raises(Unfit, match=r"--start: got 3, expected less than the film.s 0\.20 seconds"):
        open_frames(path, start=3)
    with pytest.raises(Unfit, match="--end"):
        open_frames(path, start=0.1, end=0.1)
    with pytest.raises(Unfit, match="--start"):
        open_frames(path, start=-1)
    raw = make(tmp_path / "film.h264", scenery(5))  # which does not state its length
    with pytest.raises(Unfit, match="no frame at 3 seconds"):
        list(open_frames(raw, start=3).frames())
    assert issubclass(Unfit, PictureError)


@pytest.mark.parametrize("skip", [1, 11, 12, 29, 30, 40])
def test_skipping(tmp_path, skip):
    path = make(tmp_path / "film.mp4", scenery(30), options={"bf": "3"})
    film = open_frames(path)
    assert same(list(film.frames(skip)), list(film.frames())[skip:])
    part = open_frames(path, start=0.2, end=1)
    assert same(list(part.frames(skip)), list(part.frames())[skip:])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_start_while_a_frame_is_shown_and_none_comes(tmp_path, suffix):
    """The film ends after 1.2 seconds, its last frame comes at 1.16."""
    path = make(tmp_path / f"film.{suffix}", scenery(30))
    whole = list(open_frames(path).frames())
    for span, number in (({"start": 1.18}, 29), ({"start": 0.41, "end": 0.43}, 10)):
        film = open_frames(path, **span)
        assert same(list(film.frames()), [whole[number]])
        assert (film.count(), film.remarks, film.damaged) == (1, [], False)
    with pytest.raises(Unfit):
        list(open_frames(path, start=1.3).frames())
