"""Credentials say what made a file, hold for that file alone, and nobody else can make ours."""

import datetime
import hashlib
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageSequence

from jaxgan.errors import UserError
from jaxgan.media.provenance import credentials, signing_key
from jaxgan.media.provenance.credentials import CARRIERS, CredentialError, State, read, sign
from jaxgan.media.provenance.jumbf import STORE
from jaxgan.media.provenance.origin import Origin, mark_file, read_statement

c2pa = pytest.importorskip("c2pa")

CREATED = Origin("created", "samples of a generator", "a run", step=12, seed=3, config_sha256="ab" * 32)
LARGEST, LARGEST_WITH_PARENT = 5000, 12000  # bytes that a credential adds
SIDES = 48, 64
FLIPS = 200


def noise(count):
    return [np.random.default_rng(each).integers(0, 256, (*SIDES, 3), dtype=np.uint8) for each in range(count)]


def picture(kind, count=1, **options):
    images = [Image.fromarray(each) for each in noise(count)]
    buffer = io.BytesIO()
    several = {"save_all": True, "append_images": images[1:]} if count > 1 else {}
    images[0].save(buffer, format=kind, **several, **options)
    return buffer.getvalue()


def film(path, codec="h264", **options):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = *SIDES, "yuv420p"
        for each in noise(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="rgb24")))
        container.mux(stream.encode())
    return path


PICTURES = {
    "grey.png": lambda: picture("PNG"),
    "moving.png": lambda: picture("PNG", 3),
    "moving.apng": lambda: picture("PNG", 3),
    "a.jpg": lambda: picture("JPEG"),
    "a.jpeg": lambda: picture("JPEG"),
    "a.jpe": lambda: picture("JPEG"),
    "a.jfif": lambda: picture("JPEG"),
    "a.webp": lambda: picture("WEBP"),
    "moving.webp": lambda: picture("WEBP", 3, lossless=True),
    "a.tif": lambda: picture("TIFF"),
    "packed.tiff": lambda: picture("TIFF", compression="tiff_lzw"),
    "a.gif": lambda: picture("GIF"),
    "moving.gif": lambda: picture("GIF", 3),
    "a.avif": lambda: picture("AVIF"),
}
FILMS = ("a.mp4", "a.mov", "a.m4v")
FLIPPED = ("grey.png", "a.jpg", "moving.webp", "a.tif", "moving.gif", "a.avif", "a.mp4", "a.mov")


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    """A home of its own for every test: no key there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def elsewhere(monkeypatch, path):
    """From here on this is another installation."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path))


def make(path):
    """A file of the kind that the name tells, without a credential."""
    if path.name in PICTURES:
        path.write_bytes(PICTURES[path.name]())
        return path
    return film(path)


def signed(path, origin=CREATED):
    """The same file with a credential."""
    target = path.with_name(f"signed-{path.name}")
    sign(path, target, path.suffix, origin, title=path.name)
    return target


def frames(path):
    if path.suffix in (".mp4", ".mov", ".m4v"):
        av = pytest.importorskip("av")
        with av.open(str(path)) as container:
            return [(frame.pts, frame.to_ndarray()) for frame in container.decode(video=0)]
    with Image.open(path) as image:
        return [(each.info.get("duration"), np.asarray(each.convert("RGBA"))) for each in ImageSequence.Iterator(image)]


def manifests(path):
    """What c2pa itself reads, trusting nobody, and how it judges that."""
    with c2pa.Reader(str(path)) as reader:
        return json.loads(reader.json()), reader.get_validation_state()


def run_of(path):
    """Our own assertion."""
    told, _ = manifests(path)
    listed = told["manifests"][told["active_manifest"]]["assertions"]
    return next(each["data"] for each in listed if each["label"] == "org.jaxgan.run")


