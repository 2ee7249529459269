"""Two images of 8 x 8 pixels, whose whole report is computed by hand.

Letters are classes: sky, road, car, wall (which is only predicted) and tree (which is nowhere). A dot is void, where a
tree or road is predicted, which must not count. In images as small as these, near a contour is what touches another
class or the border of the image; what only touches void is not near.
"""

import csv
import json
import re
from fractions import Fraction as F
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from segtrain.data.classes import ClassTable
from segtrain.metrics import Details, ImageMatrices, summary
from segtrain.report.details import with_details
from segtrain.report.page import Look
from segtrain.report.per_image import PerImage
from segtrain.report.scores import score
from segtrain.runs.record import Record
from segtrain.scoring.reporting import Request
from segtrain.scoring.scorer import report_score
from segtrain.scoring.split_score import SplitScore

NAMES = ("sky", "road", "car", "wall", "tree")
LETTERS = {"s": 0, "r": 1, "c": 2, "w": 3, "t": 4, ".": 255}
CONFIDENCES = {"5": 0.5, "6": 0.578125, "8": 0.875, "9": 0.921875, "1": 0.25}  # exact in binary
IMAGES = {  # truth, prediction, confidence
    "A": """
        sssssss.  ssssssst  66666661
        sssssss.  ssssssst  88888881
        sssssss.  ssssssst  88888881
        sssssss.  sssssrrt  88888551
        rrrrrrr.  rrrrrrrt  88888881
        rrccrrr.  rrcrrrrt  88888881
        rrccrrr.  rrccrrrt  88888881
        rrrrrrr.  rrrrrrrt  88888881
    """,
    "B": """
        ssssssss  wwssssss  55888888
        ssssssss  ssssssss  88888888
        rrrrrrrr  rrrrrrrr  99999999
        rrrrrrrr  rrrrcccr  99999999
        rrrrrrrr  rrrrcccr  99999999
        rrrrrrrr  rrrrrrrr  99999999
        rrrrrrrr  rrrrrrrr  99999999
        ........  rrrrrrrr  11111111
    """,
}
MATRIX = [  # rows: truth; A + B
    [26 + 14, 2, 0, 2, 0],
    [0, 24 + 34, 6, 0, 0],
    [0, 1, 3, 0, 0],
    [0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
]


class Row(NamedTuple):
    """What is expected of a class: fractions, `None` where nothing is defined."""

    iou: F | None  # right / (truth + predicted - right), by MATRIX
    low: F | None  # of two images drawn with replacement, a quarter of the draws is A twice, and a quarter B twice: so
    high: F | None  # the ends of 95 % are the least and the most of the IoU of A, of B, and of both
    dice: F | None  # 2 right / (truth + predicted)
    precision: F | None
    recall: F | None
    pixels: int
    images: int
    contours: F | None  # right in both bands / (true band + predicted band - right in both)
    away: F | None  # the same of pixels that are near no true contour, 16 in A and 24 in B
    small: F | None  # found / (found + missed + wrong): all objects are small
    objects: int


EXPECTED = {
    "sky": Row(
        iou=F(40, 44 + 40 - 40),
        low=F(14, 16),  # B; A has 26 / 28
        high=F(26, 28),
        dice=F(80, 44 + 40),
        precision=F(40, 40),
        recall=F(40, 44),
        pixels=28 + 16,
        images=2,
        # A, true band: row 0 (7), column 0 below (3), the rest of row 3 (6): 16
        # A, predicted band: row 0 (7), column 0 below (3), row 3 (4), what touches the wrong road in row 2 (3): 17
        # A, in both and right: row 0 (7), column 0 below (3), row 3 (4): 14
        # B: all of both rows, 16 true ones and 14 predicted ones
        contours=F(14 + 14, 16 + 16 + 17 + 14 - 28),
        away=F(12, 12),  # rows 1 and 2 of A without column 0
        small=F(26 + 14, 40 + 2 + 2),
        objects=2,
    ),
    "road": Row(
        iou=F(58, 64 + 61 - 58),
        low=F(34, 40),  # B; A has 24 / 27
        high=F(24, 27),
        dice=F(116, 64 + 61),
        precision=F(58, 61),
        recall=F(58, 64),
        pixels=24 + 40,
        images=2,
        # A, true band: rows 4 and 7 (14), columns 0, 1 and 4 of rows 5 and 6 (6): 20
        # A, predicted band: row 3 (2), columns 0 to 5 of row 4 (6), 0, 1, 3 and 4 of row 5 (4), 0, 1 and 4 of row 6
        #    (3), row 7 (7): 22
        # A, in both and right: row 4 (6), row 5 (3), row 6 (3), row 7 (7): 19
        # B, true band: row 2 (8), columns 0 and 7 below (8): 16, all of which are in both and right
        # B, predicted band: row 2 (8), columns 0, 3 and 7 of rows 3 and 4 (6), 0 and 3 to 7 of row 5 (6), 0 and 7 of
        #    row 6 (2): 22
        contours=F(19 + 16, 20 + 16 + 22 + 22 - 35),
        # 4 in A, all right; 24 in B (rows 3 to 6, columns 1 to 6), of which 6 are taken for a car
        away=F(4 + 18, 4 + 24),
        small=F(24 + 34, 58 + 6 + 3),  # 6 are missed in B; 3 wrong in A
        objects=2,
    ),
    "car": Row(
        iou=F(3, 4 + 9 - 3),
        low=F(0, 6),  # B; A has 3 / 4
        high=F(3, 4),
        dice=F(6, 4 + 9),
        precision=F(3, 9),
        recall=F(3, 4),
        pixels=4,
        images=1,
        contours=F(3, 4 + 3 + 6 - 3),  # each pixel touches a contour: 4 true ones, 3 predicted in A and 6 in B
        away=F(0, 6),  # those of B
        small=F(3, 3 + 1 + 6),  # what is predicted in B touches no car, and is small itself
        objects=1,
    ),
    "wall": Row(
        iou=F(0, 2),
        low=F(0, 2),  # A has none
        high=F(0, 2),
        dice=F(0, 2),
        precision=F(0, 2),
        recall=None,
        pixels=0,
        images=0,
        contours=F(0, 2),
        away=None,
        small=None,
        objects=0,
    ),
    "tree": Row(*[None] * 6, 0, 0, *[None] * 3, 0),
}
MIOU = (F(40, 44) + F(58, 67) + F(3, 10) + 0) / 4
OF_A = (F(26, 28) + F(24, 27) + F(3, 4)) / 3  # A has no wall
OF_B = (F(14, 16) + F(34, 40) + 0 + 0) / 4
CONTOURS = (F(28, 35) + F(35, 45) + F(3, 10) + 0) / 4
AWAY = (1 + F(22, 28) + 0) / 3
SMALL = (F(40, 44) + F(58, 67) + F(3, 10)) / 3
RIGHT, PIXELS = 40 + 58 + 3, 56 + 56
# By confidence: 4 pixels at 0.5, none right; 7 at 37/64, all right; 47 of A and 14 of B at 7/8, all right but the pixel
# of a car that is taken for road; 40 at 59/64, of which the 6 wrong cars are not.
BINS = {10: (4, 0, F(1, 2)), 11: (7, 7, F(37, 64)), 17: (61, 60, F(7, 8)), 18: (40, 34, F(59, 64))}
ECE = (4 * F(1, 2) + 7 * F(27, 64) + (60 - 61 * F(7, 8)) + (40 * F(59, 64) - 34)) / PIXELS
# Of what is kept, surest first: 40 pixels with 34 right, then 61 with 60, then 7 with 7. Where a part of pixels of the
# same confidence is kept, right and wrong ones alike. The least confidence is counted in steps of 1/4000: 37/64 is
# 2312.5 of them, and 59/64 3687.5.
COVERAGE = [
    ("0", F(101, 112), F(1, 2)),
    ("5", (34 + 60 + F("5.4")) / F("106.4"), F(2312, 4000)),
    ("10", (34 + F("60.8") * 60 / 61) / F("100.8"), F(7, 8)),
    ("20", (34 + F("49.6") * 60 / 61) / F("89.6"), F(7, 8)),
    ("30", (34 + F("38.4") * 60 / 61) / F("78.4"), F(7, 8)),
    ("50", (34 + F(16) * 60 / 61) / F(56), F(7, 8)),
]
CONFUSIONS = [  # by pixels: 6, 2, 2, 1
    "road taken for car: 9 % of road",  # 6 / 64
    "sky taken for road: 5 % of sky",  # 2 / 44
    "sky taken for wall: 5 % of sky",
    "car taken for road: 25 % of car",  # 1 / 4
]
REMARKS = [  # of images: what is lost is in the truth or the prediction, but not in both
    f"B: mean IoU within the image {float(100 * OF_B):.1f} %",
    f"A: mean IoU within the image {float(100 * OF_A):.1f} %",
    "wall: B: IoU 0.0 %, 2 pixels lost (shown above)",
    "car: B: IoU 0.0 %, 6 pixels lost (shown above)",
    "car: A: IoU 75.0 %, 1 pixels lost (shown above)",
    "road: B: IoU 85.0 %, 6 pixels lost (shown above)",
    "road: A: IoU 88.9 %, 3 pixels lost (shown above)",
    "sky: A: IoU 92.9 %, 2 pixels lost (shown above)",
    "sky: B: IoU 87.5 %, 2 pixels lost (shown above)",
    "car: A: IoU 75.0 % (shown above)",  # the best ones
    "road: B: IoU 85.0 % (shown above)",
    "sky: A: IoU 92.9 % (shown above)",
]


class Data:
    """What is asked of data here."""

    classes = ClassTable.from_spec({"classes": [{"name": name} for name in NAMES], "ignore": 255}, "a test")
    final_split = "test"


def drawn(image: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and confidence (8, 8)."""
    columns = zip(*(line.split() for line in IMAGES[image].strip().splitlines()), strict=True)
    truth, prediction, confidence = (np.array([list(row) for row in column]) for column in columns)
    indices = (np.vectorize(LETTERS.get)(classes).astype(np.uint8) for classes in (truth, prediction))
    return (*indices, np.vectorize(CONFIDENCES.get)(confidence).astype(np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the score of these images, as `evaluate` writes it."""
    matrices, details = ImageMatrices(len(NAMES), 255), Details(len(NAMES), 255)
    looks = []
    for key, image in enumerate(IMAGES):
        truth, prediction, confidence = drawn(image)
        answer, mask, sure = (torch.from_numpy(pixels)[None] for pixels in (prediction, truth, confidence))
        matrices.update(answer, mask, torch.tensor([key]))
        details.update(answer, mask)
        details.confidence.update(sure, answer, mask)
        looks.append(Look(np.zeros((3, 8, 8), np.uint8), truth, prediction, confidence))
    matrix, counts = matrices.compute(), details.compute()
    images = PerImage(list(IMAGES), NAMES, matrices.all_cells().numpy())
    result = with_details(score(summary(matrices), matrix, "test", NAMES), counts)
    found = SplitScore(result, matrix, images, counts, looks.__getitem__, "32-true")
    spec = {"_target_": "some.Thing"}
    record = Record("x", {"name": "hand", "data": spec}, spec, spec, spec, "32-true", None, 3, "f")
    target = tmp_path_factory.mktemp("run")
    data: Any = Data()
    report_score(found, data, target / "score", target, record, None, Request(0, []))
    return target / "score"


class Reader(HTMLParser):
    """The tables of a page, as texts row by row, and all of its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.text, self.in_cell = "", False
        self.feed(page)
        self.text = " ".join(self.text.split())
        for row in chain.from_iterable(self.tables):
            row[:] = [" ".join(cell.split()) for cell in row]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.tables[-1][-1][-1] += data


def tables_of(markdown: str) -> list[list[list[str]]]:
    """The tables of a text, without the lines below their headings."""
    tables = []
    for block in re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE):
        head, _, *rows = block.splitlines()
        tables.append([[cell.strip() for cell in line[1:-1].split("|")] for line in (head, *rows)])
    return tables


def named(table: list[list[str]]) -> dict[str, dict[str, str]]:
    """The cells of a table by the first one of their row and the heading of their column."""
    head, *rows = table
    return {row[0].strip("*"): dict(zip(head, row, strict=True)) for row in rows}


def percent(fraction: F | None) -> str:
    return "-" if fraction is None else f"{float(100 * fraction):.1f}"


def number(fraction: F | None) -> Any:
    """What JSON has of a fraction."""
    return None if fraction is None else pytest.approx(float(fraction), rel=1e-12, abs=1e-12)


@pytest.fixture(scope="module", params=["html", "md"])
def shown(request: pytest.FixtureRequest, folder: Path) -> tuple[str, str, list[list[list[str]]]]:
    """Which file it is, its text and its tables."""
    content = (folder / f"report.{request.param}").read_text(encoding="utf-8")
    if request.param == "md":
        return "md", content, tables_of(content)
    page = Reader(content)
    return "html", page.text, page.tables


def test_each_class_has_its_numbers_in_its_row(shown: tuple[str, str, list[list[list[str]]]]):
    rows = named(shown[2][0])
    assert list(rows) == list(EXPECTED)
    for name, row in EXPECTED.items():
        cells = rows[name]
        interval = "-" if row.low is None else f"{percent(row.low)} to {percent(row.high)}"
        assert (cells["IoU %"], cells["95 %"]) == (percent(row.iou), interval)
        shares = [percent(share) for share in (row.dice, row.precision, row.recall)]
        assert [cells["Dice"], cells["precision"], cells["recall"]] == shares
        assert (cells["pixels"], cells["images"]) == (str(row.pixels), str(row.images))


def test_contours_and_sizes_have_theirs(shown: tuple[str, str, list[list[list[str]]]]):
    kind, text, tables = shown
    columns = {"html": ("contours %", "away %"), "md": ("IoU % at contours", "away from them")}[kind]
    mean = Row(None, None, None, None, None, None, 0, 0, CONTOURS, AWAY, SMALL, 2 + 2 + 1)
    rows = named(tables[1])
    assert list(rows) == ["mean", *EXPECTED]
    for name, row in {"mean": mean, **EXPECTED}.items():
        cells = rows[name]
        assert [cells[column] for column in columns] == [percent(row.contours), percent(row.away)]
        assert cells["small %"] == f"{percent(row.small)} ({row.objects})"
        assert (cells["medium %"], cells["large %"]) == ("- (0)", "- (0)")
    assert "within 2 % of the image's diagonal" in text


def test_confidence_has_its(shown: tuple[str, str, list[list[list[str]]]]):
    kind, text, tables = shown
    rows = [[left_out, percent(accuracy), percent(least)] for left_out, accuracy, least in COVERAGE]
    assert tables[2][1:] == rows
    plain = text.replace("**", "")
    assert f"differ by {percent(ECE)} points on average" in plain
    assert "Leaving out the 10 % least sure pixels" in plain
    assert f"takes accuracy from {rows[0][1]} to {rows[2][1]} %" in plain
    if kind == "html":
        assert f"have a probability of at least {rows[2][2]} %" in plain
    assert "(temperature 1)" in plain


def test_the_sentences_have_theirs(shown: tuple[str, str, list[list[list[str]]]]):
    kind, text, _ = shown
    assert f"{percent(MIOU)} % mIoU" in text
    assert f"{percent(OF_B)} to {percent(OF_A)} on other such images" in text
    assert "(bootstrap over 2 images)" in text
    assert "too narrow: only 2 images" in text
    void = {"html": "112 pixels and 16 void ones, which do not count;", "md": "112 pixels, 16 void ones,"}[kind]
    assert f"{void} accuracy {percent(F(RIGHT, PIXELS))} %." in text
    assert re.search(r"\b2 images of test, ", text)
    places = [text.index(line) for line in CONFUSIONS]
    assert places == sorted(places)
    assert len(re.findall(r"\w+ taken for \w+: ", text)) == 4
    places = [text.index(line) for line in REMARKS]
    assert places == sorted(places)
    assert text.count("(shown above)") == 10


def test_the_numbers_of_the_file_are_these(folder: Path):
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    totals = {"images": 2, "pixels": PIXELS, "void_pixels": 8 + 8}
    assert {name: found[name] for name in totals} == totals
    assert found["miou"] == number(MIOU)
    assert found["accuracy"] == number(F(RIGHT, PIXELS))
    assert found["miou_interval"] == [number(OF_B), number(OF_A)]
    assert found["constant_miou"] == number(F(64, 112) / 3)  # road everywhere, of three classes in the truth
    assert [found["boundary"]["miou"], found["interior"]["miou"]] == [number(CONTOURS), number(AWAY)]
    assert found["sizes"]["small"] == {"miou": number(SMALL), "objects": 5}
    for name, row in EXPECTED.items():
        values = found["classes"][name]
        shares = {"iou": row.iou, "dice": row.dice, "precision": row.precision, "recall": row.recall}
        shares |= {"boundary_iou": row.contours, "interior_iou": row.away}
        assert {key: values[key] for key in shares} == {key: number(share) for key, share in shares.items()}
        assert values["iou_interval"] == (None if row.low is None else [number(row.low), number(row.high)])
        assert values["pixels"] == row.pixels
        small = values["sizes"]["small"]
        assert (small["iou"], small["objects"]) == (number(row.small), row.objects)


def test_the_numbers_of_confidence_are_these(folder: Path):
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["calibration"]
    assert found["ece"] == number(ECE)
    filled = {index: values for index, values in enumerate(found["bins"]) if values["pixels"]}
    assert list(filled) == list(BINS)
    for index, (pixels, right, mean) in BINS.items():
        values = filled[index]
        assert (values["low"], values["high"]) == (number(F(index, 20)), number(F(index + 1, 20)))
        assert (values["pixels"], values["accuracy"]) == (pixels, number(F(right, pixels)))
        assert values["confidence"] == number(mean)
    points = [(point["left_out"], point["accuracy"], point["confidence"]) for point in found["coverage"]]
    assert points == [(number(F(share) / 100), number(right), number(least)) for share, right, least in COVERAGE]


def test_the_report_as_json_has_them_all(folder: Path):
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert found["score"] == json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert found["images_with_class"] == {name: row.images for name, row in EXPECTED.items()}
    assert found["confusions"] == CONFUSIONS
    rows = chain.from_iterable(found["images"].values())
    assert [f"{row['name']}: {row['remark']}" for row in rows] == REMARKS


def test_the_matrix_is_this(folder: Path):
    with open(folder / "confusion.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head[1:] == list(NAMES)
    assert rows == [[name, *map(str, row)] for name, row in zip(NAMES, MATRIX, strict=True)]
