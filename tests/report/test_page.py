import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from segtrain.data.classes import ClassTable
from segtrain.metrics import Counts, Details
from segtrain.report.details import with_details
from segtrain.report.diagrams import diagrams
from segtrain.report.findings import bests, confusions, costly, extremes, ranked
from segtrain.report.intervals import intervals
from segtrain.report.page import MOST_BYTES, Look, Page, Row, css_colors, curves, drawing, percent, photograph, row_of
from segtrain.report.per_image import PerImage
from segtrain.report.scores import score, with_intervals

VOID = 255
NASTY = "<script>alert(1)</script> | \"sky\" & 'sea'"


def table_of(names: list[str]) -> ClassTable:
    rng = np.random.default_rng(0)
    classes = [{"name": name, "color": rng.integers(0, 256, 3).tolist()} for name in names]
    return ClassTable.from_spec({"classes": classes, "ignore": VOID}, "a test")


def images_of(matrices: np.ndarray, names: list[str]) -> PerImage:
    image, truth, prediction = matrices.nonzero()
    cells = np.column_stack([image, truth * len(names) + prediction, matrices[image, truth, prediction]])
    return PerImage([f"day 1/{i}" for i in range(len(matrices))], tuple(names), cells)


def counts_of(names: list[str]) -> Counts:
    """Of made-up pixels, the surer of which are right more often; the last class occurs nowhere."""
    rng = np.random.default_rng(2)
    mask = np.kron(rng.integers(0, len(names) - 1, (8, 10)), np.ones((20, 20), int))
    confidence = rng.uniform(0.4, 1, mask.shape)
    other = rng.integers(0, len(names) - 1, mask.shape)
    prediction = np.where(rng.random(mask.shape) < confidence, mask, other)
    details = Details(len(names), VOID)
    sure, classes, truth = (torch.from_numpy(pixels)[None] for pixels in (confidence, prediction, mask))
    details.update(classes, truth)
    details.confidence.update(sure, classes, truth)
    return details.compute()


def page_of(names: list[str], images: int = 60, side: int = 40) -> Page:
    """Of made-up scores of so many classes; the last class occurs nowhere."""
    rng = np.random.default_rng(1)
    matrices = rng.integers(0, 50, (images, len(names), len(names)))
    matrices[:, range(len(names)), range(len(names))] *= 4
    matrices[:, -1], matrices[:, :, -1] = 0, 0
    each, matrix = images_of(matrices, names), torch.from_numpy(matrices.sum(0))
    classes = table_of(names)
    totals = {"images": images, "pixels": int(matrix.sum()), "void_pixels": 5, "miou": 0.5, "accuracy": 0.75}
    result = with_details(with_intervals(score(totals, matrix, "val", tuple(names)), intervals(each)), counts_of(names))
    result["calibration"]["temperature"] = 1.5
    look = Look(
        rng.integers(0, 256, (3, side, 2 * side)).astype(np.uint8),
        rng.integers(0, len(names), (side, 2 * side)),
        rng.integers(0, len(names), (side, 2 * side)),
        rng.random((side, 2 * side)),
    )
    rows = [{"step": str(step), "IoU/val": f"{step / 100}", "loss/train": "1.5"} for step in (10, 20, 30)]
    return Page(
        title=f"photos-{names[0]}: val",
        score=result,
        colors=css_colors(classes),
        occurs=(each.truth > 0).sum(0).tolist(),
        remarks=["Never predicted: none."],
        diagrams=diagrams(result["calibration"]),
        confusions=[confusion.line() for confusion in confusions(matrix, names, 10)],
        matrix=None,
        rows={"The worst images": [row_of("day 1/7", "mean IoU 3 %", look, classes)]},
        labels="Labels are found by: evaluate run='a b'",
        curves=curves(rows),
        facts={"data": "/photos/of the & sea", "to score it again": "evaluate run='a b'"},
        settings="model:\n  width: 1\n",
    )


