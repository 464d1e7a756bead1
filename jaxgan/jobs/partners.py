"""Matches files of a folder to inputs by their names."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxgan.media.reading import PictureError
from jaxgan.media.walking import Walk

Key = Callable[[str], str]


class Partner(NamedTuple):
    """The file that belongs to an input."""

    path: Path
    remark: str | None = None  # names other files that could be meant


class Partners:
    """The files of a folder, matched to the inputs with the same relative path.

    An exact path takes precedence over one with another suffix, and that over one that differs in case. If there is
    none, a file of the same name in another folder matches, provided that it is the only one, that no input has its
    path and that no other input has the name. Names are compared in NFC, since disks store an accent as one or as two
    characters.
    """

    def __init__(self, folder: Path, names: Iterable[str], accepts: Callable[[Path], bool], *, what: str):
        """`names`: relative paths of all inputs; `accepts`: which files and folders count; `what`: their name."""
        self._folder, self._what = folder, what
        self._found = {each.relative_to(folder).as_posix(): each for each in _below(folder) if accepts(each)}
        self._keys: Mapping[Key, Mapping[str, Sequence[str]]] = {
            key: _grouped(self._found, key) for key in (_whole, _stem, _caseless)
        }
        inputs = {_whole(name) for name in names}
        self._owners = Counter(place for name in inputs for place in self._best(name))
        self._namesakes = Counter(_last(name) for name in inputs if not self._best(name))
        self._by_name = _grouped(self._found, _last)

    def of(self, name: str) -> Partner | None:
        """The file for the input of this name; None if there is none. Raises PictureError if several match equally."""
        found, near = self._best(name), {*self._fitting(name, _caseless), *self._by_name.get(_last(name), ())}
        if not found:
            found = [each for each in self._by_name.get(_last(name), ()) if not self._owners[each]]
            if not found or self._namesakes[_last(name)] > 1:
                return None
        if len(found) > 1:
            raise PictureError(f"got {len(found)} {self._what}s for it, {' and '.join(found)}, expected one")
        others = sorted(each for each in near if each not in found and not self._owners[each])
        has = "has" if len(others) == 1 else "have"
        remark = f"its {self._what} is {found[0]}, though {' and '.join(others)} {has} its name too" if others else None
        return Partner(self._found[found[0]], remark)

    def _best(self, name: str) -> Sequence[str]:
        """The files at the path of an input, by the most exact kind of match that exists."""
        return next((found for key in self._keys if (found := self._fitting(name, key))), ())

    def _fitting(self, name: str, key: Key) -> Sequence[str]:
        return self._keys[key].get(key(name), ())


def _below(folder: Path) -> list[Path]:
    """The sorted files of a folder and its subfolders, and the subfolders that contain them."""
    files = [each.path for each in Walk(folder)]
    folders = {parent for each in files for parent in each.relative_to(folder).parents} - {Path()}
    return sorted([*files, *(folder / each for each in folders)])


def _grouped(names: Iterable[str], key: Key) -> dict[str, list[str]]:
    groups = dict[str, list[str]]()
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _whole(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace(os.sep, "/"))


def _stem(name: str) -> str:
    return PurePosixPath(_whole(name)).with_suffix("").as_posix()


def _caseless(name: str) -> str:
    return _stem(name).casefold()


def _last(name: str) -> str:
    return PurePosixPath(_stem(name)).name
