"""From the name of a data set to the source that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxgan.data.clips.opening import open_clips
from jaxgan.data.crops import CropSource
from jaxgan.data.folder_source import FolderSource
from jaxgan.data.pairs import with_conditions
from jaxgan.data.remote import with_local_files
from jaxgan.data.sources import Pictures, Source
from jaxgan.data.stacked import is_stacked, open_stacked
from jaxgan.data.tfds_catalogue import kind_of_name, open_builder
from jaxgan.data.tfds_source import TfdsSource
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from jaxgan.config import DataConfig


def open_source(config: DataConfig, split: str) -> Source:
    """The split `split` of the data set `config.name`: a tfds data set, or a folder of images.

    The name of a folder is its path; a bare name that tfds knows is the tfds data set even where a folder
    of that name exists (write `./name` for the folder). `jaxgan_digits` is prepared by itself. `stacked:NAME`
    has three grey images of such a data set as channels. With `config.crops` its examples are random squares of its
    pictures. What lies in a bucket is copied to this host first. Raises `UserError` for a data set that is unknown,
    not prepared, or holds no images, and for an unknown split.
    """
    config = with_local_files(config)
    if config.crops is not None:
        return CropSource(
            open_pictures(config, split),
            crops=config.crops,
            resolution=config.resolution,
            keep_bytes=config.cache_bytes,
        )
    if config.condition is not None:
        raise UserError("config.data.crops is missing: pairs of images are cut to squares; 1 takes one of each")
    if config.frames is not None:
        return open_clips(config, split)
    if is_stacked(config.name):
        return open_stacked(config, lambda base: open_source(base, split))
    if kind_of_name(config.name) == "images":
        return FolderSource(config, split)
    return TfdsSource(open_builder(config), config, split)


def open_pictures(config: DataConfig, split: str) -> Pictures:
    """The split `split` of the data set `config.name` at the sizes that its pictures have, with their conditions.

    Raises `UserError` as `open_source` does.
    """
    if is_stacked(config.name):
        raise UserError(f"config.data.crops: {config.name!r} is no data set of pictures; accepted is none")
    config = with_local_files(config)
    pictures: Pictures
    if config.frames is not None:
        if config.condition is not None:
            raise UserError("config.data.condition: got one beside config.data.frames, accepted is none of clips")
        return open_clips(config, split, whole=True)
    if kind_of_name(config.name) == "images":
        pictures = FolderSource(config, split, whole=True)
    else:
        pictures = TfdsSource(open_builder(config), config, split, whole=True)
    return pictures if config.condition is None else with_conditions(pictures, config, split)
