"""Former checkpoint formats: how their arrays differ from today's, and their conversion.

| format | its state |
|---|---|
| 1 | one clock `averaged_at` for all averages |
| 2 | a clock `averaged_at/NETWORK` for each average |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

FORMAT = 2  # the format of new checkpoints
READ = (1, FORMAT)  # formats that can be read
REVISION = 2  # of how a config trains, see `jaxgan.training.revision`; records without one are of revision 1

Flat = Mapping[str, Any]  # arrays or shapes by path

AVERAGED_AT = "averaged_at"


def as_stored(wanted: Flat, number: int) -> Flat:
    """The shapes by path that a checkpoint of a format has for a state with the shapes `wanted`."""
    if number > 1:
        return wanted
    kept = {name: leaf for name, leaf in wanted.items() if name not in _clocks(wanted)}
    return {**kept, AVERAGED_AT: wanted["images_seen"]}


def as_wanted(found: Flat, wanted: Flat, number: int) -> Flat:
    """The arrays by the paths of `wanted`, converted from those of a checkpoint of a format."""
    if number > 1:
        return found
    kept = {name: leaf for name, leaf in found.items() if name != AVERAGED_AT}
    # copies: the step donates each buffer of the state, and none can be donated twice
    return {**kept, **{name: jnp.array(found[AVERAGED_AT]) for name in _clocks(wanted)}}


def _clocks(wanted: Flat) -> list[str]:
    return [name for name in wanted if name.startswith(f"{AVERAGED_AT}/")]
