"""Flags of more than one mode, read from their text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from jaxgan.config.domains import MOST, Domain
from jaxgan.errors import UserError

WHOLE = Domain(least=0, most=MOST)
COUNT = Domain(least=1, most=MOST)
PICTURES = Domain(least=1, most=1_000_000)  # drawn at a time
FRAMES = Domain(least=1, most=100_000)  # of a clip
DIGITS = 18  # of a step
SHOWN = 60  # characters of what was given


def switch(options: Mapping[str, str], name: str, default: Literal["true", "false"] = "false") -> bool:
    """A flag that is true or false. Raises UserError for anything else."""
    text = options.get(name, default)
    if text not in ("true", "false"):
        raise UserError(f"--{name}: got {text!r}, expected true and false")
    return text == "true"


def integer(options: Mapping[str, str], name: str, default: int, domain: Domain = WHOLE) -> int:
    """The whole number of a flag. Raises UserError for anything else, and for what is not in the domain."""
    text = options.get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not domain.holds(number):
        accepted = domain.told(number) if number is not None else f"a whole number{domain.joint}{domain}"
        raise UserError(f"--{name}: got {_short(text if number is not None else repr(text))}, expected {accepted}")
    return number


def allowed(options: Mapping[str, str]) -> tuple[str, ...]:
    """The packages beside jaxgan that `--allow` names."""
    text = options.get("allow")
    return () if text is None else tuple(each.strip() for each in text.split(","))


def checkpoint_choice(options: Mapping[str, str]) -> int | Literal["best", "latest"]:
    """The step that `--checkpoint` names, or `best` or `latest` (the default). Raises UserError for anything else."""
    choice = options.get("checkpoint", "latest")
    named: dict[str, Literal["best", "latest"]] = {"best": "best", "latest": "latest"}
    if choice in named:
        return named[choice]
    if not choice.isdecimal() or len(choice) > DIGITS:
        raise UserError(f"--checkpoint: got {_short(repr(choice))}, expected best, latest and the number of a step")
    return int(choice)


def _short(text: str) -> str:
    text = str(text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
