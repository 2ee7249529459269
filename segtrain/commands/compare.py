"""`compare`: what the scores of several runs on the same images say, and what they do not."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from .. import disk
from ..build import Trust, from_stored
from ..data.batches.source import Source
from ..data.classes import ClassTable
from ..errors import UserError
from ..inference.windows import Windows
from ..machine import device
from ..machine.device import Computing
from ..report.changed import changed_row
from ..report.comparison import Change, Difference, Scored, compared, recipe_sentences, recipes
from ..report.intervals import intervals
from ..report.page import Comparison, Contender, Look, Row
from ..report.per_image import read_per_image
from ..report.screen import COMMAND, Countdown, counted_down, say
from ..runs.folder import find, several
from ..runs.recipe import origin
from ..training.looking import look_at
from ..training.reopened import as_scored, on_device

FILE = "per_image.npz"
SHOWN, MOST_ROWS = 6, 36  # images with pictures: of two runs, and of all


@dataclass
class Elsewhere:
    """Settings in place of the runs' own, where not `None`: the same images in another folder."""

    root: str | None
    max_pixels: int | None


@dataclass(frozen=True)
class Opening:
    """How networks and their data are opened, and where they compute."""

    elsewhere: Elsewhere
    trainer: Computing
    trust: Trust


class Viewer(NamedTuple):
    """A network that answers again to images that it was scored on, which are known by their names."""

    network: nn.Module
    windows: Windows
    classes: ClassTable
    source: Source
    places: Mapping[str, int]

    def look(self, name: str) -> Look:
        """An image, and what the network makes of it."""
        if name not in self.places:
            raise UserError(f"{name}: it is not among the images of the run any more")
        return look_at(self.network, self.windows, self.source, self.places[name])


def compare(
    *,
    runs: str,
    split: str | None,
    out: str | None,
    pictures: bool,
    data: Elsewhere,
    trainer: Computing,
    allow: list[str],
) -> None:
    """Say which of several runs is better on the images that all of them were scored on, and whether these can tell.

    The first run is what the others are compared with. `split` is the name of a score in their `evaluate/` folders.
    With `pictures` the networks answer once more to the images that changed most, where they and the data are at hand.
    """
    names = several(runs)
    if len(names) < 2:
        raise UserError(f"runs={runs}: name two runs or more, as in runs=[A,B]")
    folders = [find(name, "runs") for name in names]
    split = split or common_split(folders)
    networks = [scored(name, folder, split) for name, folder in zip(names, folders, strict=True)]
    found = [compared(networks[0], other) for other in counted_down("comparing", networks[1:], transient=True)]
    sentences = [difference.sentence() for difference in found] + recipe_sentences(recipes(networks))
    doubts = found[0].doubts
    if doubts:
        sentences.append(f"The intervals are too narrow: {'; '.join(doubts)}.")
    rows: list[list[Row]] = [[] for _ in found]
    if pictures:
        rows, reason = changed_rows(folders, split, found, Opening(data, trainer, Trust(allow)))
        if reason:
            sentences.append(f"Pictures of images that changed most are missing: {reason}")
    page = Comparison(split, [contender(network) for network in networks], sentences, found, rows)
    say(page.text())
    for sentence in sentences:
        say(sentence)
    target = Path(out) if out else folders[0] / "compare"
    if not out:
        disk.stay_inside(folders[0], target)
    target.mkdir(parents=True, exist_ok=True)
    disk.write(target / "compare.html", page.html())
    disk.write(target / "compare.md", page.markdown())
    disk.write(target / "compare.json", json.dumps(as_json(page, found), indent=2, ensure_ascii=False) + "\n")
    say(f"written: {target / 'compare.html'}; beside it compare.md, compare.json")


