"""Provenance of the files that a command writes, and the remarks about it, each printed once."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from etils import epath

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.cli.options import switch
from jaxgan.errors import FINISHED, SOME_FAILED
from jaxgan.media.provenance.origin import Origin, Remark, Unsigned

SWITCHED_OFF = "--provenance=false: the files are not marked as made by a model"
SHOWN = 3  # failures that are printed one by one


class Marking:
    """The origin of a command's files (None if `--provenance` is false), and the remarks about their marks."""

    def __init__(self, origin: Origin | None):
        """`origin` holds for the whole command; `about` adapts it to a file."""
        self._origin = origin
        self._remarks = dict[Remark, None]()

    def about(self, description: str | None = None, **changes: Any) -> Origin | None:
        """The origin of a file, with its own description or other fields; None without marks."""
        if self._origin is None:
            return None
        if description is not None:
            changes["description"] = description
        return dataclasses.replace(self._origin, **changes)

    def heard(self, remarks: Iterable[str]) -> tuple[str, ...]:
        """Keeps remarks about marks for `report`, and returns all other remarks."""
        remarks = tuple(remarks)
        self._remarks |= dict.fromkeys(remark for remark in remarks if isinstance(remark, Remark))
        return tuple(remark for remark in remarks if not isinstance(remark, Remark))

    def report(self) -> int:
        """Prints the kept remarks and returns the exit status: 1 if a file could not be signed."""
        if self._origin is None:
            print(SWITCHED_OFF)
        failures = [remark for remark in self._remarks if isinstance(remark, Unsigned)]
        for remark in self._remarks:
            if remark not in failures[SHOWN:]:
                print(remark)
        if len(failures) > SHOWN:
            print(f"{len(failures) - SHOWN} more files have no signed credential")
        return SOME_FAILED if failures else FINISHED


def marks(options: Mapping[str, str]) -> bool:
    """Whether files are to be marked (`--provenance`). Raises UserError if it is neither true nor false."""
    return switch(options, "provenance", "true")


def origin_of_run(
    workdir: str,
    action: Literal["created", "restored"],
    description: str,
    *,
    step: int,
    seed: int | None = None,
    mixed: bool = False,
) -> Origin:
    """The origin of files made by a run: the name of its directory, and the SHA-256 of its config file."""
    config = Workdir(workdir).config.read_bytes()
    name = epath.Path(workdir).name if "://" in workdir else Path(workdir).resolve().name
    digest = hashlib.sha256(config).hexdigest()
    return Origin(action, description, model=name, step=step, seed=seed, config_sha256=digest, mixed=mixed)
