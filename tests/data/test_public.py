"""The shipped configurations of public data sets on tiny trees of their real shapes."""

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segtrain.data import FolderData, public
from segtrain.data.files.sbd import MatMask

CONF = Path(__file__).resolve().parents[2] / "conf/data"


def settings(name: str) -> dict[str, Any]:
    """What Hydra composes from a file, the sibling that it extends, and what is typed in any case."""
    own = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    siblings = own.pop("defaults", [])
    below = yaml.safe_load((CONF / f"{siblings[0]}.yaml").read_text()) if siblings else {}
    return {key: value for key, value in {**below, **own}.items() if key != "_target_"}


def opened(name: str, root: Path, **changes: Any) -> FolderData:
    return FolderData(**{**settings(name), "root": str(root), "workers": 0} | changes)


def picture(path: Path, values: list[list[int]] | None = None, *, palette: bool = False) -> None:
    """A mask of these values, or a colour image of 3 x 2 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (3, 2), (1, 2, 3)) if values is None else Image.fromarray(np.array(values, np.uint8))
    if palette:
        image.putpalette(bytes(range(255, -1, -1)) * 3)
    image.save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def numbers(data: FolderData) -> dict[str, int]:
    return {split: len(source) for split, source in data.splits.items()}


def voc(root: Path) -> None:
    base = root / "VOCdevkit/VOC2012"
    for i in range(1, 8):
        picture(base / f"JPEGImages/2007_00000{i}.jpg")
    for i in range(1, 4):
        picture(base / f"SegmentationClass/2007_00000{i}.png", [[0, 15, 255], [0, 15, 20]], palette=True)
        picture(base / f"SegmentationObject/2007_00000{i}.png", [[0, 1, 255], [0, 1, 2]], palette=True)
    text(base / "ImageSets/Segmentation/train.txt", "2007_000001", "2007_000002")
    text(base / "ImageSets/Segmentation/val.txt", "2007_000003")
    text(base / "ImageSets/Segmentation/trainval.txt", "2007_000001", "2007_000002", "2007_000003")
    text(base / "ImageSets/Main/train.txt", "2007_000001", "2007_000004")


def test_voc_is_read_with_its_void_border(tmp_path: Path):
    voc(tmp_path)
    data = opened("voc2012", tmp_path)
    assert (numbers(data), len(data.classes)) == ({"train": 2, "val": 1}, 21)
    assert data.source("train").read_mask(0).tolist() == [[0, 15, 255], [0, 15, 20]]
    assert data.classes.names[15] == "person"
    assert data.classes.colors[15].tolist() == [192, 128, 128]  # as in the devkit's colour map


# --- SBD --------------------------------------------------------------------------------------------------------------


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    """An element of a MATLAB 5 file, short ones in the short form."""
    if 0 < len(data) <= 4:
        word = len(data) << 16 | kind
        return struct.pack(f"{order}I", word) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, shape: tuple[int, int], name: bytes, *parts: bytes, order: str = "<") -> bytes:
    flags = struct.pack(f"{order}II", kind, 0)
    head = element(6, flags, order) + element(5, struct.pack(f"{order}2i", *shape), order) + element(1, name, order)
    return element(14, head + b"".join(parts), order)


def mat(values: list[list[int]], *, packed: bool = True, order: str = "<") -> bytes:
    """GTcls.Segmentation after another field, as MATLAB writes it."""
    array = np.array(values, np.uint8)
    shape = (array.shape[0], array.shape[1])
    fields = [
        matrix(9, (1, 1), b"", element(2, b"\7", order), order=order),
        matrix(9, shape, b"", element(2, array.T.tobytes(), order), order=order),
    ]
    names = b"".join(name.ljust(32, b"\0") for name in (b"Boundaries", b"Segmentation"))
    start = element(5, struct.pack(f"{order}i", 32), order) + element(1, names, order)
    whole = matrix(2, (1, 1), b"GTcls", start, *fields, order=order)
    if packed:
        content = zlib.compress(whole)
        whole = struct.pack(f"{order}II", 15, len(content)) + content
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100)
    return head + (b"IM" if order == "<" else b"MI") + whole


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_mask_of_sbd_is_read(tmp_path: Path, *, packed: bool, order: str):
    values = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 20]]
    (tmp_path / "x.mat").write_bytes(mat(values, packed=packed, order=order))
    mask = MatMask(tmp_path / "x.mat")
    assert (mask.size(100), mask.read(100, None).tolist()) == ((2, 5), values)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "not a MATLAB 5 file"),
    "cut": (lambda data: data[:-9], "x.mat: no mask of SBD"),
    "words": (lambda _: b"hello" * 99, "not a MATLAB 5 file"),
    "a bomb": (lambda data: data[:128] + packed_zeros(200_000_000), "more than 67108864 bytes"),
    "a length beyond the end": (lambda data: data[:132] + b"\xff\xff\xff\x7f" + data[136:], "cut off"),
    "another size": (
        lambda _: mat([[1, 2]], packed=False).replace(struct.pack("<2i", 1, 2), struct.pack("<2i", 9, 9)),
        "no mask",
    ),
}


def packed_zeros(number: int) -> bytes:
    data = zlib.compress(bytes(number))
    return struct.pack("<II", 15, len(data)) + data


@pytest.mark.parametrize(("damage", "problem"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_mask_of_sbd_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], problem: str):
    (tmp_path / "x.mat").write_bytes(damage(mat([[0, 1], [2, 3]])))
    with pytest.raises(ValueError, match=problem):
        MatMask(tmp_path / "x.mat").read(100, None)


def test_sbd_adds_to_train_what_voc_does_not_list(tmp_path: Path):
    voc(tmp_path)
    base = tmp_path / "benchmark_RELEASE/dataset"
    for name in ("2007_000002", "2007_000003", "2008_000009"):  # in VOC's train, in its val, in neither
        picture(base / f"img/{name}.jpg")
        (base / "cls").mkdir(exist_ok=True)
        (base / f"cls/{name}.mat").write_bytes(mat([[0, 3, 3], [0, 0, 20]]))
        (base / "inst").mkdir(exist_ok=True)
        (base / f"inst/{name}.mat").write_bytes(b"")
    text(base / "train.txt", "2007_000003", "2008_000009")
    data = opened("voc2012_sbd", tmp_path)
    assert numbers(data) == {"train": 3, "val": 1}
    assert data.source("train").names[2] == "SBD/2008_000009"
    assert data.source("train").read_mask(2).tolist() == [[0, 3, 3], [0, 0, 20]]


# --- the others -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "stored"),
    [
        ("cityscapes", "labelIds", [[7, 26, 33], [0, 4, 15]]),
        ("cityscapes_train_ids", "labelTrainIds", [[0, 13, 18], [255] * 3]),
    ],
)
def test_cityscapes_has_19_classes(tmp_path: Path, name: str, kind: str, stored: list[list[int]]):
    for split, city in (("train", "aachen"), ("train", "ulm"), ("val", "lindau"), ("test", "bonn")):
        stem = f"{split}/{city}/{city}_000000_000019"
        picture(tmp_path / f"leftImg8bit/{stem}_leftImg8bit.png")
        for other in ("color", "instanceIds"):
            picture(tmp_path / f"gtFine/{stem}_gtFine_{other}.png", [[1, 2, 3], [4, 5, 6]])
        picture(tmp_path / f"gtFine/{stem}_gtFine_{kind}.png", stored)
    data = opened(name, tmp_path)
    assert (numbers(data), len(data.classes)) == ({"train": 2, "val": 1}, 19)
    assert data.source("train").read_mask(0).tolist() == [[0, 13, 18], [255, 255, 255]]
    assert (data.classes.names[13], data.classes.colors[13].tolist()) == ("car", [0, 0, 142])


@pytest.mark.parametrize("top", ["", "oxford-iiit-pet"])
def test_oxfords_pets_have_a_void_border_and_a_val_split(tmp_path: Path, top: str):
    names = [f"{kind}_{i}" for kind in ("Abyssinian", "pug") for i in range(1, 31)]
    for name in names:
        picture(tmp_path / top / f"images/{name}.jpg")
        picture(tmp_path / top / f"annotations/trimaps/{name}.png", [[1, 2, 3], [2, 2, 3]])
    (tmp_path / top / "images/Abyssinian_100.mat").touch()
    text(tmp_path / top / "annotations/trainval.txt", *(f"{name} 1 1 1" for name in names[:40]))
    text(tmp_path / top / "annotations/test.txt", *(f"{name} 1 1 1" for name in names[40:]))
    text(tmp_path / top / "annotations/list.txt", "#Image CLASS-ID SPECIES BREED ID", *(f"{n} 1 1 1" for n in names))
    data = opened("oxford_pet", tmp_path)
    found = numbers(data)
    assert found["train"] + found["val"] == 40
    assert (found["test"], 2 <= found["val"] <= 12) == (20, True)
    assert data.source("test").read_mask(0).tolist() == [[1, 0, 3], [0, 0, 3]]
    assert data.classes.void == 3


def test_ade20k_begins_to_count_at_one(tmp_path: Path):
    for split, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        picture(tmp_path / f"ADEChallengeData2016/images/{split}/{name}.jpg")
        picture(tmp_path / f"ADEChallengeData2016/annotations/{split}/{name}.png", [[0, 1, 2], [150, 13, 3]])
    data = opened("ade20k", tmp_path)
    assert (numbers(data), len(data.classes)) == ({"train": 1, "val": 1}, 150)
    mask = data.source("train").read_mask(0)
    assert [data.classes.names[i] for i in mask.flatten()[1:]] == ["wall", "building", "flag", "person", "sky"]
    assert mask[0, 0] == data.classes.void


def test_coco_takes_its_classes_from_the_file(tmp_path: Path):
    for split in ("train", "val"):
        picture(tmp_path / f"{split}2017/000000000139.jpg")
        content = {
            "info": {},
            "images": [{"id": 139, "file_name": "000000000139.jpg", "height": 2, "width": 3}],
            "annotations": [
                {"image_id": 139, "category_id": 90, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]], "iscrowd": 0},
                {"image_id": 139, "category_id": 1, "segmentation": {"size": [2, 3], "counts": [5, 1]}, "iscrowd": 1},
            ],
            "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
        }
        text(tmp_path / f"annotations/instances_{split}2017.json", json.dumps(content))
        text(tmp_path / f"annotations/captions_{split}2017.json", json.dumps({**content, "annotations": []}))
    data = opened("coco_json", tmp_path)
    assert (numbers(data), data.classes.names) == ({"train": 1, "val": 1}, ("background", "person", "toothbrush"))
    assert data.source("val").read_mask(0).tolist() == [[2, 2, 0], [2, 2, 1]]


# --- where they come from ---------------------------------------------------------------------------------------------

NAMES = [path.stem for path in sorted(CONF.glob("*.yaml")) if settings(path.stem).get("origin")]


def test_every_origin_has_its_configuration():
    assert sorted(public.ORIGINS) == NAMES
    assert all(settings(name)["layout"] == public.ORIGINS[name].layout for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_asked_for_in_one_sentence(tmp_path: Path, name: str):
    root = tmp_path / "nowhere"
    with pytest.raises(
        FileNotFoundError, match=rf"data\.root={re.escape(str(root))}: {name} is not there: "
    ) as refusal:
        opened(name, root)
    assert f"{root}/" in str(refusal.value) or f"{root} " in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert ("data.download=true" in str(refusal.value)) == (public.ORIGINS[name].fetch is not None)


@pytest.mark.parametrize("name", [name for name in NAMES if public.ORIGINS[name].fetch is None])
def test_what_needs_an_account_cannot_be_downloaded(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=f"{name} cannot be downloaded from here: "):
        public.provide(settings(name) | {"root": str(tmp_path), "download": True}, print)


def test_what_is_there_is_not_downloaded_and_what_is_not_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fetched: list[Path] = []
    told: list[str] = []

    def fetch(root: Path) -> None:
        assert told
        fetched.append(root)
        voc(root)

    monkeypatch.setitem(public.ORIGINS, "voc2012", public.ORIGINS["voc2012"]._replace(fetch=fetch))
    for _ in range(2):
        public.provide(settings("voc2012") | {"root": str(tmp_path / "new"), "download": True}, told.append)
    assert told == [f"downloading voc2012 into {tmp_path / 'new'}, where it is unpacked, which takes a while longer"]
    assert fetched == [tmp_path / "new"]
    assert numbers(opened("voc2012", tmp_path / "new")) == {"train": 2, "val": 1}


def test_to_open_data_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The settings of `evaluate` come from a checkpoint."""
    no_fetch = public.ORIGINS["voc2012"]._replace(fetch=lambda _: pytest.fail("fetched"))
    monkeypatch.setitem(public.ORIGINS, "voc2012", no_fetch)
    with pytest.raises(FileNotFoundError, match="voc2012 is not there"):
        opened("voc2012", tmp_path, download=True)


