"""XMP packets (ISO 16684-1) that say what made a picture or a film, in the words of the IPTC."""

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
LONGEST = {"model": 36, "description": 138}  # bytes as they are written, so that a packet stays below 1 KB
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Statement(NamedTuple):
    """What an XMP packet says about the making; None where it says nothing."""

    source_type: str | None  # a URI of the IPTC's list
    tool: str | None
    model: str | None
    version: str | None  # of the model
    description: str | None
    created: str | None  # date and time
    identifier: str | None  # of this one file


def make_packet(*, source_type: str, tool: str, model: str, version: str | None, description: str) -> bytes:
    """A packet of at most 1 KB, with the time and an identifier that no other has."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    said = {
        "Iptc4xmpExt:DigitalSourceType": source_type,
        "Iptc4xmpExt:AISystemUsed": _shortened(model, LONGEST["model"]),
        "Iptc4xmpExt:AISystemVersionUsed": version,
        "xmp:CreatorTool": tool,
        "xmp:CreateDate": now,
        "xmpMM:InstanceID": f"uuid:{uuid.uuid4()}",
    }
    spaces = "".join(f' xmlns:{name}="{space}"' for name, space in SPACES.items())
    attributes = "".join(f' {name}="{_escaped(text)}"' for name, text in said.items() if text)
    language = _shortened(description, LONGEST["description"])
    return (
        f'<?xpacket begin="" id="{PACKET_ID}"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{spaces}{attributes}>'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_escaped(language)}</rdf:li></rdf:Alt>'
        '</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def parse_packet(text: str) -> Statement | None:
    """What a packet says, whoever wrote it; None for what is no XMP."""
    if "<!DOCTYPE" in text:  # XMP has none: a way to make a parser work without end
        return None
    try:
        root = ElementTree.fromstring(text.lstrip("\ufeff \n\r\t").rstrip("\0"))
    except (ElementTree.ParseError, ValueError):
        return None
    described = list(root.iter(f"{{{RDF}}}Description"))

    def said(prefix: str, name: str) -> str | None:
        values = (value for each in described for value in _values(each, f"{{{SPACES[prefix]}}}{name}"))
        return next((value for value in values if value), None)

    return Statement(
        source_type=said("Iptc4xmpExt", "DigitalSourceType"),
        tool=said("xmp", "CreatorTool"),
        model=said("Iptc4xmpExt", "AISystemUsed"),
        version=said("Iptc4xmpExt", "AISystemVersionUsed"),
        description=said("dc", "description"),
        created=said("xmp", "CreateDate"),
        identifier=said("xmpMM", "InstanceID"),
    )


def _values(described: ElementTree.Element, name: str) -> Iterator[str]:
    """A property's values: as an attribute, as an element with text, a list or a resource."""
    yield described.get(name, "")
    for found in described.iterfind(name):
        yield found.get(f"{{{RDF}}}resource", "")
        yield from (text.strip() for text in found.itertext())


def _shortened(text: str, size: int) -> str:
    """The text without what XML cannot hold, at most `size` bytes long when it is written."""
    text = NOT_XML.sub("\ufffd", text)
    if len(_escaped(text).encode()) <= size:
        return text
    text = text[:size]
    while len(_escaped(text + "..").encode()) > size:
        text = text[:-1]
    return text + ".."


def _escaped(text: str) -> str:
    return quoteattr(text, {'"': "&quot;"})[1:-1]
