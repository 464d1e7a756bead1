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


def axis_size() -> int:
    """How many devices the axis has; 1 where there is none."""
    name = axis_name()
    return 1 if name is None else jax.lax.axis_size(name)
