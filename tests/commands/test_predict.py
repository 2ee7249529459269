import csv
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

import segtrain as api
from segtrain import disk
from segtrain.data import FolderData
from segtrain.data.files import films, images, large
from segtrain.data.files.images import read_image
from segtrain.errors import UserError
from segtrain.inference import windows
from segtrain.prediction import stills
from segtrain.prediction.sight import Sight, Subject
from segtrain.prediction.written import Predicted, Saver
from segtrain.report.pictures import overlay
from segtrain.runs.correction import LOSS, Correction
from segtrain.runs.temperature import Temperature
from segtrain.training.checkpoint import store_fitted
from tests.commands.conftest import TINY
from tests.data.files.test_films import write as write_film

Run = Callable[..., int]
RNG = np.random.default_rng(0)
COST = 105  # bytes that fcn_tiny takes for a pixel


def photo(path: str, size: tuple[int, int] = (20, 30), **options: object) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(path, **options)
    return Path(path)


def test_a_mask_is_what_the_network_predicts_with_the_class_palette(trained: Run):
    path = photo("new/a.png")
    assert trained("predict", "run=latest", f"images={path}") == 0
    network = api.load("run")
    classes = network.classes
    with Image.open("run/predict/masks/a.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[: 3 * len(classes)] == classes.colors.flatten().tolist()
        assert np.asarray(mask).tolist() == api.predict(network, read_image(path)).mask.tolist()
        expected = overlay(read_image(path).numpy(), np.asarray(mask), classes).astype(int)
    with Image.open("run/predict/overlays/a.jpg") as shown:
        assert shown.width >= 30
        assert shown.height > 20  # below the picture, the legend
        assert np.abs(np.asarray(shown)[:20, :30] - expected).mean() < 8  # of noise


def logits_of(path: Path) -> torch.Tensor:
    """(classes, H, W) of the network in `run`."""
    with torch.inference_mode():
        return api.load("run")(read_image(path)[None])[0]


@pytest.mark.parametrize("size", [(70, 50), (650, 620)])  # at once, and in windows
def test_everything_that_can_be_saved(trained: Run, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]):
    monkeypatch.setattr(windows, "SURE", 0)
    monkeypatch.setattr(windows, "FITS", 600**2 * COST)
    path = photo("new/a.png", size)
    words = ["save=[mask,overlay,confidence,probabilities]", "out=done"]
    assert trained("predict", "run=run", f"images={path}", *words) == 0
    assert masks_below("done") == [
        "confidence/a.png",
        "masks/a.png",
        "overlays/a.jpg",
        "predict.json",
        "probabilities/a.npy",
        "summary.csv",
    ]
    expected = logits_of(path).softmax(0)
    each = np.load("done/probabilities/a.npy", mmap_mode="r")
    assert (each.shape, each.dtype) == ((*size, len(expected)), np.uint8)
    assert abs(each / 255 - expected.permute(1, 2, 0).numpy()).max() < 0.51 / 255
    with Image.open("done/confidence/a.png") as picture:
        assert (np.asarray(picture) == each.max(2)).all()
    with Image.open("done/masks/a.png") as picture:
        assert (np.asarray(picture) == expected.argmax(0).numpy()).all()


def place_tags(nodata: str = "") -> ImageFileDirectory_v2:
    """Where an image lies on a map, and which number stands for no data."""
    tags = ImageFileDirectory_v2()
    values = {33550: (0.5, 0.5, 0.0), 33922: (0.0, 0.0, 0.0, 5e5, 5.4e6, 0.0)}
    for tag, value in values.items():
        tags.tagtype[tag], tags[tag] = 12, value
    if nodata:
        tags.tagtype[42113], tags[42113] = 2, nodata
    return tags


@pytest.mark.slow
def test_a_large_tiff_is_predicted_in_parts(trained: Run, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tifffile")
    path = photo("new/a.tif", (650, 620), tiffinfo=place_tags("0"), compression="tiff_lzw")
    pixels = np.asarray(Image.open(path)).copy()
    pixels[600:, :50] = 0
    Image.fromarray(pixels).save(path, tiffinfo=place_tags("0"), compression="tiff_lzw")
    words = ["predict", "run=run", f"images={path}", "save=[mask,overlay,confidence,probabilities]"]
    monkeypatch.setattr(windows, "SURE", 0)
    monkeypatch.setattr(windows, "FITS", 600**2 * COST)
    assert trained(*words, "out=whole") == 0
    monkeypatch.setattr(large, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(stills, "read_picture", None)
    assert trained(*words, "out=parts") == 0
    files = masks_below("whole")
    assert files == [
        "confidence/a.png",
        "masks/a.tif",
        "overlays/a.jpg",
        "predict.json",
        "probabilities/a.npy",
        "summary.csv",
    ]
    assert masks_below("parts") == files
    for file in files:
        assert Path("parts", file).read_bytes() == Path("whole", file).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["window=40"]])