def common_split(folders: Sequence[Path]) -> str:
    """The split that all runs have scores of: test, or else val."""
    for split in ("test", "val"):
        if all((folder / "evaluate" / split / FILE).is_file() for folder in folders):
            return split
    folder = next(folder for folder in folders if not (folder / "evaluate" / "test" / FILE).is_file())
    raise UserError(f"{folder}: it has no scores of images yet: type {COMMAND} evaluate run={folder} first")


def scored(name: str, folder: Path, split: str) -> Scored:
    """The scores of a run. Raises UserError if it has none of this name."""
    file = folder / "evaluate" / split / FILE
    if not file.is_file():
        words = f"run={folder} split={split.partition('-')[0]}"
        raise UserError(f"{file} is not there: type {COMMAND} evaluate {words} first")
    made = origin(folder)
    return Scored(name, made.recipe, made.settings["seed"], read_per_image(file))


def changed_rows(
    folders: Sequence[Path], split: str, found: Sequence[Difference], opening: Opening
) -> tuple[list[list[Row]], str]:
    """Of each difference, the images that changed most with what both networks make of them; and why some are missing,
    or an empty text. A network, or images, that are not at hand any more cost no comparison."""
    device.quiet()
    rows: list[list[Row]] = []
    most = max(1, min(SHOWN, MOST_ROWS // len(found)))
    shown = [difference.images[:most] for difference in found]
    try:
        with Countdown("showing what changed", sum(map(len, shown)), transient=True) as countdown:
            first = viewer(folders[0], split, opening)
            for folder, changes in zip(folders[1:], shown, strict=True):
                second = viewer(folder, split, opening)
                both: list[Row] = []
                with from_stored(str(folder)):
                    for change in changes:
                        both.append(changed(change, first, second))
                        countdown.advance()
                rows.append(both)
    except (UserError, OSError) as error:
        return rows + [[]] * (len(found) - len(rows)), str(error)
    return rows, ""


def viewer(folder: Path, split: str, opening: Opening) -> Viewer:
    """The network of a run, opened as for its score."""
    again = as_scored(folder, split, asdict(opening.elsewhere), opening.trust)
    trained, module = again.member
    with from_stored(str(folder)):
        source = module.source(again.split)
        places = {name: index for index, name in enumerate(source.names)}
        return Viewer(on_device(trained, opening.trainer), again.windows, trained.classes, source, places)


def changed(change: Change, first: Viewer, second: Viewer) -> Row:
    """An image with what two networks make of it. Raises UserError if it has another mask in one of the runs."""
    before, after = first.look(change.name), second.look(change.name)
    if not np.array_equal(before.truth, after.truth):
        raise UserError(f"{change.name}: its mask is another one in one of the runs")
    remark = f"mean IoU within the image {100 * change.before:.1f} %, then {100 * change.after:.1f} %"
    answers = (before.prediction, after.prediction)
    return changed_row(change.name, remark, before.image, before.truth, answers, first.classes)


def contender(network: Scored) -> Contender:
    interval = intervals(network.images).miou
    return Contender(network.name, network.seed, network.miou, interval.low, interval.high)


def as_json(page: Comparison, found: Sequence[Difference]) -> dict[str, Any]:
    """The content of `compare.json`: fractions, `null` for what is undefined."""
    pairs = []
    for difference in found:
        classes = {change.name: change_of(change) for change in difference.classes}
        images = {change.name: change_of(change) for change in difference.images}
        pairs.append(
            {
                "first": difference.first,
                "second": difference.second,
                "images": difference.number,
                "miou": change_of(difference.miou),
                "classes": classes,
                "changed": images,
                "sentence": difference.sentence(),
            }
        )
    return {
        "split": page.split,
        "runs": [contender._asdict() for contender in page.contenders],
        "sentences": list(page.sentences),
        "differences": pairs,
    }


def change_of(change: Change) -> dict[str, Any]:
    numbers = {"before": change.before, "after": change.after, "difference": change.after - change.before}
    result: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    return {**result, "interval": list(change.interval)} if change.is_defined else result
