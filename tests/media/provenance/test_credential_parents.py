"""Restored files name their parent."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from signing import (
    LARGEST,
    LARGEST_WITH_PARENT,
    made_by_a_camera,
    make,
    manifests,
    ours,
    picture,
    restored,
    run_of,
    signed,
    signer,
)

from jaxgan.media.provenance.credentials import CredentialError, State, read, sign
from jaxgan.media.provenance.embedding import embed_xmp
from jaxgan.media.provenance.jumbf import STORE, present

c2pa = pytest.importorskip("c2pa")
pytestmark = pytest.mark.usefixtures("installation")


def test_what_was_restored_names_its_parent(tmp_path):
    parent = make(tmp_path / "a.jpg")
    path = make(tmp_path / "grey.png")
    done = signed(path, restored(parent))
    found = read(done)
    assert (found.state, found.parent) == (State.OURS, "a.jpg")
    assert (found.source_type, found.description) == ("compositeWithTrainedAlgorithmicMedia", "noise taken out")
    told, state = manifests(done)
    assert (len(told["manifests"]), state) == (1, "Valid")
    actions = told["manifests"][told["active_manifest"]]["assertions"][0]["data"]["actions"]
    assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.edited"]
    assert len(actions[0]["parameters"]["ingredients"]) == 1
    assert run_of(done)["parent"] == {"name": "a.jpg", "sha256": hashlib.sha256(parent.read_bytes()).hexdigest()}
    assert done.stat().st_size - path.stat().st_size < LARGEST


@pytest.mark.parametrize("name", ["a.jpg", "grey.png", "a.webp", "a.tif", "a.mp4"])
def test_a_signed_parent_is_carried_on_whole(name, tmp_path):
    parent = signed(make(tmp_path / name))
    path = make(tmp_path / "moving.gif")
    done = signed(path, restored(parent))
    assert (read(done).state, read(done).parent) == (State.OURS, parent.name)
    told, state = manifests(done)
    assert (len(told["manifests"]), state) == (2, "Valid")
    assert manifests(parent)[0]["active_manifest"] in told["manifests"]
    assert done.stat().st_size - path.stat().st_size < LARGEST_WITH_PARENT


def damage_pixels(content):
    content[content.index(b"IDAT") + 500] ^= 1


def damage_claim(content):
    content[content.index(b"c2pa.claim.v2\0") + 100 : content.index(b"c2pa.claim.v2\0") + 120] = b"\xff" * 20


def damage_store(content):
    content[content.index(STORE) + 44 : content.index(STORE) + 52] = b"\xff" * 8  # kind and length of the first box


def cut(content):
    del content[2000:]


@pytest.mark.parametrize("damage", [damage_pixels, damage_claim, damage_store, cut])
def test_a_parent_whose_credential_is_damaged_is_no_obstacle(damage, tmp_path):
    parent = signed(make(tmp_path / "grey.png"))
    content = bytearray(parent.read_bytes())
    damage(content)
    parent.write_bytes(content)
    assert read(parent).state in (State.CHANGED, State.DAMAGED)
    done = signed(make(tmp_path / "a.jpg"), restored(parent))
    assert (read(done).state, read(done).parent) == (State.OURS, parent.name)
    told, state = manifests(done)
    assert state == "Valid"
    ingredient = told["manifests"][told["active_manifest"]]["ingredients"][0]
    wrong = [
        each["code"] for each in ingredient.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    ]
    remark = run_of(done)["parent"].get("remark", "")
    assert any(code.endswith("mismatch") for code in wrong) or "could not be carried on" in remark
    assert run_of(done)["parent"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["grey.png", "a.jpg", "a.webp", "a.tif", "moving.gif", "a.avif", "a.mp4"])
def test_a_parent_with_a_large_credential(name, tmp_path):
    """Other writers include a thumbnail; JPEG splits data longer than 64 KB into segments, GIF into 255 bytes."""
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(content, "PNG")
    parent = tmp_path / "strange.png"
    with c2pa.Builder(manifest) as builder, open(parent, "w+b") as target:
        builder.sign(signer(), "image/png", content, target)
    path = make(tmp_path / name)
    done = signed(path, restored(parent))
    assert done.stat().st_size - path.stat().st_size > 2**16 + 1000
    assert read(done).state is State.OURS
    content = done.read_bytes()
    later = content.index(STORE) + 2**16 + 10  # after the first segment
    assert ours(done, [later, later + 50, len(content) // 2]) == []


@pytest.mark.parametrize("name", ["a.bmp", "a.mkv", "folder", "gone.png"])
def test_a_parent_that_c2pa_does_not_take_is_named(name, tmp_path):
    parent = tmp_path / name
    wanted = {"name": name}
    if name == "folder":
        parent.mkdir()
        lines = ""
        for each in ("1.png", "2.png", ".hidden.png"):
            (parent / each).write_bytes(each.encode())
            lines += "" if each[0] == "." else f"{hashlib.sha256(each.encode()).hexdigest()}  {each}\n"
        wanted["files_sha256"] = hashlib.sha256(lines.encode()).hexdigest()  # of the output of sha256sum *
    elif name != "gone.png":
        parent.write_bytes(picture("BMP"))
        wanted["sha256"] = hashlib.sha256(parent.read_bytes()).hexdigest()
    done = signed(make(tmp_path / "a.jpg"), restored(parent))
    assert (read(done).state, read(done).parent) == (State.OURS, name)
    assert manifests(done)[1] == "Valid"
    assert run_of(done)["parent"] == wanted


def test_a_restored_file_without_a_parent(tmp_path):
    found = read(signed(make(tmp_path / "a.jpg"), restored(None)))
    assert (found.state, found.parent, found.source_type) == (State.OURS, None, "compositeWithTrainedAlgorithmicMedia")


def test_names_do_not_contain_folders(tmp_path):
    done = signed(make(tmp_path / "grey.png"), restored(make(tmp_path / "a.jpg")))
    assert str(tmp_path).encode() not in done.read_bytes()


def described(path):
    """A file whose XMP has an identifier, and an address of its credential."""
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" dcterms:provenance="http://127.0.0.1:9/of-alice.c2pa" '
        'xmpMM:InstanceID="xmp.iid:of-alice" xmpMM:DocumentID="xmp.did:of-alice"/></rdf:RDF></x:xmpmeta>'
    )
    assert embed_xmp(path, packet.encode())
    return path


@pytest.mark.parametrize("name", ["a.jpg", "grey.png", "a.webp", "a.tif", "a.mp4"])
@pytest.mark.parametrize("has_credential", [False, True])
def test_what_an_inputs_xmp_says_is_not_told(name, has_credential, tmp_path):
    parent = described(make(tmp_path / name))
    if has_credential:
        parent = signed(parent)
    done = signed(make(tmp_path / "moving.png"), restored(parent))
    assert (read(done).state, read(done).parent) == (State.OURS, parent.name)
    told, state = manifests(done)
    assert "of-alice" not in json.dumps(told["manifests"][told["active_manifest"]], allow_nan=False)
    assert (b"of-alice" in done.read_bytes()) == has_credential  # in its own credential, as it was signed
    assert (len(told["manifests"]), state) == (1 + has_credential, "Valid")


def test_the_given_name_is_told_not_what_a_link_leads_to(tmp_path, monkeypatch):
    make(tmp_path / "grey.png").rename(tmp_path / "alice.png")
    (tmp_path / "in.png").symlink_to("alice.png")
    path = make(tmp_path / "a.jpg")
    done = signed(path, restored(tmp_path / "in.png"))
    assert (read(done).parent, run_of(done)["parent"]["name"]) == ("in.png", "in.png")
    assert b"alice" not in done.read_bytes()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    for given in (".", "", "../folder", "../folder/../folder/."):
        assert read(signed(path, restored(Path(given)))).parent == "folder"
    assert read(signed(path, restored(Path("..")))).parent == tmp_path.name


def test_names_that_are_not_utf8_are_no_obstacle(tmp_path):
    try:
        parent = make(tmp_path / "grey.png").rename(tmp_path / "f\udcfcr.png")
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    path = make(tmp_path / "a.jpg")
    origin = dataclasses.replace(restored(parent), model="m\udcff", description="d\udcff")
    sign(path, tmp_path / "b.jpg", ".jpg", origin, title="t\udcff.jpg")
    found = read(tmp_path / "b.jpg")
    assert (found.state, found.parent, found.model, found.description) == (
        State.OURS,
        "f\ufffdr.png",
        "m\ufffd",
        "d\ufffd",
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    parent.rename(folder / parent.name)
    line = hashlib.sha256((folder / parent.name).read_bytes()).hexdigest().encode() + b"  f\xfcr.png\n"
    done = signed(path, restored(folder))
    assert run_of(done)["parent"]["files_sha256"] == hashlib.sha256(line).hexdigest()
    with pytest.raises(CredentialError, match=r"no credential for t\.jpg") as told:
        sign(tmp_path / "none.jpg", tmp_path / "c.jpg", ".jpg", origin, title="t\udcff.jpg")
    str(told.value).encode()


@pytest.mark.parametrize("place", [2**20 - 40, 2**20 - 12, 2**20 - 6, 2**20, 2**20 + 5])
def test_a_credential_is_found_wherever_it_begins(place, tmp_path):
    """Files are searched piece by piece; what is found here is the rest of a credential."""
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(place) + STORE + bytes(100))
    assert present(path)
    path.write_bytes(bytes(place) + STORE[:12] + bytes(2**20))
    assert not present(path)
