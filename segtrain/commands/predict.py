"""`predict`: masks and overlays for new images."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .. import disk
from ..build import Trust
from ..data.batches.module import default_workers
from ..data.files import films
from ..data.files.geotiff import place_of
from ..data.files.images import MAX_PIXELS, Picture, opened_pixels
from ..data.files.pictures import Pictures
from ..data.workers import Loader, cores
from ..errors import UserError
from ..machine import device
from ..machine.device import Computing
from ..machine.threads import Behind
from ..prediction.images import Images, find_images
from ..prediction.journal import Journal, key_of
from ..prediction.sight import Found, Sight, Subject, in_groups
from ..prediction.stills import Still, Stills, as_it_is, is_small
from ..prediction.written import POLYGONS, Predicted, Saver, Target, checked
from ..report.screen import Countdown, say
from ..runs.folder import checkpoint_files
from ..runs.record import Record
from ..runs.trained import Opened, opened
from ..scoring.members import ensemble
from ..scoring.reopened import on_device
from ..scoring.views import Views
from ..text import counted, kinds_of_files, plain_cell

UNFINISHED = "unfinished.jsonl"  # what is done of a command that was stopped
MANNER = "predict.json"  # how the images were answered
FEW = 16  # images that are read before processes would have begun to read them


@dataclass
class Limits:
    """Settings in place of the run's own, where not `None`."""

    max_pixels: int | None


def predict(
    *,
    run: str | None,
    checkpoint: str | None,
    images: str,
    out: str | None,
    save: list[str],
    encode: str,
    min_area: int,
    probabilities: str,
    correction: bool,
    calibration: bool,
    flip: bool,
    scales: list[float],
    window: int | None,
    overlap: float | None,
    data: Limits,
    trainer: Computing,
    allow: list[str],
) -> None:
    """Write what `save` names of each image: by default masks/NAME.png (class indices, with the class colours as
    palette) and overlays/NAME.jpg; summary.csv of all; and predict.json, which says how they were answered.

    `images` is an image, a film, a folder, a glob, several of these, or a text file with a path in each line. Their
    folders are mirrored in `out`, by default the run's `predict/`. The mask of a GeoTIFF is a GeoTIFF. With `encode`
    masks hold the data set's own values or colours. Several networks answer by the mean of their probabilities, with
    `flip` of each image in a mirror too, and of each in all `scales`. One of several images that cannot be read is
    named at the end, in an error.
    """
    encoding, shares = checked(save, encode, min_area, probabilities)
    views = Views(flip, scales, window, overlap)
    sources = find_images(images)
    device.quiet()
    trust = Trust(allow)
    files = checkpoint_files(run, checkpoint)
    members = [opened(file, trust, correction=correction, calibration=calibration) for file in files]
    trained = ensemble([views.of(member) for member in members])
    sight = Sight(on_device(trained, trainer), views.windows(trained.record))
    folder, home = (Path(out), Path(out)) if out else (trained.folder / "predict", trained.folder)
    saver = Saver(Target(folder, home, save, encoding, min_area, shares), trained.classes)
    max_pixels = trained.record.max_pixels(data.max_pixels, MAX_PIXELS)
    answering = [correction, calibration, flip, scales, window, overlap, max_pixels, asdict(trainer)]
    key = key_of(files, [*answering, sorted(save), encode, shares])
    with Journal(folder / UNFINISHED, key, columns=saver.columns - 1, home=home) as journal:
        with suppress(OSError):
            (folder / MANNER).unlink()  # an earlier command's, whose results may be overwritten from now on
        failed = predict_all(sources.files, sight, trained.record, saver, max_pixels, journal)
    conclude(sources, failed, saver.target, manner_of(files, members, sight, views, trainer))