@pytest.mark.parametrize("name", [*PICTURES, *FILMS])
def test_every_carrier_is_signed_and_otherwise_the_same(name, tmp_path, monkeypatch):
    path = make(tmp_path / name)
    done = signed(path)
    found = read(done)
    assert found.state is State.OURS
    assert (found.source_type, found.description) == ("trainedAlgorithmicMedia", "samples of a generator")
    assert (found.tool, found.model, found.parent, found.reason) == ("jaxgan 0.1.0", "a run", None, None)
    assert 0 < done.stat().st_size - path.stat().st_size < LARGEST
    before, after = frames(path), frames(done)
    assert len(before) == len(after) == (12 if name in FILMS else 3 if name.startswith("moving") else 1)
    for (moment, one), (other_moment, other) in zip(before, after, strict=True):
        assert moment == other_moment
        np.testing.assert_array_equal(one, other)
    assert manifests(done)[1] == "Valid"  # for whoever trusts nobody
    elsewhere(monkeypatch, tmp_path / "other")
    assert read(done).state is State.STRANGER  # without a key of one's own
    signed(path.rename(tmp_path / f"again{path.suffix}"))
    assert read(done).state is State.STRANGER  # and with one


def test_the_carriers_are_all_tested():
    assert {os.path.splitext(name)[1] for name in (*PICTURES, *FILMS)} == CARRIERS


@pytest.mark.parametrize("name", ["a.bmp", "a.mkv", "a.webm", "a.ts", "a.3gp"])
def test_other_kinds_are_refused_by_us_and_by_c2pa(name, tmp_path):
    path = tmp_path / name
    if name == "a.bmp":
        path.write_bytes(picture("BMP"))
    else:
        film(path, "libvpx-vp9" if name == "a.webm" else "h264")
    with pytest.raises(CredentialError, match="holds no credential"):
        signed(path)
    assert not (tmp_path / f"signed-{name}").exists()
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    with pytest.raises(c2pa.C2paError.NotSupported), c2pa.Builder(manifest) as builder:
        builder.sign(_signer(), path.suffix[1:], io.BytesIO(path.read_bytes()), io.BytesIO())
    assert read(path) is None


def test_an_avi_is_not_signed(tmp_path):
    """c2pa would, with twice the file in memory."""
    path = film(tmp_path / "a.avi", "mpeg4")
    with pytest.raises(CredentialError, match="holds no credential"):
        signed(path)
    assert read(path) is None


def _signer():
    own = signing_key.load(signing_key.folder())
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", own.certificate + own.root, own.key, None))


def made_by_a_camera():
    return {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    }


def test_what_is_told_of_the_run(tmp_path):
    told = run_of(signed(make(tmp_path / "grey.png")))
    assert (told["model"], told["step"], told["seed"], told["config_sha256"]) == ("a run", 12, 3, "ab" * 32)
    assert (told["system"], told["version"]) == ("jaxgan", "0.1.0")
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


@pytest.mark.parametrize("name", FLIPPED)
def test_a_file_that_is_cut_off_is_not_ours(name, tmp_path):
    whole = signed(make(tmp_path / name)).read_bytes()
    states = set()
    for share in range(1, 16):
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) * share // 16])
        found = read(tmp_path / f"cut-{name}")
        states.add(found and found.state)
    assert states <= {None, State.DAMAGED, State.CHANGED}


def states_of_flips(path, places):
    """Of a file with one byte changed, each time another one."""
    content, changed = path.read_bytes(), path.with_name(f"flipped-{path.name}")
    random = np.random.default_rng(1)
    for place in places:
        copy = bytearray(content)
        copy[place] ^= int(random.integers(1, 256))
        changed.write_bytes(copy)
        found = read(changed)
        yield place, found and found.state


def ours(path, places):
    """The places that can be changed without being noticed."""
    return [place for place, state in states_of_flips(path, places) if state in (State.OURS, State.STRANGER)]


def marked(path):
    """A file with XMP and a credential."""
    mark_file(path, path.suffix, CREATED, title=path.name)
    assert read(path).state is State.OURS
    return path


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path):
    path = marked(make(tmp_path / "grey.png"))
    content = path.read_bytes()
    store = content.index(STORE)
    packet, padding = content.index(b"<x:xmpmeta"), content.index(b"cpadY") + 20
    picked = [8, store - 8, store - 4, store + 30, padding, packet + 100, content.index(b"IDAT") + 50, len(content) - 3]
    picked += [
        *range(padding, padding + 900, 100),
        content.index(b"c2pa.assertions\0"),
        content.index(b"c2pa.signature\0"),
    ]
    assert ours(path, picked) == []
    reasons = {read(path).reason}
    assert reasons == {None}  # the file itself is left alone
    film = marked(make(tmp_path / "a.mp4"))
    assert ours(film, [8, 20, film.read_bytes().index(STORE) - 6, film.stat().st_size - 1]) == []  # 8 to 31: ftyp


