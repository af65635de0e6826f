"""The API against its own document, fuzzed with schemathesis.

Whatever is sent, the answer is one that it promises.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .conftest import Running

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")
schemathesis = pytest.importorskip("schemathesis")

from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance  # noqa: E402

# Starlette leaves the temporary file of a part that never ends to the garbage collector, which
# closes it and warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
)

OPERATIONS = (
    ("POST", "/api/describe"),
    ("POST", "/api/align"),
    ("POST", "/api/describe/box"),
    ("GET", "/api/search"),
    ("POST", "/api/search/like"),
    ("GET", "/api/search/like"),
    ("GET", "/api/folders"),
    ("GET", "/api/thumbnail/{id}"),
    ("GET", "/api/photo/{id}"),
    ("POST", "/api/export/csv"),
    ("POST", "/api/export/xmp"),
    ("GET", "/api/health"),
    ("GET", "/api/version"),
)
ASKED_BARE = ("/api/folders", "/api/health", "/api/version")
"""Take nothing."""
EXAMPLES = 15
KNOWN = "a dog "
"""Makes any text a sentence that the pack knows a word of."""

each_operation = pytest.mark.parametrize(("method", "path"), OPERATIONS)


@pytest.fixture(scope="session")
def api(served: Running) -> Any:
    """The API's own document, as it serves it."""
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def each_case(operation: Any, mode: Any, check: Callable[[Any], None]) -> None:
    """Checks some requests for an operation, always the same ones."""
    phases = [Phase.explicit, Phase.generate]

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        check(case)

    run()


def test_every_operation_is_fuzzed(api: Any) -> None:
    found = {(result.ok().method.upper(), result.ok().path) for result in api.get_all_operations()}
    assert found == set(OPERATIONS)


@each_operation
@pytest.mark.parametrize("mode", GenerationMode)
def test_whatever_is_sent(api: Any, method: str, path: str, mode: Any) -> None:
    if mode is GenerationMode.NEGATIVE and path in ASKED_BARE:
        return  # nothing can be sent wrong

    def check(case: Any) -> None:
        # A document cannot say which bytes are a photo, nor which words a pack knows: see the next
        # test.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    each_case(api[path][method], mode, check)


@each_operation
def test_what_is_valid_is_answered(api: Any, method: str, path: str, photo_file: Path) -> None:
    """With a photo that is one and a sentence with a known word, all that the document allows is
    accepted.
    """
    photo = photo_file.read_bytes()

    def check(case: Any) -> None:
        if isinstance(case.body, dict) and "photos" in case.body:
            for number, each in enumerate(case.body["photos"]):
                # A document cannot say which names stay in their folder
                each["file"] = f"{number}.jpg"
        elif isinstance(case.body, dict):
            case.body["photo"] = photo
            case.body.pop("temperature", None)  # it and a beam exclude each other
            if "box" in case.body:
                case.body["box"] = "-1,0,9.5,9"  # a document cannot say what lies in a photo
            if "sentence" in case.body:
                case.body["sentence"] = KNOWN + case.body["sentence"][: -len(KNOWN)]
        if "q" in (case.query or {}):
            case.query["q"] = KNOWN + case.query["q"][: -len(KNOWN)]
        case.call_and_validate(excluded_checks=[negative_data_rejection])

    each_case(api[path][method], GenerationMode.POSITIVE, check)
