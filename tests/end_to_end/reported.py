"""What a report holds."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..report.made import Reader, assert_harmless


def read(file: Path) -> Reader:
    return assert_harmless(file.read_text(encoding="utf-8"))


def data_of(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    (data,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', text, re.DOTALL
    )
    found: list[dict[str, Any]] = json.loads(data)
    return found


def image(element: dict[str, str]) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(element["href"].partition(",")[2])))
