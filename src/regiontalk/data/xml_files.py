"""Safe parsing of untrusted XML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from regiontalk.errors import DataError
from regiontalk.files import read_bytes

MAX_BYTES = 4_000_000
"""Larger files are refused; annotations of one photo have a few thousand bytes."""

MAX_DEPTH = 50


def read_xml(file: Path) -> Element:
    """The root element of a small XML file.

    A document type declaration is refused wherever it stands: entities, which can multiply or name
    other files, are only possible with one.

    Raises:
        DataError: if the file is missing, too large, not XML, nested too deep or has a document
            type declaration.
    """
    content = read_bytes(file, MAX_BYTES)
    try:
        return _parse(content)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{file}: not an XML annotation ({error})") from None


def number_in(element: Element, path: str) -> float | None:
    """The number at a path below an element; None if missing."""
    try:
        return float(element.findtext(path, ""))
    except ValueError:
        return None


def box_in(element: Element) -> tuple[float, float, float, float] | None:
    """The box of an `object`, `bndbox` with xmin, ymin, xmax, ymax; None if missing or damaged.

    These files count pixels from 1 and name the first and the last pixel inside (inclusive), so the
    box's left edge is xmin - 1 and its right edge xmax.
    """
    edges = [number_in(element, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    if any(edge is None or not abs(edge) < 1e9 for edge in edges):
        return None
    left, top, right, bottom = (float(edge or 0) for edge in edges)
    return left - 1, top - 1, right, bottom


def size_in(root: Element) -> tuple[int, int] | None:
    """The photo's `size`, width and height; None if it has none."""
    width, height = number_in(root, "size/width"), number_in(root, "size/height")
    if width is None or height is None or not (1 <= width < 1 << 24 and 1 <= height < 1 << 24):
        return None
    return int(width), int(height)


def _parse(content: bytes) -> Element:
    builder = TreeBuilder()
    careful_parser(builder.start, builder.end, builder.data).Parse(content, True)
    return builder.close()


def careful_parser(
    start: Callable[[str, dict[str, str]], object],
    end: Callable[[str], object],
    text: Callable[[str], object],
    separator: str | None = None,
) -> expat.XMLParserType:
    """Expat parser that refuses document types and elements nested deeper than `MAX_DEPTH`.

    The standard parser in C does not let a document type be refused.

    Args:
        start: called with an element's name and attributes.
        end: called with its name.
        text: called with the text in elements, in pieces.
        separator: None for qualified names as in the file; else names are resolved to the
            namespace, the name and the prefix, if there is one, joined by this character.

    Returns:
        A parser for one file. Its `Parse` raises `expat.ExpatError`, `ValueError` or `LookupError`.
    """
    parser = expat.ParserCreate(namespace_separator=separator)
    parser.namespace_prefixes = separator is not None
    depth = 0

    def open_element(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} elements inside each other")
        start(tag, attributes)

    def close_element(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(tag)

    def refuse(*_: Any) -> None:
        raise ValueError("a document type declaration, which is not needed here; remove it")

    parser.StartElementHandler, parser.EndElementHandler = open_element, close_element
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    return parser
