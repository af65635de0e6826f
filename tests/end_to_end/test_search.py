"""`regiontalk search`: what is found, what is said, what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import regiontalk

from ..tiny_pack import write_tiny_pack
from .conftest import Command, random_photo


@pytest.fixture
def index(command: Command, photos: Path, tmp_path: Path) -> Path:
    """An index of eight photos."""
    for seed in range(5):
        random_photo(seed + 10, (40 + 20 * seed, 60)).save(photos / f"p{seed}.png")
    folder = tmp_path / "photos.index"
    assert command("index", "add", photos, "--index", folder).status == 0
    return folder


@pytest.fixture
def files(photos: Path, index: Path) -> list[str]:
    return sorted(str(path) for path in photos.rglob("*") if path.is_file())


def test_photos_with_phrases(
    command: Command, index: Path, files: list[str], tiny_pack: Path
) -> None:
    """Search ranks and explains as scoring and aligning each photo would."""
    model, sentence = regiontalk.load(tiny_pack), "a dog in the snow"
    scores = dict(zip(files, model.score(files, [sentence])[:, 0], strict=True))
    found = command("search", sentence, "--index", index, "-k", 5, "--json").json()
    assert [each["file"] for each in found] == sorted(files, key=lambda file: -scores[file])[:5]
    assert [each["rank"] for each in found] == [1, 2, 3, 4, 5]
    for each in found:
        assert each["score"] == pytest.approx(scores[each["file"]], rel=1e-4, abs=1e-4)
        aligned = model.align(each["file"], sentence).to_json()
        assert [phrase["text"] for phrase in each["phrases"]] == [
            phrase["text"] for phrase in aligned["phrases"]
        ]
        for phrase, expected in zip(each["phrases"], aligned["phrases"], strict=True):
            assert phrase["box_xyxy"] == pytest.approx(expected["box_xyxy"], abs=1e-3)
    lines = command("search", sentence, "--index", index, "-k", 5).out.splitlines()
    assert lines == [f"{each['rank']:>3}. {each['score']:>8.2f}  {each['file']}" for each in found]


def test_boxes_of_phrases_in_text(command: Command, index: Path) -> None:
    sentence = "a dog in the snow"
    first, second = command("search", sentence, "--index", index, "-k", 2, "--json").json()
    blocks = command("search", sentence, "--index", index, "-k", 2, "--boxes").out.split("\n\n")
    for found, block in zip((first, second), blocks, strict=False):
        line, titles, *phrases = block.splitlines()
        assert line == f"{found['rank']:>3}. {found['score']:>8.2f}  {found['file']}"
        assert titles.split() == ["score", "left", "top", "right", "bottom", "words"]
        for phrase, shown in zip(found["phrases"], phrases, strict=True):
            assert shown.split()[:5] == [
                f"{phrase['score']:.2f}",
                *(f"{edge:.0f}" for edge in phrase["box_xyxy"]),
            ]
            assert shown.endswith(f"  {phrase['text']}")


def test_a_region_shows_each_photo_once_unless_boxes_are_asked_for(
    command: Command, index: Path
) -> None:
    query = ("search", "--region", "red ball", "--index", index)
    every = command(*query, "-k", 500, "--json").json()
    best = list({each["file"]: each["score"] for each in reversed(every)}.items())[::-1]
    best.sort(key=lambda pair: -pair[1])
    once = command(*query).out.splitlines()
    assert once == [
        f"{rank:>3}. {score:>8.2f}  {file}" for rank, (file, score) in enumerate(best, start=1)
    ]
    assert len(every) > len(once) == 8
    text = command(*query, "-k", 6, "--boxes").out
    lines = [line for line in text.splitlines() if line.endswith(tuple(file for file, _ in best))]
    assert lines == [
        f"{each['rank']:>3}. {each['score']:>8.2f}  {each['file']}" for each in every[:6]
    ]
    assert text.count("  red ball\n") == 6


def test_results_fit_60_columns(
    command: Command, index: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are named from the working folder on; phrases are folded, and nothing is lost."""
    sentence = (
        "a brown dog jumps in white snow and two people with a red ball are running on the grass"
    )
    wide = command("search", sentence, "--index", index, "--boxes").out
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.chdir(photos)
    for query in (
        [sentence],
        [sentence, "--boxes"],
        ["--region", sentence, "--boxes"],
        ["--like", "a.jpg"],
    ):
        lines = command("search", *query, "--index", index, "-k", 20).out.splitlines()
        assert lines and max(map(len, lines)) <= 60
    narrow = command("search", sentence, "--index", index, "--boxes").out
    assert narrow.split() == wide.replace(f"{photos}/", "").split()
    assert "  more/c.jpg\n" in narrow


