"""Credentials state what made a file."""

import dataclasses
import datetime
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFilter
from signing import (
    CREATED,
    FILMS,
    LARGEST,
    PICTURES,
    elsewhere,
    film,
    frames,
    made_by_a_camera,
    make,
    manifests,
    picture,
    run_of,
    signed,
    signer,
)

from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.credentials import CARRIERS, CredentialError, State, read, sign
from jaxgan.media.provenance.origin import mark_file

c2pa = pytest.importorskip("c2pa")
pytestmark = pytest.mark.usefixtures("installation")


@pytest.mark.parametrize("name", [*PICTURES, *FILMS])
def test_every_carrier_is_signed_and_otherwise_the_same(name, tmp_path, monkeypatch):
    path = make(tmp_path / name)
    done = signed(path)
    found = read(done)
    assert found.state is State.OURS
    assert (found.source_type, found.description) == ("trainedAlgorithmicMedia", "samples of a generator")
    assert (found.tool, found.model, found.parent, found.reason) == ("jaxgan 0.2.0", "a run", None, None)
    assert 0 < done.stat().st_size - path.stat().st_size < LARGEST
    before, after = frames(path), frames(done)
    assert len(before) == len(after) == (12 if name in FILMS else 3 if name.startswith("moving") else 1)
    for (moment, one), (other_moment, other) in zip(before, after, strict=True):
        assert moment == other_moment
        np.testing.assert_array_equal(one, other)
    assert manifests(done)[1] == "Valid"  # for a reader that trusts nobody
    elsewhere(monkeypatch, tmp_path / "other")
    assert read(done).state is State.STRANGER  # without an own key
    signed(path.rename(tmp_path / f"again{path.suffix}"))
    assert read(done).state is State.STRANGER  # with an own key


def test_the_carriers_are_all_tested():
    assert {os.path.splitext(name)[1] for name in (*PICTURES, *FILMS)} == CARRIERS


@pytest.mark.parametrize("name", ["a.bmp", "a.mkv", "a.webm", "a.ts", "a.3gp"])
def test_other_kinds_are_refused_by_us_and_by_c2pa(name, tmp_path):
    path = tmp_path / name
    if name == "a.bmp":
        path.write_bytes(picture("BMP"))
    else:
        film(path, "libvpx-vp9" if name == "a.webm" else "h264")
    with pytest.raises(CredentialError, match="which holds no credential"):
        signed(path)
    assert not (tmp_path / f"signed-{name}").exists()
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    with pytest.raises(c2pa.C2paError.NotSupported), c2pa.Builder(manifest) as builder:
        builder.sign(signer(), path.suffix[1:], io.BytesIO(path.read_bytes()), io.BytesIO())
    assert read(path) is None


def test_an_avi_is_not_signed(tmp_path):
    """c2pa would, with twice the file in memory."""
    path = film(tmp_path / "a.avi", "mpeg4")
    with pytest.raises(CredentialError, match="which holds no credential"):
        signed(path)
    assert read(path) is None


def test_what_is_told_of_the_run(tmp_path):
    told = run_of(signed(make(tmp_path / "grey.png")))
    assert (told["model"], told["step"], told["seed"], told["config_sha256"]) == ("a run", 12, 3, "ab" * 32)
    assert (told["system"], told["version"]) == ("jaxgan", "0.2.0")
    moment = datetime.datetime.fromisoformat(told["time"])
    assert abs(datetime.datetime.now(datetime.UTC) - moment) < datetime.timedelta(minutes=5)
    assert told["id"] != run_of(signed(tmp_path / "grey.png"))["id"]
    assert "parent" not in told


def test_files_without_a_credential_have_none(tmp_path):
    path = make(tmp_path / "grey.png")
    assert read(path) is None
    done = signed(path)
    with Image.open(done) as image:
        image.save(tmp_path / "saved.png")
    assert read(tmp_path / "saved.png") is None
    (tmp_path / "a.txt").write_text("text")
    assert read(tmp_path / "a.txt") is None
    (tmp_path / "empty.png").write_bytes(b"")
    assert read(tmp_path / "empty.png") is None
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:2000])
    assert read(tmp_path / "cut.png") is None
    with pytest.raises(CredentialError, match=r"nowhere\.png: No such file"):
        read(tmp_path / "nowhere.png")


def test_threads_sign_and_read_at_once(tmp_path):
    path = make(tmp_path / "grey.png")

    def one(number):
        target = tmp_path / f"{number}.png"
        sign(path, target, ".png", CREATED, title=target.name)
        return read(target).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(64))) == {State.OURS}


def test_a_file_is_not_signed_onto_itself(tmp_path):
    path = make(tmp_path / "grey.png")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="expected two files"):
        sign(path, path, ".png", CREATED, title="a")
    assert path.read_bytes() == before


