"""Derives splits and classes from the subfolders of a folder of pictures."""

from __future__ import annotations

import collections
import hashlib
import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.data.folder_index import Entry, such_as
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

HELD_OUT_EVERY = 10  # one file in ten is held out for evaluation
TRAINING, VALIDATION, TEST = ("train", "training"), ("valid", "validation", "val", "dev"), ("test", "eval")
SPLITS = frozenset((*TRAINING, *VALIDATION, *TEST))  # names of folders, in any case
SHOWN_AT_MOST = 10  # classes named with their counts


class Splits(NamedTuple):
    """The splits of a folder by name, and how they were found."""

    depth: int  # folders above the classes: 1 if splits are folders, else 0
    entries: dict[str, tuple[Entry, ...]]
    unused: tuple[Entry, ...]  # in no split, because they are beside the folders of splits
    description: str  # a description for the user

    def find(self, name: str) -> str | None:
        """The split that a name stands for, or None.

        That is the split of this name, else of this name in another case, else of a name with the same meaning; for
        `test` also a validation split. So the defaults of a config, `train` and `test`, find the splits of a folder.
        """
        if name in self.entries:
            return name
        lower = name.lower()
        family = next((each for each in (TRAINING, VALIDATION, TEST) if lower in each), (lower,))
        for wanted in (lower, *family, *(VALIDATION if lower == "test" else ())):
            for known in sorted(self.entries):
                if known.lower() == wanted:
                    return known
        return None


def find_splits(entries: Sequence[Entry]) -> Splits:
    """The splits of a folder.

    Its subfolders are the splits if one is named for training and one for evaluation (see `SPLITS`), or if all
    subfolders have such names. Otherwise, and below a lone folder for training, one file in ten is `test`, chosen by
    the hash of its path, and the rest is `train`. Adding files therefore moves no file to another split, with one
    exception: if all files of a class would be held out, one of them is trained on.
    """
    folders = {parts_of(entry)[0] for entry in entries if len(parts_of(entry)) > 1}
    known = {name for name in folders if name.lower() in SPLITS}
    training = {name for name in known if name.lower() in TRAINING}
    loose = any(len(parts_of(entry)) == 1 for entry in entries)
    if (training and known - training) or (len(known) > 1 and known == folders and not loose):
        splits = {name: tuple(e for e in entries if parts_of(e)[0] == name) for name in folders}
        unused = tuple(e for e in entries if len(parts_of(e)) == 1)
        counts = ", ".join(f"{plain(name)} {len(splits[name]):,}" for name in sorted(splits))
        outside = f"; outside of them and not used: {len(unused):,}" if unused else ""
        more = such_as(len(unused), unused[0].path) if unused else ""
        return Splits(1, splits, unused, f"{counts}, by folders{outside}{more}")
    depth = 1 if training == folders and len(folders) == 1 and not loose else 0
    train, test = _hold_out(entries, depth)
    share = len(test) / len(entries)
    counts = f"train {len(train):,}, test {len(test):,} ({share:.0%} held out, by the hash of their names)"
    return Splits(depth, {"train": train, "test": test}, (), counts)


def find_classes(entries: Sequence[Entry], depth: int) -> tuple[str, ...]:
    """The class folders of all splits, sorted; none if there are images beside them or only one folder."""
    inside = _inside(entries, depth)
    names = sorted({parts[0] for parts in inside})
    return tuple(names) if len(names) > 1 and all(len(parts) > 1 for parts in inside) else ()


def report_classes(entries: Sequence[Entry], depth: int, what: str) -> str:
    """The classes with their numbers of pictures or films, or why there are no classes."""
    inside, classes = _inside(entries, depth), find_classes(entries, depth)
    if classes:
        counts = collections.Counter(parts[0] for parts in inside)
        shown = ", ".join(f"{plain(name)} {counts[name]:,}" for name in classes[:SHOWN_AT_MOST])
        more = f" and {len(classes) - SHOWN_AT_MOST:,} more" if len(classes) > SHOWN_AT_MOST else ""
        return f"{len(classes):,}: {shown}{more}"
    loose = [parts[0] for parts in inside if len(parts) == 1]
    folders = {parts[0] for parts in inside if len(parts) > 1}
    if loose and folders:
        pictures = f"1 {what} is" if len(loose) == 1 else f"{len(loose):,} {what}s are"
        return f"none: {pictures} beside the folders{such_as(len(loose), loose[0])}"
    return f"none: all {what}s are in one folder, {plain(min(folders))}" if folders else "none"


def readable(name: str) -> str:
    """The name of a class. Bytes of a folder name that are not UTF-8 are escaped, as in `\\xe9`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def parts_of(entry: Entry) -> list[str]:
    """The components of its path."""
    return entry.path.split("/")


def _inside(entries: Sequence[Entry], depth: int) -> list[list[str]]:
    return [parts_of(entry)[depth:] for entry in entries if depth == 0 or len(parts_of(entry)) > 1]


def _hold_out(entries: Sequence[Entry], depth: int) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """The entries that are trained on, and those held out."""
    hashes = {e: int(hashlib.sha256(os.fsencode(e.path)).hexdigest(), 16) for e in entries}
    held_out = {e for e in entries if hashes[e] % HELD_OUT_EVERY == 0}
    labelled, classes = bool(find_classes(entries, depth)), dict[str, list[Entry]]()
    for entry in entries:
        classes.setdefault(parts_of(entry)[depth] if labelled else "", []).append(entry)
    for inside in classes.values():  # each class keeps at least one to train on
        if len(classes) > 1 and held_out.issuperset(inside):
            kept = max(inside, key=hashes.__getitem__)
            held_out.remove(kept)
            log.info("%s is trained on, since all images of its class would be held out", plain(kept.path))
    if not held_out and len(entries) > 1:
        spare = [e for inside in classes.values() if len(inside) > 1 for e in inside] or entries
        held_out = {min(spare, key=hashes.__getitem__)}
    return tuple(e for e in entries if e not in held_out), tuple(e for e in entries if e in held_out)