def test_enough_candidates_find_the_same(command: Command, index: Path) -> None:
    exact = command("search", "a red ball", "--index", index, "--json")
    assert (
        command("search", "a red ball", "--index", index, "--json", "--candidates", 8).out
        == exact.out
    )
    assert (
        len(
            command(
                "search", "a red ball", "--index", index, "--json", "--candidates", 1, "-k", 1
            ).json()
        )
        == 1
    )


def test_boxes(command: Command, index: Path, files: list[str], tiny_pack: Path) -> None:
    model = regiontalk.load(tiny_pack)
    (read,) = model.read("red ball")
    scores = {
        (regions.file, region): float(vector @ read.vectors.sum(axis=0))
        for regions in model.look(files)
        for region, vector in enumerate(regions.vectors)
    }
    found = command("search", "--region", "red ball", "--index", index, "-k", 6, "--json").json()
    best = sorted(scores.values(), reverse=True)[:6]
    np.testing.assert_allclose([each["score"] for each in found], best, rtol=1e-4, atol=1e-4)
    for each in found:
        assert scores[each["file"], each["region"]] == pytest.approx(
            each["score"], rel=1e-4, abs=1e-4
        )
        assert len(each["box_xyxy"]) == 4


def test_photos_by_photo(command: Command, index: Path, files: list[str], tiny_pack: Path) -> None:
    model = regiontalk.load(tiny_pack)
    looked = model.look(files)
    means = [each.vectors.mean(axis=0) for each in looked]
    scores = [
        float(means[0] @ each / np.linalg.norm(means[0]) / np.linalg.norm(each)) for each in means
    ]
    found = command("search", "--like", files[0], "--index", index, "--json").json()
    assert [each["file"] for each in found] == [files[i] for i in np.argsort(scores)[::-1]]
    np.testing.assert_allclose(
        [each["score"] for each in found], sorted(scores, reverse=True), rtol=1e-4
    )
    text = command("search", "--like", files[0], "--index", index, "-k", 1).out
    assert text == f"  1. {found[0]['score']:>8.3f}  {found[0]['file']}\n"


def test_sentences_by_photo(
    command: Command, files: list[str], tiny_pack: Path, photos: Path, tmp_path: Path
) -> None:
    """The sum runs over the words of each sentence in the file, and no index is needed."""
    photo = photos / "a.jpg"
    lines = ["a dog", "", "two people in the snow", "!!!", "a red ball on the grass", "street"]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    kept = [line for line in lines if line not in ("", "!!!")]
    scores = regiontalk.load(tiny_pack).score(photo, kept)[0]
    ended = command(
        "search", "--sentences", tmp_path / "captions.txt", "--like", photo, "-k", 3, "--json"
    )
    assert ended.status == 1
    assert "captions.txt, line 4: has no word" in ended.err
    found = ended.json()
    assert [each["sentence"] for each in found] == [kept[i] for i in np.argsort(-scores)[:3]]
    assert [lines[each["line"] - 1] for each in found] == [each["sentence"] for each in found]
    np.testing.assert_allclose(
        [each["score"] for each in found], np.sort(scores)[::-1][:3], rtol=1e-4
    )


