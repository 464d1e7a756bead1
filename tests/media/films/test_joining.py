"""The other streams of a film are kept in sync: sound, subtitles, chapters, covers, fonts, metadata."""

import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from film_making import TICK, form, greys, packets, picture, shown, source, write  # noqa: E402

from jaxgan.media.films.encoding import SegmentWriter, plan_encoding  # noqa: E402
from jaxgan.media.films.frames import open_frames  # noqa: E402
from jaxgan.media.films.joining import Segment, join  # noqa: E402
from jaxgan.media.reading import PictureError  # noqa: E402

TWO_SOUNDS = [
    ("aac", 44100, 2.0, {"language": "deu", "title": "Ton"}, 1),
    ("aac", 48000, 2.0, {"language": "fra"}, 0),
]
LINES = [(100, 500, "one"), (900, 400, "two"), (1500, 300, "three")]
CHAPTERS = [(0, 1000, "first"), (1000, 2000, "second")]


def remade(folder, given, suffix, *, start=0.0, end=None, codec=None, first=0, frames=50):
    """Makes a film with the streams of `given` and grey frames at the same times; returns what was left out."""
    times = [first + 512 * number for number in range(frames)]
    with av.open(str(given)) as container:
        origin = Fraction(container.start_time, av.time_base)
    kept = [time for time in times if start <= time * TICK - origin < (1e9 if end is None else Fraction(str(end)))]
    plan = plan_encoding(form(), suffix, codec)
    lengths = [min(20, len(kept) - number) for number in range(0, len(kept), 20)]
    target = folder / f"remade{suffix}"
    segments = write(folder, plan, greys(len(kept)), kept, lengths)
    lost = join(segments, target, suffix, source=given, time_base=TICK, start=start, end=end, rate=Fraction(25))
    return target, lost


def contents(streams):
    return [[content for _, _, content in stream] for stream in streams]


def times(streams):
    return [[time for time, _, _ in stream] for stream in streams]


@pytest.mark.quick
def test_sound_is_the_same_byte_for_byte_and_in_sync(tmp_path):
    """The pictures begin 0.3 s after the sound, whose first packet is before 0, as usual in AAC."""
    source(tmp_path / "a.mp4", first=3840, sounds=TWO_SOUNDS)
    given = packets(tmp_path / "a.mp4", "audio")
    assert given[0][0][0] < 0
    for suffix in (".mp4", ".mov"):
        path, lost = remade(tmp_path, tmp_path / "a.mp4", suffix, first=3840)
        assert lost == ()
        assert packets(path, "audio") == given
        assert shown(path) == shown(tmp_path / "a.mp4")
        with av.open(str(path)) as container, av.open(str(tmp_path / "a.mp4")) as before:
            assert abs(container.duration - before.duration) <= 40_000
    path, lost = remade(tmp_path, tmp_path / "a.mp4", ".mkv", first=3840)
    assert lost == ()
    sound, moved = packets(path, "audio"), 0
    if sound[0][0][0] >= 0:  # FFmpeg 8 allows no times before 0 there
        moved = Fraction(1024, 44100)
    assert contents(sound) == contents(given)
    pictures = zip(shown(path), shown(tmp_path / "a.mp4"), strict=True)
    tracks = [pair for after, before in zip(times(sound), times(given)) for pair in zip(after, before, strict=True)]
    assert max(abs(after - before - moved) for after, before in [*pictures, *tracks]) <= Fraction(1, 1000)


