"""A trained model, ready to be called: `jaxgan.load(workdir).generate(0, 16)`."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike

from jaxgan.building.conditions import Conditions, RealConditions
from jaxgan.checkpoints.manifest import config_of
from jaxgan.checkpoints.on_disk import Average, Shapes, read_records, restore_average
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import ArgumentError, UserError
from jaxgan.fields import Kind, Spec, conditions, frames, further_latents, name_of, named, text_of, tokens_of
from jaxgan.game import Array, Key, Phase, Product, Variables, Weights, product_of
from jaxgan.inference.restorer import Restorer, in_networks, interpolate, make_restorer, resolved
from jaxgan.inference.sampling import Sampler
from jaxgan.inference.standing import Standing
from jaxgan.inference.tiling import Tiling, tiled
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import replicated
from jaxgan.system.json_files import read_text
from jaxgan.system.plain import plain

MEMORY = "memory"  # name of a model's memory among its inputs and outputs
WAYS: dict[Kind, str] = {"latent": "generate", "pixels": "restore"}  # methods by the kind of the main input field
Labels = Sequence[int] | np.ndarray | None
TILE = 512  # pixels: side of a tile


class Model:
    """A product with weights from a checkpoint: moving averages, or the trained weights of networks without one.

    Call it with the input arrays named in `asks` to get the output arrays named in `gives`, each `[B, ...]`:
    `model(condition=pixels)`. A model with a memory from frame to frame also returns it as `memory`; pass it with the
    next frame. `generate` and the methods around it are for models whose input is a latent, `restore` for models whose
    input is pixels.
    """

    def __init__(
        self,
        product: Product,
        average: Average,
        *,
        name: str = "",
        batch_size: int = 64,
        mesh: Mesh | None = None,
        conditions: Conditions | None = None,
    ):
        """Samples are computed `batch_size` images at a time, on the devices of `mesh` (None: one).

        `conditions`: the conditions of real examples, see `given`.
        """
        self.name = name  # the product's name
        self.product, self._average, self._mesh, self._batch_size = product, average, mesh, batch_size
        self._conditions = conditions
        self.step: int = average.record["step"]
        self.images_seen: int = average.record["images_seen"]
        self.config: dict[str, Any] = average.record.get("config", {})  # the run's config, for `config.from_json`
        self.class_names: tuple[str, ...] = tuple(average.record.get("class_names", ()))
        self._names: dict[str, Any] = {"label": self.class_names, **average.record.get("names", {})}  # by field
        seed = config_of(average.record).get("seed", 0)
        if type(seed) is not int or not 0 <= seed < 2**63:
            got = f"got seed {plain(seed, 40)}, expected an integer of 0 to 2**63 - 1"
            raise UserError(f"the config recorded with step {self.step}: {got}")
        self._seed = seed
        self.lost = 0  # number of images so far that are not finite

    @property
    def asks(self) -> Spec:
        """The input fields, with the data's names for their values."""
        names = {name: tuple(self._names.get(name, ())) for name in self._resolved[0]}
        return {
            name: dataclasses.replace(field, names=names[name]) if len(names[name]) == len(field.names) else field
            for name, field in self._resolved[0].items()
        }

    @property
    def needed(self) -> Spec:
        """The required input fields, in the order of the arguments of `function`."""
        return {name: self.asks[name] for name in self.product.needed}

    @property
    def gives(self) -> Spec:
        """The output fields."""
        return self._resolved[1]

    def __call__(self, **asked: Any) -> dict[str, Any]:
        """The output fields for the input fields, each `[B, ...]`; compiles once for every shape.

        Raises UserError for missing or unknown fields.
        """
        carries, product = self.product.begin is not None, self.product
        known = {*product.asks, *((MEMORY,) if carries else ())}
        if not known >= asked.keys() >= product.needed.keys():
            got = ", ".join(map(repr, asked)) or "nothing"
            raise UserError(f"this model asks for {text_of(self.asks)}, got {got}")
        memory = asked.pop(MEMORY, None)
        arrays = {name: np.asarray(each, in_networks(product.asks[name])) for name, each in asked.items()}
        if carries and memory is None:
            memory = self._start(self._weights, arrays)
        made, memory = self._called(self._weights, arrays, memory)
        given = {name: np.asarray(each) for name, each in made.items()}
        return {**given, MEMORY: memory} if carries else given

    def needs(self, kind: Kind, ways: Mapping[Kind, str] = WAYS) -> None:
        """Raise UserError unless the model has an input field of this kind and returns pixels.

        The message lists the model's inputs and suggests the one of `ways`, by kind of input, that it supports.
        """
        if self.product.makes_pixels_of(kind):
            return
        why = f"asks for {text_of(self.asks)}, not for {'a latent' if kind == 'latent' else kind}"
        if name_of(self.product.asks, kind) is not None:
            why = f"gives {text_of(self.gives)}, not pixels"
        other = next((way for each, way in ways.items() if self.product.makes_pixels_of(each)), None)
        raise UserError(f"this model {why}: use {other or self._call}")

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for a model without labels."""
        return self.product.num_classes

    @property
    def has_styles(self) -> bool:
        """Whether images are generated from styles (`styles`, `synthesize_styles`), as by StyleGAN."""
        return {"map", "synthesize"} <= self.product.parts.keys()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images generated from latents. Raises UserError for clips."""
        self.needs("latent")
        image = self.gives[named(self.gives, "pixels")]
        if image.clip:
            raise UserError(f"this model makes clips ({image}), not single images")
        return image.known

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None, *, tile: int = TILE) -> np.ndarray:
        """Restore an image `[h,w,1|3]` in [-1, 1]; returns `[s*h,s*w,C]`, float32 in about [-1, 1].

        `mask` `[h,w]`, for inpainting models only: 1 at pixels to fill in, else 0. Large images are processed in tiles
        of `tile` pixels a side. Raises UserError for a model without pixel input, and for arrays of wrong shapes.
        """
        self.needs("pixels")
        if np.ndim(image) != 3 or np.shape(image)[2] not in (1, 3) or not np.size(image):
            raise ArgumentError("image", f"got shape {np.shape(image)}, expected (h, w, 1) or (h, w, 3)")
        if (mask is None) == self.restorer.masks:
            raise ArgumentError(
                "mask", "is missing: this model requires one" if mask is None else "got one, but this model takes none"
            )
        pixels = np.asarray(image, np.float32)
        if mask is not None:
            if np.shape(mask)[:2] != pixels.shape[:2] or np.size(mask) != pixels[..., 0].size:
                raise ArgumentError("mask", f"got shape {np.shape(mask)}, expected {pixels.shape[:2]}")
            pixels = np.concatenate([pixels, np.asarray(mask, np.float32).reshape(*pixels.shape[:2], 1)], axis=2)
        product = self.product
        tiling = Tiling(tile, product.receptive_field, multiple=product.multiple)
        return tiled(self.restorer, pixels, tiling, scale=product.scale)

    @functools.cached_property
    def restorer(self) -> Restorer:
        """The restorer of pictures and film frames. Raises UserError for a model without pixel input."""
        self.needs("pixels")
        made = make_restorer(self.product, self._weights)
        return dataclasses.replace(made, step=self.step, images_seen=self.images_seen)

    def generate(
        self,
        key: Key | int,
        n: int,
        labels: Labels = None,
        *,
        given: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> np.ndarray:
        """Generate `n` images `[n,H,W,C]`, float32 in [-1, 1], from a seed or a jax key.

        `labels`: integers `[n]`, or a mixture of classes, floats `[n,num_classes]` whose rows sum to 1. None: the
        classes in turn. `given` holds the model's other inputs by name, one value for all images or one for each:
        `given={"caption": "a red bird"}`. Inputs that are not given are taken from real examples of the run's data,
        chosen by the key. `truncation` trades variety for quality: psi for generators with styles (Karras et al.
        2019), for others the largest absolute value of a latent (Brock et al. 2019). Raises UserError for invalid
        arguments.
        """
        latents = self.latents(key, n)
        return self.synthesize(latents, given=self.given(key, n, labels, given), truncation=truncation)

    def retimed(self, frames: int, rate: float = 1.0) -> Model:
        """The same model for clips of `frames` frames, at `rate` times the frame rate of the data.

        Clips may be longer than the data's. Raises UserError for a model of pictures, or of clips of a fixed length.
        """
        if self.product.retimed is None:
            raise UserError("this model cannot change the length of clips; expected one of task video.VideoGeneration")
        if frames < 1:
            raise ArgumentError("frames", f"got {frames}, expected 1 or more")
        if not 0 < rate < np.inf:
            raise ArgumentError("rate", f"got {rate}, expected more than 0")
        return Model(
            self.product.retimed(frames, rate),
            self._average,
            name=self.name,
            batch_size=self._batch_size,
            mesh=self._mesh,
            conditions=self._conditions,
        )

    def given(
        self, key: Key | int, n: int, labels: Labels = None, given: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The inputs of `n` images besides the latent, arrays `[n, ...]` by field name; arguments as in `generate`."""
        read = {name: self._read(name, each) for name, each in (given or {}).items()}
        return self._sampler.given(key, n, labels, read)

    def latents(self, key: Key | int, n: int) -> Array:
        """Random latents `[n,Z]` from the distribution used in training."""
        self._needs_latents()
        if n < 1:
            raise ArgumentError("n", f"got {n}, expected 1 or more")
        return self._sampler.latents(key, n)

    def synthesize(
        self,
        latents: Array | np.ndarray,
        labels: Labels = None,
        *,
        given: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> np.ndarray:
        """Images of given latents `[n,Z]`. Otherwise as `generate`, with real examples chosen by seed 0."""
        return self._counted(self._sampler(self._placed, self._asked(latents, labels, given, truncation)))

    def styles(
        self,
        latents: Array | np.ndarray,
        labels: Labels = None,
        *,
        given: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> np.ndarray:
        """The styles `[n,L,W]`, one per layer, of the images that `synthesize` makes from the same arguments.

        Raises UserError for a generator without styles, and as `generate`.
        """
        self._need_styles()
        return self._sampler(self._placed, self._asked(latents, labels, given, truncation), "map")

    def synthesize_styles(self, styles: Array | np.ndarray) -> np.ndarray:
        """Images of styles `[n,L,W]`. Raises UserError for a generator without styles."""
        self._need_styles()
        part = "synthesize"
        asked = {named(self.product.parts[part].asks, "style"): styles}
        return self._counted(self._sampler(self._placed, asked, part))

    def decoder(
        self, label: int | None = None, *, given: Mapping[str, Any] | None = None
    ) -> tuple[Callable[[Weights, Array], Array], Weights]:
        """`(decode, weights)`: `decode(weights, codes [n,D])` returns images `[n,H,W,C]` and is differentiable.

        A code is one style for all layers, or a latent if the generator has no styles. For latents, `label` is the
        class of the images (None: the first) and `given` the other inputs, one row each; styles contain them already.
        Raises UserError for an unknown class.
        """
        self._needs_latents()
        product, row = self.product, self.given(0, 1, None if label is None else [label], given)
        asks, image = product.asks, named(product.gives, "pixels")

        def asked(codes: Array) -> dict[str, Array]:
            rows = {name: jnp.repeat(jnp.asarray(one), len(codes), axis=0) for name, one in row.items()}
            return {named(asks, "latent"): codes, **rows}

        def from_style(weights: Weights, codes: Array) -> Array:
            to_style, to_image = product.parts["map"], product.parts["synthesize"]
            style = next(iter(to_style.gives))
            drawn, _ = jax.eval_shape(to_style, weights, asked(self.latents(0, 1)))
            given = {style: jnp.repeat(codes[:, None], drawn[style].shape[1], axis=1)}
            return to_image(weights, given)[0][image]

        def from_latent(weights: Weights, codes: Array) -> Array:
            return product(weights, asked(codes))[0][image]

        return from_style if self.has_styles else from_latent, self._weights

    def function(self, *, truncation: float | None = None) -> Callable[..., Array]:
        """A pure function `(latent [b,Z] float32[, label [b] int32, ...]) -> image [b,H,W,C] float32`.

        It contains the weights. Its arguments are the fields of `needed`, in that order. `truncation` as in `generate`.
        """
        self._needs_latents()
        options: dict[str, Any] = {} if truncation is None else {"truncation": truncation}
        image = named(self.product.gives, "pixels")

        def generate(*arrays: Array) -> Array:
            asked = dict(zip(self.product.needed, arrays))
            output: Array = self.product(self._weights, {**asked, **options})[0][image]
            return output

        return generate

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights and statistics in use, by path.

        Paths are like `params/conv_4/kernel` or, with several networks, `params/generator/conv_4/kernel`.
        """
        trees = tuple(self._weights)
        if len(self.product.networks) == 1:
            (network,) = self.product.networks
            trees = tuple(each[network] for each in trees)
        params, variables = trees
        leaves = jax.tree_util.tree_leaves_with_path({"params": params, **self._by_kind(variables)})
        return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}

    def _by_kind(self, variables: Mapping[str, Variables]) -> Mapping[str, Variables]:
        if len(self.product.networks) == 1:
            return variables
        kinds = dict.fromkeys(kind for each in variables.values() for kind in each)
        return {kind: {name: each[kind] for name, each in variables.items() if kind in each} for kind in kinds}

    @functools.cached_property
    def _sampler(self) -> Sampler:
        size = -(-self._batch_size // frames(self.product.gives))
        return Sampler(self.product, batch_size=size, mesh=self._mesh, conditions=self._conditions)

    @functools.cached_property
    def _weights(self) -> Weights:
        weights = Weights(self._average.params, self._average.variables).of(self.product.networks)
        return Standing(self.product, seed=self._seed, conditions=self._conditions)(weights)

    @functools.cached_property
    def _placed(self) -> Weights:
        """The weights on the devices that compute samples."""
        return self._weights if self._mesh is None else jax.device_put(self._weights, replicated(self._mesh))

    @functools.cached_property
    def _resolved(self) -> tuple[Spec, Spec]:
        return resolved(self.product, Weights(self._average.params, self._average.variables))

    @functools.cached_property
    def _called(self) -> Callable[..., Any]:
        return jax.jit(self.product.__call__, compiler_options=compiler_options(jax.default_backend()))

    @functools.cached_property
    def _start(self) -> Callable[..., Any]:
        return jax.jit(self.product.start, compiler_options=compiler_options(jax.default_backend()))

    @property
    def _call(self) -> str:
        """The call with all required inputs, for messages."""
        return f"model({', '.join(f'{name}=...' for name in self.product.needed)})"

    def _needs_latents(self) -> None:
        """Raise UserError unless latents and the inputs that `given` provides are all that the model requires."""
        self.needs("latent")
        needed = self.product.needed
        drawn = (named(needed, "latent"), *further_latents(needed), *conditions(needed))
        if further := {name: field for name, field in needed.items() if name not in drawn}:
            raise UserError(f"this model asks for {text_of(further)} beside the latent: use {self._call}")

    def _counted(self, images: np.ndarray) -> np.ndarray:
        self.lost += int((~np.isfinite(images).all(axis=tuple(range(1, images.ndim)))).sum())
        return images

    def _need_styles(self) -> None:
        if not self.has_styles:
            raise UserError("styles: this generator has no styles, as StyleGAN has; use latents")

    def _read(self, name: str, given: ArrayLike) -> ArrayLike:
        """The values given for a field; texts are converted to tokens."""
        texts = np.asarray(given)
        field = self.asks.get(name)
        if texts.dtype.kind != "U" or field is None or field.kind != "tokens":
            return given
        try:
            tokens = [tokens_of(text, field) for text in texts.ravel().tolist()]
        except ValueError as why:
            raise ArgumentError("given", f"{name!r}: {why}") from None
        return np.asarray(tokens, field.dtype).reshape(*texts.shape, -1)

    def _asked(
        self,
        latents: Array | np.ndarray,
        labels: Labels,
        given: Mapping[str, Any] | None,
        truncation: float | None,
    ) -> dict[str, Any]:
        self._needs_latents()
        size = self.product.asks[named(self.product.asks, "latent")].known
        if np.shape(latents)[1:] != size or not np.size(latents):
            expected = ", ".join(map(str, ("n", *size)))
            raise ArgumentError("latents", f"got shape {np.shape(latents)}, expected ({expected})")
        if truncation is not None and not 0 <= truncation < np.inf:
            raise ArgumentError("truncation", f"got {truncation}, expected 0 or more")
        return self._sampler.asked(latents, self.given(0, len(latents), labels, given), truncation=truncation)


def load(
    workdir: str | os.PathLike[str],
    product: str | None = None,
    *,
    step: int | Literal["latest", "best"] = "latest",
    strength: float = 1.0,
    allow: tuple[str, ...] = (),
    batch_size: int = 64,
    mesh: Mesh | None = None,
) -> Model:
    """Load the model of a run from its newest intact checkpoint, the best one by the run's metric, or a given step.

    `product`: name of the product, for runs that train several; None: the first. `strength` below 1 interpolates
    towards the newest checkpoint of the first of several training stages. Names in the saved config resolve only inside
    jaxgan and the packages of `allow`; nothing else is executed. Samples are computed `batch_size` at a time on the
    devices of `mesh` (None: one). Raises UserError if there is no run, no such product or no usable checkpoint.
    """
    # imported here because the run's config decides what else is imported
    from jaxgan.building.assemble import make_task, shapes_of
    from jaxgan.building.builder import check_sections
    from jaxgan.config.run import from_json

    where = Workdir(str(workdir))
    if not where.config.exists():
        raise UserError(f"{workdir}: got a directory without {where.config.name}, expected the directory of a run")
    config = from_json(read_text(where.config))
    check_sections(config, allow)
    choice = config.checkpoint
    task = make_task(config, allow)
    name, made = product_of(task, product)
    like = [Shapes(*each) for each in shapes_of(task, config, made)]
    if batch_size < 1:
        raise ArgumentError("batch_size", f"got {batch_size}, expected 1 or more")
    read = partial(restore_average, where.checkpoints, like=like, networks=made.networks)
    average = read(step, best=choice.best, best_mode=choice.best_mode)
    if not 0 <= strength <= 1:
        raise ArgumentError("strength", f"got {strength}, expected 0 to 1")
    if strength != 1.0:
        first = read(_last_of_first_stage(where, task.phases()))
        before, after = (Weights(each.params, each.variables).of(made.networks) for each in (first, average))
        params, variables = interpolate(before, after, strength)
        average = Average(dict(params), dict(variables), average.record)
    real = RealConditions(config, allow)
    return Model(made, average, name=name, batch_size=batch_size, mesh=mesh, conditions=real)


def _last_of_first_stage(where: Workdir, phases: Sequence[Phase]) -> int:
    """The newest step before the second stage."""
    start = min((phase.start for phase in phases if phase.start), default=0)
    if not start:
        raise ArgumentError("strength", "this run has only one stage, expected 1")
    steps = [step for step, record in read_records(where.checkpoints).items() if 0 < record["images_seen"] <= start]
    if not steps:
        raise ArgumentError("strength", f"no checkpoint of the first {start} images is left, expected 1")
    return max(steps)
