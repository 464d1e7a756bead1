"""`--mode=apply` on films, with networks of one layer."""

import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from film_making import source
from filming import frames_of, make, moving, packets_of
from PIL import Image

from jaxgan.errors import FINISHED, MISTAKE, SOME_FAILED
from jaxgan.inference.restorer import Restorer
from jaxgan.jobs.films import beside
from jaxgan.media.films import segments
from jaxgan.media.films.cuts import Cuts
from jaxgan.media.reading import Picture

NEAREST = Restorer(lambda x: x.repeat(2, axis=1).repeat(2, axis=2), 2, 3, 3, "films that were halved", 0)
SAME = Restorer(lambda x: x, 1, 3, 3, "nothing", 0)
FILLED = Restorer(lambda x: jnp.full_like(x[..., :3], 0.2), 1, 3, 3, "holes", 0, masks=True)
VARIABLE = [0, 700, 3000, 3600, 9100, 9200, 15000, 15333, 21000, 30000]  # of 1/15360 s


@pytest.fixture
def film(tmp_path):
    """A second of frames that come at odd times, with sound."""
    return make(tmp_path / "film.mp4", moving(10), times=VARIABLE, tick=Fraction(1, 15360), sound=1.9)


def test_a_film_keeps_its_times_and_its_sound(film, tmp_path, apply, capsys):
    out = tmp_path / "out.mp4"
    assert apply(NEAREST, film, out) == FINISHED
    assert "film.mp4: 128 x 72, 10 frames in" in capsys.readouterr().out
    (times, frames), (expected, given) = frames_of(out), frames_of(film)
    assert times == expected == [Fraction(pts, 15360) for pts in VARIABLE]
    assert packets_of(out) == packets_of(film)
    off = (frames.astype(int) - given.repeat(2, axis=1).repeat(2, axis=2)) @ [0.3, 0.59, 0.11]  # not the colours
    assert np.abs(off).mean() < 2
    assert not list(tmp_path.glob(".*"))  # no segments are left


def test_what_a_film_says_of_itself_does_not_reach_the_terminal_raw(tmp_path, apply, capsys):
    title = "\x1b]0;owned\x07\x1b[31m\nfoo.mkv: 64 x 48, 9 frames"
    metadata = {"title": title, "k\x1b[32m": "value"}
    source(tmp_path / "film.mkv", frames=4, sounds=[("aac", 48000, 0.2, {"title": title}, 0)], metadata=metadata)
    for name in ("out.webm", "out.mp4", "\x1b[31mout.mp4"):
        assert apply(SAME, tmp_path / "film.mkv", tmp_path / name) == FINISHED
    told = capsys.readouterr().out
    assert "is left out" in told
    assert "\x1b" not in told
    assert "\x07" not in told
    assert not [line for line in told.split("\n") if line.startswith("foo.mkv")]


def test_tiles_and_batches_give_what_whole_frames_give(film, tmp_path, apply):
    for name, options in {"whole": {}, "tiled": {"tile": 16}, "single": {"batch_size": 1}}.items():
        assert apply(NEAREST, film, tmp_path / f"{name}.mkv", codec="ffv1", **options) == FINISHED
    whole, tiled, single = (frames_of(tmp_path / f"{name}.mkv")[1] for name in ("whole", "tiled", "single"))
    np.testing.assert_array_equal(tiled, whole)
    np.testing.assert_array_equal(single, whole)


def test_start_and_end_cut_frames_and_sound(film, tmp_path, apply):
    assert apply(SAME, film, tmp_path / "out.mp4", start=0.5, end=1.2) == FINISHED
    times, _ = frames_of(tmp_path / "out.mp4")
    kept = [Fraction(pts, 15360) for pts in VARIABLE if 0.5 <= pts / 15360 < 1.2]
    shifts = {time - expected for time, expected in zip(times, kept, strict=True)}
    assert len(shifts) == 1
    given, sound = packets_of(film), packets_of(tmp_path / "out.mp4")
    moved = [(time + shifts.copy().pop(), content) for time, content in given]
    assert 20 < len(sound) < 45
    assert {content for _, content in sound} <= {content for _, content in given}
    assert {round(float(time), 3) for time, _ in sound} <= {round(float(time), 3) for time, _ in moved}


