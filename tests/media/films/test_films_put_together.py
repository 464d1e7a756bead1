"""Concatenated transport streams: each part has its own clock."""

from itertools import pairwise

import numpy as np
import pytest

av = pytest.importorskip("av")

from film_making import form, packets, shown, write  # noqa: E402
from filming import make, same  # noqa: E402

from jaxgan.media.films.encoding import plan_encoding  # noqa: E402
from jaxgan.media.films.frames import open_frames  # noqa: E402
from jaxgan.media.films.joining import join  # noqa: E402

pytestmark = pytest.mark.quick  # FFmpeg differs between Python versions
TOLD = "its clock restarts, and the parts are read one after the other"


def numbered(count, first):
    """Frames whose brightness rises by one level."""
    return np.stack([np.full((36, 64, 3), 20 + 2 * (first + number), np.uint8) for number in range(count)])


def stream(path, frames):
    whole = make(path.with_suffix(".mp4"), frames, sound=len(frames) / 25, options={"bf": "3", "qp": "4"})
    with av.open(str(whole)) as given, av.open(str(path), "w") as out:
        copies = {each.index: out.add_stream_from_template(each, opaque=True) for each in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path.read_bytes()


@pytest.fixture(scope="module", params=[(30, 30), (50, 30, 20)])
def film(tmp_path_factory, request):
    folder, first, parts = tmp_path_factory.mktemp("film"), 0, []
    for count in request.param:
        parts.append(stream(folder / f"{first}.ts", numbered(count, first)))
        first += count
    path = folder / "film.ts"
    path.write_bytes(b"".join(parts))
    return path, first


def test_each_frame_comes_once_and_in_order(film):
    path, count = film
    found = open_frames(path)
    frames = list(found.frames())
    assert found.remarks == [TOLD]
    assert not found.damaged
    assert found.count() == count
    levels = [frame.picture.pixels.mean() for frame in frames]
    np.testing.assert_allclose(levels, [20 + 2 * number for number in range(count)], atol=1.5)
    assert {after.pts - before.pts for before, after in pairwise(frames)} == {3600}
    assert same(list(found.frames(count - 5)), frames[-5:])


@pytest.mark.parametrize("start", [0.4, 1.0, 1.6, 2.2])
def test_times_of_all_parts_can_be_asked_for(film, start):
    path, _ = film
    whole, part = open_frames(path), open_frames(path, start=start, end=start + 0.2)
    begin = whole.origin + start
    wanted = [each for each in whole.frames() if begin <= each.pts / 90000 + 1e-5 < begin + 0.2]
    assert len(wanted) == 5
    assert same(list(part.frames()), wanted)
    assert part.count() == 5


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_goes_with_its_pictures(film, tmp_path, suffix):
    path, count = film
    frames = open_frames(path)
    times = [each.pts for each in frames.frames()]
    given = form(time_base=frames.format.time_base, width=64, height=36)
    pictures = [each.picture for each in frames.frames()]
    segments = write(tmp_path, plan_encoding(given, suffix), pictures, times, [count], last=3600)
    target = tmp_path / f"made{suffix}"
    lost = join(segments, target, suffix, source=path, time_base=given.time_base)
    assert lost == ()
    (before,), (after,) = packets(path, "audio"), packets(target, "audio")
    assert [content for *_, content in after] == [content[7:] for *_, content in before]  # without the ADTS header
    starts = [number for number in range(1, len(before)) if before[number][0] < before[number - 1][0]]
    pictured = shown(target)
    assert len(starts) in (1, 2)
    for number, first in zip(starts, (30,) if len(starts) == 1 else (50, 80), strict=True):
        gap = after[number + 5][0] - pictured[first]  # the first ones wait for sound that outlasts its pictures
        told = before[5][0] - times[0] * given.time_base
        assert abs(gap - told) <= 0.002
    with av.open(str(target)) as container:
        assert abs(container.duration / av.time_base - count / 25) < 0.15
