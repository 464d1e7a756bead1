"""What restores pictures: a trained or a published network behind one call, for conditions of any kind."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import ArgumentError, UserError
from jaxgan.game import GENERATOR, Array, Restoring
from jaxgan.json_files import read_text
from jaxgan.parallel.compiler import compiler_options
from jaxgan.training.stored import Average, Shapes, read_records, restore_average
from jaxgan.training.workdir import Workdir

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A network that restores, and what has to be known to apply it.

    Called with conditions `[B,h,w,1|3]` (and, where it wants masks, the mask as a further channel: 1 where to fill in,
    else 0), float32 in [-1, 1], it gives images `[B,sh,sw,C]` in about [-1, 1]. Grey is kept by networks of colours: it
    goes in as three equal channels and comes out as luminance. A network of grey takes the channels of colours one by
    one. Networks that make another number of channels than they take, get grey or colours as they want them.
    """

    apply: Callable[[Array], Array]  # condition [B,h,w,C'] float32 in [-1, 1] -> image [B,sh,sw,C]
    scale: int
    condition_channels: int  # without the mask: 1 or 3
    channels: int  # of the images: 1 or 3
    description: str  # one sentence: what it was trained to restore from
    receptive_field: int | None = None  # pixels of the condition that one of the image sees to each side; None: all
    multiple: int = 1  # pixels between two places of a crop at which the network does the same
    features_scale: int | None = None  # pixels of the largest features for each of the condition; None: as the scale
    masks: bool = False
    degrade: Callable[[Array, Array], Array] | None = None  # (key, images [B,sh,sw,C]) -> conditions, as in training
    step: int = 0  # of the checkpoint; 0 of published weights
    images_seen: int = 0
    fingerprint: str = ""  # of the weights

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """The images of conditions, see above."""
        pixels, mask = (tiles[..., :-1], tiles[..., -1:]) if self.masks else (tiles, None)
        given, wanted = pixels.shape[3], self.condition_channels
        one_by_one = given == 3 and wanted == 1 and self.channels == 1
        if one_by_one:
            pixels = pixels.transpose(0, 3, 1, 2).reshape(-1, *pixels.shape[1:3], 1)
            mask = None if mask is None else mask.repeat(3, axis=0)
        elif given < wanted:
            pixels = pixels.repeat(wanted, axis=3)
        elif given > wanted:
            pixels = (pixels @ LUMA)[..., None]
        condition = pixels if mask is None else np.concatenate([pixels * (1 - mask), mask], axis=3)
        image = np.asarray(self.apply(jnp.asarray(condition)))
        if one_by_one:
            return image[..., 0].reshape(-1, 3, *image.shape[1:3]).transpose(0, 2, 3, 1)
        return (image @ LUMA)[..., None] if given < wanted == self.channels else image


def make_restorer(task: Restoring, params: Any, variables: Any) -> Restorer:
    """The restorer of a task's generator with given weights. Raises UserError for conditions that are no pictures."""
    degradation = task.degradation
    told = "the conditions of its data set" if degradation is None else degradation.describe()
    masks = degradation is not None and degradation.masks
    generator: Any = task.generator  # type: ignore[attr-defined]

    def forward(trees: Any, condition: Array) -> Array:
        return task.apply(trees[0], trees[1], condition)

    restorer = _restorer(generator, forward, (params, variables), told, masks)
    return restorer if degradation is None else dataclasses.replace(restorer, degrade=jax.jit(degradation.__call__))


def _restorer(
    generator: Any, forward: Callable[[Any, Array], Array], weights: Any, description: str, masks: bool = False
) -> Restorer:
    fingerprint = _fingerprint(weights)
    weights = jax.device_put(weights)
    channels, image = _shapes(partial(forward, weights), masks)
    compiled = jax.jit(forward, compiler_options=compiler_options(jax.default_backend()))
    return Restorer(
        apply=partial(compiled, weights),  # as an argument: programs do not hold weights
        scale=generator.scale,
        condition_channels=channels,
        channels=image,
        description=description,
        receptive_field=generator.receptive_field,
        multiple=getattr(generator, "multiple", 1),
        features_scale=getattr(generator, "features_scale", None),
        masks=masks,
        fingerprint=fingerprint,
    )


def _fingerprint(weights: Any) -> str:
    """SHA-256 of all weights and their names."""
    digest = hashlib.sha256()
    for path, value in sorted(
        (jax.tree_util.keystr(path), value) for path, value in jax.tree.leaves_with_path(weights)
    ):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def interpolate(first: Tree, second: Tree, strength: float) -> Tree:
    """Weights between two trees: the first at strength 0, the second at 1 (Wang et al. 2018, section 3.4)."""
    return jax.tree.map(lambda a, b: (1 - strength) * a + strength * b, first, second)


