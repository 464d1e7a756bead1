"""Restoration of pictures by a trained or published network, with one interface for all kinds of conditions."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import ArgumentError, UserError
from jaxgan.fields import Field, Spec, name_of, named
from jaxgan.game import GENERATOR, Array, Asked, Memory, Params, Product, Weights
from jaxgan.inference.windows import can_be_windowed, windowed
from jaxgan.parallel.compiler import compiler_options

EXAMPLE = 16  # pixels: side of an example picture to find a network's output shapes
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A restoration network and the facts needed to apply it.

    Called with conditions `[B,h,w,1|3]`, float32 in [-1, 1], it returns images `[B,sh,sw,C]` in about [-1, 1].
    Inpainting networks take the mask as a further channel: 1 at pixels to fill in, else 0. Colour networks keep grey
    pictures grey: the grey channel is repeated three times, and the result is converted to luminance. Grey networks are
    applied to each colour channel. For networks with different numbers of input and output channels, pictures are
    converted to the network's input and the output is returned as it is.

    A network with a memory from frame to frame has `begin` and `advance`; called as above, it restores each picture as
    a shot of its own.
    """

    apply: Callable[[Array], Array]  # condition [B,h,w,C'] float32 in [-1, 1] -> image [B,sh,sw,C]
    scale: int
    condition_channels: int  # without the mask: 1 or 3
    channels: int  # of the images: 1 or 3
    description: str  # one sentence: what it was trained to restore from
    receptive_field: int | None = None  # condition pixels that an image pixel depends on to each side; None: all
    multiple: int = 1  # pixels: crops shifted by a multiple of this get the same result
    features_scale: int | None = None  # size of the largest features relative to the condition; None: as the scale
    masks: bool = False
    degrade: Callable[[Array, Array], Array] | None = None  # (key, images [B,sh,sw,C]) -> conditions, as in training
    step: int = 0  # of the checkpoint; 0 for published weights
    images_seen: int = 0
    fingerprint: str = ""  # of the weights
    begin: Callable[[Array], Memory] | None = None  # condition of a first frame -> memory
    advance: Callable[[Array, Memory], tuple[Array, Memory]] | None = None  # condition, memory -> image, memory
    delay: int = 0  # frames by which an image comes later than its condition, see `Product`
    shot: Callable[[Array], Array] | None = None  # frames of a shot [T,h,w,C'] -> images; None: frame by frame

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Restore conditions, see the class."""
        return self._images(tiles, self.apply(self._conditions(tiles)))

    def start(self, tiles: np.ndarray) -> Memory:
        """The memory before the first frame of a shot; only for networks with a memory."""
        assert self.begin is not None
        return self.begin(self._conditions(tiles))

    def after(self, tiles: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """The images returned with the next frame, and the memory after it; only for networks with a memory."""
        assert self.advance is not None
        images, memory = self.advance(self._conditions(tiles), memory)
        return self._images(tiles, images), memory

    def _one_by_one(self, tiles: np.ndarray) -> bool:
        """Whether a grey network is applied to each colour channel as a picture."""
        return tiles.shape[3] - self.masks == 3 and self.condition_channels == 1 and self.channels == 1

    def _conditions(self, tiles: np.ndarray) -> Array:
        pixels, mask = (tiles[..., :-1], tiles[..., -1:]) if self.masks else (tiles, None)
        given, wanted = pixels.shape[3], self.condition_channels
        if self._one_by_one(tiles):
            pixels = pixels.transpose(0, 3, 1, 2).reshape(-1, *pixels.shape[1:3], 1)
            mask = None if mask is None else mask.repeat(3, axis=0)
        elif given < wanted:
            pixels = pixels.repeat(wanted, axis=3)
        elif given > wanted:
            pixels = (pixels @ LUMA)[..., None]
        return jnp.asarray(pixels if mask is None else np.concatenate([pixels * (1 - mask), mask], axis=3))

    def _images(self, tiles: np.ndarray, images: Array) -> np.ndarray:
        image, given = np.asarray(images), tiles.shape[3] - self.masks
        if self._one_by_one(tiles):
            return image[..., 0].reshape(-1, 3, *image.shape[1:3]).transpose(0, 2, 3, 1)
        return (image @ LUMA)[..., None] if given < self.condition_channels == self.channels else image


def make_restorer(product: Product, weights: Weights, *, description: str | None = None) -> Restorer:
    """The restorer of a product that takes pixels, with given weights.

    `description`: what the product was trained to restore from; None: the description of its degradation. A product for
    clips of any length is applied to films window by window. Raises UserError if conditions are not pictures.
    """
    whole = product
    product = windowed(product) if can_be_windowed(product) else product
    degradation = product.degradation
    trained_for = "the conditions of its data set" if degradation is None else degradation.describe()
    fingerprint = _fingerprint(tuple(weights))
    weights = jax.device_put(weights)
    asks, gives = resolved(product, weights)
    pixels, image = named(asks, "pixels"), named(gives, "pixels")

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        return partial(_jit(function), weights)  # passed as an argument to keep them out of the compiled program

    carries = product.begin is not None
    return Restorer(
        apply=compiled(stacked(product)),
        scale=product.scale,
        condition_channels=asks[pixels].channels or 0,
        channels=gives[image].channels or 0,
        description=trained_for if description is None else description,
        receptive_field=None if carries else product.receptive_field,  # a memory spreads over the frame with time
        multiple=product.multiple,
        features_scale=product.features_scale,
        masks=name_of(asks, "mask") is not None,
        fingerprint=fingerprint,
        degrade=None if degradation is None else jax.jit(degradation.__call__),
        begin=compiled(partial(_begun, product)) if carries else None,
        advance=compiled(partial(_advanced, product)) if carries else None,
        delay=product.delay,
        shot=partial(of_shot(whole), weights) if carries else None,
    )


def stacked(product: Product) -> Callable[[Weights, Array], Array]:
    """The function `(weights, condition [B,h,w,C'])` -> images of a product that takes pixels and possibly a mask.

    The mask is the condition's last channel. Raises UserError for a product that takes clips.
    """
    image, asked = named(product.gives, "pixels"), product.asks[named(product.asks, "pixels")]
    if asked.clip:
        raise UserError(f"this model asks for clips ({asked}), not for pictures or frames: use model(...)")

    def restore(weights: Weights, condition: Array) -> Array:
        output: Array = product.once(weights, _unstacked(product, condition))[image]
        return output

    return restore


def of_shot(product: Product) -> Callable[[Weights, Array], Array]:
    """The compiled function `(weights, conditions [T,h,w,C'])` -> images, for consecutive frames.

    A product with a memory is applied frame by frame, so that long shots compile as quickly as short ones. A product
    that takes clips gets the whole shot.
    """
    if product.begin is None:
        clip = product.asks[named(product.asks, "pixels")].clip
        return _jit(partial(_of_clip, product) if clip else stacked(product))
    begin, advance = _jit(partial(_begun, product)), _jit(partial(_advanced, product))

    def restore(weights: Weights, conditions: Array) -> Array:
        frames = [conditions[number : number + 1] for number in range(len(conditions))]
        memory, images = begin(weights, frames[0]), []
        for frame in (*frames, *[frames[-1]] * product.delay):
            image, memory = advance(weights, frame, memory)
            images.append(image)
        return jnp.concatenate(images[product.delay :])

    return restore


def _begun(product: Product, weights: Weights, condition: Array) -> Memory:
    return product.start(weights, _unstacked(product, condition))


def _advanced(product: Product, weights: Weights, condition: Array, memory: Memory) -> tuple[Array, Memory]:
    made, memory = product(weights, _unstacked(product, condition), memory)
    return made[named(product.gives, "pixels")], memory


def _of_clip(product: Product, weights: Weights, conditions: Array) -> Array:
    made: Array = product.once(weights, _unstacked(product, conditions[None]))[named(product.gives, "pixels")]
    return made[0]


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function, compiler_options=compiler_options(jax.default_backend()))


def _unstacked(product: Product, condition: Array) -> Asked:
    pixels, mask = named(product.asks, "pixels"), name_of(product.asks, "mask")
    return {pixels: condition} if mask is None else {pixels: condition[..., :-1], mask: condition[..., -1:]}


def resolved(product: Product, weights: Weights) -> tuple[Spec, Spec]:
    """A product's input and output fields, with the numbers of channels found from its weights.

    Output sizes are filled in if they do not depend on the input. Raises UserError if the number of channels is neither
    1 nor 3.
    """
    open_ = [name for name, field in product.asks.items() if field.kind == "pixels" and field.channels is None]
    refused: Exception | None = None
    for channels in (3, 1) if open_ else (None,):
        asks = {
            name: dataclasses.replace(field, shape=(*field.shape[:-1], channels)) if name in open_ else field
            for name, field in product.asks.items()
        }
        try:
            made = jax.eval_shape(product.once, weights, _examples(asks, product.optional))
        except Exception as error:  # flax raises several kinds of errors if the shapes of weights do not match
            refused = refused or error
            continue
        whole = all(None not in field.shape for name, field in asks.items() if name not in product.optional)
        return asks, {name: _sized(field, made[name].shape[1:], whole) for name, field in product.gives.items()}
    raise UserError(f"this model takes neither grey pictures nor colours: {refused}") from refused


def _examples(asks: Spec, optional: Sequence[str]) -> dict[str, Any]:
    """The shapes of one example, with 16 for unknown sizes."""
    return {
        name: jax.ShapeDtypeStruct(
            (1, *(EXAMPLE if size is None else size for size in field.shape)), in_networks(field)
        )
        for name, field in asks.items()
        if name not in optional
    }


def in_networks(field: Field) -> str:
    """The dtype in which a field's arrays are passed to networks."""
    return "float32" if field.kind == "pixels" else field.dtype


