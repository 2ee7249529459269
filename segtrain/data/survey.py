"""What the files of a data set hold, as numbers: read once, in several processes, and remembered."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import UserError
from .images import TRANSPOSED, header, is_grey, loaded, opened, orientation, read_image, read_mask
from .loader import Loader
from .source import Pair

MAX_VALUES, MAX_COLOURS = 1024, 256  # different ones of a mask that are counted singly: those with the most pixels
LOOK = 16  # rows and columns of the thumbnail that two images are compared by
LOOSE = 8  # how much JPEG may let neighbours differ that were equal
FEW = 24  # pairs that are read before other processes have started
COMMIT = 64  # pairs after which what was read is safe, and another process may write
FORMAT = 1  # of what is remembered; another number forgets it
BITS_AND_COMPRESSION = 258, 259  # tags of a TIFF
JPEG_IN_TIFF = {6, 7}
DEPTHS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}  # of Pillow's modes; 8 for all others


@dataclass(frozen=True)
class ImageFacts:
    """An image file. Height and width are those shown, after the EXIF orientation; 0 where the header is damaged.

    Attributes:
        channels: that are stored, alpha among them; a palette counts as 3.
        bits: of a channel.
        mode: Pillow's, such as L, P, RGB, I;16.
        orientation: EXIF's, 1 to 8.
        digest: of the file's bytes.
        look: the image in 16 x 16 grey pixels, stretched to 0..255; empty if it is of one grey.
        mean: per channel without alpha, as a fraction of white; `square` is the mean of the squares.
        problem: why it cannot be used; then what lies behind the header is unknown.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 1
    digest: str = ""
    look: bytes = b""
    mean: tuple[float, ...] = ()
    square: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class MaskFacts:
    """A mask file. As `ImageFacts`, and:

    Attributes:
        channels: 1 for values and palette indices; 3 or more for colours.
        lossy: whether the file format changes numbers when it is written.
        colours: of a palette mask: index -> 24-bit colour, for the indices that occur.
        counts: value, palette index or 24-bit colour -> pixels, for up to `MAX_VALUES` or `MAX_COLOURS` of them.
        solid: the pixels among them that equal their neighbours to the right, below and across, or nearly if `lossy`.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 1
    lossy: bool = False
    colours: Mapping[int, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    solid: Mapping[int, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def rest(self) -> int:
        """Pixels of numbers that are not counted singly."""
        return 0 if self.problem else self.height * self.width - sum(self.counts.values())


class Survey(NamedTuple):
    """Facts by image file, and by `mask_name`."""

    images: dict[Path, ImageFacts]
    masks: dict[str, MaskFacts]

    def image(self, pair: Pair) -> ImageFacts:
        return self.images[pair.image]

    def mask(self, pair: Pair) -> MaskFacts:
        return self.masks[mask_name(pair)]


def mask_name(pair: Pair) -> str:
    """The mask's file; for one that is painted from a file that holds many, that file and the pair's name."""
    return str(pair.mask) if isinstance(pair.mask, Path) else f"{pair.mask.path}:{pair.name}"


def survey(
    pairs: Sequence[Pair],
    *,
    max_pixels: int,
    workers: int,
    cache: Path | None,
    advance: Callable[[int], None] = lambda pairs: None,
) -> Survey:
    """The facts of all files. Those that have not changed since they were put into `cache` are not read.

    Args:
        workers: processes that read.
        cache: a file that is made if it is not there; without it nothing is remembered.
        advance: called with the number of pairs that are done since it was called last.
    """
    with Memory(cache) as memory:
        known = {index: facts for index, pair in enumerate(pairs) if (facts := memory.recall(pair))}
        advance(len(known))
        todo = [index for index in range(len(pairs)) if index not in known]
        for index, facts in zip(todo, examined([pairs[i] for i in todo], max_pixels, workers), strict=True):
            memory.keep(pairs[index], *facts)
            known[index] = facts
            advance(1)
    images = {pair.image: known[index][0] for index, pair in enumerate(pairs)}
    return Survey(images, {mask_name(pair): known[index][1] for index, pair in enumerate(pairs)})


def unknown(pairs: Sequence[Pair], cache: Path | None) -> list[Pair]:
    """The pairs that `survey` would have to read."""
    with Memory(cache) as memory:
        return [pair for pair in pairs if not memory.recall(pair)]


# --- reading ----------------------------------------------------------------------------------------------------------


class Examined(Dataset[tuple[ImageFacts, MaskFacts]]):
    """Index -> the facts of a pair."""

    def __init__(self, pairs: Sequence[Pair], max_pixels: int) -> None:
        self.pairs, self.max_pixels = pairs, max_pixels

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[ImageFacts, MaskFacts]:
        pair = self.pairs[index]
        return examine_image(pair.image, self.max_pixels), examine_mask(pair, self.max_pixels)


def examined(pairs: Sequence[Pair], max_pixels: int, workers: int) -> Iterator[tuple[ImageFacts, MaskFacts]]:
    """The facts of each pair, in order."""
    few = FEW if workers > 0 else len(pairs)
    first, others = Examined(pairs[:few], max_pixels), Examined(pairs[few:], max_pixels)
    yield from (first[index] for index in range(len(first)))
    if len(others):
        loader = Loader(others, batch_size=4, collate_fn=list, num_workers=workers)
        try:
            for batch in loader:
                yield from batch
        finally:
            loader.stop()


def examine_image(path: Path, max_pixels: int) -> ImageFacts:
    """Raises nothing: what is wrong with the file stands in `problem`."""
    facts: dict[str, Any] = {}
    try:
        plain = header(path, max_pixels)
        facts.update(height=plain.height, width=plain.width, channels=plain.channels, bits=plain.bits)
        with path.open("rb") as file:
            facts["digest"] = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        if plain.channels not in (1, 3):  # beyond Pillow
            return ImageFacts(
                **facts, **of_array(read_image(path, max_pixels, channels=plain.channels, bits=plain.bits))
            )
        with opened(path, max_pixels) as image:
            facts.update(stored(image, path))
            if plain.bits == 8:
                facts.update(of_bytes(loaded(image)))
        if plain.bits != 8:
            facts.update(of_array(read_image(path, max_pixels, channels=plain.channels, bits=plain.bits)))
    except (UserError, OSError) as error:
        facts["problem"] = problem(error, path)
    return ImageFacts(**facts)


def examine_mask(pair: Pair, max_pixels: int) -> MaskFacts:
    """Raises nothing: what is wrong with the mask stands in `problem`."""
    facts: dict[str, Any] = {}
    path = pair.mask if isinstance(pair.mask, Path) else pair.mask.path
    try:
        if isinstance(pair.mask, Path):
            with opened(path, max_pixels) as image:
                facts.update(stored(image, path), lossy=lossy(image, path))
            facts.update(numbers(path, max_pixels, loose=facts["lossy"]))
        else:
            values = pair.mask.read()
            facts.update(height=values.shape[0], width=values.shape[1], channels=1, bits=8 * values.itemsize)
            facts.update(mode="painted", format="painted", **counted(values, MAX_VALUES))
    except (UserError, OSError) as error:
        facts["problem"] = problem(error, path)
    return MaskFacts(**facts)


def problem(error: Exception, path: Path) -> str:
    """The message, without the file's name in front; or that there is nothing in the file."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size == 0:
            return "an empty file (0 bytes)"
    text = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
    return text.removeprefix(f"{path}: ")


