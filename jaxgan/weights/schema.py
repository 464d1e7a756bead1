"""Checks tensors that a network is read from: their shapes, dtypes, and that all numbers are finite."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.errors import UserError
from jaxgan.system.plain import plain

Shape = tuple[int | str, ...]  # a word stands for any size, and names the axis

FLOATING = "f"  # numpy's kind of the dtypes of weights; bfloat16 is read as float32


def checked(name: str, value: np.ndarray, *shapes: Shape, of: str = "the weights") -> np.ndarray:
    """The tensor as float32. Raises UserError if it has none of the shapes, is not floating-point, or not finite.

    Without shapes, any non-empty shape is valid. `of` names the source in errors.
    """
    value, shown = np.asarray(value), plain(name, 120)
    if shapes and not any(_fits(value.shape, shape) for shape in shapes):
        wanted = " or ".join(_shown(shape) for shape in shapes)
        raise UserError(f"{of}: {shown} has shape {value.shape}, expected {wanted}")
    if not value.size:
        raise UserError(f"{of}: {shown} has shape {value.shape}, expected a non-empty one")
    if value.dtype.kind != FLOATING:
        raise UserError(f"{of}: {shown} is of {value.dtype}, expected floating-point numbers")
    with np.errstate(over="ignore"):
        numbers = np.asarray(value, np.float32)
    check_finite([(name, numbers)], of)
    return numbers


def check_finite(tensors: Iterable[tuple[str, ArrayLike]], of: str) -> None:
    """Raises UserError for the first tensor with non-finite numbers, with their count."""
    for name, each in tensors:
        value = np.asarray(each)
        if value.dtype.kind == FLOATING and not np.isfinite(value).all():
            lost = value.size - int(np.isfinite(value).sum())
            raise UserError(f"{of}: {plain(name, 120)} has {lost} of {value.size} numbers that are not finite: refused")


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        size >= 1 if isinstance(each, str) else size == each for size, each in zip(found, wanted)
    )


def _shown(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
