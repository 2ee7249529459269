"""What is wrong is found and named, and nothing else is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from segtrain.data.classes import ClassTable
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.findings import Finding, find
from segtrain.data.layouts.reading import Reading
from segtrain.data.survey.facts import MaskFacts
from segtrain.data.survey.survey import survey

TABLE = ClassTable.from_spec({"ignore": 255, "classes": [{"name": "ground"}, {"name": "house"}]})


def scene(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth coloured picture that no other seed comes near."""
    grid = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), np.uint8)
    return np.array(Image.fromarray(grid).resize(size[::-1], Image.Resampling.BICUBIC))


class Folder:
    """A data set of pictures in splits, each with a mask of two classes."""

    def __init__(self, root: Path) -> None:
        self.root, self.splits = root, {}
        self.facts: dict[str, MaskFacts] = {}  # of masks, in place of those that are read
        for split, seeds in {"train": range(6), "val": range(6, 9), "test": range(9, 12)}.items():
            self.splits[split] = [self.pair(f"{split}_{chr(97 + seed)}", scene(seed)) for seed in seeds]

    def pair(self, name: str, image: np.ndarray, **options: Any) -> Pair:
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[:20, :30], mask[-2:] = 1, 255
        pair = Pair(name, self.root / f"{name}.png", MaskFile(self.root / f"{name}_mask.png"))
        Image.fromarray(image).save(pair.image, **options)
        Image.fromarray(mask).save(pair.mask.path)
        return pair

    def find(
        self, table: ClassTable | None = TABLE, images: Sequence[Path] = (), masks: Sequence[Path] = ()
    ) -> list[Finding]:
        pairs = [pair for split in self.splits.values() for pair in split]
        facts = survey(pairs, max_pixels=10_000_000, workers=0, cache=None)
        facts.masks.update(self.facts)
        return find(Reading("home", self.splits, list(images), list(masks)), facts, table)

    def kinds(self, **options: Any) -> list[tuple[str, str, str]]:
        return [(each.severity, each.kind, Path(each.file).name) for each in self.find(**options)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def save(pixels: np.ndarray, path: Path, **options: Any) -> None:
    Image.fromarray(pixels).save(path, **options)


def turned(orientation: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def mask_of(values: Mapping[tuple[int, int], int] | int) -> np.ndarray:
    mask = np.zeros((48, 64), np.uint8) if isinstance(values, Mapping) else np.full((48, 64), values, np.uint8)
    if isinstance(values, Mapping):
        mask[:20, :30] = 1
        for place, value in values.items():
            mask[place] = value
    return mask


def test_nothing_is_wrong_with_what_is_right(folder: Folder):
    assert folder.find() == []
    assert folder.find(table=None) == []


def test_files_without_a_partner_are_errors(folder: Folder):
    found = folder.kinds(images=[Path("a.png")], masks=[Path("b.png")])
    assert found == [("error", "no mask", "a.png"), ("error", "no image", "b.png")]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kept", [0, 20, -80])
def test_damaged_files_are_errors(folder: Folder, number: int, kept: int):
    pair = folder.splits["val"][1]
    path = (pair.image, pair.mask.path)[number]
    path.write_bytes(path.read_bytes()[:kept])
    assert folder.kinds() == [("error", "unreadable", path.name)]


def test_different_sizes_are_an_error(folder: Folder):
    save(mask_of({})[:, :-1], folder.splits["train"][2].mask.path)
    assert folder.kinds() == [("error", "size", "train_c_mask.png")]
    assert "64 x 48 pixels, its mask 63 x 48" in folder.find()[0].detail


def test_an_image_that_its_exif_data_turn_away_from_the_mask_is_an_error(folder: Folder):
    save(scene(2), folder.splits["train"][2].image, **turned(6))
    assert folder.kinds() == [("error", "rotation", "train_c.png")]


def test_an_image_that_its_exif_data_turn_to_the_mask_is_right(folder: Folder):
    save(scene(2).transpose(1, 0, 2), folder.splits["train"][2].image, **turned(6))
    assert folder.kinds() == []


def test_an_image_upside_down_may_be_wrong(folder: Folder):
    save(scene(2), folder.splits["train"][2].image, **turned(3))
    assert folder.kinds() == [("warning", "rotation", "train_c.png")]


def test_values_of_no_class_are_an_error_with_their_pixels(folder: Folder):
    save(mask_of({(0, 0): 9, (0, 1): 9, (5, 5): 7}), folder.splits["val"][0].mask.path)
    assert folder.kinds() == [("error", "values", "val_g_mask.png")]
    assert folder.find()[0].detail == "3 pixels belong to no class: 9 (2), 7 (1)"
    assert folder.kinds(table=None) == []


def test_colours_of_no_class_are_an_error_with_their_pixels(folder: Folder):
    spec = {
        "masks": "colors",
        "classes": [{"name": "a", "color": [0, 0, 0]}, {"name": "b", "color": [1, 1, 1]}],
        "ignore": [255, 255, 255],
    }
    table = ClassTable.from_spec(spec)
    assert folder.kinds(table=table) == []
    colours = mask_of({})[..., None].repeat(3, 2)
    colours[3, 4] = (1, 2, 3)
    save(colours, folder.splits["val"][0].mask.path)
    assert folder.find(table=table)[0].detail == "1 pixels belong to no class: #010203 (1)"


def test_a_lossy_mask_is_an_error_unless_the_table_covers_it(folder: Folder):
    pair = folder.splits["val"][0]
    path = pair.mask.path.with_suffix(".jpg")
    folder.splits["val"][0] = pair._replace(mask=MaskFile(path))
    save(mask_of({}) * 255, path, quality=80)
    assert folder.kinds() == [("error", "lossy", path.name)]
    assert folder.kinds(table=None) == [("error", "lossy", path.name)]
    ranges = [{"name": "a", "values": ["0-127"]}, {"name": "b", "values": ["128-255"]}]
    assert ("error", "lossy", path.name) not in folder.kinds(table=ClassTable.from_spec({"classes": ranges}))


@pytest.mark.parametrize("other", ["ignore", "nearest"])
def test_colours_that_nobody_counts_are_met_as_the_table_says(folder: Folder, other: str):
    """A mask has more colours than are counted, as soft edges make them."""
    soft = scene(77, (100, 120))
    pair = folder.pair("soft", soft)
    folder.splits["train"].append(pair)
    save(soft, pair.mask.path)
    spec = {"masks": "colors", "classes": [{"name": "a", "color": [0, 0, 0]}, {"name": "b", "color": [9, 9, 9]}]}
    assert ("error", "values", "soft_mask.png") in folder.kinds(table=ClassTable.from_spec(spec))
    assert not [f for f in folder.find(table=ClassTable.from_spec(spec | {"other": other})) if f.severity == "error"]


def test_the_value_of_a_mask_of_one_grey_is_named_as_it_is_read(folder: Folder):
    save(mask_of(1)[..., None].repeat(3, 2), folder.splits["train"][0].mask.path)
    table = ClassTable.from_spec({"ignore": 255, "masks": "values", "classes": [{"name": "a"}, {"name": "b"}]})
    assert [found.detail for found in folder.find(table=table)] == ["all pixels are 1"]


@pytest.mark.parametrize(("value", "kind"), [(0, "one value"), (1, "one value"), (255, "all void")])
def test_a_mask_of_one_value_and_one_of_void_are_warnings(folder: Folder, value: int, kind: str):
    save(mask_of(value), folder.splits["train"][0].mask.path)
    assert folder.kinds() == [("warning", kind, "train_a_mask.png")]


@pytest.mark.parametrize(
    ("pixels", "kind", "detail"),
    [
        (scene(2)[..., 0], "channels", "1 channel, most images have 3"),
        (np.dstack([scene(2), np.full((48, 64), 255, np.uint8)]), "channels", "4 channels, most images have 3"),
    ],
)
def test_an_image_of_other_channels_is_a_warning(folder: Folder, pixels: np.ndarray, kind: str, detail: str):
    save(pixels, folder.splits["train"][2].image)
    assert folder.kinds() == [("warning", kind, "train_c.png")]
    assert folder.find()[0].detail == detail


def test_an_image_of_another_depth_is_a_warning(folder: Folder):
    for pairs in folder.splits.values():
        for pair in pairs:
            with Image.open(pair.image) as image:
                image.convert("L").save(pair.image)
    save(scene(2)[..., 0].astype(np.uint16) * 257, folder.splits["train"][2].image)
    assert folder.kinds() == [("warning", "bit depth", "train_c.png")]


def test_a_mask_stored_otherwise_is_a_warning(folder: Folder):
    save(mask_of({}).astype(np.uint16), folder.splits["train"][2].mask.path)
    assert folder.kinds() == [("warning", "bit depth", "train_c_mask.png")]


def test_classes_that_overlap_are_one_warning(folder: Folder):
    for pair, pixels in zip(folder.splits["train"], (0, 70, 12), strict=False):
        facts = MaskFacts(48, 64, 1, 8, counts={0: 3072}, overlap=pixels)
        folder.facts[pair.mask.name] = facts
    (found,) = [each for each in folder.find(table=None) if each.kind == "classes overlap"]
    assert found.file == folder.splits["train"][1].mask.name
    assert found.detail.startswith("70 pixels belong to several classes, and likewise in 1 more image: the smaller one")


def test_pictures_among_the_masks_are_warnings(folder: Folder):
    reading = Reading("home", folder.splits, [], [], strays=[folder.root / "legend.png"])
    facts = survey(reading.pairs, max_pixels=10_000_000, workers=0, cache=None)
    (found,) = [each for each in find(reading, facts, TABLE) if each.kind == "stray"]
    assert (found.severity, found.file) == ("warning", str(folder.root / "legend.png"))


def test_a_class_that_a_split_lacks_is_a_warning(folder: Folder):
    for pair in folder.splits["val"]:
        save(mask_of(0), pair.mask.path)
    found = [finding for finding in folder.find() if finding.kind == "absent class"]
    assert found == [Finding("warning", "absent class", "val", "no mask has a pixel of 'house'")]


def test_the_same_file_in_two_splits_is_a_warning(folder: Folder):
    pair = folder.splits["test"][0]
    pair.image.write_bytes(folder.splits["train"][4].image.read_bytes())
    assert folder.kinds() == [("warning", "duplicate", pair.image.name)]
    assert f"{folder.splits['train'][4].image} in train" in folder.find()[0].detail


def brighter(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(0.8)


def larger(picture: Image.Image) -> Image.Image:
    return picture.resize((80, 60))


def same(picture: Image.Image) -> Image.Image:
    return picture


@pytest.mark.parametrize("change", [brighter, larger, same])
def test_nearly_the_same_image_in_two_splits_is_a_warning(folder: Folder, change: Any):
    pair = folder.splits["test"][0]
    path = pair.image.with_suffix(".jpg")
    change(Image.fromarray(scene(4))).save(path, quality=70)
    folder.splits["test"][0] = pair._replace(image=path)
    assert ("warning", "near-duplicate", path.name) in folder.kinds()


def test_the_same_image_twice_in_one_split_is_a_warning(folder: Folder):
    first, second = folder.splits["train"][1].image, folder.splits["train"][4].image
    second.write_bytes(first.read_bytes())
    assert folder.find() == [Finding("warning", "duplicate", str(second), f"the same image as {first}")]


def test_an_image_of_two_pairs_is_no_duplicate_of_itself(folder: Folder):
    folder.splits["train"].append(folder.splits["train"][0]._replace(name="again"))
    assert folder.kinds() == []


def test_flat_images_are_no_near_duplicates(folder: Folder):
    for i, split in enumerate(("train", "val")):
        save(np.full((48, 64, 3), 50 + i, np.uint8), folder.splits[split][0].image)
    assert folder.kinds() == []


def test_neighbouring_frames_in_two_splits_are_a_warning(folder: Folder):
    wide = scene(99, (48, 80))
    folder.splits["train"].append(folder.pair("drive_0041", wide[:, :64]))
    folder.splits["train"].append(folder.pair("drive_0040", scene(100)))
    folder.splits["test"].append(folder.pair("drive_0042", wide[:, 4:68]))
    assert folder.kinds() == [("warning", "sequence", "drive_0042.png")]


def test_numbers_that_are_no_times_are_nothing(folder: Folder):
    for number, split in enumerate(("train", "val", "train", "test")):
        folder.splits[split].append(folder.pair(f"{number:04d}", scene(50 + number)))
    assert folder.kinds() == []


def test_numbered_photographs_of_one_kind_are_no_frames(folder: Folder):
    """As of eyes: each is as much like any other as like the one before it."""
    for number in range(12):
        eye = (3 * scene(98).astype(int) + scene(50 + number)) // 4
        folder.splits["val" if number % 3 else "train"].append(folder.pair(f"{number}_eye", eye.astype(np.uint8)))
    assert folder.kinds() == []


def test_frames_of_one_film_are_found_among_each_other(folder: Folder):
    film = scene(99, (48, 64 + 5 * 12))
    for number in range(12):
        frame = film[:, 5 * number : 5 * number + 64]
        folder.splits["val" if number > 8 else "train"].append(folder.pair(f"{number}_eye", frame))
    assert ("warning", "sequence", "9_eye.png") in folder.kinds()


def test_copies_and_equal_numbers_of_two_folders_are_no_frames(folder: Folder):
    """Frame 0 of one drive comes before frame 1 of that drive, not before frame 0 of another."""
    for drive, split in enumerate(("train", "val")):
        (folder.root / split).mkdir()
        for number in range(3):
            frame = folder.pair(f"{split}/frame{number}", scene(50 + (10 * drive + number) * (number > 0)))
            folder.splits[split].append(frame)
    assert folder.kinds() == [("warning", "duplicate", "frame0.png")]


def test_an_image_of_two_pairs_is_named_once(folder: Folder):
    pair = folder.splits["train"][0]
    pair.image.write_bytes(b"")
    folder.splits["train"].append(pair._replace(name="again"))
    assert folder.kinds() == [("error", "unreadable", pair.image.name)]


def test_errors_come_first(folder: Folder):
    save(mask_of(0), folder.splits["train"][0].mask.path)
    folder.splits["val"][0].image.write_bytes(b"")
    assert [finding.severity for finding in folder.find()] == ["error", "warning"]
