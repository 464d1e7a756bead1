"""`--mode=apply`: a trained or published model over pictures and films of any kind, number and size."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import jax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxgan.commands.comparison import Comparison
from jaxgan.commands.files import Pair, pair_files
from jaxgan.commands.films import FilmJob, FilmWish, check_films, film_size, restore_film
from jaxgan.commands.masks import Masks, Unfit
from jaxgan.commands.restoring import Workshop
from jaxgan.commands.sample import checkpoint_choice, integer
from jaxgan.commands.setup import start_jax
from jaxgan.config import RunConfig
from jaxgan.errors import FINISHED, SOME_FAILED, UserError
from jaxgan.media.frames import CONTAINERS
from jaxgan.media.reading import Picture, PictureError, stored_size
from jaxgan.restorer import Restorer, load_pretrained, load_restorer
from jaxgan.tiling import Tiling
from jaxgan.training.progress import console

OUTPUT_TILE = 1024  # pixels of an output that a tile makes along a side
TILE = 512  # pixels of a tile along a side at most,
WHOLE_TILE = 1024  # unless the network sees the whole picture
SHAPES = 8  # of tiles that are compiled before pictures of many sizes share fewer


class Wish(NamedTuple):
    """What the options ask for."""

    pairs: list[Pair]
    masks: Masks | None
    strength: float
    tile: int | None
    batch_size: int | None
    compare: str | None
    degrade: bool
    films: FilmWish = FilmWish()


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Restores `--input` (a file, a folder, a pattern) into `--output` (a file or a folder).

    Pictures keep their kind: grey, 16 bits, alpha (enlarged bicubically), colour profile and EXIF. Films keep their
    times, sound, subtitles, chapters and metadata, see `jaxgan.commands.films`. What cannot be read or written is told
    and passed over; the status is then 1. `--strength` in [0, 1] goes from the first stage's weights to the last;
    `--mask` or `--mask_color` say where an inpainter fills in; `--degrade` first makes of clean pictures what the model
    was trained to restore; `--compare` writes a picture, or a film, for a person. Raises UserError for options that do
    not fit, before anything is written.
    """
    wish = _wish(options)
    start_jax(config)
    if "pretrained" in options:
        if "strength" in options or "checkpoint" in options:
            raise UserError(
                "--strength and --checkpoint: accepted with --workdir, a published model has one set of weights"
            )
        restorer = load_pretrained(options["pretrained"])
    else:
        restorer = load_restorer(workdir, step=checkpoint_choice(options), strength=wish.strength)
    return restore_files(restorer, wish)


def restore_files(restorer: Restorer, wish: Wish) -> int:
    """Restores what a wish names, and tells of it; the exit status. Raises UserError for masks that do not fit."""
    if wish.degrade and restorer.degrade is None:
        raise UserError("--degrade: got true, but nobody knows how the conditions of this model are made of pictures")
    if restorer.masks and wish.masks is None and not wish.degrade:
        raise UserError("--mask is missing: this model fills in; give a picture that is white where, or --mask_color")
    if not restorer.masks and wish.masks is not None:
        raise UserError("--mask and --mask_color: this model does not fill in, accepted is neither")
    print(f"this model was trained for {restorer.description}")
    pictures, films = ([pair for pair in wish.pairs if pair.film == film] for film in (False, True))
    failed = _restore_pictures(restorer, wish, pictures) if pictures else 0
    failed += sum(not _restore_film(restorer, wish, pair) for pair in films)
    count, kind = len(wish.pairs), "pictures" if not films else "films" if not pictures else "files"
    if count > 1:
        print(f"{count - failed} of {count} {kind} restored, {failed} failed")
    return SOME_FAILED if failed else FINISHED


def _restore_pictures(restorer: Restorer, wish: Wish, pairs: Sequence[Pair]) -> int:
    """Restores pictures and tells of them; how many failed."""
    sizes = {pair: _size(pair, restorer.scale if wish.degrade else 1) for pair in pairs}
    tiling = _tiling(restorer, wish.tile, [size for size in sizes.values() if size])
    tiles = {pair: _count(tiling, size) for pair, size in sizes.items()}
    report = Report(Comparison(restorer.scale) if wish.compare else None, sum(tiles.values()))
    with report.progress, _enough_memory(tiling):
        workshop = Workshop(
            restorer, tiling, batch_size=wish.batch_size, masks=wish.masks, degrade=wish.degrade, report=report
        )
        shape = None
        for pair in sorted(pairs, key=lambda each: _shape(tiling, sizes[each])):
            if _shape(tiling, sizes[pair]) != shape:
                workshop.flush()  # of this shape no more will come
                shape = _shape(tiling, sizes[pair])
            workshop.take(pair)
        workshop.flush()
    if report.comparison is not None and report.comparison.save(str(wish.compare)):
        print(f"side by side: {wish.compare}")
    return len(report.failures)