def test_what_cannot_be_signed_leaves_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(CredentialError, match=r"no credential for a\.png: "):
        signed(tmp_path / "a.png")
    with pytest.raises(CredentialError, match=r"no credential for b\.png: No such file"):
        signed(tmp_path / "b.png")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("signed")] == []


def test_films_in_fragments_and_large_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(credentials, "LARGE", 0)
    options = {"a.mp4": {}, "quick.mp4": {"movflags": "faststart"}, "b.mp4": {"movflags": "frag_keyframe+empty_moov"}}
    for name, given in options.items():
        path = film(tmp_path / name, **given)
        done = signed(path)
        assert [read(done).state for _ in range(8)] == [State.OURS] * 8  # c2pa 0.38 sometimes mixes up pieces
        assert manifests(done)[1] == "Valid"
        for (moment, one), (other_moment, other) in zip(frames(path), frames(done), strict=True):
            assert moment == other_moment
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_film_of_200_mb_needs_no_memory(tmp_path):
    content = bytearray(film(tmp_path / "a.mp4", movflags="faststart").read_bytes())
    block, last = np.random.default_rng(0).bytes(1_000_000), content.rindex(b"mdat") - 4  # the last box, made longer
    content[last : last + 4] = (len(content) - last + 200 * len(block)).to_bytes(4, "big")
    with open(tmp_path / "a.mp4", "wb") as file:
        file.write(content)
        for _ in range(200):
            file.write(block)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from jaxgan.media.provenance.credentials import sign, read, Origin\n"
        "def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "small, large = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "sign(small, Path(sys.argv[3]), '.png', Origin('created', 'd', 'm'), title='t'); before = most()\n"
        "sign(large, Path(sys.argv[4]), '.mp4', Origin('restored', 'd', 'm', parent=large), title='t')\n"
        "state = read(Path(sys.argv[4])).state.name; print(state, most() - before)"
    )
    paths = [make(tmp_path / "grey.png"), tmp_path / "a.mp4", tmp_path / "b.png", tmp_path / "b.mp4"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    state, more = done.stdout.split()
    assert state == "OURS"
    assert int(more) < 60  # MB; 380 before films were hashed in pieces
    assert paths[3].stat().st_size - paths[1].stat().st_size < LARGEST


@pytest.mark.parametrize("side", [256, pytest.param(2000, marks=pytest.mark.slow)])
def test_marking_is_quick(side, tmp_path):
    """20 ms, and 4 ms per million pixels, for a PNG that compresses like photographs."""
    content, grain = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(grain).filter(ImageFilter.GaussianBlur(2)).save(content, "PNG")
    assert 1e6 < len(content.getvalue()) / (side * side / 1e6) < 2e6
    signed(make(tmp_path / "a.jpg"))  # the work that is done once
    took = []
    for number in range(20):
        path = tmp_path / f"{number}.png"
        path.write_bytes(content.getvalue())
        start = time.perf_counter()
        mark_file(path, ".png", CREATED, title=path.name)
        took.append(time.perf_counter() - start)
        path.unlink()
    assert min(took) < 0.020 + 0.004 * side * side / 1e6


def test_all_hashes_of_a_large_film_are_in_its_credential(tmp_path, monkeypatch):
    """C2PA's hash tree can be truncated, with proofs beside each piece, which c2pa 0.38 then does not find again."""
    monkeypatch.setattr(credentials, "LARGE", 0)
    monkeypatch.setitem(credentials.IN_PIECES["core"], "merkle_tree_chunk_size_in_kb", 1)
    credentials._signing.cache_clear()
    path = make(tmp_path / "a.mp4")
    done = signed(path)
    with open(done, "rb") as file, c2pa.Reader("video/mp4", file) as reader:
        (manifest,) = json.loads(reader.detailed_json())["manifests"].values()
    (tree,) = next(each for name, each in manifest["assertion_store"].items() if "bmff" in name)["merkle"]
    content = path.read_bytes()
    pieces = -(-int.from_bytes(content[(at := content.index(b"mdat") - 4) : at + 4], "big") // 1024)
    assert len(tree["hashes"]) == tree["count"] == pieces > 8
    assert done.read_bytes().count(b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481")) == 1
    assert read(done).state is State.OURS


def test_what_a_file_says_of_itself_is_cut_at_500_characters(tmp_path):
    told = read(
        signed(make(tmp_path / "grey.png"), dataclasses.replace(CREATED, description="d" * 501, model="m" * 500))
    )
    assert told.description == "d" * 499 + "…"
    assert told.model == "m" * 500


def test_available_does_not_import_c2pa():
    code = (
        "import sys; from jaxgan.media.provenance import credentials as c; print(c.available(), 'c2pa' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
