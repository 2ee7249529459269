"""Data in a folder: its layout, its class table, its splits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .classes import ClassTable
from .geometry import Augment
from .images import MAX_PIXELS
from .layouts import find_pairs
from .module import DataModule
from .source import FolderSource


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
