"""`train`: from settings to a scored network in a run folder."""

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import yaml

from .. import disk, inspection
from ..build import Trust, conf_folder, from_stored
from ..data.public import provide
from ..errors import UserError
from ..machine import device, processes
from ..report.scores import METRICS, final_scores
from ..report.screen import COMMAND, be_quiet, say
from ..runs import folder as runs
from ..runs.folder import trained_file
from ..runs.record import Record, Settings, with_places
from ..runs.restore import RECORD, read_checkpoint
from ..runs.resume import deciding, resumable, settled, typed_keys
from ..scoring.reopened import data_of_a_run
from ..training.checkpoint import batches_done
from ..training.defaults import AUTO, choices_in_words, with_choices
from ..training.fit import fit
from ..training.loggers.choice import typed_word
from ..training.parts import Parts, TrainSettings, assemble, build_data, refuse_splits, with_filled_batch
from ..training.trial import refuse_misfit, refuse_own
from ..training.tried import tried
from ..training.typed import Typed, stored


def train(**given: Unpack[Typed]) -> "Ended":
    """Train a network, score its best checkpoint on the held-out split, and say how to go on."""
    processes.end_with_parent()
    typed, allow, teacher = given["typed"], given["allow"], given["teacher"]
    settings = {
        **stored(given),
        "train": asdict(without_floor(given["train"], typed)),
        "teacher": None if teacher is None else str(trained_file(teacher, "teacher")),
    }
    if given["resume"] is None:
        return start(settings, given["run_dir"], given["init"], typed, allow)
    return go_on(given["resume"], settings, typed, Trust(allow), allow_changes=given["allow_changes"])


LENGTHS = ("epochs", "steps", "min_steps", "most_steps")  # settings that say how long a training is
LONGER = "train.max_minutes=null train.steps=... allow_changes=true have it go on for longer"


class Ended(NamedTuple):
    """How a training ended."""

    status: int  # of the process: 3 if the end could not be saved
    folder: Path | None  # of the run; `None` in processes that do not write

    @property
    def miou(self) -> float | None:
        """The score on the held-out split."""
        scores = final_scores(self.folder) if self.folder else None
        return scores["miou"] if scores else None


class Saved(NamedTuple):
    """A checkpoint of a run."""

    file: Path
    content: dict[str, Any]
    record: Record


def without_floor(train: TrainSettings, typed: list[str]) -> TrainSettings:
    """What a person chose decides: epochs that were typed, or stand in an experiment, are not made up to `min_steps`,
    unless that was chosen too."""
    shipped = yaml.safe_load((conf_folder() / "train.yaml").read_text(encoding="utf-8"))["train"]
    keys = typed_keys(typed)

    def chosen(name: str) -> bool:
        return f"train.{name}" in keys or getattr(train, name) != shipped[name]

    return replace(train, min_steps=None) if chosen("epochs") and not chosen("min_steps") else train


def start(settings: Settings, run_dir: str | None, init: str | None, typed: list[str], allow: list[str]) -> Ended:
    """Train from the beginning, in a new run folder."""
    shrink = "data.batch_size" not in typed_keys(typed) or settings["data"].get("batch_size") == AUTO
    parts = prepare(settings, trust=None, init=init, allow=allow, shrink=shrink)
    if not parts.main:
        return Ended(fit(parts, None), None)
    choices = choices_in_words(settings, typed_keys(typed), parts.data, parts.record.loss, parts.steps)
    parts = replace(parts, choices=choices)
    folder = runs.create(settings["name"], run_dir)
    with runs.lock(folder):
        disk.write(folder / "overrides.txt", "\n".join([*typed, ""]))
        file = init and str(trained_file(init, "init"))  # that of `latest`, which is another run soon
        runs.write_settings(folder, {**parts.settings, "init": file, "cwd": str(Path.cwd())})
        runs.point_latest(folder)
        note_skipped(parts, folder)
        return Ended(fit(parts, folder), folder)


