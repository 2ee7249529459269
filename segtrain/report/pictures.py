"""Masks as pictures: in their colours, over their images, beside each other; and the confusion matrix."""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .. import disk
from ..data.classes import ClassTable

MOST_CLASSES = 40  # in the confusion picture, whose size grows with their square
MOST_NAMED = 30  # classes in a legend, unless more of them are there
VOID_COLORS, NEAR = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 200, 200)), 24
COLUMNS, RED = "image | truth | prediction | error", (255, 0, 0)  # of a mosaic, and of wrong pixels
NARROWEST = 320  # pixels of a mosaic, so that names have room
GAP, CAPTION = 4, 18  # pixels between pictures, and of the lines above them
LINES = 4  # of a legend below an overlay
AT_ONCE = 1 << 15  # pixels that are painted over at a time: few, since threads wait for one another to get memory
Named = tuple[str, Sequence[int] | None]  # a class and its colour: `None` where it is left as photographed, () for none


class Entry(NamedTuple):
    """A class in a legend, and the pixels from left to right that it takes."""

    name: str
    color: Sequence[int] | None
    left: int
    right: int


def colorize(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(H, W, 3) uint8: each class in its colour, void black."""
    return with_void(classes).take(np.minimum(mask, len(classes)), axis=0)


def with_void(classes: ClassTable) -> np.ndarray:
    """(classes + 1, 3) uint8: the colours of the classes, and black for void."""
    return np.vstack([classes.colors, np.zeros((1, 3), np.uint8)])


def is_clear(classes: ClassTable) -> np.ndarray:
    """(classes + 1,) bool: the classes whose pixels an overlay leaves as they are: those that are black or called
    background; the last entry is void, which is darkened."""
    black = ~classes.colors.any(1)
    named = np.array([name.strip().lower() == "background" for name in classes.names])
    return np.append(black | named, False)


def overlay(image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(H, W, 3) uint8: the mean of the image (C, H, W) and the class colours, but for the background."""
    picture = displayable(image).copy()
    colors, painted = with_void(classes), ~is_clear(classes)
    rows = max(1, AT_ONCE // mask.shape[1])
    for top in range(0, len(mask), rows):  # a large image as a whole would take a multiple of its memory
        indices = np.minimum(mask[top : top + rows], len(classes))
        where = painted.take(indices)
        for plane, shade in zip(picture[:, top : top + rows], colors.T, strict=True):
            color = shade.take(indices)
            mean = (plane | color) - ((plane ^ color) >> 1)  # rounded up, in uint8
            np.copyto(plane, mean, where=where)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def overlay_with_legend(image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> Image.Image:
    """An overlay, and below it the classes that it shows, the largest first."""
    picture = Image.fromarray(overlay(image, mask, classes))
    pixels = np.bincount(np.minimum(mask, len(classes)).ravel(), minlength=len(classes) + 1)
    colors, clear = with_void(classes), is_clear(classes)
    named: list[Named] = []
    for index in np.argsort(-pixels, kind="stable"):
        if pixels[index]:
            name = classes.names[index] if index < len(classes) else "void"
            named.append((name, None if clear[index] else colors[index].tolist()))
    below = legend(named, picture.width, line_for(picture.width), most=LINES)
    whole = Image.new("RGB", (max(picture.width, below.width), picture.height + below.height), "white")
    whole.paste(picture)
    whole.paste(below, (0, picture.height))
    return whole


def mosaic(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], classes: ClassTable) -> Image.Image:
    """A row for each (name, image (C, h, w), truth (h, w), prediction (h, w)): these and the error, below the name;
    above them all, the names of the classes."""
    strips, masks = [], []
    for _, image, truth, prediction in rows:
        strips.append(Image.fromarray(compared(image, truth, prediction, classes)))
        masks += [truth, prediction]
    width = max(NARROWEST, *(strip.width for strip in strips))
    line = line_for(width)
    named: list[Named] = [(COLUMNS, ()), *named_in(masks, classes, (0, 0, 0)), ("wrong", RED)]
    pictures = [legend(named, width, line)]
    pictures += [captioned(row[0], strip, width, line) for row, strip in zip(rows, strips, strict=True)]
    return stacked(pictures)


def compared(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(h, W, 3) uint8: an image (C, h, w), its truth (h, w), its prediction (h, w), and the error, with a gap on the
    right of each. In the error wrong pixels are red, right ones dimmed, void black."""
    picture = displayable(image).transpose(1, 2, 0)
    error = picture // 3
    error[(truth != prediction) & (truth != classes.void)] = RED
    error[truth == classes.void] = 0
    pictures = (picture, colorize(truth, classes), colorize(prediction, classes), error)
    on_the_right = ((0, 0), (0, GAP), (0, 0))
    return np.hstack([np.pad(each, on_the_right, constant_values=255) for each in pictures])


def samples(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], classes: ClassTable, side: int = 320) -> Image.Image:
    """A picture to see whether masks mean what they should: a row for each (name, image (C, h, w), mask (h, w)).

    The image, its mask in the class colours and both over one another, each at most `side` wide and high; above, the
    names of the classes in their colours, of many only those that are in these masks.
    """
    named = named_in([mask for _, _, mask in rows], classes, void_color(classes))
    pictures = [legend(named, 3 * side + 2 * GAP)]
    pictures += [sample(name, image, mask, classes, side) for name, image, mask in rows]
    return stacked(pictures)


def named_in(masks: Sequence[np.ndarray], classes: ClassTable, void: Sequence[int]) -> list[Named]:
    """What a legend above masks names: the classes, of many only those that are there, and void where there is some."""
    present = np.unique(np.concatenate([np.unique(np.minimum(mask, len(classes))) for mask in masks])).tolist()
    shown = present if len(classes) > MOST_NAMED else range(len(classes))
    named: list[Named] = [(classes.names[i], classes.colors[i].tolist()) for i in shown if i < len(classes)]
    return [*named, ("void", void)] if len(classes) in present else named


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another, with a gap below each."""
    width = max(picture.width for picture in pictures)
    whole = Image.new("RGB", (width, sum(picture.height + GAP for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height + GAP
    return whole


def sample(name: str, image: np.ndarray, mask: np.ndarray, classes: ClassTable, side: int) -> Image.Image:
    """An image (C, h, w), its mask (h, w), and both over one another, below the name of the image."""
    picture = displayable(image)
    scale = min(side / max(mask.shape), 8)
    height, width = (max(1, round(scale * length)) for length in mask.shape)
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    strip = Image.new("RGB", (3 * side + 2 * GAP, height), "white")
    colored = colorize(mask, classes)
    colored[mask == classes.void] = void_color(classes)
    columns = (
        (picture.transpose(1, 2, 0), smooth),
        (colored, Image.Resampling.NEAREST),
        (overlay(picture, mask, classes), smooth),
    )
    for i, (pixels, resampling) in enumerate(columns):
        resized = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), resampling)
        strip.paste(resized, (i * (side + GAP), 0))
    return captioned(name, strip, strip.width)


def captioned(name: str, picture: Image.Image, width: int, line: int = CAPTION) -> Image.Image:
    """A picture below the name of its image, in a line of this height and at least this width."""
    whole = Image.new("RGB", (max(width, picture.width), line + picture.height), "white")
    whole.paste(picture, (0, line))
    size = line - 2 * (line // 6)
    ImageDraw.Draw(whole).text((2, line // 9), fitted(name, whole.width - 4, size), fill="black", font_size=size)
    return whole


def line_for(width: int) -> int:
    """The height of a line of text in a picture of this width, which is large where it will be shown smaller."""
    return max(CAPTION, width // 60)


def void_color(classes: ClassTable) -> list[int]:
    """Black, or where a class is nearly that, the first of white and two greys that is no class's."""
    free = (color for color in VOID_COLORS if np.abs(classes.colors.astype(int) - color).max(1).min() > NEAR)
    return list(next(free, VOID_COLORS[0]))


def fitted(name: str, width: int, size: int) -> str:
    """The end of a name of an image, which tells it from others, as far as it goes into so many pixels in letters of
    this size."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    shown = name
    while len(shown) > 1 and draw.textlength(shown, font_size=size) > width:
        shown = f"…{shown[2:]}"
    return shown


def legend(named: Sequence[Named], width: int, line: int = CAPTION, most: int | None = None) -> Image.Image:
    """The names of the classes beside squares of their colours, in lines that are `line` pixels high: as many as they
    need, or up to `most`. It is wider than `width` where a single name is."""
    rows = flow(named, width, line)
    kept = len(named)
    while most is not None and len(rows) > most and kept > 0:
        kept -= 1
        rows = flow([*named[:kept], (f"and {len(named) - kept} more", ())], width, line)
    ends = [row[-1].right for row in rows]
    picture = Image.new("RGB", (max(width, *ends), line * len(rows)), "white")
    draw, inset = ImageDraw.Draw(picture), line // 6
    for top, row in zip(range(0, picture.height, line), rows, strict=True):
        for name, color, left, _ in row:
            square = (left, top + inset, left + line - 2 * inset, top + line - inset)
            if color != ():
                draw.rectangle(square, fill=tuple(color) if color else None, outline="grey")
            draw.text((left + line, top + line // 9), name, fill="black", font_size=line - 2 * inset)
    return picture


def flow(named: Sequence[Named], width: int, line: int) -> list[list[Entry]]:
    """The entries of a legend in lines of at most `width`, but one entry in any case."""
    draw, gap = ImageDraw.Draw(Image.new("RGB", (1, 1))), GAP * line // CAPTION
    rows: list[list[Entry]] = [[]]
    left = gap
    for name, color in named:
        length = line + math.ceil(draw.textlength(name, font_size=line - 2 * (line // 6))) + 4 * gap
        if rows[-1] and left + length > width:
            rows.append([])
            left = gap
        rows[-1].append(Entry(name, color, left, left + length))
        left += length
    return rows


def write_png(path: Path, picture: Image.Image) -> None:
    """Write a picture, into a folder that is made if it is not there."""
    content = io.BytesIO()
    picture.save(content, format="PNG")
    path.parent.mkdir(exist_ok=True)
    disk.write(path, content.getbuffer())


def displayable(image: np.ndarray) -> np.ndarray:
    """(3, H, W) uint8 of any image (C, H, W): one channel is grey, of more than three the first three are shown."""
    if len(image) < 3:
        image = np.repeat(image[:1], 3, 0)
    shown = image[:3]
    if shown.dtype == np.uint8:
        return shown
    low, high = float(shown.min()), float(shown.max())
    scale = 255 / max(high - low, 1e-9)
    planes = [((plane.astype(np.float32) - low) * scale).astype(np.uint8) for plane in shown]
    return np.stack(planes)


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
