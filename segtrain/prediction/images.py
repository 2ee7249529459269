"""The images and films that a person names: a file, a folder, a glob, several of these, or a list in a text file."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ..data.files import films
from ..data.files.arrays import SUFFIXES as ARRAYS
from ..data.files.documents import text_in
from ..data.files.images import SUFFIXES
from ..data.layouts.tree import PASSED_OVER, Tree
from ..errors import UserError
from ..places import images_named, matches, no_image
from ..text import refuse_unprintable

LISTS, MAX_LIST = (".txt", ".lst"), 1 << 28  # files with a path in each line, and the bytes of one


class Images(NamedTuple):
    """What is to be predicted."""

    files: dict[str, Path]  # by their names below the folder that all have in common, without suffix
    others: list[Path]  # files that are no images by their suffix, and films where PyAV is missing


def find_images(images: str) -> Images:
    """The images and films in a folder as data rooms list it, of a glob, the one that is named, several of these, or
    those of a list. Without PyAV, films are left aside where there are images too.
    """
    names, path = images_named(images), Path(images)
    if len(names) > 1:
        files, others = [], []
        for name in names:
            found = find_images(name)
            files += found.files.values()
            others += found.others
        return together(files, others, images)
    if path.is_file() and path.suffix.lower() in LISTS:
        return together(listed(path), [], images)
    if path.is_dir():
        folder, files, named = path, [path / name for name in Tree(path).files], False
    elif path.exists():
        folder, files, named = path.parent, [path], True
    else:
        folder, files = matches(images)
        files, named = list(shown(files, folder)), True
    pictures, moving = of_kind(files, SUFFIXES) or of_kind(files, ARRAYS), of_kind(files, films.SUFFIXES)
    if films.has_library():
        pictures += moving
    elif moving and not pictures:
        raise UserError(f"images={images}: {films.NEEDED}")
    if not pictures and named:  # whose suffix was typed, or is like no other: reading them says what is wrong
        pictures = files
    if not pictures:
        raise FileNotFoundError(no_image(images))
    return Images(by_name(pictures, folder, images), sorted(set(files) - set(pictures)))


def together(files: Iterable[Path], others: list[Path], images: str) -> Images:
    """Files from several places, by their names below the folder that they have in common; none of them twice."""
    unique = list(dict.fromkeys(Path(os.path.abspath(file)) for file in files))
    return Images(by_name(unique, Path(os.path.commonpath([file.parent for file in unique])), images), others)


def listed(path: Path) -> list[Path]:
    """The files whose paths are the lines of a text file, seen from here, or else from that file."""
    try:
        lines = [line.strip() for line in text_in(path, MAX_LIST).splitlines()]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    names = [line for line in lines if line and not line.startswith("#")]
    files = []
    for name in names:
        found = [file for file in (Path(name), path.parent / name) if file.is_file()]
        if not found:
            raise FileNotFoundError(f"{path}: {name}: there is no such file, neither seen from here nor from that list")
        files.append(found[0])
    if not files:
        raise UserError(f"{path}: the list is empty: expected the path of an image in each line")
    return files


def of_kind(files: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in suffixes]


def shown(paths: Iterable[Path], folder: Path) -> Iterable[Path]:
    """The files among paths below a folder, but for what a Mac or a NAS leaves behind."""
    for path in paths:
        if path.is_file() and not PASSED_OVER & set(path.relative_to(folder).parts):
            yield path


def by_name(files: Iterable[Path], folder: Path, images: str) -> dict[str, Path]:
    """Name below the folder that all have in common -> file. It has no suffix, but of a film whose name is an image's,
    or that of the folder beside it, in which its frames may lie."""
    found: dict[str, Path] = {}
    for file in sorted(files, key=films.is_film):  # which leaves the order of the others as it is
        refuse_unprintable(file)
        below = file.relative_to(folder)
        if ".." in below.parts:
            raise UserError(f"images={images}: with '..' after a wildcard, {file} would be written somewhere else")
        name = below.as_posix().removesuffix(below.suffix)
        if films.is_film(file) and (name in found or file.with_suffix("").is_dir()):
            name = below.as_posix()
        if name in found:
            apart = f"predict them apart, such as images='{folder}/*{file.suffix}' with an out=FOLDER of its own"
            raise UserError(f"{file} and {found[name].name} would both become {name}.png: {apart}")
        found[name] = file
    return found