def go_on(resume: str, composed: Settings, typed: list[str], trust: Trust, *, allow_changes: bool) -> Ended:
    """Continue a run where it was saved last."""
    folder, files = resumable(resume)
    disk.stay_inside(folder, *(folder / name for name in runs.WRITTEN))
    with runs.lock(folder) if processes.is_first() else nullcontext():
        saved = usable(files, folder)
        if saved is None:
            return start_again(folder, composed, typed, trust, allow_changes=allow_changes)
        parts = continued(saved, folder, composed, typed, trust, allow_changes=allow_changes)
        if parts is None:
            say(f"{folder} is finished: nothing is changed; {COMMAND} evaluate run={folder} scores it")
            return Ended(0, folder)
        step = saved.content["global_step"]
        file, first_step = saved.file, step + 1 if step else 0  # the picture of the first batch belongs to step 0
        del saved  # its tensors would stay in memory for the whole training
        note_skipped(parts, folder)
        return Ended(fit(parts, folder if parts.main else None, file, first_step), folder)


def continued(
    saved: Saved, folder: Path, composed: Settings, typed: list[str], trust: Trust, *, allow_changes: bool
) -> Parts | None:
    """The training that was saved, with what was typed; `None` if it is finished."""
    content, before = saved.content, saved.record
    stored = with_places(before.settings, runs.beginnings(folder, before.cwd))
    settings = going_on(stored, composed, typed, allow_changes=allow_changes)
    if settings["train"]["epochs"] != stored["train"]["epochs"] and "train.min_steps" not in typed_keys(typed):
        settings["train"]["min_steps"] = None  # the epochs that are chosen now are not made up
    with from_stored(f"resume={folder}"):
        parts = prepare(settings, trust, before)
    if not allow_changes:
        refuse_others(before, parts.record, folder)
    scores = folder / "evaluate" / parts.data.final_split / METRICS
    if content[RECORD]["finished"] and deciding(settings) == deciding(stored) and scores.exists():
        return None
    refuse_misfit(parts.learner, content)
    remind(stored, settings)
    parts.data.batches_done = batches_done(content)
    return parts


def going_on(stored: Settings, composed: Settings, typed: list[str], *, allow_changes: bool) -> Settings:
    """The settings with which a run goes on, of what it stored and what was typed."""
    stored["trainer"].pop("profiler", None)  # which an older segtrain took
    refuse_more(stored["trainer"], composed["trainer"])
    if "train.max_minutes" in typed_keys(typed):  # first, since no word would allow them
        refuse_other_minutes(composed["train"], stored["train"])
    settings = settled(stored, composed, typed, allow_changes=allow_changes)
    keep_length(settings["train"], stored["train"])
    return settings


def keep_length(train: Settings, before: Settings) -> None:
    """Have a training end where its minutes ended it when it began; without these, where its other settings do.

    Raises UserError for other minutes, and for a length that they did not leave.
    """
    minutes, most = before.get("max_minutes"), before.get("most_steps")
    refuse_other_minutes(train, before)
    if train.get("max_minutes") is None:
        if minutes is not None and train.get("most_steps") == most:
            train["most_steps"] = None
    elif any(train.get(name) != before.get(name) for name in LENGTHS):
        raise UserError(f"train.max_minutes={minutes} left {most} steps when the run began: {LONGER}")


def refuse_other_minutes(train: Settings, before: Settings) -> None:
    """Raises UserError for minutes that a run did not begin with."""
    now = train.get("max_minutes")
    if now not in (None, before.get("max_minutes")):
        raise UserError(f"train.max_minutes={now}: steps are counted when a run begins: {LONGER}")


