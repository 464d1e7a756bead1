"""From the name of a data set to the source of its clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxgan.data.clips.tfds_clips import TfdsClips
from jaxgan.data.tfds_catalogue import open_builder

if TYPE_CHECKING:
    from jaxgan.config import DataConfig


def open_clips(config: DataConfig, split: str, *, whole: bool = False) -> TfdsClips:
    """The clips of the split `split` of the data set `config.name`; `whole`: at the sizes that films have.

    Raises `UserError` for a data set that is unknown, not prepared, or has no clips, and for an unknown split.
    """
    return TfdsClips(open_builder(config), config, split, whole=whole)
