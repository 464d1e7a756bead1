"""`--mode=prepare`: downloads tfds data sets and prepares them for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxgan.building.opening import errors_of
from jaxgan.data.prepare import prepare
from jaxgan.errors import FINISHED
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import RunConfig


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prepares the data sets of `config.data` and `config.more_data`, and reports where they are and their splits.

    Returns exit status 0; raises UserError.
    """
    del workdir, options  # a data set belongs to no run
    for name, data in config.sources.items():
        if data.source:
            continue
        with errors_of(name):
            found = prepare(data)
        state = "is already prepared" if found.already else "prepared"
        splits = ", ".join(f"{name} {size:,}" for name, size in sorted(found.splits.items()))
        print(plain(f"{found.name} {state} in {found.directory} (examples: {splits})"))
    return FINISHED
