"""Clips of the films in a folder, with or without class folders."""

from __future__ import annotations

import collections
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan.data.account import warn_once
from jaxgan.data.clips.film_index import index_films
from jaxgan.data.clips.films import Film, read_frames
from jaxgan.data.clips.windows import Windows
from jaxgan.data.folder_source import common_side, digest_of, report_framing, report_sizes
from jaxgan.data.folder_splits import Splits, find_classes, find_splits, parts_of, readable, report_classes
from jaxgan.data.sources import IMAGES, DataSpec, fingerprint
from jaxgan.data.transforms import Framing, check_framing
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

HELD_OUT = 0.1  # fraction of a lone film: its last shots, or its last frames if it has only one shot


class _Shot(NamedTuple):
    film: Film
    first: int
    length: int


class FolderClips:
    """Clips of one split of a folder of films as a `Source`.

    Films are files, and folders of frames. Splits and classes are found as in `jaxgan.data.folder_splits`, with films
    in place of pictures; the last shots of a lone film are `test`. A clip never crosses a cut. Raises `UserError` if
    nothing can be read, for an unknown split, if no shot is long enough for a clip, and if films vary in size or are
    not square and no resolution is given.
    """

    def __init__(
        self,
        config: DataConfig,
        split: str,
        root: Path,
        *,
        whole: bool = False,
        only: Collection[str] = (),
        shots: Mapping[str, Mapping[str, tuple[int, ...]]] | None = None,
        largest: int | None = None,
    ):
        """`whole`: frames keep their own sizes, but are reduced if a side has more than `largest` pixels.

        `only`: the names of the files to read; all if empty. `shots`: by split and file name, the numbers of the shots.
        """
        check_framing(config.channels, config.resolution, config.fit)
        self._root = root
        index = index_films(root, only if shots is None else {name for films in shots.values() for name in films})
        warn_once(config.name, index.findings)
        self._films = films = {film.entry.path: film for film in index.films}
        everything = [film.entry for film in index.films]
        splits, by_split = _find_shots(films, config) if shots is None else _choose_shots(films, shots)
        found = splits.find(split)
        if found is None:
            known = ", ".join(sorted(map(plain, splits.entries)))
            raise UserError(f"the folder {config.name!r} has no split {split!r}; it has {known}")
        self._shots = by_split[found]
        self._windows = Windows([shot.length for shot in self._shots], config, found)
        classes = find_classes(everything, splits.depth)
        labels = [classes.index(parts_of(s.film.entry)[splits.depth]) if classes else 0 for s in self._shots]
        self._labels = np.array(labels, np.int32)[self._windows.shots(range(self._windows.size))]
        side = None if whole else config.resolution or common_side(everything, config.name, "films")
        channels = config.channels or (1 if all(entry.grey for entry in everything) else 3)
        self._frame = Framing(channels, None if whole else config.resolution, config.fit, largest if whole else None)
        used = list(dict.fromkeys(shot.film.entry for shot in self._shots))
        self.spec = DataSpec(
            name=config.name,
            split=found,
            size=self._windows.size,
            fields=picture_fields(
                side, side, channels, () if whole else tuple(map(readable, classes)), frames=self._windows.frames
            ),
            fingerprint=fingerprint(
                "clips",
                found,
                [(shot.film.entry.path, shot.film.entry.size, shot.first, shot.length) for shot in self._shots],
                *(config.frames, config.stride, config.hop),
                *(self._frame.resolution, config.fit, channels),
                *(() if self._frame.largest is None else (self._frame.largest,)),
            ),
            contents=((IMAGES, digest_of(used)),),
            findings=(
                ("data", f"{plain(config.name)}: {report_sizes(everything, 'film')}"),
                ("splits", splits.description),
                ("classes", report_classes(everything, splits.depth, "film")),
                *(("pixels", text) for text in report_framing(everything, self._frame, "films") if text),
                *([("pixels", f"reduced to {self._frame.largest} pixels along a side")] if self._frame.largest else []),
                ("clips", self._windows.describe()),
                *index.findings,
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The clips at `indices`: image uint8 `[n,T,H,W,C]`, and label int32 `[n]` if there are classes.

        Each film is decoded only once per call.
        """
        wanted, places = collections.defaultdict[str, set[int]](set), list[tuple[str, list[int]]]()
        for index in indices:
            shot, numbers = self._windows(int(index))
            film, first, _ = self._shots[shot]
            places.append((film.entry.path, (first + numbers).tolist()))
            wanted[film.entry.path].update(places[-1][1])
        read = {
            path: read_frames(self._root / path, self._films[path], each, self._frame) for path, each in wanted.items()
        }
        image = np.stack([np.stack([read[path][number] for number in numbers]) for path, numbers in places])
        return {"image": image, "label": self.labels(indices)} if self.spec.classes else {"image": image}

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The clip at `index`, without its label: uint8 `[T,H,W,C]`."""
        return {"image": self.read([index])["image"][0]}

    def labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The labels int32 `[n]`; no frame is decoded."""
        return self._labels[np.asarray(indices, np.int64)]

    @property
    def label_counts(self) -> np.ndarray:
        """The number of clips of each class, int `[K]`."""
        return np.bincount(self._labels, minlength=len(self.spec.classes))


def _find_shots(films: Mapping[str, Film], config: DataConfig) -> tuple[Splits, dict[str, list[_Shot]]]:
    """The shots of each split."""
    if len(films) > 1:
        splits = find_splits([film.entry for film in films.values()])
        of = {name: [films[entry.path] for entry in entries] for name, entries in splits.entries.items()}
        return splits, {
            name: [_Shot(film, *shot) for film in each for shot in film.shots(config.cuts)] for name, each in of.items()
        }
    (film,) = films.values()
    span = ((config.frames or 1) - 1) * config.stride + 1
    found = film.shots(config.cuts)
    shots = [shot for shot in found if shot[1] >= span] or found
    if len(shots) == 1:
        ((first, count),) = shots
        tail = max(span, round(HELD_OUT * count))
        shots = [(first, count - tail), (first + count - tail, tail)] if count - tail >= span else shots
    test = max(1, round(HELD_OUT * len(shots))) if len(shots) > 1 else 0
    parts = {"train": shots[: len(shots) - test], "test": shots[len(shots) - test :]}
    counts = f"train {len(parts['train'])}, test {test} shots of the one film (its end is held out)"
    splits = Splits(0, dict.fromkeys(parts, (film.entry,)), (), counts)
    return splits, {name: [_Shot(film, *shot) for shot in part] for name, part in parts.items()}


def _choose_shots(
    films: Mapping[str, Film], shots: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> tuple[Splits, dict[str, list[_Shot]]]:
    """The shots of each split, as listed in `shots`."""
    chosen = {
        split: [_Shot(films[name], *films[name].shots()[number]) for name, numbers in of.items() for number in numbers]
        for split, of in shots.items()
    }
    entries = {split: tuple(films[name].entry for name in of) for split, of in shots.items()}
    counts = ", ".join(f"{split} {len(each)}" for split, each in chosen.items())
    return Splits(0, entries, (), f"shots: {counts}"), chosen
