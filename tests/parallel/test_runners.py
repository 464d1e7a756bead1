"""Meshes, and the placement of arrays."""

import jax
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.parallel.mesh import check_batch, make_mesh
from jaxgan.parallel.placement import split_params
from jaxgan.parallel.runners import PmapRunner


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