def test_a_download_that_fails_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fetch(root: Path) -> None:
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setitem(public.ORIGINS, "oxford_pet", public.ORIGINS["oxford_pet"]._replace(fetch=fetch))
    with pytest.raises(OSError, match=r"oxford_pet could not be downloaded \(File not found or corrupted.\): unpack"):
        public.provide(settings("oxford_pet") | {"root": str(tmp_path), "download": True}, print)


def test_torchvision_unpacks_to_where_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its downloads, with the network replaced by a note of what would be unpacked where."""
    import torchvision.datasets as datasets
    from torchvision.datasets import utils

    places: list[tuple[str, str]] = []

    def note(url: str, download_root: str | Path, *args: Any, **kwargs: Any) -> None:
        places.append((url.rpartition("/")[2], Path(download_root).relative_to(tmp_path).as_posix()))

    for module in (datasets.voc, datasets.oxford_iiit_pet, utils):
        monkeypatch.setattr(module, "download_and_extract_archive", note)
    voc(tmp_path)
    public.fetch_voc_and_sbd(tmp_path)
    (tmp_path / "oxford-iiit-pet/images").mkdir(parents=True)
    text(tmp_path / "oxford-iiit-pet/annotations/trainval.txt", "pug_1 1 1 1")
    monkeypatch.setattr(datasets.OxfordIIITPet, "_check_exists", lambda _: bool(len(places) > 3))
    public.fetch_pets(tmp_path)
    assert places == [
        ("VOCtrainval_11-May-2012.tar", "."),
        ("benchmark.tgz", "."),
        ("images.tar.gz", "oxford-iiit-pet"),
        ("annotations.tar.gz", "oxford-iiit-pet"),
    ]
