"""`--mode=sample`: pictures and animations from the averaged weights of a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from etils import epath

from jaxgan.commands import inspection
from jaxgan.commands.inspection import Draw, SampleWish
from jaxgan.commands.loading import load_model
from jaxgan.commands.marking import Marking, marks, origin_of_run
from jaxgan.commands.options import FRAMES, PICTURES, WHOLE, allowed, checkpoint_choice, integer
from jaxgan.commands.outputs import check_outputs
from jaxgan.commands.setup import start_jax
from jaxgan.config import RunConfig
from jaxgan.errors import FINISHED, SOME_FAILED, UserError
from jaxgan.fields import named
from jaxgan.inference.model import Model
from jaxgan.media.grids import make_grid, save_grid
from jaxgan.media.images import save_image
from jaxgan.media.plain import plain
from jaxgan.media.videos import save_animation

FRAMES_BETWEEN = 24  # frames from one latent of an interpolation to the next
FRAMES_PER_SECOND = 24
DEFAULT_COUNT = {
    "grid": 100,
    "files": 16,
    "interpolate": 8,
    "classes": 10,
    "mixing": 6,
    "neighbours": 1000,
    "truncation": 2000,
}


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Draws what the options ask for and says where it lies.

    `--kind=grid` (labelled, `--count` samples; a clip is a row of frames), `files` (a PNG each, a GIF of clips, into
    the folder `--output`), `interpolate`
    (a walk through `--count` latents, or styles, GIF or MP4 by the suffix of `--output`), `classes` (a row a
    class, `--count` columns), and those of `jaxgan.commands.inspection`: `mixing`, `neighbours`, `truncation`.
    `--labels` and `--given` (texts, parted by `;`) are drawn in turn. `--truncation` is psi or a threshold, see
    `Model.generate`. `--frames`: of each clip, also more than those of the data have. `--provenance`: whether the files
    say what made them. Raises UserError for options that do not fit.
    """
    kind = options.get("kind", "grid")
    if kind not in KINDS:
        raise UserError(f"--kind: got {kind!r}, accepted are {', '.join(KINDS)}")
    if "crossover" in options and kind != "mixing":
        raise UserError("--crossover: only --kind=mixing has one")
    seed, count = integer(options, "seed", 0), integer(options, "count", DEFAULT_COUNT[kind], PICTURES)
    checkpoint_choice(options)  # told before anything is loaded
    check_outputs("sample", workdir, options)
    labels, truncations, marked = _labels(options), _truncations(options), marks(options)
    texts = tuple(options["given"].split(";")) if "given" in options else ()
    if len(truncations) > 1 and kind != "truncation":
        raise UserError(f"--truncation: got {options['truncation']!r}, accepted is one number")
    crossover = integer(options, "crossover", 0) if "crossover" in options else None
    frames = integer(options, "frames", 1, FRAMES)
    start_jax(config)
    generator = load_model(workdir, options, "latent")
    generator = generator.retimed(frames) if "frames" in options else generator
    if kind not in OF_CLIPS and generator.gives[named(generator.gives, "pixels")].clip:
        raise UserError(f"--kind: got {kind!r}, but this model makes clips; accepted are {', '.join(OF_CLIPS)}")
    output = options.get("output") or str(epath.Path(workdir) / "samples" / f"{kind}-{seed}{SUFFIX[kind]}")
    origin = origin_of_run(workdir, "created", "samples of a generator", step=generator.step, seed=seed)
    marking = Marking(origin if marked else None)
    wish = SampleWish(config, seed, count, labels, texts, output, truncations, crossover, marking, allowed(options))
    where = KINDS[kind](generator, wish)
    print(plain(f"{kind} of step {generator.step}: {where}"))
    if generator.lost:
        print(f"{generator.lost} of the images that the generator gives have values that are not finite: {LOST[kind]}")
    return max(marking.tell(), SOME_FAILED if generator.lost else FINISHED)


def _grid(generator: Model, wish: SampleWish) -> str:
    images = wish.samples(generator)
    wish.marking.heard(save_grid(images, wish.output, columns=min(10, wish.count), origin=wish.marking.about()))
    return wish.output


def _files(generator: Model, wish: SampleWish) -> str:
    images = wish.samples(generator)
    written = 0
    for index, image in enumerate(images):
        path = epath.Path(wish.output) / f"{index:05}{'.gif' if image.ndim == 4 else '.png'}"
        if not np.isfinite(image).all():
            print(f"{path.name}: failed, its values are not finite")
            continue
        written += 1
        origin = wish.marking.about("a sample of a generator")
        if image.ndim == 4:
            wish.marking.heard(save_animation(image, path, FRAMES_PER_SECOND, origin))
        else:
            wish.marking.heard(save_image(image, path, origin))
    return f"{wish.output} ({written} files)"


