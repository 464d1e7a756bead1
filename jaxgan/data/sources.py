"""Sources: one split of a data set each, with random access to its examples as uint8 images of one size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxgan.fields import MAIN, Field, Spec, field_of

LABELS_AT_ONCE = 250  # examples per read, if labels are read with their images
IMAGES, CONDITIONS = "images", "conditions"  # keys of `DataSpec.contents`


@dataclass(frozen=True)
class DataSpec:
    """Describes one split of a data set whose images have been brought to one size."""

    name: str
    split: str
    size: int  # examples
    fields: Spec  # of an example
    fingerprint: str  # equal for equal data, stable across runs and machines
    # digests of the bytes of its files, by "images" and "conditions"; empty if unknown
    contents: tuple[tuple[str, str], ...] = ()
    findings: tuple[tuple[str, str], ...] = ()  # for the user: findings and conversions, (title, text)

    @property
    def image(self) -> Field:
        """The field of the images."""
        return self.fields["image"]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; empty without labels."""
        return self.fields["label"].names if "label" in self.fields else ()


class Source(Protocol):
    """One split of a data set with random access.

    A class of your own, named by `config.data.source`, declares `spec` in its body. The suite passes the constructor
    arguments `config: Given[DataConfig]` and `split: Given[str]`; the config section sets the others.

    Optional members: `label_counts`, int `[K]`, the number of examples of each class, and the method `labels`, from
    indices to int32 `[n]`, which reads labels without images.
    """

    @property
    def spec(self) -> DataSpec:
        """The description of the split."""
        ...

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices` by field, e.g. image uint8 `[n,H,W,C]` and label int32 `[n]`.

        Several threads may call it at once.
        """
        ...


@runtime_checkable
class Pictures(Protocol):
    """One split of a data set with random access, whose pictures keep their own sizes."""

    @property
    def spec(self) -> DataSpec:
        """The description of the split."""
        ...

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The fields of an example, e.g. image uint8 `[H,W,C]` and its condition. Thread-safe, as `Source.read`."""
        ...


def read_labels(source: Source, indices: np.ndarray) -> np.ndarray:
    """The labels int32 `[n]` of examples of a source with classes; decodes images only if there is no other way."""
    read = getattr(source, "labels", None)
    if read is not None:
        return read(indices)
    chunks = (indices[start : start + LABELS_AT_ONCE] for start in range(0, len(indices), LABELS_AT_ONCE))
    return np.concatenate([source.read(chunk)["label"] for chunk in chunks])


def joined(specs: Mapping[str, DataSpec]) -> DataSpec:
    """The spec of batches of several sources, by name: that of the main source, with the fields of all."""
    fields = {field_of(name, each): spec.fields[each] for name, spec in specs.items() for each in spec.fields}
    return replace(specs[MAIN], fields=fields)


def describe(source: Source) -> dict[str, Any]:
    """A JSON record of a source, to be stored with everything that is made from it.

    It has the name, split, number of examples, classes (with their counts if known) and digests of the contents.
    """
    spec = source.spec
    record: dict[str, Any] = {"name": spec.name, "split": spec.split, "examples": spec.size}
    record |= {"classes": list(spec.classes), "contents": dict(spec.contents)}
    counts = getattr(source, "label_counts", None) if spec.classes else None
    return record if counts is None else {**record, "counts": [int(count) for count in counts]}


def digest_of_contents(described: Sequence[Mapping[str, Any]]) -> str:
    """Sixteen hexadecimal digits over the contents of described sources; empty if those of any source are unknown."""
    contents = [each["contents"] for each in described]
    return fingerprint(contents) if contents and all(contents) else ""


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits over JSON-serializable parts; equal parts give equal digits in every run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]