@pytest.mark.quick
def test_a_film_of_matroska_keeps_everything(tmp_path):
    source(
        tmp_path / "a.mkv",
        sounds=[("libopus", 48000, 2.0, {"language": "deu"}, 1), ("flac", 48000, 2.0, {"title": "music"}, 0)],
        texts=[("subrip", LINES, {"language": "eng"}, 0x40), ("ass", LINES, {"language": "deu", "title": "all"}, 1)],
        cover=".mkv",
        fonts=["a.ttf", "b.ttf"],
        chapters=CHAPTERS,
        metadata={"title": "A film", "ANYTHING": "goes"},
    )
    path, lost = remade(tmp_path, tmp_path / "a.mkv", ".mkv")
    assert lost == ()
    for kind in ("audio", "subtitle"):
        assert packets(path, kind) == packets(tmp_path / "a.mkv", kind)
    with av.open(str(path)) as after, av.open(str(tmp_path / "a.mkv")) as before:
        assert sorted(_described(after)) == sorted(_described(before))
        assert after.chapters() == before.chapters()
        assert after.metadata["title"] == "A film"
        assert after.metadata["ANYTHING"] == "goes"
        assert _attached(after) == _attached(before)
        assert [each.data for each in after.streams.attachments] == [b"a.ttf" * 9, b"b.ttf" * 9]


def _described(container):
    kinds = ("audio", "subtitle", "attachment")
    return [
        (each.type, each.name, each.language, each.metadata.get("title"), int(each.disposition))
        for each in container.streams
        if each.type in kinds
    ]


def _attached(container):
    cover = next(each for each in container.streams.video if int(each.disposition) & 0x400)
    return next(bytes(each) for each in container.demux(cover) if each.size)


@pytest.mark.quick
def test_a_film_of_mp4_keeps_its_own_kinds(tmp_path):
    source(
        tmp_path / "a.mp4",
        sounds=TWO_SOUNDS,
        texts=[("mov_text", LINES, {"language": "eng"}, 0x40)],
        cover=".mp4",
        chapters=CHAPTERS,
        metadata={"title": "A film", "location": "+48.1000+011.5000/", "creation_time": "2020-02-03T04:05:06.000000Z"},
    )
    path, lost = remade(tmp_path, tmp_path / "a.mp4", ".mp4")
    assert lost == ()
    with av.open(str(path)) as after, av.open(str(tmp_path / "a.mp4")) as before:
        for key in ("title", "location", "creation_time"):
            assert after.metadata[key] == before.metadata[key]
        found = [[(c["start"] * c["time_base"], c["metadata"]) for c in each.chapters()] for each in (after, before)]
        assert found[0] == found[1] == [(0, {"title": "first"}), (1, {"title": "second"})]
        assert _attached(after) == _attached(before)
        assert _described(after) == _described(before)
        assert [each.metadata.get("name") for each in after.streams.audio] == ["Ton", None]
    words = [each for each in packets(path, "subtitle")[0] if len(each[2]) > 2]
    empty = [(time, length) for time, length, content in packets(path, "subtitle")[0] if content == b"\0\0"]
    assert len(set(empty)) == len(empty) == 3
    assert min(length for _, length in empty) > 0
    assert words == [each for each in packets(tmp_path / "a.mp4", "subtitle")[0] if len(each[2]) > 2]
    assert [(time, length) for time, length, _ in words] == [
        (Fraction(a, 1000), Fraction(b, 1000)) for a, b, _ in LINES
    ]


