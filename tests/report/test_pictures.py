import io

import numpy as np
import torch
from PIL import Image

from segtrain.data.classes import ClassTable
from segtrain.report.pictures import (
    colorize,
    compared,
    confusion_picture,
    displayable,
    fitted,
    legend,
    mosaic,
    most_confused,
    overlay,
    overlay_with_legend,
    samples,
    void_color,
)

CLASSES = ClassTable.from_spec(
    {
        "ignore": 255,
        "classes": [{"name": "sky", "color": [0, 0, 200]}, {"name": "road", "color": [100, 0, 0]}, {"name": "tree"}],
    }
)


def test_colours_and_void():
    assert colorize(np.array([[0, 1, 255]], np.uint8), CLASSES).tolist() == [[[0, 0, 200], [100, 0, 0], [0, 0, 0]]]


def test_an_overlay_is_half_image_and_half_colour():
    image = np.full((3, 1, 2), [[[100, 101]]], np.uint8)
    assert overlay(image, np.array([[1, 1]]), CLASSES).tolist() == [[[100, 50, 50], [101, 51, 51]]]


def test_an_overlay_leaves_the_background_as_it_was_photographed():
    names = [{"name": "ground"}, {"name": "road", "color": [100, 0, 0]}, {"name": "Background", "color": [0, 200, 0]}]
    table = ClassTable.from_spec({"classes": names})
    image = np.array([[[100, 101, 255]]] * 3, np.uint8)
    assert overlay(image, np.array([[0, 2, 1]]), table).tolist() == [
        [[100, 100, 100], [101, 101, 101], [178, 128, 128]]
    ]


def test_the_legend_of_an_overlay_stands_below_it_and_names_what_it_shows():
    image = np.full((3, 40, 200), 90, np.uint8)
    mask = np.zeros((40, 200), np.uint8)
    mask[:, 150:] = 1
    shown = np.asarray(overlay_with_legend(image, mask, CLASSES))
    assert (shown[:40, :200] == overlay(image, mask, CLASSES)).all()
    assert shown.shape[0] == 40 + 18
    colors = set(map(tuple, shown[40:].reshape(-1, 3).tolist()))
    assert {(0, 0, 200), (100, 0, 0)} <= colors
    assert tuple(CLASSES.colors[2].tolist()) not in colors  # no tree is there


def test_a_legend_of_many_classes_stays_small_and_says_how_many_more_there_are():
    table = ClassTable.from_spec({"classes": [{"name": f"class number {i}"} for i in range(150)]})
    mask = np.arange(160, dtype=np.uint8).reshape(10, 16) % 150
    picture = overlay_with_legend(np.zeros((3, 10, 16), np.uint8), mask, table)
    assert picture.height == 10 + 4 * 18
    assert picture.width < 250
    wide = overlay_with_legend(np.zeros((3, 10, 3600), np.uint8), np.resize(mask, (10, 3600)), table)
    assert wide.height == 10 + 4 * 60


def test_a_mosaic_shows_wrong_pixels_red_and_void_black():
    image = np.full((3, 2, 2), 90, np.uint8)
    truth, prediction = np.array([[0, 1], [255, 1]]), np.array([[0, 0], [0, 1]])
    picture = compared(image, truth, prediction, CLASSES)
    assert picture.shape == (2, 4 * (2 + 4), 3)
    assert picture[:, 18:20].tolist() == [[[30, 30, 30], [255, 0, 0]], [[0, 0, 0], [30, 30, 30]]]


def compared_row(name: str, height: int, width: int, value: int = 0) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """A grey image, whose truth is everywhere the same, and its prediction sky."""
    mask = np.full((height, width), value)
    return name, np.full((3, height, width), 90, np.uint8), mask, np.zeros_like(mask)


def test_images_of_different_sizes_share_a_mosaic_below_a_line_for_each_name():
    rows = [compared_row("a", 2, 4), compared_row("b", 5, 4), compared_row("c", 2, 100)]
    picture = np.asarray(mosaic(rows, CLASSES))
    line, gap = 18, 4
    legend_height = 2 * line  # of three classes and what is wrong
    assert picture.shape == (legend_height + gap + 3 * (line + gap) + 2 + 5 + 2, 4 * (100 + 4), 3)
    top = legend_height + gap + line
    for _, image, truth, prediction in rows:
        strip = compared(image, truth, prediction, CLASSES)
        height, width, _ = strip.shape
        assert (picture[top : top + height, :width] == strip).all()
        top += height + gap + line
    renamed = np.asarray(mosaic([rows[0], compared_row("other", 5, 4), rows[2]], CLASSES))
    changed = np.flatnonzero((renamed != picture).any((1, 2)))
    second = legend_height + gap + line + 2 + gap
    assert second <= min(changed) <= max(changed) < second + line


def test_a_mosaic_names_the_classes_void_where_there_is_some_and_what_is_wrong():
    seen = {value: mosaic([compared_row("a", 8, 200, value)], CLASSES) for value in (1, CLASSES.void)}
    for value, picture in seen.items():
        above = np.asarray(picture)[:18].reshape(-1, 3)
        colors = {(0, 0, 200), (100, 0, 0), tuple(CLASSES.colors[2].tolist()), (255, 0, 0)}
        assert colors <= set(map(tuple, above.tolist()))
        square = np.asarray(legend([("void", (0, 0, 0))], 20))
        assert contains(np.asarray(picture)[:18], square[:, 4:22]) is (value == CLASSES.void)


