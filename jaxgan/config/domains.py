"""Domains of config values: annotations of constructor arguments that the builder checks.

`gamma: NotNegative = 10.0` takes a number of 0 or more. Aliases that end in `Number` also take a schedule whose values
are all in the domain; those that end in `Traced` are the same for functions that get traced arrays. NaN and infinities
are in no domain. `network: Given[Network]` is not read from the config: the suite passes the argument.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

LARGEST = 3.4028234663852886e38  # of float32, the dtype of a run
MOST = 2**31 - 1  # of int32, the dtype of image counters
POINTS = ("value", "start", "stop")  # the keys of a schedule's section that are values of it


@dataclass(frozen=True)
class Domain:
    """An interval of finite numbers, closed (`least`, `most`) or open (`above`, `below`), and further values `also`."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    also: tuple[Any, ...] = ()

    def holds(self, value: object) -> bool:
        """Whether a value is in the domain."""
        if any(value == each and type(value) is type(each) for each in self.also):
            return True
        if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
            return False
        low = (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        return low and (self.most is None or value <= self.most) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        """A description, such as `1 or more`, `above 0`, `0 to 1`."""
        ends = (self.least, self.above, self.most, self.below)
        least, above, most, below = (None if end is None else f"{end:.10g}" for end in ends)
        most = None if self.most == MOST else most
        if most is not None:
            text = f"{least} to {most}" if least is not None else f"above {above}, at most {most}" if above else most
        elif below is not None:
            text = f"{least} on, and below {below}" if least is not None else f"between {above} and {below}"
        elif least is not None:
            text = f"{least} or more"
        else:
            text = f"above {above}" if above is not None else "any finite number"
        return " or ".join((text, *map(repr, self.also)))

    @property
    def joint(self) -> str:
        """The text between the type of a number and its domain: `int of 1 or more`, `float from 0 to 1`."""
        text = str(self)
        if text.startswith(("above", "between", "any")):
            return ", " if text.startswith("any") else " "
        return " from " if " to " in text or " on, and below " in text else " of "

    def describe(self, value: object) -> str:
        """The description for an error about a value outside the domain."""
        if isinstance(value, int | float) and value > MOST and self.most == MOST:
            return f"{self.least:.10g} to {MOST}"
        return f"{self}{', finite' if isinstance(value, float) and not -LARGEST <= value <= LARGEST else ''}"

    def wrong_points(self, schedule: Mapping[str, Any]) -> Iterator[str]:
        """The keys of a schedule's section whose values are outside the domain.

        A schedule of numbers above 0 may start or stop at 0, to fade in or out.
        """
        points = {key: schedule[key] for key in POINTS if key in schedule}
        inside = [key for key, value in points.items() if self.holds(value)]
        for key, value in points.items():
            fades = self.above == 0.0 and value == 0 and not isinstance(value, bool)
            if key not in inside and not (fades and inside):
                yield key


T = TypeVar("T")
GIVEN = "given"
Given = Annotated[T, GIVEN]  # passed by the suite, such as a network to a task, or the shape of the data to a network

Number = float | Mapping[str, Any]  # a number, or a schedule over images: {"name": "cosine", ...}

POSITIVE, NOT_NEGATIVE, SHARE = Domain(above=0.0), Domain(least=0.0), Domain(least=0.0, most=1.0)
DECAY = Domain(least=0.0, below=1.0)  # of a moving average: at 1 it would never change
SOME = Domain(above=0.0, most=1.0)  # a share above 0

Count = Annotated[int, Domain(least=1, most=MOST)]
Whole = Annotated[int, Domain(least=0, most=MOST)]
Halvings = Annotated[int, Domain(least=0, most=16)]  # how often the sides of a picture are halved
SomeHalvings = Annotated[int, Domain(least=1, most=16)]
Several = Annotated[int, Domain(least=2, most=MOST)]
Bytes = Annotated[int, Domain(least=0)]
AxisSize = Annotated[int, Domain(least=1, most=MOST, also=(-1,))]  # -1: all remaining devices
Seed = Annotated[int, Domain(least=0, most=MOST)]
Quality = Annotated[int, Domain(least=1, most=100)]  # of JPEG

Finite = Annotated[float, Domain()]
Positive = Annotated[float, POSITIVE]
NotNegative = Annotated[float, NOT_NEGATIVE]
Share = Annotated[float, SHARE]
Decay = Annotated[float, DECAY]
Smoothing = Annotated[float, Domain(least=0.0, below=0.5)]
Sign = Annotated[float, Domain(least=-1.0, most=1.0)]  # the mean of signs

FiniteNumber = Annotated[Number, Domain()]
PositiveNumber = Annotated[Number, POSITIVE]
NotNegativeNumber = Annotated[Number, NOT_NEGATIVE]
ShareNumber = Annotated[Number, SHARE]
SomeNumber = Annotated[Number, SOME]
DecayNumber = Annotated[Number, DECAY]

NotNegativeTraced = Annotated[Any, NOT_NEGATIVE]
ShareTraced = Annotated[Any, SHARE]
DecayTraced = Annotated[Any, DECAY]
GammaTraced = Annotated[Any, Domain(least=0.0, also=("auto",))]  # auto: by resolution and batch


def domain_of(annotation: Any) -> Domain | None:
    """The domain of an annotation, or None."""
    if typing.get_origin(annotation) is not Annotated:
        return None
    return next((each for each in typing.get_args(annotation)[1:] if isinstance(each, Domain)), None)


def moves(annotation: Any) -> bool:
    """Whether an annotation takes a schedule as well as a number."""
    if domain_of(annotation) is None:
        return any(map(moves, typing.get_args(annotation)))
    return typing.get_args(annotation)[0] in (Any, Number)


def given(annotation: Any) -> bool:
    """Whether the suite passes the argument (`Given`)."""
    if typing.get_origin(annotation) is not Annotated:
        return any(map(given, typing.get_args(annotation)))
    return GIVEN in typing.get_args(annotation)[1:]