def load_restorer(
    workdir: str | os.PathLike[str],
    *,
    step: int | Literal["latest", "best"] = "latest",
    strength: float = 1.0,
    allow: tuple[str, ...] = (),
) -> Restorer:
    """The restorer of a run, with the averaged weights of a checkpoint.

    `strength` below 1 goes back towards the newest checkpoint of the first stage. Names in the saved config resolve
    only inside jaxgan and the packages of `allow`. Raises UserError where there is no run, no such checkpoint, none of
    the first stage, or a run that makes images from latents.
    """
    # not at the top: a run's config decides what else is imported
    from jaxgan.assemble import averaged, make_task
    from jaxgan.builder import check_sections
    from jaxgan.config import from_json

    where = Workdir(str(workdir))
    if not where.config.exists():
        raise UserError(f"{workdir} is not the directory of a run: it has no {where.config.name}")
    config = from_json(read_text(where.config))
    check_sections(config, allow)
    task: Any = make_task(config, allow)
    if not hasattr(task, "apply"):
        raise UserError(f"{workdir}: this run makes images from latents, not from other images; use --mode=sample")
    choice = config.checkpoint
    like = [Shapes(*each) for each in averaged(task, config)]
    last = restore_average(where.checkpoints, step, best=choice.best, best_mode=choice.best_mode, like=like)
    params, variables = last.params, last.variables
    if not 0 <= strength <= 1:
        raise ArgumentError("strength", f"got {strength}, accepted is 0 to 1")
    if strength != 1.0:
        first = _first_stage(where, task.adversarial_start, like)
        only = lambda trees: {GENERATOR: trees[GENERATOR]}  # noqa: E731
        params, variables = (
            interpolate(only(one), only(other), strength)
            for one, other in ((first.params, params), (first.variables, variables))
        )
    record = {name: last.record[name] for name in ("step", "images_seen")}
    return dataclasses.replace(make_restorer(task, params, variables), **record)


def load_pretrained(name: str) -> Restorer:
    """A published model: by its name, or of a file of RRDB or SRVGG weights (.pth, .safetensors, .param beside .bin).

    Raises UserError for a name that is not known, and for files that are missing or of another network.
    """
    from jaxgan.augment.degradations import RealESRGAN
    from jaxgan.builder import build
    from jaxgan.models.pretrained.realesrgan import PUBLISHED, from_file, pretrained

    if name not in PUBLISHED and not Path(name).suffix:
        raise ArgumentError("name", f"got {name!r}, accepted are {', '.join(PUBLISHED)} and files of weights")
    found = pretrained(name) if name in PUBLISHED else from_file(name)
    generator = build(found.section, "network", path="--pretrained")
    weights = {"params": found.params, **found.variables}
    forward = lambda tree, condition: generator.apply(tree, condition, None, train=False)  # noqa: E731
    if name not in PUBLISHED:
        return _restorer(generator, forward, weights, "what its file does not say")
    told = PUBLISHED[name].trained_for
    if told is not None:  # and is not made here
        return _restorer(generator, forward, weights, told)
    degradation = RealESRGAN(scale=generator.scale)
    restorer = _restorer(generator, forward, weights, degradation.describe())
    return dataclasses.replace(restorer, degrade=jax.jit(degradation.__call__))


def _first_stage(where: Workdir, start: int | None, like: Sequence[Shapes]) -> Average:
    """The newest weights from before there was a discriminator."""
    if not start:
        raise ArgumentError("strength", "this run has one stage only, accepted is 1")
    steps = [step for step, record in read_records(where.checkpoints).items() if 0 < record["images_seen"] <= start]
    if not steps:
        raise ArgumentError("strength", f"no checkpoint of the first {start} images is left, accepted is 1")
    return restore_average(where.checkpoints, max(steps), like=like)


def _shapes(forward: Callable[[Array], Array], masks: bool) -> tuple[int, int]:
    """The channels of the conditions that a network takes, masks aside, and of the images that it makes."""
    refused: Exception | None = None
    for channels in (3, 1):
        condition = jax.ShapeDtypeStruct((1, 16, 16, channels + masks), jnp.float32)
        try:
            return channels, jax.eval_shape(forward, condition).shape[3]
        except Exception as error:  # flax's own kinds of errors for weights of another shape
            refused = refused or error
    raise UserError(f"this model takes neither grey pictures nor colours: {refused}") from refused
