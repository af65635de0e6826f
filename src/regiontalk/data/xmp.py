"""Alternative texts in XMP sidecars: extraction, and insertion that keeps every other byte.

XMP is RDF in XML: properties are elements (or attributes) of an `rdf:Description` right inside
`rdf:RDF`. A text in several languages is an `rdf:Alt` of `rdf:li`, one for each `xml:lang`, with
"x-default" for the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from regiontalk.data.xml_files import careful_parser

ALT_TEXT, DESCRIPTION = "Iptc4xmpCore:AltTextAccessibility", "dc:description"
"""IPTC's alternative text, for people who cannot see the photo, and Dublin Core's description; with
their usual prefixes."""

FIELDS = (ALT_TEXT, DESCRIPTION)

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_DEFAULT = "x-default"

_BETWEEN = "\f"  # separates namespace and name; XML cannot contain it
_ROOT, _BLOCK, _ABOUT, _ITEM = (
    f"{_RDF}{_BETWEEN}{name}" for name in ("RDF", "Description", "about", "li")
)
_LIST_OF_LANGUAGES = f"{_RDF}{_BETWEEN}Alt"
_LANGUAGE = f"{_XML}{_BETWEEN}lang"
_FIELD_OF = {
    _BETWEEN.join((NAMESPACES[each.partition(":")[0]], each.partition(":")[2])): each
    for each in FIELDS
}

_TAG = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
_TAG_NAME = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Span: TypeAlias = tuple[int, int]
"""Byte range, end exclusive."""

Edit: TypeAlias = tuple[Span, bytes]
"""Byte range and its replacement."""


@dataclass
class Item:
    """A text in one language: an `rdf:li`.

    Attributes:
        language: lower case; "" where none is stated.
        tag: its start tag.
        inside: between its tags; empty and behind the tag if that is self-closing.
        pieces: its character data.
    """

    language: str
    tag: Span
    inside: Span = (0, 0)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text, in one line."""
        return " ".join("".join(self.pieces).split())


@dataclass
class Property:
    """An occurrence of one of `FIELDS`.

    Attributes:
        name: of the field.
        span: its element, or its attribute with the space before.
        is_attribute: whether it is one.
        pieces: all character data in it.
        items: of its `rdf:Alt`.
    """

    name: str
    span: Span
    is_attribute: bool = False
    pieces: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def default(self) -> Item | None:
        """The item "x-default", else the first; None if there is none."""
        return next(
            (item for item in self.items if item.language == _DEFAULT),
            self.items[0] if self.items else None,
        )

    @property
    def said(self) -> str:
        """Its default text, else the first in any language, in one line; "" if it has none."""
        default = self.default
        texts = [] if default is None else [default.text, *(item.text for item in self.items)]
        return next((text for text in texts if text), " ".join("".join(self.pieces).split()))


@dataclass
class Packet:
    """The bytes of a sidecar, and the positions of `FIELDS` in them.

    Attributes:
        content: the bytes.
        properties: those of `FIELDS`, in document order.
        root: the start tag of `rdf:RDF`.
        end: where the end tag of `rdf:RDF` begins; behind the start tag if that is self-closing.
        prefix: of RDF's namespace, as in the root; "" for none.
        about: the first `rdf:about` that is not empty; "" stands for the photo beside it.
    """

    content: bytes
    properties: list[Property] = field(default_factory=list)
    root: Span = (0, 0)
    end: int = 0
    prefix: str = ""
    about: str = ""


def parse(content: bytes) -> Packet:
    """Locates `FIELDS` in XMP.

    Raises:
        ValueError: if it is not XMP: no XML, with a document type, nested too deep, in UTF-16, or
            without `rdf:RDF`.
    """
    if b"\0" in content[:4]:
        raise ValueError("text in UTF-16, expected UTF-8")
    try:
        return _Finder(content).found()
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from None


def texts_of(packet: Packet) -> dict[str, str]:
    """The text of each of `FIELDS` that has one."""
    found: dict[str, str] = {}
    for each in packet.properties:
        if each.said:
            found.setdefault(each.name, each.said)
    return found


