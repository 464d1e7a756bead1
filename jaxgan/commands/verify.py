"""`--mode=verify`: reports how files say they were made, and how far that can be trusted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxgan.cli.options import switch
from jaxgan.errors import FINISHED, MARK_MISSING, SOME_FAILED, UserError
from jaxgan.media import kinds
from jaxgan.media.content import suffix_of_content
from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.credentials import Credential, CredentialError, State
from jaxgan.media.provenance.origin import read_statement
from jaxgan.media.provenance.xmp import Statement, make_packet, parse_packet
from jaxgan.media.walking import Walk
from jaxgan.system.paths import expanded
from jaxgan.system.plain import plain

REQUIRED = ("credential", "any")
LONGEST_LINE = 500  # characters
NOTHING_PROVEN = (
    "If nothing is found, nothing is proven: credentials and XMP can be removed, and most programs drop them when they "
    "save a file."
)
NOT_INSTALLED = "that needs the package c2pa-python, pip install -e '.[provenance]'"
WORTH = {
    State.OURS: "of this installation; the file is unchanged since it was written",
    State.STRANGER: "of a stranger: a good signature, but with a key that is not of this installation",
    State.CHANGED: "changed since: the file, or the credential itself, was changed after signing",
    State.DAMAGED: "damaged: it cannot be read",
}
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "made in part by a trained model",
    "algorithmicMedia": "made by an algorithm without training",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "digitalCapture": "taken by a camera",
    "computationalCapture": "taken by a camera that computes",
    "digitalCreation": "made by a person with software",
    "humanEdits": "edited by a person",
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found in one file."""

    path: Path
    credential: Credential | None
    xmp: Statement | None
    content: str | None  # the suffix that fits its content, whatever its name; None: unknown

    @property
    def vouched(self) -> bool:
        """Whether a valid credential matches the file, whoever signed it."""
        return self.credential is not None and self.credential.state in (State.OURS, State.STRANGER)

    @property
    def contradiction(self) -> str | None:
        """How the marks of the file contradict each other, or None."""
        said = _word(self.xmp.source_type) if self.xmp else None
        if self.credential and not self.vouched:
            return "the credential does not vouch for the file" + (", nor for its XMP" if said else "")
        if self.credential and said and self.credential.source_type not in (None, said):
            return "XMP and credential say different things"
        return None

    def has(self, required: str | None) -> bool:
        """Whether it has the marks that `--require` asks for."""
        if required is None or self.vouched:
            return True
        return required == "any" and self.credential is None and bool(self.xmp and self.xmp.source_type)


def run(paths: Sequence[str], options: Mapping[str, str]) -> int:
    """Prints how each file says it was made, and how far that can be trusted. Changes no file and uses no network.

    Folders are searched recursively for pictures and films, without hidden files. Raises UserError, before anything is
    printed, for a path that does not exist, if no file is found, for `--require=credential` if c2pa-python is missing
    or does not load, and if this installation's own certificate is damaged.
    """
    required = options.get("require")
    if required not in (None, *REQUIRED):
        raise UserError(f"--require: got {required!r}, expected {' or '.join(REQUIRED)}")
    as_json = switch(options, "json")
    not_read = _why_not_read()
    if required == "credential" and not_read:
        raise UserError(f"--require=credential: {not_read}")
    found, signed = find_files(paths), not_read is None
    if signed:
        credentials.own_certificate()
    findings = Findings(not_read, skipped=found.skipped, unreadable=[*found.unreadable])
    for path in found.files:
        try:
            findings.examined.append(examine(path, signed=signed))
        except (CredentialError, OSError) as error:
            findings.unreadable.append((path, _reason(error, path)))
        if not as_json:
            _print_last(findings, path)
    if as_json:
        print(json.dumps(findings.to_json(), indent=1, allow_nan=False))
    else:
        _print_end(findings, found.unreadable)
    if not all(each.has(required) for each in findings.examined):
        return MARK_MISSING
    return SOME_FAILED if findings.unreadable else FINISHED


