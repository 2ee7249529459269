"""IoU of small, medium and large objects.

An object is a connected region of a class in the truth, also over corners: what touches is one. Small, medium and large
are those of COCO (https://cocodataset.org/#detection-eval): areas below 32 x 32, below 96 x 96, and from there on, in
pixels of the image that is scored, whatever its size.

An object's own pixels are found or missed. Pixels that are wrongly predicted have no object of their own: those of a
connected predicted region count for the object of the same class that has most of the region's pixels, and where none
has any, for the size of the region itself. Void is neither object nor prediction.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torchmetrics import Metric

SIZES = ("small", "medium", "large")
LIMITS = (32**2, 96**2)  # pixels from which an object is medium, and large
AT_ONCE = 1 << 20  # pixels whose runs are compared at a time
COUNTS = ("found", "missed", "wrong", "objects")


class SizeCounts(Metric):
    """Adds up the pixels and the objects of each class and size in int64, exact over batches and processes.

    Args:
        num_classes: number of classes, the same in truth and prediction.
        void: mask value of the pixels that are left out.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__()
        self.void = void
        counts = torch.zeros(num_classes, len(SIZES), len(COUNTS), dtype=torch.int64)
        self.add_state("counts", default=counts, dist_reduce_fx="sum")

    def of(self, prediction: Tensor, mask: Tensor) -> Tensor:
        """What `size_counts` counts of maps of classes (H, W), on the CPU. It changes nothing, so that threads may
        count several at once."""
        maps = prediction.cpu().numpy(), mask.cpu().numpy()
        return torch.from_numpy(size_counts(*maps, len(self.counts), self.void))

    def update(self, counts: Tensor) -> None:
        """Add what was counted of an image."""
        self.counts += counts.to(self.counts.device)

    def compute(self) -> Tensor:
        """As `size_counts`, of all images together."""
        return self.counts


def size_counts(prediction: np.ndarray, mask: np.ndarray, num_classes: int, void: int) -> np.ndarray:
    """Pixels (classes, sizes, counts) int64 of maps of classes (H, W): found, missed and wrongly predicted ones; then
    the number of objects."""
    objects, regions = regions_of(mask), regions_of(np.where(mask == void, void, prediction))
    shared = right_pixels(regions, objects)
    hits, found = (shared.sum(axis) for axis in (1, 0))
    region_sizes = regions.sizes
    touching, touched = most_touched(shared)
    region_sizes[touching] = objects.sizes[touched]
    counts = np.zeros((num_classes, len(SIZES), len(COUNTS)), np.int64)
    is_object, is_region = objects.classes != void, regions.classes != void
    own = np.stack([found, objects.areas - found, np.zeros_like(found), np.ones_like(found)], 1)
    np.add.at(counts, (objects.classes[is_object], objects.sizes[is_object]), own[is_object])
    wrong = regions.areas - hits
    np.add.at(counts[..., 2], (regions.classes[is_region], region_sizes[is_region]), wrong[is_region])
    return counts


class Regions(NamedTuple):
    """The connected regions of a map of classes, which consist of runs of equal pixels in a row."""

    starts: np.ndarray  # (H, W) bool: the first pixel of each run
    labels: np.ndarray  # (runs,): the region of each
    classes: np.ndarray  # (regions,)
    areas: np.ndarray  # (regions,): pixels

    @property
    def sizes(self) -> np.ndarray:
        """Each one's place in `SIZES`."""
        return np.searchsorted(LIMITS, self.areas, "right")


def regions_of(classes: np.ndarray) -> Regions:
    """The connected regions of a map of classes (H, W), of all classes at once: runs of equal pixels in a row are
    nodes, and those that touch one another in the next row are joined."""
    starts = np.ones(classes.shape, bool)
    starts[:, 1:] = classes[:, 1:] != classes[:, :-1]
    first = np.flatnonzero(starts)
    run_classes = classes.ravel()[first]
    rows, number, edges = max(1, AT_ONCE // classes.shape[1]), 0, []
    for top in range(0, len(classes), rows):
        band = starts[top : top + rows + 1]  # with the first row of the next one
        edges.append(number + touching_runs(band, run_classes[number:]))
        number += np.count_nonzero(band[:rows])
    pairs = np.concatenate(edges, 1)
    joined = coo_array((np.ones(pairs.shape[1], bool), pairs), (number, number))
    regions, labels = connected_components(joined, directed=False)
    region_classes = np.empty(regions, np.int64)
    region_classes[labels] = run_classes
    pixels = np.diff(first, append=classes.size)
    return Regions(starts, labels, region_classes, np.bincount(labels, pixels, regions).astype(np.int64))


def touching_runs(starts: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(2, n) int32: pairs of runs of one class, counted from 0 on, that touch one another in two rows, by where runs
    start in a map (H, W), and the class of each."""
    above, below = starts[:-1], starts[1:]
    places, upper, lower = common_runs(above, below)
    lower += np.count_nonzero(starts[0])
    corners = above & below  # where the run before the upper one touches the lower one, and the other way around
    corners[:, 0] = False  # none is before the first one of a row
    corner = np.flatnonzero(corners.ravel()[places])
    over, under = upper[corner], lower[corner]
    pairs = np.hstack([(upper, lower), (over - 1, under), (over, under - 1)])
    return pairs[:, np.flatnonzero(classes[pairs[0]] == classes[pairs[1]])].astype(np.int32)


def common_runs(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels at which a run of one map or of the other starts, and the run of each that is there, counted from 0
    on."""
    places = np.flatnonzero(one | other)
    first, second = (starts.ravel()[places].cumsum() - 1 for starts in (one, other))
    return places, first, second


def right_pixels(regions: Regions, objects: Regions) -> csr_array:
    """(regions, objects) int64: the pixels that a region and an object of its class have in common."""
    places, *runs = common_runs(regions.starts, objects.starts)
    pixels = np.diff(places, append=regions.starts.size)
    region, thing = (each.labels[run] for each, run in zip((regions, objects), runs, strict=True))
    agree = np.flatnonzero(regions.classes[region] == objects.classes[thing])
    shape = len(regions.areas), len(objects.areas)
    return coo_array((pixels[agree], (region[agree], thing[agree])), shape).tocsr()  # adds them up


def most_touched(shared: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """The regions that have some right pixels (regions, objects), and of each the object that most of these are of; of
    equal ones, the first."""
    table = shared.tocoo()
    region, touched = table.coords
    order = np.lexsort((touched, np.negative(table.data), region))
    region, first = np.unique(region[order], return_index=True)
    return region, touched[order][first]


def iou_of(counts: Tensor) -> Tensor:
    """IoU (classes, sizes) float64 by counts (classes, sizes, counts); NaN where the truth has no object of the
    size."""
    found, missed, wrong, objects = counts.cpu().double().unbind(-1)
    return torch.where(objects > 0, found / (found + missed + wrong), torch.nan)
