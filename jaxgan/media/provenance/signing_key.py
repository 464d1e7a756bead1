"""The private key with which this installation signs its files, and the certificate; created at first use.

They are stored in `$XDG_CONFIG_HOME/jaxgan/credentials`. A damaged key is never replaced, because the files that it
signed would then count as a stranger's.
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
from typing import NamedTuple

from jaxgan.errors import UserError

C2PA_USAGE = "1.3.6.1.4.1.62558.2.1"  # key usage for C2PA claims; c2pa also requires the one for e-mail
YEARS = 10  # a credential without a third party's time stamp is valid as long as its certificate
ROOT, CERTIFICATE, KEY = "root.pem", "certificate.pem", "key.pem"
FILES = (ROOT, CERTIFICATE, KEY)
ELSEWHERE = "set XDG_CONFIG_HOME to a writable folder, or write without credentials: --provenance=false"


class CredentialError(UserError):
    """A credential cannot be written or read; the message is one line."""


class Identity(NamedTuple):
    """The key and certificates of this installation, as PEM."""

    root: bytes
    certificate: bytes  # signed by the root
    key: bytes  # private key of the certificate
    expires: datetime.datetime


def folder() -> Path:
    """The folder of the key. Raises CredentialError if there is no home directory."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        home = Path(given if os.path.isabs(given) else "~/.config").expanduser()  # relative paths are ignored
    except RuntimeError as error:
        raise CredentialError(
            "XDG_CONFIG_HOME: got none, and there is no home directory, expected a folder for the key of credentials"
        ) from error
    return home / "jaxgan" / "credentials"


def load(place: Path) -> Identity:
    """Loads the key in a folder, and creates it if there is none. Raises CredentialError if it is damaged."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        complete = set(FILES) <= set(_found(place))
    except OSError as error:
        raise CredentialError(f"{place}: {_reason(error)}; {ELSEWHERE}") from error
    if not complete:  # there is none, or another process is creating it
        _make(place)
    root, chain, key = (_stored(place / name) for name in FILES)
    with blamed(place):
        certificate = x509.load_pem_x509_certificate(chain)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(root))
        if serialization.load_pem_private_key(key, None).public_key() != certificate.public_key():
            raise ValueError("the key does not belong to the certificate")
    _demand_guarded(place)
    return Identity(root, chain, key, certificate.not_valid_after_utc)


def load_root() -> bytes | None:
    """The root certificate of this installation; None if there is none yet, or it cannot be accessed.

    Raises CredentialError if it is damaged.
    """
    from cryptography import x509

    try:
        place = folder()
        if not _found(place):
            return None
        root = (place / ROOT).read_bytes()
    except FileNotFoundError:  # in a folder that has a key
        root = _stored(place / ROOT)
    except (CredentialError, OSError):
        return None
    with blamed(place):
        x509.load_pem_x509_certificate(root)
    return root


@contextlib.contextmanager
def blamed(place: Path) -> Iterator[None]:
    """Turns errors of using the stored files into a CredentialError that they are damaged."""
    try:
        yield
    except Exception as error:  # cryptography and c2pa raise many kinds
        raise CredentialError(f"{place}: key or certificate is damaged; {_advice(place)}") from error


def _found(place: Path) -> list[str]:
    """The files of a key that are in a folder. A folder without any, such as a new volume, counts as missing."""
    try:
        return [name for name in FILES if name in os.listdir(place)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _stored(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialError(f"{path}: {_reason(error)}; {_advice(path.parent)}") from error


def _advice(place: Path) -> str:
    return (
        f"restore a copy, or move {place} away to get a new key (files signed with the old one then count as a "
        "stranger's), or write without credentials: --provenance=false"
    )


def _make(folder: Path) -> None:
    """Creates folder and files; if another process was faster, its key is used.

    An existing empty folder is filled rather than replaced: it may be a mounted volume.
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
        raise CredentialError(f"{folder}: no key can be created here: {_reason(error)}; {ELSEWHERE}") from error


def _fill(folder: Path) -> None:
    """Moves the files of a new key into a folder, under a lock against other processes."""
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
            with contextlib.suppress(OSError):  # not every volume supports modes
                folder.chmod(0o700)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks a folder against other processes that create a key; waits for the lock."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # the file system may have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(folder: Path) -> None:
    """Writes the files of a new key, and syncs them to disk."""
    for name, content in _new_key().items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _keep(folder)


def _keep(folder: Path) -> None:
    """Syncs a folder's entries to disk, if possible."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_own(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _demand_guarded(place: Path) -> None:
    """Raises CredentialError, as ssh does, if other users can read or replace the key.

    Files of another owner, such as those mounted into a container, are not checked: this user cannot set their modes.
    """
    for path, others, wanted in ((place, 0o022, "700"), (place / KEY, 0o077, "600")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if _is_own(path) and mode & others:
            raise CredentialError(
                f"{path}: got mode {mode:04o}, which lets others sign as this installation: chmod {wanted} it if the "
                f"key has not leaked, or move {place} away to get a new key, or write without credentials: "
                "--provenance=false"
            )


def _new_key() -> dict[str, bytes]:
    """A root certificate, a certificate signed by it, and the latter's key. The root's own key is not stored."""
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
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)  # a margin for clocks that differ

    def certificate(name: x509.Name, of: ec.EllipticCurvePrivateKey, *, root: bool) -> x509.Certificate:
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
