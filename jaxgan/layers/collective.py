"""The device axis of a step under `pmap`; None under `jit`, where all arrays are global already.

Batch statistics and all other means over the batch are reduced over it.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TypeVar

import jax

T = TypeVar("T")

_axis: contextvars.ContextVar[str | None] = contextvars.ContextVar("axis", default=None)


@contextlib.contextmanager
def axis(name: str | None) -> Iterator[None]:
    """Sets the axis name for code traced inside the context."""
    token = _axis.set(name)
    try:
        yield
    finally:
        _axis.reset(token)


def axis_name() -> str | None:
    """The name of the axis, None under `jit`."""
    return _axis.get()


def pmean(tree: T) -> T:
    """The mean of every array of a tree over the axis; the tree itself if there is no axis."""
    return tree if axis_name() is None else jax.lax.pmean(tree, axis_name())


def all_rows(x: jax.Array) -> jax.Array:
    """The rows of all devices, concatenated in device order; x itself if there is no axis."""
    return x if axis_name() is None else jax.lax.all_gather(x, axis_name(), tiled=True)


def own_rows(x: jax.Array) -> jax.Array:
    """This device's share of rows in the layout of `all_rows`; x itself if there is no axis."""
    name, rows = axis_name(), x.shape[0] // axis_size()
    return x if name is None else jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(name) * rows, rows)


def axis_size() -> int:
    """The number of devices on the axis; 1 if there is no axis."""
    name = axis_name()
    return 1 if name is None else jax.lax.axis_size(name)