@pytest.mark.parametrize("bank", [False, True])
def test_a_pack_that_scores_by_the_word(
    bare: Command, index: Path, photos: Path, tmp_path: Path, bank: bool
) -> None:
    """Photos are ranked as by Eq. 8, divided by the number of words: what alignments say.

    With a bank the hubness of each is taken off by all of them alike.
    """
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    pack, mine, sentence = tmp_path / "mean", tmp_path / "mean.index", "a dog in the snow"
    write_tiny_pack(pack, score="mean", bank=bank)
    assert bare("index", "add", photos, "--index", mine, "--pack", pack).status == 0
    assert bare("index", "push", "--index", mine, "--qdrant", tmp_path / "qdrant").status == 0
    model = regiontalk.load(pack)
    found = bare("search", sentence, "--index", mine, "--pack", pack, "--json").json()
    scores = model.score([each["file"] for each in found], sentence)[:, 0]
    assert len(found) == 8 and (np.diff(scores) < 0).all()
    assert (
        np.unique([each.hubness for each in model.look(each["file"] for each in found)]).size > 1
    ) == bank
    assert [each["score"] for each in found] == pytest.approx(scores.tolist(), rel=1e-4)
    assert [model.align(each["file"], sentence).score for each in found] == pytest.approx(
        scores.tolist(), rel=1e-4
    )
    for place in (("--index", mine, "--candidates", 8), ("--qdrant", tmp_path / "qdrant")):
        again = bare("search", sentence, *place, "--pack", pack, "--json").json()
        assert [each["file"] for each in again] == [each["file"] for each in found]
        assert [each["score"] for each in again] == pytest.approx(
            [each["score"] for each in found], rel=1e-4
        )
    text = bare("search", sentence, "--index", mine, "-k", 1, "--pack", pack).out
    assert text == f"  1. {found[0]['score']:>8.2f}  {found[0]['file']}\n"
    phrase = bare(
        "search", "--region", sentence, "--index", mine, "--pack", pack, "-k", 1, "--json"
    ).json()
    assert phrase[0]["score"] == pytest.approx(
        model.align(phrase[0]["file"], sentence, 1e6).phrases[0].score, rel=1e-3
    )


@pytest.mark.parametrize("bank", [False, True])
def test_sentences_by_photo_by_the_word(
    bare: Command, photos: Path, tmp_path: Path, bank: bool
) -> None:
    write_tiny_pack(tmp_path / "mean", score="mean", bank=bank)
    lines = ["a dog", "two people in the snow", "a red ball on the grass", "street"]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    scores = regiontalk.load(tmp_path / "mean").score(photos / "a.jpg", lines)[0]
    query = ("--sentences", tmp_path / "captions.txt", "--like", photos / "a.jpg")
    found = bare("search", *query, "--pack", tmp_path / "mean", "--json").json()
    assert [each["sentence"] for each in found] == [lines[i] for i in np.argsort(-scores)]
    np.testing.assert_allclose([each["score"] for each in found], np.sort(scores)[::-1], rtol=1e-4)


def test_a_pack_that_scores_by_equation_7_finds_no_photos(
    bare: Command, index: Path, tmp_path: Path
) -> None:
    write_tiny_pack(tmp_path / "sum", score="sum")
    ended = bare("search", "a dog", "--index", index, "--pack", tmp_path / "sum")
    assert (ended.status, ended.out) == (2, "")
    assert "scored by Eq. 7, but search ranks by Eq. 8" in ended.err


def test_filters(command: Command, index: Path, files: list[str]) -> None:
    def found(*options: object) -> set[str]:
        return {
            each["file"]
            for each in command("search", "a dog", "--index", index, "--json", *options).json()
        }

    assert found() == set(files)
    assert found("--path", "*/more/*") == {file for file in files if "/more/" in file}
    assert found("--min-size", "80x60", "--max-size", "100x60") == {
        f for f in files if f.endswith(("p2.png", "p3.png"))
    }
    assert found("--taken-from", "1990-01-01") == set()  # these photos have no date


def test_how_many_photos_a_filter_leaves_is_told(
    command: Command, bare: Command, index: Path, tmp_path: Path
) -> None:
    some = command("search", "a dog", "--index", index, "--path", "*/more/*", "-k", 1)
    assert (some.status, some.err) == (0, "regiontalk: 1 of 8 photos meet the conditions\n")
    none = command(
        "search", "--region", "a dog", "--index", index, "--path", "*/nothing/*", "--json"
    )
    assert (none.status, none.out) == (0, "")
    assert none.err.startswith(
        "regiontalk: 0 of 8 photos meet the conditions; nothing can be found, check --path"
    )
    (tmp_path / "no photos").mkdir()
    command("index", "add", tmp_path / "no photos", "--index", tmp_path / "empty.index")
    none = command("search", "a dog", "--index", tmp_path / "empty.index", "--path", "*")
    assert (none.status, none.out, "no photos to search in" in none.err) == (0, "", True)
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    bare("index", "push", "--index", index, "--qdrant", tmp_path / "qdrant")
    none = command("search", "a dog", "--qdrant", tmp_path / "qdrant", "--path", "/nothing/*")
    assert (none.status, none.out, none.err.partition(";")[0]) == (
        0,
        "",
        "regiontalk: 0 of 8 photos meet the conditions",
    )


