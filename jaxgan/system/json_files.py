"""Reads JSON files that the suite wrote, and that may have been damaged or changed since."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from jaxgan.errors import UserError

MOST = 2**24  # bytes of a file, far more than any document of the suite
DEEPEST = 100  # levels of nested tables and lists
DIGITS = 19  # of an integer of 64 bits


class BrokenFileError(ValueError):
    """Why a file cannot be used, in one line, such as `it is not JSON`."""


def read_json(path: os.PathLike[str] | str, most: int = MOST) -> Any:
    """The value of a JSON file of at most `most` bytes.

    Raises FileNotFoundError, and BrokenFileError if it is no regular file or `parse_json` rejects it.
    """
    return parse_json(regular_bytes(path, most))


def read_text(path: os.PathLike[str] | str, most: int = MOST) -> str:
    """The text of a regular file. Raises UserError, with its path, if it cannot be read or is not UTF-8."""
    try:
        return decoded(regular_bytes(path, most))
    except (OSError, BrokenFileError) as error:
        raise UserError(f"{os.fspath(path)} cannot be read: {why(error)}") from None


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text. NaN and infinities are accepted, because older versions wrote them.

    Raises BrokenFileError for bytes that are not UTF-8, text that is not JSON, a repeated name in a table, integers of
    more than 64 bits, and values that are nested too deep.
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
    """Decodes UTF-8. Raises BrokenFileError for other bytes."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BrokenFileError("it is not UTF-8") from None


def regular_bytes(path: os.PathLike[str] | str, most: int = MOST) -> bytes:
    """The bytes of a regular file, or of one in a bucket. Raises FileNotFoundError, or BrokenFileError."""
    name = os.fspath(path)
    if "://" in name:
        return path.read_bytes()  # type: ignore[union-attr]
    with open_regular(name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise BrokenFileError(f"it has {size:,} bytes, expected at most {most:,}")
        try:
            return file.read(most + 1)[:most]
        except OSError as error:
            raise BrokenFileError(why(error)) from None


def open_regular(path: os.PathLike[str] | str) -> BinaryIO:
    """Opens a regular file for reading; pipes and devices are rejected, since reading them may block.

    Raises FileNotFoundError, or BrokenFileError for a path that cannot be opened or is no regular file.
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
    """The lines of a regular file, with their line ends; lines longer than `longest` bytes come in pieces."""
    if "://" in os.fspath(path):
        yield from path.read_bytes().splitlines(keepends=True)  # type: ignore[union-attr]
        return
    with open_regular(path) as file:
        while line := file.readline(longest):
            yield line


def why(error: Exception) -> str:
    """The reason of a file error, without the path."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise BrokenFileError(f"the name {next(each for each in names if names.count(each) > 1)!r} occurs twice")
    return table


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > DIGITS:
        raise BrokenFileError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _check(value: object) -> None:
    """Raises BrokenFileError for values that are nested too deep, and for text that cannot be encoded."""
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
        text.encode(errors="surrogateescape")  # file names may contain bytes that are not UTF-8
    except UnicodeEncodeError:
        raise BrokenFileError("it has invalid characters") from None
