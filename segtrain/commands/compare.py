"""`compare`: what the scores of several runs on the same images say, and what they do not."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import disk
from ..errors import UserError
from ..report.comparison import Change, Difference, Scored, compared, recipe_sentences, recipes
from ..report.intervals import intervals
from ..report.page import Comparison, Contender
from ..report.per_image import read_per_image
from ..report.screen import COMMAND, say
from ..runs.folder import find, read_settings, several
from ..runs.resume import deciding

FILE = "per_image.npz"


def compare(*, runs: str, split: str | None, out: str | None) -> None:
    """Say which of several runs is better on the images that all of them were scored on, and whether these can tell.

    The first run is what the others are compared with. `split` is the name of a score in their `evaluate/` folders.
    """
    names = several(runs)
    if len(names) < 2:
        raise UserError(f"runs={runs}: name two runs or more, as in runs=[A,B]")
    folders = [find(name, "runs") for name in names]
    split = split or common_split(folders)
    networks = [scored(name, folder, split) for name, folder in zip(names, folders, strict=True)]
    found = [compared(networks[0], other) for other in networks[1:]]
    sentences = [difference.sentence() for difference in found] + recipe_sentences(recipes(networks))
    doubts = found[0].doubts
    if doubts:
        sentences.append(f"The intervals are too narrow: {'; '.join(doubts)}.")
    page = Comparison(split, [contender(network) for network in networks], sentences, found)
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
    settings = read_settings(folder)
    recipe = repr(sorted(deciding({**settings, "seed": None}).items()))
    return Scored(name, recipe, settings["seed"], read_per_image(file))


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
