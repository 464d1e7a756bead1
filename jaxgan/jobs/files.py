"""Pairs input pictures and films with output files."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgan.cli.outputs import means_folder, written_at
from jaxgan.errors import UserError
from jaxgan.media.films.frames import is_film
from jaxgan.media.kinds import ANIMATIONS, CONTAINERS, FORMATS
from jaxgan.media.walking import Walk, report_failures
from jaxgan.system.paths import expanded

SUFFIX, FILM_SUFFIX = ".png", ".mp4"  # of outputs whose input format cannot be written


class Pair(NamedTuple):
    """An input file and its output file."""

    source: Path
    target: Path
    name: str  # of the source, for messages

    @property
    def film(self) -> bool:
        """Whether the output is a film."""
        return self.target.suffix.lower() in CONTAINERS


def pair_files(given: str, output: str, *, overwrite: bool, skipped: list[str] | None = None) -> list[Pair]:
    """The pairs given by `--input` (a file, a folder with its subfolders, or a pattern) and `--output` (file, folder).

    In an output folder, outputs have the names of their inputs, with the suffix .png (films: .mp4) if their own format
    cannot be written. Hidden files, and those of an output folder inside the input folder, are left out. A folder
    whose output is a film is read as one film of its pictures. Files that cannot be read are reported in a line added
    to `skipped`. Raises UserError if there are no files, if the output does not fit, and, without `overwrite`, if it
    would overwrite an input.
    """
    path, out = Path(expanded(given, "--input")), Path(expanded(output, "--output"))
    sources, root = _find(path, [] if skipped is None else skipped)
    if path.is_dir() and out.resolve() != path.resolve() and out.resolve().is_relative_to(path.resolve()):
        sources = [source for source in sources if not source.resolve().is_relative_to(out.resolve())]
    if not sources:
        raise UserError(f"--input: got {given!r}, expected a file, a folder with files or a pattern that matches some")
    folder = means_folder(expanded(output))
    if not folder and out.suffix.lower() not in (fitting := _fitting(path)):
        wanted = f"one of {', '.join(fitting)}, or a folder"
        if not path.is_file():
            film = f", or for a film of them one of {', '.join(fitting)}" if fitting else ""
            wanted = f"a folder, for several pictures{film}"
        raise UserError(f"--output: got {output!r}, expected {wanted}")
    if folder and out.exists() and not out.is_dir():
        raise UserError(f"--output: {output!r} is a file, expected a folder, or one of {', '.join(_fitting(path))}")
    whole = path if path.is_dir() else sources[0]
    pairs = _into(out, sources, root) if folder else [Pair(whole, out, whole.name)]
    if folder:
        _check_inside(out, pairs)
    kept = {place for source in sources for place in (source.resolve(), written_at(source))}
    lost = [pair.name for pair in pairs if written_at(pair.target) in kept]
    if lost and not overwrite:
        raise UserError(f"--output: {lost[0]} would overwrite an input, expected another folder, or --overwrite=true")
    return pairs


def _check_inside(folder: Path, pairs: Iterable[Pair]) -> None:
    """Raises UserError if an output would be written outside the output folder through a link in it."""
    root = folder.resolve()
    for parent in sorted({pair.target.parent for pair in pairs}):
        if not parent.resolve().is_relative_to(root):
            raise UserError(
                f"--output: {str(parent)!r} is, or is inside, a link, expected a folder inside {str(folder)!r}"
            )


def _find(path: Path, skipped: list[str]) -> tuple[list[Path], Path]:
    """The sorted files, and the folder to which their names are relative."""
    if path.is_file():
        return [path], path.parent
    if path.is_dir():
        return sorted(_walked(path, skipped)), path
    found = _matching(path, skipped)
    return found, Path(os.path.commonpath([each.parent for each in found])) if found else path


def _matching(pattern: Path, skipped: list[str]) -> list[Path]:
    """The files that match a pattern.

    Brackets count as literal in the name of an existing folder, or if the pattern otherwise matches nothing. Other
    special characters match themselves anyway.
    """
    place, parts = Path(), list[str]()
    for part in pattern.parts:
        place = place / part
        parts.append(_literal(part) if place.is_dir() else part)
    found: list[Path] = []
    for each in (parts, [_literal(part) for part in pattern.parts]):
        if not found and "**" in each:
            found = _below(each, skipped)
        elif not found:
            found = sorted(Path(name) for name in glob.glob(os.path.join(*each)) if os.path.isfile(name))
    return found


def _literal(part: str) -> str:
    return part.replace("[", "[[]")


def _walked(folder: Path, skipped: list[str]) -> list[Path]:
    walk = Walk(folder)
    found = [each.path for each in walk]
    if line := report_failures(walk.failures, folder):
        skipped.append(f"--input: skipped {line}")
    return found


def _below(pattern: Sequence[str], skipped: list[str]) -> list[Path]:
    """The sorted files that match a pattern with `**`; found by `Walk`, since glob loops on links that lead back."""
    place = next(place for place, part in enumerate(pattern) if glob.has_magic(part.replace("[[]", "")))
    root, rest = Path(*(part.replace("[[]", "[") for part in pattern[:place])), pattern[place:]
    return sorted(each for each in _walked(root, skipped) if _fits(each.relative_to(root).parts, rest))


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern, in which `**` stands for any number of folders."""
    if not pattern:
        return not names
    if pattern[0] == "**" and _fits(names, pattern[1:]):
        return True
    if not names:
        return False
    if pattern[0] == "**":
        return _fits(names[1:], pattern)
    return fnmatch.fnmatch(names[0], pattern[0]) and _fits(names[1:], pattern[1:])


def _fitting(path: Path) -> tuple[str, ...]:
    """The possible output suffixes of one file, or of a folder as one film."""
    if path.is_dir() or is_film(path):
        return tuple(CONTAINERS)
    if not path.is_file():
        return ()
    return (*FORMATS, *CONTAINERS) if path.suffix.lower() in ANIMATIONS else tuple(FORMATS)


def _into(folder: Path, sources: Iterable[Path], root: Path) -> list[Pair]:
    names = {source: source.relative_to(root) for source in sources}
    written = {name for name in names.values() if name.suffix.lower() in (*FORMATS, *CONTAINERS)}
    pairs = []
    for source, name in names.items():
        target = name
        if name not in written:
            suffix = FILM_SUFFIX if is_film(name) else SUFFIX
            longer = (
                name.with_name(f"{name.name}{number}{suffix}") for number in ("", *map("-{}".format, range(2, 99)))
            )
            target = next(each for each in (name.with_suffix(suffix), *longer) if each not in written)
            written.add(target)
        pairs.append(Pair(source, folder / target, str(name)))
    return pairs