def refuse_others(before: Record, now: Record, folder: Path) -> None:
    """Raises UserError for other data, or another teacher, than those of the run."""
    if before.fingerprint != now.fingerprint:
        reason = "the data are not those of the run (names, sizes or classes differ)"
        raise UserError(f"resume={folder}: {reason}; restore them, or add allow_changes=true")
    if before.teacher != now.teacher:
        reason = "the teacher is not that of the run (its weights differ, or one of the two has none)"
        raise UserError(f"resume={folder}: {reason}; restore it, or add allow_changes=true")


def remind(stored: Settings, settings: Settings) -> None:
    """Say how to go on with the logger that a run had, if it is another one now. It is not taken by itself, since
    nothing that is stored, which may be a stranger's, opens a connection."""
    typed = typed_word(stored.get("logger"))
    if typed and typed != typed_word(settings["logger"]):
        say(f"this run was begun with {typed}: type that too to go on with its curves there")


def start_again(folder: Path, composed: Settings, typed: list[str], trust: Trust, *, allow_changes: bool) -> Ended:
    """Train from the beginning in the folder of a run that was never saved."""
    stored = runs.read_settings(folder)
    init = stored.pop("init", None)
    stored = with_places(stored, runs.beginnings(folder, stored.pop("cwd", "")))
    settings = going_on(stored, composed, typed, allow_changes=allow_changes)
    with from_stored(f"resume={folder}"):
        parts = prepare(settings, trust, init=init)
    note_skipped(parts, folder)
    return Ended(fit(parts, folder if parts.main else None), folder)


def prepare(
    settings: Settings,
    trust: Trust | None,
    before: Record | None = None,
    init: str | None = None,
    *,
    allow: Collection[str] = (),
    shrink: bool = False,
) -> Parts:
    """The parts of a training, after a look at its data; of several processes, only the first one speaks. With `shrink`
    a batch that the images do not fill becomes smaller. `allow` is for the file of a teacher of typed settings.

    The data are a `DataModule`, such as `segtrain.data.FolderData`: it finds the layout and the classes of its folder
    when it is built, and reads the headers of the files when `splits` is used first.
    """
    device.quiet()
    refuse_own(settings)
    _, count = processes.count(settings["trainer"])
    if not processes.is_main(count):
        be_quiet()
    if trust is None:  # stored settings, which may be a stranger's, open no connection
        provide(settings["data"], say)
    with data_of_a_run(settings["data"]) if trust is not None else nullcontext():
        data = build_data(settings, trust, before)
    inspection.before_training(data, settings["data"], is_new=before is None)
    if shrink:
        settings = with_filled_batch(settings, data)
    if before is not None:
        return assemble(settings, data, trust, before, init, allow)
    refuse_splits(data)
    parts = assemble(with_choices(settings, data), data, trust, before, init, allow)
    return tried(parts, init, allow)


def note_skipped(parts: Parts, folder: Path) -> None:
    """List what is left out of the data, if anything is, in `skipped.csv`."""
    skipped = getattr(parts.data, "skipped", [])
    if skipped and parts.main:
        disk.write(folder / "skipped.csv", inspection.findings_csv(skipped))


def refuse_more(stored: Settings, composed: Settings) -> None:
    """Raises UserError for a stored run, which may be anyone's, that gives Lightning more than segtrain does."""
    for name in stored:
        if name not in composed:
            raise UserError(f"the run was begun with trainer.{name}: type +trainer.{name}=... to go on with it")


def usable(files: Sequence[Path], folder: Path) -> Saved | None:
    """The first of a run's checkpoints that can be read and is its own; `None` if it has none.

    Raises UserError if there are some, and none is good.
    """
    problem = None
    for file in files:
        try:
            content = read_checkpoint(file)
            record, own = Record.from_json(content[RECORD].get("record")), runs.identity(folder)
            if own is not None and record.run != own:
                raise UserError(f"{file}: the checkpoint of another run ({record.run}; this one is {own})")
        except UserError as error:
            problem = problem or error
            continue
        if problem:
            say(f"{problem}: going on from {file.name}, the one before it")
        return Saved(file, content, record)
    if problem:
        raise problem
    return None
