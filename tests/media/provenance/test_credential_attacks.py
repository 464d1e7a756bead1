"""A credential is valid for its own file only, and nobody else can forge ours."""

import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from signing import (
    FILMS,
    FLIPPED,
    FLIPS,
    elsewhere,
    made_by_a_camera,
    make,
    manifests,
    marked,
    ours,
    restored,
    run_of,
    signed,
    signer,
    states_of_flips,
)

from jaxgan.media.provenance import credentials, signing_key
from jaxgan.media.provenance.credentials import CredentialError, State, read
from jaxgan.media.provenance.embedding import embed_xmp
from jaxgan.media.provenance.jumbf import STORE
from jaxgan.media.provenance.origin import read_statement

c2pa = pytest.importorskip("c2pa")
pytestmark = pytest.mark.usefixtures("installation")


@pytest.mark.parametrize("name", FLIPPED)
def test_a_file_that_is_cut_off_is_not_ours(name, tmp_path):
    whole = signed(make(tmp_path / name)).read_bytes()
    states = set()
    for share in range(1, 16):
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) * share // 16])
        found = read(tmp_path / f"cut-{name}")
        states.add(found and found.state)
    assert states <= {None, State.DAMAGED, State.CHANGED}


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
    assert reasons == {None}  # the file itself is unchanged
    film = marked(make(tmp_path / "a.mp4"))
    assert ours(film, [8, 20, film.read_bytes().index(STORE) - 6, film.stat().st_size - 1]) == []  # 8 to 31: ftyp


def test_c2pa_alone_would_not_notice_all_changes(tmp_path):
    """The reason for `jumbf`: c2pa accepts a file with a changed byte in the padding of its signature."""
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
    """Every third byte from before the store to after it: C2PA leaves out runs of three bytes or more."""
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
    for certificate, key in zip(true, keys, strict=True):  # everything visible is copied, except the keys
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
        (signing_key.folder() / name).chmod(0o600)
    done = signed(path)
    assert read(done).state is State.OURS  # to the forger
    elsewhere(monkeypatch, tmp_path / "home")
    assert read(done).state is State.STRANGER
    assert read(done).tool == "jaxgan 0.2.0"


