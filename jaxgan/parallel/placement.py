"""The placement of arrays: batches are split over all devices, large params and moments over `fsdp`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.parallel.mesh import AXES

SMALL = 2**16  # elements: below this, gathering costs more than the memory saved


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def copied(mesh: Mesh, arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Arrays that every process has, copied to every device; whether they are equal is not checked."""
    everywhere = replicated(mesh)  # `device_put` would send them between processes to compare them
    return {name: jax.make_array_from_process_local_data(everywhere, array) for name, array in arrays.items()}


def split_batch(mesh: Mesh, leading: int = 0) -> NamedSharding:
    """Rows split over all devices, after `leading` whole axes."""
    return NamedSharding(mesh, PartitionSpec(*[None] * leading, AXES))


def split_params(mesh: Mesh, tree: Any) -> Any:
    """A sharding for each array of a tree of shapes: large ones over `fsdp` by their largest divisible axis."""
    size = mesh.shape["fsdp"]

    def place(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        axes = [axis for axis, length in enumerate(leaf.shape) if length % size == 0]
        if size == 1 or leaf.size < SMALL or not axes:
            return replicated(mesh)
        largest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * largest, "fsdp"))

    return jax.tree.map(place, tree)
