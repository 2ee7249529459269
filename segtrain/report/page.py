"""`report.html`: one file that can be mailed and printed, which needs no network; `report.md` is the same in text.

What it shows is computed elsewhere; here it gets its layout.
"""

import base64
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from ..data.classes import ClassTable
from ..text import counted
from .comparison import Difference
from .pictures import colorize, displayable

SIDES = 320, 224, 160  # pixels, at most, of a picture in a report: the first that takes few enough bytes
MOST_BYTES = 32_000  # of a picture: 60 images with five each stay below 15 MB
MOST_SETTINGS = 40  # that runs differ in and that are shown
CURVES = {"IoU": ("IoU/val", "IoU/train"), "loss": ("loss/val", "loss/train")}
TEMPLATES = Path(__file__).parent / "templates"


class Look(NamedTuple):
    """An image (C, H, W) with its true and its predicted classes (H, W), and how sure (H, W) the network is, 0 to 1:
    every `step` rows and columns of them."""

    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    confidence: np.ndarray
    step: int = 1


class Row(NamedTuple):
    """An image in the report: its name, what is said of it, and its pictures with their captions, unless they are shown
    with another row."""

    name: str
    remark: str
    pictures: list[tuple[str, str]]  # caption, data URI


@dataclass(frozen=True)
class Page:
    """All that a report shows.

    Attributes:
        score: The content of `metrics.json`.
        colors: Colours of the classes, as CSS writes them.
        occurs: In how many images each class is.
        remarks: What is to be known of the score, in sentences.
        diagrams: Heading -> picture, as a data URI, of how sure the network is.
        confusions: Sentences on which classes are taken for which others.
        rows: Heading -> images.
        labels: How labels of the training are looked at, in a sentence, or nothing.
        curves: Heading -> picture, as a data URI.
        facts: What was scored, and with what: name -> value.
        settings: Settings of the training, as YAML.
    """

    title: str
    score: Mapping[str, Any]
    colors: Sequence[str]
    occurs: Sequence[int]
    remarks: Sequence[str]
    diagrams: Mapping[str, str]
    confusions: Sequence[str]
    matrix: str | None  # its picture, as a data URI
    rows: Mapping[str, Sequence[Row]]
    labels: str
    curves: Mapping[str, str]
    facts: Mapping[str, str]
    settings: str

    def html(self) -> str:
        return rendered("report.html", self)

    def markdown(self) -> str:
        return rendered("report.md", self)

    def json(self) -> str:
        """All but the pictures."""
        rows = {
            heading: [{"name": row.name, "remark": row.remark} for row in rows] for heading, rows in self.rows.items()
        }
        content = {
            "title": self.title,
            "score": self.score,
            "images_with_class": dict(zip(self.score["classes"], self.occurs, strict=True)),
            "remarks": self.remarks,
            "confusions": self.confusions,
            "images": rows,
            "labels": self.labels,
            "facts": self.facts,
            "settings": self.settings,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


class Contender(NamedTuple):
    """A run among others that it is compared with; scores are fractions, low and high the ends of their interval."""

    name: str
    seed: int
    miou: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """All that a comparison shows.

    Attributes:
        sentences: What it comes to.
        rows: The images that changed most, of each difference.
        colors: Class -> its colour in the pictures of these, as CSS writes it.
        facts: How each contender was made: name -> value.
        settings: Settings in which the contenders differ, with the value of each.
    """

    split: str
    contenders: Sequence[Contender]
    sentences: Sequence[str]
    differences: Sequence[Difference]
    rows: Sequence[Sequence[Row]]
    colors: Mapping[str, str]
    facts: Sequence[Mapping[str, str]]
    settings: Mapping[str, Sequence[str]]

    @property
    def shown_settings(self) -> list[tuple[str, Sequence[str]]]:
        """As many of the settings as a page has room for."""
        return list(self.settings.items())[:MOST_SETTINGS]

    def html(self) -> str:
        return rendered("compare.html", self)

    def markdown(self) -> str:
        return rendered("compare.md", self)

    def text(self) -> str:
        """The scores as lines of text, one for each run."""
        width = max(10, *(len(contender.name) for contender in self.contenders))
        lines = [f"{'run':{width}}  {'seed':>6} {'mIoU':>9}  95 %"]
        for contender in self.contenders:
            numbers = f"{contender.seed:>6} {contender.miou:>9.4f}  {contender.low:.4f} to {contender.high:.4f}"
            lines.append(f"{contender.name:{width}}  {numbers}")
        return "\n".join(lines)


def rendered(template: str, page: Page | Comparison) -> str:
    """A page in the layout of a template, in which no text of a stranger's becomes a part of the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, cell=cell, signed=signed, counted=counted)
    return environment.get_template(template).render(page=page)


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction as a number of per cent, or a dash for one that is not defined."""
    return "-" if fraction is None or math.isnan(fraction) else f"{100 * fraction:.{digits}f}"


def signed(points: float) -> str:
    """A difference in points, with its sign."""
    return "-" if math.isnan(points) else f"{points:+z.1f}"


def cell(text: str) -> str:
    """A text that can break no table in Markdown, and holds no HTML."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def css_colors(classes: ClassTable) -> list[str]:
    return [f"rgb({red}, {green}, {blue})" for red, green, blue in classes.colors.tolist()]


def row_of(name: str, remark: str, look: Look, classes: ClassTable) -> Row:
    """An image beside its truth, its prediction, what is wrong, and how sure the network was."""
    image = displayable(look.image).transpose(1, 2, 0)
    wrong = (look.truth != look.prediction) & (look.truth != classes.void)
    error = image // 3
    error[wrong] = (255, 0, 0)
    error[look.truth == classes.void] = 0
    sure = (255 * look.confidence).round().astype(np.uint8)
    pictures = [
        ("image", photograph(image)),
        ("truth", drawing(colorize(look.truth, classes))),
        ("prediction", drawing(colorize(look.prediction, classes))),
        ("error (red)", photograph(error)),
        ("confidence", photograph(np.repeat(sure[..., None], 3, 2))),
    ]
    return Row(name, remark, pictures)


def photograph(pixels: np.ndarray) -> str:
    """A picture (H, W, 3) uint8 as a data URI, smaller where it is large; with colours at full resolution, so that what
    is marked in red keeps its edges."""

    def draw(side: int) -> str:
        return encoded(reduced(pixels, Image.Resampling.BOX, side), "JPEG", quality=85, subsampling=0)

    return smallest(draw)


def drawing(pixels: np.ndarray) -> str:
    """The same of few colours, none of which is mixed."""

    def draw(side: int) -> str:
        picture = reduced(pixels, Image.Resampling.NEAREST, side)
        return encoded(picture.quantize(256, dither=Image.Dither.NONE), "PNG", optimize=True)

    return smallest(draw)


def smallest(draw: Callable[[int], str]) -> str:
    """What `draw` makes of the first of `SIDES` with at most `MOST_BYTES`, or of the last one: noise packs badly."""
    *larger, last = SIDES
    for side in larger:
        uri = draw(side)
        if 3 * len(uri) <= 4 * MOST_BYTES:  # four characters stand for three bytes
            return uri
    return draw(last)


def reduced(pixels: np.ndarray, resampling: Image.Resampling, side: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = min(1.0, side / max(picture.size))
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    return picture.resize(size, resampling)


def encoded(picture: Image.Image, kind: str, **options: Any) -> str:
    content = io.BytesIO()
    picture.save(content, format=kind, **options)
    return data_uri(content.getvalue(), f"image/{kind.lower()}")


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def curves(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Pictures of how a training went, by the rows of its `metrics.csv`; none of what was never logged."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # only now: it takes half a second
    from matplotlib.figure import Figure

    found = {}
    for heading, tags in CURVES.items():
        lines = {tag: points(rows, tag) for tag in tags}
        if not any(len(line) > 1 for line in lines.values()):
            continue
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for tag, line in lines.items():
            axes.plot([step for step, _ in line], [value for _, value in line], marker=".", label=tag)
        axes.set(xlabel="step", title=heading)
        axes.grid(alpha=0.3)
        axes.legend()
        content = io.BytesIO()
        figure.savefig(content, format="svg")
        found[heading] = data_uri(content.getvalue(), "image/svg+xml")
    return found


def points(rows: Sequence[Mapping[str, str]], tag: str) -> list[tuple[int, float]]:
    """(step, value) of the rows that have one."""
    return [(int(row["step"]), float(row[tag])) for row in rows if row.get(tag)]