def test_compare_is_a_film(film, tmp_path, apply):
    assert apply(NEAREST, film, tmp_path / "out.mp4", compare=tmp_path / "side.mp4") == FINISHED
    (times, both), (_, restored) = frames_of(tmp_path / "side.mp4"), frames_of(tmp_path / "out.mp4")
    assert both.shape == (10, 72, 256, 3)
    assert times == [Fraction(pts, 15360) for pts in VARIABLE]
    assert np.abs(both[:, :, 128:].astype(int) - restored).mean() < 2
    assert np.abs(both[:, :, :128].astype(int) - restored).mean() < 6  # bicubic, not nearest


def test_folders_of_films_and_pictures(film, tmp_path, apply, capsys):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    film.rename(folder / "deep" / "a.mp4")
    make(folder / "b.avi", moving(3), codec="mpeg4")
    Image.fromarray(moving(1)[0]).save(folder / "c.png")
    (folder / "d.mp4").write_bytes(b"no film")
    assert apply(NEAREST, folder, tmp_path / "out") == SOME_FAILED
    told = capsys.readouterr().out
    assert "d.mp4: failed, " in told
    assert "3 of 4 files restored, 1 failed" in told
    found = {str(each.relative_to(tmp_path / "out")) for each in (tmp_path / "out").rglob("*") if each.is_file()}
    assert found == {"deep/a.mp4", "b.mp4", "c.png"}
    assert len(frames_of(tmp_path / "out" / "b.mp4")[0]) == 3


def test_a_folder_of_frames_becomes_a_film(tmp_path, apply):
    frames = moving(12)
    for number, samples in enumerate(frames):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(samples).save(tmp_path / "frames" / f"{number}.png")
    assert apply(SAME, tmp_path / "frames", tmp_path / "out.mkv", codec="ffv1", rate="24000/1001") == FINISHED
    times, restored = frames_of(tmp_path / "out.mkv")
    np.testing.assert_array_equal(restored, frames)
    assert [round(float(time), 3) for time in times] == [round(k * 1001 / 24000, 3) for k in range(12)]


def masked(count, height=36, width=64):
    """A box that moves one pixel a frame: `[T,H,W,3]`."""
    masks = np.zeros((count, height, width, 3), np.uint8)
    for number in range(count):
        masks[number, 10:20, number : number + 12] = 255
    return masks


