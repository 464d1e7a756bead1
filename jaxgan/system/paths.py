"""Paths that a user names: the one place that expands them, and that knows where they may lie beside.

Paths with a scheme (`gs://bucket/folder`) are left as they are, everywhere.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from jaxgan.errors import UserError

PATH_FIELDS = ("data_dir", "start_from", "weights")  # of configs, wherever they stand
DATA_FIELDS = ("name", "condition")  # may be paths, too, in sections of data
DATA = re.compile(r"\.data|\.more_data\.[^.]+|\.evaluators\.[^.]+\.data")
_elsewhere: dict[str, str] = {}  # where relative paths of a saved run lay when it was started


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path has a scheme, such as `gs://bucket/folder`."""
    return "://" in os.fspath(path)


def expanded(path: str | os.PathLike[str], flag: str = "") -> str:
    """The path with `~` and `~user` as the home folder; `flag` names it in errors, such as `--output`.

    Raises UserError where there is no such home, and for a path that no file can have.
    """
    text, told = os.fspath(path), f"{flag}: " if flag else ""
    if "\0" in text:
        raise UserError(f"{told}got {text!r}, expected paths without a zero byte")
    if is_remote(text) or not text.startswith("~"):
        return text
    found = os.path.expanduser(text)
    if not found.startswith("~") or os.path.lexists(text):  # an editor's backup may be called so
        return found
    head = text.split("/")[0]
    raise UserError(f"{told}got {text!r}, but there is no home folder {head!r} here; write the path in full (or ./~)")


def absolute(path: str | os.PathLike[str]) -> str:
    """The path, expanded, from the root on; links are followed only where `..` stands behind one."""
    text = expanded(path)
    if is_remote(text):
        return text
    return os.path.realpath(text) if ".." in Path(text).parts else os.path.abspath(text)


def located(path: str | os.PathLike[str], flag: str = "") -> str:
    """The path of something that exists, expanded.

    A relative path that leads nowhere is looked up in what the run has recorded of it, see `remember`.
    """
    text = expanded(path, flag)
    place = _elsewhere.get(text)
    return place if place is not None and not os.path.exists(text) and os.path.exists(place) else text


def remember(places: object) -> None:
    """Takes over the places that a run has recorded (`places_of`); anything else is ignored."""
    _elsewhere.clear()
    if isinstance(places, Mapping):
        _elsewhere.update({name: place for name, place in places.items() if isinstance(place, str)})


def places_of(tree: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """Where the relative paths in a config lie, by the texts that name them: files and folders that exist."""
    places = dict[str, str]()
    for key, each in tree.items():
        if isinstance(each, Mapping):
            places |= places_of(each, f"{under}.{key}")
        elif isinstance(each, str) and (key in PATH_FIELDS or (key in DATA_FIELDS and DATA.fullmatch(under))):
            found = "" if not each or is_remote(each) or "\0" in each else located(each)
            if found and not os.path.isabs(found) and os.path.exists(found):
                places[each] = os.path.abspath(found)
            elif found != each and each in _elsewhere:  # found where it was recorded
                places[each] = found
    return places


def new_file_beside(target: Path) -> Path:
    """A new, empty file in the target's folder, to be written and then moved into its place.

    Its name is short, however long the target's, and its own: nothing that lies there is opened, no link is followed.
    """
    while True:
        part = target.parent / f".{secrets.token_hex(8)}.part"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
            return part


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file to read and add to, made where there is none. Raises OSError for a link, a device and the like."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, and none is followed here", os.fspath(path)) from None
        raise
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "a+b")
    os.close(number)
    raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))


def cache_home() -> Path:
    """`$XDG_CACHE_HOME`, or `~/.cache`; for a user without a home a folder that goes with the process."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:  # no HOME, and no entry in passwd
        return _temporary_cache()


def cache_dir() -> Path:
    """Where compiled programs and classifiers are kept between runs: `$XDG_CACHE_HOME/jaxgan`."""
    return cache_home() / "jaxgan"


@functools.cache
def _temporary_cache() -> Path:
    folder = tempfile.mkdtemp(prefix="jaxgan-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
