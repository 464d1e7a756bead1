"""One-line explanations of files that cannot be read or written."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

NETWORK = (ConnectionError, TimeoutError, InterruptedError, ChildProcessError)  # OSErrors that do not concern files
IN_WORDS = re.compile(r"os_error_code='(\d+)'|OS error (\d+)")  # how TensorStore reports an OSError
QUOTED = re.compile(r'local file "([^"]+)"')
FULL = (errno.ENOSPC, errno.EDQUOT)


def find(error: BaseException) -> OSError | None:
    """The file error behind an exception: itself, its cause, or one that a library only reports as text; else None."""
    if isinstance(error, OSError):
        return None if isinstance(error, NETWORK) or error.errno is None else error
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := find(each))), None)
    if (match := IN_WORDS.search(str(error))) is not None:
        number = int(match[1] or match[2])
        path = QUOTED.search(str(error))
        return OSError(number, os.strerror(number), *([path[1]] if path else []))
    return None if error.__cause__ is None else find(error.__cause__)


def explain(error: OSError, folder: str | os.PathLike[str]) -> str:
    """What failed, on which disk, and its free space. `folder`: the location, if the error does not name the file."""
    named = isinstance(error.filename, str | os.PathLike) and bool(error.filename)
    path = os.fspath(error.filename) if named else os.fspath(folder)
    message = f"{path}: {error.strerror or error}"
    if "://" in path:
        return message
    place = Path(path) if named or error.errno not in FULL else _fuller(Path(path), Path(tempfile.gettempdir()))
    return f"{message} ({describe(place)})"


def describe(path: Path) -> str:
    """The disk of a path, which need not exist, and its free space."""
    there = path.expanduser().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        usage = shutil.disk_usage(there)
    except OSError:
        return f"the disk of {there}"
    while not os.path.ismount(there):
        there = there.parent
    return f"the disk mounted at {there} has {size(usage.free)} free of {size(usage.total)}"


def size(number: int) -> str:
    """A readable number of bytes, such as `1.5 GB`."""
    value, units = float(number), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def _fuller(first: Path, second: Path) -> Path:
    """The place with less free space of two: a failed write need not name its file."""

    def free(path: Path) -> int:
        while not path.exists() and path != path.parent:
            path = path.parent
        try:
            return shutil.disk_usage(path).free
        except OSError:
            return 0

    return first if free(first) <= free(second) else second
