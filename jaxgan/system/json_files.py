"""JSON that the suite wrote itself, read again, whatever became of it since: one home for all that reads it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from jaxgan.errors import UserError

MOST = 2**24  # bytes of a file; nothing that the suite writes as one document comes near it
DEEPEST = 100  # levels of tables and lists
DIGITS = 19  # of a whole number: those of 64 bits


class BrokenFileError(ValueError):
    """Why a file cannot be used, in one line, such as `it is not JSON`."""


def read_json(path: os.PathLike[str] | str, most: int = MOST) -> Any:
    """What a JSON file of at most so many bytes holds.

    Raises BrokenFileError for what is no regular file and for all that `parse_json` refuses, FileNotFoundError.
    """
    return parse_json(regular_bytes(path, most))


def read_text(path: os.PathLike[str] | str, most: int = MOST) -> str:
    """The text of a regular file. Raises UserError, with its path, where it cannot be read or is not UTF-8."""
    try:
        return decoded(regular_bytes(path, most))
    except (OSError, BrokenFileError) as error:
        raise UserError(f"{os.fspath(path)} cannot be read: {why(error)}") from None


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text; NaN and infinities are read, as older versions wrote them.

    Raises BrokenFileError for bytes that are not UTF-8, text that is not JSON, a name that stands twice in a table,
    a number of more than 64 bits, and what is nested too deep.
    """
    text = decoded(data) if isinstance(data, bytes) else data
    try:
        value = json.loads(text, object_pairs_hook=_table, parse_int=_integer)
    except BrokenFileError:
        raise
    except RecursionError:
        raise BrokenFileError(f"it is nested more than {DEEPEST} deep") from None
    except ValueError:
        raise BrokenFileError("it is not JSON") from None
    _check(value)
    return value


def decoded(data: bytes) -> str:
    """UTF-8 as text. Raises BrokenFileError for other bytes."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BrokenFileError("it is not UTF-8") from None


def regular_bytes(path: os.PathLike[str] | str, most: int = MOST) -> bytes:
    """All bytes of a regular file, or of one in a bucket. Raises FileNotFoundError, and BrokenFileError for others."""
    name = os.fspath(path)
    if "://" in name:
        return path.read_bytes()  # type: ignore[union-attr]
    with open_regular(name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise BrokenFileError(f"it has {size:,} bytes, expected are {most:,} at most")
        try:
            return file.read(most + 1)[:most]
        except OSError as error:
            raise BrokenFileError(why(error)) from None


def open_regular(path: os.PathLike[str] | str) -> Any:
    """A regular file, opened for reading: never a pipe or a device, whose reading may not end.

    Raises FileNotFoundError, and BrokenFileError for what cannot be opened or is another thing.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise BrokenFileError(why(error)) from None
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(number, "rb")
    os.close(number)
    raise BrokenFileError("it is a folder" if stat.S_ISDIR(mode) else "it is a device or a pipe, not a file")


def lines(path: os.PathLike[str] | str, longest: int = MOST) -> Iterator[bytes]:
    """The lines of a regular file, with their ends; one that is too long comes in pieces."""
    if "://" in os.fspath(path):
        yield from path.read_bytes().splitlines(keepends=True)  # type: ignore[union-attr]
        return
    with open_regular(path) as file:
        while line := file.readline(longest):
            yield line


def why(error: Exception) -> str:
    """What an error of a file says, without its path."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise BrokenFileError(f"the name {next(each for each in names if names.count(each) > 1)!r} stands there twice")
    return table


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > DIGITS:
        raise BrokenFileError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _check(value: Any) -> None:
    """Raises BrokenFileError for what is nested too deep, and for text that is none."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST + 1:
            raise BrokenFileError(f"it is nested more than {DEEPEST} deep")
        for each in level:
            if isinstance(each, str) and not each.isascii():
                _check_text(each)
        below = [list(each.items()) if isinstance(each, Mapping) else each for each in level]
        level = [inner for each in below if isinstance(each, list) for inner in _flat(each)]


def _flat(items: list[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, tuple):  # a name and its value
            yield from item
        else:
            yield item


def _check_text(text: str) -> None:
    try:
        text.encode(errors="surrogateescape")  # names of files may hold bytes that are no UTF-8
    except UnicodeEncodeError:
        raise BrokenFileError("it has characters that are none") from None
