"""Numbers that change over a run, as functions of the traced `images_seen`, so that a change never recompiles.

A config may write such a number as a section `{"name": "cosine", "start": 2e-4, "stop": 5e-5, "images": 1_000_000}`
wherever a schedule is accepted.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax

from jaxgan.config.checking import check_type
from jaxgan.config.domains import Count, Finite, Number, Whole, moves
from jaxgan.errors import UserError
from jaxgan.game import Array

Schedule = Callable[[Array], Array]


def constant(*, value: Finite, warmup_images: Whole = 0) -> Schedule:
    """`value`, after a linear warm-up from 0 over `warmup_images`."""
    return _warmed(optax.constant_schedule(value), warmup_images)


def linear(*, start: Finite, stop: Finite, images: Count, warmup_images: Whole = 0) -> Schedule:
    """From `start` to `stop` in a straight line over `images`, then `stop`."""
    return _warmed(optax.linear_schedule(start, stop, images), warmup_images)


def cosine(*, start: Finite, stop: Finite, images: Count, warmup_images: Whole = 0) -> Schedule:
    """From `start` to `stop` along half a cosine over `images`, then `stop` (Loshchilov & Hutter 2017, eq. 5)."""
    half_cosine = optax.cosine_decay_schedule(1.0, images)
    return _warmed(lambda seen: stop + (start - stop) * half_cosine(seen), warmup_images)


def _warmed(schedule: Schedule, warmup_images: int) -> Schedule:
    if not warmup_images:
        return schedule
    return lambda seen: schedule(seen) * jnp.minimum(1.0, (seen + 1) / warmup_images)


SCHEDULES: dict[str, Callable[..., Schedule]] = {"constant": constant, "linear": linear, "cosine": cosine}


def make_schedule(number: Number, path: str = "schedule") -> Schedule:
    """The schedule that a config's number or section describes; `path` names it in errors.

    Raises UserError for an unknown name, an unknown key or a missing one.
    """
    if not isinstance(number, Mapping):
        check_type(number, Finite, path)
        return constant(value=float(number))
    name, arguments = number.get("name"), {key: value for key, value in number.items() if key != "name"}
    if not isinstance(name, str) or name not in SCHEDULES:
        raise UserError(f"{path}.name: got {name!r}, expected one of {', '.join(SCHEDULES)}")
    try:
        inspect.signature(SCHEDULES[name]).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{path}: {error}; {name} takes {inspect.signature(SCHEDULES[name])}") from None
    hints = typing.get_type_hints(SCHEDULES[name], include_extras=True)
    for key, value in arguments.items():
        check_type(value, hints[key], f"{path}.{key}")
    return SCHEDULES[name](**arguments)


def check_argument(value: object, annotation: Any, path: str) -> None:
    """Raises UserError if a value does not match an annotation; for a schedule, its keys are checked too."""
    if moves(annotation) and isinstance(value, Mapping):
        make_schedule(value, path)
    check_type(value, annotation, path)


def at(number: Number, images_seen: Array, path: str = "schedule") -> Array | float:
    """The value of a config's number at `images_seen`; a plain number stays a Python float."""
    return make_schedule(number, path)(images_seen) if isinstance(number, Mapping) else float(number)
