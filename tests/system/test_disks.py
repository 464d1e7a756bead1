"""What is said of files that cannot be written."""

import errno
import shutil
from collections import namedtuple

import pytest

from jaxgan.errors import MISTAKE
from jaxgan.main import main
from jaxgan.system import disks

pytestmark = pytest.mark.quick
Usage = namedtuple("Usage", "total used free")
TENSORSTORE = (  # as version 0.1.84 says it
    'RESOURCE_EXHAUSTED: Error writing local file "/a/run/checkpoints/0/ema/manifest.ocdbt": Failed writing: '
    "\"x.__lock\": Failed to write 115 bytes to file 15: No space left on device [os_error_code='28']"
)


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2_000_000_000, 0, 4096))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EFBIG])
def test_every_mode_names_the_disk_in_one_line(number, tmp_path, monkeypatch, disk, capfd):
    def fail(*_):
        raise OSError(number, "it does not go", str(tmp_path / "new" / "a.png"))

    monkeypatch.setattr("jaxgan.main._command", lambda mode: fail)
    assert main(["--mode=prepare", "--config.data.name=digits"]) == MISTAKE
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith(f"jaxgan: {tmp_path}/new/a.png: it does not go (the disk mounted at /")
    assert told.endswith("has 4.1 KB free of 2 GB)")


def test_an_error_without_a_name_is_one_of_the_output(tmp_path, monkeypatch, disk, capfd):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jaxgan.main._command", lambda mode: fail)
    flags = ["--mode=apply", "--pretrained=x", "--input=a.png", f"--output={tmp_path}/b.png"]
    assert main(flags) == MISTAKE
    assert capfd.readouterr().err.startswith(f"jaxgan: {tmp_path}/b.png: No space left on device (the disk mounted at ")


def test_a_reader_that_has_gone_and_a_network_are_no_disks(monkeypatch):
    def fail(error):
        raise error

    monkeypatch.setattr("jaxgan.main._command", lambda mode: lambda *_: fail(ConnectionResetError(104, "gone")))
    with pytest.raises(ConnectionResetError):
        main(["--mode=prepare", "--config.data.name=digits"])
    assert disks.find(ValueError("no file")) is None


def test_what_libraries_put_in_words_and_in_groups_is_found():
    found = disks.find(ValueError(TENSORSTORE))
    assert (found.errno, found.filename) == (errno.ENOSPC, "/a/run/checkpoints/0/ema/manifest.ocdbt")
    inner = OSError(errno.EIO, "broken", "x")
    assert disks.find(ExceptionGroup("saves", [ValueError("a"), inner])) is inner
    outer, bug = RuntimeError("a thread"), KeyError("ours")
    outer.__cause__, bug.__context__ = inner, inner
    assert disks.find(outer) is inner
    assert disks.find(bug) is None  # while another error was handled


def test_a_disk_is_that_of_the_nearest_folder(tmp_path, disk):
    assert disks.describe(tmp_path / "not" / "there") == disks.describe(tmp_path)
    assert "4.1 KB free" in disks.describe(tmp_path)
    assert disks.explain(OSError(5, "broken"), "gs://bucket/run") == "gs://bucket/run: broken"
    assert [disks.size(n) for n in (0, 999, 1000, 1_234_567, 10**15)] == [
        "0 bytes",
        "999 bytes",
        "1 KB",
        "1.23 MB",
        "1e+03 TB",
    ]
