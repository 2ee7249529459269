"""A mask for each class of an image: x_car.png + x_road.png. Words are classes, numbers are objects."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.by_class import ClassMask
from segtrain.data.files.united import UnitedMask
from segtrain.data.layouts.choice import OpenFolder, open_folder
from segtrain.data.layouts.class_masks import key_of
from segtrain.errors import UserError

WORDS = ("car", "road", "tree")
IMAGES = 6
Draw = Callable[[int, int], np.ndarray]  # number of the image, number of the class -> mask


def apart(image: int, number: int) -> np.ndarray:
    """Classes beside each other."""
    mask = np.zeros((8, 12), np.uint8)
    mask[1 : 3 + image % 3, 4 * number : 4 * number + 3] = 255
    return mask


def alike(image: int, number: int) -> np.ndarray:
    """One thing that several people drew."""
    mask = np.zeros((16, 24), np.uint8)
    mask[2:12, 3 + image + number % 2 : 15 + image] = 255
    return mask


def inside(image: int, number: int) -> np.ndarray:
    """A cup in a disc."""
    mask = np.zeros((16, 24), np.uint8)
    mask[2 + 2 * number : 14 - 2 * number, 3 + 2 * number : 15 - 2 * number + image] = 255
    return mask


def several_values(image: int, number: int) -> np.ndarray:
    return np.arange(96, dtype=np.uint8).reshape(8, 12) % 4


def grow(
    root: Path, image: str, mask: str, words: tuple[str, ...] = WORDS, draw: Draw = apart, lacking: int = 4
) -> None:
    """{x} is the name of an image, {w} a word. Of every `lacking` masks of a class one is not there; all are if 0."""
    for i in range(IMAGES):
        name = f"p{i:02d}"
        shape = draw(i, 0).shape
        save(root / image.format(x=name), np.random.default_rng(i).integers(0, 256, (*shape, 3), np.uint8))
        for k, word in enumerate(words):
            if not lacking or (i + k) % lacking:
                save(root / mask.format(x=name, w=word), draw(i, k))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def names(folder: OpenFolder) -> list[str]:
    assert folder.reading.classes is not None
    return [entry["name"] for entry in folder.reading.classes["classes"]]


PLACES: dict[str, tuple[str, str]] = {
    "one folder": ("{x}.jpg", "{x}_{w}.png"),
    "one folder of one suffix": ("{x}.png", "{x}_{w}.png"),
    "two folders": ("images/{x}.jpg", "masks/{x}_{w}.png"),
    "a word in front": ("images/{x}.jpg", "masks/{w}_{x}.png"),
    "in front, in one folder": ("{x}.jpg", "{w}-{x}.png"),
    "a folder for each class": ("images/{x}.jpg", "masks/{w}/{x}.png"),
    "beside the images": ("images/{x}.jpg", "{w}/{x}.png"),
    "the folder and the name say it": ("images/{x}.jpg", "masks/{w}/{x}_{w}.png"),
    "folders called masks_car": ("images/{x}.jpg", "masks_{w}/{x}.png"),
    "a folder for each image": ("images/{x}.jpg", "masks/{x}/{w}.png"),
    "with the image in it": ("{x}/image.jpg", "{x}/{w}.png"),
    "with an image of its name": ("{x}/{x}.jpg", "{x}/{w}.png"),
    "in folders of their own": ("{x}/images/{x}.png", "{x}/masks/{w}.png"),
    "an ending of the images": ("{x}_rgb.jpg", "{x}_{w}.png"),
    "an ending that no list has": ("images/{x}_cam.jpg", "masks/{x}_{w}.png"),
    "the word mask": ("{x}.jpg", "{x}_{w}_mask.png"),
    "the word mask before it": ("images/{x}.jpg", "masks/{x}_mask_{w}.png"),
    "folders of any name": ("CelebA/{x}.jpg", "CelebA-anno/{x}_{w}.png"),
    "folders of any names": ("CXR/{x}.jpg", "ManualMask/{w}/{x}.png"),
    "both names in both": ("images/{x}.jpg", "gt/{x}/{x}_{w}.png"),
    "objects in the folder of a class": ("images/{x}.jpg", "masks/{w}/{x}_0.png"),
    "spaces": ("My Images/{x} a.jpg", "My Masks/{x} a {w}.png"),
    "other case": ("images/{x}.JPG", "Masks/{x}_{w}.PNG"),
    "BMP": ("images/{x}.jpg", "masks/{x}_{w}.bmp"),
}


@pytest.mark.parametrize(("image", "mask"), PLACES.values(), ids=PLACES)
def test_masks_for_each_class_are_one_mask(tmp_path: Path, image: str, mask: str):
    grow(tmp_path, image, mask)
    folder = open_folder(tmp_path)
    assert (folder.reading.layout, names(folder)) == ("class_masks", ["background", *WORDS])
    assert (len(folder.reading.pairs), folder.reading.images, folder.reading.masks) == (IMAGES, [], [])
    assert folder.not_used() == []
    for number, pair in enumerate(folder.reading.pairs):
        expected = np.zeros((8, 12), int)
        for k in range(3):
            if (number + k) % 4:
                expected[apart(number, k) > 0] = k + 1
        assert pair.mask.read(10_000, None).tolist() == expected.tolist()


SPLITS: dict[str, tuple[str, str]] = {
    "below": ("images/{s}/{{x}}.jpg", "masks/{s}/{{x}}_{{w}}.png"),
    "on top": ("{s}/images/{{x}}.jpg", "{s}/masks/{{w}}/{{x}}.png"),
    "below the class": ("images/{s}/{{x}}.jpg", "masks/{{w}}/{s}/{{x}}.png"),
    "in one folder": ("{s}/{{x}}.jpg", "{s}/{{x}}_{{w}}.png"),
    "of the images alone": ("images/{s}/{s}{{x}}.jpg", "masks/{{w}}/{s}{{x}}.png"),
}


def test_zeros_in_front_of_the_number_of_an_image_do_not_matter(tmp_path: Path):
    """CelebAMask-HQ."""
    for i in range(IMAGES):
        save(tmp_path / f"CelebA-HQ-img/{i}.jpg", np.zeros((8, 12, 3), np.uint8))
        for k, word in enumerate(WORDS):
            save(tmp_path / f"CelebAMask-HQ-mask-anno/{i % 2}/{i:05d}_{word}.png", apart(i, k))
    reading = open_folder(tmp_path).reading
    assert (reading.layout, len(reading.pairs)) == ("class_masks", IMAGES)


@pytest.mark.parametrize(("image", "mask"), SPLITS.values(), ids=SPLITS)
def test_splits_are_those_of_the_folders(tmp_path: Path, image: str, mask: str):
    for split in ("train", "val"):
        grow(tmp_path, image.format(s=split), mask.format(s=split))
    reading = open_folder(tmp_path).reading
    assert reading.layout == "class_masks"
    assert {split: len(pairs) for split, pairs in reading.splits.items()} == {"train": IMAGES, "val": IMAGES}


def test_a_test_split_without_masks_is_left_out(tmp_path: Path):
    grow(tmp_path, "train/images/{x}.jpg", "train/masks/{w}/{x}.png")
    save(tmp_path / "test/images/t.jpg", np.zeros((8, 12, 3), np.uint8))
    reading = open_folder(tmp_path).reading
    assert ([path.name for path in reading.unlabelled], reading.images) == (["t.jpg"], [])


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (("traffic_light", "Road", "tall-building"), ["Road", "tall_building", "traffic_light"]),
        (("human", "boundary", "roi"), ["boundary", "human", "roi"]),  # words that elsewhere say mask
        (("car_1", "road_1", "road_2"), ["car", "road"]),  # objects of classes
        (("class_1", "class_2", "class_3"), ["class_1", "class_2", "class_3"]),
        (("class1", "class2"), ["class1", "class2"]),
        (("lane_left", "lane_right", "lane_3"), ["lane_3", "lane_left", "lane_right"]),
        (("cup", "disc", "vis"), ["cup", "disc"]),  # a picture for people
        (("car", "background"), ["car"]),
        (("car", "road", "void"), ["car", "road"]),
    ],
)
def test_words_are_names(tmp_path: Path, words: tuple[str, ...], classes: list[str]):
    grow(tmp_path, "images/{x}.jpg", "masks/{x}_{w}.png", words, lacking=0)
    if "road_2" in words:
        (tmp_path / "masks/p01_road_2.png").unlink()
    assert names(open_folder(tmp_path)) == ["background", *classes]


NO_CLASSES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "numbers": ("{x}/images/{x}.png", "{x}/masks/{w}.png", ("0", "1", "2")),
    "numbers with a word": ("{x}/images/{x}.png", "{x}/masks/cell_{w}.png", ("0", "1", "2")),
    "numbers behind the name": ("{x}/images/{x}.png", "{x}/masks/{x}_nucleus{w}.png", ("_3", "_14", "_7")),
    "names of objects": ("{x}/images/{x}.png", "{x}/masks/{x}{w}.png", ("a1f", "77b", "c0d")),
}


@pytest.mark.parametrize(("image", "mask", "words"), NO_CLASSES.values(), ids=NO_CLASSES)
def test_objects_stay_united(tmp_path: Path, image: str, mask: str, words: tuple[str, ...]):
    grow(tmp_path, image, mask, words)
    reading = open_folder(tmp_path).reading
    assert reading.layout == "objects"
    assert all(isinstance(pair.mask, UnitedMask) for pair in reading.pairs)


def test_two_people_who_drew_one_thing_are_asked_about(tmp_path: Path):
    grow(tmp_path, "{x}.jpg", "{x}_{w}.png", ("1stHO", "2ndHO"), alike, lacking=0)
    with pytest.raises(UserError, match=r"by_ending:_1stHO .* by_ending:_2ndHO .* class_masks \(6 pairs\): choose one"):
        open_folder(tmp_path)
    assert open_folder(tmp_path, ties=True).reading.layout == "by_ending:_1stHO"
    assert open_folder(tmp_path, "class_masks").reading.layout == "class_masks"
    assert open_folder(tmp_path, "by_ending:_2ndHO").reading.layout == "by_ending:_2ndHO"


def test_a_class_inside_another_is_a_class(tmp_path: Path):
    grow(tmp_path, "{x}.jpg", "{x}_{w}.png", ("disc", "cup"), inside, lacking=0)
    folder = open_folder(tmp_path)
    assert names(folder) == ["background", "cup", "disc"]
    values = folder.reading.pairs[0].mask.read(10_000, None)
    assert np.unique(values, return_counts=True)[1].tolist() == [384 - 144, 64, 144 - 64]


def test_masks_of_several_values_are_those_of_all_classes(tmp_path: Path):
    grow(tmp_path, "images/{x}.jpg", "masks/{x}_{w}.png", ("coarse", "fine"), several_values, lacking=0)
    layouts = [reading.layout for reading in open_folder(tmp_path).readings]
    assert layouts == ["flat", "by_ending:_fine"]
    assert open_folder(tmp_path, "class_masks").reading.layout == "class_masks"  # what is typed decides


def test_a_mask_of_its_own_name_beside_those_of_classes_is_asked_about(tmp_path: Path):
    grow(tmp_path, "images/{x}.jpg", "masks/{x}_{w}.png", lacking=0)
    for i in range(IMAGES):
        save(tmp_path / f"masks/p{i:02d}.png", np.maximum.reduce([apart(i, k) for k in range(3)]))
    with pytest.raises(UserError, match=r"flat \(6 pairs\), class_masks \(6 pairs\)"):
        open_folder(tmp_path)
    for i in range(IMAGES):  # which holds the classes itself
        save(tmp_path / f"masks/p{i:02d}.png", several_values(i, 0))
    assert open_folder(tmp_path).reading.layout == "flat"


def test_each_image_in_one_class_alone_is_no_mask_for_each_class(tmp_path: Path):
    """Cats in one folder, dogs in another."""
    for i in range(IMAGES):
        save(tmp_path / f"images/{i}.jpg", np.zeros((8, 12, 3), np.uint8))
        save(tmp_path / f"masks/{('cat', 'dog')[i % 2]}/{i}.png", apart(i, 0))
    assert open_folder(tmp_path).reading.layout == "by_stem"


@pytest.mark.parametrize("place", ["two folders", "one folder", "a folder for each class", "a folder for each image"])
def test_what_has_no_partner_is_named(tmp_path: Path, place: str):
    image, mask = PLACES[place]
    grow(tmp_path, image, mask)
    for word in WORDS:
        (tmp_path / mask.format(x="p01", w=word)).unlink(missing_ok=True)
    (tmp_path / image.format(x="p02")).unlink()
    reading = open_folder(tmp_path).reading
    assert (reading.layout, len(reading.pairs)) == ("class_masks", IMAGES - 2)
    assert [path.relative_to(tmp_path).as_posix() for path in reading.images] == [image.format(x="p01")]
    alone = [mask.format(x="p02", w=word) for k, word in enumerate(WORDS) if (2 + k) % 4]
    assert [path.relative_to(tmp_path).as_posix() for path in reading.masks] == sorted(alone)


def test_a_list_of_splits_names_masks_by_a_pattern(tmp_path: Path):
    grow(tmp_path, "images/{x}.jpg", "masks/{w}/{x}.png")
    rows = [f"images/p{i:02d}.jpg,masks/*/p{i:02d}.png,{'train' if i else 'val'}\n" for i in range(IMAGES)]
    (tmp_path / "splits.csv").write_text("image,mask,split\n" + "".join(rows))
    folder = open_folder(tmp_path)
    assert (folder.reading.layout, names(folder)) == ("splits_csv", ["background", *WORDS])
    assert {split: len(pairs) for split, pairs in folder.reading.splits.items()} == {"train": IMAGES - 1, "val": 1}
    assert all(isinstance(pair.mask, ClassMask) for pair in folder.reading.pairs)
    one = "image,mask,split\nimages/p01.jpg,masks/car/p01.png,train\n"  # a single mask stays one
    (tmp_path / "splits.csv").write_text(one)
    (pair,) = open_folder(tmp_path).reading.pairs
    assert pair.mask.path == tmp_path / "masks/car/p01.png"


def test_a_key_has_no_case_and_one_way_to_write_an_accent():
    assert key_of(["A", "caf\u00e9"]) == key_of(["a", "CAFE\u0301"]) == ("a", "caf\u00e9")
    assert key_of(["x", "x", ""]) == ("x",)
