"""Walks a folder tree: visits each real folder once, and collects what cannot be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.system.plain import plain

# folders that Synology, macOS, desktops and file systems create beside pictures, in lower case
LITTER = frozenset(("@eadir", "#recycle", "__macosx", "$recycle.bin", "system volume information", "lost+found"))


class Found(NamedTuple):
    """A regular file."""

    path: Path
    about: os.stat_result


class Failure(NamedTuple):
    """A file or folder that cannot be read, and the reason."""

    path: Path
    reason: str


class Walk:
    """The regular files of a folder and its subfolders, folder by folder, sorted by name.

    Links to files and folders are followed, but each real folder is entered only once: by its own path if it has one,
    and never through a link to a folder that contains the link. Hidden files and folders, and those in `LITTER`, are
    skipped. After the walk, `failures` lists what the system could not read, and `again` lists links to folders that
    were entered already. Nothing inside the folder makes the walk raise.
    """

    def __init__(self, root: str | os.PathLike[str]):
        """Reads nothing yet. `root` is entered even if its name is hidden or in `LITTER`."""
        self.root = Path(root)
        self.failures: list[Failure] = []
        self.again: list[Path] = []
        self._entered: set[tuple[int, int]] = set()
        self._links: list[Path] = []

    def __iter__(self) -> Iterator[Found]:
        """Yields the files; links to folders are followed last."""
        self.failures, self.again, self._entered, self._links = [], [], set(), [self.root]
        while self._links:
            link = self._links.pop(0)
            if link != self.root and _leads_back(link):
                self.again.append(link)
            else:
                yield from self._below(link)

    def _below(self, first: Path) -> Iterator[Found]:
        ahead = [first]  # a stack: folders may be nested deeper than Python's recursion limit
        while ahead:
            folder = ahead.pop()
            try:
                about = folder.stat()
                if (about.st_dev, about.st_ino) in self._entered:
                    self.again.append(folder)
                    continue
                self._entered.add((about.st_dev, about.st_ino))
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if not is_litter(entry.name))
            except OSError as error:
                self._fail(folder, error)
                continue
            inside: list[Path] = []
            for path in (folder / name for name in names):
                try:
                    itself = path.lstat()
                    about = path.stat() if stat.S_ISLNK(itself.st_mode) else itself
                except OSError as error:
                    self._fail(path, error)
                    continue
                if stat.S_ISREG(about.st_mode):
                    yield Found(path, about)
                elif stat.S_ISDIR(about.st_mode):
                    (self._links if stat.S_ISLNK(itself.st_mode) else inside).append(path)
                else:
                    self.failures.append(Failure(path, "it is not a regular file"))
            ahead += reversed(inside)

    def _fail(self, path: Path, error: OSError) -> None:
        self.failures.append(Failure(path, reason_of(error, path)))


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or created by a program for itself."""
    return name.startswith(".") or name.lower() in LITTER


def reason_of(error: OSError, path: Path) -> str:
    """The reason why a file or folder cannot be read, in plain words."""
    if os.path.islink(path):  # pathlib would raise if a name is too long
        if isinstance(error, FileNotFoundError):
            return "the link is broken"
        if "symbolic link" in (error.strerror or ""):
            return "the link points to itself"
    return error.strerror or type(error).__name__


def report_failures(failures: list[Failure], root: Path) -> str:
    """One line with the number of unreadable files and folders, and the first as an example; empty if none."""
    if not failures:
        return ""
    first = failures[0]
    name = first.path.relative_to(root) if first.path.is_relative_to(root) and first.path != root else first.path
    what = "1 file or folder:" if len(failures) == 1 else f"{len(failures)} files or folders, such as"
    return f"{what} {plain(name)} ({first.reason})"


def _leads_back(link: Path) -> bool:
    """Whether a link points to one of the folders that contain it."""
    return Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link))