def test_a_library_alone_would_not_notice_all(tmp_path):
    """Why `jumbf` is there: c2pa takes a file with another byte in the padding of its signature."""
    path = signed(make(tmp_path / "grey.png"))
    content = bytearray(path.read_bytes())
    content[content.index(b"cpadY") + 50] ^= 1
    path.write_bytes(content)
    assert manifests(path)[1] == "Valid"
    assert (read(path).state, read(path).reason) == (State.CHANGED, "in bytes that its hash leaves out")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "large"), [*((name, False) for name in FLIPPED), *((name, True) for name in FILMS)])
def test_two_hundred_changed_bytes_are_noticed(name, large, tmp_path, monkeypatch):
    if large:  # films are hashed in pieces
        monkeypatch.setattr(credentials, "LARGE", 0)
    path = marked(make(tmp_path / name))
    assert read_statement(path) is not None or name == "a.avif"
    places = np.random.default_rng(0).integers(0, path.stat().st_size, FLIPS)
    seen = dict(states_of_flips(path, places))
    assert set(seen.values()) <= {State.CHANGED, State.DAMAGED, None}
    assert sum(state is State.CHANGED for state in seen.values()) > FLIPS / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", FLIPPED[:-1])
def test_no_byte_of_a_credential_can_be_changed(name, tmp_path):
    """Every third byte from before the store to behind it: what C2PA leaves out are three bytes or more in a row."""
    path = signed(make(tmp_path / name))
    content = path.read_bytes()
    store, padding = content.index(STORE), content.index(b"\0" * 60, content.index(b"c2pa.signature\0"))
    places = [*range(max(0, store - 100), padding, 3), *range(padding, padding + 900, 90)]
    places += [*range(padding + 900, min(len(content), padding + 1200), 3)]
    assert ours(path, places) == []