@pytest.mark.parametrize("kind", ["film", "frames", "picture", "color"])
def test_masks(kind, tmp_path, apply):
    frames, masks = moving(10), masked(10)
    if kind == "picture":
        masks[:] = masks[0]
    if kind == "color":
        frames = np.where(masks > 0, np.array([255, 0, 255], np.uint8), frames)
    film = make(tmp_path / "film.mkv", frames, codec="ffv1", pixels="bgr0")
    options = {"mask": tmp_path / "masks"}
    if kind == "film":
        options["mask"] = make(tmp_path / "masks.mkv", masks, codec="ffv1", pixels="bgr0")
    elif kind == "frames":
        (tmp_path / "masks").mkdir()
        for number, mask in enumerate(masks):
            Image.fromarray(mask).save(tmp_path / "masks" / f"{number:03}.png")
    elif kind == "picture":
        options["mask"] = tmp_path / "masks.png"
        Image.fromarray(masks[0]).save(tmp_path / "masks.png")
    else:
        options = {"mask_color": "255,0,255"}
    assert apply(FILLED, film, tmp_path / "out.mkv", codec="ffv1", **options) == FINISHED
    _, restored = frames_of(tmp_path / "out.mkv")
    np.testing.assert_array_equal(restored, np.where(masks > 0, np.uint8(153), frames))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": "short.mkv"}, "have 9 frames, expected 10"),
        ({"mask": "small.mkv"}, "have 32 x 36 pixels, expected 64 x 36"),
        ({"mask": "fast.mkv"}, "have 50 frames per second, expected 25"),
        ({"mask": "small.png"}, "have 32 x 36 pixels, expected 64 x 36"),
        ({"mask": "nothing.mkv"}, "--mask: got 'nothing.mkv', which does not exist"),
        ({"start": 9}, "--start: got 9, "),
        ({"start": 2, "end": 1}, "--end: got 1, expected more than --start=2"),
        ({"start": "soon"}, "--start: got 'soon'"),
        ({"codec": "h265"}, "--codec: got 'h265', expected one of h264"),
        ({"codec": "prores"}, "--codec: got 'prores', expected one of"),
        ({"quality": 52}, "--quality: got 52, expected 0 (best) to 51 for h264"),
        ({"rate": 25}, "expected a folder of frames"),
        ({"compare": "side.png"}, "--compare: got "),
        ({"compare": "film.mkv"}, "would overwrite an input"),
        ({"compare": "out.mp4"}, "would overwrite an output"),
        ({"mask": "short.mkv", "compare": "short.mkv"}, "would overwrite a mask"),
        ({"mask": "out.mp4"}, "would overwrite a mask"),
        ({"start": "1:-59.9"}, "--start: got '1:-59.9'"),
        ({"codec": ""}, "--codec: got ''"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(options, words, tmp_path, apply, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = make(tmp_path / "film.mkv", moving(10))
    content = film.read_bytes()
    make(tmp_path / "short.mkv", masked(9))
    make(tmp_path / "small.mkv", masked(10, width=32))
    make(tmp_path / "fast.mkv", masked(10), rate=Fraction(50))
    Image.fromarray(masked(1, width=32)[0]).save(tmp_path / "small.png")
    if options.get("mask") == "out.mp4":
        make(tmp_path / "out.mp4", masked(10))
    before = sorted(tmp_path.iterdir())
    standin = FILLED if "mask" in options else SAME
    assert apply(standin, film, "out.mp4", **options) == MISTAKE
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert film.read_bytes() == content


@pytest.mark.parametrize(
    ("given", "output", "words"),
    [
        ("film.mkv", "out.png", "expected one of .mp4"),
        ("photo.jpg", "out.mp4", "expected one of .png"),
        ("still.png", "out.mp4", "it is a single picture"),
        ("film.mkv", "film.mkv", "would overwrite an input"),
    ],
)
def test_a_film_is_no_picture(given, output, words, tmp_path, apply, capsys):
    make(tmp_path / "film.mkv", moving(3))
    for name in ("photo.jpg", "still.png"):
        Image.fromarray(moving(1)[0]).save(tmp_path / name)
    assert apply(SAME, tmp_path / given, tmp_path / output) == MISTAKE
    assert words in capsys.readouterr().err


def test_a_folder_of_masks_goes_by_numbers(tmp_path, apply):
    """Also where frames come at odd times, and only a part of the film is restored."""
    frames, masks = moving(10), masked(10)
    film = make(tmp_path / "film.mkv", frames, "ffv1", "bgr0", times=VARIABLE, tick=Fraction(1, 15360))
    (tmp_path / "masks").mkdir()
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "masks" / "film.json").write_text("{}")
    options = {"mask": tmp_path / "masks", "codec": "ffv1", "start": 0.5, "end": 1.2}
    assert apply(FILLED, film, tmp_path / "out.mkv", **options) == FINISHED
    part = [number for number, pts in enumerate(VARIABLE) if 0.5 <= pts / 15360 < 1.2]
    _, restored = frames_of(tmp_path / "out.mkv")
    np.testing.assert_array_equal(restored, np.where(masks > 0, np.uint8(153), frames)[part])


def test_the_input_beside_a_film_has_no_dark_outline():
    alpha = np.zeros((8, 8, 1), np.uint8)
    alpha[2:6, 2:6] = 255
    before = Picture(np.where(alpha > 0, np.uint8(255), np.uint8(0)).repeat(3, axis=2), alpha)
    after = Picture(np.full((16, 16, 3), 255, np.uint8), np.full((16, 16, 1), 255, np.uint8))
    both = beside(before, after, 2)
    assert both.alpha[:, :8].any()
    assert (both.pixels[both.alpha[..., 0] > 0] == 255).all()


def test_masks_of_films_in_folders(tmp_path, apply, capsys):
    """Each film has its own: by its path, and not those of a film of the same name elsewhere."""
    frames, masks = moving(4), masked(4)
    for place in ("x", "y"):
        (tmp_path / "in" / place).mkdir(parents=True)
        make(tmp_path / "in" / place / "a.mkv", frames, "ffv1", "bgr0")
    (tmp_path / "masks" / "x").mkdir(parents=True)
    make(tmp_path / "masks" / "x" / "a.mkv", masks[::-1].copy(), "ffv1", "bgr0")
    (tmp_path / "masks" / "y" / "a").mkdir(parents=True)
    for number, mask in enumerate(masks):  # white everywhere, opaque where to fill in
        drawn = np.concatenate([np.full_like(mask, 255), mask[..., :1]], axis=2)
        Image.fromarray(drawn).save(tmp_path / "masks" / "y" / "a" / f"{number}.png")
    assert apply(FILLED, tmp_path / "in", tmp_path / "out", mask=tmp_path / "masks", codec="ffv1") == FINISHED
    for place, drawn in (("x", masks[::-1]), ("y", masks)):
        _, restored = frames_of(tmp_path / "out" / place / "a.mkv")
        np.testing.assert_array_equal(restored, np.where(drawn > 0, np.uint8(153), frames))


def test_masks_that_are_damaged_are_told(tmp_path, apply, capsys):
    film = make(tmp_path / "film.mkv", moving(10), "ffv1", "bgr0")
    for number, mask in enumerate(masked(10)):
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    content = (tmp_path / "masks" / "5.png").read_bytes()
    (tmp_path / "masks" / "5.png").write_bytes(content[: len(content) // 2])
    assert apply(FILLED, film, tmp_path / "out.mkv", mask=tmp_path / "masks") == SOME_FAILED
    assert "its masks: " in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["29.97002997002997", "12.3456789"])
def test_any_rate_of_a_folder(rate, tmp_path, apply):
    (tmp_path / "frames").mkdir()
    for number, samples in enumerate(moving(4)):
        Image.fromarray(samples).save(tmp_path / "frames" / f"{number}.png")
    assert apply(SAME, tmp_path / "frames", tmp_path / "out.mp4", rate=rate) == FINISHED
    times, _ = frames_of(tmp_path / "out.mp4")
    assert float(times[3]) == pytest.approx(3 / float(rate), rel=1e-4)


@pytest.mark.parametrize("rate", ["0", "1e-10", "1001", "fast", "1/0"])
def test_a_rate_that_is_none(rate, tmp_path, apply, capsys):
    (tmp_path / "frames").mkdir()
    Image.fromarray(moving(1)[0]).save(tmp_path / "frames" / "0.png")
    assert apply(SAME, tmp_path / "frames", tmp_path / "out.mp4", rate=rate) == MISTAKE
    assert f"--rate: got {rate!r}" in capsys.readouterr().err


def interrupted(monkeypatch, place, error):
    """From now on a function of the segments fails before it does anything."""

    def fail(*given, **options):
        raise error

    monkeypatch.setattr(segments, place, fail)


@pytest.mark.parametrize("place", ["join", "sign_file", "describe_file"])
def test_what_is_computed_outlives_a_full_disk_at_the_end(place, film, tmp_path, apply, capsys, monkeypatch):
    taken = []
    counting = dataclasses.replace(SAME, apply=lambda x: taken.append(len(x)) or x)
    options = {"compare": tmp_path / "side.mp4", "batch_size": 1}
    with monkeypatch.context() as patch:
        interrupted(patch, place, OSError(28, "No space left on device"))
        assert apply(counting, film, tmp_path / "out.mp4", **options) == SOME_FAILED
    assert "out.mp4 cannot be written: No space left on device" in capsys.readouterr().out
    assert not (tmp_path / "out.mp4").exists()
    assert sum(taken) == 10
    assert apply(counting, film, tmp_path / "out.mp4", **options) == FINISHED
    assert sum(taken) == 10  # nothing anew
    assert len(frames_of(tmp_path / "out.mp4")[0]) == len(frames_of(tmp_path / "side.mp4")[0]) == 10
    assert not list(tmp_path.glob(".*"))


def test_segments_end_at_cuts_and_else_at_their_length(tmp_path, apply, monkeypatch):
    frames = [*moving(20), *(255 - moving(60))]
    film = make(tmp_path / "film.mkv", frames, "ffv1", "bgr0")
    with monkeypatch.context() as patch:
        interrupted(patch, "join", OSError(28, "No space left on device"))
        assert apply(SAME, film, tmp_path / "out.mp4") == SOME_FAILED
    record = json.loads((tmp_path / ".out.mp4.segments" / "segments.json").read_text())
    assert [frames for _, frames, _, _ in record["closed"]] == [20, segments.LENGTH, 12]
    assert segments.SHORTEST > Cuts.MEMORY  # else what is found after a kill depends on frames before it


def test_a_segment_that_a_power_cut_left_empty_is_made_anew(film, tmp_path, apply, monkeypatch):
    monkeypatch.setattr(segments, "LENGTH", 4)
    options = {"provenance": "false"}
    assert apply(SAME, film, tmp_path / "whole.mp4", **options) == FINISHED
    with monkeypatch.context() as patch:
        interrupted(patch, "join", OSError(28, "No space left on device"))
        assert apply(SAME, film, tmp_path / "out.mp4", **options) == SOME_FAILED
    (tmp_path / ".out.mp4.segments" / "000001.mp4").write_bytes(b"")
    (tmp_path / ".out.mp4.segments" / "@eaDir").mkdir()  # of a network drive
    assert apply(SAME, film, tmp_path / "out.mp4", **options) == FINISHED
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_other_options_begin_anew_and_a_second_process_is_refused(film, tmp_path, apply, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted(patch, "join", OSError(28, "No space left on device"))
        assert apply(SAME, film, tmp_path / "out.mp4") == SOME_FAILED
    capsys.readouterr()
    with open(tmp_path / ".out.mp4.segments" / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert apply(SAME, film, tmp_path / "out.mp4") == SOME_FAILED
        assert "another process writes " in capsys.readouterr().out
    assert apply(SAME, film, tmp_path / "out.mp4", quality=30) == FINISHED
    assert "starts over" in capsys.readouterr().out


def test_a_folder_of_frames_that_holds_the_output_is_not_another_input(tmp_path, apply, monkeypatch):
    folder, taken = tmp_path / "frames", []
    folder.mkdir()
    for number, samples in enumerate(moving(6)):
        Image.fromarray(samples).save(folder / f"{number}.png")
    counting = dataclasses.replace(SAME, apply=lambda x: taken.append(len(x)) or x)
    with monkeypatch.context() as patch:
        interrupted(patch, "join", OSError(28, "No space left on device"))
        assert apply(counting, folder, folder / "out.mp4", batch_size=1) == SOME_FAILED
    assert apply(counting, folder, folder / "out.mp4", batch_size=1) == FINISHED
    assert sum(taken) == 6


KILLED = """
    import os, signal, sys
    import numpy as np
    import jaxgan.commands.apply as apply
    import jaxgan.media.films.segments as segments
    from jaxgan.jobs import films
    from jaxgan.main import main
    from jaxgan.inference.restorer import Restorer

    segments.LENGTH = 7
    mirrored = Restorer(lambda x: x[:, :, ::-1], 1, 3, 3, "mirrors", None, fingerprint=sys.argv[1])
    apply.load_pretrained = lambda name: mirrored
    left = int(sys.argv[2])
    add = segments.SegmentedFilm.add

    def counted(self, frame):
        global left
        add(self, frame)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    segments.SegmentedFilm.add = counted
    sys.exit(main(["--mode=apply", "--pretrained=x", *sys.argv[3:]]))
"""


@pytest.mark.slow
def test_what_was_killed_goes_on(tmp_path):
    """Five kills at random moments, and once while another model asks for the same film."""
    film = make(tmp_path / "film.mp4", moving(60), times=[9 * n + n % 4 for n in range(60)], tick=Fraction(1, 250))
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED))

    def call(output, kill, model="a"):
        flags = [f"--input={film}", f"--output={tmp_path / output}", "--provenance=false"]  # which tells the time
        flags += [f"--compare={tmp_path / ('side-' + output)}"]
        done = subprocess.run([sys.executable, script, model, str(kill), *flags], env=os.environ, check=False)
        return done.returncode

    assert call("whole.mp4", 0) == 0
    for kill in np.random.default_rng(0).integers(9, 40, 5):
        assert call("killed.mp4", kill) == -signal.SIGKILL
        assert not (tmp_path / "killed.mp4").exists()
    assert call("killed.mp4", 0) == 0
    for name in ("", "side-"):
        assert (tmp_path / f"{name}killed.mp4").read_bytes() == (tmp_path / f"{name}whole.mp4").read_bytes()
    assert call("other.mp4", 20, "a") == -signal.SIGKILL
    assert call("other.mp4", 0, "b") == 0
    assert (tmp_path / "other.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not list(tmp_path.glob(".*"))
