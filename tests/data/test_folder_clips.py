"""Clips of films in a folder, from files and folders of frames: their frames, and reports of unusual films."""

from __future__ import annotations

import logging
import shutil

import av
import numpy as np
import pytest
from filming import make, moving, plain
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.building.pipelines import make_pipeline
from jaxgan.data.clips import film_index, films
from jaxgan.data.clips.film_index import index_films
from jaxgan.errors import UserError
from jaxgan.fields import pixel_field

SIDE = 32  # of films that are read at their own size


def shot(count, seed):
    return [*moving(count, SIDE, SIDE, seed)]


def patterns(*lengths):
    """Frames of clearly different shots: each has gradients in another direction."""
    rows, columns = np.mgrid[:SIDE, :SIDE] * 255 // (SIDE - 1)
    looks = (rows, 255 - columns, 255 - rows, columns)
    return [
        np.repeat(np.clip(looks[number % 4] + 2 * k, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for number, length in enumerate(lengths)
        for k in range(length)
    ]


def lossless(path, frames, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    return make(path, frames, "ffv1", "bgr0", **how)


def clips_of(source):
    return source.read(range(source.spec.size))


def keys_of(folder):
    """The films of a folder by path, after a new scan."""
    film_index._examine.cache_clear()
    return {film.entry.path: film for film in index_films(folder).films}


def test_clips_are_windows_of_shots_and_never_go_over_a_cut(tmp_path, data_config):
    frames = patterns(9, 12, 4)
    for name in ("train/a/one.mkv", "train/b/two.mkv", "test/a/three.mkv"):
        lossless(tmp_path / name, frames)
    config = data_config(tmp_path, frames=3, stride=2)
    source = open_source(config, "train")
    assert source.spec.image == pixel_field(SIDE, SIDE, 1, frames=3)  # the film is grey
    starts = [0, 9, 14]  # a clip takes 5 frames: one of 9, two of 12, none of 4
    assert source.spec.size == 2 * len(starts)
    assert source.spec.classes == ("a", "b")
    read = clips_of(source)
    assert read["label"].tolist() == source.labels(range(6)).tolist() == [0] * 3 + [1] * 3
    for row, start in enumerate(2 * starts):
        np.testing.assert_array_equal(read["image"][row], np.stack(frames)[start : start + 5 : 2, ..., :1])
    everything = open_source(data_config(tmp_path, frames=5, hop=1), "test")
    assert everything.spec.size == 5 + 8
    assert "2 of 6 shots" in dict(source.spec.findings)["clips"]
    uncut = open_source(data_config(tmp_path, frames=5, hop=1, cuts=False), "test")
    assert uncut.spec.size == 25 - 4
    np.testing.assert_array_equal(uncut.read([6])["image"][0], np.stack(frames)[6:11, ..., :1])


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.mp4", "libx264", {"gop": 7}),
        ("b.mp4", "libx264", {"gop": 250, "sound": 1.0}),
        ("c.mkv", "libx264", {"gop": 12, "times": [500 * k + 90 * (k % 3) for k in range(40)]}),
        ("d.avi", "mpeg4", {"gop": 10}),
        ("e.webm", "libvpx-vp9", {"gop": 10}),
        ("f.ts", "libx264", {"gop": 5}),
    ],
)
def test_any_frame_is_the_one_of_a_film_read_from_its_begin(tmp_path, data_config, name, codec, how):
    path = make(tmp_path / name, shot(40, 0), codec, **how)
    source = open_source(data_config(tmp_path, frames=2, hop=1), "train")
    whole = [frame.picture.pixels for frame in films._opened(path).frames()]
    levels = np.array([[pixels.mean() for pixels in each] for each in (whole, [pixels for _, pixels in plain(path)])])
    assert np.ptp(levels[0] - levels[1]) < 0.5  # for each frame; the two convert colours differently
    for index in (source.spec.size - 1, 20, 3, 0):
        np.testing.assert_array_equal(source.read([index])["image"][0], np.stack(whole[index : index + 2]))
    some = np.random.default_rng(0).integers(0, source.spec.size, 9)
    np.testing.assert_array_equal(source.read(some)["image"], np.stack([whole[k : k + 2] for k in some]))


def test_only_what_a_clip_needs_is_decoded(tmp_path, data_config, monkeypatch):
    make(tmp_path / "a.mp4", shot(60, 0), gop=10)
    source = open_source(data_config(tmp_path, frames=2, hop=1), "train")
    (film,) = keys_of(tmp_path).values()
    assert film.keys == (0, 10, 20, 30, 40, 50)
    opened = films._opened
    starts = []
    monkeypatch.setattr(films, "_opened", lambda path, start=0.0: starts.append(start) or opened(path, start))
    source.read([45, 43])
    assert starts == [43 / 25]  # once, near the wanted frame
    source.read([1, 4])
    assert starts[1:] == [1 / 25]
    source.read([1, 45])
    assert starts[2:] == [1 / 25, 45 / 25]  # frames between them are skipped


def test_odd_films_are_read_or_skipped_and_told_of_once(tmp_path, data_config, caplog):
    (tmp_path / "broken.mp4").write_bytes(b"no film" * 100)
    (tmp_path / "empty.mp4").touch()
    make(tmp_path / "whole.mp4", shot(12, 0))
    make(tmp_path / "one.mp4", shot(1, 0))
    make(tmp_path / "variable.mp4", shot(12, 1), times=[512 * k * k for k in range(12)])
    make(tmp_path / "large.mp4", [np.full((2160, 3840, 3), k, np.uint8) for k in range(3)], "mpeg4", gop=2)
    make(tmp_path / "turned.mp4", [*moving(12, 24, 40)], setup=lambda stream: stream.set_display_rotation(90))
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux([*stream.encode(frame), *stream.encode()])
    Image.new("RGB", (8, 8)).save(tmp_path / "cover.png")
    with caplog.at_level(logging.WARNING):
        sources = [open_source(data_config(tmp_path, frames=3, resolution=16), split) for split in ("train", "test")]
    told = sources[0].spec.findings
    lines = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
    assert lines == [
        f"skipped {text}" if title == "skipped" else text for title, text in told if "read" in title or "sk" in title
    ]
    (skipped,) = (text for title, text in told if title == "skipped")
    assert skipped.startswith("3 unreadable films: ")
    for words in ("broken.mp4 (it is not a film", "empty.mp4 (it is not a film", "sound.mp4 (it has no video stream)"):
        assert words in skipped
    for line in (
        "1 film: turned.mp4 (turned upright)",
        "1 film: variable.mp4 (of variable rate: each frame counts as one, whatever its time)",
    ):
        assert ("read as", line) in told
    assert ("ignored", "1 picture outside of films: cover.png") in told
    assert "from 24 x 40 to 3840 x 2160 pixels" in dict(told)["data"]
    assert "5 films are resized to 16 x 16, 2 of them cropped to a square first" in dict(told)["pixels"]
    assert sum(source.spec.size for source in sources) == 4 + 4 + 4 + 1
    assert any("too short and not used: 1 of" in dict(source.spec.findings)["clips"] for source in sources)
    turned = keys_of(tmp_path)["turned.mp4"]
    assert (turned.entry.width, turned.entry.height) == (24, 40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": 13}, "config.data.frames=13: a clip takes 13 frames, the longest shot has 12 in the split 'train'"),
        ({"frames": None}, "to read its films, give --config.data.frames=N"),
        ({"frames": 2, "split": "dev"}, "has no split 'dev'; it has test, train"),
        ({"frames": 2, "name": "nothing"}, "holds no films (files ending in .mp4, .mkv, ..., or folders of frames)"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, data_config, changes, message):
    (tmp_path / "nothing").mkdir()
    lossless(tmp_path / "films" / "a.mkv", shot(12, 0))
    lossless(tmp_path / "films" / "b.mkv", shot(12, 1))
    config = data_config(tmp_path / changes.pop("name", "films"), **changes)
    with pytest.raises(UserError) as caught:
        open_source(config, config.split)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def frames_in(folder, frames, names=None):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / (names[number] if names else f"{number}.png"))


def test_folders_of_frames_are_films(tmp_path, data_config):
    for name, seed in (("train/walk/000", 0), ("train/run/000", 1), ("val/run/001", 2)):
        frames_in(tmp_path / name, shot(11, seed))  # 10 comes after 9
    Image.new("RGB", (90, 90)).save(tmp_path / "train" / "cover.jpg")
    source, test = (open_source(data_config(tmp_path, frames=5), split) for split in ("train", "test"))
    assert source.spec.classes == ("run", "walk")
    read = clips_of(source)
    assert read["label"].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(read["image"][3], np.stack(shot(11, 0))[5:10])
    assert (test.spec.size, test.spec.split) == (2, "val")


def test_shots_end_at_gaps_and_at_frames_that_do_not_fit(tmp_path, data_config):
    frames = shot(20, 0)
    names = [f"f{number + 100 * (number > 5):04}.png" for number in range(20)]  # 6 follows 5 as 106
    frames_in(tmp_path / "film", frames, names)
    Image.new("RGB", (20, 20)).save(tmp_path / "film" / names[10])
    (tmp_path / "film" / names[15]).write_bytes(b"no picture")
    (film,) = keys_of(tmp_path).values()
    assert film.shots() == film.shots(cut=False) == [(0, 6), (6, 4), (11, 4), (16, 4)]
    assert film.entry.odd == (
        "numbers of frames are missing at 1 places: a shot ends there",
        "1 of its frames cannot be read: a shot ends there",
        f"1 of its frames are not of {SIDE} x {SIDE} pixels, and not used: a shot ends there",
    )
    source = open_source(data_config(tmp_path, frames=4), "train")
    np.testing.assert_array_equal(clips_of(source)["image"], np.stack([frames[k : k + 4] for k in (0, 6, 11)]))
    assert "the one film" in dict(source.spec.findings)["splits"]


def test_animations_are_films(tmp_path, data_config):
    levels = [Image.new("L", (16, 16), 10 * k) for k in range(9)]
    for name in ("a.gif", "b.gif"):
        levels[0].save(tmp_path / name, save_all=True, append_images=levels[1:], duration=40)
    source = open_source(data_config(tmp_path, frames=3, hop=1), "train")
    assert clips_of(source)["image"][4, :, 8, 8, 0].tolist() == [40, 50, 60]


def test_what_was_found_is_kept_until_a_film_changes(tmp_path, data_config, monkeypatch):
    folder = tmp_path / "films"
    lossless(folder / "a.mkv", shot(12, 0))
    frames_in(folder / "b", shot(12, 1))
    looked = []
    probe = film_index._probe
    monkeypatch.setattr(film_index, "_probe", lambda root, each: looked.append(each.path) or probe(root, each))
    first = keys_of(folder)
    assert sorted(looked) == ["a.mkv", "b"]
    assert keys_of(folder) == first
    assert len(looked) == 2
    contents = open_source(data_config(folder, frames=2), "train").spec.contents
    shutil.rmtree(folder / "b")
    frames_in(folder / "b", shot(12, 2))
    lossless(folder / "a.mkv", shot(12, 3))
    assert keys_of(folder) != first
    assert sorted(looked[2:]) == ["a.mkv", "b"]
    assert open_source(data_config(folder, frames=2), "train").spec.contents != contents


def test_a_film_that_was_changed_since_is_told(tmp_path, data_config):
    lossless(tmp_path / "a.mkv", shot(12, 0))
    source = open_source(data_config(tmp_path, frames=4), "train")
    lossless(tmp_path / "a.mkv", shot(3, 0))
    with pytest.raises(UserError, match=r"a.mkv has changed since it was scanned: start again"):
        clips_of(source)


def test_batches_are_equal_in_all_caches(tmp_path, data_config):
    for name in ("one", "two"):
        lossless(tmp_path / "train" / name / "a.mkv", shot(20, len(name)))
        frames_in(tmp_path / "train" / name / "b", shot(20, 5))
        lossless(tmp_path / "test" / name / "a.mkv", shot(20, 9))
    found = {}
    for cache in ("device", "host", "stream"):
        config = data_config(tmp_path, frames=4, stride=2, hop=3, cache=cache, channels=3, resolution=8)
        pipeline = make_pipeline(config, seed=3)
        going = pipeline.batches(5, 6, slice(0, 6))
        found[cache] = [next(going) for _ in range(4)]
        if cache == "device":
            found[cache] = [
                {name: all_[batch["index"]] for name, all_ in pipeline.arrays.items()} for batch in found[cache]
            ]
    for one, other, third in zip(*found.values()):
        assert one["image"].shape == (6, 4, 8, 8, 3)
        for name in ("image", "label"):
            np.testing.assert_array_equal(one[name], other[name])
            np.testing.assert_array_equal(one[name], third[name])


def test_squares_of_films_are_cut_at_one_place(tmp_path, data_config):
    frames = [*moving(12, 20, 30)]
    for name in ("a.mkv", "b.mkv"):
        lossless(tmp_path / name, frames)
    source = open_source(data_config(tmp_path, frames=4, crops=3, resolution=8), "train")
    assert source.spec.size == 3 * 3
    assert source.spec.image == pixel_field(8, 8, 3, frames=4)
    clip = source.read([4])["image"][0]  # of the clip 4 mod 3
    found = [
        (top, left)
        for top in range(13)
        for left in range(23)
        if (np.stack(frames)[4:8, top : top + 8, left : left + 8] == clip).all()
    ]
    assert len(found) == 1
