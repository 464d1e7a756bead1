"""Every file that `sample`, `project` and `apply` write says what made it, and nothing is told twice."""

import hashlib

import numpy as np
import pytest
from filming import make, scenery
from PIL import Image

from jaxgan.errors import FINISHED, MISTAKE, SOME_FAILED
from jaxgan.inference.restorer import Restorer
from jaxgan.main import main
from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.origin import digital_source_type, read_statement

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CREATED, COMPOSITE = IPTC + "trainedAlgorithmicMedia", IPTC + "compositeWithTrainedAlgorithmicMedia"
SAMPLES = [  # family, kind, what is written, source type
    ("dcgan", "grid", "a.png", CREATED),
    ("dcgan", "files", "folder", CREATED),
    ("dcgan", "interpolate", "a.gif", CREATED),
    ("dcgan", "interpolate", "a.mp4", CREATED),
    ("dcgan", "classes", "a.png", CREATED),
    ("dcgan", "neighbours", "a.png", COMPOSITE),
    ("stylegan2", "mixing", "a.png", CREATED),
]
WRITTEN = ("png", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff")
NEAREST = Restorer(lambda x: x.repeat(2, axis=1).repeat(2, axis=2), 2, 3, 3, "pictures that were halved", 0)


@pytest.fixture
def unsigned(monkeypatch):
    monkeypatch.setattr(credentials, "available", lambda: False)


def call(**options):
    return main([f"--{name}={value}" for name, value in options.items()])


def sample(run, **options):
    return call(mode="sample", workdir=run, **options)


def apply(monkeypatch, **options):
    monkeypatch.setattr("jaxgan.commands.apply.load_pretrained", lambda name: NEAREST)
    return call(mode="apply", pretrained="weights/standin.pth", **options)


def files(path):
    return sorted(path.iterdir()) if path.is_dir() else [path]


def judged(path):
    """The source type in XMP, after a look at whether the credential agrees with it."""
    found = credentials.read(path)
    assert found.state == credentials.State.OURS
    assert IPTC + found.source_type == digital_source_type(path)
    return IPTC + found.source_type


@pytest.mark.parametrize(("family", "kind", "output", "source_type"), SAMPLES)
def test_samples_of_all_kinds_say_what_made_them(runs, tmp_path, family, kind, output, source_type):
    pytest.importorskip("c2pa")
    options = {"labels": 1} if family == "dcgan" and kind == "interpolate" else {}
    path = tmp_path / output
    assert sample(runs[family], kind=kind, count=2, seed=5, output=path, **options) == FINISHED
    written = files(path)
    assert len(written) == (2 if kind == "files" else 1)
    for each in written:
        assert judged(each) == source_type
        said = read_statement(each)
        assert (said.model, said.version) == (family, "step 0")
        assert "sample" in said.description


def test_a_sample_names_run_step_seed_and_config(runs, tmp_path):
    c2pa = pytest.importorskip("c2pa")
    assert sample(runs["dcgan"], count=1, seed=5, output=tmp_path / "a.png") == FINISHED
    with open(tmp_path / "a.png", "rb") as file, c2pa.Reader("image/png", file) as reader:
        told = reader.json()
    digest = hashlib.sha256((runs["dcgan"] / "config.json").read_bytes()).hexdigest()
    for words in ('"model": "dcgan"', '"step": 0', '"seed": 5', f'"config_sha256": "{digest}"'):
        assert words in told


def test_a_projection_says_it_in_both_files(runs, tmp_path):
    pytest.importorskip("c2pa")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "in.png")
    options = {"input": tmp_path / "in.png", "output": tmp_path / "a.png", "steps": 1}
    assert call(mode="project", workdir=runs["dcgan"], **options) == FINISHED
    assert judged(tmp_path / "a.png") == COMPOSITE  # the target is no model's
    assert digital_source_type(tmp_path / "a.npz") == COMPOSITE
    assert bytes(np.load(tmp_path / "a.npz")["xmp"]).startswith(b"<?xpacket")
    assert call(mode="project", workdir=runs["dcgan"], **options, provenance="false") == FINISHED
    assert digital_source_type(tmp_path / "a.png") is digital_source_type(tmp_path / "a.npz") is None


@pytest.mark.parametrize("suffix", WRITTEN)
def test_restored_pictures_of_all_kinds_say_what_restored_them(tmp_path, monkeypatch, suffix, capsys):
    pytest.importorskip("c2pa")
    given, output = tmp_path / "in.png", tmp_path / f"out.{suffix}"
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(given)
    assert apply(monkeypatch, input=given, output=output, compare=tmp_path / "beside.png") == FINISHED
    assert judged(output) == judged(tmp_path / "beside.png") == COMPOSITE
    assert credentials.read(output).parent == "in.png"
    said = read_statement(output)
    assert (said.model, said.version) == ("standin.pth", None)
    assert said.description == "restored by a model trained for pictures that were halved"
    assert "credential" not in capsys.readouterr().out


