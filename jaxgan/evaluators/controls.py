"""Control clips for the scores of a generator: real clips, and clips that are wrong in a known way.

A score of clips is meaningful if it differs between these: real clips, a real clip's first frame repeated, its frames
in random order, and a sequence of independent pictures, the best that an image GAN could give: real frames of one
class, each from another clip.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.evaluator import Generate
from jaxgan.evaluators.reference import Images, random_examples
from jaxgan.evaluators.streams import share

# (real clips, rows to use, random numbers) -> clips
Control = Callable[[Images, np.ndarray, np.random.Generator], np.ndarray]


def _real(reals: Images, rows: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return reals.images[rows]


def _still(reals: Images, rows: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.repeat(reals.images[rows, :1], reals.images.shape[1], axis=1)


def _shuffled(reals: Images, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    order = random.permuted(np.tile(np.arange(reals.images.shape[1]), (len(rows), 1)), axis=1)
    return reals.images[rows[:, None], order]


def _pictures(reals: Images, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    labels = reals.labels if len(reals.labels) else np.zeros(len(reals.images), np.int32)
    of_class = {label: np.flatnonzero(labels == label) for label in np.unique(labels[rows]).tolist()}
    frames = np.arange(reals.images.shape[1])
    chosen = np.stack([random.choice(of_class[labels[row]], len(frames)) for row in rows])
    return reals.images[chosen, frames]


CONTROLS: Mapping[str, Control] = {
    "real": _real,
    "first frame repeated": _still,
    "frames shuffled": _shuffled,
    "pictures in a row": _pictures,
}


@runtime_checkable
class Controlled(Protocol):
    """An evaluator that can score control samples, which need no generator."""

    def controls(self, seed: int) -> dict[str, dict[str, float]]:
        """Scores as returned by `run`, by the name of the control; empty if there are no controls."""
        ...


def controls(source: Source, most: int, seed: int) -> dict[str, Generate]:
    """The controls by name, in the form of generators; up to `most` clips of `source` are drawn with the seed.

    For a label they return the clips of that class in turn, or clips of all classes if the class has none; without
    labels they return all clips in turn.
    """
    reals = random_examples(source, most, seed)
    return {name: _in_turn(control, reals) for name, control in CONTROLS.items()}


def _in_turn(control: Control, reals: Images) -> Generate:
    everything = itertools.cycle(range(len(reals.images)))
    of_class = {label: itertools.cycle(np.flatnonzero(reals.labels == label)) for label in set(reals.labels.tolist())}

    def generate(seed: int, asked: int | np.ndarray) -> np.ndarray:
        labels = [None] * asked if isinstance(asked, int) else asked.tolist()
        rows = np.array([next(of_class.get(label, everything)) for label in labels])
        clips = control(reals, rows, np.random.default_rng(seed))
        return clips[share(len(rows))] / np.float32(127.5) - 1

    return generate