def stored(image: Image.Image, path: Path) -> dict[str, Any]:
    """What is known of an image before its pixels are decoded."""
    width, height = image.size
    turn = orientation(image)
    return {
        "height": width if turn in TRANSPOSED else height,
        "width": height if turn in TRANSPOSED else width,
        "channels": 3 if image.mode in ("P", "PA") else len(image.getbands()),
        "bits": depth(image, path),
        "mode": image.mode,
        "format": image.format or "",
        "orientation": turn,
    }


def depth(image: Image.Image, path: Path) -> int:
    """Bits per channel as stored; Pillow's modes do not tell those of 2 or 4 bits, nor of colours of 16."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(BITS_AND_COMPRESSION[0], 1)
        return int(max(bits) if isinstance(bits, tuple) else bits)
    return DEPTHS.get(image.mode, 8)


def lossy(image: Image.Image, path: Path) -> bool:
    """Whether the format is one that changes numbers: JPEG, WebP unless it is lossless, a TIFF with JPEG inside."""
    if image.format == "WEBP":
        with path.open("rb") as file:
            return b"VP8 " in file.read(1 << 16)
    if image.format == "TIFF":
        return getattr(image, "tag_v2", {}).get(BITS_AND_COMPRESSION[1]) in JPEG_IN_TIFF
    return image.format == "JPEG"


def of_bytes(image: Image.Image) -> dict[str, Any]:
    """Mean and mean square of each channel but alpha, and the look, of an image of 8 bits."""
    image = image.convert("L" if is_grey(image) else "RGB")
    shares = np.array(image.histogram(), np.float64).reshape(-1, 256) / (image.width * image.height)
    levels = np.arange(256) / 255
    mean, square = tuple((shares @ levels).tolist()), tuple((shares @ levels**2).tolist())
    return {"mean": mean, "square": square, "look": look(image if image.mode == "L" else image.convert("L"))}


def of_array(image: Tensor) -> dict[str, Any]:
    """As `of_bytes`, of (C, H, W) uint8 or uint16."""
    pixels = image.numpy()
    shares = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    mean, square = tuple(shares.mean((1, 2)).tolist()), tuple((shares**2).mean((1, 2)).tolist())
    return {"mean": mean, "square": square, "look": look(Image.fromarray(shares.mean(0).astype(np.float32)))}


def look(grey: Image.Image) -> bytes:
    """16 x 16 means of an image of one channel, stretched to 0..255, row by row; nothing where all are the same."""
    side = 4 * LOOK  # Pillow rounds its means to whole numbers: those of a dark image are taken in two steps
    small = grey.resize((side, side), Image.Resampling.BOX, reducing_gap=3)
    means = np.asarray(small, np.float32).reshape(LOOK, 4, LOOK, 4).mean((1, 3))
    low, high = float(means.min()), float(means.max())
    flat = high - low < (1 if grey.mode == "L" else 1 / 255)
    return b"" if flat else ((means - low) * (255 / (high - low))).round().astype(np.uint8).tobytes()


def numbers(path: Path, max_pixels: int, *, loose: bool) -> dict[str, Any]:
    """The numbers in a mask file with their pixels, and the colours of a palette.

    Args:
        loose: whether neighbours that differ a little count as equal, as JPEG leaves a flat place.
    """
    mask = read_mask(path, max_pixels)
    if mask.ndim == 3:
        return counted(packed(mask.astype(np.uint32)), MAX_COLOURS, like(mask) if loose else None)
    low, high = mask.min(initial=0), mask.max(initial=0)
    if low < 0 or high >= 1 << 16:
        raise UserError(f"numbers from {low} to {high}: a mask holds whole numbers from 0 to 65535")
    facts: dict[str, Any] = {"channels": 1, **counted(mask, MAX_VALUES, like(mask[..., None]) if loose else None)}
    with opened(path, max_pixels) as image:
        if image.mode in ("P", "PA"):
            palette = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint32).reshape(-1, 3)
            facts["colours"] = {i: packed(palette[i]).item() if i < len(palette) else 0 for i in facts["counts"]}
    return facts


def packed(colours: np.ndarray) -> np.ndarray:
    """(..., 3) uint32 -> 24-bit colours (...)"""
    return colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]


def like(mask: np.ndarray) -> np.ndarray:
    """(H-1, W-1): whether a pixel of (H, W, C) is nearly that to the right, below and across."""
    mask = mask.astype(np.int16)
    here = mask[:-1, :-1]
    others = (mask[1:, :-1], mask[:-1, 1:], mask[1:, 1:])
    return np.logical_and.reduce([(np.abs(here - other) <= LOOSE).all(2) for other in others])


def counted(codes: np.ndarray, most: int, alike: np.ndarray | None = None) -> dict[str, dict[int, int]]:
    """The `most` frequent numbers in codes (H, W) with their pixels, and with those of them that are solid.

    Args:
        alike: (H-1, W-1): which pixels are solid, if it is not those that equal their neighbours.
    """
    here = codes[:-1, :-1]
    same = (here == codes[1:, :-1]) & (here == codes[:-1, 1:]) & (here == codes[1:, 1:]) if alike is None else alike
    solid = np.zeros(codes.shape, np.uint32)
    solid[:-1, :-1] = same
    both, number = pixels_of((codes.astype(np.uint32) << 1 | solid).ravel())  # a code, with and without its last bit
    codes, starts = np.unique(both >> 1, return_index=True)
    pixels, whole = np.add.reduceat(number, starts), np.add.reduceat(number * (both & 1), starts)
    order = np.argsort(-pixels, kind="stable")[:most]
    counts = dict(zip(codes[order].tolist(), pixels[order].tolist(), strict=True))
    return {"counts": counts, "solid": dict(zip(counts, whole[order].tolist(), strict=True))}


def pixels_of(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in codes (N,), sorted, and how often each is there. Runs, if long, are counted whole: faster."""
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    if 4 * len(starts) > len(codes):
        return np.unique(codes, return_counts=True)
    found, which = np.unique(codes[starts], return_inverse=True)
    return found, np.bincount(which.ravel(), weights=np.diff(starts, append=codes.size)).astype(np.int64)


