"""XMP packets (ISO 16684-1) that state what made a picture or a film, in the IPTC's vocabulary."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PACKET_ID = "W5M0MpCehiHzreSzNTczkc9d"  # the same in all packets
LONGEST = {"model": 36, "description": 138}  # bytes after escaping, so that a packet stays below 1 KB
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Statement(NamedTuple):
    """What an XMP packet states about the origin; None for missing fields."""

    source_type: str | None  # a URI of the IPTC's list
    tool: str | None
    model: str | None
    version: str | None  # of the model
    description: str | None
    created: str | None  # date and time
    identifier: str | None  # of this one file


def make_packet(*, source_type: str, tool: str, model: str, version: str | None, description: str) -> bytes:
    """A packet of at most 1 KB, with the current time and a unique identifier."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    fields = {
        "Iptc4xmpExt:DigitalSourceType": source_type,
        "Iptc4xmpExt:AISystemUsed": _shortened(model, LONGEST["model"]),
        "Iptc4xmpExt:AISystemVersionUsed": version,
        "xmp:CreatorTool": tool,
        "xmp:CreateDate": now,
        "xmpMM:InstanceID": f"uuid:{uuid.uuid4()}",
    }
    spaces = "".join(f' xmlns:{name}="{space}"' for name, space in SPACES.items())
    attributes = "".join(f' {name}="{_escaped(text)}"' for name, text in fields.items() if text)
    language = _shortened(description, LONGEST["description"])
    return (
        f'<?xpacket begin="" id="{PACKET_ID}"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{spaces}{attributes}>'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_escaped(language)}</rdf:li></rdf:Alt>'
        '</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def parse_packet(text: str) -> Statement | None:
    """Parses a packet of any writer; None if it is not XMP."""
    if "<!DOCTYPE" in text:  # XMP has none, and entities can keep a parser busy without end
        return None
    try:
        root = ElementTree.fromstring(text.lstrip("\ufeff \n\r\t").rstrip("\0"))
    except (ElementTree.ParseError, ValueError):
        return None
    described = list(root.iter(f"{{{RDF}}}Description"))

    def field(prefix: str, name: str) -> str | None:
        values = (value for each in described for value in _values(each, f"{{{SPACES[prefix]}}}{name}"))
        return next((value for value in values if value), None)

    return Statement(
        source_type=field("Iptc4xmpExt", "DigitalSourceType"),
        tool=field("xmp", "CreatorTool"),
        model=field("Iptc4xmpExt", "AISystemUsed"),
        version=field("Iptc4xmpExt", "AISystemVersionUsed"),
        description=field("dc", "description"),
        created=field("xmp", "CreateDate"),
        identifier=field("xmpMM", "InstanceID"),
    )


def _values(described: ElementTree.Element, name: str) -> Iterator[str]:
    """The values of a property, which may be an attribute, an element with text, a list or a resource."""
    yield described.get(name, "")
    for found in described.iterfind(name):
        yield found.get(f"{{{RDF}}}resource", "")
        yield from (text.strip() for text in found.itertext())


def _shortened(text: str, size: int) -> str:
    """The text without characters that XML forbids, cut to at most `size` bytes after escaping."""
    text = NOT_XML.sub("\ufffd", text)
    if len(_escaped(text).encode()) <= size:
        return text
    text = text[:size]
    while len(_escaped(text + "..").encode()) > size:
        text = text[:-1]
    return text + ".."


def _escaped(text: str) -> str:
    return quoteattr(text, {'"': "&quot;"})[1:-1]
