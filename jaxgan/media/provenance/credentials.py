"""C2PA credentials: signed statements inside a file about what made it. The only module that uses c2pa.

They are signed with a key that this installation created for itself (`signing_key`). So a credential proves here that
the file is unchanged since this installation wrote it, and elsewhere only that somebody signed it. The network is not
used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import functools
import hashlib
import importlib.util
import io
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import jaxgan
from jaxgan.media.kinds import MEDIA_TYPES
from jaxgan.media.provenance import jumbf, signing_key
from jaxgan.media.provenance.iso_boxes import TooManyBoxesError, demand_few
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.provenance.signing_key import CredentialError
from jaxgan.system.plain import plain

ISO_TYPES = ("image/avif", "video/mp4", "video/quicktime", "video/x-m4v")
# c2pa refuses .bmp, .mkv, .webm, .ts, .mpg, .mxf, .flv, .3gp and .y4m, and holds an .avi in memory twice
CARRIERS = frozenset(MEDIA_TYPES)
RUN = "org.jaxgan.run"  # the name of our own assertion
UNKNOWN, EXPIRED = "signingCredential.untrusted", "signingCredential.expired"
PARENT, TOOL = "parent", "claim_generator_info"
LARGE = 2**26  # bytes; larger files are not held in memory, and larger films are hashed in pieces
BUFFER = 2**20  # bytes
LONGEST_SAID = 500  # characters: longer texts of a credential are shortened
BACKING_MB = 16  # of a file that c2pa keeps in memory; the rest goes to a temporary file
OFFLINE = {
    "builder": {"thumbnail": {"enabled": False}},  # else 130 KB per picture
    "core": {"backing_store_memory_threshold_in_mb": BACKING_MB},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}
# for films: a hash for every 32 MB, all of them in the credential. Else up to 512 MB of a film are in memory
IN_PIECES = {
    "core": {
        "backing_store_memory_threshold_in_mb": BACKING_MB,
        "merkle_tree_chunk_size_in_kb": 2**15,
        "merkle_tree_max_proofs": 0,
    }
}
# There is no assertion about training on these files (cawg.training-mining), because the user has to decide on it.


class State(enum.Enum):
    """The result of checking a credential."""

    OURS = "of this installation"
    STRANGER = "of a stranger"  # a valid signature of someone else
    CHANGED = "changed since"  # the file or the credential was changed after signing
    DAMAGED = "damaged"  # the credential cannot be read


@dataclasses.dataclass(frozen=True)
class Credential:
    """The state of a file's credential, and its content."""

    state: State
    source_type: str | None = None  # the last part of IPTC's URI, such as trainedAlgorithmicMedia
    tool: str | None = None  # name and version
    model: str | None = None
    description: str | None = None
    time: str | None = None
    parent: str | None = None  # the name of the file that was restored
    reason: str | None = None  # why it counts as changed or damaged


def available() -> bool:
    """Whether c2pa-python is installed, without importing it."""
    return importlib.util.find_spec("c2pa") is not None


def sign(path: Path, signed: Path, suffix: str, origin: Origin, *, title: str) -> None:
    """Copies a finished file of the kind of `suffix` (one of CARRIERS) to `signed`, with a credential in it.

    Memory does not grow with the file. The parent's own credential is included if it has one; else the parent is
    recorded by name and SHA-256. A parent that cannot be read, or whose credential is damaged, is not an error. Raises
    CredentialError and then leaves no `signed`.
    """
    if suffix.lower() not in MEDIA_TYPES:
        raise CredentialError(
            f"got suffix {suffix}, which holds no credential, expected one of {', '.join(sorted(CARRIERS))}"
        )
    if path.resolve() == signed.resolve():
        raise ValueError(f"{signed}: got the same file as source and target, expected two files")
    try:
        _sign(path, signed, MEDIA_TYPES[suffix.lower()], origin, title)
    except BaseException:
        with contextlib.suppress(OSError):
            signed.unlink(missing_ok=True)
        raise


def read(path: Path) -> Credential | None:
    """Reads and checks the credential of a file; None if there is none or its kind holds none.

    Raises CredentialError for a file that cannot be read.
    """
    c2pa = _c2pa()
    trusting = _reading()
    try:
        _demand_few_boxes(path, _type_of(path))
        with open(path, "rb") as file, c2pa.Reader(_type_of(path), file, context=trusting) as reader:
            active = _active(json.loads(reader.json()))
            found = _judged(reader.get_validation_state(), reader.get_validation_results(), active)
        outside = _assertions(active).get(RUN, {}).get("boxes_sha256")
        if found.state is State.OURS and not (jumbf.intact(path) and jumbf.sum_outside(path) == outside):
            return dataclasses.replace(found, state=State.CHANGED, reason="in bytes that its hash leaves out")
        return found
    except TooManyBoxesError as error:
        return Credential(State.DAMAGED, reason=str(error)) if jumbf.present(path) else None
    except OSError as error:
        raise CredentialError(f"{path}: {error.strerror or error}") from error
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return None
    except c2pa.C2paError as error:
        return Credential(State.DAMAGED, reason=_said(error)) if jumbf.present(path) else None