def test_packed_probabilities_are_those_of_the_array(trained: Run, words: list[str]):
    photo("new/a.png", (60, 90))
    words = ["predict", "run=run", "images=new", "save=[probabilities]", *words]
    assert trained(*words, "out=array") == 0
    assert trained(*words, "out=packed", "probabilities=npz") == 0
    assert masks_below("packed") == ["predict.json", "probabilities/a.npz", "summary.csv"]
    with np.load("packed/probabilities/a.npz") as packed:
        assert np.array_equal(packed["probabilities"], np.load("array/probabilities/a.npy"))
        assert packed["classes"].tolist() == list(api.load("run").classes.names)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["window=40"]])
def test_probabilities_as_a_tiff_are_those_of_the_array(trained: Run, words: list[str]):
    tifffile = pytest.importorskip("tifffile")
    path = photo("new/a.tif", (60, 90), tiffinfo=place_tags())
    words = ["predict", "run=run", f"images={path}", "save=[probabilities]", *words]
    assert trained(*words, "out=array") == 0
    assert trained(*words, "out=bands", "probabilities=tiff") == 0
    assert masks_below("bands") == ["predict.json", "probabilities/a.tif", "summary.csv"]
    with tifffile.TiffFile("bands/probabilities/a.tif") as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray(), np.load("array/probabilities/a.npy"))
        assert page.tags[33550].value == (0.5, 0.5, 0.0)
        assert page.tags[33922].value == (0.0, 0.0, 0.0, 5e5, 5.4e6, 0.0)
        for name in api.load("run").classes.names:
            assert f'role="description">{name}</Item>' in page.tags[42112].value


def test_only_what_is_wanted_is_saved(trained: Run, capsys: pytest.CaptureFixture[str]):
    photo("new/a.png")
    capsys.readouterr()
    assert trained("predict", "run=run", "images=new", "save=[confidence]", "out=done") == 0
    assert masks_below("done") == ["confidence/a.png", "predict.json", "summary.csv"]
    assert "1 image: confidence in done/confidence; summary.csv says" in capsys.readouterr().out


def test_the_probabilities_of_an_ensemble_and_of_a_mirror_are_their_mean(trained: Run):
    path = photo("new/a.png", (32, 64))  # whole steps of the grid: nothing is padded
    assert trained("predict", "run=run,run", f"images={path}", "flip=true", "save=[probabilities]", "out=done") == 0
    network = api.load("run")
    with torch.inference_mode():
        image = read_image(path)[None]
        both = (network(image).softmax(1) + network(image.flip(-1)).softmax(1).flip(-1)) / 2
    found = np.load("done/probabilities/a.npy")
    assert abs(found / 255 - both[0].permute(1, 2, 0).numpy()).max() < 0.6 / 255


@pytest.mark.slow
def test_the_summary_has_the_pixels_of_every_image(trained: Run):
    paths = [photo("new/a.png"), photo("new/deep/=b.png", (12, 40))]
    assert trained("predict", "run=run", "images=new", "out=done") == 0
    with open("done/summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "deep/=b"]
    for row, path in zip(rows, paths, strict=True):
        probability, mask = logits_of(path).softmax(0).max(0)
        assert float(row["mean_confidence"]) == pytest.approx(float(probability.mean()), abs=0.003)
        names = api.load("run").classes.names
        counts = [int((mask == index).sum()) for index in range(len(names))]
        assert [int(row[f"pixels {name}"]) for name in names] == counts
        assert [float(row[f"share {name}"]) for name in names] == pytest.approx(
            [count / mask.numel() for count in counts], abs=1e-6
        )
        assert (int(row["height"]), int(row["width"]), row["void_pixels"]) == (*mask.shape, "0")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["values", "colors"])