def _classes(generator: Model, wish: SampleWish) -> str:
    if not generator.num_classes:
        raise UserError("--kind=classes: the model was trained without labels; use --kind=grid")
    shown = wish.labels or list(range(generator.num_classes))
    names = generator.class_names or tuple(map(str, range(generator.num_classes)))
    asked = np.repeat(shown, wish.count)
    images = generator.generate(wish.seed, len(asked), asked, truncation=wish.truncation)
    rows, origin = [names[label] for label in shown], wish.marking.about("samples of a generator, class by class")
    wish.marking.heard(save_grid(images, wish.output, columns=wish.count, row_labels=rows, origin=origin))
    return wish.output


def _interpolate(generator: Model, wish: SampleWish) -> str:
    """A closed walk; with classes or texts, every one of them walks along, side by side."""
    shown = len(wish.labels or wish.texts) or generator.num_classes or 1
    given = wish.given(generator, shown)
    walks = [_walk(generator, wish, {name: rows[[index]] for name, rows in given.items()}) for index in range(shown)]
    frames = [make_grid(np.stack(column), columns=min(5, shown)) for column in zip(*walks)]
    origin = wish.marking.about("a walk through samples of a generator")
    wish.marking.heard(save_animation(frames, wish.output, FRAMES_PER_SECOND, origin))
    return f"{wish.output} ({len(frames)} frames)"


def _walk(generator: Model, wish: SampleWish, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """The images of a walk through styles, in straight lines, where there are any; else through latents."""
    keys = np.asarray(generator.latents(wish.seed, wish.count))
    asked = lambda n: {name: np.repeat(row, n, axis=0) for name, row in given.items()}  # noqa: E731
    if generator.has_styles:
        keys = generator.styles(keys, given=asked(len(keys)), truncation=wish.truncation)
        share = np.arange(FRAMES_BETWEEN)[:, None, None] / np.float32(FRAMES_BETWEEN)
        path = np.concatenate([a + share * (b - a) for a, b in zip(keys, np.roll(keys, -1, axis=0))])
        return generator.synthesize_styles(path)
    path = np.concatenate([_between(a, b) for a, b in zip(keys, np.roll(keys, -1, axis=0))])
    return generator.synthesize(path, given=asked(len(path)), truncation=wish.truncation)


def _between(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Latents on the great circle from `start` towards `stop`: Gaussian latents lie near a sphere (White 2016)."""
    share = np.arange(FRAMES_BETWEEN)[:, None] / FRAMES_BETWEEN
    cosine = np.dot(start, stop) / (np.linalg.norm(start) * np.linalg.norm(stop))
    angle = max(np.arccos(np.clip(cosine, -1.0, 1.0)), 1e-6)
    return (np.sin((1 - share) * angle) * start + np.sin(share * angle) * stop) / np.sin(angle)


KINDS: dict[str, Draw] = {
    "grid": _grid,
    "files": _files,
    "interpolate": _interpolate,
    "classes": _classes,
    "mixing": inspection.mixing,
    "neighbours": inspection.neighbours,
    "truncation": inspection.truncation,
}
OF_CLIPS = ("grid", "files", "classes")
LOST = dict.fromkeys(KINDS, "these values are drawn grey") | {"files": "these are not written"}
SUFFIX = {"files": "", "interpolate": ".gif"} | dict.fromkeys(
    ("grid", "classes", "mixing", "neighbours", "truncation"), ".png"
)


def _labels(options: Mapping[str, str]) -> list[int] | None:
    text = options.get("labels")
    if text is None:
        return None
    try:
        labels = [int(part) for part in text.split(",")]
    except ValueError:
        labels = [-1]
    if not all(map(WHOLE.holds, labels)):
        raise UserError(f"--labels: got {text!r}, accepted are class numbers from 0 on, such as 0,1,2")
    return labels


def _truncations(options: Mapping[str, str]) -> tuple[float, ...]:
    text = options.get("truncation")
    try:
        values = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (-1.0,)
    if not all(0.0 <= value < float("inf") for value in values):
        raise UserError(f"--truncation: got {text!r}, accepted is a number of 0 or more, such as 0.7")
    return values
