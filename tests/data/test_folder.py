import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from segtrain.data import FolderData
from segtrain.data.batches.module import DataModule
from segtrain.data.batches.source import FolderSource
from segtrain.data.files.pair import Pair
from segtrain.data.layouts.choice import open_folder
from segtrain.data.layouts.splits import split_of, with_splits
from segtrain.data.layouts.tree import walk
from segtrain.data.survey.headers import read_headers
from segtrain.data.survey.memory import remembered
from segtrain.data.survey.survey import survey
from segtrain.errors import UserError
from segtrain.inspection import before_training


def listed(root: Path, **changes: Any) -> FolderData:
    """Data of which no file is read yet."""
    settings: dict[str, Any] = {"classes": None, "crop": [8, 8], "batch_size": 2, "workers": 0}
    return FolderData(root=str(root), **settings | changes)


def opened(root: Path, **changes: Any) -> FolderData:
    data = listed(root, **changes)
    assert data.splits  # the headers are read now
    return data


def find_pairs(root: Path) -> dict[str, list[Pair]]:
    return with_splits(open_folder(root).reading.splits)


def test_the_home_layout_gives_its_splits(folder: Callable[..., Path]):
    data = opened(folder({"train": 3, "val": 2, "test": 1}))
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 3, "val": 2, "test": 1}
    assert data.final_split == "test"


