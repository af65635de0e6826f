"""Loading and validation of packs, by folder or by the name of an included one.

Packs are untrusted input, so nothing of one is used before it is checked: files are regular and of
bounded size, checksums match, JSON is strict, and every tensor has the name, dtype and shape that
the settings imply and only finite values. No file in a pack can refer to another file, and nothing
is unpickled or evaluated.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from regiontalk import fingerprints
from regiontalk.alignment.hubness import bank_shapes, check_counts
from regiontalk.captioning.captioner import captioner_shapes
from regiontalk.errors import PackError, memory_errors
from regiontalk.files import read_bytes, sha256_hex
from regiontalk.json_files import parse_json
from regiontalk.language.reader import placed_shapes, words_shapes
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.settings import PackSettings, shown

FORMAT = "regiontalk-pack"
FORMAT_VERSION = 1
DEFAULT_PACK = "everyday-en"

SETTINGS_FILE = "pack.json"
VISION_FILE = "vision.onnx"
VOCABULARY_FILE = "vocabulary.json"
TENSOR_FILES = ("projection", "words", "photo_captioner", "region_captioner")
"""Required tensor files, each NAME.safetensors."""
FILES = (VISION_FILE, VOCABULARY_FILE, *(f"{name}.safetensors" for name in TENSOR_FILES))
"""Files that `pack.json` must list."""
TRAINING_PHOTOS_FILE = "training_photos.bin"
"""Optional file: fingerprints of the photos that the pack was trained on."""
BANK = "bank"
PLACED = "placed"
"""Optional NAME.safetensors: listed if and only if the settings have a query bank, or placed
words."""

INT8 = (f"{PLACED}.safetensors", "vectors")
"""File and name of the tensor quantised to int8 in units of 1/127: many rows, of unit length."""

LARGEST_FILE = 2**30
LARGEST_JSON = 2**25
LARGEST_LIST = fingerprints.BYTES * fingerprints.MOST

_LARGEST = {VOCABULARY_FILE: LARGEST_JSON, TRAINING_PHOTOS_FILE: LARGEST_LIST}
_INCLUDED = Path(__file__).parents[1] / "packs"
_COPY_AGAIN = "Copy the pack again from where it came, or export it again."

Arrays = Mapping[str, Mapping[str, np.ndarray]]
"""Tensors by file ("projection", "words", "photo_captioner", "region_captioner"; optionally "bank",
"placed") and name."""


@dataclass(frozen=True, eq=False)
class Pack:
    """A checked pack in memory.

    Attributes:
        folder: the folder it was read from.
        settings: the settings in `pack.json`.
        vocabulary: V words, including the two special ones.
        vision_onnx: the bytes of the vision graph, validated by `VisionSession` when it opens the
            graph.
        arrays: float32 tensors by file and name, see `tensor_shapes`.
        checksum: sha256 of `pack.json`, hexadecimal. That file lists the checksums of all others,
            so it identifies the pack.
        training_photos: (K, 16) uint8, fingerprints of the photos that it was trained on
            (`regiontalk.fingerprints`); None if the pack has no list of them.
    """

    folder: Path
    settings: PackSettings
    vocabulary: Vocabulary
    vision_onnx: bytes
    arrays: Arrays
    checksum: str
    training_photos: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Pack({self.settings.name!r}, {self.checksum[:12]})"

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Pack:
        """Read and validate a pack.

        Raises:
            PackError: if anything is missing, damaged, not of the format or of another version; it
                names the file.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise PackError(
                f"{folder}: expected a pack's folder, found "
                f"{'a file' if folder.exists() else 'nothing'}."
            )
        description = _read_file(folder / SETTINGS_FILE, LARGEST_JSON)
        settings, checksums = _read_settings(description, folder / SETTINGS_FILE)
        contents = {
            name: _read_checked(folder / name, checksum) for name, checksum in checksums.items()
        }
        vocabulary = _read_vocabulary(contents[VOCABULARY_FILE], folder / VOCABULARY_FILE)
        if bool(vocabulary.placed) != bool(settings.words.vector_dim):
            raise PackError(
                f"{folder / VOCABULARY_FILE}: expected placed words and vectors of them, "
                f"or neither. {_COPY_AGAIN}"
            )
        arrays = {}
        for name, shapes in tensor_shapes(
            settings, len(vocabulary), len(vocabulary.placed)
        ).items():
            file = f"{name}.safetensors"
            arrays[name] = _read_tensors(contents.pop(file), folder / file, shapes)
        if BANK in arrays:
            check_counts(arrays[BANK], settings.bank, str(folder / f"{BANK}.safetensors"))
        photos = None
        if TRAINING_PHOTOS_FILE in contents:
            photos = _read_fingerprints(
                contents[TRAINING_PHOTOS_FILE], folder / TRAINING_PHOTOS_FILE
            )
        return cls(
            folder,
            settings,
            vocabulary,
            contents[VISION_FILE],
            arrays,
            sha256_hex(description),
            photos,
        )