def test_pictures(command: Command, index: Path, files: list[str], tmp_path: Path) -> None:
    for number, query in enumerate((["a dog"], ["--region", "a dog"], ["--like", files[0]])):
        folder = tmp_path / f"drawn{number}"
        found = command(
            "search", *query, "--index", index, "-k", 3, "--draw", folder, "--json"
        ).json()
        expected = [f"{each['rank']:03}-{Path(each['file']).stem}.png" for each in found]
        assert sorted(path.name for path in folder.iterdir()) == expected
    Path(files[0]).unlink()
    ended = command("search", "a dog", "--index", index, "--draw", tmp_path / "again")
    assert ended.status == 1
    assert f"{files[0]}: no such file" in ended.err
    assert len(list((tmp_path / "again").iterdir())) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "found nothing"),
        (["a dog", "--region", "a dog"], "found SENTENCE and --region"),
        (["a dog", "--sentences", "x.txt"], "name the photo with --like"),
        (["a dog"], "--index is missing"),
        (
            ["a dog", "--index", "{index}", "--taken-to", "June"],
            "--taken-to 'June': expected a day like 2024-06-30",
        ),
        (
            ["a dog", "--index", "{index}", "--min-size", "800"],
            "expected width and height in pixels, like 800x600",
        ),
        (["a dog", "--index", "{index}", "--max-size", f"{'9' * 30}x1"], "no photo is so large"),
        (["a dog", "--index", "nothing"], "expected an index, found none"),
        (
            ["a dog", "--index", "{index}", "--draw", "{index}/manifest.json"],
            "is a file; name a folder",
        ),
        (["--like", "x.jpg", "--sentences", "nothing.txt"], "no such file"),
        (
            ["a dog", "--index", "{index}", "--collection", "c"],
            "--collection: does not apply without --qdrant",
        ),
        (
            ["--region", "a dog", "--index", "{index}", "--candidates", "3"],
            "--candidates: does not apply in an index without a SENTENCE",
        ),
        (
            ["--like", "x.jpg", "--index", "{index}", "--candidates", "3"],
            "--candidates: does not apply in an index",
        ),
        (
            ["a dog", "--index", "{index}", "--boxes", "--json"],
            "--boxes: does not apply with --json",
        ),
        (
            ["--like", "x.jpg", "--index", "{index}", "--boxes"],
            "--boxes: does not apply with --like",
        ),
        (
            ["--like", "x.jpg", "--sentences", "x.txt", "--index", "{index}", "--draw", "found"],
            "--index, --draw: does not apply where --sentences ranks the lines of a file",
        ),
    ],
)
def test_wrong_commands(command: Command, index: Path, arguments: list[str], message: str) -> None:
    ended = command("search", *(each.replace("{index}", str(index)) for each in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err


@pytest.mark.parametrize("sentence", ["", "!!!", "zyxwv"])
def test_sentences_that_say_nothing(command: Command, index: Path, sentence: str) -> None:
    for query in ([sentence], ["--region", sentence]):
        ended = command("search", *query, "--index", index)
        assert (ended.status, ended.out) == (1, "")
        assert repr(sentence) in ended.err


def test_like_a_photo_that_is_none(command: Command, index: Path) -> None:
    ended = command("search", "--like", "missing.jpg", "--index", index)
    assert (ended.status, ended.out) == (1, "")
    assert "missing.jpg: no such file" in ended.err


def test_qdrant_finds_the_same(
    command: Command, bare: Command, index: Path, tmp_path: Path
) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    store = tmp_path / "qdrant"
    pushed = bare("index", "push", "--index", index, "--qdrant", store)
    assert (pushed.status, pushed.out) == (0, "regiontalk: 8 sent, 0 deleted; 8 photos in all\n")
    for query in (
        ["a dog in the snow"],
        ["--region", "a red ball", "-k", 3],
        ["a dog", "--candidates", 8],
    ):
        ours = command("search", *query, "--index", index, "--json").json()
        theirs = command("search", *query, "--qdrant", store, "--json").json()
        assert [each["file"] for each in theirs] == [each["file"] for each in ours]
        np.testing.assert_allclose(
            [each["score"] for each in theirs], [each["score"] for each in ours], rtol=1e-4
        )
    both = command("search", "a dog", "--index", index, "--qdrant", store)
    assert (both.status, "search in one of them" in both.err) == (2, True)
