"""Sidecars as programs write them, and what must stay in them."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
IPTC = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
OURS = (f"{DC}description", f"{IPTC}AltTextAccessibility")

LIGHTROOM = b"""\
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00 \
       ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   xmp:CreatorTool="Adobe Photoshop Lightroom Classic 13.2 (Macintosh)"
   xmp:Rating="4"
   tiff:Make='NIKON "CORPORATION"'
   xmpMM:DocumentID="xmp.did:8f0e4a52-4b0c"
   crs:Version="16.2"
   crs:Exposure2012="+0.35"
   crs:HasSettings="True">
   <dc:format>image/jpeg</dc:format>
   <dc:creator>
    <rdf:Seq>
     <rdf:li>J\xc3\xbcrgen M\xc3\xbcller</rdf:li>
    </rdf:Seq>
   </dc:creator>
   <dc:title>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">Harbour &amp; sea</rdf:li>
    </rdf:Alt>
   </dc:title>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Lisbon</rdf:li>
     <rdf:li>2019 &gt; Autumn</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li
      stEvt:action="derived"
      stEvt:parameters="converted from image/x-nikon-nef to image/jpeg, saved to new location"/>
     <rdf:li stEvt:action="saved" stEvt:when="2024-03-02T10:11:12+01:00" stEvt:changed="/metadata"/>
    </rdf:Seq>
   </xmpMM:History>
   <crs:ToneCurvePV2012>
    <rdf:Seq>
     <rdf:li>0, 0</rdf:li>
     <rdf:li>255, 255</rdf:li>
    </rdf:Seq>
   </crs:ToneCurvePV2012>
   <crs:MaskGroupBasedCorrections>
    <rdf:Seq>
     <rdf:li>
      <rdf:Description
       crs:What="Correction"
       dc:description="of a mask, not of the photo">
       <dc:description>nor this one</dc:description>
      </rdf:Description>
     </rdf:li>
    </rdf:Seq>
   </crs:MaskGroupBasedCorrections>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
"""Attributes for simple fields, elements for lists, and a description of something inside it."""

DARKTABLE = b"""\
<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
   exif:DateTimeOriginal="2023:07:14 19:02:11.000"
   xmp:Rating="1"
   xmpMM:DerivedFrom="dog.jpg"
   darktable:xmp_version="5"
   darktable:raw_params="0"
   darktable:auto_presets_applied="1"
   darktable:history_end="2"
   darktable:iop_order_version="4">
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>animals|dog</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <!-- the history below is darktable's own -->
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="exposure"
      darktable:params="gz02eJxjYGBgYAFiCQYYOOHEgAZY0QWAgBGLGANDgz0Ej1Q+dlAx68oBEMbF\
xwX+AwGIBgCbGCeh"
      darktable:multi_name=""
      darktable:blendop_params="gz11eJxjYIAACQYYOOHEgAYAJNIHIw=="/>
     <rdf:li darktable:num="1" darktable:operation="flip" darktable:enabled="1"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

DIGIKAM = b"""\
\xef\xbb\xbf<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\r
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">\r
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\r
  <rdf:Description rdf:about="uuid:1&amp;2"\r
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"\r
    xmlns:d="http://purl.org/dc/elements/1.1/"\r
    xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/"\r
   digiKam:PickLabel="0"\r
   acdsee:notes="Ein Hund am Strand">\r
   <d:description>\r
    <rdf:Alt>\r
     <rdf:li xml:lang="x-default">Ein Hund &amp; ein Ball</rdf:li>\r
     <rdf:li xml:lang="de-DE">Ein Hund &amp; ein Ball</rdf:li>\r
     <rdf:li xml:lang="fr">Un chien</rdf:li>\r
    </rdf:Alt>\r
   </d:description>\r
   <digiKam:TagsList>\r
    <rdf:Seq>\r
     <rdf:li>Hund</rdf:li>\r
    </rdf:Seq>\r
   </digiKam:TagsList>\r
  </rdf:Description>\r
 </rdf:RDF>\r
</x:xmpmeta>\r
<?xpacket end="w"?>"""
"""With a description in several languages, another prefix, and lines that end as on Windows."""

SAMPLES = {"lightroom": LIGHTROOM, "darktable": DARKTABLE, "digikam": DIGIKAM}


def others(content: bytes) -> list[str]:
    """All that a sidecar says but the two texts.

    Each element's and attribute's path and value, in order.
    """
    root = fromstring(content)
    return list(_said(root, (), {each for block in _blocks(root) for each in _ours(block)}))


def texts(content: bytes) -> dict[str, dict[str, str]]:
    """The two texts by the standard library's parser: field → language → text."""
    found: dict[str, dict[str, str]] = {}
    for name in OURS:
        path = f"{name}/{RDF}Alt/{RDF}li"
        for item in (
            each for block in _blocks(fromstring(content)) for each in block.findall(path)
        ):
            language = item.attrib["{http://www.w3.org/XML/1998/namespace}lang"]
            found.setdefault(name.partition("}")[2], {})[language] = item.text or ""
    return found


def _blocks(root: Element) -> list[Element]:
    (rdf,) = [root] if root.tag == f"{RDF}RDF" else root.findall(f"{RDF}RDF")
    return rdf.findall(f"{RDF}Description")


def _ours(block: Element) -> Iterator[Element]:
    for name in OURS:
        yield from block.findall(name)


def _said(element: Element, path: tuple[str, ...], left_out: set[Element]) -> Iterator[str]:
    if element in left_out:
        return
    path = (*path, element.tag)
    is_block = path[-2:] == (f"{RDF}RDF", f"{RDF}Description")
    attributes = {k: v for k, v in element.attrib.items() if not (is_block and k in OURS)}
    # not a block for our texts alone
    if not is_block or set(element) - left_out or set(attributes) - {f"{RDF}about"}:
        yield f"{'/'.join(path)} {sorted(attributes.items())} {(element.text or '').strip()}"
    for child in element:
        yield from _said(child, path, left_out)