def test_masks_in_the_data_sets_own_numbers(segtrain: Run, encoding: str):
    for i, split in enumerate(("train", "train", "train", "train", "val")):
        photo(f"photos/images/{split}/{i}.png", (40, 40))
        mask = RNG.choice([10, 200], (40, 40)).astype(np.uint8)
        Path(f"photos/masks/{split}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(f"photos/masks/{split}/{i}.png")
    table = "{name: ground, values: [10], color: [1, 2, 3]}, {name: sky, values: [200], color: [9, 8, 7]}"
    Path("photos/classes.yaml").write_text(f"classes: [{table}]\n")
    words = [word for word in TINY if not word.startswith(("data.size", "data.train", "data.val", "data.test"))]
    assert segtrain("train", *words, "data.root=photos", "run_dir=run") == 0
    assert segtrain("predict", "run=run", "images=photos/images/val", f"encode={encoding}", "out=done") == 0
    expected = logits_of(Path("photos/images/val/4.png")).argmax(0).numpy()
    table = {"values": np.array([10, 200]), "colors": np.array([[1, 2, 3], [9, 8, 7]])}[encoding]
    with Image.open("done/masks/4.png") as picture:
        assert (np.asarray(picture) == table[expected]).all()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["save=[mask,heat]"], "save=heat: expected some of mask, overlay, confidence, probabilities, polygons, as in"),
        (["save=[]"], "save=[]: nothing would be written"),
        (["save=mask"], "save: 'mask' is not a list of str, such as save=[mask,overlay]"),
        (["min_area=0"], "min_area=0: expected the pixels of the smallest region"),
        (["encode=rgb"], "encode=rgb: expected index, values, colors"),
        (["probabilities=zip"], "probabilities=zip: expected npy, npz, tiff"),
    ],
)
def test_what_cannot_be_saved_is_refused_at_once(
    trained: Run, capsys: pytest.CaptureFixture[str], words: list[str], error: str
):
    photo("new/a.png")
    assert trained("predict", "run=run", "images=new", "out=done", *words) == 2
    assert f"segtrain: error: {error}" in capsys.readouterr().err
    assert not Path("done").exists()


def test_the_overlay_of_a_large_image_is_smaller(trained: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "LARGEST", 20)
    photo("new/a.png", (50, 30))
    assert trained("predict", "run=run", "images=new", "out=done") == 0
    with Image.open("done/overlays/a.jpg") as overlay, Image.open("done/masks/a.png") as mask:
        assert (mask.size, overlay.crop((0, 0, 10, 17)).size) == ((30, 50), (10, 17))
        assert overlay.height < 50 + 17 + 40


@pytest.mark.parametrize("kind", ["npy", "npz", "tiff"])
def test_a_full_disk_leaves_no_half_of_the_probabilities(trained: Run, monkeypatch: pytest.MonkeyPatch, kind: str):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    photo("new/a.png")
    monkeypatch.setattr(disk, "sync", fail)
    assert trained("predict", "run=run", "images=new", "save=[probabilities]", f"probabilities={kind}", "out=done") == 2
    assert masks_below("done") == []


@pytest.mark.slow
def test_several_networks_predict_by_the_mean_of_their_probabilities(trained: Run):
    path = photo("new/a.png")
    assert trained("train", *TINY, "seed=1", "run_dir=other") == 0
    assert trained("predict", "run=run,other", f"images={path}") == 0
    logits = []
    for name in ("run", "other"):
        network = api.load(name)
        with torch.inference_mode():
            logits.append(network(read_image(path)[None]))
    expected = torch.stack(logits).softmax(2).mean(0).argmax(1)[0]
    with Image.open("run/predict/masks/a.png") as mask:
        assert np.asarray(mask).tolist() == expected.tolist()
    assert expected.tolist() not in [single.argmax(1)[0].tolist() for single in logits]


def test_with_flip_a_mask_is_that_of_an_image_and_its_mirror_image(trained: Run):
    path = photo("new/a.png", size=(20, 32))
    assert trained("predict", "run=run", f"images={path}", "flip=true") == 0
    network, image = api.load("run"), read_image(path)[None]
    with torch.inference_mode():
        alone = network(image).softmax(1)
        mirrored = network(image.flip(-1)).softmax(1).flip(-1)
    expected = (alone + mirrored).argmax(1)[0].tolist()
    with Image.open("run/predict/masks/a.png") as mask:
        assert np.asarray(mask).tolist() == expected
    assert alone.argmax(1)[0].tolist() != expected


