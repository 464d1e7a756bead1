"""Checks config values against type annotations, and words the error messages."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from jaxgan.config.domains import domain_of, moves
from jaxgan.errors import UserError

SHOWN = 160  # characters of a value in a message

Section = Mapping[str, Any]  # {"name": "dcgan.Generator", **keyword arguments}


def check_type(value: object, annotation: Any, path: str) -> None:
    """Raises UserError if a config value does not have the annotated type, or a number is outside its domain.

    An int is valid for a float. Annotations that a config cannot express (arrays, functions) are not checked.
    """
    if _fits(value, annotation):
        return
    if annotation == Mapping[str, Section] and isinstance(value, Mapping):
        for key, each in value.items():
            check_type(each, Section, f"{path}.{key}")
    domain = domain_of(annotation)
    if domain is not None and isinstance(value, Mapping) and isinstance(value.get("name"), str) and moves(annotation):
        key = next(domain.wrong_points(value))
        raise UserError(f"{path}.{key}: got {shown(value[key])}, expected {domain.describe(value[key])}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if domain is not None and number and _fits(value, typing.get_args(annotation)[0]):
        raise UserError(f"{path}: got {shown(value)}, expected {domain.describe(value)}")
    raise UserError(f"{path}: got {shown(value)}, expected {type_name(annotation)}")


def shown(value: object) -> str:
    """A value as text for a message, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def unknown_key(path: str, key: str, known: Iterable[str]) -> UserError:
    """The error for an unknown key, with the nearest known spelling."""
    return UserError(f"{path}.{key} does not exist; {nearest(key, known)}")


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known name, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(key), known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known) or 'none'}"


def type_name(annotation: Any) -> str:
    """A readable name of an annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if (domain := domain_of(annotation)) is not None:
        kind = "a number or a schedule" if moves(annotation) else type_name(arguments[0])
        return f"{kind}{domain.joint}{domain}"
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(each) for each in arguments)
    if annotation is type(None):
        return "None"
    if origin is Mapping or annotation is Mapping:
        return f"a section of {type_name(arguments[1])}" if domain_of((*arguments, Any)[1]) else "a section"
    if origin in (Sequence, tuple) and arguments:
        kinds = list(dict.fromkeys(type_name(each) for each in arguments if each is not ...))
        return f"a tuple of {' and '.join(kinds)}" if kinds[0] != "Any" else "a tuple"
    return getattr(annotation, "__name__", str(annotation))


def _fits(value: object, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if (domain := domain_of(annotation)) is not None:
        if isinstance(value, Mapping):
            return moves(annotation) and not any(domain.wrong_points(value))
        return domain.holds(value) and (arguments[0] is not int or isinstance(value, int))
    if origin is typing.Annotated:
        return _fits(value, arguments[0])
    if origin is Literal:
        return value in arguments
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if annotation is type(None):
        return value is None
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation in (str, bool):
        return isinstance(value, annotation)
    if origin is tuple and arguments and arguments[-1] is not ...:
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin in (Sequence, tuple):
        return isinstance(value, tuple) and all(_fits(each, arguments[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(each, arguments[1]) for each in value.values())
    return True
