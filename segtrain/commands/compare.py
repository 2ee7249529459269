"""`compare`: what the scores of several runs on the same images say, and what they do not."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from ..report.page import Comparison, Contender, Look, Row, css_colors
from ..report.per_image import read_per_image
from ..report.screen import COMMAND, Countdown, counted_down, say
from ..runs.folder import find, several
from ..runs.recipe import Origin, differing, origin
from ..scoring.looking import look_at
from ..scoring.members import CROSS
from ..scoring.reopened import OtherData, as_scored, on_device
from ..scoring.reporting import training_of
from ..text import printable

FILE = "per_image.npz"
SHOWN, MOST_ROWS = 6, 36  # images with pictures: of two runs, and of all


@dataclass(frozen=True)
class Opening:
    """How networks and their data are opened, and where they compute."""

    data: OtherData
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


class Shown(NamedTuple):
    """What is shown of the images that changed most."""

    rows: list[list[Row]]  # of each difference
    colors: dict[str, str]  # of the classes in their pictures
    missing: str  # why some are not there, or an empty text


def compare(
    *,
    runs: str,
    split: str | None,
    out: str | None,
    pictures: bool,
    data: OtherData,
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
    files = [scores_file(folder, split) for folder in folders]
    origins = [origin(folder) for folder in folders]
    networks = [scored(name, made, file) for name, made, file in zip(names, origins, files, strict=True)]
    found = [compared(networks[0], other) for other in counted_down("comparing", networks[1:], transient=True)]
    shown = Shown([[] for _ in found], {}, "")
    if pictures:
        shown = changed_rows(folders, split, found, Opening(data, trainer, Trust(allow)))
    page = Comparison(
        split=split,
        contenders=[contender(network) for network in networks],
        sentences=sentences_on(split, networks, found, shown),
        differences=found,
        rows=shown.rows,
        colors=shown.colors,
        facts=[facts_of(folder, made) for folder, made in zip(folders, origins, strict=True)],
        settings=differing(origins),
    )
    for line in (page.text(), *page.sentences):
        say(line)
    target = Path(out) if out else folders[0] / "compare"
    if not out:
        disk.stay_inside(folders[0], target)
    write(page, target)


def write(page: Comparison, target: Path) -> None:
    """The comparison for a browser, as text and as numbers, in a folder."""
    target.mkdir(parents=True, exist_ok=True)
    disk.write(target / "compare.html", page.html())
    disk.write(target / "compare.md", page.markdown())
    disk.write(target / "compare.json", json.dumps(as_json(page), indent=2, ensure_ascii=False) + "\n")
    say(f"written: {target / 'compare.html'}; beside it compare.md, compare.json")


def sentences_on(split: str, networks: Sequence[Scored], found: Sequence[Difference], shown: Shown) -> list[str]:
    """What the scores come to, and what is to be known of them."""
    sentences = [difference.sentence() for difference in found] + recipe_sentences(recipes(networks))
    if chose_checkpoints(split):
        sentences.append("val also chose the checkpoints of these runs, so these scores flatter them.")
    doubts = found[0].doubts
    if doubts:
        sentences.append(f"The intervals are too narrow: {'; '.join(doubts)}.")
    if shown.missing:
        sentences.append(f"Pictures of images that changed most are missing: {shown.missing}")
    return sentences


def chose_checkpoints(score: str) -> bool:
    """Whether a score of this name is on the val of the runs: after the name of another folder, val is that one's."""
    first, *others = score.split("-")
    return first in ("val", CROSS) and not {"train", "val", "test"} & set(others)


def facts_of(folder: Path, made: Origin) -> dict[str, str]:
    """How a run was made, as far as its folder tells."""
    return {"folder": str(folder.resolve()), "fingerprint of the data": printable(made.data)} | training_of(folder)


def common_split(folders: Sequence[Path]) -> str:
    """The split that all runs have scores of: test, or else val."""
    for split in ("test", "val"):
        if all((folder / "evaluate" / split / FILE).is_file() for folder in folders):
            return split
    folder = next(folder for folder in folders if not (folder / "evaluate" / "test" / FILE).is_file())
    raise UserError(f"{folder}: it has no scores of images yet: type {COMMAND} evaluate run={folder} first")


def scores_file(folder: Path, split: str) -> Path:
    """The scores of a run. Raises UserError if it has none of this name."""
    file = folder / "evaluate" / split / FILE
    if not file.is_file():
        words = f"run={folder} split={split.partition('-')[0]}"
        raise UserError(f"{file} is not there: type {COMMAND} evaluate {words} first")
    return file


def scored(name: str, made: Origin, file: Path) -> Scored:
    return Scored(name, made.recipe, made.settings["seed"], read_per_image(file))


def changed_rows(folders: Sequence[Path], split: str, found: Sequence[Difference], opening: Opening) -> Shown:
    """Of each difference, the images that changed most with what both networks make of them. A network, or images, that
    are not at hand any more cost no comparison."""
    device.quiet()
    rows: list[list[Row]] = []
    colors: dict[str, str] = {}
    most = max(1, min(SHOWN, MOST_ROWS // len(found)))
    shown = [difference.images[:most] for difference in found]
    try:
        with Countdown("showing what changed", sum(map(len, shown)), transient=True) as countdown:
            first = viewer(folders[0], split, opening)
            colors = dict(zip(first.classes.names, css_colors(first.classes), strict=True))
            for folder, changes in zip(folders[1:], shown, strict=True):
                second = viewer(folder, split, opening)
                both: list[Row] = []
                with from_stored(str(folder)):
                    for change in changes:
                        both.append(changed(change, first, second))
                        countdown.advance()
                rows.append(both)
    except (UserError, OSError) as error:
        return Shown(rows + [[]] * (len(found) - len(rows)), colors, str(error))
    return Shown(rows, colors, "")


def viewer(folder: Path, split: str, opening: Opening) -> Viewer:
    """The network of a run, opened as for its score."""
    again = as_scored(folder, split, opening.data, opening.trust)
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


def as_json(page: Comparison) -> dict[str, Any]:
    """The content of `compare.json`: fractions, `null` for what is undefined."""
    pairs = []
    for difference in page.differences:
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
                "chance": difference.on_chance(),
            }
        )
    runs = zip(page.contenders, page.facts, strict=True)
    return {
        "split": page.split,
        "runs": [{**contender._asdict(), "made": facts} for contender, facts in runs],
        "settings": page.settings,
        "sentences": list(page.sentences),
        "differences": pairs,
    }


def change_of(change: Change) -> dict[str, Any]:
    numbers = {"before": change.before, "after": change.after, "difference": change.after - change.before}
    result: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    return {**result, "interval": list(change.interval)} if change.is_defined else result
