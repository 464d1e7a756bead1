"""Files of scores and their manifests. Comparing scores with different manifests is an error, not a warning."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from etils import epath

from jaxgan.config.checking import check_type
from jaxgan.errors import UserError
from jaxgan.system.json_files import BrokenFileError, read_json, why
from jaxgan.system.whole_files import replace_file

REPORT: Mapping[str, Any] = {"scores": Mapping[str, float], "manifest": Mapping[str, Any]}
CONTENTS = "contents"  # manifest key: digest of the data that the scores were computed with

log = logging.getLogger(__name__)


def existing(scores: Mapping[str, float]) -> dict[str, float]:
    """The finite scores. The others, which JSON cannot store, are left out with a warning."""
    lost = [f"{name} ({value})" for name, value in scores.items() if not math.isfinite(value)]
    if lost:
        log.warning("left out of the scores because they are not finite: %s", ", ".join(lost))
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def check_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], whose: str) -> None:
    """Raise UserError, which lists the differences, if two manifests differ; `whose` names the owner of `theirs`.

    Manifests of older versions do not record the contents of their data; then contents are not compared.
    """
    # JSON does not distinguish tuples from lists; older files may have NaN
    ours, theirs = (json.loads(json.dumps(each, allow_nan=True)) for each in (ours, theirs))
    keys = ours.keys() | theirs.keys()
    if CONTENTS not in ours or CONTENTS not in theirs:
        keys -= {CONTENTS}
    different = [key for key in sorted(keys) if ours.get(key) != theirs.get(key)]
    if different:
        differences = "; ".join(f"{key}: {ours.get(key)!r} here, {theirs.get(key)!r} there" for key in different)
        raise UserError(f"these scores do not compare with those of {whose}: {differences}")


def read_report(path: epath.PathLike) -> dict[str, Any]:
    """The scores and their manifest in a file that a run wrote. Raises UserError for any other file."""
    try:
        report = read_json(epath.Path(path))
        check_type(report, Mapping[str, Any], "the file")
        for name, annotation in REPORT.items():
            check_type(report.get(name), annotation, name)
    except (OSError, BrokenFileError, UserError) as error:
        hint = "expected a file of scores, such as scores.json in the directory of a run"
        raise UserError(f"{path}: {hint}: {error if isinstance(error, UserError) else why(error)}") from None
    return report


def write_report(path: epath.PathLike, report: Mapping[str, Any]) -> None:
    """Write scores and their manifest as JSON, atomically. Raises ValueError for NaN, which JSON cannot represent."""
    replace_file(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
