"""A run that began on one device resumes over two with split params, under pmap, and back."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from toy import BATCH

from jaxgan.checkpoints.on_disk import steps_on_disk
from jaxgan.errors import FINISHED
from jaxgan.main import main
from jaxgan.parallel import distributed
from jaxgan.reporting.writer import read_scalars

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
CONFIG = str(HERE.parent.parent / "configs" / "vanilla_gan.py")
TWO_DEVICES = {
    "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
    "JAX_PLATFORMS": "cpu",
}


def on_two_devices(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **TWO_DEVICES}, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elastic")
    on_two_devices(str(HERE / "elastic.py"), str(folder / "found.npz"), str(folder))
    with np.load(folder / "found.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("saved_by", ["at_4", "at_8", "at_8_of_pmap"])
def test_a_checkpoint_is_the_same_bits_wherever_it_is_restored(found, saved_by):
    for name in ("fsdp", "pmap"):
        np.testing.assert_array_equal(found[f"{saved_by}/{name}"], found[f"{saved_by}/one"])


def test_a_checkpoint_of_one_device_is_restored_split(found):
    assert (found["split/one"], found["split/pmap"]) == (0, 0)
    assert found["split/fsdp"] >= 8  # params, both moments and the average of them


def test_a_run_resumed_over_other_devices_plays_the_same_data_with_the_same_result(found):
    np.testing.assert_array_equal(found["order/elastic"], found["order/unbroken"])
    np.testing.assert_array_equal(found["order/pmap"], found["order/unbroken"][4 * BATCH : 8 * BATCH])
    np.testing.assert_allclose(found["params/elastic"], found["params/unbroken"], atol=1e-5, rtol=1e-4)


def test_a_run_resumed_under_pmap_and_back_differs_in_noise_only(found):
    assert np.isfinite(found["params/pmap"]).all()
    assert (found["params/pmap"] != found["params/unbroken"]).any()
    np.testing.assert_allclose(found["params/pmap"], found["params/unbroken"], atol=0.2)


def test_the_same_command_with_another_mesh_goes_on(tmp_path, capfd, monkeypatch):
    put_together = []  # the arrays that several processes would gather on one device
    monkeypatch.setattr(distributed, "on_one_device", lambda state: put_together.append(state) or state)
    flags = [
        *("--config", CONFIG, "--workdir", str(tmp_path / "run"), "--config.data.name=jaxgan_digits"),
        *("--config.data.resolution=16", "--config.batch_size=8", "--config.rounds_per_dispatch=1"),
        *("--config.evaluation.samples=32", "--config.evaluation.batch_size=32"),
        *("--config.evaluation.features=patches", "--config.samples.rows=2", "--config.samples.columns=2"),
        *("--config.plots=false", "--config.tensorboard=false", "--config.compilation_cache=false"),
        *("--config.checkpoint.every_images=None", "--config.samples.every_images=None", "--config.log_every=1"),
    ]
    assert main([*flags, "--config.images=16"]) == FINISHED
    assert not put_together  # samples and scores are computed where the weights are
    reported = on_two_devices("-m", "jaxgan.main", *flags, "--config.images=32", "--config.parallel.mesh.fsdp=2")
    assert "config.parallel.mesh.fsdp is now 2; it was 1" in reported
    capfd.readouterr()
    assert main([*flags, "--config.images=48", "--config.parallel.runner=pmap"]) == FINISHED
    reported = capfd.readouterr().err
    assert "config.parallel.mesh.fsdp is now 1; it was 2" in reported
    assert "config.parallel.runner is now 'pmap'; it was 'jit'" in reported
    assert steps_on_disk(tmp_path / "run" / "checkpoints")[-1] == 6
    rows = [row for row in read_scalars(tmp_path / "run" / "scalars.jsonl") if "generator/loss" in row["scalars"]]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(row["scalars"]["generator/loss"]) for row in rows)
