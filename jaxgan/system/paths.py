"""Paths given by the user: expands them, and finds relative paths of saved runs again.

Paths with a scheme (`gs://bucket/folder`) are never changed.
"""

from __future__ import annotations

import atexit
import errno
import functools
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from jaxgan.errors import UserError

PATH_FIELDS = ("data_dir", "start_from", "weights")  # config keys that hold paths, in any section
DATA_FIELDS = ("name", "condition")  # may also hold paths, in sections of data
DATA = re.compile(r"\.data|\.more_data\.[^.]+|\.evaluators\.[^.]+\.data")
_elsewhere: dict[str, str] = {}  # recorded absolute paths of the relative paths of a saved run


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path has a scheme, such as `gs://bucket/folder`."""
    return "://" in os.fspath(path)


def expanded(path: str | os.PathLike[str], flag: str = "") -> str:
    """The path with `~` and `~user` expanded; `flag`, such as `--output`, names it in errors.

    Raises UserError if there is no such home folder, and for paths with a zero byte.
    """
    text, prefix = os.fspath(path), f"{flag}: " if flag else ""
    if "\0" in text:
        raise UserError(f"{prefix}got {text!r}, expected paths without a zero byte")
    if is_remote(text) or not text.startswith("~"):
        return text
    found = os.path.expanduser(text)
    if not found.startswith("~") or os.path.lexists(text):  # an existing file of this name, such as a backup
        return found
    head = text.split("/")[0]
    raise UserError(f"{prefix}got {text!r}, but there is no home folder {head!r} here; write the path in full (or ./~)")


def absolute(path: str | os.PathLike[str]) -> str:
    """The expanded, absolute path; symlinks are resolved only if the path contains `..`."""
    text = expanded(path)
    if is_remote(text):
        return text
    return os.path.realpath(text) if ".." in Path(text).parts else os.path.abspath(text)


def located(path: str | os.PathLike[str], flag: str = "") -> str:
    """The expanded path of an existing file or folder.

    If it does not exist, the location that the run has recorded for this path is used, see `remember`.
    """
    text = expanded(path, flag)
    place = _elsewhere.get(text)
    return place if place is not None and not os.path.exists(text) and os.path.exists(place) else text


def remember(places: object) -> None:
    """Sets the locations that a run has recorded (`places_of`); invalid entries are ignored."""
    _elsewhere.clear()
    if isinstance(places, Mapping):
        _elsewhere.update({name: place for name, place in places.items() if isinstance(place, str)})


def places_of(tree: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """The absolute locations of the relative paths in a config, by path; only those that exist."""
    places = dict[str, str]()
    for key, each in tree.items():
        if isinstance(each, Mapping):
            places |= places_of(each, f"{under}.{key}")
        elif isinstance(each, str) and (key in PATH_FIELDS or (key in DATA_FIELDS and DATA.fullmatch(under))):
            found = "" if not each or is_remote(each) or "\0" in each else located(each)
            if found and not os.path.isabs(found) and os.path.exists(found):
                places[each] = os.path.abspath(found)
            elif found != each and each in _elsewhere:  # found at its recorded location
                places[each] = found
    return places


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Opens a file to read and append to, created if absent. Raises OSError for links, devices and the like."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed here", os.fspath(path)) from None
        raise
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "a+b")
    os.close(number)
    raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def cache_home() -> Path:
    """`$XDG_CACHE_HOME`, or `~/.cache`; for a user without a home, a folder that is deleted at exit."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:  # no HOME, and no entry in passwd
        return _temporary_cache()


def cache_dir() -> Path:
    """The folder of compiled programs and classifiers that are kept between runs: `$XDG_CACHE_HOME/jaxgan`."""
    return cache_home() / "jaxgan"


@functools.cache
def _temporary_cache() -> Path:
    folder = tempfile.mkdtemp(prefix="jaxgan-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
