"""`--mode=verify`: says of files what made them, as far as they tell, and what that is worth."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxgan.errors import FINISHED, MARK_MISSING, SOME_FAILED, UserError
from jaxgan.media import kinds
from jaxgan.media.plain import plain
from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.credentials import Credential, CredentialError, State
from jaxgan.media.provenance.origin import read_statement
from jaxgan.media.provenance.xmp import Statement

REQUIRED = ("credential", "any")
LONGEST_LINE = 500  # characters
NOTHING_PROVEN = (
    "Where nothing is found, nothing is proven: credentials and XMP can be taken out, and most programs drop them when "
    "they save a file."
)
NOT_READ = "Credentials were not read: that needs the package c2pa-python, pip install -e '.[provenance]'."
WORTH = {
    State.OURS: "of this installation, and the file is as it was written",
    State.STRANGER: "of a stranger: a good signature, of a key that is not this installation's",
    State.CHANGED: "changed since: the file, or the credential itself, is not what was signed",
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
    """What is known of one file."""

    path: Path
    credential: Credential | None
    xmp: Statement | None

    @property
    def vouched(self) -> bool:
        """Whether a credential fits the file, whoever signed it."""
        return self.credential is not None and self.credential.state in (State.OURS, State.STRANGER)

    @property
    def contradiction(self) -> str | None:
        """What of the file's signs does not go together."""
        said = _word(self.xmp.source_type) if self.xmp else None
        if self.credential and not self.vouched:
            return "the credential does not vouch for the file" + (", nor for its XMP" if said else "")
        if self.credential and said and self.credential.source_type not in (None, said):
            return "XMP and credential say different things"
        return None

    def has(self, required: str | None) -> bool:
        """Whether it has what `--require` asks for."""
        if required is None or self.vouched:
            return True
        return required == "any" and self.credential is None and bool(self.xmp and self.xmp.source_type)


def run(paths: Sequence[str], options: Mapping[str, str]) -> int:
    """Prints what every file says of its making and what that is worth. Nothing is changed, nothing is fetched.

    Folders are gone through with all below them, hidden files left out; in them only pictures and films count. Raises
    UserError, before anything is printed, for a path that does not exist, for no file at all, for
    `--require=credential` without c2pa-python, and where this installation's own certificate is damaged.
    """
    required, as_json = options.get("require"), options.get("json", "false")
    if required not in (None, *REQUIRED):
        raise UserError(f"--require: got {required!r}, accepted are {' and '.join(REQUIRED)}")
    if as_json not in ("true", "false"):
        raise UserError(f"--json: got {as_json!r}, accepted are true and false")
    signed = credentials.available()
    if required == "credential" and not signed:
        raise UserError("--require=credential needs the package c2pa-python: pip install -e '.[provenance]'")
    found = find_files(paths)
    if signed:
        credentials.own_certificate()
    report = Report(signed=signed, skipped=found.skipped, unreadable=[*found.unreadable])
    for path in found.files:
        try:
            report.judged.append(judge(path, signed=signed))
        except (CredentialError, OSError) as error:
            report.unreadable.append((path, _reason(error, path)))
        if as_json == "false":
            _print_last(report, path)
    if as_json == "true":
        print(json.dumps(report.to_json(), indent=1, allow_nan=False))
    else:
        _print_end(report, found.unreadable)
    if not all(each.has(required) for each in report.judged):
        return MARK_MISSING
    return SOME_FAILED if report.unreadable else FINISHED


