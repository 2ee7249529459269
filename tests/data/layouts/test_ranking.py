"""Which of the readings of a folder is taken."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.files.united import UnitedMask
from segtrain.data.layouts.choice import open_folder
from segtrain.data.layouts.ranking import (
    alike,
    as_good,
    best_first,
    disorder,
    drawn,
    equals,
    learned,
    muddle,
    rank,
)
from segtrain.data.layouts.reading import Reading
from segtrain.data.survey.facts import MaskFacts

CLASSES = np.arange(64, dtype=np.uint8).reshape(8, 8) // 16


def index(path: Path) -> None:
    Image.fromarray(CLASSES).save(path.with_suffix(".png"))


def palette(path: Path) -> None:
    picture = Image.fromarray(CLASSES)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(path.with_suffix(".png"))


def colours(path: Path) -> None:
    Image.fromarray(np.stack([CLASSES * 60] * 2 + [CLASSES], -1)).save(path.with_suffix(".png"))


def lossy(path: Path) -> None:
    Image.fromarray(CLASSES * 60).save(path.with_suffix(".jpg"))


def objects(path: Path) -> None:
    Image.fromarray(CLASSES.astype(np.uint16) * 256).save(path.with_suffix(".png"))


def one_value(path: Path) -> None:
    Image.fromarray(CLASSES * 0 + 255).save(path.with_suffix(".png"))


Save = Callable[[Path], None]


def folders(root: Path, first: Save, second: Save) -> Path:
    """`images`, and two folders of masks that no name tells apart."""
    for name, save in (("images", colours), ("labels", first), ("masks", second)):
        (root / name).mkdir()
        for i in range(5):
            save(root / name / f"{i}")
    return root


@pytest.mark.parametrize("worse", [colours, lossy, objects, one_value])
@pytest.mark.parametrize("better", [index, palette])
def test_masks_of_one_number_for_each_class_are_taken(tmp_path: Path, better: Save, worse: Save):
    assert open_folder(folders(tmp_path, worse, better)).reading.layout == "flat:masks"
    assert [reading.layout for reading in open_folder(tmp_path).equals] == ["flat:masks"]


@pytest.mark.parametrize("kind", [index, colours])
def test_between_masks_of_one_kind_a_person_has_to_choose(tmp_path: Path, kind: Save):
    found = open_folder(folders(tmp_path, kind, kind), ties=True).readings
    assert {reading.layout for reading in equals(found)} == {"flat:labels", "flat:masks"}


# --- by names ---------------------------------------------------------------------------------------------------------


def pair(name: str, folder: str = "masks", end: str = "") -> Pair:
    return Pair(name, Path("images", f"{name}.jpg"), MaskFile(Path(folder, f"{name}{end}.png")))


def reading(
    layout: str = "flat",
    splits: Mapping[str, Sequence[str]] | None = None,
    *,
    left: int = 0,
    folder: str = "masks",
    end: str = "",
    sure: bool = False,
) -> Reading:
    """With pairs by their names, and `left` images that have no mask."""
    splits = {"train": ["1", "2"], "val": ["3"]} if splits is None else splits
    pairs = {split: [pair(name, folder, end) for name in names] for split, names in splits.items()}
    return Reading(layout, pairs, [Path(f"images/left{i}.jpg") for i in range(left)], [], sure=sure)


ORDER = {
    "splits.csv is before all": reading("splits_csv", {"": ["1"]}, left=9),
    "what is sure and leaves nothing over": reading("voc", {"train": ["1"]}, sure=True),
    "the most pairs": reading("flat", {"": ["1", "2", "3", "4"]}, left=9),
    "the fewest left over": reading(),
    "what is sure but leaves something over is like all others": reading("voc", sure=True, left=1),
    "more left over": reading(left=2),
}


@pytest.mark.parametrize(("first", "second"), [*pairwise(ORDER.values())], ids=list(ORDER)[1:])
def test_readings_have_a_rank(first: Reading, second: Reading):
    assert rank(first) < rank(second)


SMALLER: dict[str, tuple[Reading, Reading]] = {
    "train and val before others": (reading(), reading(splits={"train": ["1", "2"], "test": ["3"]})),
    "splits before none": (reading(splits={"train": ["1"], "test": ["2"]}), reading(splits={"": ["1", "2"]})),
    "equal names before others": (reading(), reading(end="_mask")),
    "class masks before drawn ones": (reading("flat:masks"), reading("flat:masks_color", folder="masks_color")),
    "folders before loose names": (reading("flat"), reading("by_stem")),
    "folders before endings": (reading("flat:a"), reading("by_ending:_a")),
    "pairs before splits": (reading(splits={"": ["1", "2"]}), reading(splits={"train": ["1"], "val": []})),
    "splits before names": (reading(end="_mask"), reading(splits={"": ["1", "2", "3"]})),
    "names before drawings": (reading("flat:masks_color", folder="masks_color"), reading(end="_mask")),
    "drawings before looseness": (reading("by_stem:masks"), reading("flat:masks_color", folder="masks_color")),
}


@pytest.mark.parametrize(("first", "second"), SMALLER.values(), ids=SMALLER)
def test_of_as_many_pairs_smaller_things_decide(first: Reading, second: Reading):
    assert rank(first) < rank(second)


@pytest.mark.parametrize(("layout", "name"), [("flat", "flat"), ("flat:masks", "flat"), ("a:b:c", "a")])
def test_the_kind_of_a_reading_is_its_layout_without_the_variant(layout: str, name: str):
    assert reading(layout).kind == name


def test_image_and_mask_are_alike_if_they_have_one_name():
    assert alike(pair("1"))
    assert not alike(pair("1", end="_mask"))
    assert alike(Pair("1", Path("1.jpg"), UnitedMask(Path("masks/1"), ())))
    assert not alike(Pair("1", Path("1.jpg"), UnitedMask(Path("1/masks"), ())))


DRAWN = {
    ("flat", "masks_color"): False,  # nothing was chosen
    ("flat:masks", "masks"): False,
    ("flat:masks_color", "masks_color"): True,
    ("flat:left+masks_color", "masks_color"): True,
    ("by_stem:v1.2/instances", "v1.2/instances"): True,
    ("by_stem:v1.2/labels", "v1.2/labels"): False,
    ("flat:rgb+masks", "masks"): False,  # the folder of the images
}


@pytest.mark.parametrize(("names", "second"), DRAWN.items())
def test_a_reading_is_drawn_if_the_folder_of_its_masks_is(names: tuple[str, str], second: bool):
    assert drawn(reading(names[0], folder=names[1])) == second


def test_what_is_learned_are_the_images_of_all_splits_but_the_test():
    found = reading(splits={"train": ["1"], "val": ["2"], "test": ["3"], "": ["4"]})
    assert learned(found) == {Path("images/1.jpg"), Path("images/2.jpg"), Path("images/4.jpg")}


BEST = reading("flat:a", {"train": ["1"], "test": ["2"]})
GOOD: dict[str, tuple[Reading, Reading, bool]] = {
    "of equal rank": (reading("flat"), reading("repeated"), True),
    "with more masks for the test": (reading("flat:b", {"train": ["1"]}), BEST, True),
    "of another layout": (reading("home:b", {"train": ["1"]}), BEST, False),
    "without variants": (reading("flat", {"train": ["1"]}), BEST, False),
    "of other images": (reading("flat:b", {"train": ["3"]}), BEST, False),
    "drawn": (reading("flat:b_color", {"train": ["1"]}, folder="b_color"), BEST, False),
    "of other names": (reading("flat:b", {"train": ["1"]}, end="_mask"), BEST, False),
}


@pytest.mark.parametrize(("other", "best", "good"), GOOD.values(), ids=GOOD)
def test_a_reading_is_as_good_as_the_best(other: Reading, best: Reading, good: bool):
    assert as_good(other, best) == good


# --- by what masks hold -----------------------------------------------------------------------------------------------


def stored(root: Path, save: Save, name: str, number: int = 2) -> Reading:
    (root / name).mkdir()
    pairs = []
    for i in range(number):
        save(root / name / f"{i}")
        path = next((root / name).glob(f"{i}.*"))
        pairs.append(Pair(str(i), path, MaskFile(path)))
    return Reading(f"flat:{name}", {"": pairs}, [], [])


@pytest.mark.parametrize(
    ("save", "far"), [(index, 0), (palette, 0), (colours, 1), (lossy, 2), (objects, 3), (one_value, 3)]
)
def test_masks_are_far_from_one_number_for_each_class(tmp_path: Path, save: Save, far: int):
    assert muddle(stored(tmp_path, save, "masks")) == far


def test_a_few_masks_are_looked_at_from_first_to_last(tmp_path: Path):
    found = stored(tmp_path, index, "masks", 9)
    for i in (1, 3, 5, 7, 8):
        (tmp_path / f"masks/{i}.png").unlink()
    assert muddle(found) == 0
    (tmp_path / "masks/6.png").write_bytes(b"damaged")
    assert muddle(found) == 3


def test_readings_as_good_as_the_first_are_ordered_by_what_masks_hold(tmp_path: Path):
    worse, better = stored(tmp_path, colours, "a"), stored(tmp_path, index, "b")
    less = better._replace(layout="flat", images=[tmp_path / "left.jpg"])
    assert best_first([less, worse, better]) == [better, worse, less]
    assert equals([better, worse, less]) == [better]


def test_readings_between_which_nothing_decides_are_equal(tmp_path: Path):
    one, other, worse = (stored(tmp_path, save, name) for save, name in ((index, "a"), (index, "b"), (colours, "c")))
    assert equals([one, other, worse]) == [one, other]


def test_masks_of_a_single_best_reading_are_not_looked_at():
    best, other = reading("flat"), reading("flat", left=1)  # their files are not there
    assert best_first([other, best]) == [best, other]
    assert equals([best, other]) == [best]


FACTS: dict[str, tuple[dict[str, Any], int]] = {
    "values": ({"channels": 1, "counts": {0: 5, 1: 3}}, 0),
    "255": ({"channels": 1, "counts": {0: 5, 255: 3}}, 0),
    "a value beyond 8 bits": ({"channels": 1, "counts": {0: 5, 256: 3}}, 3),
    "colours": ({"channels": 3, "counts": {0: 5, 0xFFFFFF: 3}}, 1),
    "as many colours as classes": ({"channels": 3, "counts": dict.fromkeys(range(256), 1)}, 1),
    "more colours than classes": ({"channels": 3, "counts": dict.fromkeys(range(257), 1)}, 3),
    "more than are counted": ({"channels": 3, "counts": {0: 7}}, 3),
    "with loss": ({"channels": 3, "counts": {0: 5, 9: 3}, "lossy": True}, 2),
    "with a problem": ({"channels": 1, "counts": {}, "problem": "damaged"}, 3),
}


@pytest.mark.parametrize(("facts", "far"), FACTS.values(), ids=FACTS)
def test_the_disorder_of_a_mask(facts: dict[str, Any], far: int):
    pixels = 8 if facts["counts"].keys() <= {0, 1, 9, 255, 256, 0xFFFFFF} else sum(facts["counts"].values())
    assert disorder(MaskFacts(height=1, width=pixels, **facts)) == far
