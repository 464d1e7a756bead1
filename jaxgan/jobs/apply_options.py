"""Reads and checks the options of `--mode=apply`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from jaxgan.cli.marking import marks
from jaxgan.cli.options import COUNT, integer, switch
from jaxgan.cli.outputs import check_outputs, written_at
from jaxgan.errors import UserError
from jaxgan.jobs.files import Pair, pair_files
from jaxgan.jobs.films import FilmOptions, check_films
from jaxgan.jobs.masks import Masks
from jaxgan.media.kinds import CONTAINERS, FORMATS, is_known
from jaxgan.media.provenance.origin import read_statement
from jaxgan.system.paths import expanded


class ApplyOptions(NamedTuple):
    """The checked options."""

    pairs: list[Pair]
    masks: Masks | None
    strength: float
    tile: int | None
    batch_size: int | None
    compare: str | None
    degrade: bool
    films: FilmOptions
    marked: bool
    skipped: tuple[str, ...] = ()  # messages about files of the input that cannot be read


def read_apply_options(options: Mapping[str, str]) -> ApplyOptions:
    """Reads the options. Raises UserError for options that are missing, wrong, or do not fit together."""
    for name, wanted in (("input", "a picture, a film, a folder or a pattern"), ("output", "a file or a folder")):
        if not options.get(name):
            raise UserError(f"--{name} is missing: --mode=apply needs {wanted}")
    overwrite, degrade = (switch(options, name) for name in ("overwrite", "degrade"))
    if degrade and ("mask" in options or "mask_color" in options):
        raise UserError("--degrade: got both true and a mask, expected only one of them")
    flags = ("tile", "batch_size")
    numbers = {name: integer(options, name, 0, COUNT) if name in options else None for name in flags}
    check_outputs("apply", "", options)
    skipped: list[str] = []
    pairs = pair_files(options["input"], options["output"], overwrite=overwrite, skipped=skipped)
    masks, compare = _masks(options, pairs), _compare(options, pairs)
    _keep_apart(pairs, masks, compare, overwrite=overwrite)
    return ApplyOptions(
        pairs=pairs,
        masks=masks,
        strength=_strength(options),
        tile=numbers["tile"],
        batch_size=numbers["batch_size"],
        compare=compare,
        degrade=degrade,
        films=_films(options, pairs),
        marked=marks(options),
        skipped=tuple(skipped),
    )


def _compare(options: Mapping[str, str], pairs: Sequence[Pair]) -> str | None:
    compare = options.get("compare")
    if compare is None:
        return None
    films = [pair for pair in pairs if pair.film]
    suffix = Path(compare).suffix.lower()
    if films and (len(pairs) > 1 or suffix not in CONTAINERS):
        raise UserError(f"--compare: got {compare!r}, expected one film and one of {', '.join(CONTAINERS)}")
    if not films and suffix not in FORMATS:
        raise UserError(f"--compare: got {compare!r}, expected one of {', '.join(FORMATS)}")
    return expanded(compare, "--compare")


def _keep_apart(pairs: Sequence[Pair], masks: Masks | None, compare: str | None, *, overwrite: bool) -> None:
    """Raises UserError if an output would overwrite a mask, or the comparison a mask, an input or an output."""
    drawn = None if masks is None else masks.path
    files = [] if drawn is None else drawn.rglob("*") if drawn.is_dir() else [drawn]
    kept = {place: "a mask" for file in files for place in (file.resolve(), written_at(file))}
    for pair in pairs:
        if written_at(pair.target) in kept:
            raise UserError(f"--output: got {str(pair.target)!r}, which would overwrite a mask, expected another file")
    kept |= {written_at(pair.target): "an output" for pair in pairs}
    kept |= {place: "an input" for pair in pairs for place in (pair.source.resolve(), written_at(pair.source))}
    if compare is None:
        return
    if what := kept.get(written_at(compare)):
        raise UserError(f"--compare: got {compare!r}, which would overwrite {what}, expected another file")
    beside = {pair.source.parent.resolve() for pair in pairs}
    if not overwrite and written_at(compare).parent in beside and is_known(compare) and _is_foreign(Path(compare)):
        why = "which would overwrite a file beside the inputs, expected another file, or --overwrite=true"
        raise UserError(f"--compare: got {compare!r}, {why}")


def _is_foreign(path: Path) -> bool:
    """Whether a file exists that is not marked as an earlier comparison."""
    try:
        statement = read_statement(path) if path.exists() else None
    except (OSError, ValueError):
        return True
    return path.exists() and (statement is None or statement.source_type is None)


def _films(options: Mapping[str, str], pairs: Sequence[Pair]) -> FilmOptions:
    """The options for films. Raises UserError for options without a film, or that no film can meet."""
    named = [name for name in ("codec", "quality", "start", "end", "rate") if name in options]
    films = [pair for pair in pairs if pair.film]
    if not films:
        if named:
            raise UserError(f"--{named[0]}: got it without a film, expected it only if --output is one")
        return FilmOptions()
    if "rate" in options and not all(pair.source.is_dir() for pair in films):
        raise UserError("--rate: got it with a film, which has its own times, expected a folder of frames")
    chosen = FilmOptions(
        codec=options.get("codec"),
        quality=_number(options, "quality"),
        start=_number(options, "start") or 0.0,
        end=_number(options, "end"),
        rate=None if "rate" not in options else _rate(options["rate"]),
    )
    if chosen.end is not None and chosen.end <= chosen.start:
        raise UserError(f"--end: got {chosen.end:g}, expected more than --start={chosen.start:g}")
    check_films(chosen, films)
    return chosen


def _number(options: Mapping[str, str], name: str) -> float | None:
    """A number of at least 0; times may be minutes:seconds or hours:minutes:seconds."""
    if name not in options:
        return None
    parts = options[name].split(":") if name in ("start", "end") else [options[name]]
    try:
        numbers = [float(part) for part in reversed(parts)]
    except ValueError:
        numbers = [-1.0]
    number = sum(each * 60**place for place, each in enumerate(numbers))
    if not all(0 <= each < float("inf") for each in numbers) or len(parts) > 3:
        raise UserError(f"--{name}: got {options[name]!r}, expected a number of at least 0")
    return number


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text).limit_denominator(1001)  # 29.97003 is 30000/1001
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise UserError(f"--rate: got {text!r}, expected frames per second up to 1000, such as 25 or 24000/1001")
    return rate


def _strength(options: Mapping[str, str]) -> float:
    text = options.get("strength", "1")
    try:
        strength = float(text)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise UserError(f"--strength: got {text!r}, expected a number from 0 to 1")
    return strength


def _masks(options: Mapping[str, str], pairs: Sequence[Pair]) -> Masks | None:
    path, text = options.get("mask"), options.get("mask_color")
    if path is None and text is None:
        return None
    if path is not None and text is not None:
        raise UserError("--mask_color: got it together with --mask, expected one of them")
    if path is not None:
        path = expanded(path, "--mask")
        if not Path(path).exists():
            raise UserError(f"--mask: got {path!r}, which does not exist, expected a file or a folder")
        return Masks(Path(path), names=tuple(pair.name for pair in pairs))
    try:
        red, green, blue = (int(part) for part in str(text).split(","))
    except ValueError:
        red = green = blue = -1
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise UserError(f"--mask_color: got {text!r}, expected three integers from 0 to 255, such as 255,0,255")
    return Masks(None, (red, green, blue))
