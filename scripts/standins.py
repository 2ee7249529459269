"""Draws two small, imbalanced data sets that stand in for what people bring, to try defaults on.

python scripts/standins.py FOLDER [--seed 0]

tiles: grey, mottled and brushed surfaces of many sizes. Elongated cracks, holes, frays and patches of another
brightness, hardly darker than their ground, are one class of about 2 %; nearly half of the images have none.

facades: eleven classes of rectangles that overlap, from walls (two fifths) to doors (about 1 %), whose colours are
drawn anew for each image.

Below FOLDER each has images/ and masks/. The same seed draws the same files.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torchvision.transforms.v2.functional import gaussian_blur

TILES, FACADES = 295, 70
BACKGROUND, WALL, WINDOW, SHOP, DOOR, CORNICE, SILL, BALCONY, BLIND, MOLDING, PILLAR = range(11)


def blurred(pixels: np.ndarray, radius: float) -> np.ndarray:
    """Smooth noise or an edge, (H, W) float32."""
    size = 4 * int(radius) + 3
    return gaussian_blur(torch.from_numpy(pixels.astype(np.float32))[None], [size, size], [radius, radius])[0].numpy()


def unit(pixels: np.ndarray) -> np.ndarray:
    """Noise with a deviation of one."""
    return pixels / pixels.std()


# --- tiles ------------------------------------------------------------------------------------------------------------


def tile(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """A grey surface, and its defects as 255."""
    height, width = rng.integers(180, 360, 2)
    noise = rng.normal(size=(3, height, width)).astype(np.float32)
    mottled = unit(blurred(noise[0], rng.uniform(8, 20)))
    brushed = unit(blurred(noise[1].mean(axis=0, keepdims=True).repeat(height, 0), 1))
    ground = rng.uniform(70, 150) + 6 * mottled + rng.uniform(1, 4) * brushed + 4 * noise[2]
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.55:
        for _ in range(rng.integers(1, 4)):
            shape = rng.choice([crack, hole, fray, patch])(rng, int(width), int(height))
            inside = np.asarray(shape) > 0
            soft = blurred(inside * 255, 1.2) / 255
            change = rng.choice([-1, -1, 1]) * rng.uniform(12, 30)
            ground = ground + change * soft * (1 + 0.3 * noise[2])
            mask[inside] = 255
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8)), Image.fromarray(mask)


def canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (width, height))
    return image, ImageDraw.Draw(image)


def walk(rng: np.random.Generator, width: int, height: int, steps: int, step: float) -> list[tuple[float, float]]:
    """Points of a line that hardly turns."""
    turns = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.25, steps).cumsum()
    start = rng.uniform(0.15, 0.85, 2) * (width, height)
    points = start + step * np.stack([np.cos(turns), np.sin(turns)], 1).cumsum(0)
    return [(float(x), float(y)) for x, y in points]


def crack(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image, draw = canvas(width, height)
    draw.line(walk(rng, width, height, int(rng.integers(10, 30)), 6), fill=255, width=int(rng.integers(3, 7)))
    return image


def hole(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image, draw = canvas(width, height)
    x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
    draw.ellipse([x, y, x + rng.integers(10, 40), y + rng.integers(10, 40)], fill=255)
    return image


def fray(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A ragged piece of the border."""
    image, draw = canvas(width, height)
    start, length = rng.uniform(0, 0.6) * width, rng.uniform(0.2, 0.4) * width
    along = np.linspace(start, start + length, 12)
    depth = rng.uniform(4, 0.15 * height, 12)
    outline = [(float(x), float(y)) for x, y in zip(along, depth, strict=True)]
    draw.polygon([(float(start), 0), *outline, (float(start + length), 0)], fill=255)
    return image if rng.random() < 0.5 else image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def patch(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image, draw = canvas(width, height)
    points = walk(rng, width, height, int(rng.integers(5, 9)), 16)
    for x, y in points:
        radius = rng.uniform(8, 18)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return image


# --- facades ----------------------------------------------------------------------------------------------------------


def facade(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """A house, and its classes as values of a palette."""
    width, height = int(rng.integers(380, 520)), int(rng.integers(360, 480))
    classes, draw = canvas(width, height)
    left, right = rng.integers(0, 60), width - rng.integers(1, 60)
    top, bottom = rng.integers(20, 80), height - rng.integers(10, 30)
    floors, columns = int(rng.integers(3, 6)), int(rng.integers(3, 7))
    floor, column = (bottom - top) / (floors + 0.5), (right - left) / columns

    def box(kind: int, x: float, y: float, w: float, h: float) -> None:
        draw.rectangle([x, y, x + w, y + h], fill=kind)

    box(WALL, left, top, right - left, bottom - top)
    box(CORNICE, left - 5, top, right - left + 10, rng.uniform(8, 16))
    with_shop, with_balconies, with_blinds = rng.random(3) < (0.6, 0.6, 0.6)
    share_of_column, share_of_floor = rng.uniform(0.35, 0.6), rng.uniform(0.5, 0.7)
    size = share_of_column * column, share_of_floor * floor
    for row in range(floors):
        y = top + 24 + row * floor
        if row == floors - 1 and with_shop:
            box(SHOP, left + 10, y, right - left - 20, bottom - y)
            break
        for place in range(columns):
            x = left + (place + (1 - share_of_column) / 2) * column
            window(rng, box, x, y, *size, blinds=with_blinds, balconies=with_balconies)
    for place in rng.choice(columns + 1, 2, replace=False):
        box(PILLAR, left + place * column - 5, top + 16, 9, bottom - top - 16)
    door = rng.uniform(22, 36)
    box(DOOR, rng.uniform(left, right - door), bottom - 0.75 * floor, door, 0.75 * floor)
    return painted(rng, np.asarray(classes)), with_palette(classes)


def window(
    rng: np.random.Generator,
    box: Callable[[int, float, float, float, float], None],
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    blinds: bool,
    balconies: bool,
) -> None:
    """A window with its sill, and perhaps a molding above it, a blind in it and a balcony before it."""
    if rng.random() < 0.5:
        box(MOLDING, x - 4, y - 6, width + 8, 6)
    box(WINDOW, x, y, width, height)
    box(SILL, x - 3, y + height, width + 6, 4)
    if blinds and rng.random() < 0.5:
        box(BLIND, x, y, width, rng.uniform(0.2, 0.6) * height)
    if balconies and rng.random() < 0.3:
        box(BALCONY, x - 6, y + 0.65 * height, width + 12, 0.4 * height)


def painted(rng: np.random.Generator, classes: np.ndarray) -> Image.Image:
    """Each class in a colour of its own, with texture, edges and light."""
    colors = rng.uniform(40, 230, (11, 3))
    colors[WINDOW] *= 0.5
    colors[BACKGROUND] = rng.uniform((120, 150, 190), (200, 220, 250))
    pixels = colors[classes]
    above = np.diff(classes, axis=0, prepend=classes[:1]) != 0
    beside = np.diff(classes, axis=1, prepend=classes[:, :1]) != 0
    pixels[above | beside] *= 0.6
    light = 1 + 0.1 * unit(blurred(rng.normal(size=classes.shape), 40))
    pixels = pixels * light[..., None] + 10 * rng.normal(size=classes.shape)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def with_palette(classes: Image.Image) -> Image.Image:
    image = Image.frombytes("P", classes.size, classes.tobytes())
    image.putpalette([channel for kind in range(11) for channel in (kind * 23, (kind * 97) % 256, (kind * 151) % 256)])
    return image


# --- both -------------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args(argv)
    for name, draw, count in (("tiles", tile, TILES), ("facades", facade, FACADES)):
        for kind in ("images", "masks"):
            (words.folder / name / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, mask = draw(np.random.default_rng([words.seed, number]))
            image.save(words.folder / name / "images" / f"{number:03d}.png")
            mask.save(words.folder / name / "masks" / f"{number:03d}.png")


if __name__ == "__main__":
    main()