def test_what_a_container_does_not_hold_is_told_with_one_that_does(tmp_path):
    source(
        tmp_path / "a.mkv",
        sounds=[("aac", 48000, 2.0, {}, 1), ("flac", 48000, 2.0, {"language": "fra"}, 0)],
        texts=[("ass", LINES, {"language": "deu"}, 0)],
        cover=".mkv",
        fonts=["a.ttf"],
        metadata={"ANYTHING": "goes"},
    )
    _, lost = remade(tmp_path, tmp_path / "a.mkv", ".mp4")
    assert [each.split(" is left out")[1] for each in lost[:2]] == [" (.mkv keeps it)"] * 2
    assert ["subtitles" in lost[0], "deu" in lost[0], "attachment" in lost[1]] == [True] * 3
    assert lost[2:] == ("metadata left out: ANYTHING (.mkv keeps them)",)
    _, lost = remade(tmp_path, tmp_path / "a.mkv", ".mov")  # FFmpeg refuses FLAC there only when it writes the header
    assert any("sound: flac, fra" in each for each in lost)
    path, lost = remade(tmp_path, tmp_path / "a.mkv", ".webm")
    assert (len(lost), packets(path, "audio")) == (5, [])
    source(tmp_path / "b.mp4", sounds=TWO_SOUNDS, texts=[("mov_text", LINES, {"language": "eng"}, 0)])
    _, lost = remade(tmp_path, tmp_path / "b.mp4", ".mkv")
    assert lost == ("stream 3 (subtitles: mov_text, eng) is left out (.mp4 keeps it)",)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_begins_at_0_with_all_its_streams(tmp_path, suffix):
    given, target = tmp_path / f"a{suffix}", f".part{suffix}"[-4:]
    text = "mov_text" if suffix == ".mp4" else "subrip"
    source(given, sounds=[("aac", 48000, 2.0, {}, 1)], texts=[(text, LINES, {}, 0)], chapters=CHAPTERS)
    path, lost = remade(tmp_path, given, target, start=0.31, end=1.6)
    assert lost == ()
    found, zero = shown(path), Fraction(8, 25)  # the first frame after 0.31 s
    assert (found[0], len(found)) == (0, 32)
    before, after = packets(given, "audio")[0], packets(path, "audio")[0]
    kept = [each for each in before if each[0] - zero >= 0 and each[0] < Fraction(16, 10)]
    assert [each[2] for each in after] == [each[2] for each in kept]
    assert max(abs(one[0] - (other[0] - zero)) for one, other in zip(after, kept)) <= Fraction(1, 1000)
    words = [each for each in packets(path, "subtitle")[0] if each[2] != b"\0\0"]
    assert [(float(time), float(length)) for time, length, _ in words] == [(0, 0.28), (0.58, 0.4), (1.18, 0.1)]
    with av.open(str(path)) as container:
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"])) for c in container.chapters()
        ]
    assert chapters == [(0, 0.68), (0.68, 1.28)]


def test_a_clock_that_does_not_begin_at_0_is_set_for_all_streams(tmp_path):
    """MPEG transport streams begin at any time; their AAC has headers of its own, which MP4's has not."""
    source(tmp_path / "a.ts", sounds=[("aac", 48000, 2.0, {}, 0)])
    with av.open(str(tmp_path / "a.ts")) as container:
        stream = container.streams.video[0]
        pts = [frame.pts for frame in container.decode(stream)]
        base, origin = stream.time_base, Fraction(container.start_time, av.time_base)
    assert origin > 0
    sound = packets(tmp_path / "a.ts", "audio")[0]
    zero = min(sound[0][0], pts[0] * base)
    plan = plan_encoding(form(time_base=base), ".mp4")
    segments = write(tmp_path, plan, greys(len(pts)), pts, [20, len(pts) - 20])
    lost = join(segments, tmp_path / "b.mp4", ".mp4", source=tmp_path / "a.ts", time_base=base)
    assert lost == ()
    assert shown(tmp_path / "b.mp4") == [each * base - zero for each in pts]
    after = packets(tmp_path / "b.mp4", "audio")[0]
    assert [each[2] for each in after] == [each[2][7:] for each in sound]
    assert [each[0] for each in after] == [each[0] - zero for each in sound]


def test_damaged_sound_is_copied_as_far_as_it_can_be_read(tmp_path):
    source(tmp_path / "a.mp4", sounds=[("aac", 48000, 3.9, {}, 1)])
    index_first = {"movflags": "faststart"}
    with (
        av.open(str(tmp_path / "a.mp4")) as given,
        av.open(str(tmp_path / "b.mp4"), "w", container_options=index_first) as out,
    ):
        copies = {each.index: out.add_stream_from_template(each, opaque=True) for each in given.streams}
        for each in given.demux():
            if each.size:
                each.stream = copies[each.stream.index]
                out.mux(each)
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    path, lost = remade(tmp_path, tmp_path / "b.mp4", ".mp4")
    assert len(lost) == 1
    assert lost[0].startswith("stream 1 (sound: aac) is damaged: ")
    assert lost[0].endswith(" of its 3.9 seconds are there")
    before, after = contents(packets(tmp_path / "a.mp4", "audio"))[0], contents(packets(path, "audio"))[0]
    assert 20 < len(after) < len(before)
    assert after[:-1] == before[: len(after) - 1]


