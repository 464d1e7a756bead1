"""`--mode=project`: finds the latent or style whose image is nearest to a given picture."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan.cli.loading import load_model
from jaxgan.cli.marking import Marking, marks, origin_of_run
from jaxgan.cli.options import COUNT, checkpoint_choice, integer
from jaxgan.cli.outputs import check_outputs
from jaxgan.cli.setup import start_jax
from jaxgan.config.run import RunConfig
from jaxgan.data.transforms import Framing, read_image
from jaxgan.errors import UserError
from jaxgan.inference.model import Model
from jaxgan.inference.projection import DISTANCE, project, pyramid_distance
from jaxgan.media.grids import save_grid
from jaxgan.media.provenance.origin import packet_of
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replace_file

STEPS = 1000
SHOWN_PIXELS = 192  # minimal side of the shown pictures
STYLES = 10_000  # from which the mean style and the spread are taken (Karras et al. 2020, appendix D)
LATENTS = 1_000  # the nearest of these is the start, if there are no styles


class Start(NamedTuple):
    """The start of the search: a code `[D]`, the mean and spread of codes, and one row of the conditions."""

    code: np.ndarray
    mean: np.ndarray
    spread: float
    given: Mapping[str, np.ndarray]


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Projects the picture `--input`; writes target and projection side by side to `--output`, and an `.npz` beside it.

    The `.npz` holds `style` `[W]` or `latent` `[Z]`, `label` (-1: none) and other conditions by name, `distances` by
    step, `target`, `image` and, unless `--provenance` is false, `xmp`: the bytes of the packet that marks them as made
    by a model. `--labels` is one class; default: the one whose start is nearest. Raises UserError for a picture that
    cannot be read, and for invalid options.
    """
    seed, steps = integer(options, "seed", 0), integer(options, "steps", STEPS, COUNT)
    if not options.get("input"):
        raise UserError("--input is missing: --mode=project needs a picture")
    check_outputs("project", workdir, options)
    marked = marks(options)
    checkpoint_choice(options)  # reports mistakes before anything is loaded
    wanted = None if "labels" not in options else integer(options, "labels", 0)
    source = pathlib.Path(options["input"])
    output = epath.Path(options.get("output") or epath.Path(workdir) / "projections" / f"{source.stem}.png")
    start_jax(config)
    generator = load_model(workdir, options, "latent")
    target = read_picture(source, generator.image_shape, config.data.fit)
    start = (_mean_style if generator.has_styles else _nearest_latent)(generator, target, seed, wanted)
    decode, weights = generator.decoder(given=start.given)
    found = project(decode, weights, target, start=start.code, spread=start.spread, steps=steps, seed=seed)
    scale = max(1, -(-SHOWN_PIXELS // len(target)))
    pair = np.stack([target, found.image])
    description = "a picture, and beside it the nearest that a generator can make"
    origin = origin_of_run(workdir, "created", description, step=generator.step, seed=seed, mixed=True)
    marking = Marking(origin if marked else None)
    titles = ["target", "projection"]
    marking.heard(save_grid(pair, output, columns=2, column_labels=titles, scale=scale, origin=marking.about()))
    kind = "style" if generator.has_styles else "latent"
    _save_arrays(
        output.with_suffix(".npz"),
        {
            kind: found.code,
            "label": np.asarray(-1),
            **{name: row[0] for name, row in start.given.items()},
            "distances": found.distances,
            "target": target,
            "image": found.image,
            **({"xmp": np.frombuffer(packet_of(origin), np.uint8)} if marked else {}),
        },
    )
    away = np.linalg.norm(found.code - start.mean) / start.spread
    print(f"{DISTANCE}: {found.distances[0]:.5f} at the start, {found.distances[-1]:.5f} after {steps} steps")
    print(f"the {kind} is {away:.2f} times as far from the mean as a typical sample (far above 1: an unusual image)")
    print(plain(f"target and projection: {output}; {kind}, distances and images: {output.with_suffix('.npz')}"))
    return marking.report()


def read_picture(path: pathlib.Path, shape: tuple[int, ...], fit: str) -> np.ndarray:
    """Reads a picture in the generator's format: `[H,W,C]`, float32 in [-1, 1]. Raises UserError if that fails."""
    pixels = Framing(shape[2], shape[0], fit)(read_image(path, f"--input: {path}"))  # type: ignore[arg-type]
    return pixels.astype(np.float32) / 127.5 - 1.0


def _mean_style(generator: Model, target: np.ndarray, seed: int, label: int | None) -> Start:
    """The mean style of a class: of `label`, or of the class whose mean style gives the nearest image."""
    latents, starts, images = generator.latents(seed, STYLES), [], []
    given = generator.given(seed, generator.num_classes or 1) if label is None else _of_class(generator, 1, label)
    for index in range(1 if label is not None else generator.num_classes or 1):
        row = {name: each[[index]] for name, each in given.items()}
        styles = generator.styles(latents, given={name: np.repeat(each, STYLES, axis=0) for name, each in row.items()})
        w = styles[:, 0]
        mean = w.mean(axis=0)
        spread = float(np.sqrt(np.square(w - mean).sum(axis=1).mean()))
        starts.append(Start(mean, mean, spread, row))
        images.append(np.broadcast_to(mean, styles.shape[1:]))
    return starts[_nearest(generator.synthesize_styles(np.stack(images)), target)]


def _nearest_latent(generator: Model, target: np.ndarray, seed: int, label: int | None) -> Start:
    """The random latent whose image is nearest; the mean latent is no start, as training never sees its image."""
    latents = np.asarray(generator.latents(seed, LATENTS))
    given = generator.given(seed, LATENTS) if label is None else _of_class(generator, LATENTS, label)
    index = _nearest(generator.synthesize(latents, given=given), target)
    mean, size = np.zeros(latents.shape[1], np.float32), latents.shape[1]
    return Start(latents[index], mean, float(np.sqrt(size)), {name: each[[index]] for name, each in given.items()})


def _of_class(generator: Model, count: int, label: int) -> dict[str, np.ndarray]:
    if not 0 <= label < generator.num_classes:
        raise UserError(f"--labels: got {label}, expected one of the {generator.num_classes} classes, from 0 on")
    return generator.given(0, count, np.full(count, label))


def _nearest(images: np.ndarray, target: np.ndarray) -> int:
    return int(np.argmin(pyramid_distance(jnp.asarray(images), jnp.asarray(target[None]))))


def _save_arrays(path: epath.Path, arrays: Mapping[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    replace_file(path, buffer.getvalue())