def manner_of(
    files: Sequence[Path], members: Sequence[Opened], sight: Sight, views: Views, trainer: Computing
) -> dict[str, Any]:
    """By which networks images are answered, and how these see them: the content of `predict.json`."""
    kind = device.device_type(trainer.accelerator)
    precision, _ = device.typed_or_stored(trainer.precision, kind, members[0].record.precision)
    networks = [network_facts(file, member.record) for file, member in zip(files, members, strict=True)]
    return {
        "networks": networks,
        "precision": precision,
        "flip": views.flip,
        "scales": list(views.scales),
        "window": sight.windows.side,
        "overlap": sight.windows.overlap,
    }


def network_facts(file: Path, record: Record) -> dict[str, Any]:
    """Where a network comes from, and what is done to its answers."""
    return {
        "checkpoint": str(file),
        "run": record.run,
        "correction": asdict(record.correction) if record.correction else None,
        "temperature": record.temperature.value if record.temperature else 1.0,
    }


def predict_all(
    files: Mapping[str, Path], sight: Sight, record: Record, saver: Saver, max_pixels: int, journal: Journal
) -> list[str]:
    """Write what the network makes of images and films, by their names; why some of them could not be predicted."""
    failures = Failures(single=len(files) == 1)
    stills = {name: path for name, path in files.items() if not films.is_film(path)}
    with saver.writing():
        todo = without_done(stills, saver, journal)
        pictures = Pictures.stored(record.pictures)
        images = Stills(list(todo.values()), channels=record.channels, pictures=pictures, max_pixels=max_pixels)
        predict_stills(list(todo), images, sight, Notes(saver, journal, failures), len(stills))
        for name, path in files.items():
            if name not in stills:
                with failures.noted(path):
                    predict_film(name, path, sight, images, saver)
    return failures.reasons


def without_done(files: Mapping[str, Path], saver: Saver, journal: Journal) -> dict[str, Path]:
    """The images that were not predicted before the same command was stopped; the rows of the others are taken over."""
    todo = {}
    apart = POLYGONS not in saver.target.save  # which are in one file of all images
    for name, path in files.items():
        cells = journal.done(name, path)
        if cells is not None and apart and saver.is_there(name):
            saver.rows.append([plain_cell(name), *cells])
        else:
            todo[name] = path
    done = len(files) - len(todo)
    if done:
        say(f"going on: {done} of {counted(len(files), 'image')} were predicted before this was stopped")
    return todo


@dataclass(frozen=True)
class Notes:
    """Where it is noted what became of images."""

    saver: Saver
    journal: Journal
    failures: "Failures"

    def take(self, found: Found, result: Predicted, row: Future[Any]) -> None:
        """Note an image whose files a thread has written, or why it could not."""
        name = found.subject.name
        with self.failures.noted(found.path):
            self.saver.note(name, result, found.path, row.result())
            self.journal.note(name, found.stamp, row.result()[1:])


def predict_stills(names: Sequence[str], images: Stills, sight: Sight, notes: Notes, total: int) -> None:
    """Write what the network makes of images with these names, the last ones of a `total`, while processes read those
    that follow and threads write those before."""
    with Countdown("predicting", total, done=total - len(images)) as countdown, Behind(cores()) as behind:
        sight.windows.watch = countdown.part
        for group in in_groups(found_ahead(names, images, notes.failures, countdown.advance), sight.together):
            for found, result in answered(group, sight, notes):
                writing = partial(notes.saver.write, found.subject.name, result, found.path)
                behind.add(writing, partial(notes.take, found, result))
                if not is_small(found.subject.image):
                    behind.finish()
            for _ in group:
                countdown.advance()


def found_ahead(
    names: Sequence[str], images: Stills, failures: "Failures", advance: Callable[[], None]
) -> Iterator[Found]:
    """Images with these names, which processes read ahead; `advance` is called for one that cannot be read."""
    workers = default_workers() if len(images) >= FEW else 0
    loader = Loader(images, batch_size=None, num_workers=workers, collate_fn=as_it_is)
    strange = 0
    for name, path, read in zip(names, images.paths, loader, strict=True):
        found = None
        with failures.noted(path):
            still = given(read) or images.read(path)
            found = Found(Subject(name, still.image, place_of(path)), path, still.stamp)
            if still.remark and not strange:
                advice = "the mask may be wrong; give pictures stored as those of the training"
                say(f"{path}: {still.remark}: {advice}")
            strange += still.remark != ""
        if found is None:
            advance()
        else:
            yield found
    loader.stop()
    if strange > 1:
        say(f"{strange} images are not like those of the training; the first one is named above")