def test_a_chain_with_our_names_is_a_strangers(tmp_path, monkeypatch):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = make(tmp_path / "grey.png")
    signed(path)
    own = signing_key.load(signing_key.folder())
    true = [x509.load_pem_x509_certificate(each) for each in (own.root, own.certificate)]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in true]
    pem, forged = serialization.Encoding.PEM, []
    for certificate, key in zip(true, keys, strict=True):  # all that can be seen is copied, but for the keys
        made = x509.CertificateBuilder(
            certificate.issuer,
            certificate.subject,
            key.public_key(),
            certificate.serial_number,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            list(certificate.extensions),
        )
        forged.append(made.sign(keys[0], hashes.SHA256()))
    elsewhere(monkeypatch, tmp_path / "forger")
    signing_key.folder().mkdir(parents=True)
    content = {
        "root.pem": forged[0].public_bytes(pem),
        "certificate.pem": forged[1].public_bytes(pem),
        "key.pem": keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    for name, text in content.items():
        (signing_key.folder() / name).write_bytes(text)
    done = signed(path)
    assert read(done).state is State.OURS  # to the forger
    elsewhere(monkeypatch, tmp_path / "home")
    assert read(done).state is State.STRANGER
    assert read(done).tool == "jaxgan 0.1.0"


def test_reading_makes_no_key(tmp_path):
    assert read(make(tmp_path / "grey.png")) is None
    assert not (tmp_path / "home").exists()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_the_key_is_its_owners_alone(tmp_path):
    signed(make(tmp_path / "grey.png"))
    folder = tmp_path / "home" / "jaxgan" / "credentials"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert sorted(each.name for each in folder.iterdir()) == ["certificate.pem", "key.pem", "root.pem"]
    assert [each.name for each in folder.parent.iterdir()] == ["credentials"]


def test_the_certificate(tmp_path):
    """What C2PA asks of one (specification 2.1, 14.5.1)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID, NameOID

    own = signing_key.load(signing_key.folder())
    leaf = x509.load_pem_x509_certificate(own.certificate)
    assert [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["jaxgan"]
    usage = leaf.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    uses = leaf.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert {each.dotted_string for each in uses} == {"1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1"}
    for needed in (ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.SUBJECT_KEY_IDENTIFIER):
        leaf.extensions.get_extension_for_oid(needed)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == datetime.timedelta(days=3651)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(own.root))


def test_processes_that_begin_at_once_share_a_key(tmp_path):
    path = make(tmp_path / "grey.png")
    code = (
        "import sys, time; from pathlib import Path; import c2pa; from cryptography import x509\n"
        "from jaxgan.media.provenance.credentials import sign, Origin\n"
        "time.sleep(max(0, float(sys.argv[3]) - time.time()))\n"
        "sign(Path(sys.argv[1]), Path(sys.argv[2]), '.png', Origin('created', 'd', 'm'), title='t')"
    )
    start = str(time.time() + 3)
    targets = [tmp_path / f"{each}.png" for each in range(4)]
    began = [subprocess.Popen([sys.executable, "-c", code, str(path), str(target), start]) for target in targets]
    assert [each.wait() for each in began] == [0] * len(targets)
    assert [read(target).state for target in targets] == [State.OURS] * len(targets)
    assert [each.name for each in signing_key.folder().parent.iterdir()] == ["credentials"]


def test_whoever_comes_second_takes_the_first_ones_key(tmp_path):
    signing_key._make(signing_key.folder())
    first = signing_key.load(signing_key.folder())
    signing_key._make(signing_key.folder())
    assert signing_key.load(signing_key.folder()) == first


def test_threads_sign_and_read_at_once(tmp_path):
    path = make(tmp_path / "grey.png")

    def one(number):
        target = tmp_path / f"{number}.png"
        sign(path, target, ".png", CREATED, title=target.name)
        return read(target).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(64))) == {State.OURS}


@pytest.mark.parametrize("name", ["root.pem", "certificate.pem", "key.pem"])
@pytest.mark.parametrize("damage", ["gone", "garbage", "another's"])
def test_a_damaged_key_is_told_and_left_as_it_is(name, damage, tmp_path, monkeypatch):
    path = make(tmp_path / "grey.png")
    elsewhere(monkeypatch, tmp_path / "other")
    signing_key.load(signing_key.folder())
    other = signing_key.folder()
    elsewhere(monkeypatch, tmp_path / "home")
    folder = signing_key.folder()
    signing_key.load(folder)
    if damage == "gone":
        (folder / name).unlink()
    elif damage == "garbage":
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    else:
        shutil.copy(other / name, folder / name)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(CredentialError, match="bring back a copy") as told:
        signed(path)
    assert isinstance(told.value, UserError)
    assert "\n" not in str(told.value)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["grey.png", "home", "other"]
    if name == "root.pem" and damage != "another's":
        with pytest.raises(CredentialError, match=r"root\.pem|damaged"):
            credentials.own_certificate()


def test_a_home_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    elsewhere(monkeypatch, tmp_path / "file")
    with pytest.raises(CredentialError, match=r"no key can be made here: .*XDG_CONFIG_HOME"):
        signed(make(tmp_path / "grey.png"))


def test_a_relative_home_does_not_count(monkeypatch):
    """XDG base directory specification: "All paths set in these environment variables must be absolute"."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(signing_key.folder()) == "/home/someone/.config/jaxgan/credentials"


def test_an_expired_certificate_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(signing_key, "YEARS", 2.5 / (365 * 24 * 60 * 60))  # so much of a year is left
    path = make(tmp_path / "grey.png")
    done = signed(path)
    assert read(done).state is State.OURS
    time.sleep(3.5)
    with pytest.raises(CredentialError, match=r"expired on .*: move that folder away"):
        signed(make(tmp_path / "a.jpg"))
    assert not (tmp_path / "signed-a.jpg").exists()
    assert (read(done).state, read(done).reason) == (State.STRANGER, "its certificate has expired")


def restored(parent):
    return Origin("restored", "noise taken out", "denoise", step=5, parent=parent)


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
    """Others put a small picture into theirs; JPEG holds what is longer than 64 KB in pieces, GIF than 255 bytes."""
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(content, "PNG")
    parent = tmp_path / "strange.png"
    with c2pa.Builder(manifest) as builder, open(parent, "w+b") as target:
        builder.sign(_signer(), "image/png", content, target)
    path = make(tmp_path / name)
    done = signed(path, restored(parent))
    assert done.stat().st_size - path.stat().st_size > 2**16 + 1000
    assert read(done).state is State.OURS
    content = done.read_bytes()
    later = content.index(STORE) + 2**16 + 10  # behind the first piece
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
        wanted["files_sha256"] = hashlib.sha256(lines.encode()).hexdigest()  # of what sha256sum * prints
    elif name != "gone.png":
        parent.write_bytes(picture("BMP"))
        wanted["sha256"] = hashlib.sha256(parent.read_bytes()).hexdigest()
    done = signed(make(tmp_path / "a.jpg"), restored(parent))
    assert (read(done).state, read(done).parent) == (State.OURS, name)
    assert manifests(done)[1] == "Valid"
    assert run_of(done)["parent"] == wanted


def test_what_was_restored_from_nothing(tmp_path):
    found = read(signed(make(tmp_path / "a.jpg"), restored(None)))
    assert (found.state, found.parent, found.source_type) == (State.OURS, None, "compositeWithTrainedAlgorithmicMedia")


def test_names_do_not_tell_where_files_lie(tmp_path):
    done = signed(make(tmp_path / "grey.png"), restored(make(tmp_path / "a.jpg")))
    assert str(tmp_path).encode() not in done.read_bytes()


def test_a_file_is_not_signed_onto_itself(tmp_path):
    path = make(tmp_path / "grey.png")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="into another"):
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
        assert [read(done).state for _ in range(8)] == [State.OURS] * 8  # c2pa 0.38 mixes up pieces, now and then
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