def check_loads() -> None:
    """Imports c2pa-python. Raises CredentialError if it is missing or cannot be loaded."""
    _c2pa()


def own_certificate() -> None:
    """Raises CredentialError if this installation's certificate exists and cannot be read; creates none."""
    signing_key.load_root()


def _sign(path: Path, signed: Path, kind: str, origin: Origin, title: str) -> None:
    c2pa = _c2pa()
    folder, now = signing_key.folder(), datetime.datetime.now(datetime.UTC)
    try:
        tools = _signing(folder, os.getpid())
        if now > tools.expires:
            raise CredentialError(
                f"the certificate in {folder} expired on {tools.expires:%d %B %Y}: move that folder away to get a new "
                "one, or write without credentials: --provenance=false"
            )
        _demand_few_boxes(path, kind)
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        parent = _fingerprint(origin.parent) if origin.action == "restored" and origin.parent else None
        manifest = _manifest(origin, title, time, parent, jumbf.sum_outside(path))
        parent_path = origin.parent if parent else None
        if path.stat().st_size <= LARGE:
            content = io.BytesIO()  # twice as fast as a file
            with _builder(manifest, parent_path, tools.whole) as builder, open(path, "rb") as source:
                builder.sign(tools.signer, kind, source, content)
            signed.write_bytes(content.getbuffer())
            return
        context = tools.in_pieces if jumbf.is_one_piece(path) else tools.whole  # c2pa mixes up the pieces of several
        builder = _builder(manifest, parent_path, context)
        with builder, open(path, "rb", BUFFER) as source, open(signed, "w+b", BUFFER) as target:
            builder.sign(tools.signer, kind, source, target)
    except OSError as error:
        raise CredentialError(f"no credential for {plain(title)}: {error.strerror or error}") from error
    except c2pa.C2paError as error:
        raise CredentialError(f"no credential for {plain(title)}: {_said(error)}") from error
    except TooManyBoxesError as error:
        raise CredentialError(f"no credential for {plain(title)}: {error}") from error


def _demand_few_boxes(path: Path, kind: str | None) -> None:
    """Raises TooManyBoxesError for too many boxes, since c2pa's time grows with the square of their number."""
    if kind in ISO_TYPES:
        demand_few(path)


def _builder(manifest: dict[str, Any], parent: Path | None, context: Any) -> Any:
    """The builder of a manifest, with the parent's credential if c2pa accepts it, else with the parent's name.

    A parent without a credential is not given to c2pa, which would copy an identifier and an address from its XMP.
    """
    c2pa = _c2pa()
    if parent is None:
        return c2pa.Builder(manifest, context)
    kind = MEDIA_TYPES.get(parent.suffix.lower())
    ingredient = {
        "title": _name(parent),
        "relationship": "parentOf",
        "label": PARENT,
        "instance_id": f"xmp:iid:{uuid.uuid4()}",  # else c2pa takes the input's
        **({"format": kind} if kind else {}),
    }
    recorded = manifest["assertions"][-1]["data"][PARENT]
    if kind and parent.is_file():
        builder = None
        try:
            if jumbf.present(parent):
                _demand_few_boxes(parent, kind)
                builder = c2pa.Builder(manifest, context)
                with open(parent, "rb") as file:
                    builder.add_ingredient(ingredient, kind, file)
                return builder
        except (OSError, TooManyBoxesError, c2pa.C2paError) as error:
            if builder is not None:
                builder.close()
            recorded["remark"] = f"its own credential could not be carried on: {_said(error)}"
    return c2pa.Builder({**manifest, "ingredients": [ingredient]}, context)


def _manifest(
    origin: Origin, title: str, time: str, parent: dict[str, str] | None, outside: str | None
) -> dict[str, Any]:
    """The statement that is signed."""
    agent = {"name": "jaxgan", "version": jaxgan.__version__}
    made = {"when": time, "softwareAgent": agent, "description": _utf8(origin.description)}
    if parent:
        actions = [
            {"action": "c2pa.opened", "when": time, "parameters": {"ingredientIds": [PARENT]}},
            {"action": "c2pa.edited", "digitalSourceType": origin.source_type, **made},
        ]
    else:
        actions = [{"action": "c2pa.created", "digitalSourceType": origin.source_type, **made}]
    run = {
        "system": "jaxgan",  # this and the next three are California's hidden disclosure; the provider is the user
        "version": jaxgan.__version__,
        "time": time,
        "id": str(uuid.uuid4()),
        "model": _utf8(origin.model),
        "step": origin.step,
        "seed": origin.seed,
        "config_sha256": origin.config_sha256,
        "boxes_sha256": outside,
        PARENT: parent,
    }
    return {
        TOOL: [agent],
        "title": _utf8(title),
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": RUN, "data": {name: value for name, value in run.items() if value is not None}},
        ],
    }


