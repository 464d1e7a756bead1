"""Files that are written completely or not at all: the names of their first versions."""

import re

from jaxgan.system import whole_files


def test_a_new_file_has_a_short_name_of_its_own(tmp_path):
    long = tmp_path / ("x" * 251 + ".png")
    names = {whole_files.new_file_beside(long).name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"\.[0-9a-f]{16}\.part", name) for name in names)


def test_a_new_file_opens_nothing_that_is_there(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".there.part").write_text("there")
    (tmp_path / ".link.part").symlink_to(tmp_path / "precious")
    drawn = iter(["there", "link", "free"])
    monkeypatch.setattr(whole_files.secrets, "token_hex", lambda _: next(drawn))
    assert whole_files.new_file_beside(tmp_path / "x.png").name == ".free.part"
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / ".there.part").read_text() == "there"
