"""One device against two simulated ones, under jit and pmap."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.parallel.mesh import check_batch, make_mesh
from jaxgan.parallel.placement import split_params
from jaxgan.parallel.runners import PmapRunner

TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def runs():
    script = pathlib.Path(__file__).parent / "two_devices.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **TWO_DEVICES},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("runner", ["jit", "pmap"])
@pytest.mark.parametrize("game", ["toy", "dcgan"])
def test_two_devices_equal_one(runs, game, runner):
    two, one = runs[game][runner], runs[game]["one"]
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-5)
    np.testing.assert_allclose(two["mean"], one["mean"], atol=1e-5)
    assert two["images"] == one["images"]


@pytest.mark.quick
def test_a_mesh_uses_all_devices():
    devices = list(range(8))
    assert make_mesh({"data": -1, "fsdp": 2}, devices).shape == {"data": 4, "fsdp": 2}
    assert make_mesh({"data": 8}, devices).shape == {"data": 8, "fsdp": 1}
    for wrong in ({"data": 3}, {"data": -1, "fsdp": 3}, {"data": 0}):
        with pytest.raises(UserError, match="8 device"):
            make_mesh(wrong, devices)


@pytest.mark.quick
def test_a_batch_divides_over_devices_and_microbatches():
    mesh = make_mesh({"data": -1}, list(range(8)))
    check_batch(64, 2, mesh)
    with pytest.raises(UserError, match=r"config\.batch_size: got 60, .* multiples of 16 .* such as 64"):
        check_batch(60, 2, mesh)


def test_large_params_are_split_over_fsdp_by_their_largest_divisible_axis():
    mesh = jax.sharding.AbstractMesh((1, 4), ("data", "fsdp"))
    tree = {
        "large": jax.ShapeDtypeStruct((3, 3, 512, 256), np.float32),
        "odd": jax.ShapeDtypeStruct((333, 333), np.float32),
        "small": jax.ShapeDtypeStruct((256,), np.float32),
    }
    specs = {name: tuple(sharding.spec) for name, sharding in split_params(mesh, tree).items()}
    assert specs == {"large": (None, None, "fsdp"), "odd": (), "small": ()}


def test_pmap_with_fsdp_is_refused():
    with pytest.raises(UserError, match="fsdp"):
        PmapRunner(lambda *_: None, jax.sharding.AbstractMesh((1, 2), ("data", "fsdp")))