class Reader(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("number", [2, 11, 150])
def test_a_report_shows_every_number_and_needs_nothing_else(number: int):
    page = page_of([f"class {i}" for i in range(number)])
    html = Reader(page.html())
    assert "50.0 % mIoU" in html.text
    assert page.labels in html.text
    for name, values in page.score["classes"].items():
        assert name in html.text
        if values["iou"] is not None:
            assert percent(values["iou"]) in html.text
    assert "script" not in html.tags
    assert "link" not in html.tags
    sources = [value for name, value in html.attributes if name == "src"]
    assert len(sources) == 5 + 2 + 2
    assert all((value or "").startswith("data:image/") for value in sources)
    assert html.tags.count("a") == 3  # papers that numbers come from, which nothing is loaded of
    markdown = page.markdown()
    assert page.labels in markdown
    assert all(f"| {name} |" in markdown for name in page.score["classes"])
    confused = re.findall(r"^1\. class \d+ taken for class \d+: [\d.]+ % of class \d+$", markdown, re.MULTILINE)
    assert len(confused) == {2: 0, 11: 10, 150: 10}[number]  # of two, one occurs nowhere


def test_names_are_texts_and_no_code():
    page = page_of([NASTY, "other", "third"])
    page = replace(page, rows={"The worst images": [Row(NASTY, f"labelled {NASTY}", [])]})
    html, markdown = page.html(), page.markdown()
    assert NASTY in Reader(html).text
    assert "<script" not in html
    assert "<script" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| &lt;")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 9


def test_confusions_in_words():
    matrix = torch.tensor([[90, 10, 0], [30, 170, 0], [1, 0, 9999]])
    found = confusions(matrix, ["road", "pavement", "sky"], 2)
    assert [confusion.line() for confusion in found] == [
        "pavement taken for road: 15 % of pavement",
        "road taken for pavement: 10 % of road",
    ]
    assert confusions(matrix, ["road", "pavement", "sky"], 9)[2].line() == "sky taken for road: 0.01 % of sky"
    assert not confusions(torch.eye(3, dtype=torch.int64), ["a", "b", "c"], 9)


def test_the_worst_images_come_first_and_none_twice():
    matrices = np.zeros((5, 2, 2), np.int64)
    for i, hits in enumerate((50, 90, 10, 70)):  # the fifth is void
        matrices[i] = [[hits, 100 - hits], [0, 100]]
    images = images_of(matrices, ["a", "b"])
    assert ranked(images) == [2, 0, 3, 1]
    assert extremes(images, 2, 1) == ([2, 0], [1])
    assert extremes(images, 3, 9) == ([2, 0, 3], [1])
    assert extremes(images, 9, 2) == ([2, 0, 3, 1], [])


def test_what_costs_a_class_most_is_counted_in_pixels():
    matrices = np.zeros((4, 3, 3), np.int64)
    matrices[0] = [[500, 0, 0], [10, 0, 0], [0, 0, 0]]  # ten pixels of b, none of which is found
    matrices[1] = [[500, 40, 0], [60, 100, 0], [0, 0, 0]]
    matrices[2] = [[900, 0, 0], [0, 100, 0], [0, 0, 0]]
    images = images_of(matrices, ["a", "b", "c"])
    found = costly(images, 6)  # each class has room for two and for its best one
    assert [(item.class_name, item.image, item.lost) for item in found] == [
        ("b", 1, 100),
        ("b", 0, 10),
        ("a", 1, 100),
        ("a", 0, 10),
    ]
    assert found[0].iou == 100 / 200
    assert found[0].line() == "IoU 50.0 %, 100 pixels lost"
    assert [item.class_name for item in costly(images, 5)] == ["b", "a"]
    assert [item.class_name for item in costly(images, 1)] == ["b"]
    assert not costly(images_of(matrices * np.eye(3, dtype=int), ["a", "b", "c"]), 9)


def test_the_best_image_of_a_class_is_one_that_shows_much_of_it():
    matrices = np.zeros((5, 3, 3), np.int64)
    matrices[0] = [[0, 0, 0], [0, 4, 0], [5, 0, 0]]  # all four pixels of b are found, and none of c is anywhere
    matrices[1] = [[500, 0, 0], [50, 100, 0], [0, 0, 0]]
    matrices[2] = [[500, 0, 0], [20, 100, 0], [0, 0, 0]]
    matrices[3] = [[500, 0, 0], [0, 10, 0], [0, 0, 0]]
    images = images_of(matrices, ["a", "b", "c"])
    found = bests(images, 9)
    assert [(item.class_name, item.image, item.iou) for item in found] == [("b", 2, 100 / 120), ("a", 2, 500 / 520)]
    assert found[0].line() == "IoU 83.3 %"
    assert [item.class_name for item in bests(images, 2)] == ["b"]  # c and b are the worst


@pytest.mark.parametrize("draw", [photograph, drawing])
def test_a_picture_takes_few_bytes_whatever_it_shows(draw: Callable[[np.ndarray], str]):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    assert 0.4 * MOST_BYTES < len(draw(noise)) * 3 / 4 <= MOST_BYTES
    assert opened(draw(noise[:, :, :1].repeat(3, 2) // 255)).size == (320, 320)
    assert 60 * 5 * MOST_BYTES * 4 / 3 < 15e6


def test_pictures_are_small_and_keep_their_colours():
    classes = table_of(["a", "b", "c"])
    truth = np.zeros((900, 700), np.int64)
    truth[:450], truth[800:] = 1, VOID
    look = Look(np.zeros((1, 900, 700), np.uint16), truth, np.zeros_like(truth), np.ones(truth.shape))
    row = row_of("x", "", look, classes)
    pictures = {caption: opened(uri) for caption, uri in row.pictures}
    assert {picture.size for picture in pictures.values()} == {(249, 320)}
    drawn = {color for _, color in pictures["truth"].convert("RGB").getcolors()}
    assert drawn == {tuple(classes.colors[0]), tuple(classes.colors[1]), (0, 0, 0)}
    error = np.asarray(pictures["error (red)"].convert("RGB"))
    assert (error[10, 10, 0] > 240, error[200, 10].max() < 20) == (True, True)


def opened(uri: str) -> Image.Image:
    import base64
    import io

    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def test_curves_are_drawn_of_what_was_logged():
    rows = [{"step": "1", "IoU/val": "0.1"}, {"step": "2", "IoU/val": ""}, {"step": "3", "IoU/val": "0.3"}]
    assert list(curves(rows)) == ["IoU"]
    assert curves([]) == {}
    assert curves(rows[:1]) == {}
