"""Shapes in LabelMe's JSON files (https://github.com/wkentaro/labelme), one file for each image."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ...errors import UserError
from .documents import parsed_json
from .images import pillow_refuses
from .polygons import NoShape, Polygon, Shape, ring_of

LINE_WIDTH, POINT_RADIUS = 10, 5  # pixels, as LabelMe draws them in masks
CORNERS = 16, 1024  # fewest and most of a circle
POLYGONS = ("polygon", "rotation", "oriented_rectangle")


class Annotated(NamedTuple):
    """What a file says: the image, its (height, width) if that is stated, and the label and shape of each object."""

    image: str
    stated_size: tuple[int, int] | None
    objects: list[tuple[str, Shape]]


@dataclass(frozen=True)
class Bitmap:
    """An object as a small PNG, with the column and row of its upper left pixel."""

    png: bytes
    left: int
    top: int

    def area(self) -> float:
        return float(len(self.png))

    def work(self, height: int, width: int) -> int:
        return height * width

    def paint(self, mask: np.ndarray, value: int) -> None:
        """Set its pixels that lie in the mask; UserError for what is no PNG, or one larger than the mask."""
        try:
            with pillow_refuses(mask.size), Image.open(io.BytesIO(self.png), formats=("PNG",)) as image:
                inside = np.asarray(image.convert("L")) > 0
        except UserError:
            raise
        except Exception as error:  # Pillow raises many types for damaged files, and its own for too many pixels
            raise UserError(f"a mask that is no PNG of this image: {' '.join(str(error).split())[:100]}") from None
        height, width = mask.shape
        top, left = max(0, self.top), max(0, self.left)
        bottom, right = min(height, self.top + inside.shape[0]), min(width, self.left + inside.shape[1])
        if top < bottom and left < right:
            part = inside[top - self.top : bottom - self.top, left - self.left : right - self.left]
            mask[top:bottom, left:right][part] = value


def read_labelme(path: Path) -> Annotated:
    """The image, its size, and the objects in a file; what is written there of the image's pixels is not decoded.

    Raises:
        UserError: For what is no such file.
    """
    content = parsed_json(path)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise UserError(f"{path}: no annotations of LabelMe: expected a list 'shapes' of mappings")
    size = content.get("imageHeight"), content.get("imageWidth")
    is_stated = all(type(side) is int and side > 0 for side in size)
    image = content.get("imagePath")
    objects = [(str(shape.get("label")), shape_of(shape)) for shape in shapes]
    return Annotated(image if isinstance(image, str) else "", size if is_stated else None, objects)  # type: ignore[arg-type]


def shape_of(entry: Mapping[str, Any]) -> Shape:
    """The shape of an object; lines and points are as wide as LabelMe draws them."""
    kind, ring = str(entry.get("shape_type") or "polygon"), ring_of(entry.get("points"))
    if ring is None or not np.isfinite(ring).all():
        return NoShape(f"a {kind[:20]!r} without points that are numbers")
    if kind == "mask":
        return bitmap_of(entry.get("mask"), ring)
    if kind in POLYGONS or (kind == "rectangle" and len(ring) == 4):
        return Polygon([ring])
    if kind == "rectangle" and len(ring) == 2:
        (x0, y0), (x1, y1) = ring
        return Polygon([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])])
    if kind == "circle" and len(ring) == 2:
        return Polygon([circle(ring[0], math.dist(*ring))])
    if kind in ("line", "linestrip") and len(ring) > 1:
        return Polygon([thick(start, end) for start, end in pairwise(ring)])
    if kind in ("point", "points"):
        return Polygon([circle(point, POINT_RADIUS) for point in ring])
    return NoShape(f"a shape of the type {kind[:20]!r} with {len(ring)} points")


def bitmap_of(text: Any, ring: np.ndarray) -> Shape:
    """The shape of a mask that is written as text, whose first point is its upper left pixel."""
    try:
        png = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        return NoShape("a mask that is not written as base64")
    if len(ring) == 0:
        return NoShape("a mask without its place")
    return Bitmap(png, int(ring[0, 0]), int(ring[0, 1]))


def circle(center: np.ndarray, radius: float) -> np.ndarray:
    """A circle as a polygon with a corner for about every second pixel."""
    corners = int(min(max(3 * radius, CORNERS[0]), CORNERS[1]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return center + radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def thick(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A line as a rectangle."""
    along = end - start
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0]]) * (LINE_WIDTH / 2 / length if length else 0)
    return np.array([start + across, end + across, end - across, start - across])
