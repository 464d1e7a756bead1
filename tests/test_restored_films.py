"""A restored film against its truth, from the command line."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks import restored_films
from jaxgan.metrics.temporal import clip_motion, tof, warping_error


def scene(frames, seed, height=48, width=64):
    """A clip uint8 `[t,h,w,3]` of a texture that moves by 2 pixels a frame, beside one that stands."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width + 2 * frames, 3))
    for _ in range(4):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
    clip = np.stack([noise[:, 2 * number : 2 * number + width] for number in range(frames)])
    clip[:, :, :20] = clip[:1, :, :20]
    return clip.astype(np.uint8)


def write(folder, clip):
    folder.mkdir()
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / f"{number:03}.png")
    return str(folder)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(**flags):
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        monkeypatch.setattr("sys.argv", ["restored_films", *arguments])
        return restored_films.main(), capsys.readouterr()

    return call


def test_scores_are_those_of_whole_shots(tmp_path, run, monkeypatch):
    shots = [scene(7, 0), 255 - scene(5, 1)]
    noise = np.random.default_rng(2).integers(-9, 10, (12, 48, 64, 3))
    truth = np.concatenate(shots)
    output = np.clip(truth + noise, 0, 255).astype(np.uint8)
    monkeypatch.setattr(restored_films, "BLOCK", 3)
    flags = {"truth": write(tmp_path / "truth", truth), "output": write(tmp_path / "output", output)}
    status, told = run(**flags, json=tmp_path / "table.json")
    assert status == 0
    assert "flicker" in told.out
    table = json.loads((tmp_path / "table.json").read_text())
    pairs = list(zip(truth, output))
    assert table["psnr"]["mean"] == pytest.approx(np.mean([peak_signal_noise_ratio(*pair) for pair in pairs]))
    ssims = [structural_similarity(*pair, channel_axis=-1) for pair in pairs]
    assert table["ssim"]["mean"] == pytest.approx(np.mean(ssims))
    assert table["ssim"]["deviation"] == pytest.approx(abs(np.mean(ssims[:7]) - np.mean(ssims[7:])) / 2)
    restored, motions = (output[:7], output[7:]), list(map(clip_motion, shots))
    flows, errors = ([score(*pair) for pair in zip(restored, motions)] for score in (tof, warping_error))
    assert table["tof"]["mean"] == pytest.approx(np.mean(np.concatenate(flows)))
    assert table["warping_error"]["mean"] == pytest.approx(np.mean(np.concatenate(errors)))
    assert table["warping_error"]["of_truth"] < table["warping_error"]["mean"]
    assert table["flicker"]["of_truth"] == pytest.approx(0.0, abs=0.2)
    assert table["flicker"]["mean"] == pytest.approx(19 / 3, rel=0.1)  # of two even noises of 19 levels


def test_films_that_do_not_fit_are_one_line(tmp_path, run):
    truth, short = write(tmp_path / "truth", scene(3, 0)), write(tmp_path / "short", scene(2, 0))
    small = write(tmp_path / "small", scene(3, 0)[:, :32])
    (tmp_path / "text.mp4").write_text("no film")
    for flags, expected in (
        ({"truth": truth, "output": short}, "--output: got 2 frames, expected as many as --truth"),
        ({"truth": short, "output": truth}, "--truth: got 2 frames, expected as many as --output"),
        ({"truth": truth, "output": small}, "64 x 48, .* has 64 x 32 pixels"),
        ({"truth": truth, "output": tmp_path / "none.mp4"}, "--output: .*none.mp4: No such file"),
        ({"truth": tmp_path / "text.mp4", "output": truth}, "--truth: .*text.mp4: "),
        ({"truth": truth, "output": truth, "border": 24}, "--border: got 24, which leaves no pixels of 64 x 48 pixels"),
        ({"truth": truth, "output": truth, "border": -1}, "--border: got -1"),
    ):
        status, told = run(**flags)
        assert status == 2
        assert told.out == ""
        assert told.err.count("\n") == 1
        assert re.search(expected, told.err), told.err


def test_one_frame_has_no_time(tmp_path, run):
    frame = write(tmp_path / "truth", scene(1, 0))
    status, told = run(truth=frame, output=frame)
    assert status == 0
    assert "psnr" in told.out
    assert "100.0" in told.out
    assert "flicker" not in told.out
