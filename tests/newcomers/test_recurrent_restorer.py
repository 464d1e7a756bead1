"""An external recurrent restorer: whole clips, clips frame by frame, and films give equal results."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from filming import frames_of, make

import jaxgan
from jaxgan.errors import FINISHED
from jaxgan.inference.windows import AROUND, SIZE
from jaxgan.main import main

NAME = "recurrent_restorer"
HERE = pathlib.Path(__file__).parent
ALLOW = (NAME, "clip_generator")  # which has the data
QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false"}
ROUND = 8 * 4  # frames


def flags(workdir, rounds):
    fields = {**QUIET, "images": str(rounds * ROUND)}
    given = [f"--config.{field}={value}" for field, value in fields.items()]
    return [f"--allow={','.join(ALLOW)}", f"--config={HERE / NAME / 'config.py'}", f"--workdir={workdir}", *given]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained to the fourth round without a stop."""
    if not (runs / "whole").exists():
        assert main(flags(runs / "whole", 4)) == FINISHED
    return runs / "whole"


def clips(count=2, frames=5, side=8):
    return np.random.default_rng(0).uniform(-1, 1, (count, frames, side, side, 1)).astype(np.float32)


def test_a_clip_at_once_is_the_clip_frame_by_frame(run):
    condition = clips()
    whole = jaxgan.load(run, "clips", allow=ALLOW)(condition=condition)["image"]
    assert whole.shape == (2, 5, 16, 16, 1)
    model, memory = jaxgan.load(run, allow=ALLOW), {}
    for number in range(condition.shape[1]):
        made = model(condition=condition[:, number], **memory)
        memory = {"memory": made["memory"]}
        np.testing.assert_allclose(made["image"], whole[:, number], atol=1e-5)
    first = model(condition=condition[:, -1])["image"]
    assert np.abs(first - whole[:, -1]).max() > 1e-3  # the memory has an effect


def test_a_film_is_the_clip(run, tmp_path):
    rng = np.random.default_rng(1)
    frames = (rng.integers(0, 256, (1, 12, 16, 1)) + rng.integers(0, 30, (6, 12, 16, 1))).clip(0, 255)
    film = make(tmp_path / "film.mkv", frames.repeat(3, axis=3).astype(np.uint8), "ffv1", "bgr0")
    call = ["--mode=apply", f"--workdir={run}", f"--allow={','.join(ALLOW)}", f"--input={film}", "--codec=ffv1"]
    assert main([*call, f"--output={tmp_path / 'out.mkv'}"]) == FINISHED
    _, restored = frames_of(tmp_path / "out.mkv")
    condition = frames[None].astype(np.float32) / 127.5 - 1
    wanted = jaxgan.load(run, "clips", allow=ALLOW)(condition=condition)["image"][0]
    levels = np.rint(np.clip(wanted, -1, 1) * 127.5 + 127.5).astype(int)
    assert np.abs(restored.astype(int) - levels).max() <= 1


def test_a_product_of_whole_clips_restores_a_film_window_by_window(run, tmp_path):
    rng = np.random.default_rng(2)  # similar frames, or each would be a separate shot
    frames = (rng.integers(0, 256, (1, 12, 16, 1)) + rng.integers(0, 30, (6, 12, 16, 1))).clip(0, 255)
    film = make(tmp_path / "film.mkv", frames.repeat(3, axis=3).astype(np.uint8), "ffv1", "bgr0")
    call = ["--mode=apply", f"--workdir={run}", f"--allow={','.join(ALLOW)}", f"--input={film}", "--codec=ffv1"]
    assert main([*call, f"--output={tmp_path / 'out.mkv'}", "--product=clips"]) == FINISHED
    _, restored = frames_of(tmp_path / "out.mkv")
    shown = frames[[0] * AROUND + list(range(6)) + [5] * (SIZE - 6 + AROUND)]
    model = jaxgan.load(run, "clips", allow=ALLOW)
    wanted = model(condition=shown[None].astype(np.float32) / 127.5 - 1)["image"][0, AROUND : AROUND + 6]
    levels = np.rint(np.clip(wanted, -1, 1) * 127.5 + 127.5).astype(int)
    assert np.abs(restored.astype(int) - levels).max() <= 1


def test_images_are_clips_of_one_frame(run):
    model, picture = jaxgan.load(run, "clips", allow=ALLOW), clips()[0, 0]
    shown = np.repeat(picture[None, None], SIZE + 2 * AROUND, axis=1)
    np.testing.assert_allclose(model.restore(picture), model(condition=shown)["image"][0, AROUND], atol=1e-5)


def test_it_is_scored_frame_by_frame_with_its_memory(run):
    assert main(["--mode=evaluate", f"--workdir={run}", f"--allow={','.join(ALLOW)}"]) == FINISHED
    scores = json.loads((run / "scores-4.json").read_text())["scores"]
    while_training = json.loads((run / "scores.json").read_text())["scores"]
    assert scores == pytest.approx(while_training, rel=1e-3)
    # the first 16 frames are those of four clips
    from clip_generator import Dots

    from jaxgan.augment.degradations import Bicubic

    truth = Dots("test", side=16).read(range(4))["image"].astype(np.float32) / 127.5 - 1
    small = np.asarray(Bicubic(scale=2)(None, truth.reshape(-1, 16, 16, 1))).reshape(4, 4, 8, 8, 1)
    made = jaxgan.load(run, "clips", allow=ALLOW)(condition=small)["image"].clip(-1, 1)
    error = np.square(np.rint(made * 127.5 + 127.5) - np.rint(truth * 127.5 + 127.5))[:, :, 2:-2, 2:-2]
    psnr = np.mean(10 * np.log10(255**2 / error.mean(axis=(2, 3, 4))))
    assert scores["psnr/bicubic_x2"] == pytest.approx(psnr, abs=0.02)


KILLED = """
    import os, signal, sys
    from jaxgan.main import main
    from jaxgan.checkpoints.checkpoint import Checkpoints

    save = Checkpoints.save

    def killed(self, state, *, step, **options):
        save(self, state, step=step, **options)
        if step == 2:
            self.wait()
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.save = killed
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_killed_run_resumes_as_if_it_had_not_been_killed(run, runs):
    script, killed = runs / "script.py", [*flags(runs / "killed", 4), f"--config.checkpoint.every_images={2 * ROUND}"]
    script.write_text(textwrap.dedent(KILLED))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, script, *killed], env=environment, check=False).returncode == -signal.SIGKILL
    assert subprocess.run([sys.executable, script, *killed], env=environment, check=False).returncode == FINISHED
    whole, resumed = (jaxgan.load(each, allow=ALLOW).tensors() for each in (run, runs / "killed"))
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