@pytest.mark.parametrize("side", [256, 2000])
def test_marking_is_quick(side, tmp_path):
    """20 ms, and 4 ms for every million pixels, of a PNG that packs as photographs do."""
    content, grain = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(grain).filter(ImageFilter.GaussianBlur(2)).save(content, "PNG")
    assert 1e6 < len(content.getvalue()) / (side * side / 1e6) < 2e6
    signed(make(tmp_path / "a.jpg"))  # what is done once
    took = []
    for number in range(20):
        path = tmp_path / f"{number}.png"
        path.write_bytes(content.getvalue())
        start = time.perf_counter()
        mark_file(path, ".png", CREATED, title=path.name)
        took.append(time.perf_counter() - start)
        path.unlink()
    assert min(took) < 0.020 + 0.004 * side * side / 1e6


class Listener:
    """A server that only counts who comes."""

    def __init__(self):
        self.visits = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/manifest.c2pa"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self):
        while True:
            try:
                visitor, _ = self.socket.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()


def test_nobody_is_asked_over_the_network(tmp_path):
    """A file can name an address where its credential lies. c2pa goes there as it comes (the control); we do not."""
    listener = Listener()
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    path = make(tmp_path / "grey.png")
    remote = tmp_path / "remote.png"
    with c2pa.Builder(manifest) as builder, open(path, "rb") as source, open(remote, "w+b") as target:
        builder.set_no_embed()
        builder.set_remote_url(listener.address)
        builder.sign(_signer(), "image/png", source, target)
    listener.visits = 0
    assert read(remote) is None or read(remote).state is not State.OURS
    done = signed(remote, restored(remote))
    again = signed(make(tmp_path / "a.jpg"), restored(remote))
    assert read(again).state is State.OURS
    assert read(done) is not None
    assert listener.visits == 0
    with pytest.raises(c2pa.C2paError):
        c2pa.Reader(str(remote))
    assert listener.visits > 0
    listener.socket.close()


def test_sockets_that_raise_are_no_obstacle(tmp_path, monkeypatch):
    def refuse(*given, **more):
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert read(signed(make(tmp_path / "grey.png"))).state is State.OURS


def test_available_imports_nothing():
    code = (
        "import sys; from jaxgan.media.provenance import credentials as c; print(c.available(), 'c2pa' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