def merged(packet: Packet, texts: Mapping[str, str], overwrite: bool = False) -> bytes:
    """The packet's bytes with some texts inserted.

    Args:
        texts: by field, for some of `FIELDS`.
        overwrite: replace the default text, and every equal one. Other texts in other languages
            stay.

    Returns:
        The same bytes if there is nothing to insert.
    """
    there = texts_of(packet)
    wanted = {name: text for name, text in texts.items() if overwrite or name not in there}
    edits: list[Edit] = []
    missing = dict(wanted)
    for each in packet.properties:
        if each.name in wanted:
            edits += _replacing(packet.content, each, wanted[each.name])
            if not each.is_attribute:
                missing.pop(each.name, None)
    if missing:
        edits.append(_block(packet, missing))
    pieces, at = [], 0
    for (start, end), new in sorted(edits):
        pieces += [packet.content[at:start], new]
        at = end
    return b"".join([*pieces, packet.content[at:]])


def fresh(texts: Mapping[str, str], made_with: str) -> bytes:
    """The bytes of a new sidecar.

    Args:
        texts: by field, for some of `FIELDS`.
        made_with: the program's name, for `x:xmptk`.
    """
    open_tag = f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk={quoteattr(made_with)}>'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n{open_tag}\n <rdf:RDF xmlns:rdf="{_RDF}">'
    return merged(parse(f"{head}\n </rdf:RDF>\n</x:xmpmeta>\n".encode()), texts)


class _Finder:
    """Parser that records the byte positions of elements."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._parser = careful_parser(self._start, self._end, self._text, _BETWEEN)
        self._open: list[tuple[str, Span]] = []  # name and start tag of each open element
        self._level = 0  # depth of rdf:RDF while it is open, else 0
        self._packet: Packet | None = None
        self._property: Property | None = None
        self._item: Item | None = None

    def found(self) -> Packet:
        self._parser.Parse(self._content, True)
        if self._packet is None:
            raise ValueError("no rdf:RDF in it, which holds all that XMP says")
        return self._packet

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = _without_prefix(name)
        start = self._parser.CurrentByteIndex
        span = _matched(_TAG, self._content, start).span()
        self._open.append((tag, span))
        if self._packet is None and tag == _ROOT and len(self._open) <= 2:
            self._packet = Packet(self._content, root=span, prefix=_prefix(name))
            self._level = len(self._open)
        elif self._packet is not None and self._level:
            self._start_inside(
                self._packet, [each for each, _ in self._open[self._level :]], span, attributes
            )

    def _start_inside(
        self, packet: Packet, path: list[str], span: Span, attributes: dict[str, str]
    ) -> None:
        """Records fields and their items, by the path of elements below rdf:RDF."""
        if path == [_BLOCK]:
            self._start_block(packet, span, attributes)
        elif len(path) == 2 and path[0] == _BLOCK and path[1] in _FIELD_OF:
            self._property = Property(_FIELD_OF[path[1]], span)
            packet.properties.append(self._property)
        elif self._property is not None and path[2:] == [_LIST_OF_LANGUAGES, _ITEM]:
            language = next(
                (value for name, value in attributes.items() if _without_prefix(name) == _LANGUAGE),
                "",
            )
            self._item = Item(language.lower(), span)
            self._property.items.append(self._item)

    def _start_block(self, packet: Packet, span: Span, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            plain = _without_prefix(name)
            if plain == _ABOUT:
                packet.about = packet.about or value
            elif plain in _FIELD_OF:
                place = self._attribute(span, f"{_prefix(name)}:{plain.partition(_BETWEEN)[2]}")
                packet.properties.append(Property(_FIELD_OF[plain], place, True, [value]))

    def _attribute(self, tag: Span, name: str) -> Span:
        """The position of an attribute in a start tag, with the space before it."""
        after_name = _matched(_TAG_NAME, self._content, tag[0]).end()
        for found in _ATTRIBUTE.finditer(self._content, after_name, tag[1]):
            if found[1] == name.encode():
                return found.span()
        raise ValueError(f"an attribute {name} in an unusual encoding, expected UTF-8")

    def _end(self, _: str) -> None:
        _, tag = self._open.pop()
        bare = _has_no_end(self._content, tag)
        here = tag[1] if bare else self._parser.CurrentByteIndex
        below = len(self._open) - self._level
        if self._packet is None or not self._level:
            return
        if below == -1:
            self._packet.end, self._level = here, 0
        elif below == 1 and self._property is not None:
            self._property.span = (tag[0], here if bare else self._content.index(b">", here) + 1)
            self._property = None
        elif below == 3 and self._item is not None:
            self._item.inside = (tag[1], here)
            self._item = None

    def _text(self, text: str) -> None:
        for place in (self._property, self._item):
            if place is not None:
                place.pieces.append(text)


def _replacing(content: bytes, place: Property, text: str) -> list[Edit]:
    """Edits that replace a property's text; an attribute, limited to one language, is removed."""
    if place.is_attribute:
        return [(place.span, b"")]
    default = place.default
    if default is None:
        return [(place.span, _element(place.name, text))]
    same = [
        each
        for each in place.items
        if each is default or (default.text and each.text == default.text)
    ]
    return [_filling(content, each, text) for each in same]