# --- remembering ------------------------------------------------------------------------------------------------------


class Memory:
    """Facts in an SQLite file, each with the size and the time of the file that it was read from.

    Facts with a problem are not kept: what is mended may leave no trace in size or time. Where the file cannot be
    written or read nothing is remembered, and nothing else changes.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.table = path, None
        self.kept = 0

    def __enter__(self) -> "Memory":
        if self.path is not None:
            with suppress(sqlite3.Error, OSError):
                try:
                    self.table = self._open(self.path)
                except sqlite3.OperationalError:  # another process writes, or this place cannot be written
                    pass
                except sqlite3.DatabaseError:  # damaged, or no file of ours
                    self.path.unlink()
                    self.table = self._open(self.path)
        return self

    def __exit__(self, *error: object) -> None:
        if self.table is not None:
            with suppress(sqlite3.Error), closing(self.table):
                self.table.commit()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = sqlite3.connect(path, timeout=1)
        try:
            if table.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                table.execute("DROP TABLE IF EXISTS facts")
                table.execute(f"PRAGMA user_version = {FORMAT}")
            table.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, size, time, content)")
        except sqlite3.Error:
            table.close()
            raise
        return table

    def recall(self, pair: Pair) -> tuple[ImageFacts, MaskFacts] | None:
        """Both, if neither file has changed."""
        if self.table is None:
            return None
        with suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError):
            image, mask = (self._content(name, path) for name, path in files_of(pair))
            return (image_facts(image), mask_facts(mask)) if image and mask else None
        return None

    def _content(self, name: str, path: Path) -> dict[str, Any] | None:
        assert self.table is not None
        entry = self.table.execute("SELECT size, time, content FROM facts WHERE name = ?", [name]).fetchone()
        return json.loads(entry[2]) if entry and entry[:2] == stamp(path) else None

    def keep(self, pair: Pair, image: ImageFacts, mask: MaskFacts) -> None:
        """Note both, unless one of them has a problem."""
        if self.table is None or image.problem or mask.problem:
            return
        try:
            for (name, path), facts in zip(files_of(pair), (image, mask), strict=True):
                entry = [name, *stamp(path), json.dumps(asdict(facts), default=bytes.hex)]
                self.table.execute("REPLACE INTO facts VALUES (?, ?, ?, ?)", entry)
            self.kept += 1
            if self.kept % COMMIT == 0:
                self.table.commit()
        except (sqlite3.Error, OSError):  # the disk is full, the file gone: the work goes on without it
            self.table.close()
            self.table = None


def files_of(pair: Pair) -> tuple[tuple[str, Path], tuple[str, Path]]:
    """(name in the memory, file) of the image and of the mask."""
    mask = pair.mask if isinstance(pair.mask, Path) else pair.mask.path
    return (f"image {pair.image.absolute()}", pair.image), (f"mask {mask.absolute()} {mask_name(pair)}", mask)


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; of all files in a folder the sum and the last one."""
    states = [file.stat() for file in (path.iterdir() if path.is_dir() else (path,))]
    return sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)


def image_facts(content: dict[str, Any]) -> ImageFacts:
    pairs = {"look": bytes.fromhex(content["look"]), "mean": tuple(content["mean"]), "square": tuple(content["square"])}
    return ImageFacts(**(content | pairs))


def mask_facts(content: dict[str, Any]) -> MaskFacts:
    for name in ("colours", "counts", "solid"):
        content[name] = {int(code): number for code, number in content[name].items()}
    return MaskFacts(**content)