def find_pack(pack: str | os.PathLike[str] | None = None) -> Path:
    """Resolve a pack's name or path to its folder.

    Args:
        pack: the name of an included pack, or a folder; None for the default pack. Names take
            precedence over a folder of that name in the working directory, which is given as
            `./NAME`.

    Raises:
        PackError: if there is no such pack.
    """
    name = DEFAULT_PACK if pack is None else os.fspath(pack)
    included = (
        sorted(path.name for path in _INCLUDED.iterdir() if path.is_dir())
        if _INCLUDED.is_dir()
        else []
    )
    if name in included:
        return _INCLUDED / name
    if pack is None:
        raise PackError(
            f"The default pack {name} is missing: it belongs into {_INCLUDED / name}. Install "
            "RegionTalk again, or name another pack's folder (--pack FOLDER, or load(FOLDER))."
        )
    if Path(name).is_dir():
        return Path(name)
    raise PackError(
        f"{shown(name)} is neither a pack's folder nor the name of an included pack. "
        f"Included: {', '.join(included) or 'none'}."
    )


def tensor_shapes(
    settings: PackSettings, words: int, placed: int = 0
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of all tensors of a pack: file -> name -> shape.

    Args:
        words: V, the size of the vocabulary.
        placed: P, the number of its placed words.
    """
    dim, features = settings.space.dim, settings.vision.feature_dim
    read, photo, region = settings.words, settings.photo_captioner, settings.region_captioner
    shapes = {
        "projection": {"W_m": (features, dim), "b_m": (dim,)},
        "words": words_shapes(read.cell, words, read.embedding, read.hidden, dim),
        "photo_captioner": captioner_shapes(
            photo.cell, features, photo.hidden, photo.embedding, words, photo.attention, features
        ),
        "region_captioner": captioner_shapes(
            region.cell, 2 * features, region.hidden, region.embedding, words
        ),
    }
    if settings.bank.photos:
        shapes[BANK] = bank_shapes(settings.bank, dim)
    if read.vector_dim:
        shapes[PLACED] = placed_shapes(placed, read.vector_dim, read.embedding)
    return shapes


def _read_file(path: Path, largest: int) -> bytes:
    """A regular file's bytes; symbolic links are refused, as they could lead out of the pack."""
    return read_bytes(path, largest, PackError, advice=_COPY_AGAIN, links=False)


def _read_checked(path: Path, checksum: str) -> bytes:
    data = _read_file(path, _LARGEST.get(path.name, LARGEST_FILE))
    if sha256_hex(data) != checksum:
        raise PackError(
            f"{path}: expected sha256 {checksum}, found {sha256_hex(data)}: damaged. {_COPY_AGAIN}"
        )
    return data


def _read_json(data: bytes, path: Path) -> Any:
    try:
        return parse_json(data.decode())
    except ValueError as error:
        raise PackError(
            f"{path}: expected JSON, found: {shown(str(error))}. {_COPY_AGAIN}"
        ) from None


def _read_settings(data: bytes, path: Path) -> tuple[PackSettings, dict[str, str]]:
    """Parse `pack.json` -> the settings, and the sha256 of each file."""
    content = _read_json(data, path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = shown(content.get("format")) if isinstance(content, dict) else "no object"
        raise PackError(
            f'{path}: expected "format": "{FORMAT}", found {found}. This is not a RegionTalk pack.'
        )
    version = content.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool | float):
        raise PackError(
            f"{path}: expected format_version {FORMAT_VERSION}, found {shown(version)}. Use the "
            "version of RegionTalk that the pack was made for, or export the pack again with this "
            "one."
        )
    checksums = _check_file_list(content.pop("files", None), path)
    del content["format"], content["format_version"]
    try:
        settings = PackSettings.from_json(content)
    except ValueError as error:
        raise PackError(f"{path}: {error}. {_COPY_AGAIN}") from None
    for name, spoken_of in ((BANK, settings.bank.photos), (PLACED, settings.words.vector_dim)):
        if bool(spoken_of) != (f"{name}.safetensors" in checksums):
            raise PackError(
                f"{path}: expected settings of {name} and {name}.safetensors, or neither. "
                f"{_COPY_AGAIN}"
            )
    return settings, checksums


def _check_file_list(files: Any, path: Path) -> dict[str, str]:
    if not isinstance(files, dict):
        raise PackError(
            f'{path}: expected "files" to be an object, found {shown(files)}. {_COPY_AGAIN}'
        )
    for name, checksum in files.items():
        if name in (".", "..") or set(name) & set("/\\:\0"):
            raise PackError(
                f"{path}: expected plain file names, found {shown(name)}. Do not use this pack."
            )
        if (
            not isinstance(checksum, str)
            or len(checksum) != 64
            or set(checksum) - set("0123456789abcdef")
        ):
            raise PackError(
                f"{path}: expected the sha256 of {shown(name)}, found {shown(checksum)}. "
                f"{_COPY_AGAIN}"
            )
    optional = (TRAINING_PHOTOS_FILE, f"{BANK}.safetensors", f"{PLACED}.safetensors")
    if set(files) - set(optional) != set(FILES):
        expected, found = ", ".join(sorted(FILES)), shown(sorted(files), 400)
        raise PackError(
            f"{path}: expected the files {expected}, and perhaps {', '.join(optional)}, "
            f"found {found}. {_COPY_AGAIN}"
        )
    return files


def _read_vocabulary(data: bytes, path: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(_read_json(data, path))
    except PackError as error:
        message = str(error)
        raise (
            error
            if message.startswith(str(path))
            else PackError(f"{path}: {message}. {_COPY_AGAIN}")
        ) from None


def _read_fingerprints(data: bytes, path: Path) -> np.ndarray:
    try:
        return fingerprints.from_bytes(data)
    except ValueError as error:
        raise PackError(f"{path}: {error}. {_COPY_AGAIN}") from None


def _read_tensors(
    data: bytes, path: Path, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Parse a safetensors file, check names, dtypes, shapes and values -> float32."""
    try:
        with memory_errors(len(data)):
            entries = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise PackError(
            f"{path}: expected safetensors, found: {shown(str(error))}. {_COPY_AGAIN}"
        ) from None
    check_shapes(path, {name: tuple(entry["shape"]) for name, entry in entries.items()}, shapes)
    tensors = {}
    for name, entry in entries.items():
        stored, kind, unit = ("I8", "i1", 127) if (path.name, name) == INT8 else ("F16", "<f2", 1)
        if entry["dtype"] != stored:
            raise PackError(
                f"{path}: expected {name} as {stored}, found {shown(entry['dtype'])}. {_COPY_AGAIN}"
            )
        tensors[name] = (
            np.frombuffer(entry["data"], kind).reshape(shapes[name]).astype(np.float32) / unit
        )
        if not np.isfinite(tensors[name]).all():
            raise PackError(
                f"{path}: expected finite numbers in {name}, found others. {_COPY_AGAIN}"
            )
    return tensors


def check_shapes(
    path: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    if set(found) != set(expected):
        names = shown(sorted(found), 400)
        raise PackError(
            f"{path}: expected the tensors {', '.join(sorted(expected))}, found {names}. "
            f"{_COPY_AGAIN}"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise PackError(
                f"{path}: expected {name} of shape {shape}, found {shown(found[name])}. "
                f"{_COPY_AGAIN}"
            )
