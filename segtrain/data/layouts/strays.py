"""Pictures among the masks that are none: a chart, a legend, a list of thumbnails."""

from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from ..files.images import MAX_PIXELS, opened, shown_size
from ..files.masks import different_numbers
from ..files.pair import files_of
from .pairing import shape_of, stem_of
from .reading import Reading, spread
from .words import listed, tokens

FEW = 3  # strays, or a tenth of the pairs; more are masks that lost their images
LOOKED_AT = 1000  # masks whose headers are read
DECODED = 4  # masks whose values or colours are counted
FULLER = 4  # times the values or colours of a mask are those of another kind of picture
CHARTS = listed("""
    legend legends statistics stats chart charts plot plots figure histogram distribution thumb thumbs thumbnail
    thumbnails overview preview palette colormap colourmap colorbar readme logo cover
""")
GREY = ("1", "L", "I", "I;16", "I;16B", "F")  # Pillow's modes


class Kind(NamedTuple):
    """What a header tells of a picture: its size, and grey, palette, RGB and so on."""

    size: tuple[int, int]
    mode: str


def without_strays(reading: Reading) -> Reading:
    """A reading in which pictures among the masks that are no masks are set aside: those without an image that differ
    from all masks in size and in kind. What cannot be read, or is like the masks, stays a mask without an image."""
    if not 0 < len(reading.masks) <= max(FEW, len(reading.pairs) // 10):
        return reading
    masks = list(chain.from_iterable(files_of(pair.mask) for pair in reading.pairs))
    kinds = set(filter(None, map(kind_of, spread(masks, LOOKED_AT))))
    names = {shape_of(stem_of(mask.name)) for mask in masks}
    most = max(map(numbers_in, spread(masks, DECODED)))
    odd = [path for path in reading.masks if shape_of(stem_of(path.name)) not in names]
    strays = [path for path in odd if is_stray(path, kinds, most)]
    masks_alone = [path for path in reading.masks if path not in strays]
    return reading._replace(masks=masks_alone, strays=strays)


def is_stray(path: Path, masks: set[Kind], most: int) -> bool:
    """Whether a picture differs in its size from all masks, and is called a chart, or is of another kind: stored in
    another way, or with far more than the `most` values or colours that a mask has."""
    kind = kind_of(path)
    if kind is None or not masks or kind.size in {mask.size for mask in masks}:
        return False
    called_chart = bool(CHARTS.intersection(tokens(path.stem)))
    stored_otherwise = kind.mode not in {mask.mode for mask in masks}
    return called_chart or stored_otherwise or numbers_in(path) > FULLER * most


def kind_of(path: Path) -> Kind | None:
    """Nothing for what is no picture that can be read."""
    try:
        with opened(path, MAX_PIXELS) as image:
            return Kind(shown_size(image), "grey" if image.mode in GREY else image.mode)
    except (UserError, OSError):
        return None


def numbers_in(path: Path) -> int:
    """How many values or colours a picture has; 1 if it cannot be read."""
    try:
        return len(different_numbers(path))
    except (UserError, OSError):
        return 1
