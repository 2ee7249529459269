"""Masks as pictures: in their colours, over their images, beside each other; and the confusion matrix."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..data.classes import ClassTable

MOST_CLASSES = 40  # in the confusion picture, whose size grows with their square
GAP, CAPTION = 4, 18  # pixels between pictures, and of the lines above them


def colorize(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(H, W, 3) uint8: each class in its colour, void black."""
    return classes.palette[np.minimum(mask, 255)]


def overlay(image: np.ndarray, mask: np.ndarray, classes: ClassTable, opacity: float = 0.5) -> np.ndarray:
    """(H, W, 3) uint8: the class colours laid over the image (C, H, W)."""
    picture = displayable(image).transpose(1, 2, 0).astype(np.float32)
    return ((1 - opacity) * picture + opacity * colorize(mask, classes)).round().astype(np.uint8)


def mosaic(rows: Sequence[Sequence[np.ndarray]], classes: ClassTable, gap: int = 4) -> np.ndarray:
    """(H, W, 3) uint8: a row for each (image (C, h, w), truth (h, w), prediction (h, w)), and a fourth picture.

    The fourth is the error: wrong pixels red, right ones dimmed, void black.
    """
    strips = []
    for image, truth, prediction in rows:
        picture = displayable(image).transpose(1, 2, 0)
        error = picture // 3
        error[(truth != prediction) & (truth != classes.void)] = (255, 0, 0)
        error[truth == classes.void] = 0
        pictures = (picture, colorize(truth, classes), colorize(prediction, classes), error)
        strips.append(np.hstack([framed(each, gap, gap) for each in pictures]))
    width = max(strip.shape[1] for strip in strips)
    return np.vstack([framed(strip, 0, width - strip.shape[1]) for strip in strips])


def framed(picture: np.ndarray, below: int, right: int) -> np.ndarray:
    """The picture (H, W, 3) with so many more white pixels below it and on its right."""
    return np.pad(picture, ((0, below), (0, right), (0, 0)), constant_values=255)


def samples(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], classes: ClassTable, side: int = 320) -> Image.Image:
    """A picture to see whether masks mean what they should: a row for each (name, image (C, h, w), mask (h, w)).

    The image, its mask in the class colours and both over one another, each at most `side` wide and high; above, the
    names of the classes in their colours.
    """
    named = [*zip(classes.names, classes.colors.tolist(), strict=True)]
    if any((mask == classes.void).any() for _, _, mask in rows):
        named.append(("void", [0, 0, 0]))
    strips = [legend(named, 3 * side + 2 * GAP)]
    strips += [sample(name, image, mask, classes, side) for name, image, mask in rows]
    whole = Image.new("RGB", (strips[0].width, sum(strip.height + GAP for strip in strips)), "white")
    top = 0
    for strip in strips:
        whole.paste(strip, (0, top))
        top += strip.height + GAP
    return whole


def sample(name: str, image: np.ndarray, mask: np.ndarray, classes: ClassTable, side: int) -> Image.Image:
    """An image (C, h, w), its mask (h, w), and both over one another, below the name of the image."""
    picture = displayable(image)
    scale = min(side / max(mask.shape), 8)
    height, width = (max(1, round(scale * length)) for length in mask.shape)
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    strip = Image.new("RGB", (3 * side + 2 * GAP, height + CAPTION), "white")
    columns = (
        (picture.transpose(1, 2, 0), smooth),
        (colorize(mask, classes), Image.Resampling.NEAREST),
        (overlay(picture, mask, classes), smooth),
    )
    for i, (pixels, resampling) in enumerate(columns):
        resized = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), resampling)
        strip.paste(resized, (i * (side + GAP), CAPTION))
    ImageDraw.Draw(strip).text((2, 2), name, fill="black", font_size=CAPTION - 6)
    return strip


def legend(named: Sequence[tuple[str, Sequence[int]]], width: int) -> Image.Image:
    """The names of the classes beside squares of their colours, in as many lines as they need."""
    picture = Image.new("RGB", (width, CAPTION * len(named)), "white")
    draw, left, top = ImageDraw.Draw(picture), GAP, 0
    for name, color in named:
        right = left + CAPTION + draw.textlength(name, font_size=CAPTION - 6) + 4 * GAP
        if right > width and left > GAP:
            left, top, right = GAP, top + CAPTION, GAP + right - left
        draw.rectangle((left, top + 3, left + CAPTION - 6, top + CAPTION - 3), fill=tuple(color), outline="grey")
        draw.text((left + CAPTION, top + 2), name, fill="black", font_size=CAPTION - 6)
        left = right
    return picture.crop((0, 0, width, top + CAPTION))


def displayable(image: np.ndarray) -> np.ndarray:
    """(3, H, W) uint8 of any image (C, H, W): one channel is grey, of more than three the first three are shown."""
    if len(image) < 3:
        image = np.repeat(image[:1], 3, 0)
    shown = image[:3]
    if shown.dtype == np.uint8:
        return shown
    low, high = float(shown.min()), float(shown.max())
    return ((shown.astype(np.float32) - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def confusion_picture(names: Sequence[str], matrix: Tensor) -> bytes:
    """A PNG: where the pixels of each class went, in % of the true ones; of many classes, those confused most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only now: it takes half a second
    from matplotlib.figure import Figure

    matrix = matrix.cpu()
    shown = most_confused(matrix, MOST_CLASSES)
    shares = 100 * matrix[shown][:, shown].double() / matrix[shown].sum(1, keepdim=True).clamp(min=1)
    title = "% of the true pixels"
    if len(shown) < len(names):
        title += f"; of {len(names)} classes, the {len(shown)} confused most"
    size = 3 + 0.45 * len(shown)
    figure = Figure(figsize=(size, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    ticks = range(len(shown))
    labels = [short_name(names[index]) for index in shown]
    axes.set_xticks(ticks, labels, rotation=90, parse_math=False)  # a $ in a name is a $
    axes.set_yticks(ticks, labels, parse_math=False)
    axes.set(xlabel="prediction", ylabel="truth", title=title)
    for row, column in shares.nonzero().tolist():
        share = float(shares[row, column])
        color = "white" if share > 60 else "black"
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=color, fontsize=8)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it draws a box
        figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def most_confused(matrix: Tensor, most: int) -> list[int]:
    """The classes, at most so many, with the most pixels that are wrongly theirs or wrongly another's; in their order.

    `matrix` (classes, classes) has the truth in rows.
    """
    wrong = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    order = wrong.argsort(descending=True, stable=True)
    return sorted(order[:most].tolist())


def short_name(name: str) -> str:
    """A longer one would leave no room for the picture."""
    return name if len(name) <= 24 else f"{name[:23]}…"
