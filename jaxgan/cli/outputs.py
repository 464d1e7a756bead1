"""Whether what a command is going to write can be written: asked before any work, in one place, without jax."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxgan.errors import UserError
from jaxgan.media.films.frames import check_extra
from jaxgan.media.kinds import FORMATS, is_known
from jaxgan.system.paths import is_remote, new_file_beside

LONGEST_NAME = 255  # bytes of one name on nearly all file systems
PICTURES = tuple(FORMATS)
ANIMATIONS = (".gif", ".webp", ".mp4")
# by the kind of samples; a strip is an interpolation of clips, which may be one picture
SUFFIXES = {**dict.fromkeys(("interpolate", "videos"), ANIMATIONS), "strip": (*ANIMATIONS, *PICTURES)}
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*")
WITH_TABLE = ("neighbours", "truncation")  # kinds of samples beside which a .json is written


def check_outputs(mode: str, workdir: str, options: Mapping[str, str]) -> None:
    """Raises UserError for an output of a mode that cannot be written, or whose suffix says something else.

    Missing folders are made later, whatever the mode; a path with a scheme is only judged by its suffix.
    """
    output = options.get("output")
    if mode == "sample":
        kind = "strip" if "over" in options else options.get("kind", "grid")
        _check_samples(kind, output, workdir)
    elif mode == "project":
        _check_projection(options.get("input"), output, workdir)
    elif mode == "export" and output:
        check_file(output, "--output")
        if is_known(output):
            raise UserError(f"--output: got {output!r}, expected a file of weights or a program, such as x.onnx")
    elif mode == "plan" and output is not None:
        check_file(output, "--output", (".json",))
    elif mode == "apply":
        if output:
            (check_folder if means_folder(output) else check_file)(output, "--output")
        if options.get("compare"):
            check_file(options["compare"], "--compare")
    elif mode == "train":
        profile = options.get("profile", "true")
        if profile.lower() not in ("true", "false") and not profile.isdecimal():
            check_folder(profile, "--profile")
    elif mode in ("evaluate", "import"):
        check_folder(workdir, "--workdir")


def means_folder(output: str) -> bool:
    """Whether an output is meant as a folder: it is one, ends in a slash, or has no suffix that a kind of files has.

    Suffixes of files are letters and digits behind a letter: `results_v1.5` is a folder.
    """
    return os.path.isdir(output) or output.endswith(os.sep) or not SUFFIX.fullmatch(Path(output).suffix)


def check_file(output: str, flag: str, suffixes: Sequence[str] | None = None) -> None:
    """Raises UserError where a file of a name cannot be written, or has none of the suffixes (None: any)."""
    if suffixes and (Path(output).suffix.lower() not in suffixes or output.endswith(os.sep)):
        *first, last = suffixes
        accepted = f"are {', '.join(first)} and {last}" if first else f"is a {last}"
        raise UserError(f"{flag}: got {output!r}, accepted {accepted}")
    if is_remote(output):
        return
    if output.endswith(os.sep) or os.path.isdir(output):
        raise UserError(f"{flag}: {output!r} is a folder, expected a file")
    if os.path.exists(output) and not os.path.isfile(output):  # a device would be replaced
        raise UserError(f"{flag}: {output!r} is neither a file nor a folder, expected a file")
    _check_room(Path(output), flag)


def check_folder(output: str, flag: str) -> None:
    """Raises UserError where files cannot be written into a folder, which need not be there."""
    if not is_remote(output):
        if os.path.exists(output) and not os.path.isdir(output):
            raise UserError(f"{flag}: {output!r} is a file, expected a folder")
        _check_room(Path(output, "x"), flag)


def _check_samples(kind: str, output: str | None, workdir: str) -> None:
    if output is None:
        check_folder(str(Path(workdir, "samples")) if not is_remote(workdir) else workdir, "--workdir")
    elif kind == "files":
        if not means_folder(output):
            raise UserError(f"--output: got {output!r}, accepted for --kind=files is a folder, {output + os.sep!r}")
        check_folder(output, "--output")
    else:
        check_file(output, "--output", SUFFIXES.get(kind, PICTURES))
        if kind in WITH_TABLE and not is_remote(output):
            check_file(str(Path(output).with_suffix(".json")), "--output")
        if Path(output).suffix.lower() == ".mp4":
            check_extra()


def _check_projection(source: str | None, output: str | None, workdir: str) -> None:
    if output is None:
        check_folder(str(Path(workdir, "projections")) if not is_remote(workdir) else workdir, "--workdir")
        return
    check_file(output, "--output", PICTURES)
    if is_remote(output):
        return
    check_file(str(Path(output).with_suffix(".npz")), "--output")
    if source and Path(source).resolve() in (Path(output).resolve(), written_at(output)):
        raise UserError(f"--output: {output!r} would take the input's place; give another file")


def written_at(path: str | os.PathLike[str]) -> Path:
    """Where a file comes to lie that is written to a path: a link of that name is replaced itself."""
    return Path(path).parent.resolve() / Path(path).name


def _check_room(path: Path, flag: str) -> None:
    """Raises UserError where a file cannot be made, with the reason; folders that are missing count as made."""
    refused = f"{flag}: {str(path.parent if path.name == 'x' else path)!r} cannot be written"
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise UserError(f"{refused}: a name in it is longer than {LONGEST_NAME} bytes")
    place = path.parent
    try:
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        if not stat.S_ISDIR(os.stat(place).st_mode):
            raise UserError(f"{refused}: {str(place)!r} is a file")
        new_file_beside(place / "x").unlink()
    except FileNotFoundError:
        why = "is a link that leads nowhere" if place.is_symlink() else "takes no files"
        raise UserError(f"{refused}: {str(place)!r} {why}") from None
    except OSError as error:
        raise UserError(f"{refused}: {str(place)!r}: {error.strerror or error}") from None
