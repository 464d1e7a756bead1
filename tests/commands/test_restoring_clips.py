"""A run on real films from end to end: both stages, scores, a film with a cut, and a still."""

import json

import numpy as np
import pytest
from filming import frames_of, make
from PIL import Image

import jaxgan
from jaxgan.errors import FINISHED
from jaxgan.main import main

QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false"}
ROUND = 8 * 7


@pytest.mark.slow
def test_a_network_with_a_memory_is_trained_in_two_stages_and_restores_films_and_stills(tmp_path):
    fields = {**QUIET, "tiny": "true", "data.crops": "2", "data.hop": "30", "images": str(3 * ROUND)}
    fields |= {"task.adversarial_start": str(ROUND), "task.adversary.penalties": "()", "networks.generator.blocks": "1"}
    fields |= {"evaluators.films.samples": "16"}
    flags = [f"--config.{name}={value}" for name, value in fields.items()]
    workdir = tmp_path / "run"
    assert main(["--config=configs/vsr_clips.py:tecogan", f"--workdir={workdir}", *flags]) == FINISHED
    scores = json.loads((workdir / "scores.json").read_text())["scores"]
    assert scores["films/psnr/bicubic_x4"] > 20
    assert main(["--mode=evaluate", f"--workdir={workdir}"]) == FINISHED
    again = json.loads((workdir / "scores-3.json").read_text())["scores"]
    assert again == pytest.approx(scores, rel=1e-3)

    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (1, 12, 16, 3), np.uint8).repeat(4, axis=0) for _ in range(2))
    film = make(tmp_path / "film.mkv", np.concatenate([first, second]), "ffv1", "bgr0")
    call = ["--mode=apply", f"--workdir={workdir}"]
    assert main([*call, "--codec=ffv1", f"--input={film}", f"--output={tmp_path / 'large.mkv'}"]) == FINISHED
    _, large = frames_of(tmp_path / "large.mkv")
    assert large.shape == (8, 48, 64, 3)
    model = jaxgan.load(workdir)
    shots = [np.asarray(model.restorer.shot(shot / np.float32(127.5) - 1)) for shot in (first, second)]
    wanted = np.rint(np.concatenate(shots).clip(-1, 1) * 127.5 + 127.5)
    assert np.abs(large - wanted).max() <= 1  # nothing is remembered over the cut
    Image.fromarray(second[0]).save(tmp_path / "still.png")
    assert main([*call, f"--input={tmp_path / 'still.png'}", f"--output={tmp_path / 'still_large.png'}"]) == FINISHED
    assert np.abs(np.asarray(Image.open(tmp_path / "still_large.png")) - wanted[4]).max() <= 1