def _restore_film(restorer: Restorer, wish: Wish, pair: Pair) -> bool:
    """Restores a film and tells of it; whether it is whole. Raises UserError for options that do not fit the one."""
    try:
        height, width = film_size(pair.source, wish.films)
        scale = restorer.scale if wish.degrade else 1
        tiling = _tiling(restorer, wish.tile, [(height // scale, width // scale)])
        with _enough_memory(tiling):
            told = restore_film(
                FilmJob(
                    pair=pair,
                    restorer=restorer,
                    tiling=tiling,
                    batch_size=wish.batch_size,
                    wish=wish.films,
                    masks=wish.masks,
                    degrade=wish.degrade,
                    compare=None if wish.compare is None else Path(wish.compare),
                )
            )
    except Unfit as error:
        if len(wish.pairs) == 1:
            raise UserError(f"{pair.name}: {error}") from error
        print(f"{pair.name}: failed, {error}", flush=True)
        return False
    except PictureError as error:
        print(f"{pair.name}: failed, {error}", flush=True)
        return False
    print(f"{pair.name}: {told.text}", flush=True)
    if wish.compare is not None:
        print(f"side by side: {wish.compare}")
    return told.whole


@contextlib.contextmanager
def _enough_memory(tiling: Tiling) -> Iterator[None]:
    """Raises UserError where a device's memory does not hold what a tile needs."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"--tile: {tiling.tile} pixels are too many for the memory; give fewer") from error


class Report:
    """Tells of each picture, and shows a bar on a terminal."""

    def __init__(self, comparison: Comparison | None, tiles: int):
        """`tiles`: of all pictures."""
        self.comparison, self.failures = comparison, list[Pair]()
        columns = (TextColumn("tiles"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        # lines go through the bar's terminal only where they would go to it anyway
        shared, silent = sys.stdout.isatty(), not console.is_terminal
        self.progress = Progress(*columns, console=console, redirect_stdout=shared, disable=silent)
        self._bar = self.progress.add_task("tiles", total=tiles)

    def done(self, pair: Pair, before: Picture, after: Picture, remarks: Sequence[str]) -> None:
        """A picture is written."""
        told = f" ({'; '.join(remarks)})" if remarks else ""
        print(f"{pair.name}: {after.width} x {after.height} in {pair.target}{told}", flush=True)
        if self.comparison is not None:
            self.comparison.add(pair.name, before, after)

    def failed(self, pair: Pair, why: str) -> None:
        """A picture cannot be read or written."""
        self.failures.append(pair)
        print(f"{pair.name}: failed, {why}", flush=True)

    def advanced(self) -> None:
        """A tile is computed."""
        self.progress.advance(self._bar)


def _wish(options: Mapping[str, str]) -> Wish:
    for name, wanted in (("input", "a picture, a folder or a pattern"), ("output", "a picture or a folder")):
        if not options.get(name):
            raise UserError(f"--{name} is missing: --mode=apply needs {wanted}")
    overwrite, degrade = (_switch(options, name) for name in ("overwrite", "degrade"))
    if degrade and ("mask" in options or "mask_color" in options):
        raise UserError("--degrade: got true beside a mask, accepted is one of them")
    numbers = {name: integer(options, name, 0) if name in options else None for name in ("tile", "batch_size")}
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UserError(f"--{name}: got {number}, accepted is 1 or more")
    pairs = pair_files(options["input"], options["output"], overwrite=overwrite)
    return Wish(
        pairs=pairs,
        masks=_masks(options),
        strength=_strength(options),
        tile=numbers["tile"],
        batch_size=numbers["batch_size"],
        compare=_compare(options, pairs),
        degrade=degrade,
        films=_films(options, pairs),
    )


def _compare(options: Mapping[str, str], pairs: Sequence[Pair]) -> str | None:
    compare = options.get("compare")
    if compare is None:
        return None
    films = [pair for pair in pairs if pair.film]
    suffix = Path(compare).suffix.lower()
    if films and (len(pairs) > 1 or suffix not in CONTAINERS):
        raise UserError(f"--compare: got {compare!r}, accepted for one film is one of {', '.join(CONTAINERS)}")
    if not films and suffix != ".png":
        raise UserError(f"--compare: got {compare!r}, accepted is a .png")
    if films and Path(compare).resolve() in (pairs[0].source.resolve(), pairs[0].target.resolve()):
        raise UserError(f"--compare: {compare!r} would take the place of the input or of the output")
    return compare


def _films(options: Mapping[str, str], pairs: Sequence[Pair]) -> FilmWish:
    """What the options ask of films. Raises UserError for those that no film could follow."""
    named = [name for name in ("codec", "quality", "start", "end", "rate") if name in options]
    films = [pair for pair in pairs if pair.film]
    if not films:
        if named:
            raise UserError(f"--{named[0]}: accepted for films, --output is none")
        return FilmWish()
    if "rate" in options and not all(pair.source.is_dir() for pair in films):
        raise UserError("--rate: accepted for a folder of frames, a film has its own times")
    wish = FilmWish(
        codec=options.get("codec"),
        quality=_number(options, "quality"),
        start=_number(options, "start") or 0.0,
        end=_number(options, "end"),
        rate=None if "rate" not in options else _rate(options["rate"]),
    )
    if wish.end is not None and wish.end <= wish.start:
        raise UserError(f"--end: got {wish.end:g}, expected more than --start={wish.start:g}")
    check_films(wish, films)
    return wish


def _number(options: Mapping[str, str], name: str) -> float | None:
    """A number of 0 or more; times may be minutes:seconds or hours:minutes:seconds."""
    if name not in options:
        return None
    parts = options[name].split(":") if name in ("start", "end") else [options[name]]
    try:
        number = sum(float(part) * 60**place for place, part in enumerate(reversed(parts)))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf") or len(parts) > 3:
        raise UserError(f"--{name}: got {options[name]!r}, accepted are numbers from 0 on")
    return number


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(-1)
    if not 0 < rate <= 1000:
        raise UserError(f"--rate: got {text!r}, accepted are frames a second, such as 25 or 24000/1001")
    return rate


def _switch(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "false")
    if text not in ("true", "false"):
        raise UserError(f"--{name}: got {text!r}, accepted are true and false")
    return text == "true"


def _strength(options: Mapping[str, str]) -> float:
    text = options.get("strength", "1")
    try:
        strength = float(text)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 1:
        raise UserError(f"--strength: got {text!r}, accepted are numbers from 0 to 1")
    return strength


def _masks(options: Mapping[str, str]) -> Masks | None:
    path, text = options.get("mask"), options.get("mask_color")
    if path is None and text is None:
        return None
    if path is not None and text is not None:
        raise UserError("--mask_color: got it beside --mask, accepted is one of them")
    if path is not None:
        if not Path(path).expanduser().exists():
            raise UserError(f"--mask: there is no file or folder {path!r}")
        return Masks(Path(path).expanduser())
    try:
        red, green, blue = (int(part) for part in str(text).split(","))
    except ValueError:
        red = green = blue = -1
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise UserError(f"--mask_color: got {text!r}, accepted are three numbers from 0 to 255, such as 255,0,255")
    return Masks(None, (red, green, blue))


def _tiling(restorer: Restorer, tile: int | None, sizes: Sequence[tuple[int, int]]) -> Tiling:
    """How to cut: in shapes of their own while these are few."""
    field = restorer.receptive_field
    if tile is None:
        usual = WHOLE_TILE if field is None else min(TILE, max(64, OUTPUT_TILE // restorer.scale))
        exact = 4 * (field or 0)  # pixels from which on tiles overlap by as much as the network sees
        tile = exact if usual < exact <= 2 * usual else usual
        if len(sizes) == 1 and math.prod(sizes[0]) <= tile**2:
            tile = max(tile, *sizes[0])  # a wide one needs no more memory whole
    tiling = Tiling(tile, field, multiple=restorer.multiple)
    shapes = {_shape(tiling, size) for size in sizes}
    return tiling if len(shapes) <= SHAPES else Tiling(tile, field, multiple=restorer.multiple, coarse=True)


def _shape(tiling: Tiling, size: tuple[int, int] | None) -> tuple[int, int]:
    height, width = size or (1, 1)
    return tiling.cut(height).tile, tiling.cut(width).tile


def _count(tiling: Tiling, size: tuple[int, int] | None) -> int:
    return 0 if size is None else len(tiling.cut(size[0]).starts) * len(tiling.cut(size[1]).starts)


def _size(pair: Pair, scale: int) -> tuple[int, int] | None:
    """Height and width of what is restored, a picture reduced by the scale, as far as the file's head tells them.

    Files that do not are told of when they are read.
    """
    try:
        height, width = stored_size(pair.source)
    except PictureError:
        return None
    return max(1, height // scale), max(1, width // scale)
