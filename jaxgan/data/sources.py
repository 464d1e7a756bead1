"""A source is one split of a data set, decoded to uint8 images of one size, by random access."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxgan.fields import MAIN, Field, Spec, field_of

LABELS_AT_ONCE = 250  # read with their images
IMAGES, CONDITIONS = "images", "conditions"  # what contents are of


@dataclass(frozen=True)
class DataSpec:
    """What one split of a data set is, after its images were brought to one size."""

    name: str
    split: str
    size: int  # examples
    fields: Spec  # what an example is made of
    fingerprint: str  # equal for equal data, stable across runs and machines
    # of the bytes of its files, by what they are of ("images", "conditions"); empty: unknown
    contents: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()  # what was found in the data and done with them, for a person: title, text

    @property
    def image(self) -> Field:
        """The field of the images."""
        return self.fields["image"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; empty without labels."""
        return self.fields["label"].names if "label" in self.fields else ()


class Source(Protocol):
    """One split of a data set by random access.

    A class of one's own, which `config.data.source` names, declares `spec` in its body; of what its constructor takes
    the suite hands in `config: Given[DataConfig]` and `split: Given[str]`, and the section says the rest.

    One that knows the classes of all its examples has them counted in `label_counts`, int `[K]`; one that can
    read labels without images has the method `labels`, indices to int32 `[n]`.
    """

    @property
    def spec(self) -> DataSpec:
        """What the split is."""
        ...

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices` by field, such as image uint8 `[n,H,W,C]` and label int32 `[n]`.

        May be called from several threads at once.
        """
        ...


@runtime_checkable
class Pictures(Protocol):
    """One split of a data set at the sizes that its pictures have, by random access."""

    @property
    def spec(self) -> DataSpec:
        """What the split is."""
        ...

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The fields of an example, such as image uint8 `[H,W,C]` and its condition. As `Source.read` by threads."""
        ...


def read_labels(source: Source, indices: np.ndarray) -> np.ndarray:
    """The labels int32 `[n]` of examples of a source with classes; images are decoded where there is no other way."""
    read = getattr(source, "labels", None)
    if read is not None:
        return read(indices)
    chunks = (indices[start : start + LABELS_AT_ONCE] for start in range(0, len(indices), LABELS_AT_ONCE))
    return np.concatenate([source.read(chunk)["label"] for chunk in chunks])


def joined(specs: Mapping[str, DataSpec]) -> DataSpec:
    """What batches of several sources are, by their names: the main one with the fields of all."""
    fields = {field_of(name, each): spec.fields[each] for name, spec in specs.items() for each in spec.fields}
    return replace(specs[MAIN], fields=fields)


def describe(source: Source) -> dict[str, Any]:
    """What a source is, as JSON, to be recorded with all that is made from it.

    Its name, split, number of examples, classes (with their counts where it knows them), fingerprints of its contents.
    """
    spec = source.spec
    told: dict[str, Any] = {"name": spec.name, "split": spec.split, "examples": spec.size}
    told |= {"classes": list(spec.classes), "contents": dict(spec.contents)}
    counts = getattr(source, "label_counts", None) if spec.classes else None
    return told if counts is None else {**told, "counts": [int(count) for count in counts]}


def digest_of_contents(described: Sequence[Mapping[str, Any]]) -> str:
    """Sixteen hexadecimal digits over the contents of described sources; none where those of one are unknown."""
    contents = [each["contents"] for each in described]
    return fingerprint(contents) if contents and all(contents) else ""


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits over JSON-able parts; equal parts give equal digits, in every run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]
