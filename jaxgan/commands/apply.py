"""`--mode=apply`: restores pictures and films of any kind, number and size with a trained or published model."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxgan.cli.loading import load_model
from jaxgan.cli.marking import Marking, origin_of_run
from jaxgan.cli.setup import start_jax
from jaxgan.config.run import RunConfig
from jaxgan.errors import FINISHED, SOME_FAILED, UserError
from jaxgan.inference.restorer import Restorer, load_pretrained
from jaxgan.inference.tiling import Tiling
from jaxgan.jobs.apply_options import ApplyOptions, read_apply_options
from jaxgan.jobs.comparison import Comparison
from jaxgan.jobs.files import Pair
from jaxgan.jobs.films import FilmJob, film_size, restore_film
from jaxgan.jobs.pictures import Workshop
from jaxgan.media.films.frames import Unfit
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.reading import Picture, PictureError, stored_size
from jaxgan.reporting.progress import console
from jaxgan.system.plain import plain

FEATURES_TILE = 1024  # pixels of a tile's largest features, for most networks its output, along a side
TILE = 512  # maximal side of a tile in pixels,
WHOLE_TILE = 1024  # unless the network sees the whole picture
BESIDE = "pictures beside what a model restored from them"
SHAPES = 8  # tile shapes to compile; beyond that, pictures of many sizes share shapes


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Restores `--input` (a file, a folder, or a pattern) into `--output` (a file or a folder).

    Pictures keep their format: grey, 16 bits, alpha (enlarged bicubically), colour profile and EXIF. Films keep their
    timestamps, sound, subtitles, chapters and metadata, see `jaxgan.jobs.films`. Files that cannot be read or written
    are reported and skipped; the exit status is then 1. `--strength` in [0, 1] interpolates between the weights of the
    first training stage and the final ones. `--mask` or `--mask_color` select the pixels to fill in. `--degrade` first
    degrades clean inputs as in training. `--compare` writes a side-by-side picture or film. `--provenance`: whether the
    files are marked as made by a model. Raises UserError for invalid options, before anything is written.
    """
    chosen = read_apply_options(options)
    start_jax(config)
    if "pretrained" in options:
        if {"strength", "checkpoint", "product"} & options.keys():
            flags = "--strength, --checkpoint and --product"
            raise UserError(f"{flags}: these need --workdir, a published model has one set of weights")
        restorer = load_pretrained(options["pretrained"])
        origin = Origin("restored", _description(restorer), model=Path(options["pretrained"]).name)
    else:
        restorer = load_model(workdir, options, "pixels", strength=chosen.strength).restorer
        origin = origin_of_run(workdir, "restored", _description(restorer), step=restorer.step)
    return restore_files(restorer, chosen, Marking(origin if chosen.marked else None))


def _description(restorer: Restorer) -> str:
    return f"restored by a model trained for {restorer.description}"


def restore_files(restorer: Restorer, chosen: ApplyOptions, marking: Marking) -> int:
    """Restores the chosen files, reports on each, and returns the exit status. Raises UserError for wrong masks."""
    if chosen.degrade and restorer.degrade is None:
        raise UserError("--degrade: got true, but the degradation of this model is not known")
    if restorer.masks and chosen.masks is None and not chosen.degrade:
        raise UserError(
            "--mask is missing: this model fills in; give a picture that is white where to fill in, or --mask_color"
        )
    if not restorer.masks and chosen.masks is not None:
        raise UserError("--mask and --mask_color: this model does not fill in, expected neither")
    print(f"this model was trained for {restorer.description}")
    for line in chosen.skipped:
        print(line, file=sys.stderr)
    pictures, films = ([pair for pair in chosen.pairs if pair.film == film] for film in (False, True))
    failed = _restore_pictures(restorer, chosen, pictures, marking) if pictures else 0
    failed += sum(not _restore_film(restorer, chosen, pair, marking) for pair in films)
    count, kind = len(chosen.pairs), "pictures" if not films else "films" if not pictures else "files"
    if count > 1:
        print(f"{count - failed} of {count} {kind} restored, {failed} failed")
    return max(marking.report(), SOME_FAILED if failed or chosen.skipped else FINISHED)


def _restore_pictures(restorer: Restorer, chosen: ApplyOptions, pairs: Sequence[Pair], marking: Marking) -> int:
    """Restores pictures, reports on each, and returns the number of failures."""
    sizes = {pair: _size(pair, restorer.scale if chosen.degrade else 1) for pair in pairs}
    tiling = _tiling(restorer, chosen.tile, [size for size in sizes.values() if size])
    tiles = {pair: _count(tiling, size) for pair, size in sizes.items()}
    report = Report(Comparison(restorer.scale) if chosen.compare else None, sum(tiles.values()), marking)
    with report.progress, _enough_memory(tiling):
        workshop = Workshop(
            restorer,
            tiling,
            batch_size=chosen.batch_size,
            masks=chosen.masks,
            degrade=chosen.degrade,
            report=report,
            origin=marking.about(),
        )
        shape = None
        for pair in sorted(pairs, key=lambda each: _shape(tiling, sizes[each])):
            if _shape(tiling, sizes[pair]) != shape:
                workshop.flush()  # no more tiles of this shape follow
                shape = _shape(tiling, sizes[pair])
            workshop.take(pair)
        workshop.flush()
    if report.comparison is not None:
        remarks = report.comparison.save(str(chosen.compare), marking.about(BESIDE, action="created", mixed=True))
        if remarks is not None:
            marking.heard(remarks)
            print(plain(f"side by side: {chosen.compare}"))
    return len(report.failures)