def test_what_a_kind_cannot_say_is_told_once_a_call(tmp_path, monkeypatch, unsigned, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a.bmp", "b.bmp", "c.png", "d.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "in" / name)
    assert apply(monkeypatch, input=tmp_path / "in", output=tmp_path / "out") == FINISHED
    told = capsys.readouterr().out
    assert told.count("BMP cannot store that a model made it") == 1
    assert told.count("pip install -e '.[provenance]'") == 1
    assert [digital_source_type(each) for each in files(tmp_path / "out")] == [None, None, COMPOSITE, COMPOSITE]


def test_many_samples_lack_a_credential_in_one_line(runs, tmp_path, unsigned, capsys):
    assert sample(runs["dcgan"], kind="files", count=3, output=tmp_path / "out") == FINISHED
    assert capsys.readouterr().out.count("pip install -e '.[provenance]'") == 1
    assert [digital_source_type(each) for each in files(tmp_path / "out")] == [CREATED] * 3


def test_it_can_be_switched_off_which_is_said(runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    assert sample(runs["dcgan"], count=2, output=tmp_path / "out" / "a.png", provenance="false") == FINISHED
    options = {"input": tmp_path / "out" / "a.png", "output": tmp_path / "out" / "b.jpg", "provenance": "false"}
    assert apply(monkeypatch, **options, compare=tmp_path / "out" / "c.png") == FINISHED
    told = capsys.readouterr().out
    assert told.count("--provenance=false: the files are not marked as made by a model") == 2
    assert [read_statement(each) for each in files(tmp_path / "out")] == [None] * 3


@pytest.mark.parametrize("mode", ["sample", "project", "apply"])
def test_a_switch_is_true_or_false(runs, tmp_path, mode, capsys):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    needed = {} if mode == "sample" else {"input": tmp_path / "a.png", "output": tmp_path / "b.png"}
    assert call(mode=mode, workdir=runs["dcgan"], **needed, provenance="no") == MISTAKE
    assert "--provenance: got 'no', expected true or false" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_pictures_without_the_credential_they_should_have_are_written_and_told_of(runs, tmp_path, monkeypatch, capsys):
    def fails(path, signed, suffix, origin, *, title):
        raise credentials.CredentialError(f"no credential for {title}: the disk of the key is gone")

    monkeypatch.setattr(credentials, "available", lambda: True)
    monkeypatch.setattr(credentials, "sign", fails)
    assert sample(runs["dcgan"], kind="files", count=5, output=tmp_path / "out") == SOME_FAILED
    told = capsys.readouterr().out
    assert told.count("the disk of the key is gone") == 3
    assert "2 more files have no signed credential" in told
    assert [digital_source_type(each) for each in files(tmp_path / "out")] == [CREATED] * 5


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov"])
def test_films_say_what_restored_them(tmp_path, monkeypatch, suffix):
    pytest.importorskip("c2pa")
    film = make(tmp_path / "film.mp4", scenery(4))
    options = {"compare": tmp_path / f"side.{suffix}"}
    assert apply(monkeypatch, input=film, output=tmp_path / f"a.{suffix}", **options) == FINISHED
    assert judged(tmp_path / f"a.{suffix}") == judged(tmp_path / f"side.{suffix}") == COMPOSITE
    assert credentials.read(tmp_path / f"a.{suffix}").parent == "film.mp4"
    assert apply(monkeypatch, input=tmp_path / f"a.{suffix}", output=tmp_path / "again.mp4") == FINISHED
    assert credentials.read(tmp_path / "again.mp4").state == credentials.State.OURS  # of a signed parent


def test_a_film_of_a_folder_of_frames_says_it(tmp_path, monkeypatch):
    pytest.importorskip("c2pa")
    (tmp_path / "frames").mkdir()
    for number, samples in enumerate(scenery(3)):
        Image.fromarray(samples).save(tmp_path / "frames" / f"{number}.png")
    assert apply(monkeypatch, input=tmp_path / "frames", output=tmp_path / "a.mp4") == FINISHED
    assert judged(tmp_path / "a.mp4") == COMPOSITE
    assert credentials.read(tmp_path / "a.mp4").parent == "frames"


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_films_in_matroska_hold_xmp_of_their_own_alone(tmp_path, monkeypatch, capsys, suffix):
    film = make(tmp_path / "film.mp4", scenery(4))
    assert apply(monkeypatch, input=film, output=tmp_path / f"a.{suffix}") == FINISHED
    assert digital_source_type(tmp_path / f"a.{suffix}") == COMPOSITE
    assert "no signed credential" in capsys.readouterr().out
    given = tmp_path / f"a.{suffix}"
    assert apply(monkeypatch, input=given, output=tmp_path / "b.mkv", provenance="false") == FINISHED
    assert "its XMP is not kept" in capsys.readouterr().out
    assert digital_source_type(tmp_path / "b.mkv") is None
