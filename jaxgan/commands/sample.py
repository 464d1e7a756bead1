"""`--mode=sample`: generates pictures and animations with the averaged weights of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath

import numpy as np
from etils import epath

from jaxgan.cli.loading import load_model
from jaxgan.cli.marking import Marking, marks, origin_of_run
from jaxgan.cli.options import FRAMES, PICTURES, WHOLE, allowed, checkpoint_choice, integer
from jaxgan.cli.outputs import ANIMATIONS, check_outputs
from jaxgan.cli.setup import start_jax
from jaxgan.config.run import RunConfig
from jaxgan.errors import FINISHED, SOME_FAILED, UserError
from jaxgan.fields import frames, further_latents, named
from jaxgan.inference.model import Model
from jaxgan.jobs import inspection
from jaxgan.jobs.inspection import MakeSamples, SampleOptions
from jaxgan.media.grids import make_film, save_grid
from jaxgan.media.images import save_image
from jaxgan.media.videos import FRAMES_PER_SECOND, save_animation, usual_suffix
from jaxgan.system.plain import plain

FRAMES_BETWEEN = 24  # frames from one latent of an interpolation to the next
DEFAULT_COUNT = {
    "grid": 100,
    "files": 16,
    "videos": 16,
    "interpolate": 8,
    "classes": 10,
    "mixing": 6,
    "neighbours": 1000,
    "truncation": 2000,
}


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Generates the samples that the options ask for, and reports where they are.

    Kinds: `grid` (labelled, `--count` samples; a clip is a row of frames), `files` (one PNG each, or GIF for clips, in
    the folder `--output`), `videos` (clips in a grid, as one film), `interpolate` (a walk through `--count` latents or
    styles, as GIF, WebP or MP4 by the suffix of `--output`; for clips see `_between_clips`), `classes` (one row per
    class, `--count` columns), and those of `jaxgan.jobs.inspection`: `mixing`, `neighbours`, `truncation`. `--frames`
    sets the length of clips. Samples cycle through `--labels` or `--given` (texts separated by `;`). `--truncation` is
    psi or a threshold, see `Model.generate`. `--provenance`: whether files are marked as made by a model. Raises
    UserError for invalid options.
    """
    kind = options.get("kind", "grid")
    if kind not in KINDS:
        raise UserError(f"--kind: got {kind!r}, expected one of {', '.join(KINDS)}")
    for name, own in OF_KINDS.items():
        if name in options and kind != own:
            raise UserError(f"--{name}: applies to --kind={own} only")
    over, length = options.get("over", "content"), integer(options, "frames", 1, FRAMES) if "frames" in options else 0
    if over not in OVER:
        raise UserError(f"--over: got {over!r}, expected {' or '.join(OVER)}")
    seed, count = integer(options, "seed", 0), integer(options, "count", DEFAULT_COUNT[kind], PICTURES)
    checkpoint_choice(options)  # reports mistakes before anything is loaded
    check_outputs("sample", workdir, options)
    labels, truncations, marked = _labels(options), _truncations(options), marks(options)
    texts = tuple(options["given"].split(";")) if "given" in options else ()
    if len(truncations) > 1 and kind != "truncation":
        raise UserError(f"--truncation: got {options['truncation']!r}, expected one number")
    crossover = integer(options, "crossover", 0) if "crossover" in options else None
    start_jax(config)
    generator = _fitting(load_model(workdir, options, "latent"), kind, length, over_given="over" in options)
    suffix = usual_suffix() if kind == "videos" else SUFFIX[kind]
    output = options.get("output") or str(epath.Path(workdir) / "samples" / f"{kind}-{seed}{suffix}")
    origin = origin_of_run(workdir, "created", "samples of a generator", step=generator.step, seed=seed)
    marking = Marking(origin if marked else None)
    chosen = SampleOptions(
        config, seed, count, labels, texts, output, truncations, crossover, marking, allowed(options), over
    )
    where = KINDS[kind](generator, chosen)
    print(plain(f"{kind} of step {generator.step}: {where}"))
    if generator.lost:
        print(f"{generator.lost} of the generated images have values that are not finite: {LOST[kind]}")
    return max(marking.report(), SOME_FAILED if generator.lost else FINISHED)


