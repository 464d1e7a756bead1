"""Makes text of unknown origin, such as file names, titles or library errors, safe to print."""

from __future__ import annotations

import logging


def plain(text: object, longest: int | None = None) -> str:
    """The text as one printable line of at most `longest` characters.

    Line ends and runs of spaces become one space. Unprintable characters, such as the escape character or bytes of a
    name that are not UTF-8, are removed. None gives the empty text.
    """
    words = " ".join(str("" if text is None else text).split())
    words = "".join(each for each in words if each.isprintable())
    return words if longest is None or len(words) <= longest else words[: longest - 1] + "…"


def printable(text: str) -> str:
    """Like `plain` for text of several lines: spaces and line ends are kept."""
    return "".join(each for each in text.expandtabs(4) if each.isprintable() or each == "\n")


class PlainFormatter(logging.Formatter):
    """Formats log records as printable lines, so that a file name cannot break lines or control the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in logging)
        """The message as one line; a traceback follows on its own lines."""
        record.message = " ".join(record.message.splitlines())
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The whole record, with its traceback."""
        return printable(super().format(record))