def _restore_film(restorer: Restorer, chosen: ApplyOptions, pair: Pair, marking: Marking) -> bool:
    """Restores a film, reports on it, and returns whether it is complete.

    Raises UserError if the options do not suit the only input.
    """
    try:
        height, width = film_size(pair.source, chosen.films)
        scale = restorer.scale if chosen.degrade else 1
        tiling = _tiling(restorer, chosen.tile, [(height // scale, width // scale)])
        with _enough_memory(tiling):
            result = restore_film(
                FilmJob(
                    pair=pair,
                    restorer=restorer,
                    tiling=tiling,
                    batch_size=chosen.batch_size,
                    chosen=chosen.films,
                    masks=chosen.masks,
                    degrade=chosen.degrade,
                    compare=None if chosen.compare is None else Path(chosen.compare),
                    origin=marking.about(parent=pair.source),
                    origin_of_compare=marking.about(BESIDE, action="created", mixed=True),
                )
            )
    except Unfit as error:
        if len(chosen.pairs) == 1:
            raise UserError(f"{pair.name}: {error}") from error
        print(plain(f"{pair.name}: failed, {error}"), flush=True)
        return False
    except PictureError as error:
        print(plain(f"{pair.name}: failed, {error}"), flush=True)
        return False
    remarks = "; ".join(marking.heard(result.remarks))
    print(plain(f"{pair.name}: {result.text}" + (f" ({remarks})" if remarks else "")), flush=True)
    if chosen.compare is not None:
        print(plain(f"side by side: {chosen.compare}"))
    return result.whole


@contextlib.contextmanager
def _enough_memory(tiling: Tiling) -> Iterator[None]:
    """Raises UserError if the device runs out of memory."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"--tile: tiles of {tiling.tile} pixels do not fit into memory; give a smaller tile") from error


class Report:
    """Reports on each picture, and shows a progress bar on a terminal."""

    def __init__(self, comparison: Comparison | None, tiles: int, marking: Marking):
        """`tiles`: the number of tiles of all pictures."""
        self.comparison, self.failures, self._marking = comparison, list[Pair](), marking
        columns = (TextColumn("tiles"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        # redirect lines through the bar's terminal only if stdout is that terminal
        shared, silent = sys.stdout.isatty(), not console.is_terminal
        self.progress = Progress(*columns, console=console, redirect_stdout=shared, disable=silent)
        self._bar = self.progress.add_task("tiles", total=tiles)

    def done(self, pair: Pair, before: Picture, after: Picture, remarks: Sequence[str]) -> None:
        """Reports a picture that was written."""
        remarks = self._marking.heard(remarks)
        suffix = f" ({'; '.join(remarks)})" if remarks else ""
        print(plain(f"{pair.name}: {after.width} x {after.height} in {pair.target}{suffix}"), flush=True)
        if self.comparison is not None:
            self.comparison.add(pair.name, before, after)

    def failed(self, pair: Pair, why: str) -> None:
        """Reports a picture that cannot be read or written."""
        self.failures.append(pair)
        print(plain(f"{pair.name}: failed, {why}"), flush=True)

    def advanced(self) -> None:
        """Advances the bar by one tile."""
        self.progress.advance(self._bar)


def _tiling(restorer: Restorer, tile: int | None, sizes: Sequence[tuple[int, int]]) -> Tiling:
    """The tiling: each picture in its own tile shape, unless that takes too many shapes."""
    field = restorer.receptive_field
    if tile is None:
        largest = restorer.features_scale or restorer.scale
        usual = WHOLE_TILE if field is None else min(TILE, max(64, FEATURES_TILE // largest))
        exact = 4 * (field or 0)  # tiles at least this long can overlap by the whole receptive field
        tile = exact if usual < exact <= 2 * usual else usual
        if len(sizes) == 1 and math.prod(sizes[0]) <= tile**2:
            tile = max(tile, *sizes[0])  # a wide picture needs no more memory than a square tile
    tiling = Tiling(tile, field, multiple=restorer.multiple)
    shapes = {_shape(tiling, size) for size in sizes}
    return tiling if len(shapes) <= SHAPES else Tiling(tile, field, multiple=restorer.multiple, coarse=True)


def _shape(tiling: Tiling, size: tuple[int, int] | None) -> tuple[int, int]:
    height, width = size or (1, 1)
    return tiling.cut(height).tile, tiling.cut(width).tile


def _count(tiling: Tiling, size: tuple[int, int] | None) -> int:
    return 0 if size is None else len(tiling.cut(size[0]).starts) * len(tiling.cut(size[1]).starts)


def _size(pair: Pair, scale: int) -> tuple[int, int] | None:
    """Height and width to restore, reduced by `scale`, according to the file's header; None if it cannot be read.

    Such files are reported when they are read.
    """
    try:
        height, width = stored_size(pair.source)
    except PictureError:
        return None
    return max(1, height // scale), max(1, width // scale)
