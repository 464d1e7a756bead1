"""The structure of examples: a `Field` describes one array, a `Spec` maps the names of all arrays to their fields.

A source gives a spec; a task, and each thing that it trains, asks for one. `fit` reports a mismatch before any work
starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from jaxgan.errors import UserError

Kind = Literal["pixels", "label", "tokens", "mask", "number", "latent", "style", "vector", "logits", "bits", "flow"]
Law = Literal["normal"]  # independent standard normal numbers
CONDITIONS = ("label", "tokens", "vector")  # kinds that generation can be conditioned on
WORDS_SHOWN = 20  # of a vocabulary, in a message
MAIN = "data"  # the name of the main source
PLANES = ("pixels", "mask", "flow")  # kinds of shape [H,W,C], or [T,H,W,C] for clips


@dataclass(frozen=True)
class Field:
    """One array of an example.

    Pixels are uint8 in sources and in [-1, 1] for networks: `[H,W,C]`, or `[T,H,W,C]` for a clip. Raises ValueError for
    an unknown kind, and for a shape that a field of this kind cannot have.
    """

    shape: tuple[int | None, ...] = ()  # without the batch axis; None: an unknown size
    dtype: str = "float32"  # the NumPy name of the dtype in the source
    kind: Kind = "number"
    names: tuple[str, ...] = ()  # of classes, or of a vocabulary, whose first entry pads texts
    law: Law | None = None  # the distribution that latents are drawn from

    def __post_init__(self) -> None:
        """Converts lists, as read from JSON, to tuples."""
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "names", tuple(self.names))
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind={self.kind!r}: expected one of {', '.join(get_args(Kind))}")
        if self.kind in PLANES and len(self.shape) not in (3, 4):
            raise ValueError(f"shape={self.shape}: expected height, width and channels, with frames first for clips")

    @property
    def height(self) -> int | None:
        """Of pixels, masks and flow."""
        return self.shape[-3]

    @property
    def width(self) -> int | None:
        """Of pixels, masks and flow."""
        return self.shape[-2]

    @property
    def channels(self) -> int | None:
        """Of pixels, masks and flow."""
        return self.shape[-1]

    @property
    def clip(self) -> bool:
        """Whether this is a clip: pixels, masks or flow with a frame axis."""
        return len(self.shape) == 4 and self.kind in PLANES

    @property
    def frames(self) -> int | None:
        """The number of frames of a clip; None for a picture."""
        return self.shape[0] if len(self.shape) == 4 else None

    @property
    def nbytes(self) -> int:
        """Bytes of one example. Raises ValueError if a size is unknown."""
        return math.prod(self.known) * np.dtype(self.dtype).itemsize

    @property
    def known(self) -> tuple[int, ...]:
        """The shape. Raises ValueError if a size is unknown."""
        sizes = tuple(size for size in self.shape if size is not None)
        if len(sizes) < len(self.shape):
            raise ValueError(f"a size is unknown: {self}")
        return sizes

    def __str__(self) -> str:
        """A short description, such as `pixels [16, 16, 3]`, `label int32 of 10 classes` or `tokens int32 [?]`."""
        shape = f" [{', '.join('?' if size is None else str(size) for size in self.shape)}]" if self.shape else ""
        dtype = "" if self.kind == "pixels" else f" {self.dtype}"
        names = f" of {len(self.names)} {'classes' if self.kind == 'label' else 'names'}" if self.names else ""
        return f"{self.kind}{dtype}{shape}{names}"


Spec = Mapping[str, Field]  # by the name of the field


def name_of(spec: Spec, kind: Kind) -> str | None:
    """The name of the first field of a kind, or None."""
    return next((name for name, field in spec.items() if field.kind == kind), None)


def named(spec: Spec, kind: Kind) -> str:
    """The name of the first field of a kind. Raises KeyError if there is none."""
    if (name := name_of(spec, kind)) is None:
        raise KeyError(kind)
    return name


def text_of(spec: Spec) -> str:
    """A description of a spec, such as `'latent' (latent float32 [100]), 'label' (label int32 of 10 classes)`."""
    return ", ".join(f"{name!r} ({field})" for name, field in spec.items()) or "nothing"


def conditions(spec: Spec) -> dict[str, Field]:
    """The conditions among the fields that a product asks for: labels, tokens and vectors."""
    return {name: field for name, field in spec.items() if field.kind in CONDITIONS}


def further_latents(spec: Spec) -> dict[str, Field]:
    """All latents except the first, such as motion noise besides content noise."""
    latents = {name: field for name, field in spec.items() if field.kind == "latent"}
    return {name: latents[name] for name in [*latents][1:]}


def tokens_of(text: str, field: Field) -> list[int]:
    """The indices of a text's space-separated words among the names of a field, padded with index 0 to its length.

    Raises ValueError for unknown words, and for more words than the field holds.
    """
    words = text.split()
    unknown = [word for word in words if word not in field.names]
    if unknown:
        known = ", ".join(field.names[:WORDS_SHOWN]) + ", ..." * (len(field.names) > WORDS_SHOWN)
        raise ValueError(f"got {unknown[0]!r}, expected words of {known}")
    (length,) = field.known
    if len(words) > length:
        raise ValueError(f"got {len(words)} words, expected at most {length}")
    return [*map(field.names.index, words), *[0] * (length - len(words))]


def pixel_field(height: int | None, width: int | None, channels: int | None, *, frames: int | None = None) -> Field:
    """The uint8 field of pictures `[H,W,C]`, or with `frames` of clips `[T,H,W,C]`, in a source."""
    clip = () if frames is None else (frames,)
    return Field((*clip, height, width, channels), "uint8", "pixels")


def label_field(names: tuple[str, ...] = ()) -> Field:
    """The field of a class index, int32; `names` are the class names."""
    return Field((), "int32", "label", names)


def picture_fields(
    height: int | None, width: int | None, channels: int, classes: tuple[str, ...] = (), *, frames: int | None = None
) -> dict[str, Field]:
    """The fields of most data sets: `image` (a clip with `frames`), and `label` if there are classes."""
    image = pixel_field(height, width, channels, frames=frames)
    return {"image": image, **({"label": label_field(classes)} if classes else {})}


def nbytes(spec: Spec) -> int:
    """Bytes of all fields of one example. Raises ValueError if a size is unknown."""
    return sum(field.nbytes for field in spec.values())


def frames(spec: Spec) -> int:
    """How many images an example counts as: the number of frames of its longest clip, 1 without clips."""
    return max((field.frames or 1 for field in spec.values() if field.kind == "pixels"), default=1)


def field_of(source: str, name: str) -> str:
    """The name of a source's field in batches of several sources: `image` for the main source, else `NAME/image`."""
    return name if source == MAIN else f"{source}/{name}"


