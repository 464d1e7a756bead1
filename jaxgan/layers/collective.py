"""The axis over which a step runs under `pmap`; None under `jit`, where everything is global already.

Batch statistics and whatever else is a mean over the batch reduce over it.
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
    """Names the axis for what is traced inside."""
    token = _axis.set(name)
    try:
        yield
    finally:
        _axis.reset(token)


def axis_name() -> str | None:
    """The name of the axis, None under `jit`."""
    return _axis.get()


def pmean(tree: T) -> T:
    """The mean of every array of a tree over the axis; the tree itself where there is none."""
    return tree if axis_name() is None else jax.lax.pmean(tree, axis_name())


def all_rows(x: jax.Array) -> jax.Array:
    """The rows of all devices, which follow each other; x itself where there is no axis."""
    return x if axis_name() is None else jax.lax.all_gather(x, axis_name(), tiled=True)


def own_rows(x: jax.Array) -> jax.Array:
    """Of as many rows as `all_rows` gives those of this device."""
    name, rows = axis_name(), x.shape[0] // axis_size()
    return x if name is None else jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(name) * rows, rows)


def axis_size() -> int:
    """How many devices the axis has; 1 where there is none."""
    name = axis_name()
    return 1 if name is None else jax.lax.axis_size(name)
