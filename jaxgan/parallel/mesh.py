"""The mesh of devices, and checks of what fits on it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan.errors import UserError

AXES = ("data", "fsdp")


def make_mesh(shape: Mapping[str, int], devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the axes `data` and `fsdp`; one of the sizes may be -1: all remaining devices.

    `devices` None: all devices, ordered by process like the rows of a batch. Raises UserError if the product of the
    sizes is not the number of devices.
    """
    if devices is None:
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    sizes = [shape.get(axis, 1) for axis in AXES]
    if sizes.count(-1) == 1:
        known = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = max(1, len(devices) // known)
    if math.prod(sizes) != len(devices) or min(sizes) < 1:
        raise UserError(
            f"config.parallel.mesh: got {dict(shape)}, expected sizes whose product is the {len(devices)} device(s)"
        )
    return Mesh(np.asarray(devices).reshape(sizes), AXES)


def memory_bytes(mesh: Mesh) -> int:
    """The memory of all devices of a mesh together; for CPUs that of their hosts."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return int(limit) * mesh.size
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * jax.process_count()


def check_memory(tree: Any, mesh: Mesh, *, what: str, advice: str) -> None:
    """Raise UserError for arrays, given by their shapes, that need more memory than all devices have together."""
    needed = sum(math.prod(each.shape) * each.dtype.itemsize for each in jax.tree.leaves(tree))
    there = memory_bytes(mesh)
    if needed > there:
        sizes = f"{what} takes {needed / 1e9:,.1f} GB, and the {mesh.size} device(s) have {there / 1e9:,.1f}"
        raise UserError(f"{sizes}: {advice}")


def check_batch(batch_size: int, microbatches: int, mesh: Mesh) -> None:
    """Raise UserError for a batch that does not divide over the devices and the microbatches."""
    parts = mesh.size * microbatches
    if batch_size % parts:
        near = max(parts, round(batch_size / parts) * parts)
        raise UserError(
            f"config.batch_size: got {batch_size}, expected multiples of {parts} "
            f"({mesh.size} device(s) x {microbatches} microbatch(es)), such as {near}"
        )