def _why_not_read() -> str | None:
    """Why credentials cannot be read; None if they can."""
    if not credentials.available():
        return NOT_INSTALLED
    try:
        credentials.check_loads()
    except CredentialError as error:
        return str(error)
    return None


@dataclasses.dataclass
class Findings:
    """The findings of all files."""

    not_read: str | None  # why credentials were not read; None if they were
    skipped: int
    unreadable: list[tuple[Path, str]]
    examined: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """Remarks that apply to all files."""
        return [*([f"Credentials were not read: {self.not_read}."] if self.not_read else []), NOTHING_PROVEN]

    def to_json(self) -> dict[str, Any]:
        """The findings as a JSON tree."""
        return {
            "files": [_as_json(each) for each in self.examined],
            "unreadable": [{"path": str(path), "reason": reason} for path, reason in self.unreadable],
            "skipped": self.skipped,
            "credentials_read": self.not_read is None,
            "note": " ".join(self.remarks),
        }


@dataclasses.dataclass(frozen=True)
class Found:
    """The files that paths stand for."""

    files: list[Path]
    skipped: int  # files in folders that are no pictures or films
    unreadable: list[tuple[Path, str]]  # folders


def find_files(paths: Sequence[str]) -> Found:
    """The files that paths name, each once, in order. Raises UserError for missing paths, and if there are no files."""
    if not paths:
        raise UserError("--mode=verify needs paths: files, or folders with files")
    if not all(paths):  # Path("") would be the current folder
        raise UserError("--mode=verify: got an empty path, expected files or folders")
    given = [Path(expanded(each)) for each in paths]
    for path in given:
        try:
            path.lstat()
        except FileNotFoundError:
            raise UserError(f"{_shown(path)}: there is no such file or folder") from None
        except OSError as error:  # such as an unreadable parent folder
            raise UserError(f"{_shown(path)}: {error.strerror or error}") from None
    files, others, failed = dict[Path, Path](), 0, list[tuple[Path, str]]()
    for path in given:
        if not path.is_dir():
            files.setdefault(path.absolute(), path)
            continue
        for each in _below(path, failed):
            if kinds.is_known(each):
                files.setdefault(each.absolute(), each)
            else:
                others += 1
    if not files and not failed:
        raise UserError(f"{', '.join(map(_shown, given))}: found no pictures or films")
    return Found(list(files.values()), others, failed)


def examine(path: Path, *, signed: bool) -> Finding:
    """Examines one file. Raises CredentialError or OSError if it cannot be read, or is no picture or film."""
    if not path.is_file():
        raise CredentialError("it is no file" if path.exists() else "the link leads nowhere")
    credential = credentials.read(path) if signed else None
    xmp = read_statement(path)
    content = suffix_of_content(path)
    if credential is None and xmp is None and content is None:
        raise CredentialError("it is no picture or film, or is incomplete")
    return Finding(path, credential, xmp, content)


def _below(folder: Path, failed: list[tuple[Path, str]]) -> Iterator[Path]:
    """All files below a folder, by name, without hidden ones; cyclic links are followed once."""
    walk = Walk(folder)
    yield from (each.path for each in walk)
    for failure in walk.failures:
        if kinds.is_known(failure.path) or failure.path.is_dir():
            failed.append(failure)
        else:  # neither a picture nor a film
            yield failure.path


def _print_last(findings: Findings, path: Path) -> None:
    if findings.examined and findings.examined[-1].path == path:
        print("\n".join(lines_of(findings.examined[-1], signed=findings.not_read is None)), flush=True)
    else:
        print(f"{_shown(path)}\n  unreadable: {findings.unreadable[-1][1]}", flush=True)


def _print_end(findings: Findings, folders: Sequence[tuple[Path, str]]) -> None:
    for path, reason in folders:
        print(f"{_shown(path)}\n  unreadable: {reason}")
    if findings.skipped:
        print(f"{findings.skipped} other files are neither pictures nor films, and were skipped.")
    if findings.unreadable:
        print(f"{len(findings.unreadable)} of {len(findings.examined) + len(findings.unreadable)} could not be read.")
    print("\n".join(findings.remarks))