def _filling(content: bytes, item: Item, text: str) -> Edit:
    if not _has_no_end(content, item.tag):
        return item.inside, _escaped(text)
    end = item.tag[1]
    return (end - 2, end), b">" + _escaped(text) + _end_tag(content, item.tag)


def _element(name: str, text: str) -> bytes:
    """A property element with all its namespace declarations, valid at any place."""
    prefix = name.partition(":")[0]
    item = b'<rdf:li xml:lang="x-default">' + _escaped(text) + b"</rdf:li>"
    head = f'<{name} xmlns:{prefix}="{NAMESPACES[prefix]}"><rdf:Alt xmlns:rdf="{_RDF}">'
    return head.encode() + item + f"</rdf:Alt></{name}>".encode()


def _block(packet: Packet, texts: Mapping[str, str]) -> Edit:
    """Appends an `rdf:Description` with some texts to rdf:RDF."""
    newline = b"\r\n" if b"\r\n" in packet.content else b"\n"
    spaces = {"rdf": _RDF} if packet.prefix != "rdf" else {}
    spaces |= {name.partition(":")[0]: NAMESPACES[name.partition(":")[0]] for name in texts}
    declared = "".join(f' xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    lines = [f"  <rdf:Description rdf:about={quoteattr(packet.about)}{declared}>"]
    for name, text in texts.items():
        item = f'<rdf:li xml:lang="x-default">{escape(text)}</rdf:li>'
        lines += [
            f"   <{name}>",
            "    <rdf:Alt>",
            f"     {item}",
            "    </rdf:Alt>",
            f"   </{name}>",
        ]
    lines.append("  </rdf:Description>")
    block = b"".join(newline + _plain(line) for line in lines)
    if _has_no_end(packet.content, packet.root):
        end = packet.root[1]
        return (end - 2, end), b">" + block + newline + _end_tag(packet.content, packet.root)
    at = max(packet.root[1], len(packet.content[: packet.end].rstrip()))
    return (at, at), block


def _escaped(text: str) -> bytes:
    return _plain(escape(text))


def _plain(text: str) -> bytes:
    """ASCII with character references, valid in any encoding that a sidecar may have.

    Characters that XML cannot contain become spaces.
    """
    return _NOT_IN_XML.sub(" ", text).encode("ascii", "xmlcharrefreplace")


def _end_tag(content: bytes, tag: Span) -> bytes:
    return b"</" + _matched(_TAG_NAME, content, tag[0])[1] + b">"


def _matched(pattern: re.Pattern[bytes], content: bytes, at: int) -> re.Match[bytes]:
    """The match at a position where the parser saw a tag.

    Raises:
        ValueError: if there is none.
    """
    found = pattern.match(content, at)
    if found is None:
        raise ValueError(f"an unusual tag at byte {at}")
    return found


def _has_no_end(content: bytes, tag: Span) -> bool:
    """Whether a tag is self-closing."""
    return content[tag[1] - 2 : tag[1]] == b"/>"


def _without_prefix(name: str) -> str:
    """Namespace and local name of expat's name of an element or attribute."""
    return _BETWEEN.join(name.split(_BETWEEN)[:2])


def _prefix(name: str) -> str:
    parts = name.split(_BETWEEN)
    return parts[2] if len(parts) == 3 else ""