def test_packets_that_the_container_refuses_are_left_out_and_told(tmp_path):
    source(tmp_path / "a.ts", sounds=[("aac", 48000, 2.0, {}, 0)])
    content = bytearray((tmp_path / "a.ts").read_bytes())
    draw = random.Random(3)
    for position in range(len(content) // 3, 2 * len(content) // 3, 97):
        content[position] = draw.randrange(256)
    (tmp_path / "a.ts").write_bytes(content)
    path, lost = remade(tmp_path, tmp_path / "a.ts", ".mp4")
    assert len(shown(path)) > 40
    assert any("is damaged" in each for each in lost)


@pytest.mark.parametrize(("byte", "bits"), [(0, 0x2F), (2, 0x01)])
def test_packets_whose_times_are_impossible_are_left_out_and_told(tmp_path, byte, bits):
    """One packet is hours after the end, or goes back in time. The rest is copied."""
    source(tmp_path / "a.ts", sounds=[("mp2", 48000, 4.0, {}, 0)], frames=100)
    content = bytearray((tmp_path / "a.ts").read_bytes())
    heads = [place.start() for place in re.finditer(b"\0\0\1\xc0..[\x80-\x8f][\x80\xc0]", content, re.DOTALL)]
    content[heads[len(heads) // 2] + 9 + byte] = bits
    (tmp_path / "a.ts").write_bytes(content)
    given = contents(packets(tmp_path / "a.ts", "audio"))[0]
    path, lost = remade(tmp_path, tmp_path / "a.ts", ".mp4", frames=100)
    with av.open(str(path)) as container:
        assert container.duration < 5_000_000
    after = contents(packets(path, "audio"))[0]
    assert len(after) in range(len(given) - 8, len(given))
    assert len(lost) == 1
    missing = len(given) - len(after)
    are = "is" if missing == 1 else "are"
    assert lost[0] == f"stream 1 (sound: mp2) is damaged: {missing} of its packets {are} left out"


def test_a_film_from_a_folder_has_no_source(tmp_path):
    plan = plan_encoding(form(), ".mp4")
    segments = write(tmp_path, plan, greys(3), [5120, 5632, 6144], [2, 1])
    assert join(segments, tmp_path / "a.mp4", ".mp4", source=None, time_base=TICK) == ()
    assert shown(tmp_path / "a.mp4") == [0, 512 * TICK, 1024 * TICK]


@pytest.mark.parametrize("known", [True, False])
def test_a_source_without_a_container_has_nothing_to_carry(tmp_path, known):
    """Animations that Pillow reads; FFmpeg knows some of them."""
    frames = [Image.new("RGB", (64, 48), (40 * number, 0, 0)) for number in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40)
    given = tmp_path / "a.webp"
    if not known:
        given = tmp_path / "a.film"
        given.write_bytes(b"nothing that FFmpeg knows" * 99)
    plan = plan_encoding(form(), ".mp4")
    segments = write(tmp_path, plan, greys(3), [0, 512, 1024], [2, 1])
    assert join(segments, tmp_path / "a.mp4", ".mp4", source=given, time_base=TICK) == ()
    assert shown(tmp_path / "a.mp4") == [0, 512 * TICK, 1024 * TICK]


MEMORY = """
import resource, sys
from fractions import Fraction
from pathlib import Path
from jaxgan.media.films.joining import Segment, join
folder, given = Path(sys.argv[1]), Path(sys.argv[2])
segments = [Segment(each, 512 * 48 * number) for number, each in enumerate(sorted(folder.glob("0*")))]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
join(segments, folder / "out.mp4", ".mp4", source=given, time_base=Fraction(1, 12800))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 600])
def test_memory_does_not_grow_with_the_film(tmp_path, seconds):
    """Neither if the sound ends long before the pictures nor if it continues."""
    source(tmp_path / "a.mp4", frames=2, sounds=[("aac", 48000, seconds, {}, 1)])
    draw = np.random.default_rng(0)
    pictures = [picture(draw.integers(0, 255, (144, 256, 3), dtype=np.uint8)) for _ in range(48)]
    plan = plan_encoding(form(256, 144), ".mp4", quality=1)
    grown = []
    for count in (6, 60):
        folder = tmp_path / str(count)
        folder.mkdir()
        one = write(folder, plan, pictures, [512 * number for number in range(48)], [48])[0]
        for number in range(1, count):
            (folder / f"{number:04}.mp4").write_bytes(one.path.read_bytes())
        assert isinstance(one, Segment)
        run = subprocess.run(
            [sys.executable, "-c", MEMORY, folder, tmp_path / "a.mp4"], capture_output=True, text=True, check=True
        )
        grown.append(int(run.stdout))
    size = sum(each.stat().st_size for each in (tmp_path / "60").glob("0*")) / 1024
    assert size > 60_000
    assert grown[1] - grown[0] < 0.1 * size


@pytest.mark.quick
def test_sound_that_is_left_out_is_called_by_its_name(tmp_path):
    """Not by the name of the decoder, mp3float."""
    source(tmp_path / "a.mkv", sounds=[("libmp3lame", 44100, 1.0, {}, 1)])
    _, lost = remade(tmp_path, tmp_path / "a.mkv", ".webm", codec="vp9")
    assert lost == ("stream 1 (sound: mp3) is left out (.mkv keeps it)",)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["12:30.mkv", "concat:a|b.mkv", "http:film.mkv", "pipe:1.mkv"])
def test_names_that_ffmpeg_takes_for_protocols(tmp_path, monkeypatch, name):
    """Reading and writing with relative paths."""
    monkeypatch.chdir(tmp_path)
    source(tmp_path / "a.mkv", sounds=[("aac", 44100, 1.0, {}, 1)])
    Path("a.mkv").rename(name)
    film = open_frames(name)
    pictures, times = zip(*[(each.picture, each.pts) for each in film.frames()], strict=True)
    film.close()
    assert film.count() == len(pictures) == 50
    Path("to:").mkdir()
    plan = plan_encoding(film.format, ".mkv", quality=1)
    segments = write(Path("to:"), plan, pictures, times, [30, 20])
    writer = SegmentWriter(Path(f"h264:{plan.codec.segment}"), plan)
    writer.add(pictures[0], 0, 0)
    writer.close()
    assert join(segments, Path("to:film.mkv"), ".mkv", source=Path(name), time_base=film.format.time_base) == ()
    assert len(shown(tmp_path / "to:film.mkv")) == 50
    assert packets(tmp_path / "to:film.mkv", "audio")


@pytest.mark.quick
def test_a_source_that_is_gone_is_named(tmp_path):
    """It is not reported as an error of writing, which would blame the disk."""
    plan = plan_encoding(form(), ".mkv")
    segments = write(tmp_path, plan, greys(3), [0, 512, 1024], [3])
    with pytest.raises(PictureError, match=r"gone\.mkv cannot be read: No such file"):
        join(segments, tmp_path / "film.mkv", ".mkv", source=tmp_path / "gone.mkv", time_base=TICK)
    assert not (tmp_path / "film.mkv").exists()
    with pytest.raises(OSError, match="No such file"):
        join(segments, tmp_path / "no folder" / "film.mkv", ".mkv", source=None, time_base=TICK)
