"""Predicted masks as annotations that other programs read: COCO's JSON (https://cocodataset.org/#format-data), and
GeoJSON (RFC 7946) for images that lie on a map."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..data.classes import ClassTable
from .outlines import Region

UNMARKED = "background"  # a class of this name has no annotations, as in COCO's own files


class Annotations:
    """One file in COCO's format for all images, which is written region by region: many would fill the memory.

    The id of a category is the index of the class. A region with holes, which COCO's polygons cannot have, is stored as
    run lengths.
    """

    def __init__(self, file: TextIO, classes: ClassTable) -> None:
        self.file, self.images, self.count = file, [], 0
        categories = [{"id": i, "name": classes.names[i]} for i in marked(classes)]
        file.write(f'{{"categories": {packed(categories)},\n"annotations": [')

    def add(self, file_name: str, size: tuple[int, int], found: Sequence[Region]) -> None:
        """An image of this size (H, W) with its regions."""
        height, width = size
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": file_name, "height": height, "width": width})
        for region in found:
            self.file.write(",\n" if self.count else "\n")
            self.count += 1
            self.file.write(packed({"id": self.count, "image_id": number, **annotation(region, size)}))

    def end(self) -> None:
        self.file.write(f'\n],\n"images": {packed(self.images)}}}\n')


@contextmanager
def annotations(path: Path, classes: ClassTable) -> Iterator[Annotations]:
    """A file in COCO's format that is complete at the end."""
    with path.open("w", encoding="utf-8") as file:
        result = Annotations(file, classes)
        yield result
        result.end()


def packed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def marked(classes: ClassTable) -> list[int]:
    """The classes that have annotations: all, but for the background."""
    return [i for i, name in enumerate(classes.names) if name.strip().lower() != UNMARKED]


def annotation(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    """What COCO has of an object in an image (H, W)."""
    outline: Any = [region.rings[0].ravel().tolist()]
    if len(region.rings) > 1:
        outline = {"size": list(size), "counts": run_lengths(region.rings, size)}
    box = list(region.box)
    return {
        "category_id": region.value,
        "segmentation": outline,
        "area": region.pixels,
        "bbox": box,
        "iscrowd": 0,
    }


def run_lengths(rings: Sequence[np.ndarray], size: tuple[int, int]) -> list[int]:
    """The pixels of an image (H, W), down its columns, by turns outside and inside of rings: where a column crosses an
    edge, these change places."""
    height, width = size
    crossed = []
    for ring in rings:
        ends = np.sort(np.stack([ring, np.roll(ring, -1, 0)]), 0)
        level = ends[0, :, 1] == ends[1, :, 1]  # the other edges lie along the columns
        lengths = (ends[1] - ends[0])[level, 0]
        columns = np.repeat(ends[0][level, 0] - lengths.cumsum() + lengths, lengths) + np.arange(lengths.sum())
        crossed.append(columns * height + np.repeat(ends[0][level, 1], lengths))
    places, times = np.unique(np.concatenate(crossed), return_counts=True)
    places = places[times % 2 == 1]  # the end of a column is the beginning of the next one
    places = places[places < height * width]
    return np.diff(places, prepend=0, append=height * width).tolist()


def geojson(
    found: Sequence[Region], classes: ClassTable, to_map: Callable[[np.ndarray], np.ndarray], epsg: int | None
) -> str:
    """Regions as polygons on a map; `to_map` makes map coordinates of those of pixels, both (points, 2).

    The map is named as in GeoJSON of 2008: RFC 7946 knows longitudes and latitudes alone, which GDAL and QGIS do not
    keep to.
    """
    features: list[Mapping[str, Any]] = []
    for region in found:
        rings = [closed(to_map(ring), outer=i == 0) for i, ring in enumerate(region.rings)]
        properties = {"class": classes.names[region.value], "class_id": region.value, "pixels": region.pixels}
        geometry = {"type": "Polygon", "coordinates": rings}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    content: dict[str, Any] = {"type": "FeatureCollection"}
    if epsg is not None:
        content["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    return packed({**content, "features": features}) + "\n"


def closed(ring: np.ndarray, *, outer: bool) -> list[list[float]]:
    """A ring that ends where it begins, the outer one counter-clockwise and holes clockwise."""
    x, y = (ring - ring[0]).T
    is_counter = float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0
    points = ring if is_counter == outer else ring[::-1]
    return [*points.tolist(), points[0].tolist()]
