"""`--mode=verify` says of every file what it tells of its making, and what that is worth."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from verifying import CREATED, NOTHING_PROVEN, about, changed, described, plain, signed, verify

from jaxgan.errors import FINISHED, MISTAKE, SOME_FAILED
from jaxgan.media.provenance import credentials, signing_key
from jaxgan.media.provenance.origin import Origin, mark_file

pytestmark = pytest.mark.usefixtures("installation")


def test_a_file_of_this_installation(tmp_path, capsys):
    path = signed(tmp_path / "a.png")
    status, printed, mistake = verify(capsys, path)
    assert (status, mistake) == (FINISHED, "")
    credential, says, xmp = about(printed, path)
    assert credential == "credential: of this installation; the file is unchanged since it was written"
    assert says.startswith("it says: made by a trained model, by jaxgan 0.2.0, model a run, at 20")
    assert says.endswith(": samples of a generator")
    assert xmp == "XMP: the same"
    assert NOTHING_PROVEN in printed


def test_a_file_of_a_stranger(tmp_path, capsys, monkeypatch):
    path = signed(tmp_path / "a.png")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    status, printed, _ = verify(capsys, path)
    assert status == FINISHED
    credential, says, _ = about(printed, path)
    assert credential.startswith("credential: of a stranger: a good signature")
    assert "made by a trained model" in says
    assert not (tmp_path / "other").exists()


def test_a_file_that_was_changed_since(tmp_path, capsys):
    path = changed(tmp_path / "a.png")
    status, printed, _ = verify(capsys, path)
    assert status == FINISHED
    credential, said, xmp = about(printed, path)
    assert credential.startswith(
        "credential: changed since: the file, or the credential itself, was changed after signing"
    )
    assert said.startswith("it said: made by a trained model")
    assert xmp.endswith("; but the credential does not vouch for the file, nor for its XMP")


def test_a_damaged_credential(tmp_path, capsys):
    path = signed(tmp_path / "a.png")
    content = bytearray(path.read_bytes())
    at = content.index(b"c2pa.claim.v2\0") + 100
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    _, printed, _ = verify(capsys, path)
    assert about(printed, path)[0].startswith("credential: damaged: it cannot be read (")


def test_xmp_without_a_credential(tmp_path, capsys):
    path = described(tmp_path / "a.png")
    status, printed, _ = verify(capsys, path)
    assert status == FINISHED
    credential, xmp = about(printed, path)
    assert credential == "credential: none"
    assert xmp.startswith("XMP: made by a trained model, by jaxgan 0.2.0, model a run, at 20")
    assert xmp.endswith("samples of a generator; anyone can write or change this")


def test_files_that_say_nothing(tmp_path, capsys):
    pytest.importorskip("c2pa")
    paths = [plain(tmp_path / "a.png"), plain(tmp_path / "b.bmp")]
    with Image.open(signed(tmp_path / "c.png")) as image:
        image.save(tmp_path / "saved.png")
    status, printed, _ = verify(capsys, *paths, tmp_path / "saved.png")
    assert status == FINISHED
    assert about(printed, paths[0]) == ["credential: none", "XMP: none"]
    assert about(printed, paths[1]) == ["credential: none (.bmp holds none)", "XMP: none"]
    assert about(printed, tmp_path / "saved.png") == ["credential: none", "XMP: none"]
    assert printed.splitlines()[-1].startswith(NOTHING_PROVEN)


def test_credential_and_xmp_that_contradict_each_other(tmp_path, capsys):
    pytest.importorskip("c2pa")
    path = described(tmp_path / "plain.png", Origin("restored", "noise taken out", "denoise"))
    credentials.sign(path, tmp_path / "a.png", ".png", CREATED, title="a.png")
    _, printed, _ = verify(capsys, tmp_path / "a.png")
    assert about(printed, tmp_path / "a.png")[2].endswith("; but XMP and credential say different things")
    _, printed, _ = verify(capsys, "--json", tmp_path / "a.png")
    assert json.loads(printed)["files"][0]["contradiction"] == "XMP and credential say different things"


TRAINED = Origin("created", "samples of a generator", "a run").source_type
SAID = {"tool": "jaxgan 0.2.0", "model": "a run", "description": "samples of a generator"}


def credential_beside_xmp(path, source_type, *, tool, model, description):
    """A signed picture whose XMP says what CREATED does, and whose credential says what is given."""
    c2pa = pytest.importorskip("c2pa")
    own = signing_key.load(signing_key.folder())
    action = {"action": "c2pa.created", "description": description, "digitalSourceType": source_type}
    if source_type is None:  # as an editor says it
        action = {"action": "c2pa.opened", "description": description, "parameters": {"ingredientIds": ["parent"]}}
    manifest = {
        "ingredients": [] if source_type else [{"title": "b.png", "relationship": "parentOf", "label": "parent"}],
        "claim_generator_info": [{"name": tool.split()[0], "version": tool.split()[1]}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            {"label": "org.jaxgan.run", "data": {"model": model}},
        ],
    }
    info = c2pa.C2paSignerInfo("es256", own.certificate + own.root, own.key, None)
    origin = described(path.with_name("unsigned.png"))
    with c2pa.Builder(manifest) as builder, open(origin, "rb") as source, open(path, "w+b") as target:
        builder.sign(c2pa.Signer.from_info(info), "image/png", source, target)
    return path


@pytest.mark.parametrize(
    ("source_type", "changes", "words"),
    [
        (None, {}, "; the credential does not say how it was made"),
        (TRAINED, {"tool": "Other 9"}, "; the credential differs in tool, model or description"),
        (TRAINED, {"model": "another"}, "; the credential differs in tool, model or description"),
        (TRAINED, {"description": "another"}, "; the credential differs in tool, model or description"),
        (TRAINED, {"tool": "Other 9", "model": "another", "description": "another"}, "in tool, model or description"),
        (TRAINED.replace("trainedAlgorithmicMedia", "digitalCapture"), {}, "XMP and credential say different things"),
    ],
)
def test_xmp_is_the_same_only_where_everything_agrees(source_type, changes, words, tmp_path, capsys, monkeypatch):
    path = credential_beside_xmp(tmp_path / "a.png", source_type, **SAID | changes)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    xmp = about(verify(capsys, path)[1], path)[2]
    assert xmp.startswith("XMP: made by a trained model, by jaxgan 0.2.0, model a run, at ")
    assert xmp.endswith(words)


def test_xmp_that_had_to_be_shortened_is_the_same(tmp_path, capsys):
    path = signed(tmp_path / "a.png", Origin("created", "samples & <more> " * 20, "a run of some length " * 3))
    assert about(verify(capsys, path)[1], path)[2] == "XMP: the same"
    path = credential_beside_xmp(tmp_path / "b.png", TRAINED, **SAID)
    assert about(verify(capsys, path)[1], path)[2] == "XMP: the same"


def test_what_was_restored_names_its_parent(tmp_path, capsys):
    parent = plain(tmp_path / "in.jpg")
    path = signed(tmp_path / "a.png", Origin("restored", "noise taken out", "denoise", parent=parent))
    _, printed, _ = verify(capsys, path)
    assert (
        "made in part by a trained model, by jaxgan 0.2.0, model denoise, from in.jpg, at 20" in about(printed, path)[1]
    )


def test_a_film(tmp_path, capsys):
    av = pytest.importorskip("av")
    paths = [tmp_path / "a.mp4", tmp_path / "b.mkv"]
    for path in paths:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("h264", rate=24)
            stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
        mark_file(path, path.suffix, CREATED, title=path.name)
    status, printed, _ = verify(capsys, *paths)
    assert status == FINISHED
    assert "of this installation" in about(printed, paths[0])[0]
    assert about(printed, paths[1])[0] == "credential: none (.mkv holds none)"


@pytest.mark.parametrize(
    ("suffix", "container", "reason"),
    [
        (".m2ts", "mpegts", " (.m2ts holds none)"),
        (".nut", "nut", " (.nut holds none)"),
        (".divx", "avi", ""),
        (".f4v", "f4v", ""),
        (".webm", "webm", " (.webm holds none)"),
        (".dib", None, " (.dib holds none)"),
        (".j2k", None, " (.jp2 holds none)"),
    ],
)
def test_what_apply_reads_is_known(suffix, container, reason, tmp_path, capsys):
    pytest.importorskip("c2pa")
    path = tmp_path / f"a{suffix}"
    if container is None:
        plain(path)
    else:
        av = pytest.importorskip("av")
        options = {"mpegts_m2ts_mode": "1"} if suffix == ".m2ts" else {}  # as cameras and Blu-rays have it
        with av.open(str(path), "w", format=container, container_options=options) as film:
            codec = {"webm": "libvpx-vp9", "f4v": "h264"}.get(container, "mpeg4")
            stream = film.add_stream(codec, rate=24)
            stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            film.mux([*stream.encode(frame), *stream.encode()])
    status, printed, _ = verify(capsys, tmp_path)
    assert status == FINISHED
    assert about(printed, path) == [f"credential: none{reason}", "XMP: none"]


def test_at_most_four_lines_for_whatever_a_file_says(tmp_path, capsys):
    """A stranger's words are printed on one line, without what would steer a terminal."""
    evil = "line\nline\x1b[31m\r\x07 \u202e" + "long " * 1000
    path = signed(tmp_path / "a.png", Origin("created", evil, evil[:900]))
    strange = described(tmp_path / "new\nline.png", Origin("created", evil, evil))
    _, printed, _ = verify(capsys, path, strange)
    lines = printed.splitlines()
    assert len(lines) == 4 + 3 + 1
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert all(len(line) < 700 for line in lines)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_words_that_the_terminal_cannot_show(encoding, tmp_path):
    path = described(tmp_path / "a.png", Origin("created", "雪 in Küsten", "a run"))
    done = subprocess.run(
        [sys.executable, "-m", "jaxgan.main", "--mode=verify", str(path)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (FINISHED, b"")
    assert "雪 in Küsten".encode(encoding, "backslashreplace") in done.stdout
    assert NOTHING_PROVEN.encode() in done.stdout


def test_folders(tmp_path, capsys):
    wanted = [plain(tmp_path / name) for name in ("a.png", "b/c.JPG", "b/d/e.webp")]
    for hidden in (".f.png", ".g/h.png", "b/.i/j.png"):
        plain(tmp_path / hidden)
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "b" / "latents.npz").write_bytes(b"PK")
    os.symlink(tmp_path, tmp_path / "b" / "loop")
    status, printed, _ = verify(capsys, tmp_path, tmp_path / "a.png")
    assert status == FINISHED
    named = [line for line in printed.splitlines() if line.startswith(str(tmp_path))]
    assert named == [str(each) for each in wanted]
    assert "2 other files are neither pictures nor films, and were skipped." in printed
    assert verify(capsys, tmp_path / ".g")[0] == FINISHED  # what is named is meant


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"text", "it is no picture or film"),
        ("a.png", b"no picture", "it is no picture or film"),
        ("b.png", b"", "it is no picture or film"),
        ("c.mp4", b"no film at all", "it is no picture or film"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_done(name, content, words, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    other = described(tmp_path / "other.png")
    status, printed, _ = verify(capsys, tmp_path / name, other)
    assert status == SOME_FAILED
    (told,) = about(printed, tmp_path / name)
    assert told.startswith(f"unreadable: {words}")
    assert "made by a trained model" in about(printed, other)[-1]
    assert "1 of 2 could not be read." in printed
    status, printed, _ = verify(capsys, tmp_path / name, other, "--json")
    assert status == SOME_FAILED
    (told,) = json.loads(printed)["unreadable"]
    assert told["path"] == str(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_what_is_no_file_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "link.png")
    plain(tmp_path / "a.png")
    status, printed, _ = verify(capsys, tmp_path)
    assert status == SOME_FAILED
    assert about(printed, tmp_path / "pipe.png") == ["unreadable: it is not a regular file"]
    assert about(printed, tmp_path / "link.png") == ["unreadable: the link is broken"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path, capsys):
    plain(tmp_path / "a.png")
    plain(tmp_path / "b.png").chmod(0)
    plain(tmp_path / "c" / "d.png").parent.chmod(0)
    status, printed, _ = verify(capsys, tmp_path)
    (tmp_path / "c").chmod(0o700)
    assert status == SOME_FAILED
    assert about(printed, tmp_path / "b.png") == ["unreadable: Permission denied"]
    assert about(printed, tmp_path / "c") == ["unreadable: Permission denied"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_folder_above_that_may_not_be_looked_into(tmp_path, capsys):
    path = plain(tmp_path / "a" / "b.png")
    path.parent.chmod(0)
    status, printed, mistake = verify(capsys, path)
    path.parent.chmod(0o700)
    assert (status, printed, mistake) == (MISTAKE, "", f"jaxgan: {path}: Permission denied\n")


@pytest.mark.parametrize(
    ("made", "named", "reason"),
    [
        ("a.png", "a", ""),
        ("a.png", "a.txt", ""),
        ("a.png", "b.bmp", ""),
        ("a.jpg", "a.mkv", ""),
        ("a.bmp", "a", " (.bmp holds none)"),
        ("a.bmp", "a.png", " (.bmp holds none)"),
        ("a.ppm", "a.jpg", " (.ppm holds none)"),
        ("a.tif", "a.dng", ""),
    ],
)
def test_the_reason_for_no_credential_follows_the_content(made, named, reason, tmp_path, capsys):
    pytest.importorskip("c2pa")
    path = plain(tmp_path / "made" / made).rename(tmp_path / named)
    assert about(verify(capsys, path)[1], path) == [f"credential: none{reason}", "XMP: none"]
