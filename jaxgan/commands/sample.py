"""`--mode=sample`: pictures and animations from the averaged weights of a run."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from jaxgan.commands.setup import start_jax
from jaxgan.config import RunConfig
from jaxgan.errors import FINISHED, UserError
from jaxgan.media.grids import make_grid, save_grid
from jaxgan.media.images import save_image
from jaxgan.media.videos import save_animation
from jaxgan.restore import RestoredGenerator, load

FRAMES_BETWEEN = 24  # frames from one latent of an interpolation to the next
FRAMES_PER_SECOND = 24
DEFAULT_COUNT = {"grid": 100, "files": 16, "interpolate": 8, "classes": 10}


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Draws what the options ask for and says where it lies.

    `--kind=grid` (labelled, `--count` samples), `files` (a PNG each, into the folder `--output`), `interpolate`
    (a walk through `--count` latents, GIF or MP4 by the suffix of `--output`), `classes` (a row a class,
    `--count` columns). Raises UserError for options that do not fit.
    """
    kind = options.get("kind", "grid")
    if kind not in KINDS:
        raise UserError(f"--kind: got {kind!r}, accepted are {', '.join(KINDS)}")
    seed, count = _integer(options, "seed", 0), _integer(options, "count", DEFAULT_COUNT[kind])
    if count < 1:
        raise UserError(f"--count: got {count}, accepted is 1 or more")
    labels = _labels(options)
    start_jax(config)
    generator = load(workdir, step=checkpoint_choice(options))
    output = options.get("output") or str(pathlib.Path(workdir) / "samples" / f"{kind}-{seed}{SUFFIX[kind]}")
    where = KINDS[kind](generator, seed, count, labels, output)
    print(f"{kind} of step {generator.step}: {where}")
    return FINISHED


def checkpoint_choice(options: Mapping[str, str]) -> int | Literal["best", "latest"]:
    """The step that `--checkpoint` names, or `best` or `latest` (the default)."""
    choice = options.get("checkpoint", "latest")
    named: dict[str, Literal["best", "latest"]] = {"best": "best", "latest": "latest"}
    return named[choice] if choice in named else _integer(options, "checkpoint", 0)


def _grid(generator: RestoredGenerator, seed: int, count: int, labels: list[int] | None, output: str) -> str:
    images = generator.generate(seed, count, _cycled(labels, count))
    save_grid(images, output, columns=min(10, count))
    return output


def _files(generator: RestoredGenerator, seed: int, count: int, labels: list[int] | None, output: str) -> str:
    for index, image in enumerate(generator.generate(seed, count, _cycled(labels, count))):
        save_image(image, pathlib.Path(output) / f"{index:05}.png")
    return f"{output} ({count} files)"


def _classes(generator: RestoredGenerator, seed: int, count: int, labels: list[int] | None, output: str) -> str:
    if not generator.num_classes:
        raise UserError("--kind=classes: the model was trained without labels; use --kind=grid")
    shown = labels or list(range(generator.num_classes))
    names = generator.class_names or tuple(map(str, range(generator.num_classes)))
    images = generator.generate(seed, len(shown) * count, np.repeat(shown, count))
    save_grid(images, output, columns=count, row_labels=[names[label] for label in shown])
    return output


def _interpolate(generator: RestoredGenerator, seed: int, count: int, labels: list[int] | None, output: str) -> str:
    """A closed walk; with classes, every class walks along, side by side."""
    keys = np.asarray(generator.latents(seed, count))
    path = np.concatenate([_between(a, b) for a, b in zip(keys, np.roll(keys, -1, axis=0))])
    shown = labels or (list(range(generator.num_classes)) if generator.num_classes else [])
    if shown:
        walks = [generator.synthesize(path, np.full(len(path), label)) for label in shown]
        frames = [make_grid(np.stack(column), columns=min(5, len(shown))) for column in zip(*walks)]
    else:
        frames = [make_grid(image[None], columns=1) for image in generator.synthesize(path)]
    save_animation(frames, output, fps=FRAMES_PER_SECOND)
    return f"{output} ({len(frames)} frames)"


def _between(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Latents on the great circle from `start` towards `stop`: Gaussian latents lie near a sphere (White 2016)."""
    share = np.arange(FRAMES_BETWEEN)[:, None] / FRAMES_BETWEEN
    cosine = np.dot(start, stop) / (np.linalg.norm(start) * np.linalg.norm(stop))
    angle = max(np.arccos(np.clip(cosine, -1.0, 1.0)), 1e-6)
    return (np.sin((1 - share) * angle) * start + np.sin(share * angle) * stop) / np.sin(angle)


Draw = Callable[[RestoredGenerator, int, int, "list[int] | None", str], str]
KINDS: dict[str, Draw] = {"grid": _grid, "files": _files, "interpolate": _interpolate, "classes": _classes}
SUFFIX = {"grid": ".png", "files": "", "interpolate": ".gif", "classes": ".png"}


def _labels(options: Mapping[str, str]) -> list[int] | None:
    text = options.get("labels")
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--labels: got {text!r}, accepted are class numbers such as 0,1,2") from None


def _cycled(labels: list[int] | None, count: int) -> np.ndarray | None:
    return None if labels is None else np.resize(np.asarray(labels, np.int32), count)


def _integer(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--{name}: got {text!r}, accepted is a whole number") from None