def _fingerprint(path: Path) -> dict[str, str]:
    """Name and SHA-256 of a file; for a folder, the SHA-256 of the list that sha256sum prints for its files."""
    found = {"name": _name(path)}
    with contextlib.suppress(OSError):
        if path.is_dir():
            files = sorted(each for each in path.rglob("*") if each.is_file() and not _hidden(each, path))
            lines = [f"{_sha256(each)}  {each.relative_to(path).as_posix()}\n" for each in files]
            found["files_sha256"] = hashlib.sha256(os.fsencode("".join(lines))).hexdigest()
        else:
            found["sha256"] = _sha256(path)
    return found


def _name(path: Path) -> str:
    """The file's name as given by the user, without resolving links."""
    return _utf8(path.name if path.name not in ("", "..") else path.resolve().name)


def _utf8(text: str) -> str:
    """Text that can be encoded as UTF-8, since file names may contain any bytes."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _judged(state: str | None, results: Any, active: Mapping[str, Any]) -> Credential:
    """The credential with its state, from c2pa's results. Trusted means that our own root key signed it."""
    failures = [str(each.get("code")) for each in (results or {}).get("activeManifest", {}).get("failure", [])]
    if state == "Trusted" and not failures:
        found, reason = State.OURS, None
    elif state == "Valid" or (EXPIRED in failures and set(failures) <= {UNKNOWN, EXPIRED}):
        found, reason = State.STRANGER, "its certificate has expired" if EXPIRED in failures else None
    elif any(code.endswith(".mismatch") for code in failures):
        found, reason = State.CHANGED, None
    else:
        found, reason = State.DAMAGED, _said(", ".join(failures) or f"state {state}")
    return Credential(found, **_statement(active), reason=reason)


def _statement(active: Mapping[str, Any]) -> dict[str, str | None]:
    """The content of a credential, which may have any shape because anyone may have written it."""
    found = _assertions(active)
    listed = "c2pa.actions.v2" if "c2pa.actions.v2" in found else "c2pa.actions"
    actions, run = _dicts(found.get(listed), "actions"), found.get(RUN, {})
    tool = [" ".join(str(each.get(part) or "") for part in ("name", "version")) for each in _dicts(active, TOOL)]
    parents = [each.get("title") for each in _dicts(active, "ingredients") if each.get("relationship") == "parentOf"]

    def last(values: list[Any]) -> Any:
        return next((value for value in reversed(values) if value), None)

    fields = {
        "source_type": str(last([each.get("digitalSourceType") for each in actions]) or "").rpartition("/")[2],
        "tool": tool[0] if tool else active.get("claim_generator"),
        "model": run.get("model"),
        "description": last([each.get("description") for each in actions]),
        "time": run.get("time") or _within(active, "signature_info", dict).get("time"),
        "parent": parents[0] if parents else None,
    }
    return {name: _said(value) or None for name, value in fields.items()}


def _active(store: Mapping[str, Any]) -> dict[str, Any]:
    """The active manifest of a file."""
    return _within(_within(store, "manifests", dict), str(store.get("active_manifest")), dict)


def _assertions(active: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    listed = _dicts(active, "assertions")
    return {str(each.get("label")): each["data"] for each in listed if isinstance(each.get("data"), dict)}


def _dicts(section: Any, name: str) -> list[dict[str, Any]]:
    return [each for each in _within(section, name, list) if isinstance(each, dict)]


def _within(section: Any, name: str, kind: type) -> Any:
    found = section.get(name) if isinstance(section, dict) else None
    return found if isinstance(found, kind) else kind()


def _said(text: object) -> str:
    return plain(text, LONGEST_SAID)


def _type_of(path: Path) -> str | None:
    return MEDIA_TYPES.get(PurePath(path).suffix.lower())


class _Signing(NamedTuple):
    whole: Any
    in_pieces: Any  # for large films
    signer: Any
    expires: datetime.datetime


@functools.lru_cache(maxsize=2)
def _signing(folder: Path, process: int) -> _Signing:
    """The signer of this process; creates the key if there is none yet."""
    del process  # a key of the cache: a forked child creates its own
    c2pa = _c2pa()
    own = signing_key.load(folder)
    with signing_key.blamed(folder):
        whole, pieces = (c2pa.Context(c2pa.Settings.from_dict({**OFFLINE, **more})) for more in ({}, IN_PIECES))
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", own.certificate + own.root, own.key, None))
    return _Signing(whole, pieces, signer, own.expires)


def _reading() -> Any:
    """The context for reading, which trusts only this installation's key; that may be created at any time."""
    return _trusting(signing_key.load_root(), os.getpid())


@functools.lru_cache(maxsize=2)
def _trusting(root: bytes | None, process: int) -> Any:
    del process  # as above
    c2pa = _c2pa()
    trust = {"trust": {"user_anchors": root.decode()}} if root else {}
    return c2pa.Context(c2pa.Settings.from_dict({**OFFLINE, **trust}))


def _c2pa() -> Any:
    try:
        import c2pa
    except ModuleNotFoundError:
        raise CredentialError("credentials need the package c2pa-python: pip install -e '.[provenance]'") from None
    except Exception as error:  # its library does not load everywhere
        raise CredentialError(f"the package c2pa-python cannot be loaded: {_said(error)}") from error
    return c2pa