def _fitting(generator: Model, kind: str, length: int, *, over_given: bool) -> Model:
    """The model for clips of `length` frames (0: as trained). Raises UserError for kinds that it cannot make."""
    trained = frames(generator.gives)
    if not _makes_clips(generator):
        flag = "--kind=videos" if kind == "videos" else "--frames" if length else "--over" if over_given else None
        if flag is not None:
            raise UserError(f"{flag}: this model makes pictures, not clips; --kind=interpolate makes a film of a walk")
        return generator
    if kind not in OF_CLIPS:
        raise UserError(f"--kind: got {kind!r}, but this model makes clips; expected one of {', '.join(OF_CLIPS)}")
    if length in (0, trained):
        return generator
    if generator.product.retimed is None:
        raise UserError(f"--frames: got {length}, but this model makes clips of {trained} frames only")
    if length > trained:
        print(f"--frames={length}: longer than the {trained} frames of the clips in training")
    return generator.retimed(length)


def _makes_clips(generator: Model) -> bool:
    return generator.gives[named(generator.gives, "pixels")].clip


def _grid(generator: Model, chosen: SampleOptions) -> str:
    images = chosen.samples(generator)
    chosen.marking.heard(save_grid(images, chosen.output, columns=min(10, chosen.count), origin=chosen.marking.about()))
    return chosen.output


def _files(generator: Model, chosen: SampleOptions) -> str:
    images = chosen.samples(generator)
    written = 0
    for index, image in enumerate(images):
        path = epath.Path(chosen.output) / f"{index:05}{'.gif' if image.ndim == 4 else '.png'}"
        if not np.isfinite(image).all():
            print(f"{path.name}: failed, its values are not finite")
            continue
        written += 1
        origin = chosen.marking.about("a sample of a generator")
        if image.ndim == 4:
            chosen.marking.heard(save_animation(image, path, FRAMES_PER_SECOND, origin))
        else:
            chosen.marking.heard(save_image(image, path, origin))
    return f"{chosen.output} ({written} files)"


def _videos(generator: Model, chosen: SampleOptions) -> str:
    """Writes a film of all clips side by side."""
    columns = math.ceil(math.sqrt(chosen.count))
    return _save_clips(chosen.samples(generator), chosen, columns, "samples of a generator of clips")


def _save_clips(clips: np.ndarray, chosen: SampleOptions, columns: int, description: str) -> str:
    """Writes clips `[N,T,H,W,C]` side by side as a film or, by the suffix, as a strip with a row of frames each."""
    origin = chosen.marking.about(description)
    if PurePath(chosen.output).suffix.lower() in ANIMATIONS:
        film = make_film(clips, columns=columns)
        chosen.marking.heard(save_animation(film, chosen.output, FRAMES_PER_SECOND, origin))
        return f"{chosen.output} ({len(film)} frames)"
    chosen.marking.heard(save_grid(clips, chosen.output, columns=columns, origin=origin))
    return chosen.output


def _classes(generator: Model, chosen: SampleOptions) -> str:
    if not generator.num_classes:
        raise UserError("--kind=classes: the model was trained without labels; use --kind=grid")
    shown = chosen.labels or list(range(generator.num_classes))
    names = generator.class_names or tuple(map(str, range(generator.num_classes)))
    asked = np.repeat(shown, chosen.count)
    images = generator.generate(chosen.seed, len(asked), asked, truncation=chosen.truncation)
    rows, origin = [names[label] for label in shown], chosen.marking.about("samples of a generator, class by class")
    chosen.marking.heard(save_grid(images, chosen.output, columns=chosen.count, row_labels=rows, origin=origin))
    return chosen.output


def _interpolate(generator: Model, chosen: SampleOptions) -> str:
    """A closed walk; with classes or texts, one walk for each of them, side by side."""
    shown = len(chosen.labels or chosen.texts) or generator.num_classes or 1
    if _makes_clips(generator):
        return _between_clips(generator, chosen, shown)
    given = chosen.given(generator, shown)
    walks = [_walk(generator, chosen, {name: rows[[index]] for name, rows in given.items()}) for index in range(shown)]
    return _save_clips(np.stack(walks), chosen, min(5, shown), "a walk through samples of a generator")


