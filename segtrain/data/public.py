"""Public data sets: which layout each has, how it is downloaded, or what has to be put where."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from .layouts.choice import LAYOUTS, OpenFolder
from .layouts.tree import Tree

HINT = ", or type data.download=true"


class Origin(NamedTuple):
    """Where a data set comes from."""

    layout: str
    place: str  # what to put into the root, in a sentence; `{root}` stands for it
    fetch: Callable[[Path], None] | None = None  # downloads it into a folder, if that is possible without an account
    mark: str = ""  # the end of the path of a folder by which one knows it


def provide(data: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Download a public data set to where these settings want it, if they say so and it is not there yet, and `tell` of
    it before; torchvision shows how much of it has come."""
    name, download = data.get("origin"), data.get("download")
    if name is None or download is not True:
        return
    refuse_unknown(name)
    origin, root = ORIGINS[name], Path(data["root"])
    kind = (data.get("layout") or origin.layout).partition(":")[0]
    if root.is_dir() and (kind not in LAYOUTS or LAYOUTS[kind](Tree(root))):
        return
    place = origin.place.format(root=root)
    if origin.fetch is None:
        raise UserError(f"data.download=true: {name} cannot be downloaded from here: {place}")
    tell(f"downloading {name} into {root}, where it is unpacked, which takes a while longer")
    root.mkdir(parents=True, exist_ok=True)
    try:
        origin.fetch(root)
    except (OSError, RuntimeError) as error:  # what torchvision raises without a connection or for a wrong checksum
        raise OSError(f"data.download=true: {name} could not be downloaded ({error}): {place}") from None


def refuse_unknown(name: str) -> None:
    """Raises UserError for a public data set that is not in `ORIGINS`."""
    if name not in ORIGINS:
        raise UserError(f"data.origin={name}: expected one of {', '.join(ORIGINS)}")


def absent_text(name: str, root: Path) -> str:
    """What to put where, if a public data set is not there."""
    origin = ORIGINS[name]
    hint = HINT if origin.fetch else ""
    return f"data.root={root}: {name} is not there: {origin.place.format(root=root)}{hint}"


def recognised(folder: OpenFolder) -> str | None:
    """The public data set that a folder looks like."""
    for name, origin in ORIGINS.items():
        is_marked = origin.mark and any(f"/{path}".endswith(f"/{origin.mark}") for path in folder.tree.folders)
        if is_marked and origin.layout == folder.reading.layout:
            return name
    return None


def fetch_voc(root: Path) -> None:
    from torchvision.datasets import VOCSegmentation

    VOCSegmentation(root, year="2012", image_set="train", download=True)


def fetch_voc_and_sbd(root: Path) -> None:
    """Without scipy, which torchvision needs to open SBD."""
    from torchvision.datasets import SBDataset
    from torchvision.datasets.utils import download_and_extract_archive

    fetch_voc(root)
    download_and_extract_archive(SBDataset.url, str(root), filename=SBDataset.filename, md5=SBDataset.md5)


def fetch_pets(root: Path) -> None:
    from torchvision.datasets import OxfordIIITPet

    OxfordIIITPet(root, target_types="segmentation", download=True)


VOC = (
    "unpack VOCtrainval_11-May-2012.tar (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/) in {root}, so that "
    "{root}/VOCdevkit/VOC2012/JPEGImages is there"
)
ORIGINS = {
    "voc2012": Origin("voc", VOC, fetch_voc, "VOCdevkit/VOC2012"),
    "voc2012_sbd": Origin(
        "voc_sbd",
        f"{VOC}; and unpack benchmark.tgz (https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/"
        "semantic_contours/benchmark.tgz) there too, so that {root}/benchmark_RELEASE/dataset/cls is there",
        fetch_voc_and_sbd,
    ),
    "cityscapes": Origin(
        "cityscapes",
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip, and unpack both in {root}, so that {root}/leftImg8bit/train and {root}/gtFine/train "
        "are there",
        mark="gtFine",
    ),
    "cityscapes_train_ids": Origin(
        "cityscapes_train_ids",
        "put Cityscapes into {root} as for data=cityscapes, and make the files *_gtFine_labelTrainIds.png with "
        "csCreateTrainIdLabelImgs of https://github.com/mcordts/cityscapesScripts",
    ),
    "oxford_pet": Origin(
        "listed",
        "unpack images.tar.gz and annotations.tar.gz (https://www.robots.ox.ac.uk/~vgg/data/pets/) in {root}, so that "
        "{root}/images and {root}/annotations/trimaps are there",
        fetch_pets,
        "annotations/trimaps",
    ),
    "ade20k": Origin(
        "home",
        "unpack ADEChallengeData2016.zip (http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip) in "
        "{root}, so that {root}/ADEChallengeData2016/images/training is there",
        mark="ADEChallengeData2016",
    ),
    "coco_json": Origin(
        "coco_json",
        "unpack train2017.zip, val2017.zip and annotations_trainval2017.zip (https://cocodataset.org/#download) in "
        "{root}, so that {root}/annotations/instances_train2017.json and {root}/train2017 are there",
    ),
}
