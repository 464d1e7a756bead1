"""What an example is made of: a `Field` says what one of its arrays is, a `Spec` has one for each by name.

A source gives a spec; a task, and what it trains, asks for one. `fit` tells what does not fit before any work is done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from jaxgan.errors import UserError

Kind = Literal["pixels", "label", "tokens", "mask", "number", "latent", "style", "vector", "logits", "bits", "flow"]
Law = Literal["normal"]  # the standard normal distribution, every number by itself
CONDITIONS = ("label", "tokens", "vector")  # kinds of what pictures are made for
WORDS_TOLD = 20
MAIN = "data"  # the name of the main source
PLANES = ("pixels", "mask", "flow")  # kinds whose last axes are height, width and channels; before them may be frames


@dataclass(frozen=True)
class Field:
    """One array of an example.

    Pixels are uint8 in sources and in [-1, 1] where networks see them: `[H,W,C]`, a clip `[T,H,W,C]`. Raises ValueError
    for a kind that does not exist, and for a shape that no field of the kind has.
    """

    shape: tuple[int | None, ...] = ()  # without the batch axis; None: an unknown size
    dtype: str = "float32"  # as numpy names it, in the source
    kind: Kind = "number"
    names: tuple[str, ...] = ()  # of classes; of a vocabulary, whose first stands where a text has ended
    law: Law | None = None  # of latents: what they are drawn from

    def __post_init__(self) -> None:
        """Lists, such as JSON has, become tuples."""
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "names", tuple(self.names))
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind={self.kind!r}: expected one of {', '.join(get_args(Kind))}")
        if self.kind in PLANES and len(self.shape) not in (3, 4):
            raise ValueError(f"shape={self.shape}: {self.kind} have height, width and channels, a clip frames before")

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
        """Whether these are pixels, masks or flow of several frames."""
        return len(self.shape) == 4 and self.kind in PLANES

    @property
    def frames(self) -> int | None:
        """Of a clip; None for a picture."""
        return self.shape[0] if len(self.shape) == 4 else None

    @property
    def nbytes(self) -> int:
        """Bytes of one example. Raises ValueError where a size is unknown."""
        return math.prod(self.known) * np.dtype(self.dtype).itemsize

    @property
    def known(self) -> tuple[int, ...]:
        """The shape. Raises ValueError where a size is unknown."""
        sizes = tuple(size for size in self.shape if size is not None)
        if len(sizes) < len(self.shape):
            raise ValueError(f"a size is unknown: {self}")
        return sizes

    def __str__(self) -> str:
        """Such as `pixels [16, 16, 3]`, `label int32 of 10 classes` or `tokens int32 [?]`."""
        shape = f" [{', '.join('?' if size is None else str(size) for size in self.shape)}]" if self.shape else ""
        dtype = "" if self.kind == "pixels" else f" {self.dtype}"
        names = f" of {len(self.names)} {'classes' if self.kind == 'label' else 'names'}" if self.names else ""
        return f"{self.kind}{dtype}{shape}{names}"


Spec = Mapping[str, Field]  # by the name of the field


def name_of(spec: Spec, kind: Kind) -> str | None:
    """The name of the first field of a kind; None where there is none."""
    return next((name for name, field in spec.items() if field.kind == kind), None)


def named(spec: Spec, kind: Kind) -> str:
    """The name of the first field of a kind. Raises KeyError where there is none."""
    if (name := name_of(spec, kind)) is None:
        raise KeyError(kind)
    return name


def told(spec: Spec) -> str:
    """In words, such as `'latent' (latent float32 [100]), 'label' (label int32 of 10 classes)`."""
    return ", ".join(f"{name!r} ({field})" for name, field in spec.items()) or "nothing"


def conditions(spec: Spec) -> dict[str, Field]:
    """Of what a product asks for, what it makes something for: labels, tokens and vectors."""
    return {name: field for name, field in spec.items() if field.kind in CONDITIONS}


def further_latents(spec: Spec) -> dict[str, Field]:
    """All latents but the first, such as noise of motion beside that of content."""
    latents = {name: field for name, field in spec.items() if field.kind == "latent"}
    return {name: latents[name] for name in [*latents][1:]}


def tokens_of(text: str, field: Field) -> list[int]:
    """The words of a text, which spaces part, by their places among the names of a field; the first name fills it up.

    Raises ValueError for words that are none of the names, and for more than fit.
    """
    words = text.split()
    unknown = [word for word in words if word not in field.names]
    if unknown:
        known = ", ".join(field.names[:WORDS_TOLD]) + ", ..." * (len(field.names) > WORDS_TOLD)
        raise ValueError(f"got {unknown[0]!r}, expected words of {known}")
    (length,) = field.known
    if len(words) > length:
        raise ValueError(f"got {len(words)} words, expected at most {length}")
    return [*map(field.names.index, words), *[0] * (length - len(words))]


def pixel_field(height: int | None, width: int | None, channels: int | None, *, frames: int | None = None) -> Field:
    """Pictures `[H,W,C]`, or with `frames` clips `[T,H,W,C]`, as sources have them: uint8."""
    clip = () if frames is None else (frames,)
    return Field((*clip, height, width, channels), "uint8", "pixels")


def label_field(names: tuple[str, ...] = ()) -> Field:
    """The number of a class, int32; `names` are those of the classes."""
    return Field((), "int32", "label", names)


def picture_fields(
    height: int | None, width: int | None, channels: int, classes: tuple[str, ...] = (), *, frames: int | None = None
) -> dict[str, Field]:
    """The fields of most data sets: `image`, with `frames` a clip, and `label` where there are classes."""
    image = pixel_field(height, width, channels, frames=frames)
    return {"image": image, **({"label": label_field(classes)} if classes else {})}


def nbytes(spec: Spec) -> int:
    """Bytes of one example in all of its fields. Raises ValueError where a size is unknown."""
    return sum(field.nbytes for field in spec.values())


def frames(spec: Spec) -> int:
    """How many images an example shows to the networks: the frames of its longest clip, 1 without any."""
    return max((field.frames or 1 for field in spec.values() if field.kind == "pixels"), default=1)


def field_of(source: str, name: str) -> str:
    """What a field of a source is called in batches of several sources: `image` of the main one, else `NAME/image`."""
    return name if source == MAIN else f"{source}/{name}"


def source_of(name: str) -> str:
    """The source that a field of a batch comes from."""
    return name.rpartition("/")[0] or MAIN


def fit(asked: Spec, given: Spec, *, asker: str, giver: str, advice: Mapping[str, str] | None = None) -> None:
    """Raises UserError, naming the field, for the first one asked for that is not given, or is something else there.

    `advice` is what a user can do about a field, by its name. What is not asked for may be given, and unknown sizes fit
    all; names are compared where some are asked for, and numbers by whether they are whole. Pixels fit in every dtype.
    """
    for name, field in asked.items():
        found = given.get(name)
        if found is not None and _fits(field, found):
            continue
        has = f"it as {found}" if found is not None else told(given)
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
