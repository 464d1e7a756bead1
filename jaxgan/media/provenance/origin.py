"""What made a file, and how that is written into it: as XMP, and as a credential (C2PA) where c2pa-python is there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Literal

import jaxgan
from jaxgan.media.provenance.embedding import embed_xmp, extract_xmp, with_xmp
from jaxgan.media.provenance.xmp import SOURCE_TYPES, Statement, make_packet, parse_packet
from jaxgan.system.plain import plain

TOOL = f"jaxgan {jaxgan.__version__}"
NO_CREDENTIAL = "no signed credential is in the files, which needs c2pa-python: pip install -e '.[provenance]'"


@dataclasses.dataclass(frozen=True)
class Origin:
    """What made a picture or a film."""

    action: Literal["created", "restored"]
    description: str  # one sentence, such as "samples of a generator" or what the restorer was trained for
    model: str  # the name of the run, or of the published model
    step: int | None = None  # of the checkpoint
    seed: int | None = None
    config_sha256: str | None = None  # of the run's config
    parent: Path | None = None  # the file that was restored
    mixed: bool = False  # beside generated pictures it shows others, such as a search's target

    @property
    def source_type(self) -> str:
        """The IPTC's word for it, a URI."""
        composite = self.action == "restored" or self.mixed
        return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia")


class Remark(str):
    """What a file does not say about its origin, and why; the same for all files of a kind."""


class Unsigned(Remark):
    """A credential, or XMP, that could not be made, though all that it needs is there."""


def packet_of(origin: Origin) -> bytes:
    """The XMP of one file: each call makes a new identifier."""
    version = None if origin.step is None else f"step {origin.step}"
    return make_packet(
        source_type=origin.source_type,
        tool=TOOL,
        model=origin.model,
        version=version,
        description=origin.description,
    )


def film_tags(origin: Origin) -> dict[str, str]:
    """What a writer of Matroska or WebM gives its container as metadata, which `read_xmp` finds there."""
    return {"XMP": packet_of(origin).decode()}


def mark_file(path: Path, suffix: str, origin: Origin, *, title: str) -> tuple[str, ...]:
    """Writes into a whole file what made it; remarks (`Remark`) about what this kind cannot say.

    `path` can have any name, such as that of a file which is still to be moved into place; `suffix` says what it holds
    and `title` how it will be called. What cannot be written, such as a credential without a key, or anything on a
    full disk (`Unsigned`), leaves the file as it was. Raises OSError for a file that cannot be read.
    """
    remarks = describe_file(path, suffix, origin)
    return (*remarks, *sign_file(path, suffix, origin, title=title))


def describe_file(path: Path, suffix: str, origin: Origin) -> tuple[str, ...]:
    """The first half of `mark_file`: the XMP."""
    from jaxgan.media.provenance import credentials  # which knows what an origin is from here

    try:
        described = embed_xmp(path, packet_of(origin))
    except OSError as error:
        return (Unsigned(f"no XMP: {plain(error.strerror or error)}"),)
    if described or digital_source_type(path) == origin.source_type:
        return ()
    kind = suffix.removeprefix(".").upper()
    if suffix.lower() in credentials.CARRIERS:
        return (Remark(f"{kind} holds no XMP"),)
    return (Remark(f"{kind} cannot say that a model made it: it holds neither XMP nor a credential"),)


def sign_file(path: Path, suffix: str, origin: Origin, *, title: str) -> tuple[str, ...]:
    """The second half of `mark_file`: the credential. The signed file takes the place of the other in one move."""
    from jaxgan.media.provenance import credentials

    kind, suffix = suffix.removeprefix(".").upper(), suffix.lower()
    if suffix not in credentials.CARRIERS:
        described = digital_source_type(path) is not None
        return (Remark(f"{kind} holds XMP, but no signed credential"),) if described else ()
    if not credentials.available():
        return (Remark(NO_CREDENTIAL),)
    signed = path.with_name(f"{path.name}.signed")
    try:
        credentials.sign(path, signed, suffix, origin, title=title)
        os.replace(signed, path)
    except credentials.CredentialError as error:
        return (Unsigned(f"no signed credential: {plain(error)}"),)
    except OSError as error:
        return (Unsigned(f"no signed credential: {plain(error.strerror or error)}"),)
    finally:
        with contextlib.suppress(OSError):
            signed.unlink(missing_ok=True)
    return ()


def mark_bytes(content: bytes, suffix: str, origin: Origin | None, *, title: str) -> tuple[bytes, tuple[str, ...]]:
    """As `mark_file`, for a file that is still in memory; None: as it is."""
    if origin is None:
        return content, ()
    try:
        with tempfile.TemporaryDirectory(prefix="jaxgan-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / f"file{suffix}"
            path.write_bytes(content)
            remarks = mark_file(path, suffix, origin, title=title)
            return path.read_bytes(), remarks
    except OSError as error:
        reason = f"no temporary file: {plain(error.strerror or error)}"
        return with_xmp(content, packet_of(origin)), (Unsigned(f"no signed credential: {reason}"),)


def read_xmp(path: Path) -> str | None:
    """The XMP packet of a file, whoever wrote it; None where there is none. Raises OSError."""
    return extract_xmp(path)


def read_statement(path: Path) -> Statement | None:
    """What the XMP of a file says about its making; None where there is no XMP, or none that can be read."""
    text = read_xmp(path)
    return None if text is None else parse_packet(text)


def digital_source_type(path: Path) -> str | None:
    """The IPTC's word for what made a file, a URI; None where its XMP has none."""
    said = read_statement(path)
    return None if said is None else said.source_type
