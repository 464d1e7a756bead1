"""`--mode=apply` on films by products that carry a memory from frame to frame."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap

import jax.numpy as jnp
import numpy as np
import pytest
from filming import frames_of, make, moving
from PIL import Image

from jaxgan.errors import FINISHED
from jaxgan.fields import pixel_field
from jaxgan.game import Product, Weights
from jaxgan.inference.restorer import make_restorer
from jaxgan.media.films import segments
from jaxgan.media.films.cuts import Cuts
from jaxgan.media.reading import Picture

SHOTS = (14, 3, 13, 15)  # frames
ANY = pixel_field(None, None, 3)
EXACT = {"codec": "ffv1", "provenance": "false"}


def recurrent(delay):
    """Half of a frame, a quarter of the one `delay` later, and of the mean of those before, of which old ones fade."""

    def begin(weights, asked):
        x = asked["condition"]
        nothing = jnp.zeros((len(x), delay, *x.shape[1:]))
        return {"before": x, "late": nothing, "count": jnp.zeros(len(x), jnp.bfloat16)}

    def forward(weights, asked, memory):
        frames = jnp.concatenate([memory["late"], asked["condition"][:, None]], axis=1)
        image = 0.5 * frames[:, 0] + 0.25 * frames[:, -1] + 0.25 * memory["before"]
        real = (memory["count"] >= delay)[:, None, None, None]
        before = jnp.where(real, 0.5 * memory["before"] + 0.5 * frames[:, 0], memory["before"])
        return {"image": image}, {"before": before, "late": frames[:, 1:], "count": memory["count"] + 1}

    return Product({"condition": ANY}, {"image": ANY}, (), forward, begin, receptive_field=0, delay=delay)


def restorer(delay):
    return make_restorer(recurrent(delay), Weights({}, {}), description="tests")


def expected(frames, delay):
    """The same of a shot, uint8 `[T,H,W,3]`, all at once."""
    x = frames.astype(np.float32) / 127.5 - 1
    before, made = x[0], []
    for number, frame in enumerate(x):
        made.append(0.5 * frame + 0.25 * x[min(number + delay, len(x) - 1)] + 0.25 * before)
        before = 0.5 * before + 0.5 * frame
    return np.rint(np.stack(made) * 127.5 + 127.5).astype(np.uint8)


def shots(frames):
    cuts = Cuts()
    return np.split(frames, [number for number, frame in enumerate(frames) if cuts.seen(Picture(frame))])


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    first, second, third, last = SHOTS
    noise = np.random.default_rng(0).integers(0, 256, (last, 36, 64, 3), np.uint8)  # cuts, for who does not look back
    frames = [moving(first), 255 - moving(second), moving(third), noise]
    path = tmp_path_factory.mktemp("films") / "film.mkv"
    return make(path, np.concatenate(frames), "ffv1", "bgr0")


@pytest.mark.parametrize("delay", [0, 5])
def test_a_shot_is_restored_as_if_it_were_alone(delay, film, tmp_path, apply):
    _, frames = frames_of(film)
    parts = shots(frames)
    assert [len(part) for part in parts] == [*SHOTS]
    assert apply(restorer(delay), film, tmp_path / "out.mkv", **EXACT) == FINISHED
    _, restored = frames_of(tmp_path / "out.mkv")
    wanted = np.concatenate([expected(part, delay) for part in parts])
    assert np.abs(restored.astype(int) - wanted).max() <= 1  # of 255: they are rounded
    alone = make(tmp_path / "third.mkv", parts[2], "ffv1", "bgr0")
    assert apply(restorer(delay), alone, tmp_path / "alone.mkv", **EXACT) == FINISHED
    np.testing.assert_array_equal(frames_of(tmp_path / "alone.mkv")[1], restored[sum(SHOTS[:2]) : sum(SHOTS[:3])])


class Killed(BaseException):
    """What nothing in the suite catches."""


@pytest.mark.parametrize(("delay", "options"), [(0, {}), (2, {"tile": 32}), (5, {"compare": "side.mkv"})])
def test_what_was_stopped_goes_on_with_its_memory(delay, options, film, tmp_path, apply, monkeypatch):
    """After every stop in the middle of a shot, right before a cut and after it, and however long segments are."""
    called, standin = [], restorer(delay)
    counting = dataclasses.replace(standin, advance=lambda *given: called.append(1) or standin.advance(*given))
    monkeypatch.chdir(tmp_path)
    assert apply(standin, film, tmp_path / "whole.mkv", **EXACT, **options) == FINISHED
    _, whole = frames_of(tmp_path / "whole.mkv")
    add = segments.SegmentedFilm.add
    for length, stop in ((4, 13), (13, 20), (14, 20)):
        stopped = 0
        with monkeypatch.context() as patch:
            patch.setattr(segments, "LENGTH", length)
            for _ in range(9):
                left = iter(range(stop, -1, -1))

                def failing(self, frame, left=left):
                    if "out" in self.folder.name and not next(left, 1):  # and not the one that compares
                        raise Killed
                    add(self, frame)

                patch.setattr(segments.SegmentedFilm, "add", failing)
                called.clear()
                try:
                    assert apply(counting, film, tmp_path / "out.mkv", **EXACT, **options) == FINISHED
                    break
                except Killed:
                    stopped += 1
        assert stopped > 1
        np.testing.assert_array_equal(frames_of(tmp_path / "out.mkv")[1], whole)
        assert "tile" in options or len(called) < len(whole)  # what was finished is not computed again
        (tmp_path / "out.mkv").unlink()
        assert not list(tmp_path.glob(".*"))


def test_without_what_it_remembered_a_film_begins_anew(film, tmp_path, apply, monkeypatch):
    monkeypatch.setattr(segments, "LENGTH", 4)
    assert apply(restorer(1), film, tmp_path / "whole.mkv", **EXACT) == FINISHED
    with monkeypatch.context() as patch:
        patch.setattr(segments, "join", lambda *given, **options: (_ for _ in ()).throw(OSError(28, "No space left")))
        apply(restorer(1), film, tmp_path / "out.mkv", **EXACT)
    (kept,) = (tmp_path / ".out.mkv.segments").glob("*.npz")
    kept.write_bytes(b"PK")
    assert apply(restorer(1), film, tmp_path / "out.mkv", **EXACT) == FINISHED
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_a_still_is_a_shot_of_one_frame(tmp_path, apply):
    for number in range(2):
        Image.fromarray(moving(1, seed=number)[0]).save(tmp_path / f"{number}.png")
    (tmp_path / "out").mkdir()
    assert apply(restorer(2), tmp_path / "*.png", tmp_path / "out") == FINISHED
    for number in range(2):
        given = moving(1, seed=number)
        restored = np.asarray(Image.open(tmp_path / "out" / f"{number}.png"))
        assert np.abs(restored.astype(int) - expected(given, 2)[0]).max() <= 1


KILLED = """
    import os, signal, sys
    import jaxgan.commands.apply as apply
    import jaxgan.media.films.segments as segments
    from jaxgan.main import main
    from test_apply_memory import restorer

    segments.LENGTH = 7
    apply.load_pretrained = lambda name: restorer(2)
    left = int(sys.argv[1])
    add = segments.SegmentedFilm.add

    def counted(self, frame):
        global left
        add(self, frame)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    segments.SegmentedFilm.add = counted
    sys.exit(main(["--mode=apply", "--pretrained=x", *sys.argv[2:]]))
"""


@pytest.mark.slow
def test_what_was_killed_goes_on_with_its_memory(film, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED))

    def call(output, kill):
        flags = [f"--input={film}", f"--output={tmp_path / output}", "--codec=ffv1", "--provenance=false"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.run([sys.executable, script, str(kill), *flags], env=environment, check=False).returncode

    assert call("whole.mkv", 0) == 0
    for kill in (16, 19):
        assert call("killed.mkv", kill) == -signal.SIGKILL
    assert call("killed.mkv", 0) == 0
    assert (tmp_path / "killed.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