def box(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


def segment(marker, content):
    return marker + struct.pack(">H", 2 + len(content)) + content


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def riff(name, content):
    return name + struct.pack("<I", len(content)) + content


C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # specification 2.1, A.5
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + b"<x:xmpmeta/>"
LOUD = b"something of somebody else" * 4
NAMES = ("free", "skip", "mfra", "wide", "meta", "udta", "abcd", "mdat", "moof", "ftyp", "styp", "emsg")
BOXES = {
    **{name: box(name.encode(), LOUD) for name in NAMES},
    "empty free": box(b"free", b""),
    "free without an end": b"\0\0\0\0free" + LOUD,
    "seek index": box(b"mfra", box(b"mfro", struct.pack(">II", 0, 24))),
    "XMP": box(b"uuid", XMP),
    "C2PA": box(b"uuid", C2PA + b"\0\0\0\0manifest\0" + b"\0" * 8 + LOUD),
    "C2PA, hashes": box(b"uuid", C2PA + b"\0\0\0\0merkle\0" + LOUD),
    "C2PA, nonsense": box(b"uuid", C2PA + LOUD),
}
PARTS = {  # parts that a kind's readers skip
    ".png": {"chunk": chunk(b"teXt", LOUD), "credential": chunk(b"caBX", LOUD)},
    ".jpg": {"comment": segment(b"\xff\xfe", LOUD), "JUMBF": segment(b"\xff\xeb", b"JP\x02\x11\0\0\0\x09" + LOUD)},
    ".webp": {"chunk": riff(b"abcd", LOUD), "credential": riff(b"C2PA", LOUD)},
    ".tif": {"nothing": b"\0" * 12},
    ".gif": {"comment": b"\x21\xfe" + bytes([len(LOUD)]) + LOUD + b"\0"},
    **dict.fromkeys((".avif", ".mp4", ".mov"), BOXES),
}


def starts(content, suffix):
    """The places where data can be inserted so that a file still plays: before, between and after its parts."""
    if suffix == ".png":
        return [33, content.index(b"IDAT") - 4, content.index(b"IEND") - 4, len(content)]
    if suffix == ".jpg":
        return [2, content.index(b"\xff\xdb"), len(content) - 2, len(content)]
    if suffix == ".webp":
        return [30, content.index(b"XMP "), len(content)]
    if suffix == ".gif":
        return [content.index(b"\x21\xff"), content.index(b"\x21\xff\x0bXMP"), len(content) - 1, len(content)]
    if suffix == ".tif":
        return [8, len(content)]
    found, place = [], 0
    while place < len(content):
        found.append(place)
        place += int.from_bytes(content[place : place + 4], "big")
    return [*found, len(content)]


@pytest.mark.parametrize("name", FLIPPED)
@pytest.mark.parametrize("large", [False, True])
def test_what_is_put_in_is_noticed_wherever_it_is(name, large, tmp_path, monkeypatch):
    """C2PA's hash leaves out a film's free boxes, its first box and C2PA's own."""
    if large:
        monkeypatch.setattr(credentials, "LARGE", 0)
    path = marked(make(tmp_path / name))
    content, changed = path.read_bytes(), tmp_path / f"changed-{name}"
    kinds = {**PARTS[path.suffix], "a byte": b"x", "no byte's worth": b"\0" * 8, "itself": content}
    for kind, more in kinds.items():
        for place in starts(content, path.suffix):
            copy = bytearray(content[:place] + more + content[place:])
            if path.suffix == ".webp":
                copy[4:8] = struct.pack("<I", len(copy) - 8)
            changed.write_bytes(copy)
            found = read(changed)
            assert found is None or found.state in (State.CHANGED, State.DAMAGED), (kind, place)


def test_free_boxes_of_a_film_cannot_be_changed(tmp_path):
    path = make(tmp_path / "a.mp4")
    with open(path, "ab") as file:
        file.write(box(b"free", LOUD) + box(b"skip", LOUD))
    path = marked(path)
    first = path.read_bytes().index(LOUD)
    assert manifests(path)[1] == "Valid"
    assert ours(path, [first - 3, first, first + 50, path.read_bytes().rindex(LOUD)]) == []


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".avif"])
def test_very_many_boxes_keep_nobody_busy(inside, suffix, tmp_path):
    """c2pa's time grows with their square: these would take a minute."""
    path = marked(make(tmp_path / f"a{suffix}"))
    many = box(b"free", b"") * 200_000
    with open(path, "ab") as file:
        file.write(box(b"moov", box(b"trak", many)) if inside else many)
    start = time.perf_counter()
    assert (read(path).state, read(path).reason) == (State.DAMAGED, "it has more than 16384 boxes")
    read_statement(path)
    with pytest.raises(CredentialError, match="more than 16384 boxes"):
        signed(path)
    done = signed(make(tmp_path / "grey.png"), restored(path))
    assert (read(done).state, read(done).parent) == (State.OURS, path.name)
    assert "more than 16384 boxes" in run_of(done)["parent"]["remark"]
    assert not embed_xmp(path, b"<x:xmpmeta/>") or inside
    assert time.perf_counter() - start < 5


class Listener:
    """A server that only counts requests."""

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


def test_no_network_is_used(tmp_path):
    """A file can name an address of its credential. c2pa requests it by default (the control); we do not."""
    listener = Listener()
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made_by_a_camera()]}}]}
    path = make(tmp_path / "grey.png")
    remote = tmp_path / "remote.png"
    with c2pa.Builder(manifest) as builder, open(path, "rb") as source, open(remote, "w+b") as target:
        builder.set_no_embed()
        builder.set_remote_url(listener.address)
        builder.sign(signer(), "image/png", source, target)
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


def test_a_certificates_address_is_not_asked_either(tmp_path, monkeypatch):
    """A certificate can name an address that knows whether it was revoked (OCSP). c2pa requests it if configured."""
    from cryptography import x509

    listener, sign = Listener(), x509.CertificateBuilder.sign

    def with_address(builder, key, algorithm):
        place = x509.UniformResourceIdentifier(listener.address)
        told = x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.OCSP, place)
        return sign(builder.add_extension(x509.AuthorityInformationAccess([told]), False), key, algorithm)

    monkeypatch.setattr(x509.CertificateBuilder, "sign", with_address)
    done = signed(make(tmp_path / "grey.png"))
    assert read(signed(make(tmp_path / "a.jpg"), restored(done))).state is State.OURS
    assert read(done).state is State.OURS
    assert listener.visits == 0
    verify = {"ocsp_fetch": True, "remote_manifest_fetch": False}
    trust = {"user_anchors": signing_key.load_root().decode()}
    context = c2pa.Context(c2pa.Settings.from_dict({"verify": verify, "trust": trust}))
    with open(done, "rb") as file, c2pa.Reader("image/png", file, context=context):
        assert listener.visits > 0
    listener.socket.close()


def test_no_python_socket_is_opened(tmp_path, monkeypatch):
    """Connections of c2pa's native library are not seen here, but by the servers above."""

    def refuse(*given, **more):
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert read(signed(make(tmp_path / "grey.png"))).state is State.OURS