def contains(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether a part of the same height is anywhere in a picture."""
    width = part.shape[1]
    return any((picture[:, left : left + width] == part).all() for left in range(picture.shape[1] - width))


def test_the_text_of_a_wide_mosaic_is_large_since_it_is_shown_smaller():
    heights = [mosaic([compared_row("a", 8, width)], CLASSES).height for width in (200, 600)]
    assert heights == [2 * (18 + 4) + 8, 2 * (40 + 4) + 8]


def test_of_many_classes_a_mosaic_names_those_that_are_there():
    table = ClassTable.from_spec({"ignore": 255, "classes": [{"name": f"class number {i}"} for i in range(150)]})
    assert mosaic([compared_row("a", 8, 200, 7)], table).height == 2 * (18 + 4) + 8


def test_samples_show_image_mask_and_both_under_the_names_of_the_classes():
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 1
    picture = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=40)
    shown = np.asarray(picture)
    assert shown.shape[1] == 3 * 40 + 2 * 4
    assert (0, 0, 200) in set(map(tuple, shown.reshape(-1, 3).tolist()))
    assert shown[-10, 5].tolist() == [7, 7, 7]
    assert shown[-10, 44 + 5].tolist() == [0, 0, 200]
    assert shown[-10, 44 + 35].tolist() == [100, 0, 0]


def test_void_is_named_where_there_is_some():
    mask = np.zeros((10, 20), np.uint8)
    without = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=200)
    mask[0, 0] = CLASSES.void
    with_void = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=200)
    names = [np.asarray(picture.crop((0, 0, picture.width, 14))) for picture in (without, with_void)]
    assert (names[0] != names[1]).any()


def test_any_channels_and_depth_can_be_shown():
    assert displayable(np.full((1, 2, 3), 9, np.uint8)).shape == (3, 2, 3)
    deep = np.array([[[0, 500], [1000, 250]]] * 5, np.uint16)
    assert displayable(deep)[0].tolist() == [[0, 127], [255, 63]]


def test_the_classes_confused_most_are_those_with_the_most_wrong_pixels_of_either_kind():
    matrix = torch.tensor([[9, 0, 0, 0], [0, 900, 5, 0], [0, 0, 1, 2], [0, 0, 0, 0]])  # wrong: 0, 5, 7, 2
    assert [most_confused(matrix, most) for most in (1, 2, 3, 9)] == [[2], [1, 2], [1, 2, 3], [0, 1, 2, 3]]


def test_the_confusion_picture_of_a_thousand_classes_is_no_larger_than_that_of_forty():
    sizes = []
    for classes in (40, 1000):
        picture = confusion_picture([f"class {i}" for i in range(classes)], torch.eye(classes, dtype=torch.int64))
        with Image.open(io.BytesIO(picture)) as image:
            sizes.append(image.size)
    assert sizes == [(2310, 2310), (2310, 2310)]


def test_a_confusion_picture_of_strange_names_and_no_pixels_is_drawn():
    names = ["$x^2$", "道", "a" * 100, "_", "\n"]
    with Image.open(io.BytesIO(confusion_picture(names, torch.zeros(5, 5, dtype=torch.int64)))) as image:
        assert image.size == (577, 577)


def test_of_many_classes_the_legend_above_samples_names_those_that_are_there():
    table = ClassTable.from_spec({"ignore": 255, "classes": [{"name": f"class number {i}"} for i in range(150)]})
    mask = np.full((20, 20), 7, np.uint8)
    picture = np.asarray(samples([("photo", np.zeros((3, 20, 20), np.uint8), mask)], table, side=20))
    one_line, gap = 18, 4
    assert picture.shape[0] == one_line + gap + 20 + 18 + gap
    assert tuple(table.colors[7]) in set(map(tuple, picture[:one_line].reshape(-1, 3).tolist()))


def test_of_a_name_that_is_too_long_the_end_is_shown():
    assert fitted("a.jpg", 500, 12) == "a.jpg"
    shown = fitted("some/long/way/to/an/image.jpg", 80, 12)
    assert shown.startswith("…")
    assert shown.endswith("image.jpg")


def test_void_is_told_from_a_class_that_is_black():
    black, white, blue = (
        {"name": name, "color": color} for name, color in (("a", [0, 0, 9]), ("b", [255] * 3), ("c", [0, 0, 200]))
    )
    tables = [
        ClassTable.from_spec({"ignore": 255, "classes": classes}) for classes in ([blue], [black, blue], [black, white])
    ]
    assert [void_color(table) for table in tables] == [[0, 0, 0], [255, 255, 255], [128, 128, 128]]
    mask = np.array([[0, 255]], np.uint8).repeat(20, 0).repeat(10, 1)
    picture = np.asarray(samples([("photo", np.full((3, 20, 20), 60, np.uint8), mask)], tables[2], side=20))
    column = picture[-24:-4, 24:44].reshape(-1, 3)
    assert set(map(tuple, column.tolist())) == {(0, 0, 9), (128, 128, 128)}