def given(read: Still | Exception | None) -> Still | None:
    """What was read ahead. Raises the error that reading ended in."""
    if isinstance(read, Exception):
        raise read
    return read


def answered(group: Sequence[Found], sight: Sight, notes: Notes) -> list[tuple[Found, Predicted]]:
    """What comes of images of one shape; of each by itself where all together end in an error, or fill the memory."""
    if len(group) > 1:
        with suppress(UserError, OSError, torch.OutOfMemoryError):
            return results_of(group, sight, notes)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    results = []
    for found in group:
        with notes.failures.noted(found.path):
            results += results_of([found], sight, notes)
    return results


def results_of(group: Sequence[Found], sight: Sight, notes: Notes) -> list[tuple[Found, Predicted]]:
    """What comes of images that are computed at once."""
    results = sight.predicted([found.subject for found in group], notes.saver)
    return list(zip(group, results, strict=True))


def predict_film(name: str, path: Path, sight: Sight, images: Stills, saver: Saver) -> None:
    """Write overlays as a film of the same rate, and all else as files NAME/000001 and so on."""
    number = 0
    with (
        films.opened(path, images.max_pixels) as film,
        saver.film(name, film) as show,
        Countdown(path.name, film.length) as countdown,
    ):
        sight.windows.watch = countdown.part
        for number, frame in enumerate(film.frames, 1):
            pixels = opened_pixels(Image.fromarray(frame), images.channels)
            image, each = Picture(torch.from_numpy(pixels.copy()).permute(2, 0, 1)), f"{name}/{number:06}"
            (result,) = sight.predicted([Subject(each, image)], saver)
            saver.add(each, result, path, shown=False)
            show(frame, result.mask)
            countdown.advance()
        if not number:
            raise UserError(f"{path}: a film without frames")


class Failures:
    """Why images could not be predicted; of a `single` one, that is the error of the command."""

    def __init__(self, *, single: bool) -> None:
        self.single, self.reasons = single, []

    @contextmanager
    def noted(self, path: Path) -> Iterator[None]:
        """Inside, an error about this file does not end the others."""
        try:
            yield
        except (UserError, OSError) as error:
            if self.single:
                raise
            self.reasons.append(reason_of(path, error))


def reason_of(path: Path, error: Exception) -> str:
    """Why an image could not be predicted, with its name."""
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"


def conclude(sources: Images, failed: list[str], target: Target, manner: dict[str, Any]) -> None:
    """Say what was done, and write how. Raises UserError if some images could not be predicted."""
    total = len(sources.files)
    done = total - len(failed)
    if done:
        count = f"{done} of {counted(total, 'image')}" if failed else counted(total, "image")
        disk.stay_inside(target.home, target.folder)
        content = {"images": done, "encode": target.encoding, **manner}
        disk.write(target.folder / MANNER, json.dumps(content, indent=2) + "\n")
        say(f"{count}: {', '.join(target.folders())}; summary.csv says what is in them, {MANNER} how they came about")
    moving = list(filter(films.is_film, sources.others))
    if moving:
        say(f"left aside: {counted(len(moving), 'film')}: {films.NEEDED}")
    if len(moving) < len(sources.others):
        others = kinds_of_files(path for path in sources.others if not films.is_film(path))
        say(f"left aside, as no images by their names: {others}")
    if len(failed) > 1:
        for line in failed:
            say(f"not predicted: {line}")
    if failed:
        more = f" (and {len(failed) - 1} more, see above)" if len(failed) > 1 else ""
        raise UserError(f"{len(failed)} of {total} images could not be predicted: {failed[0]}{more}")
