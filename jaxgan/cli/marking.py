"""What a command writes into its files about what made them, and what it says of that: every line once."""

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

SWITCHED_OFF = "--provenance=false: nothing in the files says that a model made them"
TOLD = 3  # failures that are told one by one


class Marking:
    """The origin of a command's files, None where `--provenance` is false, and the remarks about them."""

    def __init__(self, origin: Origin | None):
        """`origin`: of the command; single files change it with `about`."""
        self._origin = origin
        self._remarks = dict[Remark, None]()

    def about(self, description: str | None = None, **changes: Any) -> Origin | None:
        """The origin of a file, with another description or other fields."""
        if self._origin is None:
            return None
        if description is not None:
            changes["description"] = description
        return dataclasses.replace(self._origin, **changes)

    def heard(self, remarks: Iterable[str]) -> tuple[str, ...]:
        """Keeps the remarks about marks for the end; the others."""
        remarks = tuple(remarks)
        self._remarks |= dict.fromkeys(remark for remark in remarks if isinstance(remark, Remark))
        return tuple(remark for remark in remarks if not isinstance(remark, Remark))

    def tell(self) -> int:
        """Prints what there is to say; the exit status, 1 where a credential failed."""
        if self._origin is None:
            print(SWITCHED_OFF)
        failures = [remark for remark in self._remarks if isinstance(remark, Unsigned)]
        for remark in self._remarks:
            if remark not in failures[TOLD:]:
                print(remark)
        if len(failures) > TOLD:
            print(f"{len(failures) - TOLD} more files have no signed credential")
        return SOME_FAILED if failures else FINISHED


def marks(options: Mapping[str, str]) -> bool:
    """Whether files are to be marked. Raises UserError for what is neither true nor false."""
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
    """What a run's weights make. The run is called as its directory is; its config is known by the file's SHA-256."""
    config = Workdir(workdir).config.read_bytes()
    name = epath.Path(workdir).name if "://" in workdir else Path(workdir).resolve().name
    digest = hashlib.sha256(config).hexdigest()
    return Origin(action, description, model=name, step=step, seed=seed, config_sha256=digest, mixed=mixed)