def test_image_and_mask_are_read_as_they_were_written(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    image, mask = opened(root).source("train").read(0)
    assert image.permute(1, 2, 0).numpy().tolist() == np.asarray(Image.open(root / "images/train/0.png")).tolist()
    assert mask.numpy().tolist() == np.asarray(Image.open(root / "masks/train/0.png")).tolist()


def test_folders_below_a_split_are_part_of_the_name(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    for kind in ("images", "masks"):
        (root / kind / "train" / "day 2").mkdir()
        (root / kind / "train" / "0.png").rename(root / kind / "train" / "day 2" / "0.png")
    assert [pair.name for pair in find_pairs(root)["train"]] == ["day 2/0"]


def test_segnets_camvid_layout_is_found(folder: Callable[..., Path]):
    root = folder({"train": 2, "val": 1})
    for split in ("train", "val"):
        (root / "images" / split).rename(root / split)
        (root / "masks" / split).rename(root / f"{split}annot")
    (root / "images").rmdir()
    assert {split: len(pairs) for split, pairs in find_pairs(root).items()} == {"train": 2, "val": 1}


def test_data_without_splits_are_split_by_a_hash_of_the_name(folder: Callable[..., Path]):
    root = folder({".": 40})
    splits = find_pairs(root)
    assert sum(map(len, splits.values())) == 40
    assert all(split_of(pair.name) == split for split, pairs in splits.items() for pair in pairs)


def test_the_hash_split_is_70_15_15_and_stable():
    counts = Counter(split_of(f"image_{i}") for i in range(10_000))
    assert counts["train"] == pytest.approx(7000, abs=150)
    assert counts["val"] == pytest.approx(1500, abs=150)
    assert [split_of(name) for name in ("a", "b", "c", "d", "e", "f")] == SIX


SIX = ["val", "train", "train", "train", "train", "train"]


def test_a_missing_folder_is_named():
    with pytest.raises(FileNotFoundError, match=r"data.root=nowhere: there is no such folder"):
        opened(Path("nowhere"))


HELD = {
    "nothing": ([], r"no images found; expected .*images.train"),
    "archives": (
        ["a.zip", "b.zip", "notes"],
        r"but 2 .zip such as a.zip: unpack them; 1 files; docs/data.md",
    ),
    "arrays": (
        ["1.npy", "2.npy", "1.xml"],
        r"but 2 .npy such as 1.npy: arrays are read in folders called",
    ),
    "images": (
        ["a/1.png", "a/2.png", "3.png"],
        r"no image has a mask: 3 pictures \(2 in a, 1 in .\), such as 3.png; expected .*splits.csv",
    ),
}


@pytest.mark.parametrize(("names", "message"), HELD.values(), ids=HELD)
def test_a_folder_without_pairs_says_what_is_there_and_what_was_expected(
    tmp_path: Path, names: list[str], message: str
):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=message):
        opened(tmp_path)


def test_a_folder_of_images_alone_names_the_one_above(tmp_path: Path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.png").touch()
    with pytest.raises(FileNotFoundError, match=rf"or do images and masks lie in {tmp_path}\?"):
        opened(tmp_path / "images")


def test_a_misspelt_folder_and_an_archive_are_told(tmp_path: Path):
    (tmp_path / "kvasir").mkdir()
    (tmp_path / "kvasir.zip").touch()
    with pytest.raises(
        FileNotFoundError, match=rf"kvasr: there is no such folder .*; did you mean {tmp_path}/kvasir\?"
    ):
        opened(tmp_path / "kvasr")
    with pytest.raises(FileNotFoundError, match=r"kvasir.zip: this is a file: unpack it, and name the folder"):
        opened(tmp_path / "kvasir.zip")


def test_a_missing_class_table_shows_an_example(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    (root / "classes.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"classes.yaml: missing; .* classes: \[\{name: background"):
        opened(root)


def test_an_empty_split_is_named(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    (root / "images/val/0.png").unlink()
    (root / "masks/val/0.png").unlink()
    with pytest.raises(ValueError, match=r"images.val: no images in it"):
        opened(root)


def test_a_split_that_is_not_there_is_named(folder: Callable[..., Path]):
    with pytest.raises(ValueError, match="split=val: these data have train"):
        opened(folder({"train": 1})).source("val")


def test_train_without_val_gives_some_of_its_images_for_it(folder: Callable[..., Path]):
    data = opened(folder({"training": 20, "Testing": 3}))
    assert {name: len(source) for name, source in data.splits.items()} == {
        "train": 19,
        "val": 1,
        "test": 3,
    }  # 2 alone hashes into val


@pytest.mark.parametrize(("name", "split"), [("validation", "val"), ("valid", "val")])
def test_splits_have_other_names_too(folder: Callable[..., Path], name: str, split: str):
    data = opened(folder({"training": 2, name: 1}))
    assert {name: len(source) for name, source in data.splits.items()} == {"train": 2, split: 1}


def test_a_folder_beside_the_splits_is_named(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1, "extra": 1})
    with pytest.raises(FileNotFoundError, match=r"images.extra.0.png is in no split .and 1 more files"):
        opened(root)


def test_images_beside_the_splits_are_named(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    Image.new("RGB", (4, 4)).save(root / "images/alone.png")
    with pytest.raises(FileNotFoundError, match=r"images.alone.png is in no split"):
        opened(root)


def test_a_missing_mask_is_named(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    (root / "masks/train/1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"images.train.1\.png has no mask: .* data.on_bad=skip goes on"):
        opened(root)


def test_a_mask_without_image_is_named(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    (root / "images/train/0.png").unlink()
    (root / "images/train/2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"masks.train.0\.png has no image .and 1 more files"):
        opened(root)


def test_two_images_of_one_name_are_refused(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 2})
    Image.new("RGB", (16, 12)).save(root / "images/train/0.jpg")
    with pytest.raises(FileNotFoundError, match=r"images.train.0\.jpg and 0\.png have one name"):
        opened(root)


def test_a_file_that_is_only_listed_is_named(folder: Callable[..., Path]):
    root = folder({"train": 2, "val": 1})
    rows = [
        "image,mask,split",
        "images/train/0.png,masks/train/0.png,train",
        "images/train/9.png,masks/train/1.png,val",
    ]
    (root / "splits.csv").write_text("\n".join([*rows, "images/val/8.png,masks/val/8.png,val"]))
    reason = r"images.train.9\.png is in splits\.csv, line 3, but there is no such image .and 1 more files"
    with pytest.raises(FileNotFoundError, match=reason):
        opened(root)


def test_bad_files_are_skipped_on_request_and_kept_in_mind(folder: Callable[..., Path]):
    root = folder({"train": 4, "val": 2})
    (root / "masks/train/1.png").unlink()
    (root / "images/train/2.png").write_bytes(b"")
    Image.new("L", (16, 11)).save(root / "masks/val/1.png")
    data = opened(root, on_bad="skip")
    assert {split: source.names for split, source in data.splits.items()} == {"train": ["0", "3"], "val": ["0"]}
    assert {Path(finding.file).name for finding in data.skipped} == {"1.png", "2.png"}


def test_a_group_stays_together(folder: Callable[..., Path]):
    root = folder({".": 60})
    for kind in ("images", "masks"):
        for i in range(60):
            (root / kind / f"{i}.png").rename(root / kind / f"walk_{i // 5:02d}_{i}.png")
    splits = opened(root, group=r"walk_(\d+)_").splits
    groups = {split: {name.split("_")[1] for name in source.names} for split, source in splits.items()}
    assert sum(len(found) for found in groups.values()) == 12
    assert all(split_of(number) == split for split, found in groups.items() for number in found)
    with pytest.raises(ValueError, match=r"data\.group=\(: not a regular expression"):
        opened(root, group="(")


def test_readings_that_are_equally_good_are_named(folder: Callable[..., Path]):
    root = folder({".": 3})
    shutil.copytree(root / "masks", root / "labels")
    assert opened(root).folder.reading.layout == "flat:labels", "they hold the same: the first is taken"
    other = np.zeros((12, 16), np.uint8)
    other[:4] = 1
    for path in (root / "labels").iterdir():
        Image.fromarray(other).save(path)
    with pytest.raises(
        ValueError, match=r"several ways, flat:labels \(3 pairs\), flat:masks \(3 pairs\): .*data.layout="
    ):
        opened(root)
    assert {pair.mask.path.parent.name for pair in opened(root, layout="flat:labels").folder.reading.pairs} == {
        "labels"
    }
    with pytest.raises(FileNotFoundError, match=r"data\.layout=voc: it finds no pairs"):
        opened(root, layout="voc")
    with pytest.raises(UserError, match=r"data\.layout=vco: there is no such layout \(splits_csv, home, "):
        opened(root, layout="vco")


def test_the_description_may_stand_beside_the_folder(folder: Callable[..., Path], tmp_path: Path):
    root = folder({"train": 2, "val": 1})
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in ("images", "masks"):
        (root / name).rename(inside / name)
    (tmp_path / "inside.segtrain").mkdir()
    (root / "classes.yaml").rename(tmp_path / "inside.segtrain/classes.yaml")
    assert opened(inside).classes.names == ("ground", "thing")


def test_with_a_cache_the_samples_are_the_same(folder: Callable[..., Path]):
    root = folder({"train": 2, "val": 1})
    cached, plain = opened(root, cache="ram").source("train"), opened(root).source("train")
    for _ in range(2):
        assert all((a == b).all() for a, b in zip(cached.read(1), plain.read(1), strict=True))


def test_grey_images_have_one_channel_unless_more_are_asked_for(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    for split in ("train", "val"):
        Image.open(root / f"images/{split}/0.png").convert("L").save(root / f"images/{split}/0.png")
    assert [opened(root, channels=channels).channels for channels in (None, 1, 3)] == [1, 1, 3]


def test_sizes_that_differ_are_named_with_both_files(folder: Callable[..., Path]):
    root = folder({"train": 2, "val": 1})
    Image.new("L", (16, 11)).save(root / "masks/train/1.png")
    with pytest.raises(ValueError, match=r"masks.train.1.png is 16 x 11 pixels, .*images.train.1.png is 16 x 12"):
        opened(root)


def test_a_value_that_no_class_owns_is_named_with_its_file(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    Image.fromarray(np.full((12, 16), 7, np.uint8)).save(root / "masks/train/0.png")
    with pytest.raises(ValueError, match=r"masks.train.0.png: values 7 \(192 pixels\) belong to none"):
        opened(root).source("train").read(0)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_an_image_beyond_the_pixel_limit_is_refused_by_its_header(folder: Callable[..., Path], kind: str):
    root = folder({"train": 1, "val": 1})
    assert len(opened(root, max_pixels=12 * 16).source("val")) == 1
    Image.new("L", (20, 30)).save(root / kind / "val/0.png")
    with pytest.raises(ValueError, match=rf"{kind}.val.0\.png: 600 pixels, more than data\.max_pixels=192"):
        opened(root, max_pixels=12 * 16)
    with pytest.raises(ValueError, match=r"data\.max_pixels=0: expected 1 or more"):
        opened(root, max_pixels=0)


def test_the_pixel_limit_holds_when_an_image_is_replaced_later(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    source = opened(root, max_pixels=12 * 16).source("train")
    for kind in ("masks", "images"):
        Image.new("L", (20, 30)).save(root / kind / "train/0.png")
        with pytest.raises(ValueError, match=rf"{kind}.train.0\.png: 600 pixels, more than"):
            source.read(0)
        with pytest.raises(ValueError, match=r"masks.train.0\.png: 600 pixels, more than"):
            source.read_mask(0)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["pipe", "dangling link"])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_pipe_or_a_link_to_nothing_is_named_and_not_waited_for(
    folder: Callable[..., Path], kind: str, make: Callable[[Path], None]
):
    root = folder({"train": 1, "val": 1})
    (root / kind / "val/0.png").unlink()
    make(root / kind / "val/0.png")
    with pytest.raises(ValueError, match=rf"{kind}.val.0\.png: expected a file, or a link to one"):
        opened(root)


def test_a_folder_that_ends_like_an_image_is_a_folder(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    for kind in ("images", "masks"):
        (root / kind / "train/day.png").mkdir()
        (root / kind / "train/0.png").rename(root / kind / "train/day.png/0.png")
    assert [pair.name for pair in find_pairs(root)["train"]] == ["day.png/0"]


def test_a_class_table_that_is_a_pipe_is_not_waited_for(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    (root / "classes.yaml").unlink()
    os.mkfifo(root / "classes.yaml")
    with pytest.raises(FileNotFoundError, match=r"classes\.yaml: missing"):
        opened(root)


@pytest.mark.parametrize(
    "name", ["a\nb.png", "\x1b[31mred.png", "\x07.png", "gpj\u202egnp.png", os.fsdecode(b"\xff.png")]
)
def test_a_name_that_a_terminal_would_obey_is_refused_in_quotes(folder: Callable[..., Path], name: str):
    root = folder({"train": 1, "val": 1})
    try:
        (root / "images/val/0.png").rename(root / "images/val" / name)
    except OSError:
        pytest.skip("no file of this name here")
    with pytest.raises(ValueError, match="the name holds control or invalid characters: rename it") as refusal:
        opened(root)
    assert str(refusal.value).isprintable()


def test_names_in_any_script_are_taken(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    for kind in ("images", "masks"):
        (root / kind / "val/0.png").rename(root / kind / "val/日本 = Straße, nº 1\u202fPM.png")
    assert [pair.name for pair in find_pairs(root)["val"]] == ["日本 = Straße, nº 1\u202fPM"]


def test_links_to_files_and_splits_are_followed(folder: Callable[..., Path], tmp_path: Path):
    root = folder({"train": 2, "val": 1})
    (root / "images/train").rename(root / "elsewhere")
    (root / "images/train").symlink_to(root / "elsewhere")
    (root / "masks/train/0.png").rename(root / "mask.png")
    (root / "masks/train/0.png").symlink_to(root / "mask.png")
    assert len(opened(root).source("train")) == 2


def test_nothing_is_taken_that_is_no_parameter(folder: Callable[..., Path]):
    with pytest.raises(TypeError, match="max_pixel"):
        opened(folder({"train": 1, "val": 1}), max_pixel=1)


@pytest.mark.parametrize("origin", [None, "ade20k"])
def test_a_folder_is_listed_once(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, origin: str | None):
    walks = []

    def counted(root: Path, below: str, stored: str, depth: int) -> Iterator[tuple[str, str, bool]]:
        walks.append(root)
        return walk(root, below, stored, depth)

    monkeypatch.setattr("segtrain.data.layouts.tree.walk", counted)
    data = opened(folder({"train": 3, "val": 2}), origin=origin)
    before_training(data)
    assert len(data.source("train")) == 3
    assert len(walks) == len(data.folder.tree.folders)  # each folder once


def test_headers_are_asked_for_once(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def noted(pairs: Sequence[Pair], **options: Any) -> list[Any]:
        asked.append(len(pairs))
        return read_headers(pairs, **options)

    monkeypatch.setattr("segtrain.data.folder.read_headers", noted)
    monkeypatch.setattr("segtrain.inspection.training.PATIENCE", -1)
    data = FolderData(root=str(folder({"train": 9, "val": 2})), classes=None, crop=None, batch_size=1, workers=0)
    before_training(data)
    assert len(data.source("train")) == 9
    assert asked == [11]


def test_of_very_many_images_names_alone_decide_on_the_split(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("segtrain.data.folder.MANY", 29)
    monkeypatch.setattr("segtrain.data.folder.survey", lambda *args, **options: pytest.fail("files were read"))
    monkeypatch.setattr("segtrain.inspection.training.PATIENCE", -1)
    root = folder({"": 30})
    data = FolderData(root=str(root), classes=None, group="auto", crop=None, batch_size=1, workers=0)
    before_training(data)
    expected = with_splits(open_folder(root).reading.splits)
    names = {split: [pair.name for pair in pairs] for split, pairs in expected.items()}
    assert {split: source.names for split, source in data.splits.items()} == names
    assert "images that belong together are not sought among more than 29" in capsys.readouterr().out.replace("\n", " ")


def test_a_large_folder_is_let_go(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    root = folder({"train": 5, "val": 2})
    kept = opened(root)
    monkeypatch.setattr("segtrain.data.folder.MANY", 3)
    data = opened(root)
    data.source("train")
    assert data.folder.readings == []
    assert "files" not in vars(data.folder.tree)
    assert data.folder.reading.pairs == kept.folder.reading.pairs
    assert data.folder.tree.files == kept.folder.tree.files
    assert data.fingerprint() == kept.fingerprint()


def test_masks_that_a_check_has_read_are_not_read_again(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    root = folder({"train": 5, "val": 2})
    plain = opened(root).class_pixels
    data = opened(root)
    survey(data.folder.reading.pairs, max_pixels=data.max_pixels, workers=0, cache=remembered())
    monkeypatch.setattr(FolderSource, "read_mask", lambda *args: pytest.fail("a mask was read"))
    assert torch.equal(data.class_pixels, plain)


class Shown:
    """A `Progress` that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def __call__(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        done: list[int] = []
        yield done.append
        self.said.append(f"{what}: {sum(done)} of {total}")


def test_it_is_shown_how_many_images_are_measured_and_masks_counted(folder: Callable[..., Path]):
    data = listed(folder({"train": 5, "val": 2}))
    data.progress = shown = Shown()
    assert len(data.measured.mean) == 3
    assert data.class_pixels.sum() > 0
    assert shown.said == ["reading headers: 7 of 7", "measuring images: 5 of 5", "counting pixels of classes: 5 of 5"]


@pytest.mark.parametrize("more", [{"group": "auto"}, {"on_bad": "skip"}])
def test_it_is_shown_how_many_files_are_read_to_split_them_or_to_leave_some_out(
    folder: Callable[..., Path], more: dict[str, str]
):
    data = listed(folder({"": 9} if "group" in more else {"train": 5, "val": 4}), **more)
    data.progress = shown = Shown()
    assert data.splits
    assert shown.said == ["reading images and masks: 9 of 9", "reading headers: 9 of 9"]


def test_masks_that_were_not_read_are_counted(folder: Callable[..., Path]):
    data = opened(folder({"train": 5, "val": 2}))
    assert torch.equal(data.class_pixels, DataModule.count_classes(data, data.source("train"), range(5)))


def mixed_pictures(root: Path) -> None:
    """Colours, grey and a palette of grey; no two of the same size."""
    rng = np.random.default_rng(1)
    for i, path in enumerate(sorted(root.glob("images/train/*"))):
        pixels = rng.integers(20 * i, 100 + 20 * i, (12 + i, 16, 3)).astype(np.uint8)
        picture = Image.fromarray(pixels)
        if i == 1:
            picture = picture.convert("L")
        if i == 2:
            picture = picture.convert("L").convert("P")
        picture.save(path)
        mask = root / "masks/train" / path.name
        Image.fromarray(np.resize(np.asarray(Image.open(mask)), (12 + i, 16))).save(mask)


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_images_that_a_check_or_a_training_has_read_are_measured_without_them(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, channels: int | None
):
    root = folder({"train": 5, "val": 2})
    mixed_pictures(root)
    fresh = opened(root, channels=channels)
    pictures = [fresh.source("train").read_picture(index).values() for index in range(5)]
    first = fresh.measured
    together = np.concatenate(pictures, 1)
    assert first.mean == pytest.approx(together.mean(1))
    assert first.std == pytest.approx(together.std(1))
    assert opened(root, channels=channels).measured == first
    remembered().unlink()
    data = opened(root, channels=channels)
    survey(data.folder.reading.pairs, max_pixels=data.max_pixels, workers=0, cache=remembered())
    if channels != 1:  # luma is not to be had of the channels
        monkeypatch.setattr("segtrain.data.folder.examine_image", lambda *args: pytest.fail("an image was read"))
        monkeypatch.setattr(FolderSource, "read_picture", lambda *args: pytest.fail("an image was read"))
    assert data.measured == first


def test_pixels_without_data_are_not_measured(tmp_path: Path):
    root = tmp_path / "floats"
    for i, split in enumerate(("train", "train", "val")):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), 1 + i, np.float32)
        pixels[i:] = np.nan
        tifffile.imwrite(root / f"images/{split}/{i}.tif", pixels)
        Image.fromarray(np.ones((8, 8), np.uint8)).save(root / f"masks/{split}/{i}.png")
    (root / "classes.yaml").write_text("classes: [{name: a, values: [0]}, {name: b, values: [1]}]\n")
    for _ in range(2):  # the second time by what is remembered
        data = opened(root)
        assert (data.measured.mean, data.class_pixels.tolist()) == ([2.0], [0, 8])


def test_a_damaged_image_is_named_before_the_first_step(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    path = next(root.glob("images/train/*"))
    data = opened(root)
    data.source("train")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=re.escape(f"{path}: ")):
        _ = data.measured


# --- a mask for each class --------------------------------------------------------------------------------------------


def by_class(root: Path, *words: str) -> Path:
    """Stripes of two columns, from the left on, for the classes in this order."""
    for i in range(4):
        split = ("train", "val")[i % 2]
        for kind in (root / "images" / split, *(root / "masks" / word / split for word in words)):
            kind.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(root / f"images/{split}/{i}.png")
        for number, word in enumerate(words):
            mask = np.zeros((8, 8), np.uint8)
            mask[:, 2 * number : 2 * number + 2] = 255
            Image.fromarray(mask).save(root / f"masks/{word}/{split}/{i}.png")
    return root


def first_row(root: Path, **changes: Any) -> list[str]:
    """The names of the classes in a row of a mask."""
    data = opened(root, **changes)
    row = data.source("train").read(0)[1][0].tolist()
    return [data.classes.names[index] if index < len(data.classes.names) else "void" for index in row]


STRIPES = ["road", "road", "car", "car", "background", "background", "background", "background"]


def test_the_names_of_folders_are_those_of_the_classes(tmp_path: Path):
    root = by_class(tmp_path, "road", "car")
    assert opened(root).classes.names == ("background", "car", "road")
    assert first_row(root) == STRIPES


@pytest.mark.parametrize("order", [("background", "road", "car"), ("car", "road", "background")])
def test_a_table_in_another_order_has_the_values_of_its_names(tmp_path: Path, order: tuple[str, ...]):
    root = by_class(tmp_path, "road", "car")
    classes = {"classes": [{"name": name, "values": [i]} for i, name in enumerate(order)]}
    if order[0] == "car":
        classes["classes"][0]["values"], classes["classes"][2]["values"] = [2], [0]
    assert first_row(root, classes=classes) == STRIPES


def test_a_table_stays_right_when_a_class_is_added(tmp_path: Path):
    root = by_class(tmp_path, "road", "car")
    names = ("background", "car", "road", "bike")
    (root / "classes.yaml").write_text("classes:\n" + "".join(f"- {{name: {name}}}\n" for name in names))
    assert first_row(root) == STRIPES
    by_class(root, "road", "car", "bike")  # whose value is before those of the others
    assert first_row(root) == [*STRIPES[:4], "bike", "bike", "background", "background"]
    (root / "classes.yaml").write_text("classes:\n" + "".join(f"- {{name: {name}}}\n" for name in names[:3]))
    with pytest.raises(UserError, match=r"no class 'bike', for which there are masks, and other values .* for 'car'"):
        opened(root)


def test_a_class_may_have_another_name_under_its_value(tmp_path: Path):
    root = by_class(tmp_path, "road", "car")
    classes = {"classes": [{"name": "background"}, {"name": "vehicle"}, {"name": "street"}]}
    assert first_row(root, classes=classes)[:4] == ["street", "street", "vehicle", "vehicle"]


def test_void_has_a_mask_of_its_own(tmp_path: Path):
    root = by_class(tmp_path, "road", "void", "car")
    assert first_row(root) == [*STRIPES[:2], "void", "void", "car", "car", "background", "background"]


def test_a_fold_shares_out_train_and_val_and_leaves_the_test(folder: Callable[..., Path]):
    root = folder({"train": 4, "val": 2, "test": 2})
    whole = opened(root)
    folds = [opened(root, folds=2, fold=number) for number in (0, 1)]
    images = {split: {pair.image for pair in source.pairs} for split, source in whole.splits.items()}
    vals = [{pair.image for pair in fold.splits["val"].pairs} for fold in folds]
    assert vals[0] | vals[1] == images["train"] | images["val"]
    assert not vals[0] & vals[1]
    for fold in folds:
        assert {pair.image for pair in fold.splits["test"].pairs} == images["test"]
    assert len({data.fingerprint() for data in (whole, *folds)}) == 3
    assert opened(root, folds=2, fold=1).fingerprint() == folds[1].fingerprint()


def test_images_that_look_alike_are_in_one_part_though_they_were_in_train_and_in_val(folder: Callable[..., Path]):
    root = folder({"train": 5, "val": 4})
    for number in range(3):
        shutil.copy(root / f"images/train/{number}.png", root / f"images/val/{number}.png")
    for number in range(3):
        data = opened(root, folds=3, fold=number, group="auto")
        val = {pair.image.relative_to(root / "images").as_posix() for pair in data.splits["val"].pairs}
        assert len(val) == 3
        for copy in range(3):
            assert len(val & {f"train/{copy}.png", f"val/{copy}.png"}) != 1


def test_where_no_split_is_written_down_all_folds_have_the_test_of_the_data_without_folds(folder: Callable[..., Path]):
    root = folder({"": 40})
    test = [pair.image for pair in opened(root).splits["test"].pairs]
    folds = [opened(root, folds=3, fold=number).splits for number in range(3)]
    assert all([pair.image for pair in splits["test"].pairs] == test for splits in folds)
    assert sum(len(splits["val"]) for splits in folds) == 40 - len(test)