def source_of(name: str) -> str:
    """The source that a field of a batch comes from."""
    return name.rpartition("/")[0] or MAIN


def fit(asked: Spec, given: Spec, *, asker: str, giver: str, advice: Mapping[str, str] | None = None) -> None:
    """Raises UserError for the first field of `asked` that `given` lacks or has in a different form.

    `advice` says by field name what a user can do. Extra fields in `given` are fine, and unknown sizes match any size.
    Names are compared only if `asked` has some; dtypes by kind, such as integer or float. Pixels may have any dtype.
    """
    for name, field in asked.items():
        found = given.get(name)
        if found is not None and _fits(field, found):
            continue
        has = f"it as {found}" if found is not None else text_of(given)
        why = f"{asker} asks for {name!r} ({field}), {giver} gives {has}"
        raise UserError(f"{why}: {advice[name]}" if advice and name in advice else why)


def _fits(asked: Field, given: Field) -> bool:
    if asked.kind != given.kind or len(asked.shape) != len(given.shape):
        return False
    if any(None not in pair and pair[0] != pair[1] for pair in zip(asked.shape, given.shape)):
        return False
    if asked.names and asked.names != given.names:
        return False
    return asked.kind == "pixels" or np.dtype(asked.dtype).kind == np.dtype(given.dtype).kind
