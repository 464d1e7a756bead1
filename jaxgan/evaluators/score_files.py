"""What scores were made with. Only scores of equal manifests compare; all else is an error, not a warning."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from etils import epath

from jaxgan.config.checking import check_type
from jaxgan.errors import UserError
from jaxgan.media.images import replace_file
from jaxgan.system.json_files import BrokenFileError, read_json, why

REPORT: Mapping[str, Any] = {"scores": Mapping[str, float], "manifest": Mapping[str, Any]}
CONTENTS = "contents"  # of the data that scores were made with

log = logging.getLogger(__name__)


def existing(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that are numbers; those that are not are left out, as JSON has none, and named in the log."""
    lost = [f"{name} ({value})" for name, value in scores.items() if not math.isfinite(value)]
    if lost:
        log.warning("left out of the scores, as they are no finite numbers: %s", ", ".join(lost))
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def check_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], whose: str) -> None:
    """Raise UserError, naming what differs, where two manifests are not equal; `whose` says whose theirs is.

    One of an older version does not know the contents of its data: they are not compared then.
    """
    # in a file tuples and lists are one; an older one may have NaN
    ours, theirs = (json.loads(json.dumps(each, allow_nan=True)) for each in (ours, theirs))
    keys = ours.keys() | theirs.keys()
    if CONTENTS not in ours or CONTENTS not in theirs:
        keys -= {CONTENTS}
    different = [key for key in sorted(keys) if ours.get(key) != theirs.get(key)]
    if different:
        told = "; ".join(f"{key}: {ours.get(key)!r} here, {theirs.get(key)!r} there" for key in different)
        raise UserError(f"these scores do not compare with those of {whose}: {told}")


def read_report(path: epath.PathLike) -> dict[str, Any]:
    """The scores and their manifest in a file that a run wrote. Raises UserError for any other file."""
    try:
        report = read_json(epath.Path(path))
        check_type(report, Mapping[str, Any], "the file")
        for name, annotation in REPORT.items():
            check_type(report.get(name), annotation, name)
    except (OSError, BrokenFileError, UserError) as error:
        hint = "it is no file of scores, such as scores.json in the directory of a run"
        raise UserError(f"{path}: {hint}: {error if isinstance(error, UserError) else why(error)}") from None
    return report


def write_report(path: epath.PathLike, report: Mapping[str, Any]) -> None:
    """Write scores and their manifest as JSON, in one move. Raises ValueError for NaN, which JSON has not."""
    replace_file(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