def lines_of(finding: Finding, *, signed: bool) -> list[str]:
    """The finding of a file as text, at most four lines."""
    credential = finding.credential
    lines = [_shown(finding.path)]
    if credential is None:
        why = f" ({finding.content} holds none)" if finding.content and finding.content not in kinds.HOLDERS else ""
        lines.append("  credential: " + (f"none{why}" if signed else "not read"))
    else:
        reason = f" ({credential.reason})" if credential.reason else ""
        lines.append(f"  credential: {WORTH[credential.state]}{reason}")
        if credential.state is not State.DAMAGED:
            said = "it says" if finding.vouched else "it said"
            lines.append(f"  {said}: {_sentence(dataclasses.asdict(credential))}")
    lines.append(f"  XMP: {_xmp_in_words(finding)}")
    return lines


def _xmp_in_words(finding: Finding) -> str:
    xmp, contradiction = finding.xmp, finding.contradiction
    if xmp is None or not xmp.source_type:
        said = "none" if xmp is None else "present, but does not say how the file was made"
        return f"{said}; {contradiction}" if contradiction else said
    statement = _sentence({**xmp._asdict(), "time": xmp.created})
    if contradiction:
        return f"{statement}; but {contradiction}"
    if finding.credential is None:
        return f"{statement}; anyone can write or change this"
    if finding.credential.source_type is None:
        return f"{statement}; the credential does not say how it was made"
    if not _agree(finding.credential, xmp):
        return f"{statement}; the credential differs in tool, model or description"
    return "the same"


def _agree(credential: Credential, xmp: Statement) -> bool:
    """Whether both agree; the credential is first reduced to what XMP can hold."""
    packet = make_packet(
        source_type=credential.source_type or "",
        tool=credential.tool or "",
        model=credential.model or "",
        version=None,
        description=credential.description or "",
    )
    held = parse_packet(packet.decode())
    return held is not None and all(
        _words(one) == _words(other)
        for one, other in (
            (held.source_type, _word(xmp.source_type)),
            (held.tool, xmp.tool),
            (held.model, xmp.model),
            (held.description, xmp.description),
        )
    )


def _words(text: str | None) -> list[str]:
    """The words of a text, without unprintable characters, which credentials drop."""
    return ["".join(filter(str.isprintable, each)) for each in (text or "").split()]


def _sentence(said: Mapping[str, Any]) -> str:
    """How a file says it was made, in one line."""
    word = _word(said.get("source_type"))
    parts = [SOURCE_TYPES.get(word, word) if word else "nothing about how it was made"]
    parts += [f"by {said['tool']}"] if said.get("tool") else []
    parts += [f"model {said['model']}"] if said.get("model") else []
    parts += [f"from {said['parent']}"] if said.get("parent") else []
    parts += [f"at {said['time']}"] if said.get("time") else []
    text = ", ".join(parts)
    return plain(f"{text}: {said['description']}" if said.get("description") else text, LONGEST_LINE)


def _as_json(finding: Finding) -> dict[str, Any]:
    credential, xmp = finding.credential, finding.xmp
    return {
        "path": str(finding.path),
        "credential": {**dataclasses.asdict(credential), "state": credential.state.name.lower()}
        if credential
        else None,
        "xmp": {**xmp._asdict(), "source_type": _word(xmp.source_type)} if xmp else None,
        "contradiction": finding.contradiction,
    }


def _word(source_type: str | None) -> str | None:
    """The last part of the URL of an IPTC digital source type."""
    return source_type.rstrip("/").rpartition("/")[2] if source_type else None


def _shown(path: Path) -> str:
    """A printable path: names may contain line ends and arbitrary bytes."""
    return "".join(each if each.isprintable() else "?" for each in str(path))


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return plain(error, LONGEST_LINE).removeprefix(f"{path}: ")
