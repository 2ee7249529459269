import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segtrain import disk, inspection
from segtrain.data.classes import ClassTable
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.findings import Finding
from segtrain.inspection.text import frequent
from segtrain.inspection.text import percent as percent_text
from tests.commands.conftest import TINY
from tests.commands.test_evaluate import write_folder

Run = Callable[..., int]
Says = pytest.CaptureFixture[str]
NETWORK = [word for word in TINY if not word.startswith("data.")]
SMALL = [*NETWORK, "data.crop=[32,32]", "data.batch_size=2", "train.steps=2"]
SIZE = 40, 48
COLOURS = {"water": (0, 80, 200), "grass": (60, 160, 40), "roof": (200, 60, 60)}


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


def photo(path: str, number: int) -> Path:
    """Smooth noise, another one for each number."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return save(path, np.asarray(Image.fromarray(noise).resize((SIZE[1], SIZE[0]), Image.Resampling.BICUBIC)))


def blocks(number: int, classes: int = 3) -> np.ndarray:
    """(H, W) class indices in large rectangles; all classes occur."""
    rng = np.random.default_rng([number, 1])
    mask = np.zeros(SIZE, np.uint8)
    for index in [*range(classes), *rng.integers(0, classes, 3)]:
        top, left = rng.integers(0, SIZE[0] - 10), rng.integers(0, SIZE[1] - 12)
        mask[top : top + 10, left : left + 12] = index
    mask[:4], mask[4:8], mask[8:12] = 0, 1, classes - 1
    return mask


def coloured(mask: np.ndarray) -> np.ndarray:
    return np.array(list(COLOURS.values()), np.uint8)[mask]


def save(path: str, pixels: np.ndarray | Image.Image) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path)
    return Path(path)


def lines(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def command(text: str) -> list[str]:
    """The words after `next: python -m segtrain`."""
    (found,) = re.findall(r"^next: python -m segtrain (.*?)(?:  #.*)?$", text, re.MULTILINE)
    return found.split()


# --- from a folder to a training --------------------------------------------------------------------------------------


def tiles() -> None:
    """Nested folders with spaces, colours, no splits, a class file one level down."""
    for number in range(24):
        place = f"data/My map/Tile {number // 4}"
        photo(f"{place}/images/part_{number % 4}.jpg", number)
        save(f"{place}/masks/part_{number % 4}.png", coloured(blocks(number)))
    content = [{"title": name, "color": "#{:02X}{:02X}{:02X}".format(*color)} for name, color in COLOURS.items()]
    Path("data/My map/classes.json").write_text(json.dumps({"classes": content}))


def black_and_white() -> None:
    """images/SPLIT with masks of 0 and 255."""
    for number in range(16):
        split = "train" if number < 12 else "val"
        photo(f"data/images/{split}/{number:04x}.png", number)
        save(f"data/masks/{split}/{number:04x}.png", 255 * blocks(number, 2))


def one_bit_beside() -> None:
    """x.jpg with x_mask.png of one bit."""
    for number in range(24):
        photo(f"data/n{number * 37}.jpg", number)
        save(f"data/n{number * 37}_mask.png", Image.fromarray(255 * blocks(number, 2)).convert("1"))


def palettes() -> None:
    """training/input with training/labels in a palette of 4 bits."""
    for number in range(16):
        split = "training" if number < 12 else "validation"
        photo(f"data/{split}/input/{number}.jpg", number)
        mask = Image.fromarray(blocks(number))
        mask.putpalette([c for color in COLOURS.values() for c in color])
        save(f"data/{split}/labels/{number}.png", mask)


def table_of_deep_masks() -> None:
    """A table of paths, masks of 16 bits, values far apart."""
    rows = ["image,mask,split"]
    for number in range(16):
        photo(f"data/a/{number}.jpg", number)
        save(f"data/b/t{number}.png", Image.fromarray(1000 * blocks(number).astype(np.uint16)))
        rows.append(f"a/{number}.jpg,b/t{number}.png,{'train' if number < 12 else 'val'}")
    Path("data/files.csv").write_text("\n".join(rows))


def polygons() -> None:
    """images/SPLIT with a JSON file of polygons for each."""
    for split, count in (("train", 12), ("val", 4)):
        images, objects = [], []
        for number in range(count):
            photo(f"data/images/{split}/{number}.jpg", 100 * count + number)
            images.append({"id": number, "file_name": f"{number}.jpg", "height": SIZE[0], "width": SIZE[1]})
            for category, left in ((1, 2), (2, 24)):
                corners = [left, 5, left + 14, 5, left + 14, 30, left, 30]
                box = {"bbox": [left, 5, 14, 25], "area": 350, "iscrowd": 0}
                entry = {"id": len(objects), "image_id": number, "category_id": category, "segmentation": [corners]}
                objects.append(entry | box)
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        Path("data/annotations").mkdir(exist_ok=True)
        content = {"images": images, "annotations": objects, "categories": categories}
        Path(f"data/annotations/instances_{split}.json").write_text(json.dumps(content))


def masks_for_each_class() -> None:
    """x.jpg with x_car.png and x_tall_tree.png, of which some images lack one."""
    for number in range(24):
        photo(f"data/n{number * 37}.jpg", number)
        for index, word in enumerate(("car", "tall_tree"), 1):
            if (number + index) % 4:
                save(f"data/n{number * 37}_{word}.png", np.where(blocks(number) == index, np.uint8(255), np.uint8(0)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "classes", "splits"),
    [
        (tiles, ["water", "grass", "roof"], {"train", "val"}),
        (black_and_white, ["background", "foreground"], {"train", "val"}),
        (one_bit_beside, ["background", "foreground"], {"train", "val", "test"}),
        (palettes, ["class_0", "class_1", "class_2"], {"train", "val"}),
        (table_of_deep_masks, ["class_0", "class_1000", "class_2000"], {"train", "val"}),
        (polygons, ["background", "cat", "dog"], {"train", "val"}),
        (masks_for_each_class, ["background", "car", "tall_tree"], {"train", "val", "test"}),
    ],
)
def test_what_check_writes_is_all_that_a_training_needs(
    segtrain: Run, capsys: Says, make: Callable[[], None], classes: list[str], splits: set[str]
):
    make()
    before = {path for path in Path("data").rglob("*") if path.is_file()}
    assert segtrain("check", "data.root=data", "out=found") == 0
    words = command(capsys.readouterr().out)
    assert {path for path in Path("data").rglob("*") if path.is_file()} == before
    if words[0] == "check":  # otherwise nothing has to be written
        assert segtrain(*words, "out=found") == 0
        words = command(capsys.readouterr().out)
    assert words[:2] == ["train", "data.root=data"]
    assert segtrain(*words, *SMALL) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^{name} .*\d", said, re.MULTILINE) for name in classes)
    headline = re.search(r"training \S+-fcn_tiny: (.*) images, (\d+) classes", said)
    assert headline is not None
    assert {part.split()[1] for part in headline[1].split(", ")} == splits
    assert int(headline[2]) == len(classes)


@pytest.mark.slow
def test_a_proposed_table_says_what_was_assumed_and_is_not_overwritten(segtrain: Run, capsys: Says):
    black_and_white()
    assert segtrain("check", "data.root=data", "write=true") == 0
    text = Path("data/classes.yaml").read_text()
    assert text.startswith("# Proposed by `python -m segtrain check`: grey 0/255")
    assert yaml.safe_load(text)["classes"][1]["values"] == [255]
    assert "they are yours to change" in capsys.readouterr().out
    Path("data/classes.yaml").write_text(text.replace("foreground", "nucleus"))
    assert segtrain("check", "data.root=data", "write=true") == 0
    assert "nucleus" in Path("data/classes.yaml").read_text()
    said = capsys.readouterr().out
    assert "classes from classes.yaml" in said
    assert "written: data" not in said


@pytest.mark.slow
def test_masks_for_each_class_are_explained(segtrain: Run, capsys: Says):
    masks_for_each_class()
    save("data/n37_car.png", np.full(SIZE, 255, np.uint8))
    assert segtrain("check", "data.root=data", "write=true", "out=found") == 0
    said = capsys.readouterr().out
    assert "such as n0.jpg + n0_*.png" in said
    assert "masks: a mask for each class; classes from class_masks" in said
    assert "12 of 24 images have no mask for some class: it is taken not to be there." in said
    (line,) = [line for line in lines("found/check.csv") if line["kind"] == "classes overlap"]
    assert (line["severity"], line["file"]) == ("warning", "n37_*.png")
    assert line["detail"].endswith("pixels belong to several classes: the smaller one in an image is on top")
    table = yaml.safe_load(Path("data/classes.yaml").read_text())
    assert [(entry["name"], entry["values"]) for entry in table["classes"]] == [
        ("background", [0]),
        ("car", [1]),
        ("tall_tree", [2]),
    ]
    assert {row["mask"] for row in lines("data/splits.csv")} == {f"n{37 * number}_*.png" for number in range(24)}
    assert segtrain("check", "data.root=data", "out=found") == 0
    assert "classes from classes.yaml" in capsys.readouterr().out


def test_a_mask_of_several_values_among_those_of_classes_is_an_error(segtrain: Run):
    masks_for_each_class()
    save("data/n37_car.png", blocks(1))
    assert segtrain("check", "data.root=data", "out=found") == 2
    (line,) = [line for line in lines("found/check.csv") if line["severity"] == "error"]
    assert (line["kind"], line["file"]) == ("unreadable", "n37_*.png")
    assert line["detail"] == "n37_car.png: it holds 0, 1, 2: a mask of one class holds 0 and one other value"


@pytest.mark.slow
def test_a_missing_mask_is_an_error_and_stays_one(segtrain: Run, capsys: Says):
    one_bit_beside()
    Path("data/n37_mask.png").unlink()
    assert segtrain("check", "data.root=data", "out=found") == 2
    said = capsys.readouterr().out
    assert "writes classes.yaml into data" in said
    for _ in range(2):
        assert segtrain("check", "data.root=data", "write=true", "out=found") == 2
        said = capsys.readouterr().out
        assert "n37.jpg: has no mask" in said
        assert [(row["kind"], row["file"]) for row in lines("found/check.csv")] == [("no mask", "n37.jpg")]
    assert "splits.csv is not written while files have no partner" in said
    assert not Path("data/splits.csv").exists()
    assert segtrain("train", "data.root=data", *SMALL) == 2
    assert "n37.jpg has no mask" in capsys.readouterr().err
    assert segtrain("check", "data.root=data", "data.on_bad=skip", "write=true", "out=found") == 0
    assert len(lines("data/splits.csv")) == 23


@pytest.mark.slow
def test_a_chart_among_the_masks_is_left_aside_and_named(segtrain: Run, capsys: Says):
    black_and_white()
    photo("data/masks/train/mask_statistics.png", 1)
    with Image.open("data/masks/train/mask_statistics.png") as picture:
        save("data/masks/train/mask_statistics.png", picture.resize((300, 200)))
    assert segtrain("check", "data.root=data", "out=found") == 0
    assert [(row["severity"], row["kind"], row["file"]) for row in lines("found/check.csv")] == [
        ("warning", "stray", "masks/train/mask_statistics.png")
    ]
    assert segtrain("check", "data.root=data", "write=true", "out=found") == 0
    capsys.readouterr()
    assert segtrain("train", "data.root=data", *SMALL) == 0
    said = "left aside: data/masks/train/mask_statistics.png: among the masks, but it differs from all of them"
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_a_group_stays_in_one_split(segtrain: Run):
    for number in range(40):
        photo(f"data/images/d{number // 4}_{number}.jpg", number)
        save(f"data/masks/d{number // 4}_{number}.png", 255 * blocks(number, 2))
    assert segtrain("check", "data.root=data", "data.group='^d[0-9]+'", "write=true") == 0
    splits: dict[str, set[str]] = {}
    for row in lines("data/splits.csv"):
        splits.setdefault(re.findall(r"d\d+", row["image"])[0], set()).add(row["split"])
    assert len(splits) == 10
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) >= {"train", "val"}


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_described_beside_it(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    tiles()
    write = disk.write

    def refuse(path: Path, content: bytes | str) -> None:
        if path.parent.name == "data":
            raise PermissionError(13, "Permission denied", str(path))
        write(path, content)

    monkeypatch.setattr(disk, "write", refuse)
    assert segtrain("check", "data.root=data", "write=true") == 0
    assert sorted(path.name for path in Path("data.segtrain").iterdir()) == ["classes.yaml", "splits.csv"]
    assert not Path("data/classes.yaml").exists()
    assert segtrain("train", "data.root=data", *SMALL, "run_dir=run") == 0


@pytest.mark.slow
def test_images_that_a_list_leaves_out_are_said(segtrain: Run, capsys: Says):
    tiles()
    assert segtrain("check", "data.root=data", "write=true") == 0
    shutil.copytree("data/My map/Tile 0", "data/My map/Tile 9")
    capsys.readouterr()
    said = "splits.csv lists 24 images, and 4 more lie in the folder, such as data/My map/Tile 9/"
    assert segtrain("check", "data.root=data") == 0
    assert said in capsys.readouterr().out
    assert segtrain("train", "data.root=data", *SMALL) == 0
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_arrays_that_a_list_leaves_out_are_said(segtrain: Run, capsys: Says):
    for number in range(8):
        photo(f"data/x/{number:03}.png", number)
        Path("data/y").mkdir(exist_ok=True)
        np.save(f"data/y/{number:03}.npy", blocks(number))
    assert segtrain("check", "data.root=data", "write=true") == 0
    photo("data/x/100.png", 100)
    np.save("data/y/100.npy", blocks(100))
    capsys.readouterr()
    assert segtrain("check", "data.root=data") == 0
    said = capsys.readouterr().out
    assert "splits.csv lists 8 images, and 1 more lies in the folder, such as data/x/100.png: data.layout=flat" in said


@pytest.mark.slow
def test_a_list_with_a_mistyped_line_leaves_the_classes_to_be_written(segtrain: Run, capsys: Says):
    black_and_white()
    rows = ["image,mask,split"]
    for number in range(12):
        split = "train" if number < 9 else "val"
        home = "train" if number < 12 else "val"
        rows.append(f"images/{home}/{number:04x}.png,masks/{home}/{number:04x}.png,{split}")
    content = "\n".join(rows).replace("images/train/0003", "images/train/OOO3")
    Path("data/splits.csv").write_text(content)
    assert segtrain("check", "data.root=data", "write=true", "out=found") == 2
    said = capsys.readouterr().out
    assert "splits.csv stays as it is, though it names files that are not there" in said
    assert "written: data/classes.yaml" in said
    assert Path("data/splits.csv").read_text() == content
    assert "next: python -m segtrain train data.root=data data.on_bad=skip" in said
    assert segtrain("train", "data.root=data", "data.on_bad=skip", *SMALL) == 0


# --- what is said -----------------------------------------------------------------------------------------------------


def test_the_first_ten_of_a_kind_are_shown_and_all_are_in_the_table(segtrain: Run, capsys: Says):
    black_and_white()
    for number in range(12):
        Path(f"data/masks/train/{number:04x}.png").unlink()
    assert segtrain("check", "data.root=data", "out=found") == 2
    said = capsys.readouterr().out
    assert "error: no mask (12)" in said
    assert said.count(".png: has no mask") == 10
    assert "  and 2 more" in said
    assert sum(line["kind"] == "no mask" for line in lines("found/check.csv")) == 12
    assert "12 errors, at which a training stops (exit status 2)" in said


@pytest.mark.slow
def test_shares_images_and_sizes_are_those_of_the_data(segtrain: Run, capsys: Says):
    for split, wide in (("train", 3), ("val", 1)):
        for number in range(4):
            photo(f"data/images/{split}/{number}.png", 10 * wide + number)
            mask = np.zeros(SIZE, np.uint8)
            mask[:, : 12 * wide] = 255
            save(f"data/masks/{split}/{number}.png", mask)
    assert segtrain("check", "data.root=data") == 0
    said = capsys.readouterr().out
    assert re.search(r"^foreground +#\w+ +50.00 % +█+ +4 +4 +\d", said, re.MULTILINE)
    assert re.search(r"^train +4 +48 x 40 +3 +8$", said, re.MULTILINE)
    assert "crop [40, 48] (height, width) suits these images; train takes it by itself" in said
    assert segtrain("check", "data.root=data", "data.crop=[48,48]") == 0
    assert "type data.crop=[40,48]" in capsys.readouterr().out


@pytest.mark.slow
def test_the_picture_shows_every_class_in_its_colour(segtrain: Run):
    tiles()
    assert segtrain("check", "data.root=data", "out=found") == 0
    with Image.open("found/check.png") as picture:
        shown = set(map(tuple, np.asarray(picture).reshape(-1, 3).tolist()))
    assert set(COLOURS.values()) <= shown


@pytest.mark.slow
def test_other_readings_are_named_with_their_pairs(segtrain: Run, capsys: Says):
    black_and_white()
    shutil.copytree("data/masks", "data/labels")
    Path("data/labels/train/0000.png").unlink()
    Path("data/masks/train/0000.png").unlink()
    assert segtrain("check", "data.root=data") == 2
    said = capsys.readouterr().out
    assert "other readings, whose masks hold the same" in said
    for path in Path("data/labels").rglob("*.png"):
        save(str(path), 255 - np.asarray(Image.open(path)))
    assert segtrain("check", "data.root=data", "write=true") == 2
    said = capsys.readouterr().out
    assert "other readings, as good as this one: choose before you train" in said
    taken, other = re.findall(r"(home:\w+)", said)[:2]
    assert re.search(rf"^  data.layout={other} +15 pairs +1 file left over", said, re.MULTILINE)
    assert all(f"check data.root=data data.layout={layout} write=true" in said for layout in (taken, other))
    assert not Path("data/splits.csv").exists()
    assert segtrain("check", "data.root=data", f"data.layout={other}", "write=true") == 0
    folder = other.partition(":")[2]
    assert {row["mask"].partition("/")[0] for row in lines("data/splits.csv")} == {folder}


@pytest.mark.slow
def test_a_reading_is_chosen_by_the_folder_whatever_its_name(segtrain: Run, capsys: Says):
    black_and_white()
    shutil.copytree("data/masks", "data/the mask (two), x=1")
    assert segtrain("check", "data.root=data") == 0
    (word,) = {
        word
        for line in capsys.readouterr().out.splitlines()
        for word in shlex.split(line)
        if "(two)" in word and word.startswith("data.layout=")
    }
    assert segtrain("check", "data.root=data", word, "write=true") == 0
    assert {row["mask"].split("/")[0] for row in lines("data/splits.csv")} == {"the mask (two), x=1"}


def test_a_picture_is_not_put_among_the_images(segtrain: Run, capsys: Says):
    one_bit_beside()
    assert segtrain("check", "data.root=data", "out=data") == 2
    assert "type out=FOLDER" in capsys.readouterr().err
    assert not Path("data/check.png").exists()


def test_masks_that_no_table_describes_are_refused_with_the_reason(segtrain: Run, capsys: Says):
    for number in range(8):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.jpg", np.random.default_rng(number).integers(0, 256, SIZE, np.uint8))
    assert segtrain("check", "data.root=data", "write=true") == 2
    said = capsys.readouterr().out
    assert "save the masks without loss" in said
    assert "next: write a classes.yaml" in said
    assert not Path("data/classes.yaml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=nothing"], "there is no such folder"),
        (["data=shapes"], "data=shapes is not read from files"),
        (["data.root=data", "data.layout=voc"], "data.layout=voc: it finds no pairs in data"),
        (["data.root=data", "data.group='['"], "not a regular expression"),
        ([], "needs data.root=FOLDER"),
    ],
)
def test_mistakes_are_one_line(segtrain: Run, capsys: Says, words: list[str], message: str):
    black_and_white()
    assert segtrain("check", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


# --- before a training ------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(segtrain: Run, capsys: Says) -> Run:
    """Three errors, of which headers show two."""
    black_and_white()
    assert segtrain("check", "data.root=data", "write=true") == 0
    spoiled = 255 * blocks(1, 2)
    spoiled[0, :5] = 7
    save("data/masks/train/0001.png", spoiled)
    save("data/masks/train/0002.png", 255 * blocks(2, 2)[:30])
    Path("data/masks/val/000f.png").unlink()
    capsys.readouterr()
    return segtrain


def test_a_training_stops_at_errors_and_lists_them(broken: Run, capsys: Says):
    assert broken("train", "data.root=data", *SMALL) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "and 2 more errors" in said.err
    assert "data.on_bad=skip" in said.err
    for file in ("masks/train/0001.png", "masks/train/0002.png", "images/val/000f.png"):
        assert file in said.out
    assert not Path("runs").exists()


def test_a_single_error_needs_no_list(broken: Run, capsys: Says):
    for file in ("data/images/val/000f.png", "data/images/train/0002.png", "data/masks/train/0002.png"):
        Path(file).unlink()
    assert broken("train", "data.root=data", *SMALL) == 2
    said = capsys.readouterr()
    assert "data/masks/train/0001.png: " in said.err
    assert "7 (5)" in said.err
    assert said.out == ""


@pytest.mark.slow
def test_what_is_skipped_stands_in_the_run_folder(broken: Run, capsys: Says):
    assert broken("train", "data.root=data", "data.on_bad=skip", *SMALL, "run_dir=run") == 0
    said = capsys.readouterr().out
    assert "10 train, 3 val images" in said
    assert "data.on_bad=skip: 3 errors in the data" in said
    files = {Path(row["file"]).as_posix() for row in lines("run/skipped.csv")}
    assert files == {f"data/{name}" for name in ("masks/train/0001.png", "masks/train/0002.png", "images/val/000f.png")}
    assert broken("evaluate", "run=run", "split=val") == 0
    assert json.loads(Path("run/evaluate/val/metrics.json").read_text())["images"] == 3


def test_a_check_that_takes_long_is_left_to_the_reading(broken: Run, capsys: Says, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspection.training, "seconds_to_read", lambda *_: 600.0)
    assert broken("train", "data.root=data", *SMALL) == 2
    said = capsys.readouterr()
    assert "would take about 10 minutes" in said.out
    assert "masks/train/0002.png" in said.out
    assert "0001" not in said.out + said.err, "its fault is in its pixels"


@pytest.mark.slow
def test_warnings_do_not_stop_a_training(segtrain: Run, capsys: Says):
    black_and_white()
    shutil.copy("data/images/train/0001.png", "data/images/val/000c.png")
    save("data/masks/train/0003.png", 0 * blocks(3))
    segtrain("check", "data.root=data", "write=true")
    capsys.readouterr()
    assert segtrain("train", "data.root=data", *SMALL) == 0
    assert "warnings about the data: one value (1), duplicate (1); " in capsys.readouterr().out


# --- small parts ------------------------------------------------------------------------------------------------------


def pairs(*names: str) -> list[Pair]:
    return [Pair(name, Path(f"{name}.jpg"), MaskFile(Path(f"{name}.png"))) for name in names]


def test_what_is_the_same_everywhere_is_said_once():
    assert frequent(["8"] * 5) == "8"
    assert frequent("aaabbcde") == "a (3), b (2), c (1), 2 others"
    assert [percent_text(share) for share in (0, 0.00001, 0.1234)] == ["-", "< 0.01 %", "12.34 %"]


# --- few images, and splits that are made -----------------------------------------------------------------------------


def few(number: int, name: str = "data/{}/w{}", step: int = 37) -> None:
    """Images and masks without splits, with a class table."""
    for i in range(number):
        photo(f"{name.format('images', i * step)}.jpg", i)
        save(f"{name.format('masks', i * step)}.png", blocks(i))
    Path("data/classes.yaml").write_text("classes: [{name: a}, {name: b}, {name: c}]\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 5, 8])
def test_few_images_are_trained_on_in_the_splits_that_check_shows(segtrain: Run, capsys: Says, number: int):
    few(number)
    assert segtrain("check", "data.root=data") == 0
    said = capsys.readouterr().out
    shown = {split: int(n) for split, n in re.findall(r"^(train|val|test) +(\d+)", said, re.MULTILINE)}
    assert re.search(r"no split is written down: \d+ train, \d+ val.*, at random by name \(", said)
    assert command(said) == ["train", "data.root=data"]
    assert segtrain(*command(said), *NETWORK, "train.steps=2", "run_dir=run") == 0
    said = capsys.readouterr().out
    assert f"data.batch_size={shown['train']} in place of 8, as there " in said
    assert "no split is written down" in said
    used = {split: int(n) for n, split in re.findall(r"(\d+) (train|val|test)\b", said.split("images, 3 classes")[0])}
    assert {split: used[split] for split in shown} == shown
    assert yaml.safe_load(Path("run/config.yaml").read_text())["data"]["batch_size"] == shown["train"]
    assert segtrain("train", "resume=run") == 0  # a run knows its batch


def test_a_batch_that_was_typed_is_refused_where_the_images_do_not_fill_it(segtrain: Run, capsys: Says):
    few(5)
    assert segtrain("train", "data.root=data", *NETWORK, "data.crop=[32,32]", "data.batch_size=8") == 2
    assert re.search(r"data\.batch_size=8: there are \d training images; take \d or fewer", capsys.readouterr().err)


def test_one_image_trains_nothing(segtrain: Run, capsys: Says):
    few(1)
    assert segtrain("check", "data.root=data") == 0
    assert "next: add images with masks: a training needs some" in capsys.readouterr().out
    assert segtrain("train", "data.root=data", *NETWORK) == 2
    assert "there is a single image with a mask: training needs two or more" in capsys.readouterr().err


@pytest.mark.slow
def test_what_belongs_together_is_kept_together_and_a_run_without_groups_keeps_its_split(segtrain: Run, capsys: Says):
    few(30, "data/{}/frame_{}", step=1)
    words = [*NETWORK, "data.crop=[32,32]", "data.batch_size=2", "train.steps=2"]
    assert segtrain("check", "data.root=data") == 0
    said = capsys.readouterr().out
    assert "kept together: frames of a sequence; most images are of one such group" in " ".join(said.split())
    assert "warning: sequence" not in said
    assert segtrain("train", "data.root=data", "data.group=null", *words, "run_dir=old") == 0
    assert "18 train, 8 val, 4 test images" in capsys.readouterr().out
    assert segtrain("train", "resume=old", "train.steps=3", "allow_changes=true") == 0
    assert "18 train, 8 val, 4 test images" in capsys.readouterr().out
    assert segtrain("train", "data.root=data", *words, "run_dir=new") == 0
    assert "22 train, 4 val, 4 test images" in capsys.readouterr().out


def test_tiles_in_splits_of_the_folder_that_overlap_are_warned_of(segtrain: Run, capsys: Says):
    for row in range(0, 96, 24):
        for column in range(0, 96, 24):
            split = "val" if column == 48 else "train"
            photo(f"data/images/{split}/a_{row:04d}_{column:04d}.png", row + column)
            save(f"data/masks/{split}/a_{row:04d}_{column:04d}.png", blocks(row + column))
    segtrain("check", "data.root=data")
    said = capsys.readouterr().out
    assert "warning: overlap (8)" in said
    assert r"data.group=^(.*)_\d+_\d+$" in said


@pytest.mark.slow
def test_lists_that_leave_images_out_are_said_by_check_and_train(segtrain: Run, capsys: Says):
    few(9)
    Path("data/train.txt").write_text("".join(f"w{i * 37}\n" for i in range(5)))
    Path("data/val.txt").write_text("w185.jpg\n")
    line = "3 images are in no list of a split, and not used, such as data/images/w222.jpg"
    assert segtrain("check", "data.root=data") == 0
    assert line in capsys.readouterr().out
    assert segtrain("train", "data.root=data", *SMALL) == 0
    said = capsys.readouterr().out
    assert line in said
    assert "5 train, 1 val images" in said
    Path("data/val.txt").write_text("w185.jpg\nw1850.jpg\n")
    assert segtrain("train", "data.root=data", *SMALL) == 2
    assert "w1850.jpg is in val.txt, line 2, but there is no such image" in capsys.readouterr().err
    Path("data/val.txt").write_text("w185.jpg\nw0.jpg\n")
    assert segtrain("check", "data.root=data") == 2
    assert "stands in train and in val: leave it in one of them" in capsys.readouterr().out


# --- what only a person can decide ------------------------------------------------------------------------------------


def typed(text: str, number: int) -> list[str]:
    """The words of one of the commands of which one is to be typed."""
    commands = re.findall(r"^  python -m segtrain (.*)$", text.partition("next, one of these:")[2], re.MULTILINE)
    return shlex.split(commands[number])


def two_conventions() -> None:
    """1 is the foreground in some masks, 255 in others."""
    for number in range(16):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.png", (255 if number % 3 else 1) * blocks(number, 2))


@pytest.mark.parametrize(("number", "values"), [(0, {0: 0, 1: 1, 255: 1}), (1, {0: 0, 1: 1, 255: 2})])
def test_values_that_no_mask_holds_together_are_asked(segtrain: Run, capsys: Says, number: int, values: dict[int, int]):
    two_conventions()
    assert segtrain("check", "data.root=data", "write=true") == 2
    said = capsys.readouterr().out
    assert "6 of 16 masks hold the value 1, 10 hold the value 255, and none holds both kinds" in said
    assert not list(Path("data").glob("*.*"))
    assert segtrain(*typed(said, number)) == 0
    assert ClassTable.from_file(Path("data/classes.yaml")).values == values
    assert command(capsys.readouterr().out) == ["train", "data.root=data"]
    assert segtrain("check", "data.root=data") == 0


def test_names_of_a_class_file_are_kept_in_what_is_to_be_typed(segtrain: Run, capsys: Says):
    two_conventions()
    Path("data/labels.txt").write_text("open sky\nnull\n")
    assert segtrain("check", "data.root=data", "data.group='^.'") == 2
    words = typed(capsys.readouterr().out, 0)
    assert "data.group=^." in words
    assert segtrain(*words) == 0
    assert ClassTable.from_file(Path("data/classes.yaml")).names == ("open sky", "null")


def two_kinds_of_masks() -> None:
    """Vegetation in black on white, and three classes in colours, of the same images."""
    for number in range(16):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.png", Image.fromarray(255 - 255 * blocks(number + 40, 2)).convert("1"))
        save(f"data/annotations/{number}.png", coloured(blocks(number)))


@pytest.mark.slow
def test_two_kinds_of_masks_are_shown_before_anything_is_written(segtrain: Run, capsys: Says):
    two_kinds_of_masks()
    for words in ([], ["write=true"]):
        assert segtrain("check", "data.root=data", *words) == 2
        said = capsys.readouterr().out
        assert "this folder holds 2 kinds of masks for the same images" in said
        assert re.search(r"2 classes in 16 masks: background .* %, foreground .* %", said)
        assert re.search(r"3 classes in 16 masks: (\w+ .* %, ){2}\w+ .* %", said)
        assert not list(Path("data").glob("*.*"))
    layouts = [typed(said, number)[2] for number in (0, 1)]
    assert sorted(layouts) == ["data.layout=flat:annotations", "data.layout=flat:masks"]
    for number, classes in enumerate((2, 3)):
        assert segtrain(*typed(said, number)) == 0
        assert len(ClassTable.from_file(Path("data/classes.yaml"))) == classes
        assert segtrain("check", "data.root=data") == 0
    assert Path("data/classes.yaml.bak").is_file(), "that of the other masks"
    assert Path("data/splits.csv.bak").is_file()


def test_a_training_asks_for_the_kind_of_masks_too(segtrain: Run, capsys: Says):
    two_kinds_of_masks()
    Path("data/classes.yaml").write_text("classes: [{name: ground}, {name: plant}]\nother: ignore\nmasks: values\n")
    assert segtrain("train", "data.root=data", *SMALL) == 2
    said = capsys.readouterr()
    assert "type data.layout=flat:masks or data.layout=flat:annotations" in said.err
    assert "3 classes in 16 masks" in said.out
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_table_that_was_proposed_for_other_masks_is_proposed_anew(segtrain: Run, capsys: Says):
    two_kinds_of_masks()
    assert segtrain("check", "data.root=data", "data.layout=flat:masks", "write=true") == 0
    Path("data/splits.csv").unlink()
    capsys.readouterr()
    assert segtrain("train", "data.root=data", "data.layout=flat:annotations", *SMALL) == 2
    assert "data/classes.yaml was proposed for other masks, such as masks/0.png" in capsys.readouterr().err
    assert segtrain("check", "data.root=data", "data.layout=flat:annotations") == 0
    said = capsys.readouterr().out
    assert "masks: RGB colours; classes from the masks alone" in said
    assert command(said) == ["check", "data.root=data", "data.layout=flat:annotations", "write=true"]
    before = Path("data/classes.yaml").read_bytes()
    assert segtrain(*command(said)) == 0
    assert Path("data/classes.yaml.bak").read_bytes() == before
    assert "what stood there is kept as data/classes.yaml.bak" in capsys.readouterr().out


def test_objects_that_are_numbered_are_one_class(segtrain: Run, capsys: Says):
    for number, objects in enumerate((62, 104)):
        photo(f"data/images/{number}.png", number)
        mask = np.zeros(SIZE, np.uint8)
        for index in range(objects):
            top, left = 3 * (index // 16), 3 * (index % 16)
            mask[top : top + 1 + index % 2, left : left + 1] = index + 1
        save(f"data/masks/{number}.png", mask)
    assert segtrain("check", "data.root=data", "write=true") == 0
    assert "numbers of objects" in capsys.readouterr().out
    classes = yaml.safe_load(Path("data/classes.yaml").read_text())["classes"]
    assert [entry["values"] for entry in classes] == [[0], ["1-104"]]


def test_photos_among_masks_are_said_with_the_command_that_mends_it(segtrain: Run, capsys: Says):
    for number in range(12):
        photo(f"data/masks/{number}.jpg", number)
        save(f"data/images/{number}.png", coloured(blocks(number)))
    assert segtrain("check", "data.root=data", "write=true") == 2
    said = capsys.readouterr().out
    assert "error: exchanged (1)" in said
    assert "next: mv data/images data/images.exchanged && mv data/masks data/images" in said
    assert not list(Path("data").glob("*.*"))
    for old, new in re.findall(r"mv (\S+) (\S+)", said):
        Path(old).rename(new)
    assert segtrain("check", "data.root=data", "write=true") == 0


# --- what a person wrote ----------------------------------------------------------------------------------------------


def list_of_splits(**changes: str) -> None:
    """A splits.csv by hand of twelve pairs, with another name for some images."""
    rows = ["image,mask,split"]
    for number in range(12):
        image = changes.get(f"image_{number}", f"images/{number}.jpg")
        rows.append(f"{image},masks/{number}.png,{'train' if number < 9 else 'val'}")
    Path("data/splits.csv").write_text("\n".join(rows) + "\n")


def flat() -> None:
    for number in range(12):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.png", blocks(number))


def test_a_list_with_a_mistyped_name_is_not_rewritten(segtrain: Run, capsys: Says):
    flat()
    list_of_splits(image_10="images/10x.jpg")
    before = Path("data/splits.csv").read_bytes()
    assert segtrain("check", "data.root=data", "write=true") == 2
    assert "splits.csv stays as it is" in capsys.readouterr().out
    assert Path("data/splits.csv").read_bytes() == before
    assert {path.name for path in Path("data").iterdir() if path.is_file()} == {"splits.csv", "classes.yaml"}


def test_what_a_person_wrote_is_replaced_only_with_a_layout_and_a_copy(segtrain: Run, capsys: Says):
    flat()
    Path("data/splits.csv").write_text("image,mask\n" + "\n".join(f"images/{i}.jpg,masks/{i}.png" for i in range(12)))
    before = Path("data/splits.csv").read_bytes()
    assert segtrain("check", "data.root=data", "write=true") == 0
    said = capsys.readouterr().out
    assert "not written: data/splits.csv is not as check left it" in said
    assert "written: data/classes.yaml" in said
    assert Path("data/splits.csv").read_bytes() == before
    Path("data/splits.csv.bak").write_text("older")
    assert segtrain("check", "data.root=data", "data.layout=flat", "write=true") == 0
    assert "kept as data/splits.csv.bak2" in capsys.readouterr().out
    assert Path("data/splits.csv.bak2").read_bytes() == before
    assert Path("data/splits.csv.bak").read_text() == "older"
    assert {row["split"] for row in lines("data/splits.csv")} >= {"train", "val"}


def test_a_table_of_other_things_is_not_replaced_by_check_csv(segtrain: Run, capsys: Says):
    flat()
    Path("check.csv").write_text("mine\n")
    assert segtrain("check", "data.root=data") == 2
    assert "check.csv was not written by check: type out=FOLDER" in capsys.readouterr().err
    assert Path("check.csv").read_text() == "mine\n"
    assert segtrain("check", "data.root=data", "out=found") == 0
    assert segtrain("check", "data.root=data", "out=found") == 0


def test_images_beyond_a_list_are_found_by_a_reading_with_its_masks(segtrain: Run, capsys: Says):
    for number in range(16):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/2GT/{number}.png", 255 * (blocks(number) > 0).astype(np.uint8))
        save(f"data/3GT/{number}.png", 100 * blocks(number))
    assert segtrain("check", "data.root=data", "data.layout=flat:3GT", "write=true") == 0
    assert all("values" in entry for entry in yaml.safe_load(Path("data/classes.yaml").read_text())["classes"])
    for folder, suffix in (("images", "jpg"), ("2GT", "png"), ("3GT", "png")):
        shutil.copy(f"data/{folder}/1.{suffix}", f"data/{folder}/99.{suffix}")
    capsys.readouterr()
    assert segtrain("check", "data.root=data") == 0
    said = capsys.readouterr().out
    assert "1 more lies in the folder, such as data/images/99.jpg: data.layout=flat:3GT finds them" in said
    shutil.rmtree("data/2GT")
    Path("data/splits.csv").write_text(Path("data/splits.csv").read_text().replace("3GT", "old"))
    shutil.copytree("data/3GT", "data/old")
    Path("data/old/99.png").unlink()
    assert segtrain("check", "data.root=data") == 0
    assert "data.layout=flat:3GT finds them" not in capsys.readouterr().out


def test_formulas_are_texts_in_the_tables(segtrain: Run):
    flat()
    Path("data/images/3.jpg").rename("data/images/=3.jpg")
    Path("data/masks/3.png").rename("data/masks/=3.png")
    photo("data/images/@4.jpg", 40)
    assert segtrain("check", "data.root=data/images", "write=true") == 2
    assert segtrain("check", "data.root=data", "data.layout=flat", "write=true") == 0
    assert "./images" not in Path("data/splits.csv").read_text()
    assert inspection.findings_csv([Finding("error", "no mask", "=1+1.png", "-2")]).endswith("'=1+1.png,'-2\r\n")


def test_the_table_of_classes_fits_a_terminal(segtrain: Run, capsys: Says):
    for number in range(16):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.png", blocks(number))
    names = ["background", "n" * 60, "a long name of several words that goes on"]
    table = "\n".join(f"- {{name: {name}}}" for name in names)
    Path("data/classes.yaml").write_text(f"classes:\n{table}\n")
    assert segtrain("check", "data.root=data") == 0
    (text,) = re.findall(r"^class .*?\n\n", capsys.readouterr().out, re.MULTILINE | re.DOTALL)
    assert max(map(len, text.splitlines())) <= 79
    assert text.count("…") == 2


def test_many_masks_without_anything_to_find_are_one_line(segtrain: Run, capsys: Says):
    for number in range(16):
        photo(f"data/images/{number}.jpg", number)
        save(f"data/masks/{number}.png", 255 * blocks(number, 2) * (number > 8))
    shutil.copy("data/images/3.jpg", "data/images/4.jpg")
    assert segtrain("check", "data.root=data", "out=found") == 0
    said = capsys.readouterr().out
    assert said.index("warning: duplicate (1)") < said.index("warning: one value (9)")
    assert "  9 masks, such as masks/0.png: all pixels are 0; check.csv lists them" in said
    assert sum(line["kind"] == "one value" for line in lines("found/check.csv")) == 9


def test_a_fold_is_shown_as_it_is_trained_and_is_no_split_to_be_written(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    write_folder(Path("photos"), 2)
    assert segtrain("check", "data.root=photos", "data.folds=3", "data.fold=1") == 0
    out = capsys.readouterr().out
    assert "fold 1 of 3: 4 train, 2 val, by name" in out
    assert "next: python -m segtrain train data.root=photos data.folds=3 data.fold=1" in out
    assert segtrain("check", "data.root=photos", "data.folds=3", "data.fold=1", "write=true") == 2
    assert "write=true writes the splits of the data, of which fold 1 of 3 is none" in capsys.readouterr().err
    assert segtrain("check", "data.root=photos", "data.folds=3", "data.fold=3") == 2
    assert "data.fold=3: expected 0 to 2" in capsys.readouterr().err
