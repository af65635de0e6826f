"""What Pillow and libtiff say while photos are read, kept from the user."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from regiontalk.errors import PhotoError
from regiontalk.photos import open_photo
from regiontalk.photos.diagnostics import libtiff_messages

from .made import a_gradient, encoded, stderr_of_the_process


def damaged_tiff() -> bytes:
    source = bytearray(encoded(a_gradient(), "TIFF", compression="tiff_lzw"))
    source[20:200] = bytes(range(20, 200))
    return bytes(source)


@pytest.mark.parametrize("as_file", [True, False])
def test_what_libtiff_says_becomes_the_photos_error(as_file: bool, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(damaged_tiff())
    with stderr_of_the_process() as written, pytest.raises(PhotoError) as caught:
        open_photo(tmp_path / "a.tif" if as_file else damaged_tiff())
    assert written() == b""
    assert "found broken data (Using code not yet in table)" in str(caught.value)


def test_lines_of_others_are_passed_on() -> None:
    with stderr_of_the_process() as written:
        with libtiff_messages() as messages:
            os.write(
                2,
                b"regiontalk: a.jpg: no such file\nTIFFReadDirectory: Warning, odd.\nZIPDecode: "
                b"bad.\n50 %\r",
            )
        os.write(2, b"after\n")
    assert messages == ["Warning, odd.", "bad."]
    assert written() == b"regiontalk: a.jpg: no such file\n50 %\rafter\n"


@pytest.mark.parametrize("missing", [1, 2])
def test_where_no_file_can_be_made_in_memory_or_at_all(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with stderr_of_the_process() as written:
        monkeypatch.setattr(os, "memfd_create", fail, raising=False)
        if missing == 2:
            monkeypatch.setattr(tempfile, "TemporaryFile", fail)
        with pytest.raises(
            PhotoError, match="Using code not yet in table" if missing == 1 else "decoder error"
        ):
            open_photo(damaged_tiff())
        monkeypatch.undo()
    assert written() == b""


def test_stderr_is_closed() -> None:
    before = os.dup(2)
    os.close(2)
    try:
        with pytest.raises(PhotoError, match="broken data"):
            open_photo(damaged_tiff())
    finally:
        os.dup2(before, 2)
        os.close(before)


def test_threads_that_read_tiffs_leave_stderr_as_it_was() -> None:
    failures: list[str] = []

    def read() -> None:
        for _ in range(20):
            try:
                open_photo(damaged_tiff())
            except PhotoError as error:
                failures.append(str(error))

    with stderr_of_the_process() as written:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.write(2, b"still here")
    assert written() == b"still here"
    assert len(failures) == 80 and len(set(failures)) == 1


def test_pillows_log_stays_out_of_stderr() -> None:
    with stderr_of_the_process() as written:
        logging.getLogger("PIL.TiffImagePlugin").error("More samples per pixel than can be decoded")
    assert written() == b""
