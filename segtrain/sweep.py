"""Several jobs of one command (`-m`): each is noted when it has ended, those that failed do not end the others, and all
stand in a table.

A job's note lies in the folder of the sweep, so that launchers may run jobs in any process. The same sweep typed again
leaves out what the last one has done, if that did not come to its end.
"""

import csv
import io
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from . import disk

JOBS = "jobs"  # folder of the notes
TABLE = "sweep.csv"  # there once a sweep is over
TRAIN = "train"  # the command whose jobs are not done twice; what others make may have become another one
SEED = "seed="


class Job(NamedTuple):
    """What became of a job."""

    words: list[str]  # that were typed, with the values of this job
    status: int
    miou: float | None
    folder: str | None  # of the run
    error: str | None

    @property
    def is_there(self) -> bool:
        """Whether its run still has its score."""
        return self.folder is not None and any(Path(self.folder, "evaluate").glob("*/metrics.json"))

    @property
    def cells(self) -> list[str]:
        """As a row of the table."""
        score = "" if self.miou is None else f"{self.miou:.4f}"
        return [" ".join(self.words), str(self.status), score, self.folder or "", self.error or ""]


class Sweep(NamedTuple):
    """A sweep that this process takes part in."""

    folder: Path
    words: list[str]  # of this job
    number: int

    @classmethod
    def current(cls) -> "Sweep | None":
        """The sweep that Hydra runs a job of; `None` for a command by itself."""
        settings = HydraConfig.get()
        if settings.mode != RunMode.MULTIRUN:
            return None
        return cls(Path(settings.sweep.dir), list(settings.overrides.task), settings.job.num)

    def before(self) -> Job | None:
        """This job, if the last sweep of the same words has done it and did not come to its end."""
        last, typed = last_before(self.folder), words_of(self.folder)
        if last is None or typed is None or words_of(last) != typed or typed[0] != TRAIN:
            return None
        jobs = noted(last)
        if (last / TABLE).exists() and not any(job.status for job in jobs):
            return None
        done = (job for job in jobs if job.words == self.words and not job.status and job.is_there)
        return next(done, None)

    def note(self, job: Job) -> None:
        """Note what became of this job."""
        file = self.folder / JOBS / f"{self.number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        disk.write(file, json.dumps(job._asdict()))


def last_before(folder: Path) -> Path | None:
    """The sweep before that in a folder, by their names, which are dates."""
    others = [other for other in folder.parent.iterdir() if other.name < folder.name and other.is_dir()]
    return max(others, default=None, key=lambda other: other.name)


def words_of(folder: Path) -> list[str] | None:
    """What was typed for a sweep, by the file that Hydra leaves; `None` if there is none."""
    with suppress(OSError, ValueError, AttributeError):
        config: Any = OmegaConf.load(folder / "multirun.yaml")
        return [config.hydra.job.config_name, *config.hydra.overrides.task]
    return None


def noted(folder: Path) -> list[Job]:
    """The jobs of a sweep that have ended, in order."""
    files = sorted((folder / JOBS).glob("*.json"), key=lambda file: int(file.stem))
    return [Job(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


class Table(Callback):
    """Hydra calls it when all jobs of a sweep have ended: their table is printed, and written beside their notes."""

    failed = 0  # jobs of the sweep that has ended last

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print and write the table of all jobs that were noted."""
        folder = Path(config.hydra.sweep.dir)
        jobs = noted(folder)
        Table.failed = sum(job.status != 0 for job in jobs)
        print(table(jobs))
        text = io.StringIO(newline="")
        csv.writer(text).writerows([["words", "status", "mIoU", "folder", "error"], *(job.cells for job in jobs)])
        disk.write(folder / TABLE, text.getvalue())
        print(f"written: {folder / TABLE}")


def table(jobs: Sequence[Job]) -> str:
    """A line for each job with what it alone has, and the mean over seeds where there are several."""
    common = set(jobs[0].words).intersection(*(job.words for job in jobs)) if jobs else set()
    failed = sum(job.status != 0 for job in jobs)
    lines = [f"{len(jobs)} jobs" + (f", {failed} of them failed" if failed else "")]
    for job in jobs:
        own = " ".join(word for word in job.words if word not in common)
        lines.append(f"  {own}  {result_of(job)}")
    means = [f"  {words}  {mean}" for words, mean in over_seeds(jobs, common)]
    return "\n".join([*lines, "mIoU over seeds", *means] if means else lines)


def result_of(job: Job) -> str:
    """What a job came to, in words."""
    if job.status:
        return f"failed: {job.error or f'status {job.status}'}"
    score = "no score" if job.miou is None else f"mIoU {job.miou:.4f}"
    return f"{score}  {job.folder}" if job.folder else score


def over_seeds(jobs: Iterable[Job], common: set[str]) -> list[tuple[str, str]]:
    """Words without the seed, and mean and standard deviation of the jobs that differ by it alone."""
    groups: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        if job.miou is not None:
            others = " ".join(word for word in job.words if word not in common and not word.startswith(SEED))
            groups[others].append(job.miou)
    several = {words: scores for words, scores in groups.items() if len(scores) > 1}
    return [
        (words, f"{statistics.mean(scores):.4f} +- {statistics.stdev(scores):.4f} of {len(scores)}")
        for words, scores in several.items()
    ]
