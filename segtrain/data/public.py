"""Public data sets: which layout each has, how it is downloaded, or what has to be put where."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import UserError
from .coco import Order
from .folder import FolderData
from .geometry import Augment
from .images import MAX_PIXELS
from .layouts import LAYOUTS
from .tree import Tree


class Origin(NamedTuple):
    """Where a data set comes from.

    Attributes:
        layout: in which it is published.
        place: what to put into the root, in a sentence; `{root}` stands for it.
        fetch: downloads it into a folder, if that is possible without an account.
        mark: the end of the path of a folder by which one knows it.
    """

    layout: str
    place: str
    fetch: Callable[[Path], None] | None = None
    mark: str = ""


class PublicData(FolderData):
    """A public data set as it is published; the other arguments are those of `FolderData`.

    Args:
        origin: a name in `ORIGINS`.
        download: whether a new training first fetches the data into `root` by `provide`, if they are not there. This
            class opens no connection itself: its settings may come from a stranger's checkpoint.

    Raises:
        FileNotFoundError: saying what to put where, if they are not there.
    """

    def __init__(
        self,
        *,
        origin: str,
        download: bool,
        root: str,
        layout: str | None = None,
        classes: Mapping[str, Any] | None,
        group: str | None = None,
        on_bad: Literal["stop", "skip"] = "stop",
        outside: bool = False,
        crop: Sequence[int] | None,
        batch_size: int,
        workers: int | Literal["auto"],
        max_pixels: int = MAX_PIXELS,
        channels: int | None = None,
        cache: Literal["ram", "none"] = "none",
        order: Order = "area",
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        provide({"origin": origin, "root": root, "layout": layout})
        super().__init__(
            root=root,
            layout=layout,
            classes=classes,
            group=group,
            on_bad=on_bad,
            outside=outside,
            crop=crop,
            batch_size=batch_size,
            workers=workers,
            max_pixels=max_pixels,
            channels=channels,
            cache=cache,
            order=order,
            augment=augment,
            seed=seed,
        )


def provide(data: Mapping[str, Any]) -> None:
    """Have a public data set where these settings want it: downloaded if they say so. Other data need nothing.

    Raises:
        FileNotFoundError: saying what to put where, if it is not there and is not to be downloaded.
        UserError: for one that cannot be.
        OSError: for a download that fails.
    """
    if "origin" not in data:
        return
    name, root = data["origin"], Path(data["root"])
    if name not in ORIGINS:
        raise UserError(f"data.origin={name}: expected one of {', '.join(ORIGINS)}")
    origin = ORIGINS[name]
    kind = (data.get("layout") or origin.layout).partition(":")[0]
    if root.is_dir() and (kind not in LAYOUTS or LAYOUTS[kind](Tree(root))):
        return
    place = origin.place.format(root=root)
    if data.get("download") is not True:
        hint = ", or type data.download=true" if origin.fetch else ""
        raise FileNotFoundError(f"data.root={root}: {name} is not there: {place}{hint}")
    if origin.fetch is None:
        raise UserError(f"data.download=true: {name} cannot be downloaded from here: {place}")
    root.mkdir(parents=True, exist_ok=True)
    try:
        origin.fetch(root)
    except (OSError, RuntimeError) as error:  # what torchvision raises without a connection or for a wrong checksum
        raise OSError(f"data.download=true: {name} could not be downloaded ({error}): {place}") from None


def recognised(root: Path, layout: str) -> str | None:
    """The public data set that a folder of this layout looks like."""
    folders = [f"/{folder}" for folder in Tree(root).folders]
    for name, origin in ORIGINS.items():
        if origin.mark and origin.layout == layout and any(folder.endswith(f"/{origin.mark}") for folder in folders):
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