def _between_clips(generator: Model, chosen: SampleOptions, shown: int) -> str:
    """`--count` clips side by side, from one content to another with the same motion; `--over=motion`: the reverse.

    Each class or text has its own row.
    """
    asks, moving = generator.asks, chosen.over == "motion"
    motion = further_latents(asks)
    if moving and not motion:
        raise UserError("--over=motion: this model has no latents of motion; expected content")
    given, shares = chosen.given(generator, max(2, shown)), np.linspace(0, 1, chosen.count)
    ends = {
        named(asks, "latent"): np.asarray(generator.latents(chosen.seed, 2)),
        **{name: given[name] for name in motion},
    }
    path = {
        name: _between(rows[0], rows[1], shares)
        if (name in motion) == moving
        else np.repeat(rows[:1], chosen.count, axis=0)
        for name, rows in ends.items()
    }
    latents, clips = path.pop(named(asks, "latent")), []
    for index in range(shown):
        asked = {name: np.repeat(rows[[index]], chosen.count, axis=0) for name, rows in given.items()}
        clips.append(generator.synthesize(latents, given={**asked, **path}, truncation=chosen.truncation))
    description = f"clips between two samples of a generator, over {chosen.over}"
    return _save_clips(np.concatenate(clips), chosen, chosen.count, description)


def _walk(generator: Model, chosen: SampleOptions, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """The images of a walk along straight lines through styles or, without styles, along arcs through latents."""
    keys = np.asarray(generator.latents(chosen.seed, chosen.count))
    asked = lambda n: {name: np.repeat(row, n, axis=0) for name, row in given.items()}  # noqa: E731
    if generator.has_styles:
        keys = generator.styles(keys, given=asked(len(keys)), truncation=chosen.truncation)
        share = np.arange(FRAMES_BETWEEN)[:, None, None] / np.float32(FRAMES_BETWEEN)
        path = np.concatenate([a + share * (b - a) for a, b in zip(keys, np.roll(keys, -1, axis=0))])
        return generator.synthesize_styles(path)
    shares = np.arange(FRAMES_BETWEEN) / FRAMES_BETWEEN
    path = np.concatenate([_between(a, b, shares) for a, b in zip(keys, np.roll(keys, -1, axis=0))])
    return generator.synthesize(path, given=asked(len(path)), truncation=chosen.truncation)


def _between(start: np.ndarray, stop: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Latents on the great circle from `start` to `stop`: Gaussian latents lie near a sphere (White 2016)."""
    share = shares.reshape(-1, *[1] * start.ndim)
    cosine = np.vdot(start, stop) / (np.linalg.norm(start) * np.linalg.norm(stop))
    angle = max(np.arccos(np.clip(cosine, -1.0, 1.0)), 1e-6)
    return (np.sin((1 - share) * angle) * start + np.sin(share * angle) * stop) / np.sin(angle)


KINDS: dict[str, MakeSamples] = {
    "grid": _grid,
    "files": _files,
    "videos": _videos,
    "interpolate": _interpolate,
    "classes": _classes,
    "mixing": inspection.mixing,
    "neighbours": inspection.neighbours,
    "truncation": inspection.truncation,
}
OF_CLIPS = ("grid", "files", "videos", "interpolate", "classes")
OF_KINDS = {"crossover": "mixing", "over": "interpolate"}  # flags of one kind each
OVER = ("content", "motion")
LOST = dict.fromkeys(KINDS, "these values are shown grey") | {"files": "these are not written"}
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
        raise UserError(f"--labels: got {text!r}, expected class numbers from 0 on, such as 0,1,2")
    return labels


def _truncations(options: Mapping[str, str]) -> tuple[float, ...]:
    text = options.get("truncation")
    try:
        values = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (-1.0,)
    if not all(0.0 <= value < float("inf") for value in values):
        raise UserError(f"--truncation: got {text!r}, expected a number of 0 or more, such as 0.7")
    return values
