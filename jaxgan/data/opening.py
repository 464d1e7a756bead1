"""From the name of a data set to the source that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxgan.data.folder_source import FolderSource
from jaxgan.data.sources import Source
from jaxgan.data.stacked import is_stacked, open_stacked
from jaxgan.data.tfds_catalogue import kind_of_name, open_builder
from jaxgan.data.tfds_source import TfdsSource

if TYPE_CHECKING:
    from jaxgan.config import DataConfig


def open_source(config: DataConfig, split: str) -> Source:
    """The split `split` of the data set `config.name`: a tfds data set, or a folder of images.

    The name of a folder is its path; a bare name that tfds knows is the tfds data set even where a folder
    of that name exists (write `./name` for the folder). `jaxgan_digits` is prepared by itself. `stacked:NAME`
    has three grey images of such a data set as channels. Raises
    `UserError` for a data set that is unknown, not prepared, or holds no images, and for an unknown split.
    """
    if is_stacked(config.name):
        return open_stacked(config, lambda base: open_source(base, split))
    if kind_of_name(config.name) == "images":
        return FolderSource(config, split)
    return TfdsSource(open_builder(config), config, split)
