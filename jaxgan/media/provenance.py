"""What made a file, and how that is written into it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Origin:
    """What made a picture or a film."""

    action: Literal["created", "restored"]
    description: str  # one sentence, such as "samples of a generator" or what the restorer was trained for
    model: str  # the name of the run, or of the published model
    step: int | None = None  # of the checkpoint
    seed: int | None = None
    config_sha256: str | None = None  # of the run's config
    parent: Path | None = None  # the file that was restored
