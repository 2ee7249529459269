import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data import FolderData
from segtrain.data.layouts import find_pairs, split_of


def opened(root: Path, **changes: object) -> FolderData:
    settings = {"classes": None, "crop": [8, 8], "batch_size": 2, "workers": 0}
    return FolderData(root=str(root), **settings | changes)


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


def test_a_folder_without_images_says_what_was_expected(tmp_path: Path):
    (tmp_path / "classes.yaml").write_text("classes: [{name: a}]")
    with pytest.raises(FileNotFoundError, match=r"no images found; expected .*images.train"):
        opened(tmp_path)


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


@pytest.mark.parametrize("name", ["validation", "Testing", "extra"])
def test_a_folder_beside_the_splits_is_named(folder: Callable[..., Path], name: str):
    root = folder({"train": 1, "val": 1, name: 1})
    with pytest.raises(ValueError, match=rf"images.{name}: not in a split"):
        opened(root)


def test_images_beside_the_splits_are_named(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    Image.new("RGB", (4, 4)).save(root / "images/alone.png")
    with pytest.raises(ValueError, match=r"images.alone.png: not in a split"):
        opened(root)


def test_splits_under_other_names_are_not_pooled(folder: Callable[..., Path]):
    with pytest.raises(ValueError, match=r"images.testing: not in a split; .* must be train, val and test"):
        opened(folder({"training": 1, "testing": 1}))


def test_a_missing_mask_is_named(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    (root / "masks/train/1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"images.train.1\.png has no mask in .*masks.train"):
        opened(root)


def test_a_mask_without_image_is_named(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    (root / "images/train/0.png").unlink()
    (root / "images/train/2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"masks.train.0\.png has no image .*and 1 more"):
        opened(root)


def test_two_images_of_one_name_are_refused(folder: Callable[..., Path]):
    root = folder({"train": 1, "val": 1})
    Image.new("RGB", (16, 12)).save(root / "images/train/0.jpg")
    with pytest.raises(ValueError, match="have one name"):
        opened(root)


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
