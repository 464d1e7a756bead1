"""The key of an installation is created once, is private, and is never replaced."""

import datetime
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from signing import CREATED, elsewhere, make, signed

from jaxgan.errors import UserError
from jaxgan.media.images import save_image
from jaxgan.media.provenance import credentials, signing_key
from jaxgan.media.provenance.credentials import CredentialError, State, read
from jaxgan.media.provenance.origin import Unsigned, read_statement
from jaxgan.media.reading import Picture
from jaxgan.media.writing import write_picture

c2pa = pytest.importorskip("c2pa")
pytestmark = pytest.mark.usefixtures("installation")


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
    """C2PA's requirements for a certificate (specification 2.1, 14.5.1)."""
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


@pytest.mark.slow
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


def test_a_slower_process_uses_the_first_ones_key(tmp_path):
    signing_key._make(signing_key.folder())
    first = signing_key.load(signing_key.folder())
    signing_key._make(signing_key.folder())
    assert signing_key.load(signing_key.folder()) == first


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
    with pytest.raises(CredentialError, match="restore a copy") as told:
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
    with pytest.raises(CredentialError, match=r"no key can be created here: .*XDG_CONFIG_HOME"):
        signed(make(tmp_path / "grey.png"))


def test_a_relative_home_does_not_count(monkeypatch):
    """XDG base directory specification: "All paths set in these environment variables must be absolute"."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(signing_key.folder()) == "/home/someone/.config/jaxgan/credentials"


@pytest.mark.slow
def test_an_expired_certificate_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(signing_key, "YEARS", 2.5 / (365 * 24 * 60 * 60))  # valid for 2.5 seconds
    path = make(tmp_path / "grey.png")
    done = signed(path)
    assert read(done).state is State.OURS
    time.sleep(3.5)
    with pytest.raises(CredentialError, match=r"expired on .*: move that folder away"):
        signed(make(tmp_path / "a.jpg"))
    assert not (tmp_path / "signed-a.jpg").exists()
    assert (read(done).state, read(done).reason) == (State.STRANGER, "its certificate has expired")


@pytest.fixture
def elsewhere_writable():
    """A folder that everybody may write to; pytest's own are private."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def too_long(folder):
    return folder / ("a" * 300)


def a_loop(folder):
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def no_entry(folder):
    """A home folder of another user: root changes its user until the test ends."""
    (folder / "home").mkdir(mode=0o700)
    if os.geteuid():
        (folder / "home").chmod(0)
    else:
        os.seteuid(65534)
    return folder / "home"


def no_writing(folder):
    (folder / "home").mkdir()
    (folder / "home").chmod(0o555)
    if not os.geteuid():
        os.seteuid(65534)
    return folder / "home"


@pytest.fixture
def root_again():
    user = os.geteuid()
    yield
    os.seteuid(user)


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("home", [too_long, a_loop, no_entry, no_writing])
def test_a_home_that_cannot_be_reached_costs_only_the_credential(home, monkeypatch, elsewhere_writable, root_again):
    """Neither the picture, which has its XMP, nor the command that reads other writers' files."""
    folder = elsewhere_writable
    theirs = signed(make(folder / "grey.png"))
    elsewhere(monkeypatch, home(folder))
    for name, write in (("a.png", save_image), ("b.jpg", save_jpeg)):
        (remark,) = write(np.zeros((8, 8, 3), np.uint8), folder / name, CREATED)
        assert isinstance(remark, Unsigned)
        assert "\n" not in remark
        assert "--provenance=false" in remark
        assert read_statement(folder / name).model == "a run"
    assert signing_key.load_root() is None
    credentials.own_certificate()
    assert read(theirs).state is State.STRANGER


def save_jpeg(pixels, path, origin):
    return write_picture(path, Picture(pixels), origin)


def test_the_picture_survives_any_disk_error(tmp_path, monkeypatch):
    def fails(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(credentials, "sign", fails)
    (remark,) = save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png", CREATED)
    assert remark == "no signed credential: No space left on device"
    assert read_statement(tmp_path / "a.png").model == "a run"


FILES = ["certificate.pem", "key.pem", "root.pem"]


@pytest.mark.parametrize("content", [[], ["lost+found"]])
def test_an_empty_folder_is_a_place_for_a_key(content, tmp_path):
    """A mounted volume, which can neither be removed nor replaced."""
    folder = signing_key.folder()
    folder.mkdir(parents=True)
    for each in content:
        (folder / each).mkdir()
    number = folder.stat().st_ino
    assert signing_key.load_root() is None
    assert read(signed(make(tmp_path / "grey.png"))).state is State.OURS
    assert folder.stat().st_ino == number
    assert sorted(each.name for each in folder.iterdir()) == sorted(FILES + content)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


@pytest.mark.slow
def test_processes_that_begin_at_once_fill_a_folder_once(tmp_path):
    signing_key.folder().mkdir(parents=True)
    code = (
        "import sys, time; from jaxgan.media.provenance import signing_key as k; from cryptography import x509\n"
        "time.sleep(max(0, float(sys.argv[1]) - time.time())); print(k.load(k.folder()).certificate)"
    )
    start = str(time.time() + 2)
    began = [subprocess.Popen([sys.executable, "-c", code, start], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = {each.communicate()[0] for each in began}
    assert told == {f"{signing_key.load(signing_key.folder()).certificate}\n"}
    assert sorted(each.name for each in signing_key.folder().iterdir()) == FILES


@pytest.mark.parametrize("folder_is_there", [False, True])
def test_a_new_key_is_on_the_disk_before_it_has_its_name(folder_is_there, tmp_path, monkeypatch):
    """Otherwise a power cut leaves empty files, which are never replaced."""
    if folder_is_there:
        signing_key.folder().mkdir(parents=True)
    kept, rename, fsync = set(), os.rename, os.fsync

    def keeping(descriptor):
        kept.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def renaming(source, target):
        moved = list(Path(source).iterdir()) if Path(source).is_dir() else [Path(source)]
        assert {each.stat().st_ino for each in moved} <= kept
        rename(source, target)

    monkeypatch.setattr(os, "fsync", keeping)
    monkeypatch.setattr(os, "rename", renaming)
    signing_key.load(signing_key.folder())
    assert len(kept) >= 4


@pytest.mark.parametrize(
    ("name", "mode", "wanted"), [("key.pem", 0o640, "600"), ("key.pem", 0o604, "600"), ("", 0o770, "700")]
)
def test_a_key_that_others_can_use_is_not_used(name, mode, wanted, tmp_path):
    """As in ssh: "Permissions 0640 are too open"; a folder that others may only read is accepted."""
    path = make(tmp_path / "grey.png")
    signed(path)
    wide = signing_key.folder() / name
    wide.chmod(mode)
    credentials._signing.cache_clear()  # another process
    with pytest.raises(CredentialError, match=f"mode 0{mode:o}, which lets others sign .* chmod {wanted}"):
        signed(path)
    assert stat.S_IMODE(wide.stat().st_mode) == mode
    wide.chmod(int(wanted, 8))
    signing_key.folder().chmod(0o755)
    assert read(signed(path)).state is State.OURS