@dataclasses.dataclass
class Report:
    """What was found in all files."""

    signed: bool  # whether credentials were read
    skipped: int
    unreadable: list[tuple[Path, str]]
    judged: list[Finding] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As it is told to programs."""
        return {
            "files": [_as_json(each) for each in self.judged],
            "unreadable": [{"path": str(path), "reason": reason} for path, reason in self.unreadable],
            "skipped": self.skipped,
            "credentials_read": self.signed,
            "note": NOTHING_PROVEN if self.signed else f"{NOT_READ} {NOTHING_PROVEN}",
        }


@dataclasses.dataclass(frozen=True)
class Found:
    """What paths mean."""

    files: list[Path]
    skipped: int  # in folders, those that are no pictures or films
    unreadable: list[tuple[Path, str]]  # folders


def find_files(paths: Sequence[str]) -> Found:
    """The files that paths name, each once, in order. Raises UserError for one that is not there, and for no files."""
    if not paths:
        raise UserError("--mode=verify needs paths: files, or folders with files")
    given = [Path(each).expanduser() for each in paths]
    for path in given:
        if not os.path.lexists(path):
            raise UserError(f"{path}: there is no such file or folder")
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
        raise UserError(f"{', '.join(paths)}: there is no picture and no film in it")
    return Found(list(files.values()), others, failed)


def judge(path: Path, *, signed: bool) -> Finding:
    """What one file says. Raises CredentialError and OSError where it cannot be read, or is no picture or film."""
    if not path.is_file():
        raise CredentialError("it is no file" if path.exists() else "the link leads nowhere")
    credential = credentials.read(path) if signed else None
    xmp = read_statement(path)
    if credential is None and xmp is None and not kinds.is_likely(path):
        raise CredentialError("it is no picture or film, or not a whole one")
    return Finding(path, credential, xmp)


def _below(folder: Path, failed: list[tuple[Path, str]]) -> Iterator[Path]:
    """All files in a folder and below, by name; hidden ones left out; links that lead back are followed once."""

    def tell(error: OSError) -> None:
        failed.append((Path(error.filename), error.strerror or str(error)))

    seen = set[str]()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=tell):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _print_last(report: Report, path: Path) -> None:
    if report.judged and report.judged[-1].path == path:
        print("\n".join(lines_of(report.judged[-1], signed=report.signed)), flush=True)
    else:
        print(f"{_shown(path)}\n  unreadable: {report.unreadable[-1][1]}", flush=True)


def _print_end(report: Report, folders: Sequence[tuple[Path, str]]) -> None:
    for path, reason in folders:
        print(f"{_shown(path)}\n  unreadable: {reason}")
    if report.skipped:
        print(f"{report.skipped} other files are no pictures or films and were skipped.")
    if report.unreadable:
        print(f"{len(report.unreadable)} of {len(report.judged) + len(report.unreadable)} could not be read.")
    if not report.signed:
        print(NOT_READ)
    print(NOTHING_PROVEN)


def lines_of(finding: Finding, *, signed: bool) -> list[str]:
    """A file in words: at most four lines."""
    credential = finding.credential
    lines = [_shown(finding.path)]
    if credential is None:
        suffix = finding.path.suffix.lower()
        why = f" ({suffix} holds none)" if suffix not in kinds.SIGNED else ""
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
        said = "none" if xmp is None else "there is some, but it does not say what made the file"
        return f"{said}; {contradiction}" if contradiction else said
    told = _sentence({**xmp._asdict(), "time": xmp.created})
    if contradiction:
        return f"{told}; but {contradiction}"
    if finding.credential is None:
        return f"{told}; anyone can write or change this"
    return "the same"


def _sentence(said: Mapping[str, Any]) -> str:
    """What a file says of its making, in one line."""
    word = _word(said.get("source_type"))
    parts = [SOURCE_TYPES.get(word, word) if word else "nothing about how it was made"]
    parts += [f"by {said['tool']}"] if said.get("tool") else []
    parts += [f"model {said['model']}"] if said.get("model") else []
    parts += [f"from {said['parent']}"] if said.get("parent") else []
    parts += [f"at {said['time']}"] if said.get("time") else []
    told = ", ".join(parts)
    return plain(f"{told}: {said['description']}" if said.get("description") else told, LONGEST_LINE)


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
    """The last word of an address of IPTC's list."""
    return source_type.rpartition("/")[2] if source_type else None


def _shown(path: Path) -> str:
    """A name that can be printed: names can hold line ends and bytes that are no letters."""
    return "".join(each if each.isprintable() else "?" for each in str(path))


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return plain(error, LONGEST_LINE).removeprefix(f"{path}: ")
