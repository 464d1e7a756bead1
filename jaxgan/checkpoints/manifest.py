"""The manifest of a checkpoint: a file beside the data with a checksum of every file.

Orbax does not notice corrupted bytes. The manifest is the last file of a checkpoint to be written, gets its final name
only when it is complete, and has a checksum of itself; a checkpoint without a manifest is incomplete. Checksums do not
protect against forgery, so the contents of a manifest are validated when it is read, and only regular files inside the
checkpoint are opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from etils import epath

from jaxgan.checkpoints.formats import FORMAT, READ
from jaxgan.config.checking import check_type
from jaxgan.config.domains import Bytes, Domain, Whole
from jaxgan.config.older import renewed
from jaxgan.config.run import plain
from jaxgan.errors import UserError
from jaxgan.system.json_files import BrokenFileError, open_regular, read_json, why
from jaxgan.system.paths import is_remote
from jaxgan.system.whole_files import replace_file

NAME = "manifest.json"
CHUNK = 2**22  # bytes read at a time
AXES = 32  # maximum number of axes of an array

Leaf = tuple[Sequence[Annotated[int, Domain(least=0, most=2**40)]], str]  # shape and dtype
RECORD: Mapping[str, Any] = {  # keys of every record, which may have more
    "step": Whole,
    "images_seen": Whole,
    "good": bool,
    "keep_forever": bool,
    "metrics": Mapping[str, float],
    "tree": Mapping[str, Mapping[str, Leaf]],
}
OPTIONAL: Mapping[str, Any] = {  # keys of some records
    "revision": Whole,
    "config": Mapping[str, Any],
    "class_names": Sequence[str],
    "names": Mapping[str, Sequence[str]],  # names of the values of other fields, such as a vocabulary
    "positions": Mapping[str, Whole],
}
FILES = Mapping[str, tuple[Bytes, str]]
DTYPE = re.compile(r"bool|u?int[0-9]+|b?float[0-9][0-9a-z_]*|complex[0-9]+")


class NotUsableError(Exception):
    """The reason why a checkpoint cannot be used, in one line."""


def write_manifest(directory: epath.Path, items: Iterable[str], record: Mapping[str, Any]) -> None:
    """Writes the manifest of the finished `items` (sub-folders) of `directory`, with a JSON `record`."""
    files = {name: [_length(path), _sha256(path)] for name, path in _files(directory, items)}
    content = {"format": FORMAT, "record": dict(record), "files": files}
    whole = json.dumps({**content, "sha256": _digest(content)}, allow_nan=False)
    replace_file(directory / NAME, whole.encode())


def read_manifest(directory: epath.Path) -> dict[str, Any]:
    """The manifest of a checkpoint: `format`, `record`, and `files` (name: length in bytes, sha256).

    Raises NotUsableError if it is missing, damaged, of an unknown format, or has invalid contents.
    """
    try:
        _check_inside(directory, directory / NAME)
        content = read_json(directory / NAME)
    except FileNotFoundError:
        raise NotUsableError(f"it has no {NAME}: it is not one of jaxgan's, or was not saved completely") from None
    except (OSError, BrokenFileError) as error:
        raise NotUsableError(f"{NAME} cannot be read: {why(error)}") from None
    if not isinstance(content, dict) or "sha256" not in content:
        raise NotUsableError(f"{NAME} cannot be read: it has no checksum")
    digest = content.pop("sha256")
    number = content.get("format")
    if type(number) is not int or number not in READ:  # True is 1 to Python
        raise NotUsableError(f"its format is {number!r}, this version of jaxgan reads {', '.join(map(str, READ))}")
    if digest != _digest(content):
        raise NotUsableError(f"{NAME} is damaged: its checksum differs")
    _check_content(content, directory.name)
    return content


def config_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the config recorded with a checkpoint, by today's names; empty if there is none."""
    saved = record.get("config", {})
    fields = saved.get("config", saved)  # `config.to_json` wraps them, beside a format
    return renewed(fields)[0] if isinstance(fields, Mapping) else {}


