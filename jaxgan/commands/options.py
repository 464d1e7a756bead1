"""Flags of more than one mode, read from their text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from jaxgan.errors import UserError


def switch(options: Mapping[str, str], name: str, default: Literal["true", "false"] = "false") -> bool:
    """A flag that is true or false. Raises UserError for anything else."""
    text = options.get(name, default)
    if text not in ("true", "false"):
        raise UserError(f"--{name}: got {text!r}, accepted are true and false")
    return text == "true"


def integer(options: Mapping[str, str], name: str, default: int) -> int:
    """The whole number of a flag. Raises UserError for anything else."""
    text = options.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--{name}: got {text!r}, accepted is a whole number") from None


def checkpoint_choice(options: Mapping[str, str]) -> int | Literal["best", "latest"]:
    """The step that `--checkpoint` names, or `best` or `latest` (the default)."""
    choice = options.get("checkpoint", "latest")
    named: dict[str, Literal["best", "latest"]] = {"best": "best", "latest": "latest"}
    return named[choice] if choice in named else integer(options, "checkpoint", 0)
