"""Which picture, or film, goes into which file."""

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
from jaxgan.media.walking import Walk, tell_failures
from jaxgan.system.paths import expanded

SUFFIX, FILM_SUFFIX = ".png", ".mp4"  # of what comes from a format that is not written


class Pair(NamedTuple):
    """A file to read and the one to write."""

    source: Path
    target: Path
    name: str  # of the source, for a person

    @property
    def film(self) -> bool:
        """Whether a film is to be written, and not a picture."""
        return self.target.suffix.lower() in CONTAINERS


def pair_files(given: str, output: str, *, overwrite: bool, skipped: list[str] | None = None) -> list[Pair]:
    """What `--input` (a file, a folder with all below it, or a pattern) and `--output` (a file or a folder) mean.

    In a folder outputs have the names of their inputs, and .png (a film: .mp4) where theirs is no format that is
    written. Hidden files, and those in an output folder that lies in the input folder, are left out. A folder whose
    output is a film is one film, of its pictures. What is in the folder but cannot be read is told in a line that is
    added to `skipped`. Raises UserError for no files, an output that does not fit, and, unless told to overwrite, one
    that would take the place of an input.
    """
    path, out = Path(expanded(given, "--input")), Path(expanded(output, "--output"))
    sources, root = _find(path, [] if skipped is None else skipped)
    if path.is_dir() and out.resolve() != path.resolve() and out.resolve().is_relative_to(path.resolve()):
        sources = [source for source in sources if not source.resolve().is_relative_to(out.resolve())]
    if not sources:
        raise UserError(f"--input: there is no file, no folder with files, and nothing that fits the pattern {given!r}")
    folder = means_folder(expanded(output))
    if not folder and out.suffix.lower() not in (fitting := _fitting(path)):
        accepted = f"one of {', '.join(fitting)}, or a folder"
        if not path.is_file():
            film = f", or for a film of them one of {', '.join(fitting)}" if fitting else ""
            accepted = f"a folder, for several pictures{film}"
        raise UserError(f"--output: got {output!r}, expected {accepted}")
    if folder and out.exists() and not out.is_dir():
        raise UserError(f"--output: {output!r} is a file, expected a folder, or one of {', '.join(_fitting(path))}")
    whole = path if path.is_dir() else sources[0]
    pairs = _into(out, sources, root) if folder else [Pair(whole, out, whole.name)]
    if folder:
        _check_inside(out, pairs)
    kept = {place for source in sources for place in (source.resolve(), written_at(source))}
    lost = [pair.name for pair in pairs if written_at(pair.target) in kept]
    if lost and not overwrite:
        raise UserError(f"--output: {lost[0]} would take an input's place; give another folder, or --overwrite=true")
    return pairs


def _check_inside(folder: Path, pairs: Iterable[Pair]) -> None:
    """Raises UserError where a link in the output folder would lead a file out of it."""
    root = folder.resolve()
    for parent in sorted({pair.target.parent for pair in pairs}):
        if not parent.resolve().is_relative_to(root):
            raise UserError(f"--output: {str(parent)!r} is, or lies behind, a link that leads out of {str(folder)!r}")


def _find(path: Path, skipped: list[str]) -> tuple[list[Path], Path]:
    """The files in order, and the folder that their names are told from."""
    if path.is_file():
        return [path], path.parent
    if path.is_dir():
        return sorted(_walked(path, skipped)), path
    found = _matching(path, skipped)
    return found, Path(os.path.commonpath([each.parent for each in found])) if found else path


def _matching(pattern: Path, skipped: list[str]) -> list[Path]:
    """The files that fit a pattern; brackets in the name of a folder that is there, or that fit nothing, are letters.

    Other signs of patterns fit themselves.
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
    if line := tell_failures(walk.failures, folder):
        skipped.append(f"--input: skipped {line}")
    return found


def _below(pattern: Sequence[str], skipped: list[str]) -> list[Path]:
    """The files that fit a pattern with `**`, in order: by a walk, since glob goes round in links that lead back."""
    place = next(place for place, part in enumerate(pattern) if glob.has_magic(part.replace("[[]", "")))
    root, rest = Path(*(part.replace("[[]", "[") for part in pattern[:place])), pattern[place:]
    return sorted(each for each in _walked(root, skipped) if _fits(each.relative_to(root).parts, rest))


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern, in which `**` stands for any folders, or none."""
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
    """The suffixes of what one file, or a folder as one film, can become."""
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
