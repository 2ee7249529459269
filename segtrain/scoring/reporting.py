"""What the report on a score shows is gathered: from the score, from the images, and from the folder of the run."""

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from .. import __version__, disk
from ..data import DataModule
from ..report.diagrams import diagrams
from ..report.findings import Best, Costly, bests, confusions, costly, extremes
from ..report.labels import problems_csv
from ..report.page import Look, Page, Row, css_colors, curves, data_uri, row_of
from ..report.per_image import mean_of_defined
from ..report.screen import COMMAND, Countdown, say
from ..runs.folder import read_environment
from ..runs.metrics_csv import parse
from ..runs.record import Record
from ..text import printable
from .labels import label_problems
from .split_score import SplitScore
from .views import Views

CONFUSIONS, WORST, BEST = 10, 6, 3  # that are shown
OF_CLASSES = 20  # images that are shown for single classes, all together
OF_BEST = 3  # pictures of an image in which a class is found best: image, truth, prediction
REPORTS = ("report.html", "report.md", "report.json")
LABELS, SHOWN_LABELS = "label_problems.csv", 12
PACKAGES = ("segtrain", "python", "torch", "torchvision", "lightning")
VIEWS = [field.name for field in fields(Views)]


class Request(NamedTuple):
    """What a score was asked for by, as far as its numbers do not say it."""

    labels: int  # images with label problems that are looked for, at most
    networks: Sequence[str]  # words by which the images of the training are scored; none where these were
    command: str = "the training itself, at its end"
    root: Path | None = None  # the folder of the images, where one was typed
    strange: bool = False  # whether what lies there differs from the data of the training
    without: Sequence[str] = ()  # what the training has fitted, and the score leaves out


def write_report(
    scored: SplitScore, data: DataModule, target: Path, run: Path, record: Record, remarks: list[str], request: Request
) -> Path:
    """`report.html`, `report.md` and `report.json` in the folder of a score, and `label_problems.csv` if labels to look
    at are wanted; the path of the first."""
    result, names = scored.result, data.classes.names
    for name in (*REPORTS, LABELS):
        (target / name).unlink(missing_ok=True)  # those of an earlier score would be taken for this one's
    rows = shown_images(scored, data)
    if request.labels:
        rows |= shown_labels(scored, data, target, request.labels)
    picture = target / "confusion.png"
    page = Page(
        title=title_of(result, record, request),
        score=result,
        colors=css_colors(data.classes),
        occurs=(scored.images.truth > 0).sum(0).tolist(),
        remarks=remarks,
        diagrams=diagrams(result["calibration"]),
        confusions=[confusion.line() for confusion in confusions(scored.matrix, names, CONFUSIONS)],
        matrix=data_uri(picture.read_bytes(), "image/png") if picture.exists() else None,
        rows=rows,
        labels=on_labels(request, result["split"]),
        curves=curves_of(run),
        facts=made_by(scored, request) | facts_of(run, record),
        settings=yaml.safe_dump(record.settings, sort_keys=False, allow_unicode=True),
    )
    written = [target / name for name in REPORTS]
    for path, content in zip(written, (page.html(), page.markdown(), page.json()), strict=True):
        disk.write(path, content)
    return written[0]


def title_of(score: Mapping[str, Any], record: Record, request: Request) -> str:
    """What was scored on what; a score on images of another folder does not look like one of the run's own."""
    place = f" on {request.root.name}" if request.root else ""
    return f"{record.settings['name']}{place}: {score['split']}"


def shown_images(scored: SplitScore, data: DataModule) -> dict[str, list[Row]]:
    """The images that went worst and best, on the whole and for each class, with their pictures."""
    worst, best = extremes(scored.images, WORST, BEST)
    found, good = costly(scored.images, OF_CLASSES), bests(scored.images, OF_CLASSES)
    above, some = {*worst, *best}, classes_of(scored)
    of_classes = {item.image for item in (*found, *good)} - above
    with Countdown("drawing the report", len(above) + min(OF_CLASSES, len(of_classes)), transient=True) as countdown:
        scored, most = counting(scored, countdown), len(above) + OF_CLASSES
        best_of = f"The best image of {some}, among the half of its images with most pixels of it"
        shown = {
            "The worst images": image_rows(scored, data, worst),
            "The best images": image_rows(scored, data, best),
            f"What costs {some} most": class_rows(scored, data, found, above, most),
            best_of: class_rows(scored, data, good, above, most),
        }
    return {heading: rows for heading, rows in shown.items() if rows}


def counting(scored: SplitScore, countdown: Countdown) -> SplitScore:
    """The same score, with each look at an image counted."""

    def look(index: int) -> Look:
        seen = scored.look(index)
        countdown.advance()
        return seen

    return scored._replace(look=look)


