"""The key with which this installation signs what it writes, and its certificate: made at first use, known to nobody.

They lie in `$XDG_CONFIG_HOME/jaxgan/credentials`. A damaged one is never replaced: files that it signed would be a
stranger's.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.errors import UserError

C2PA_USAGE = "1.3.6.1.4.1.62558.2.1"  # of a certificate: to sign claims of C2PA; c2pa wants one for e-mail beside it
YEARS = 10  # a credential without a time stamp of others holds as long as its certificate
ROOT, CERTIFICATE, KEY = "root.pem", "certificate.pem", "key.pem"
FILES = (ROOT, CERTIFICATE, KEY)
ELSEWHERE = "set XDG_CONFIG_HOME to a folder that can be written, or write without credentials: --provenance=false"


class CredentialError(UserError):
    """Why a credential cannot be written or read, in one line."""


class Identity(NamedTuple):
    """What this installation signs with, as PEM."""

    root: bytes
    certificate: bytes  # signed by the root
    key: bytes  # the certificate's
    expires: datetime.datetime


def folder() -> Path:
    """Where the key lies. Raises CredentialError where there is no home."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        home = Path(given if os.path.isabs(given) else "~/.config").expanduser()  # relative ones do not count
    except RuntimeError as error:
        raise CredentialError("there is no home for the key of credentials: set XDG_CONFIG_HOME") from error
    return home / "jaxgan" / "credentials"


def load(place: Path) -> Identity:
    """The key in a folder, which is made where there is none. Raises CredentialError for one that is damaged."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        complete = set(FILES) <= set(_found(place))
    except OSError as error:
        raise CredentialError(f"{place}: {_told(error)}; {ELSEWHERE}") from error
    if not complete:  # there is none, or another process is at it
        _make(place)
    root, chain, key = (_stored(place / name) for name in FILES)
    with blamed(place):
        certificate = x509.load_pem_x509_certificate(chain)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(root))
        if serialization.load_pem_private_key(key, None).public_key() != certificate.public_key():
            raise ValueError("the key is another certificate's")
    _demand_guarded(place)
    return Identity(root, chain, key, certificate.not_valid_after_utc)


def load_root() -> bytes | None:
    """The root in this installation's folder; None where there is none yet, or it cannot be reached.

    Raises CredentialError for a damaged one.
    """
    from cryptography import x509

    try:
        place = folder()
        if not _found(place):
            return None
        root = (place / ROOT).read_bytes()
    except FileNotFoundError:  # of a folder with a key
        root = _stored(place / ROOT)
    except (CredentialError, OSError):
        return None
    with blamed(place):
        x509.load_pem_x509_certificate(root)
    return root


@contextlib.contextmanager
def blamed(place: Path) -> Iterator[None]:
    """What cannot be done with the stored files is told as their fault."""
    try:
        yield
    except Exception as error:  # of cryptography and of c2pa, which have many
        raise CredentialError(f"{place}: key or certificate is damaged; {_advice(place)}") from error


def _found(place: Path) -> list[str]:
    """Which files of a key are in a folder. An empty one, such as a volume that is new, is as good as none."""
    try:
        return [name for name in FILES if name in os.listdir(place)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _told(error: OSError) -> str:
    return error.strerror or str(error)


def _stored(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialError(f"{path}: {_told(error)}; {_advice(path.parent)}") from error


def _advice(place: Path) -> str:
    return (
        f"bring back a copy, or move {place} away and a new key is made (files of the old one are then a stranger's), "
        "or write without credentials: --provenance=false"
    )


def _make(folder: Path) -> None:
    """Makes folder and files; where another process was quicker, its key is the one.

    A folder that is there, and empty, is kept as it is: it may be a volume, which cannot be moved to.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_dir():
            _fill(folder)
            return
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # mode 0700
        try:
            _write(part)
            try:
                os.rename(part, folder)
            except OSError:
                if not folder.is_dir():
                    raise
            _keep(folder.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CredentialError(f"{folder}: no key can be made here: {_told(error)}; {ELSEWHERE}") from error


def _fill(folder: Path) -> None:
    """Moves the files of a new key into a folder, which other processes leave alone meanwhile."""
    with _locked(folder):
        if _found(folder):
            return
        part = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            _write(part)
            for name in FILES:
                os.rename(part / name, folder / name)
            _keep(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        if _is_own(folder):
            with contextlib.suppress(OSError):  # a volume need not have modes
                folder.chmod(0o700)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process is making a key in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not on a file system that has no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(folder: Path) -> None:
    """A new key's files, which a power cut does not take away any more."""
    for name, content in _new_key().items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _keep(folder)


def _keep(folder: Path) -> None:
    """Has the disk keep the names in a folder, where it can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_own(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _demand_guarded(place: Path) -> None:
    """Raises CredentialError where others can use the key, or put another in its place, as ssh does.

    Of what is another user's, such as a file that a container is given, the modes are not this user's to set.
    """
    for path, others, wanted in ((place, 0o022, "700"), (place / KEY, 0o077, "600")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if _is_own(path) and mode & others:
            raise CredentialError(
                f"{path}: its mode {mode:04o} lets others sign as this installation: chmod {wanted} it if nobody "
                f"had it, or move {place} away and a new key is made, or write without credentials: --provenance=false"
            )


def _new_key() -> dict[str, bytes]:
    """A root, a certificate that it signed, and that one's key. The root's own key is forgotten."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "jaxgan")
    names = [
        x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, each)])
        for each in ("jaxgan local root", "jaxgan local signer")
    ]
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)  # clocks differ

    def certificate(name: x509.Name, of: ec.EllipticCurvePrivateKey, *, root: bool) -> Any:
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=1 + 365 * YEARS))
            .add_extension(x509.BasicConstraints(root, 0 if root else None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )
        if not root:
            uses = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ObjectIdentifier(C2PA_USAGE)]
            made = made.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return made.sign(root_key, hashes.SHA256())

    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return {
        ROOT: certificate(names[0], root_key, root=True).public_bytes(pem),
        CERTIFICATE: certificate(names[1], key, root=False).public_bytes(pem),
        KEY: key.private_bytes(pem, pkcs8, serialization.NoEncryption()),
    }
