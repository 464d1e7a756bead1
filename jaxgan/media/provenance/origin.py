"""The origin of a file, and how it is written into it: as XMP, and as a C2PA credential if c2pa-python is installed."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Literal

import jaxgan
from jaxgan.media.provenance.embedding import embed_xmp, extract_xmp, with_xmp
from jaxgan.media.provenance.xmp import SOURCE_TYPES, Statement, make_packet, parse_packet
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replacing

TOOL = f"jaxgan {jaxgan.__version__}"
NO_CREDENTIAL = "the files have no signed credential, which needs c2pa-python: pip install -e '.[provenance]'"


@dataclasses.dataclass(frozen=True)
class Origin:
    """The origin of a picture or a film: what made it."""

    action: Literal["created", "restored"]
    description: str  # a phrase, such as "samples of a generator" or what the restorer was trained for
    model: str  # the name of the run, or of the published model
    step: int | None = None  # of the checkpoint
    seed: int | None = None
    config_sha256: str | None = None  # of the run's config
    parent: Path | None = None  # the file that was restored
    mixed: bool = False  # it also shows pictures that were not generated, such as the target of a projection

    @property
    def source_type(self) -> str:
        """The IPTC's digital source type, a URI."""
        composite = self.action == "restored" or self.mixed
        return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia")


class Remark(str):
    """What cannot be stored of a file's origin, and why; the same for all files of a kind."""


class Unsigned(Remark):
    """A credential, or XMP, that could not be written although its requirements are met."""


def packet_of(origin: Origin) -> bytes:
    """The XMP of one file; each call gives a new identifier."""
    version = None if origin.step is None else f"step {origin.step}"
    return make_packet(
        source_type=origin.source_type,
        tool=TOOL,
        model=origin.model,
        version=version,
        description=origin.description,
    )


def film_tags(origin: Origin) -> dict[str, str]:
    """The metadata by which a writer of Matroska or WebM stores the XMP, so that `read_xmp` finds it."""
    return {"XMP": packet_of(origin).decode()}


def mark_file(path: Path, suffix: str, origin: Origin, *, title: str) -> tuple[str, ...]:
    """Writes the origin into a complete file; returns remarks (`Remark`) about what its kind cannot store.

    `path` may have any name, such as that of a temporary file; `suffix` is the kind of the content, and `title` the
    final name. If something cannot be written, for example without a key or on a full disk (`Unsigned`), the file is
    left unchanged. Raises OSError for a file that cannot be read.
    """
    remarks = describe_file(path, suffix, origin)
    return (*remarks, *sign_file(path, suffix, origin, title=title))


def describe_file(path: Path, suffix: str, origin: Origin) -> tuple[str, ...]:
    """The first half of `mark_file`: writes the XMP."""
    from jaxgan.media.provenance import credentials  # imported late, because it imports this module

    try:
        described = embed_xmp(path, packet_of(origin))
    except OSError as error:
        return (Unsigned(f"no XMP: {plain(error.strerror or error)}"),)
    if described or digital_source_type(path) == origin.source_type:
        return ()
    kind = suffix.removeprefix(".").upper()
    if suffix.lower() in credentials.CARRIERS:
        return (Remark(f"{kind} holds no XMP"),)
    return (Remark(f"{kind} cannot store that a model made it: it holds neither XMP nor a credential"),)


def sign_file(path: Path, suffix: str, origin: Origin, *, title: str) -> tuple[str, ...]:
    """The second half of `mark_file`: writes the credential. The signed file replaces the original atomically."""
    from jaxgan.media.provenance import credentials

    kind, suffix = suffix.removeprefix(".").upper(), suffix.lower()
    if suffix not in credentials.CARRIERS:
        described = digital_source_type(path) is not None
        return (Remark(f"{kind} holds XMP, but no signed credential"),) if described else ()
    if not credentials.available():
        return (Remark(NO_CREDENTIAL),)
    try:
        with replacing(path) as signed:
            credentials.sign(path, signed, suffix, origin, title=title)
    except credentials.CredentialError as error:
        return (Unsigned(f"no signed credential: {plain(error)}"),)
    except OSError as error:
        return (Unsigned(f"no signed credential: {plain(error.strerror or error)}"),)
    return ()


def mark_bytes(content: bytes, suffix: str, origin: Origin | None, *, title: str) -> tuple[bytes, tuple[str, ...]]:
    """Like `mark_file`, for a file in memory; unchanged if `origin` is None."""
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
    """The XMP packet of a file, from any writer; None if there is none. Raises OSError."""
    return extract_xmp(path)


def read_statement(path: Path) -> Statement | None:
    """The origin that the XMP of a file states; None if there is no XMP, or it cannot be read."""
    text = read_xmp(path)
    return None if text is None else parse_packet(text)


def digital_source_type(path: Path) -> str | None:
    """The IPTC's digital source type of a file, a URI; None if its XMP has none."""
    statement = read_statement(path)
    return None if statement is None else statement.source_type
