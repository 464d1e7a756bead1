"""Tensor names in files from elsewhere: their prefixes, and the choice among several sets of weights."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain
from jaxgan.weights.schema import Shape, checked

COMPILED = "_orig_mod"  # a part that torch.compile inserts into names
AVERAGED = ("ema", "shadow", "averaged", "avg", "swa")  # words in the names of averaged weights
GENERATORS = {"g", "gen", "generator", "net_g", "netg", "params"}
COMPARED, LONGEST = 1_000, 120  # limits of the search for a similar name: the number of names and their length
MOST_SETS = 64  # sets of weights of one network in a file
Tensors = Mapping[str, np.ndarray]


class Chosen(NamedTuple):
    """The tensors of one network without their prefix, the prefix, and a description of the sets that were left out."""

    tensors: dict[str, np.ndarray]
    prefix: str
    description: str


def without_compiler(tensors: Tensors) -> Tensors:
    """The tensors by their names before torch.compile. Raises UserError if two would get the same name."""
    if not any(COMPILED in name for name in tensors):
        return tensors
    return renamed(tensors, {name: ".".join(part for part in name.split(".") if part != COMPILED) for name in tensors})


def renamed(tensors: Tensors, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The tensors by other names. Raises UserError if two would get the same name."""
    found = {names[name]: value for name, value in tensors.items()}
    if len(found) < len(tensors):
        raise UserError("the weights: got names of two layouts, expected one")
    return found


def prefixes(tensors: Tensors, mark: str) -> list[str]:
    """The prefixes of all names that end with the mark, such as `state_dict.module.` or the empty string."""
    return [name.removesuffix(mark) for name in tensors if name == mark or name.endswith(f".{mark}")]


def chosen(tensors: Tensors, mark: str) -> Chosen:
    """The network that has the mark; of several, averaged weights come first, then those called a generator.

    Raises UserError if there is none, or if the choice is ambiguous.
    """
    candidates = prefixes(tensors, mark)
    if not candidates:
        raise lacking(mark, tensors)
    if len(candidates) > MOST_SETS:
        raise UserError(f"the weights: got the network {len(candidates)} times, expected at most {MOST_SETS}")
    best = candidates
    for rule in (_is_averaged, _is_generator):
        best = [prefix for prefix in best if rule(prefix)] or best
    depth = min(prefix.count(".") for prefix in best)
    best = [prefix for prefix in best if prefix.count(".") == depth]
    if len(best) > 1:
        found = ", ".join(plain(prefix.rstrip("."), 60) for prefix in best[:5])
        raise UserError(f"the weights: got the network {len(best)} times, under {found}; expected one, or an average")
    prefix = best[0]
    within = tuple(other for other in candidates if other != prefix and other.startswith(prefix))
    own = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix) and not (within and name.startswith(within))
    }
    others = [plain(other.rstrip("."), 60) or "the names without a prefix" for other in candidates if other != prefix]
    kind = "the averaged weights" if _is_averaged(prefix) else "the weights"
    shown = plain(prefix.rstrip("."), 60)
    used = f"{kind} {shown} are used" if shown else f"{kind} without a prefix are used"
    return Chosen(own, prefix, f"{used}, not {', '.join(others[:5])}" if others else "")


def _words(prefix: str) -> list[str]:
    return prefix.lower().rstrip(".").split(".")


def _is_averaged(prefix: str) -> bool:
    return any(word in AVERAGED for part in _words(prefix) for word in part.split("_"))


def _is_generator(prefix: str) -> bool:
    return any(part in GENERATORS for part in _words(prefix))


def lacking(name: str, tensors: Collection[str]) -> UserError:
    """The error for a missing tensor, with the most similar name in the file."""
    return UserError(f"the weights lack {plain(name, 120)}{nearest(name, tensors)}")


def nearest(name: str, tensors: Collection[str]) -> str:
    """A description of the most similar names."""
    found = [each for each, _ in zip(tensors, range(COMPARED)) if len(each) <= LONGEST]
    ends = [each for each in found if each.endswith(f".{name}")]
    similar: Sequence[str] = ends[:1] or difflib.get_close_matches(name, found, 1, 0.6) or found[:3]
    if not similar:
        return ""
    shown = ", ".join(plain(each, 120) for each in similar)
    return f" (there is {shown})" if len(similar) == 1 else f" (there are {len(tensors)} others, such as {shown})"


class Names:
    """The tensors of a network, each of which is taken once."""

    def __init__(self, tensors: Tensors, ignored: tuple[str, ...] = ()):
        """Names with `ignored` endings are left out."""
        self._left = {name: value for name, value in tensors.items() if not name.endswith(ignored)}

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, *shapes: Shape) -> np.ndarray:
        """Takes a tensor. Raises UserError if it is missing, or of another shape or kind (see `checked`)."""
        if name not in self._left:
            raise lacking(name, self._left)
        return checked(name, self._left.pop(name), *shapes)

    def dense(self, name: str, outputs: int | str = "outputs", inputs: int | str = "inputs") -> dict[str, np.ndarray]:
        """Takes the params of a fully connected layer."""
        weight = self.take(f"{name}.weight", (outputs, inputs))
        return {"kernel": weight.T, "bias": self.take(f"{name}.bias", (len(weight),))}

    def finish(self) -> None:
        """Raises UserError if a tensor was not taken."""
        if self._left:
            shown = plain(min(self._left), 120)
            raise UserError(f"the weights have {shown}, which the network does not ({len(self._left)} such)")


def kernel(weight: np.ndarray) -> np.ndarray:
    """PyTorch's `[(1,)o,i,k,k]` as `[k,k,i,o]`."""
    return weight.reshape(weight.shape[-4:]).transpose(2, 3, 1, 0)
