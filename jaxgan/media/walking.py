"""The one way through a folder and all below it: each real folder once, and what cannot be read is kept to be told."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.system.plain import plain

# what Synology, macOS, desktops and file systems put beside pictures, in lower case
LITTER = frozenset(("@eadir", "#recycle", "__macosx", "$recycle.bin", "system volume information", "lost+found"))


class Found(NamedTuple):
    """A regular file."""

    path: Path
    about: os.stat_result


class Failure(NamedTuple):
    """A file or folder that cannot be read, and why."""

    path: Path
    reason: str


class Walk:
    """The regular files of a folder and all below, folder by folder in the order of their names.

    Links are followed, files' and folders', but each real folder is entered once: by its own way where there is one,
    and never through a link that leads to a folder in which the link lies. Hidden files and folders and those in
    `LITTER` are left out. What could not be entered is known at the end: `failures` for errors of the system, `again`
    for links to folders that were entered already. Raises nothing for what lies in the folder, whatever it is.
    """

    def __init__(self, root: str | os.PathLike[str]):
        """Reads nothing yet. `root` is entered whatever its name."""
        self.root = Path(root)
        self.failures: list[Failure] = []
        self.again: list[Path] = []
        self._entered: set[tuple[int, int]] = set()
        self._links: list[Path] = []

    def __iter__(self) -> Iterator[Found]:
        """The files; links to folders are followed last."""
        self.failures, self.again, self._entered, self._links = [], [], set(), [self.root]
        while self._links:
            link = self._links.pop(0)
            if link != self.root and _leads_back(link):
                self.again.append(link)
            else:
                yield from self._below(link)

    def _below(self, first: Path) -> Iterator[Found]:
        ahead = [first]  # a stack: folders may lie deeper than Python calls
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
                    self.failures.append(Failure(path, "it is no file"))
            ahead += reversed(inside)

    def _fail(self, path: Path, error: OSError) -> None:
        self.failures.append(Failure(path, reason_of(error, path)))


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or put there by a program and not by a person."""
    return name.startswith(".") or name.lower() in LITTER


def reason_of(error: OSError, path: Path) -> str:
    """Why a file or folder cannot be read, in plain words."""
    if os.path.islink(path):  # pathlib raises where a name is too long
        if isinstance(error, FileNotFoundError):
            return "the link leads nowhere"
        if "symbolic link" in (error.strerror or ""):
            return "the link leads to itself"
    return error.strerror or type(error).__name__


def tell_failures(failures: list[Failure], root: Path) -> str:
    """One line about what could not be read: how much, and the first as an example. Empty for none."""
    if not failures:
        return ""
    first = failures[0]
    name = first.path.relative_to(root) if first.path.is_relative_to(root) and first.path != root else first.path
    what = "1 file or folder:" if len(failures) == 1 else f"{len(failures)} files or folders, such as"
    return f"{what} {plain(name)} ({first.reason})"


def _leads_back(link: Path) -> bool:
    """Whether a link leads to a folder in which it lies itself, however far up."""
    return Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link))