def test_the_tree_of_a_folder_is_mirrored(trained: Run):
    for name in ("new/a.png", "new/day 2/b.jpg", "new/day 2/deep/c.png"):
        photo(name)
    assert trained("predict", "run=run", "images=new", "out=done") == 0
    masks = sorted(path.relative_to("done/masks").as_posix() for path in Path("done/masks").rglob("*.png"))
    assert masks == ["a.png", "day 2/b.png", "day 2/deep/c.png"]
    assert not list(Path("done").rglob("*.tmp"))


def test_a_glob_mirrors_the_tree_below_its_fixed_part(trained: Run):
    for name in ("new/x/a.png", "new/y/a.png", "new/y/b.jpg"):
        photo(name)
    assert trained("predict", "run=run", "images=new/*/a.png", "out=done") == 0
    masks = sorted(path.relative_to("done/masks").as_posix() for path in Path("done/masks").rglob("*.png"))
    assert masks == ["x/a.png", "y/a.png"]


def masks_below(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_a_damaged_file_among_others_is_named_at_the_end(trained: Run, capsys: pytest.CaptureFixture[str]):
    for name in ("new/a.png", "new/z.png", "new/deep/b.jpg", "new/.trash/c.png", "new/__MACOSX/d.png"):
        photo(name)
    Path("new/._a.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(60))
    Path("new/notes.txt").write_text("a note")
    Path("new/bad.png").write_bytes(Path("new/a.png").read_bytes()[:200])
    Path("new/gone.jpg").symlink_to("nowhere.jpg")
    capsys.readouterr()
    assert trained("predict", "run=run", "images=new", "out=done") == 2
    assert masks_below("done/masks") == ["a.png", "deep/b.png", "z.png"]
    out, err = capsys.readouterr()
    assert "3 of 5 images: masks in done/masks" in out
    assert "left aside, as no images by their names: 1 .txt" in out
    assert "not predicted: new/bad.png: damaged image" in out
    assert "not predicted: new/gone.jpg: " in out
    assert err.startswith("segtrain: error: 2 of 5 images could not be predicted: new/bad.png: damaged image")
    assert err.endswith("(and 1 more, see above)\n")
    assert err.count("\n") == 1


def test_a_glob_finds_what_a_folder_would(trained: Run):
    for name in ("set [1]/a.png", "set [1]/x/b.png", "set [1]/__MACOSX/c.png", "set [1]/.d/e.png", "set [1]/x/._b.png"):
        photo(name)
    Path("set [1]/x/notes.txt").write_text("a note")
    assert trained("predict", "run=run", "images=set [1]/**/*", "out=done") == 0
    assert masks_below("done/masks") == ["a.png", "x/b.png"]


def test_the_mask_of_a_geotiff_is_a_geotiff_at_the_same_place(trained: Run):
    tags = place_tags("0")
    photo("new/a.b.tif", tiffinfo=tags)
    pixels = np.asarray(Image.open("new/a.b.tif")).copy()
    pixels[:5] = 0
    Image.fromarray(pixels).save("new/a.b.tif", tiffinfo=tags)
    photo("new/c.tif")
    photo("new/d.jpg")
    Path("new/d.jgw").write_text("0.5\n0\n0\n-0.5\n500000\n5400000\n")
    assert trained("predict", "run=run", "images=new", "out=done") == 0
    assert masks_below("done/masks") == ["a.b.tif", "c.png", "d.pgw", "d.png"]
    assert masks_below("done/overlays") == ["a.b.jpg", "c.jpg", "d.jpg"]
    network = api.load("run")
    classes = network.classes
    expected = api.predict(network, read_image(Path("new/a.b.tif"))).mask.numpy()
    expected[:5] = 255
    with Image.open("done/masks/a.b.tif") as mask:
        assert mask.tag_v2[33550] == (0.5, 0.5, 0.0)
        assert mask.tag_v2[33922] == (0.0, 0.0, 0.0, 5e5, 5.4e6, 0.0)
        assert mask.tag_v2[42113] == "255"
        assert mask.getpalette()[: 3 * len(classes)] == classes.colors.flatten().tolist()
        assert np.asarray(mask).tolist() == expected.tolist()


def test_polygons_are_data_that_give_the_masks_back(trained: Run, capsys: pytest.CaptureFixture[str]):
    for name in ("new/a.png", "new/deep/b.jpg"):
        photo(name, (40, 50))
    words = ["images=new", "out=done", "save=[mask,polygons]"]
    assert trained("predict", "run=run", "min_area=1", *words) == 0
    assert masks_below("done") == [
        "masks/a.png",
        "masks/deep/b.png",
        "polygons/coco.json",
        "predict.json",
        "summary.csv",
    ]
    assert "left out" not in capsys.readouterr().out
    Path("done/polygons/coco.json").rename("new/coco.json")
    source = FolderData(root="new", layout="coco_json", classes=None, crop=None, batch_size=1, workers=0).splits
    seen = 0
    for split in source.values():
        for index, name in enumerate(split.names):
            with Image.open(f"done/masks/{name}.png") as mask:
                assert (split.read_mask(index).numpy() == np.asarray(mask)).all()
            seen += 1
    assert seen == 2


def test_small_regions_have_no_polygons_which_is_said(trained: Run, capsys: pytest.CaptureFixture[str]):
    photo("new/a.png", (40, 50))
    assert trained("predict", "run=run", "images=new", "out=done", "save=[mask,polygons]", "min_area=100000") == 0
    assert json.loads(Path("done/polygons/coco.json").read_text())["annotations"] == []
    with Image.open("done/masks/a.png") as mask:
        pixels = int((np.asarray(mask) > 0).sum())
    assert re.search(
        rf"polygons: without \d+ regions? of {pixels:,} pixels together, each smaller than", capsys.readouterr().out
    )


def test_the_polygons_of_a_geotiff_lie_on_its_map(trained: Run, capsys: pytest.CaptureFixture[str]):
    photo("new/a.tif", tiffinfo=tags_of({33550: (12, (0.5, 0.5, 0.0)), 33922: (12, (0.0, 0.0, 0.0, 5e5, 5.4e6, 0.0))}))
    photo("new/b.tif", tiffinfo=tags_of({33922: (12, tuple(map(float, range(12))))}))
    assert trained("predict", "run=run", "images=new", "out=done", "save=[mask,polygons]", "min_area=1") == 0
    assert masks_below("done/polygons") == ["a.geojson", "coco.json"]
    assert "no GeoJSON of 1 GeoTIFF" in capsys.readouterr().out
    features = json.loads(Path("done/polygons/a.geojson").read_text())["features"]
    corners = np.array([point for feature in features for point in feature["geometry"]["coordinates"][0]])
    assert (corners.min(0) >= [5e5, 5.4e6 - 10]).all()
    assert (corners.max(0) <= [5e5 + 15, 5.4e6]).all()
    with Image.open("done/masks/a.tif") as mask:
        pixels = np.bincount(np.asarray(mask).ravel(), minlength=6)[1:]
    found = np.zeros(5, int)
    for feature in features:
        found[feature["properties"]["class_id"] - 1] += feature["properties"]["pixels"]
    assert (found == pixels).all()


def tags_of(values: dict[int, tuple[int, tuple[float, ...]]]) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2()
    for tag, (kind, value) in values.items():
        tags.tagtype[tag] = kind
        tags[tag] = value
    return tags


@pytest.mark.parametrize("images", ["list.txt", "[new/a.png,more/b.png]", "new/a.png,more"])
def test_images_from_several_places(trained: Run, images: str):
    for name in ("new/a.png", "new/other.png", "more/b.png"):
        photo(name)
    Path("list.txt").write_text("# two of three\nnew/a.png\n\nmore/b.png\nnew/a.png\n")
    assert trained("predict", "run=run", f"images={images}", "out=done") == 0
    assert masks_below("done/masks") == ["more/b.png", "new/a.png"]


@pytest.mark.slow
def test_a_film_is_predicted_frame_by_frame(trained: Run):
    write_film(Path("new.mp4"), number=3, size=(32, 64))
    assert trained("predict", "run=run", "images=new.mp4", "save=[overlay]", "out=done") == 0
    assert masks_below("done") == ["overlays/new.mp4", "predict.json", "summary.csv"]
    with films.opened(Path("done/overlays/new.mp4"), 10_000) as film:
        assert film.rate == Fraction(30000, 1001)
        assert [frame.shape for frame in film.frames] == [(32, 64, 3)] * 3
    photo("more/a.png")
    assert trained("predict", "run=run", "images=[new.mp4,more]", "save=[mask]", "out=both") == 0
    assert masks_below("both/masks") == ["more/a.png", *(f"new/00000{i}.png" for i in (1, 2, 3))]
    network = api.load("run")
    with films.opened(Path("new.mp4"), 10_000) as film:
        for number, frame in enumerate(film.frames, 1):
            with Image.open(f"both/masks/new/{number:06}.png") as mask:
                assert (np.asarray(mask) == api.predict(network, frame).mask.numpy()).all()


def test_films_in_a_folder_are_predicted_with_its_images(
    trained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    photo("new/a.png")
    write_film(Path("new/a.mp4"), number=2, size=(32, 64))
    write_film(Path("new/b.mp4"), number=1, size=(32, 64))
    Path("new/notes.txt").touch()
    assert trained("predict", "run=run", "images=new", "out=all") == 0
    overlays = ["overlays/a.jpg", "overlays/a.mp4.mp4", "overlays/b.mp4"]
    masks = ["masks/a.mp4/000001.png", "masks/a.mp4/000002.png", "masks/a.png", "masks/b/000001.png"]
    assert masks_below("all") == [*masks, *overlays, "predict.json", "summary.csv"]
    assert "left aside, as no images by their names: 1 .txt" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "av", None)
    assert trained("predict", "run=run", "images=new", "out=images") == 0
    assert masks_below("images") == ["masks/a.png", "overlays/a.jpg", "predict.json", "summary.csv"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "left aside: 2 films: films need PyAV: pip install 'segtrain[video]'",
        "left aside, as no images by their names: 1 .txt",
    ]


def test_a_film_without_frames_gives_none(
    trained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_film(Path("new.mp4"), size=(32, 64))
    monkeypatch.setattr(films, "frames", lambda *_: iter(()))
    assert trained("predict", "run=run", "images=new.mp4", "out=done") == 2
    assert "new.mp4: a film without frames" in capsys.readouterr().err
    assert masks_below("done") == []


def test_a_film_that_breaks_off_leaves_no_half_of_another(trained: Run, capsys: pytest.CaptureFixture[str]):
    path = write_film(Path("new.mp4"), number=3, size=(32, 64))
    path.write_bytes(path.read_bytes()[:300])
    assert trained("predict", "run=run", "images=new.mp4", "save=[overlay]", "out=done") == 2
    assert "new.mp4: not a film that can be read" in capsys.readouterr().err
    assert masks_below("done") == []


def test_the_orientation_of_a_camera_is_kept(trained: Run, capsys: pytest.CaptureFixture[str]):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo("turned.jpg", (20, 30), exif=exif)
    assert trained("predict", "run=run", "images=turned.jpg") == 0
    assert "1 image: masks in run/predict/masks" in capsys.readouterr().out
    with Image.open("run/predict/masks/turned.png") as mask:
        assert mask.size == (20, 30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("nothing/*.jpg", "images=nothing/*.jpg: no image found"),
        ("empty", "images=empty: no image found: it holds nothing;"),
        ("text.png", "text.png: not an image that can be read"),
        ("twins", "would both become a.png"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(
    trained: Run, capsys: pytest.CaptureFixture[str], images: str, message: str
):
    Path("empty").mkdir()
    Path("text.png").write_text("not an image")
    photo("twins/a.png")
    photo("twins/a.jpg")
    capsys.readouterr()
    assert trained("predict", "run=run", f"images={images}") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not Path("run/predict").exists()


def deep_grey(folder: str, name: str) -> Path:
    """A picture of 12 bits in 16 with its mask of two classes, the brighter half."""
    values = RNG.integers(0, 4096, (20, 30)).astype(np.uint16)
    for kind, array in (("images", values), ("masks", (values > 2047).astype(np.uint8))):
        Path(folder, kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(f"{folder}/{kind}/{name}.png")
    return Path(folder, "images", f"{name}.png")


@pytest.mark.slow
def test_a_network_for_grey_of_16_bits_takes_other_images_too(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    table = "data.classes={classes: [{name: dark}, {name: bright}]}"
    for split in ("train", "val"):
        for i in range(3):
            deep_grey("deep", f"{i}")
            for kind in ("images", "masks"):
                target = Path("deep", kind, split, f"{i}.png")
                target.parent.mkdir(exist_ok=True)
                Path("deep", kind, f"{i}.png").rename(target)
    words = [word for word in TINY if not word.startswith("data")]
    words += ["data.root=deep", table, "data.crop=[16,16]", "data.batch_size=2", "data.workers=0", "run_dir=run"]
    assert segtrain("train", *words) == 0
    network = api.load("run")
    assert network.mean.shape == (1, 1, 1, 1)
    assert network.settings["model"]["encoder"]["in_channels"] is None
    path = deep_grey("new", "a")
    photo("new/images/b.png")
    assert segtrain("predict", "run=run", "images=new/images", "out=done") == 0
    for name, image in (
        ("a", read_image(path, channels=1, bits=16)),
        ("b", read_image(Path("new/images/b.png"), channels=1)),
    ):
        with Image.open(f"done/masks/{name}.png") as mask:
            assert np.asarray(mask).tolist() == network(image[None]).argmax(1)[0].tolist()
    said = capsys.readouterr().out
    assert re.search(r"b\.png: 3 channels, where .* have 1: they become grey; 8 bits that fill .* have 16 bits", said)
    assert "a.png" not in said
    with pytest.raises(ValueError, match=r"8 bits that fill .*, where the training's pictures have 16 bits"):
        api.predict(network, image)
    assert segtrain("evaluate", "run=run") == 0


def test_pretrained_weights_for_colours_say_what_to_type_for_grey(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    for split in ("train", "val"):
        for i in range(3):
            photo(f"grey/images/{split}/{i}.png")
            with Image.open(f"grey/images/{split}/{i}.png") as picture:
                picture.convert("L").save(f"grey/images/{split}/{i}.png")
            Path(f"grey/masks/{split}").mkdir(parents=True, exist_ok=True)
            Image.new("L", (30, 20)).save(f"grey/masks/{split}/{i}.png")
    words = [
        "data.root=grey",
        "data.classes={classes: [{name: a}, {name: b}]}",
        "data.crop=[16,16]",
        "data.batch_size=3",
    ]
    words += ["model=fcn_r50", "model.encoder.weights=IMAGENET1K_V2", "run_dir=run"]
    assert segtrain("train", *words) == 2
    assert "are for RGB, but the images have 1 channels: type data.channels=3" in capsys.readouterr().err


def stopping(monkeypatch: pytest.MonkeyPatch, at: str | None) -> list[str]:
    """The names of the images that are predicted from now on, until that which it is to stop `at`."""
    before, seen = Sight.predicted, list[str]()

    def predicted(self: Sight, subjects: Sequence[Subject], saver: Saver) -> list[Predicted]:
        (subject,) = subjects
        if subject.name == at:
            raise RuntimeError("stopped")
        seen.append(subject.name)
        return before(self, subjects, saver)

    monkeypatch.setattr(Sight, "predicted", predicted)
    return seen


@pytest.fixture
def five(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images a to e, of which one at a time waits to be written."""
    for name in "abcde":
        photo(f"new/{name}.png")
    monkeypatch.setattr("segtrain.commands.predict.cores", lambda: 1)


@pytest.mark.slow
@pytest.mark.usefixtures("five")
def test_a_command_that_was_stopped_goes_on_where_it_was(
    trained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert trained("predict", "run=run", "images=new", "out=whole") == 0
    words = ("predict", "run=run", "images=new", "out=parts")
    with monkeypatch.context() as patch:
        seen = stopping(patch, at="e")
        assert trained(*words) == 1
    assert seen == ["a", "b", "c", "d"]
    assert len(Path("parts/unfinished.jsonl").read_text().splitlines()) == 1 + 3  # d was still being written
    Path("parts/masks/b.png").unlink()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        seen = stopping(patch, at=None)
        assert trained(*words) == 0
    assert seen == ["b", "d", "e"]
    assert "going on: 2 of 5 images were predicted before this was stopped" in capsys.readouterr().out
    rows = [sorted(Path(out, "summary.csv").read_text().splitlines()) for out in ("parts", "whole")]
    assert rows[0] == rows[1]
    for path in (*Path("whole").rglob("*.png"), *Path("whole").rglob("*.jpg")):
        assert (Path("parts") / path.relative_to("whole")).read_bytes() == path.read_bytes()
    assert not Path("parts/unfinished.jsonl").exists()


@pytest.mark.parametrize("other", ["flip=true", "encode=values", "correction=false", "save=[mask]"])
@pytest.mark.usefixtures("five")
def test_other_settings_begin_anew(trained: Run, monkeypatch: pytest.MonkeyPatch, other: str):
    with monkeypatch.context() as patch:
        stopping(patch, at="e")
        assert trained("predict", "run=run", "images=new", "out=parts") == 1
    assert Path("parts/unfinished.jsonl").exists()
    with monkeypatch.context() as patch:
        seen = stopping(patch, at=None)
        assert trained("predict", "run=run", "images=new", "out=parts", other) == 0
    assert seen == ["a", "b", "c", "d", "e"]


@pytest.mark.slow
def test_processes_read_ahead_and_change_nothing(trained: Run, monkeypatch: pytest.MonkeyPatch):
    for number in range(20):
        photo(f"new/{number:02}.png", (20 + number, 30))
    Path("new/07.png").write_text("none")
    outs = []
    for workers in (0, 2):
        monkeypatch.setattr("segtrain.commands.predict.default_workers", lambda workers=workers: workers)
        assert trained("predict", "run=run", "images=new", f"out=by{workers}") == 2
        outs.append({path.name: path.read_bytes() for path in Path(f"by{workers}").rglob("*") if path.is_file()})
    assert outs[0] == outs[1]
    assert len(outs[0]) == 19 + 19 + 2


def pixels_of(path: Path) -> np.ndarray:
    """The numbers in a picture or an array, as int64."""
    if path.suffix == ".npy":
        return np.load(path).astype(int)
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_images_that_are_computed_at_once_are_predicted_as_alone(
    trained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    sizes = [(20, 30), (20, 30), (20, 30), (30, 20), (20, 30), (20, 30)]
    for number, size in enumerate(sizes):
        photo(f"new/{number}.png", size)
    before, shapes = Sight.predicted, list[int]()

    def predicted(self: Sight, subjects: Sequence[Subject], saver: Saver) -> list[Predicted]:
        shapes.append(len(subjects))
        if any(subject.name == "1" for subject in subjects):
            raise UserError("the network's output is not finite")
        return before(self, subjects, saver)

    words = ("predict", "run=run", "images=new", "save=[mask,confidence,probabilities]", "probabilities=npy")
    assert trained(*words, "out=alone") == 0
    monkeypatch.setattr(Sight, "together", lambda self, subject: 2)
    assert trained(*words, "out=together") == 0
    files = [path.relative_to("alone") for path in Path("alone").rglob("*") if path.is_file()]
    assert len(files) == 3 * len(sizes) + 2
    for file in filter(lambda file: file.suffix in (".png", ".npy"), files):
        one, other = (pixels_of(Path(folder, file)) for folder in ("alone", "together"))
        assert np.abs(one - other).max() <= (0 if file.parent.name == "masks" else 1)  # sums may round differently
    monkeypatch.setattr(Sight, "predicted", predicted)
    assert trained(*words, "out=failing") == 2
    assert shapes == [2, 1, 1, 1, 1, 2]  # 0 and 1; each of them; 2; 3, of another shape; 4 and 5
    assert "1 of 6 images could not be predicted: new/1.png: the network's output" in capsys.readouterr().err
    assert len(list(Path("failing/masks").iterdir())) == 5


def test_how_the_masks_came_about_is_written_beside_them(trained: Run, monkeypatch: pytest.MonkeyPatch):
    photo("new/a.png", (60, 90))
    correction = Correction(0.5, LOSS, (0.25, 0.0, 0.0, 0.0, 0.0, -0.25), 0.25, 0.5)
    store_fitted(Path("run/checkpoints/best.ckpt"), correction, Temperature(1.5, 0.5, 0.25))
    assert trained("predict", "run=run", "images=new", "out=done", "encode=values") == 0
    network = {
        "checkpoint": "run/checkpoints/best.ckpt",
        "run": json.loads(Path("run/environment.json").read_text())["run"],
        "correction": json.loads(json.dumps(asdict(correction))),
        "temperature": 1.5,
    }
    plain = {"precision": "32-true", "flip": False, "scales": [1], "window": None, "overlap": None}
    written = Path("done/predict.json")
    assert json.loads(written.read_text()) == {"images": 1, "encode": "values", "networks": [network], **plain}
    words = ["flip=true", "scales=[0.75,1]", "window=64", "overlap=0.25", "correction=false", "calibration=false"]
    words += ["trainer.precision=64-true", "run=run,run", "images=new", "out=done"]
    assert trained("predict", *words) == 0
    bare = {**network, "correction": None, "temperature": 1.0}
    views = {"precision": "64-true", "flip": True, "scales": [0.75, 1], "window": 64, "overlap": 0.25}
    assert json.loads(written.read_text()) == {"images": 1, "encode": "index", "networks": [bare, bare], **views}
    stopping(monkeypatch, at="a")
    assert trained("predict", "run=run", "images=new", "out=done") == 1
    assert not written.exists()  # it would tell of other masks
