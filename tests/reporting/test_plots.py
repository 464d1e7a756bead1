"""Plots of a run."""

import math

import numpy as np
import pytest
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.reporting import plots
from jaxgan.reporting.plots import write_plots
from jaxgan.reporting.writer import Writer

METRICS = {
    "discriminator/loss": 0.5,
    "discriminator/grad_norm": 2.0,
    "discriminator/real_logits": 1.0,
    "discriminator/fake_logits": -1.0,
    "discriminator/accuracy": 0.8,
    "generator/loss": 1.2,
    "generator/grad_norm": 0.0,
    "skipped": 1.0,
}
SCORES = {"frechet/features": 9.0, "precision/features": 0.7, "recall/features": 0.6}


@pytest.fixture
def run(tmp_path):
    def write(rows):
        with Writer(tmp_path, tensorboard=False) as writer:
            for step, scalars in enumerate(rows):
                writer.write(step, 64 * step, scalars)
        return tmp_path

    return write


def ink(path):
    """Share of the pixels that are not white."""
    with Image.open(path) as picture:
        return (np.asarray(picture.convert("L")) < 250).mean()


def test_a_run_gets_its_four_plots(run):
    workdir = run([*[METRICS] * 60, METRICS | {"generator/loss": math.nan}, METRICS | SCORES])
    written = write_plots(workdir)
    assert [path.name for path in written] == ["losses.png", "gradients.png", "logits.png", "scores.png"]
    assert sorted(p.name for p in (workdir / "plots").iterdir()) == sorted(path.name for path in written)
    assert all(0.01 < ink(path) < 0.5 for path in written)


def test_plots_without_curves_are_not_written(run):
    workdir = run([{"frechet/features": 9.0}])
    assert [path.name for path in write_plots(workdir)] == ["scores.png"]


def test_throughput_has_its_own_plot_and_is_not_a_score(run):
    reported = {"images_per_second": 800.0, "data_share": 0.1, "saves_share": 0.0, "peak_memory_gigabytes": 1.5}
    workdir = run([{f"throughput/{name}": value for name, value in reported.items()}] * 50)
    (path,) = write_plots(workdir)
    assert path.name == "throughput.png"
    assert 0.01 < ink(path) < 0.5


def test_a_run_without_scalars_has_no_plots(tmp_path):
    assert write_plots(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_curve_is_drawn_in_the_colour_of_its_player_and_a_metric_of_training_is_no_score(run):
    workdir = run([{"generator/loss": float(n % 7), "generator/r1": 3.0} for n in range(100)])
    (path,) = write_plots(workdir)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    assert path.name == "losses.png"
    assert (np.abs(pixels - [0x4C, 0x72, 0xB0]).max(-1) < 8).any(), "blue is the generator"
    assert not (np.abs(pixels - [0xC4, 0x4E, 0x52]).max(-1) < 8).any(), "red is the discriminator"


def test_without_matplotlib_one_line_names_the_extra(run, monkeypatch):
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    place = run([METRICS])
    with pytest.raises(UserError, match=r"pip install -e '\.\[plots\]'"):
        write_plots(place)
    assert not (place / "plots").exists()
