"""Settings check themselves, from a file or from Python."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from regiontalk.settings import (
    AlignmentSettings,
    BankSettings,
    CaptionerSettings,
    PackSettings,
    VisionSettings,
    WordsSettings,
    shown,
)

from .tiny_pack import tiny_bank, tiny_settings


def test_settings_survive_json() -> None:
    settings = tiny_settings()
    assert PackSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_whole_number_may_stand_for_a_number() -> None:
    vision = VisionSettings(64, 4, 16, 5, nms_iou=1, min_objectness=0)
    assert vision.nms_iou == 1.0
    assert isinstance(vision.nms_iou, float)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", 10**9),
        ("size", 10**400),
        ("size", 64.0),
        ("size", "64"),
        ("size", True),
        ("size", None),
        ("size", [64]),
        ("proposals", -1),
        ("nms_iou", math.nan),
        ("nms_iou", math.inf),
        ("nms_iou", 1.5),
        ("nms_iou", 10**400),
        ("nms_iou", "0.5"),
        ("nms_iou", False),
    ],
)
def test_vision_rules(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected a .*number from .*, found "):
        replace(tiny_settings().vision, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cell", "transformer", "one of rnn, gru, lstm, found 'transformer'"),
        ("cell", ["gru"], "one of rnn, gru, lstm"),
        ("beam", 0, "a whole number from 1 to 100, found 0"),
        ("beam", 10**6, "a whole number from 1 to 100, found 1000000"),
        ("max_words", 10**6, "a whole number from 1 to 200"),
        ("length_normalisation", -0.1, "a number from 0 to 10"),
        ("rerank_weight", -0.1, "a number from 0 to 1e\\+06"),
    ],
)
def test_captioner_rules(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected {message}"):
        replace(tiny_settings().photo_captioner, **{field: value})


def test_how_captions_are_searched_for_is_told() -> None:
    captioner = tiny_settings().photo_captioner
    assert captioner.search() == {"beam": 3, "max_words": 8, "length_normalisation": 0.0}
    assert replace(captioner, rerank_weight=0.5).search(7) == {
        "beam": 7,
        "max_words": 8,
        "length_normalisation": 0.0,
        "rerank_weight": 0.5,
    }


@pytest.mark.parametrize("score", ["max", "sum", "mean"])
def test_kinds_of_score(score: str) -> None:
    settings = replace(tiny_settings(), alignment=AlignmentSettings(score, beta=1.0))
    assert PackSettings.from_json(settings.to_json()) == settings
    with pytest.raises(ValueError, match=r"^score: expected one of max, sum, mean, found 'Mean'"):
        AlignmentSettings("Mean", beta=1.0)


def test_the_cell_of_the_words_network_may_be_missing() -> None:
    assert WordsSettings.from_json({"hidden": 4, "embedding": 3}) == WordsSettings(4, 3, "rnn")
    assert WordsSettings.from_json({"hidden": 4, "embedding": 3, "cell": "gru"}) == WordsSettings(
        4, 3, "gru"
    )
    with pytest.raises(ValueError, match=r"missing \['embedding'\], foreign \[\]"):
        WordsSettings.from_json({"hidden": 4, "cell": "gru"})
    with pytest.raises(ValueError, match=r"^cell: expected one of rnn, gru, found 'lstm'"):
        WordsSettings(4, 3, "lstm")


def test_defaults_are_not_written() -> None:
    """So that versions that do not know a field read what it does not change."""
    assert tiny_settings().to_json()["words"] == {"hidden": 12, "embedding": 6}
    settings = tiny_settings(words_cell="gru")
    assert settings.to_json()["words"] == {"hidden": 12, "embedding": 6, "cell": "gru"}
    assert PackSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_bank_rules() -> None:
    settings = replace(
        tiny_settings(), alignment=AlignmentSettings("mean", beta=1.0), bank=tiny_bank()
    )
    assert PackSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert "bank" not in tiny_settings().to_json()
    with pytest.raises(
        ValueError, match=r'^bank: expected a score of the kind "mean", found .max.'
    ):
        replace(tiny_settings(), bank=tiny_bank())
    for counts in ({"regions": 1}, {"words": 2}):
        with pytest.raises(
            ValueError, match="at least a region for each photo and a word for each sentence"
        ):
            replace(tiny_bank(), **counts)
    with pytest.raises(ValueError, match="expected photos and sentences, or neither"):
        BankSettings(photos=1, regions=1)
    with pytest.raises(ValueError, match="expected no temperature and weight without photos"):
        BankSettings(temperature=5.0)
    with pytest.raises(ValueError, match=r"^temperature: expected a number from 0\.001 to 1e"):
        replace(tiny_bank(), temperature=0)


def nested(depth: int) -> dict[str, Any]:
    value: Any = []
    for _ in range(depth - 2):
        value = [value]
    return {"said": value}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "a line of 1 to 100 printable characters"),
        ("name", "n" * 101, "a line of 1 to 100"),
        ("name", "two\nlines", "a line of 1 to 100"),
        ("licence", "\x1b[31mred", "a line of 1 to 200 printable"),
        ("trained_on", [], r"an object, found \[\]"),
        ("trained_on", nested(21), "an object, nested at most 20 deep, found "),
        (
            "results",
            nested(10**5),
            "an object, nested at most 20 deep, found something nested too deep",
        ),
        ("vision", {"size": 3}, "a VisionSettings"),
    ],
)
def test_pack_rules(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected {message}"):
        replace(tiny_settings(), **{field: value})


def test_free_forms_may_nest() -> None:
    assert replace(tiny_settings(), results=nested(20)).results == nested(20)


def test_fields_must_be_exactly_those() -> None:
    data = tiny_settings().photo_captioner.to_json()
    with pytest.raises(ValueError, match=r"missing \['beam'\], foreign \[\]"):
        CaptionerSettings.from_json({key: value for key, value in data.items() if key != "beam"})
    with pytest.raises(ValueError, match=r"missing \[\], foreign \['width'\]"):
        CaptionerSettings.from_json(data | {"width": 3})
    with pytest.raises(ValueError, match="expected an object, found 3"):
        CaptionerSettings.from_json(3)


def test_an_error_names_its_section() -> None:
    data = tiny_settings().to_json()
    data["vision"]["side"] = "4"
    with pytest.raises(
        ValueError, match=r"^vision: side: expected a whole number from 1 to 256, found '4'$"
    ):
        PackSettings.from_json(data)


def test_shown_is_short_and_plain() -> None:
    assert shown("\x1b[31m\u202e") == r"'\x1b[31m\u202e'"
    assert len(shown("x" * 1000)) < 100
    assert shown(10**5000) == "a huge number"  # which Python itself refuses to print