def image_rows(scored: SplitScore, data: DataModule, indices: Sequence[int]) -> list[Row]:
    """A row for each of some images."""
    mean = mean_of_defined(scored.images.iou)
    rows = []
    for index in indices:
        remark = f"mean IoU within the image {100 * mean[index]:.1f} %"
        rows.append(row_of(scored.images.names[index], remark, scored.look(index), data.classes))
    return rows


def classes_of(scored: SplitScore) -> str:
    """Of very many classes only the worst ones are there, which it says."""
    images = scored.images
    occurring = int(((images.truth + images.predicted).sum(0) > 0).sum())
    return f"each of the {OF_CLASSES} worst of {occurring} classes" if occurring > OF_CLASSES else "each class"


def class_rows(
    scored: SplitScore, data: DataModule, found: Sequence[Costly] | Sequence[Best], above: set[int], most: int
) -> list[Row]:
    """A row for each image that costs a class much, or is its best. Those that are shown `above`, where they are added,
    are only named, and so is what goes beyond so many."""
    rows = []
    for item in found:
        name = f"{item.class_name}: {scored.images.names[item.image]}"
        if item.image in above:
            rows.append(Row(name, f"{item.line()} (shown above)", []))
        elif len(above) == most:
            rows.append(Row(name, item.line(), []))
        else:
            row = row_of(name, item.line(), scored.look(item.image), data.classes)
            rows.append(row._replace(pictures=row.pictures[:OF_BEST]) if isinstance(item, Best) else row)
            above.add(item.image)
    return rows


def shown_labels(scored: SplitScore, data: DataModule, target: Path, wanted: int) -> dict[str, list[Row]]:
    """The labels that the network contradicts most, with their pictures; all that are wanted go into a file."""
    found = label_problems(scored, data.classes, wanted)
    disk.write(target / LABELS, problems_csv([item.problem for item in found]))
    if not found:
        return {}
    say(f"a label to look at: {found[0].problem.image}: {found[0].problem.line()}; {LABELS} has {len(found)}")
    return {"Labels to look at": [item.row for item in found[:SHOWN_LABELS]]}


def on_labels(request: Request, split: str) -> str:
    """How the labels of the training are looked at, in a sentence; nothing where that was done."""
    if not request.networks:
        return ""
    words = shlex.join(["evaluate", *request.networks, "split=train", f"label_problems={SHOWN_LABELS}"])
    of_val = "" if split == "val" else " (with split=val those that chose it)"
    return f"Labels that it was trained on{of_val}, and contradicts nonetheless, are found by: {COMMAND} {words}"


def curves_of(run: Path) -> dict[str, str]:
    """Pictures of how the training went, where its numbers lie in the folder of the run."""
    with suppress(OSError):
        return curves(parse((run / "metrics.csv").read_bytes()).rows)
    return {}


def made_by(scored: SplitScore, request: Request) -> dict[str, str]:
    """What made this score: the command, the images, and how they were computed."""
    score, facts = scored.result, {"scored by": request.command}
    if request.root:
        same = "other names, sizes or classes than" if request.strange else "names, sizes and classes as"
        facts["images of"] = f"{request.root} ({same} in the training)"
    views = [f"{name}={json.dumps(score[name])}" for name in VIEWS if name in score]
    facts["views"] = ", ".join(views) or "as in the training"
    if request.without:
        facts["left out"] = ", ".join(request.without)
    if "members" in score:
        facts["members"] = ", ".join(score["members"])
    return {**facts, "precision": scored.precision, "scored with": f"segtrain {__version__}, torch {torch.__version__}"}


def facts_of(run: Path, record: Record) -> dict[str, str]:
    """What network was scored, and how it was trained."""
    data = record.settings["data"]
    facts = {"run": str(run), "network": str(record.model["_target_"])}
    facts["data of the training"] = str(data.get("root") or data["_target_"])
    facts["their fingerprint"], facts["precision of the training"] = record.fingerprint, record.precision
    return facts | training_of(run)


def training_of(run: Path) -> dict[str, str]:
    """How a run was trained, as far as its folder tells without its checkpoints."""
    facts, overrides = {}, run / "overrides.txt"
    if overrides.is_file():
        words = overrides.read_text(encoding="utf-8", errors="replace").splitlines()
        facts["trained by"] = f"{COMMAND} {shlex.join(['train', *words])}"
    environment = {name: value for name, value in read_environment(run).items() if isinstance(value, str)}
    versions = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
    if versions:
        facts["trained with"] = ", ".join(versions)
    for name in ("commit", "device", "platform"):
        if environment.get(name):
            facts[f"{name} of the training"] = environment[name]
    return {name: printable(value) for name, value in facts.items()}


def report_or_say(*arguments: Any) -> Path | None:
    """`write_report`; one that cannot be written costs no score: it is said."""
    try:
        return write_report(*arguments)
    except Exception as error:  # whatever it is: the numbers are there
        say(f"report.html: it could not be written ({type(error).__name__}: {error}); the numbers are beside it")
        return None