def _sized(field: Field, shape: tuple[int, ...], whole: bool) -> Field:
    known = shape if whole else (*field.shape[:-1], shape[-1]) if field.kind == "pixels" else field.shape
    return dataclasses.replace(field, shape=known)


def _fingerprint(weights: Params) -> str:
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


def load_pretrained(name: str) -> Restorer:
    """A published model by name, or an RRDB, SRVGG or BasicVSR++ file (.pth, .safetensors, .param with its .bin).

    Raises UserError for an unknown name, a missing file, and a file of another network.
    """
    from jaxgan.augment.real_esrgan import RealESRGAN
    from jaxgan.building.builder import build
    from jaxgan.models.pretrained.published import PUBLISHED, from_file, pretrained
    from jaxgan.tasks.conditioned import restoring

    if name not in PUBLISHED and not Path(name).suffix:
        raise ArgumentError("name", f"got {name!r}, expected one of {', '.join(PUBLISHED)} or a file of weights")
    found = pretrained(name) if name in PUBLISHED else from_file(name)
    generator = build(found.section, "network", path="--pretrained")
    trained_for = PUBLISHED[name].trained_for if name in PUBLISHED else "what its file does not say"
    degradation = RealESRGAN(scale=generator.scale) if trained_for is None else None  # others have no class here
    weights = Weights({GENERATOR: found.params}, {GENERATOR: found.variables})
    restorer = make_restorer(restoring(generator, degradation), weights, description=trained_for)
    return dataclasses.replace(restorer, fingerprint=_fingerprint({"params": found.params, **found.variables}))
