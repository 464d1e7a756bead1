"""Checks that the outputs of a command can be written, before any work starts and without importing jax."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxgan.errors import UserError
from jaxgan.media.films.frames import check_extra
from jaxgan.media.kinds import FORMATS, is_known
from jaxgan.system.paths import is_remote
from jaxgan.system.whole_files import new_file_beside

LONGEST_NAME = 255  # bytes of one name on nearly all file systems
PICTURES = tuple(FORMATS)
ANIMATIONS = (".gif", ".webp", ".mp4")
# by kind of samples; a strip is an interpolation of clips, which may also be one picture
SUFFIXES = {**dict.fromkeys(("interpolate", "videos"), ANIMATIONS), "strip": (*ANIMATIONS, *PICTURES)}
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*")
WITH_TABLE = ("neighbours", "truncation")  # kinds of samples that also write a .json file


def check_outputs(mode: str, workdir: str, options: Mapping[str, str]) -> None:
    """Raises UserError if an output of a mode cannot be written, or has an unsuitable suffix.

    Missing folders are created later. For paths with a scheme only the suffix is checked.
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
            raise UserError(f"--output: got {output!r}, expected a file of weights or of a program, such as x.onnx")
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
    """Whether an output means a folder: it is one, ends in a slash, or has no file suffix.

    A file suffix is a letter followed by letters and digits, so `results_v1.5` is a folder.
    """
    return os.path.isdir(output) or output.endswith(os.sep) or not SUFFIX.fullmatch(Path(output).suffix)


def check_file(output: str, flag: str, suffixes: Sequence[str] | None = None) -> None:
    """Raises UserError if a file cannot be written, or has none of the suffixes (None: any suffix)."""
    if suffixes and (Path(output).suffix.lower() not in suffixes or output.endswith(os.sep)):
        choice = f"one of {', '.join(suffixes)}" if len(suffixes) > 1 else f"a {suffixes[0]} file"
        raise UserError(f"{flag}: got {output!r}, expected {choice}")
    if is_remote(output):
        return
    if output.endswith(os.sep) or os.path.isdir(output):
        raise UserError(f"{flag}: {output!r} is a folder, expected a file")
    if os.path.exists(output) and not os.path.isfile(output):  # writing would replace a device
        raise UserError(f"{flag}: {output!r} is neither a file nor a folder, expected a file")
    _check_room(Path(output), flag)


def check_folder(output: str, flag: str) -> None:
    """Raises UserError if files cannot be written into a folder, which need not exist."""
    if not is_remote(output):
        if os.path.exists(output) and not os.path.isdir(output):
            raise UserError(f"{flag}: {output!r} is a file, expected a folder")
        _check_room(Path(output, "x"), flag)


def _check_samples(kind: str, output: str | None, workdir: str) -> None:
    if output is None:
        check_folder(str(Path(workdir, "samples")) if not is_remote(workdir) else workdir, "--workdir")
    elif kind == "files":
        if not means_folder(output):
            raise UserError(
                f"--output: got {output!r}, expected a folder for --kind=files, such as {output + os.sep!r}"
            )
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
        raise UserError(f"--output: {output!r} would replace the input; give another file")


def written_at(path: str | os.PathLike[str]) -> Path:
    """The location of a file written to a path; a symlink of that name is itself replaced."""
    return Path(path).parent.resolve() / Path(path).name


def _check_room(path: Path, flag: str) -> None:
    """Raises UserError, with the reason, if a file cannot be created; missing parent folders are no reason."""
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
        why = "is a broken link" if place.is_symlink() else "cannot hold files"
        raise UserError(f"{refused}: {str(place)!r} {why}") from None
    except OSError as error:
        raise UserError(f"{refused}: {str(place)!r}: {error.strerror or error}") from None
