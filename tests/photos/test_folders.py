"""Finding photos in folders.

What is taken, what is passed over and said, and folders that cannot be read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regiontalk.errors import PhotoError
from regiontalk.photos import kinds
from regiontalk.photos.folders import SYSTEM_FOLDERS, find_photos, names_in_folders, search_photos
from regiontalk.photos.kinds import SUFFIXES
from regiontalk.photos.readers import READERS


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_find_photos(tmp_path: Path) -> None:
    names = [
        "b.JPG",
        "a.png",
        "sub/c.webp",
        "sub/deep/d.tiff",
        "notes.txt",
        ".hidden.jpg",
        ".git/e.jpg",
        "._a.png",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = [tmp_path / name for name in ("a.png", "b.JPG", "sub/c.webp", "sub/deep/d.tiff")]
    assert (
        find_photos([tmp_path]) == find_photos(tmp_path) == find_photos(str(tmp_path)) == expected
    )


def test_files_are_taken_as_given(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    given_paths = [tmp_path / "gone.jpg", tmp_path / "notes.txt", tmp_path, tmp_path / "a.png"]
    assert find_photos(given_paths) == [*given_paths[:2], tmp_path / "a.png", tmp_path / "a.png"]


def test_problems(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "empty/notes.txt")
    assert search_photos(tmp_path).problems(str(tmp_path)) == {}
    # A file is taken as given
    assert search_photos(tmp_path / "gone.jpg").problems("gone.jpg") == {}
    (problem,) = search_photos(tmp_path / "empty").problems("empty").items()
    assert problem[0] == "empty" and "no photo in this folder" in problem[1]


def test_names_of_all_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a.jpg", "z/c.xmp", "m/d", ".hidden", ".git/e", "@eaDir/f")
    (tmp_path / "empty").mkdir()
    folders = {"": ["a.jpg", "b.txt"], "empty": [], "m": ["d"], "z": ["c.xmp"]}
    assert names_in_folders(tmp_path) == [
        (tmp_path / folder, names) for folder, names in folders.items()
    ]


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert find_photos([tmp_path]) == [tmp_path / "a.png"]


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be read, also by root, between two that may."""
    touch(tmp_path, "a/1.jpg", "locked/2.jpg", "z/3.jpg")
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "locked").chmod(0)
        yield tmp_path / "locked"
        (tmp_path / "locked").chmod(0o700)
        return
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if os.path.basename(path) == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    yield tmp_path / "locked"


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_found(locked: Path) -> None:
    found = search_photos(locked.parent)
    assert found.photos == [locked.parent / "a/1.jpg", locked.parent / "z/3.jpg"]
    assert list(found.unreadable) == [locked]
    assert "locked: cannot be read (Permission denied)" in str(found.unreadable[locked])
    assert found.problems(str(locked.parent)) == {str(locked): str(found.unreadable[locked])}
    with pytest.raises(PhotoError, match=r"locked: cannot be read \(Permission denied\)"):
        find_photos(locked.parent)
    with pytest.raises(PhotoError, match=r"locked: cannot be read \(Permission denied\)"):
        names_in_folders(locked.parent)


def test_the_named_folder_itself_cannot_be_read(locked: Path) -> None:
    found = search_photos([locked, locked.parent / "a"])
    assert (found.photos, list(found.unreadable)) == ([locked.parent / "a/1.jpg"], [locked])


def test_nothing_to_find(tmp_path: Path) -> None:
    assert find_photos([]) == find_photos([tmp_path]) == []
    with pytest.raises(PhotoError, match="empty name"):
        find_photos([""])


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp"} <= SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)


def test_every_suffix_of_the_readers_is_found() -> None:
    """But those of formats that a reader shares its module with: .dib files have no header."""
    from importlib import import_module

    from PIL import Image

    for module in (*READERS.values(), "PIL.MpoImagePlugin"):
        import_module(module)
    known = {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in (*READERS, "MPO")
    }
    assert known <= SUFFIXES


def test_other_kinds_of_photos_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(
        tmp_path,
        "a.jpg",
        "b.HEIC",
        "sub/c.heif",
        "d.jxl",
        "e.CR2",
        "f.nef",
        "g.dng",
        "h.psd",
        "i.txt",
        ".j.heic",
    )
    monkeypatch.setattr("regiontalk.photos.kinds.heif_is_read", lambda: False)
    found = search_photos(tmp_path)
    assert [path.name for path in found.photos] == ["a.jpg"]
    assert {kind.name: count for kind, count in found.other_kinds.items()} == {
        "HEIC": 2,
        "JPEG XL": 1,
        "raw": 3,
        "Photoshop": 1,
    }
    assert kinds.HEIC.advice == "they need pip install 'regiontalk[heif]'"
    monkeypatch.setattr("regiontalk.photos.kinds.heif_is_read", lambda: True)
    found = search_photos(tmp_path)
    assert [path.name for path in found.photos] == ["a.jpg", "b.HEIC", "c.heif"]
    assert kinds.HEIC not in found.other_kinds


def test_folders_of_systems_are_passed_over_unless_they_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", *(f"sub/{name}/b.jpg" for name in SYSTEM_FOLDERS), "LOST+FOUND/c.jpg")
    found = search_photos(tmp_path)
    assert found.photos == [tmp_path / "a.jpg"]
    assert {path.name for path in found.system_folders} == {*SYSTEM_FOLDERS, "LOST+FOUND"}
    named = search_photos(tmp_path / "sub" / "@eaDir")
    assert (len(named.photos), named.system_folders) == (1, [])


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ((), ["A.jpg", "sub/b.gif", "sub/deep/c.jpg", "thumbs/d.jpg"]),
        (("thumbs",), ["A.jpg", "sub/b.gif", "sub/deep/c.jpg"]),
        (("THUMBS/", "a.*"), ["sub/b.gif", "sub/deep/c.jpg"]),
        (("*.GIF", "sub/deep"), ["A.jpg", "thumbs/d.jpg"]),
        (("deep/c.jpg",), ["A.jpg", "sub/b.gif", "sub/deep/c.jpg", "thumbs/d.jpg"]),
        (("./sub/*",), ["A.jpg", "thumbs/d.jpg"]),
        (("*",), []),
    ],
)
def test_exclude(tmp_path: Path, patterns: tuple[str, ...], left: list[str]) -> None:
    touch(tmp_path, "A.jpg", "sub/b.gif", "sub/deep/c.jpg", "thumbs/d.jpg")
    assert search_photos(tmp_path, patterns).photos == [tmp_path / name for name in left]
    # Named: taken as given
    assert search_photos(tmp_path / "A.jpg", patterns).photos == [tmp_path / "A.jpg"]
