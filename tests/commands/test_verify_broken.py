"""`--mode=verify` and the readers under it on broken files: documented statuses, one block a file, and no credit."""

import itertools
import json
import subprocess
import sys

import pytest
from fuzzing import read_mutants
from signing import make, marked
from verifying import NOTHING_PROVEN, verify

from jaxgan.errors import FINISHED, MARK_MISSING, SOME_FAILED, UserError
from jaxgan.media.provenance import signing_key
from jaxgan.media.provenance.origin import Origin, packet_of
from jaxgan.media.provenance.xmp import parse_packet

pytest.importorskip("c2pa")
pytestmark = [pytest.mark.usefixtures("installation"), pytest.mark.filterwarnings("ignore")]  # Pillow's words
VOUCHED = ("of this installation", "of a stranger", "ours", "stranger")  # in words, and in JSON


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grey.png", "a.jpg", "a.webp", "a.tif", "a.mp4"])
def test_a_broken_file_is_never_vouched_for(name, tmp_path, capsys):
    """1,000 mutants of all kinds: whatever byte is not as it was signed, the file is not as it was written."""
    path = marked(make(tmp_path / name))
    whole, calls = path.read_bytes(), itertools.cycle([(), ("--json",), ("--require=credential",)])

    def read(path):
        arguments, same = next(calls), path.read_bytes() == whole
        status, printed, mistake = verify(capsys, *arguments, path)
        assert mistake == ""
        if arguments == ("--json",):
            told = json.loads(printed)
            assert len(told["files"]) + len(told["unreadable"]) == 1
            found = [each["credential"]["state"] if each["credential"] else "none" for each in told["files"]]
        else:
            lines = printed.splitlines()
            assert lines[0] == str(path)
            block = list(itertools.takewhile(lambda line: line.startswith("  "), lines[1:]))
            assert 1 <= len(block) <= 3
            assert lines[-1].startswith(NOTHING_PROVEN)
            found = [line.removeprefix("  credential: ") for line in block if line.startswith("  credential: ")]
        vouched = any(each.startswith(VOUCHED) for each in found)
        assert vouched == same, "a changed file passes for the one that was signed"
        lacking = MARK_MISSING if arguments == ("--require=credential",) and not same else FINISHED
        assert status == (lacking if found else SOME_FAILED)
        if not found:
            raise UserError("it is no picture or film")

    read_mutants(read, [whole] * 3, path, count=200)  # the whole one is asked in all three ways


@pytest.mark.slow
@pytest.mark.parametrize("name", signing_key.FILES)
def test_a_broken_key_is_refused(name, tmp_path):
    place = signing_key.folder()
    signing_key.load(place)

    def read(path):
        signing_key.load_root()
        signing_key.load(path.parent)

    read_mutants(read, [(place / name).read_bytes()], place / name, count=334)


@pytest.mark.slow
def test_broken_xmp_is_none(tmp_path):
    def read(path):
        if parse_packet(path.read_bytes().decode(errors="replace")) is None:
            raise UserError("no XMP")

    read_mutants(read, [packet_of(Origin("created", "samples", "a run"))], tmp_path / "x.xmp")


@pytest.mark.slow
def test_a_warning_of_pillow_is_no_answer(tmp_path):
    """It named a line of Pillow's code."""
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0\x08\0\0\0\x01\0" + bytes(6))  # an entry of 12 bytes that has 6
    command = [sys.executable, "-m", "jaxgan.main", "--mode=verify", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (SOME_FAILED, "")
    assert "no picture or film" in done.stdout
