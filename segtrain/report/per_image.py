"""The scores of every image: kept beside their sum, so that intervals and other conventions need no second run."""

import csv
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..text import plain_cell

MOST_BYTES = 1 << 30  # of the scores of images, unpacked


@dataclass(frozen=True)
class PerImage:
    """The confusion matrices of images, without their zeros.

    Attributes:
        names: Names of the images.
        groups: What each image belongs to, such as a sequence; `None` where the data do not say so.
        cells: (n, 3) int64: the place of an image among the names, a cell of its matrix (row by row, then one for
            void), and the pixels in it; sorted.
    """

    names: Sequence[str]
    class_names: tuple[str, ...]
    cells: np.ndarray
    groups: Sequence[str] | None = None

    @classmethod
    def joined(cls, parts: Sequence["PerImage"]) -> "PerImage":
        """The images of several scores with the same classes, one after the other."""
        names: list[str] = []
        groups: list[str] = []
        cells = []
        for part in parts:
            cells.append(part.cells + np.array([len(names), 0, 0]))
            names += part.names
            groups += part.groups or ()
        return cls(names, parts[0].class_names, np.concatenate(cells), groups or None)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_void(self) -> np.ndarray:
        """(n,) bool: the cells of void pixels."""
        return self.cells[:, 1] == len(self.class_names) ** 2

    @cached_property
    def pairs(self) -> np.ndarray:
        """(n, 4) int64: image, truth, prediction, pixels of every cell but those of void."""
        image, cell, pixels = self.cells[~self.is_void].T
        return np.column_stack([image, *divmod(cell, len(self.class_names)), pixels])

    @cached_property
    def hits(self) -> np.ndarray:
        """(images, classes) int64: pixels of each class that are found."""
        return self._summed(1, self.pairs[self.pairs[:, 1] == self.pairs[:, 2]])

    @cached_property
    def truth(self) -> np.ndarray:
        """(images, classes) int64: pixels that are each class's."""
        return self._summed(1, self.pairs)

    @cached_property
    def predicted(self) -> np.ndarray:
        """(images, classes) int64: pixels that each class is predicted in."""
        return self._summed(2, self.pairs)

    @cached_property
    def void(self) -> np.ndarray:
        """(images,) int64: void pixels."""
        image, _, pixels = self.cells[self.is_void].T
        return np.bincount(image, pixels, len(self)).astype(np.int64)

    @property
    def iou(self) -> np.ndarray:
        """(images, classes) float64: IoU within each image, NaN where neither truth nor prediction has the class."""
        return ratio(self.hits, self.truth + self.predicted - self.hits)

    def _summed(self, column: int, pairs: np.ndarray) -> np.ndarray:
        """Pixels by image and by the class in a column of `pairs`, exact."""
        counts = np.zeros((len(self), len(self.class_names)), np.int64)
        np.add.at(counts, (pairs[:, 0], pairs[:, column]), pairs[:, 3])
        return counts


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole` in float64; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis, without NaN; NaN where nothing else is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def per_image_csv(images: PerImage) -> str:
    """A row for each image: pixels, void pixels, accuracy, and IoU within the image: the mean, then of each class."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    header = ["image", "pixels", "void_pixels", "accuracy", "miou"]
    writer.writerow([*header, *(plain_cell(f"IoU {name}") for name in images.class_names)])
    pixels, iou = images.truth.sum(1), images.iou
    accuracy, mean = ratio(images.hits.sum(1), pixels), mean_of_defined(iou)
    for i, name in enumerate(images.names):
        shares = [accuracy[i], mean[i], *iou[i]]
        cells = ["" if np.isnan(share) else f"{share:.6f}" for share in shares]
        writer.writerow([plain_cell(name), pixels[i], images.void[i], *cells])
    return text.getvalue()


def per_image_npz(images: PerImage) -> bytes:
    """The matrix of every image, without zeros: `pixels[i]` pixels of class `truth[i]` were taken for `prediction[i]`
    in image `names[image[i]]`; `void_pixels` of every image; and `groups` where the data say what belongs together."""
    image, truth, prediction, pixels = images.pairs.T
    content = io.BytesIO()
    arrays: dict[str, Any] = {
        "names": np.array(images.names, str),
        "class_names": np.array(images.class_names, str),
        "image": image,
        "truth": truth,
        "prediction": prediction,
        "pixels": pixels,
        "void_pixels": images.void,
    }
    if images.groups is not None:
        arrays["groups"] = np.array(images.groups, str)
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def read_per_image(path: Path) -> PerImage:
    """What `per_image_npz` has written, in a file that may be anyone's. Raises UserError for what is no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size <= MOST_BYTES:
            with np.load(path, allow_pickle=False) as stored:
                return of_arrays({name: stored[name] for name in stored.files})
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{path}: no scores of images, or damaged ({type(error).__name__})") from None
    raise UserError(f"{path}: more than {MOST_BYTES >> 20} MiB: not read")


def of_arrays(stored: Mapping[str, np.ndarray]) -> PerImage:
    """The scores that `per_image_npz` has taken apart. Raises ValueError for numbers that no score has."""
    names, class_names, groups = (texts(stored, name) for name in ("names", "class_names", "groups"))
    image, truth, prediction, pixels = (stored[name] for name in ("image", "truth", "prediction", "pixels"))
    void, classes = stored["void_pixels"], len(class_names or ())
    pairs = np.column_stack([image, truth, prediction, pixels])
    is_whole = pairs.dtype.kind in "iu" and void.dtype.kind in "iu" and void.shape == (len(names or ()),)
    ends = [len(void), classes, classes, np.iinfo(np.int64).max]
    if names is None or class_names is None or not is_whole or (pairs < 0).any() or (pairs >= ends).any():
        raise ValueError("no scores")
    if (void < 0).any() or (groups is not None and len(groups) != len(names)):
        raise ValueError("no scores")
    cells = np.column_stack([image, truth * classes + prediction, pixels])
    voids = np.column_stack([np.arange(len(void)), np.full(len(void), classes**2), void])
    cells = np.concatenate([cells, voids[void > 0]])
    return PerImage(names, tuple(class_names), cells[np.lexsort((cells[:, 1], cells[:, 0]))], groups)


def texts(stored: Mapping[str, np.ndarray], name: str) -> list[str] | None:
    """The texts of this name, if there are any."""
    array = stored.get(name)
    return array.tolist() if array is not None and array.ndim == 1 and array.dtype.kind == "U" else None
