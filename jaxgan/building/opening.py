"""Opens the source for the name of a data set, or for the section of a source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.building.builder import build
from jaxgan.config.run import path_of
from jaxgan.data.clip_frames import frames_of
from jaxgan.data.clips.opening import open_clips
from jaxgan.data.crops import CropSource
from jaxgan.data.folder_source import FolderSource
from jaxgan.data.pairs import with_conditions
from jaxgan.data.remote import with_local_files
from jaxgan.data.sources import DataSpec, Pictures, Source
from jaxgan.data.stacked import is_stacked, open_stacked
from jaxgan.data.tfds_catalogue import kind_of_name, open_builder
from jaxgan.data.tfds_source import TfdsSource
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig, RunConfig


def open_source(config: DataConfig, split: str, allow: Sequence[str] = ()) -> Source:
    """The split `split` of the data set `config.name`: a tfds data set, or a folder of images or films.

    The name of a folder is its path; a bare name that tfds knows is the tfds data set even if a folder of that name
    exists (write `./name` for the folder). `jaxgan_digits` is prepared automatically. The channels of `stacked:NAME`
    are three grey images of such a data set. With `config.frames`, examples are clips, or single frames of films if it
    is 1; with `config.crops`, they are random squares of pictures or clips. Data in a bucket are copied to this host
    first. If `config.source` is set, it is built instead, also from the packages in `allow`. Raises `UserError` for a
    data set that is unknown, not prepared, or has no images, for an unknown split, and for an invalid section.
    """
    config = with_local_files(config)
    if config.crops is not None:
        return CropSource(
            open_pictures(config, split, allow),
            crops=config.crops,
            resolution=config.resolution,
            pan=config.pan,
            keep_bytes=config.cache_bytes,
        )
    if config.condition is not None:
        raise UserError("config.data.crops is missing: pairs of images are cropped; 1 takes one square of each")
    if config.source:
        return _built(config, split, allow)
    if config.frames is not None:
        return _open_clips(config, split)
    if is_stacked(config.name):
        return open_stacked(config, lambda base: open_source(base, split))
    if kind_of_name(config.name) == "images":
        return FolderSource(config, split)
    return TfdsSource(open_builder(config), config, split)


def open_sources(config: RunConfig, allow: Sequence[str] = ()) -> dict[str, Source]:
    """The training sources of a run by name, the main source first. Raises `UserError` as `open_source` does."""
    sources = {}
    for name, data in config.sources.items():
        with errors_of(name):
            sources[name] = open_source(data, data.split, allow)
    return sources


@contextlib.contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Inside, errors about `config.data` are raised as errors about the section of this source."""
    try:
        yield
    except UserError as error:
        ours, command, rest = str(error).partition("--mode=prepare")  # the command has a config.data of its own
        raise UserError(ours.replace("config.data", path_of(name)) + command + rest) from None


def open_pictures(config: DataConfig, split: str, allow: Sequence[str] = ()) -> Pictures:
    """The split `split` of the data set `config.name`, with pictures at their own sizes, and their conditions.

    Raises `UserError` as `open_source` does.
    """
    if is_stacked(config.name):
        raise UserError(f"config.data.crops: expected None, as {config.name!r} has no pictures to crop")
    config = with_local_files(config)
    pictures: Pictures
    if config.source:
        source = _built(config, split, allow)
        pictures = source if isinstance(source, Pictures) else ExamplesAsPictures(source)
    elif config.frames is not None:
        if config.condition is not None:
            raise UserError(f"config.data.condition: got {config.condition!r}, expected None with config.data.frames")
        pictures = _open_clips(config, split, whole=True)
    elif kind_of_name(config.name) == "images":
        pictures = FolderSource(config, split, whole=True)
    else:
        pictures = TfdsSource(open_builder(config), config, split, whole=True)
    return pictures if config.condition is None else with_conditions(pictures, config, split)


class ExamplesAsPictures:
    """The examples of a source, all of one size, as `Pictures`."""

    def __init__(self, source: Source):
        """Reads nothing yet."""
        self._source, self.spec = source, source.spec

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The fields of an example."""
        return {name: rows[0] for name, rows in self._source.read([index]).items()}


def _open_clips(config: DataConfig, split: str, *, whole: bool = False) -> Any:
    """The clips of a data set; clips of one frame are pictures."""
    clips = open_clips(config, split, whole=whole)
    return frames_of(clips) if config.frames == 1 else clips


def _built(config: DataConfig, split: str, allow: Sequence[str]) -> Source:
    """The source of `config.source`. Raises UserError for one without a spec."""
    fill = {"config": config, "split": split}
    source: Source = build(config.source, "source", path="config.data.source", fill=fill, allow=allow)
    if not isinstance(source.spec, DataSpec) or source.spec.size < 1:
        raise UserError(f"config.data.source: {config.source['name']} has {source.spec!r}, expected examples")
    return source
