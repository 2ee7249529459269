"""Pictures as files, for a run whose curves are in `metrics.csv` alone."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from PIL import Image

from ...report.pictures import write_png


class PictureFiles(Logger):
    """The last picture of each tag: images/val is `val.png` in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    @property
    def name(self) -> str:
        return "pictures"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The configuration has its own file."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """So do the curves."""

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """`picture` (H, W, 3) uint8."""
        write_png(self.folder / f"{tag.rpartition('/')[2]}.png", Image.fromarray(picture))
