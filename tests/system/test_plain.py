"""What files say of themselves is printed in one line that does nothing to a terminal."""

import pytest

from jaxgan.system.plain import plain


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, ""),
        (3, "3"),
        ("Füchse 走", "Füchse 走"),
        (" a\n\tb\r\n  c ", "a b c"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\x9b2Jb\0", "a2Jb"),  # 9b begins a sequence alone, in one byte
        ("\u202egnp.exe", "gnp.exe"),  # from here on to the left
        ("a\udcffb", "ab"),  # a byte of a file's name
        (ValueError("two\nlines"), "two lines"),
    ],
)
def test_text_of_others_becomes_one_line_that_can_be_printed(text, wanted):
    assert plain(text) == wanted
    plain(text).encode()


def test_a_limit_is_kept():
    assert plain("a" * 500, 500) == "a" * 500
    assert plain("a" * 501, 500) == "a" * 499 + "…"
    assert plain("\n" * 9 + "ab", 2) == "ab"
    assert len(plain("a" * 5000)) == 5000
