"""An external task of four networks: two of one player, one frozen."""

import jax
import numpy as np
import pytest
from newcomer_runs import arrays, trainer

import jaxgan
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main

NAME = "four_networks"
train = trainer(NAME, 16)  # images


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained to the fourth round without a stop."""
    workdir = runs / "whole"
    if not workdir.exists():
        assert train(workdir, 4) == FINISHED
    return workdir


def test_both_networks_of_a_player_are_trained_and_the_teacher_is_not(run):
    first, last = arrays(run, 0), arrays(run, 4)
    moved = {name.split("/")[2] for name in first if "/params/" in name and not np.array_equal(first[name], last[name])}
    assert moved == {"mapping", "synthesis", "discriminator"}
    averages = {name.split("/")[2] for name in last if name.startswith("ema/")}
    assert averages == {"mapping", "synthesis"}
    moments = {name.split("/")[2] for name in last if name.startswith("state/opt_state/")}
    assert moments == {"painter", "discriminator"}


def test_a_resumed_run_equals_an_unbroken_one(run, runs):
    halves = runs / "halves"
    assert train(halves, 2) == FINISHED
    assert train(halves, 4) == FINISHED
    whole, resumed = arrays(run, 4), arrays(halves, 4)
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)


def test_the_commands_that_a_run_proposes_include_the_package(run, capfd):
    assert train(run, 4) == FINISHED
    reported = capfd.readouterr()
    assert f"--mode=sample --workdir={run} --allow={NAME} --kind=interpolate" in reported.out + reported.err


def test_it_is_scored_drawn_and_called(run, tmp_path):
    assert main(["--mode=evaluate", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    assert main(["--mode=sample", f"--allow={NAME}", f"--workdir={run}", f"--output={tmp_path / 'x.png'}"]) == FINISHED
    model = jaxgan.load(run, allow=(NAME,))
    images = model.generate(0, 3)
    assert images.shape == (3, 16, 16, 1)
    assert np.abs(images).max() <= 1
    assert np.ptp(images, axis=0).max() > 0.01  # other latents, other images
    painted = model(latent=jax.numpy.asarray(model.latents(0, 3)))["image"]
    np.testing.assert_allclose(painted, images, atol=1e-6)
    with pytest.raises(UserError, match="asks for 'latent'"):
        model.restore(images)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        ({"networks.teacher.name": "four_networks.Nobody"}, "config.networks.teacher.name: 'four_networks.Nobody'"),
        ({"networks.pupil.name": "four_networks.Teacher"}, "config.networks.pupil: four_networks.FourNetworks uses no"),
        ({"networks.teacher": "{}"}, "config.networks.teacher"),
        ({"optimizers.teacher.name": "adam", "optimizers.teacher.learning_rate": "1e-3"}, "config.optimizers.teacher"),
    ],
)
def test_a_mistake_in_its_networks_is_one_line(changes, reported, tmp_path, capsys):
    assert train(tmp_path / "run", 1, **changes) == MISTAKE
    error = capsys.readouterr().err.strip()
    assert reported in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()
