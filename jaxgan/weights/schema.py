"""What a network's reader expects of a tensor: its shape, its kind of numbers, and that they are finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain

Shape = tuple[int | str, ...]  # a word stands for any size, and says of what

FLOATING = "f"  # the kind of numpy's dtypes that weights have; bfloat16 is read as float32


def checked(name: str, value: np.ndarray, *shapes: Shape, of: str = "the weights") -> np.ndarray:
    """The tensor as float32. Raises UserError where it has none of the shapes, is no floating-point, or not finite.

    No shapes: any one is accepted, if it holds a number. `of` is what errors speak of.
    """
    value, shown = np.asarray(value), plain(name, 120)
    if shapes and not any(_fits(value.shape, shape) for shape in shapes):
        wanted = " or ".join(_told(shape) for shape in shapes)
        raise UserError(f"{of}: {shown} has shape {value.shape}, expected is {wanted}")
    if not value.size:
        raise UserError(f"{of}: {shown} has shape {value.shape}, expected is one with numbers")
    if value.dtype.kind != FLOATING:
        raise UserError(f"{of}: {shown} is of {value.dtype}, expected are floating-point numbers")
    with np.errstate(over="ignore"):
        numbers = np.asarray(value, np.float32)
    check_finite([(name, numbers)], of)
    return numbers


def check_finite(tensors: Iterable[tuple[str, Any]], of: str) -> None:
    """Raises UserError that names the first tensor with a number that is not finite, and says how many it has."""
    for name, value in tensors:
        value = np.asarray(value)
        if value.dtype.kind == FLOATING and not np.isfinite(value).all():
            lost = value.size - int(np.isfinite(value).sum())
            raise UserError(f"{of}: {plain(name, 120)} has {lost} of {value.size} numbers that are not finite: refused")


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        size >= 1 if isinstance(each, str) else size == each for size, each in zip(found, wanted)
    )


def _told(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
