"""One device against several simulated ones, under jit, under pmap, and with split params: equal results."""

import itertools
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.slow

# older emitters round otherwise in programs of other shardings: 1e-3 of params after ten steps with batch norm
NEWER_EMITTERS = os.environ["XLA_FLAGS"].replace("fusion_emitters=false", "fusion_emitters=true")
FOUR_DEVICES = {
    "XLA_FLAGS": f"{NEWER_EMITTERS} --xla_force_host_platform_device_count=4",
    "JAX_PLATFORMS": "cpu",
}
GIVEN = ("toy", "microbatches", "remembering", "convolutional")  # games whose latents come with the batch


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    script = pathlib.Path(__file__).parent / "many_devices.py"
    path = tmp_path_factory.mktemp("devices") / "found.npz"
    done = subprocess.run(
        [sys.executable, str(script), str(path)],
        env={**os.environ, **FOUR_DEVICES},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as found:
        return dict(found)


def fields(runs, game, runner):
    prefix = f"{game}/{runner}/"
    return {name.removeprefix(prefix): array for name, array in runs.items() if name.startswith(prefix)}


@pytest.mark.parametrize(("game", "runner"), [("toy", "jit"), *itertools.product(GIVEN, ("pmap", "fsdp"))])
def test_many_devices_equal_one(runs, game, runner):
    many, one = fields(runs, game, runner), fields(runs, game, "one")
    assert many["images"] == one["images"] > 0
    for name, array in one.items():
        np.testing.assert_allclose(many[name], array, atol=1e-5, rtol=1e-4, err_msg=name)


def test_the_compared_carry_and_variables_are_not_trivial(runs):
    remembering, convolutional = fields(runs, "remembering", "one"), fields(runs, "convolutional", "one")
    assert (remembering["carry"] != 0).sum() >= 5  # two means of LeCam, the accuracy, the probability, its images
    assert np.abs(convolutional["variables"]).max() > 0  # statistics of batch norm
    assert (convolutional["ema_params"] != convolutional["params"][-len(convolutional["ema_params"]) :]).any()


def test_noise_is_a_function_of_the_seed_alone(runs):
    assert jax.config.jax_threefry_partitionable
    np.testing.assert_array_equal(runs["draws/many"], runs["draws/one"])


def test_random_numbers_do_not_depend_on_the_devices(runs):
    many, one = fields(runs, "drawing", "fsdp"), fields(runs, "drawing", "one")
    assert np.abs(one["carry"]).max() > 0  # the mean path length, the augmentation's probability
    for name, array in one.items():
        np.testing.assert_allclose(many[name], array, atol=1e-4, rtol=1e-3, err_msg=name)


def test_each_device_gets_its_share_of_the_state(runs):
    """By the compiler's count of the step's arguments: params, moments and averages, and little else."""
    share = runs["arguments"] / runs["arguments"][0]
    np.testing.assert_allclose(share, [1, 1 / 2, 1 / 4], rtol=0.02)