def verify(directory: epath.Path, manifest: Mapping[str, Any], items: Iterable[str]) -> None:
    """Reads every file of the `items` and compares it with the manifest.

    Raises NotUsableError, naming the first file that is missing, truncated, changed, not in the manifest, or not a
    regular file inside the checkpoint.
    """
    prefixes = tuple(f"{item}/" for item in items)
    listed = {name: entry for name, entry in manifest["files"].items() if name.startswith(prefixes)}
    for name, (length, digest) in listed.items():
        path = directory / name
        try:
            _check_inside(directory, path)
            found = _length(path)
            if found != length:
                raise NotUsableError(f"{name} has {found} bytes, {length} were written")
            if _sha256(path) != digest:
                raise NotUsableError(f"{name} is damaged: its checksum differs")
        except (OSError, BrokenFileError) as error:
            raise NotUsableError(f"{name} cannot be read: {why(error)}") from None
    try:
        for name, path in _files(directory, items):
            if name not in listed and not path.name.startswith("."):  # hidden files are left by desktops
                raise NotUsableError(f"{name} is not in {NAME}")
    except OSError as error:
        raise NotUsableError(f"it cannot be listed: {why(error)}") from None


def _check_content(content: Mapping[str, Any], folder: str) -> None:
    """Raise NotUsableError for a manifest with a correct checksum but invalid contents."""
    record, files = plain(content.get("record")), plain(content.get("files"))
    try:
        check_type(record, Mapping[str, Any], "record")
        for name, annotation in {**RECORD, **OPTIONAL}.items():
            if name in record or name in RECORD:
                check_type(record.get(name), annotation, f"record.{name}")
        check_type(files, FILES, "files")
    except UserError as mistake:
        raise NotUsableError(f"{NAME} was not written by jaxgan: {mistake}") from None
    if str(record["step"]) != folder:
        raise NotUsableError(f"its folder is {folder}, but {NAME} has step {record['step']}")
    for name in files:
        if not _is_below(name):
            raise NotUsableError(f"{NAME} lists {name!r}, which is not a path inside the checkpoint")
    for tree in record["tree"].values():
        for name, (shape, dtype) in tree.items():
            if len(shape) > AXES or not DTYPE.fullmatch(dtype):
                raise NotUsableError(
                    f"{NAME} lists {name} as {list(shape)[:AXES]} {dtype[:20]!r}, which is not a valid shape and dtype"
                )


def _is_below(name: str) -> bool:
    parts = name.split("/")
    return len(parts) > 1 and "\0" not in name and not {"", ".", ".."} & set(parts)


def _check_inside(directory: epath.Path, path: epath.Path) -> None:
    """Raise BrokenFileError for a path that leads out of the checkpoint, or is not a regular file."""
    if "://" in os.fspath(path):
        return
    real, folder = os.path.realpath(path), os.path.realpath(directory)
    if not real.startswith(os.path.join(folder, "")):
        raise BrokenFileError("it leads out of the checkpoint")
    if not stat.S_ISREG(os.stat(real).st_mode):
        raise BrokenFileError("it is not a regular file")


def _files(directory: epath.Path, items: Iterable[str]) -> Iterator[tuple[str, epath.Path]]:
    for item in sorted(items):
        for path in sorted((directory / item).iterdir()):
            name = f"{item}/{path.name}"
            if path.is_dir() and not os.path.islink(path):
                yield from _files(directory, [name])
            else:
                yield name, path


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=True).encode()).hexdigest()


def _length(path: epath.Path) -> int:
    """The length of a file in bytes; etils would also look up the name of its owner, which may not exist."""
    return path.stat().length if is_remote(path) else os.stat(path).st_size


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") if "://" in os.fspath(path) else open_regular(path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
