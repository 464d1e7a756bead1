"""Checkpoints of former formats: how their arrays differ from today's, and how they become them.

| format | its state |
|---|---|
| 1 | one clock `averaged_at` of all averages |
| 2 | a clock `averaged_at/NETWORK` for each |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

FORMAT = 2  # of the checkpoints that are written
READ = (1, FORMAT)  # those that can be read
REVISION = 2  # of what one config trains to, see `jaxgan.training.revision`. Records without one are of revision 1

Flat = Mapping[str, Any]  # arrays or shapes by path

AVERAGED_AT = "averaged_at"


def as_stored(wanted: Flat, number: int) -> Flat:
    """What a checkpoint of a format holds in the place of `wanted`, the shapes of a state's arrays by path."""
    if number > 1:
        return wanted
    kept = {name: leaf for name, leaf in wanted.items() if name not in _clocks(wanted)}
    return {**kept, AVERAGED_AT: wanted["images_seen"]}


def as_wanted(found: Flat, wanted: Flat, number: int) -> Flat:
    """The arrays by the paths of `wanted`, from those that a checkpoint of a format holds."""
    if number > 1:
        return found
    kept = {name: leaf for name, leaf in found.items() if name != AVERAGED_AT}
    # copies: the step is given the state's buffers to write on, each once
    return {**kept, **{name: jnp.array(found[AVERAGED_AT]) for name in _clocks(wanted)}}


def _clocks(wanted: Flat) -> list[str]:
    return [name for name in wanted if name.startswith(f"{AVERAGED_AT}/")]
