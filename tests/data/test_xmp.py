"""Texts in the bytes of XMP: found however they are written, and put there with all else kept."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data.xmp import ALT_TEXT, DESCRIPTION, FIELDS, fresh, merged, parse, texts_of

from ..xmp_samples import DARKTABLE, DIGIKAM, LIGHTROOM, SAMPLES, others, texts

BOTH = dict.fromkeys(FIELDS, "a dog")
RDF_NS = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
DC_NS = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def packet(inside: str, attributes: str = "") -> bytes:
    block = f'<rdf:Description rdf:about="" {DC_NS}{attributes}>{inside}</rdf:Description>'
    return f"<rdf:RDF {RDF_NS}>{block}</rdf:RDF>".encode()


def put(content: bytes, new: dict[str, str] = BOTH, overwrite: bool = False) -> bytes:
    return merged(parse(content), new, overwrite)


def said(content: bytes) -> dict[str, str]:
    return texts_of(parse(content))


def languages(*texts_: tuple[str, str]) -> str:
    items = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in texts_)
    return f"<dc:description><rdf:Alt>{items}</rdf:Alt></dc:description>"


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("overwrite", [False, True])
def test_all_other_fields_stay(name: str, overwrite: bool) -> None:
    before = SAMPLES[name]
    after = put(before, overwrite=overwrite)
    assert others(after) == others(before)
    assert said(after)[ALT_TEXT] == "a dog"
    kept = said(before).get(DESCRIPTION, "a dog")
    assert said(after)[DESCRIPTION] == ("a dog" if overwrite else kept)
    assert put(after, overwrite=overwrite) == after  # once is enough


def test_bytes_stay_but_for_a_block_at_the_end() -> None:
    for before in (LIGHTROOM, DARKTABLE):
        after = put(before)
        end = before.index(b"\n </rdf:RDF>")
        assert after.startswith(before[:end] + b"\n  <rdf:Description")
        assert after.endswith(b"  </rdf:Description>" + before[end:])
    after = put(DIGIKAM)
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert after.count(b'rdf:about="uuid:1&amp;2"') == 2  # all blocks are about the same


def test_what_a_block_of_ours_says() -> None:
    assert texts(put(DARKTABLE)) == {
        "description": {"x-default": "a dog"},
        "AltTextAccessibility": {"x-default": "a dog"},
    }


def test_overwriting_keeps_other_languages() -> None:
    before = texts(DIGIKAM)["description"]
    assert before == {
        "x-default": "Ein Hund & ein Ball",
        "de-DE": "Ein Hund & ein Ball",
        "fr": "Un chien",
    }
    assert texts(put(DIGIKAM))["description"] == before
    after = texts(put(DIGIKAM, overwrite=True))["description"]
    # de-DE said the same as x-default
    assert after == {"x-default": "a dog", "de-DE": "a dog", "fr": "Un chien"}


def test_the_description_of_something_inside_is_not_the_photos() -> None:
    assert said(LIGHTROOM) == {}
    assert b"nor this one" in put(LIGHTROOM, overwrite=True)


@pytest.mark.parametrize(
    ("inside", "attributes", "text"),
    [
        (languages(("x-default", "One")), "", "One"),
        (languages(("fr", "Deux"), ("X-Default", "One")), "", "One"),
        (languages(("fr", "Deux")), "", "Deux"),
        (languages(("x-default", " "), ("fr", "Deux")), "", "Deux"),
        (languages(("x-default", "<![CDATA[a < b]]>\n  c &#x26; d")), "", "a < b c & d"),
        ("<dc:description>Bare</dc:description>", "", "Bare"),
        (
            "<dc:description><rdf:Bag><rdf:li>In a bag</rdf:li></rdf:Bag></dc:description>",
            "",
            "In a bag",
        ),
        (
            '<dc:description rdf:parseType="Resource"><rdf:value>V</rdf:value></dc:description>',
            "",
            "V",
        ),
        ("", " dc:description = 'It is \"so\"'", 'It is "so"'),
        ("", ' dc:title=" dc:description=" dc:description="a > b"', "a > b"),
    ],
)
def test_every_way_to_write_a_text(inside: str, attributes: str, text: str) -> None:
    content = packet(inside, attributes)
    assert said(content) == {DESCRIPTION: text}
    assert put(content, {DESCRIPTION: "New"}) == content
    replaced = put(content, {DESCRIPTION: "New"}, overwrite=True)
    assert said(replaced) == {DESCRIPTION: "New"}
    assert "New" in texts(replaced)["description"].values()
    assert others(replaced) == others(content)


@pytest.mark.parametrize(
    ("inside", "attributes"),
    [
        ("", ""),
        ("<dc:description/>", ""),
        ("<dc:description> </dc:description>", ""),
        ("<dc:description><rdf:Alt/></dc:description>", ""),
        ('<dc:description><rdf:Alt><rdf:li xml:lang="x-default"/></rdf:Alt></dc:description>', ""),
        (
            (
                '<dc:description><rdf:Alt><rdf:li xml:lang="x-default" ></rdf:li '
                "></rdf:Alt></dc:description >"
            ),
            "",
        ),
        ("", ' dc:description=""'),
    ],
)
def test_an_empty_text_is_none(inside: str, attributes: str) -> None:
    content = packet(inside, attributes)
    assert said(content) == {}
    after = put(content, {DESCRIPTION: "New"})
    assert texts(after) == {"description": {"x-default": "New"}}
    assert "dc:description=" not in after.decode()


@pytest.mark.parametrize(
    "content",
    [
        f"<rdf:RDF {RDF_NS}/>",
        f"<rdf:RDF {RDF_NS}></rdf:RDF>",
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF_NS} /></x:xmpmeta>',
        f"<RDF {RDF_NS[:5]}{RDF_NS[9:]}><Description/></RDF>",
        f"<r:RDF {RDF_NS.replace('rdf=', 'r=')}><r:Description r:about='a'/><!-- > --></r:RDF>",
        '<?xml version="1.0" encoding="ISO-8859-1"?>' + packet("<dc:title>ä</dc:title>").decode(),
    ],
)
def test_every_frame(content: str) -> None:
    raw = content.encode("latin-1")
    after = put(raw, {ALT_TEXT: "ein Mädchen läuft", DESCRIPTION: "a < b"})
    assert said(after) == {ALT_TEXT: "ein Mädchen läuft", DESCRIPTION: "a < b"}
    assert others(after) == others(raw)
    assert put(after, overwrite=True) != after


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no element found"),
        (b"a photo?", "syntax error"),
        (LIGHTROOM[:-20], "no element found|unclosed token|not well-formed"),
        (LIGHTROOM.replace(b"xmlns:dc=", b"xmlns:dd="), "unbound prefix"),
        (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', "no rdf:RDF"),
        (b"<html><head/><body>" + packet("") + b"</body></html>", "no rdf:RDF"),
        (b"<!DOCTYPE x>" + packet(""), "document type"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + packet("<dc:title>&a;</dc:title>"), "document type"),
        (packet("<dc:title>&a;</dc:title>"), "undefined entity"),
        (packet("<dc:b>" * 60 + "</dc:b>" * 60), "inside each other"),
        (packet("").decode().encode("utf-16"), "UTF-16"),
        (packet("").decode().encode("utf-16-be"), "UTF-16"),
        (b'<?xml version="1.0" encoding="none"?>' + packet(""), "unknown encoding"),
        (b"\xff" + packet(""), "not well-formed"),
    ],
)
def test_what_is_not_xmp(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(content)


def test_two_frames_or_fields_outside() -> None:
    outside = packet("<dc:description>y</dc:description>", ' dc:description="x"').decode()
    content = f"<m>{packet('').decode()}{outside}<n>{outside}</n></m>".encode()
    assert said(content) == {}
    assert said(put(content)) == BOTH


def test_a_new_sidecar() -> None:
    content = fresh({ALT_TEXT: "a dog", DESCRIPTION: 'a "dog" & <ball>'}, 'RegionTalk "1"')
    assert texts(content) == {
        "AltTextAccessibility": {"x-default": "a dog"},
        "description": {"x-default": 'a "dog" & <ball>'},
    }
    assert fromstring(content).get("{adobe:ns:meta/}xmptk") == 'RegionTalk "1"'


@given(st.text(), st.text(), st.sampled_from(sorted(SAMPLES)))
def test_any_text_can_be_said(alt: str, description: str, name: str) -> None:
    """But for characters that XML cannot hold; runs of white space are one space."""
    after = put(SAMPLES[name], {ALT_TEXT: alt, DESCRIPTION: description}, overwrite=True)
    assert others(after) == others(SAMPLES[name])
    for field, text in ((ALT_TEXT, alt), (DESCRIPTION, description)):
        words = "".join(c if in_xml(c) else " " for c in text).split()
        if words:
            assert said(after)[field] == " ".join(words)


def in_xml(c: str) -> bool:
    return c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"


@given(st.binary(max_size=40), st.integers(0, len(DIGIKAM)))
def test_damage_is_an_error_or_harmless(noise: bytes, at: int) -> None:
    content = DIGIKAM[:at] + noise + DIGIKAM[at:]
    try:
        found = parse(content)
    except ValueError:
        return
    after = merged(found, BOTH)
    assert others(after) == others(content)
    assert set(said(after)) == set(FIELDS)


def test_long_texts_in_many_pieces_take_no_longer_than_they_are() -> None:
    lines = "x\n" * 200_000
    many = languages(*[("x-default", "same")] * 50_000)
    assert (
        said(packet(f"<dc:description>{lines}</dc:description>"))[DESCRIPTION].count("x") == 200_000
    )
    assert put(packet(many), {DESCRIPTION: "New"}, overwrite=True).count(b"New") == 50_000
