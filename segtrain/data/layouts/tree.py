"""The files below a data folder, listed once, and the way from a name in a list to one of them."""

import os
import posixpath
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from unicodedata import normalize

from ...disk import no_folder
from ...errors import UserError
from ...text import UNPRINTABLE, refuse_unprintable
from ..files.arrays import SUFFIXES as ARRAYS
from ..files.images import SUFFIXES
from ..files.polygons import Order
from .words import Role, file_role, innermost_role, parse_name, splits_beside

MAX_FILES = 5_000_000
LINK_DEPTH = 3  # links to folders are followed down to here, as in photos/images/train
PASSED_OVER = {"__MACOSX", "@eaDir"}  # what a Mac or a NAS leaves behind, besides all that is hidden


class Tree:
    """What lies below `root`; hidden files and folders are passed over.

    Names are kept, and sought, in the composed form of Unicode (NFC), since a Mac writes the same letters decomposed;
    `path` leads to the file as it is stored.

    Attributes:
        folders: Paths of folders below the root, the root itself being "".
        outside: Whether lists may name files outside the root.
        order: The order in which the objects of a COCO file are painted over one another.
        arrays: Whether NumPy's files in folders of images and masks count as pictures, if no picture has their name.
    """

    def __init__(self, root: Path, *, outside: bool = False, order: Order = "area", arrays: bool = False) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"data.root={root}: {no_folder(root)}")
        self.root, self.outside, self.arrays = root, outside, arrays
        self.order: Order = order
        self.paths: dict[str, Path] = {}  # of files whose names are stored otherwise
        self.folders = [""]
        for path in self.pictures:
            if UNPRINTABLE.search(path):
                refuse_unprintable(root / path)

    @cached_property
    def files(self) -> list[str]:
        """Paths of files below the root, with forward slashes, sorted."""
        files: list[str] = []
        self.folders = [""]
        for path, stored, is_folder in walk(self.root, "", "", 0):
            (self.folders if is_folder else files).append(path)
            if path != stored:
                self.paths[path] = self.root / stored
            if len(files) > MAX_FILES:
                raise UserError(f"{self.root}: more than {MAX_FILES} files: name the folder of the images alone")
        self.folders.sort()
        return sorted(files)

    @cached_property
    def known(self) -> frozenset[str]:
        """The files in a set, which answers at once whether it has one."""
        return frozenset(self.files)

    def let_go(self) -> None:
        """Take up no memory for files any more; if they are asked for again, they are listed again."""
        for name in ("files", "known", "by_suffix", "pictures", "by_folder", "role_arrays"):
            self.__dict__.pop(name, None)
        self.paths.clear()

    @cached_property
    def by_suffix(self) -> dict[str, list[str]]:
        """What stands behind the last dot of a path, in small letters and with the dot -> the files."""
        return grouped(self.files, lambda path: "." + path.rpartition(".")[2].lower())

    @cached_property
    def pictures(self) -> list[str]:
        """The files that are images or masks, by their suffix."""
        pictures = sorted(chain.from_iterable(self.by_suffix.get(suffix, ()) for suffix in SUFFIXES))
        if not self.arrays:
            return pictures
        names = {posixpath.splitext(path)[0] for path in pictures}
        arrays = [path for path in self.role_arrays if posixpath.splitext(path)[0] not in names]
        return sorted([*pictures, *arrays])

    @cached_property
    def by_folder(self) -> dict[str, list[str]]:
        """Folder -> the pictures in it, for folders with pictures."""
        return grouped(self.pictures, lambda path: path.rpartition("/")[0])

    @cached_property
    def role_arrays(self) -> list[str]:
        """NumPy's files that are images or masks by their folder or their name; others may be anything."""
        arrays = chain.from_iterable(self.by_suffix.get(suffix, ()) for suffix in ARRAYS)
        return sorted(filter(has_role, arrays))

    def below(self, folder: str) -> list[str]:
        """The pictures in a folder and in those below it."""
        if not folder:
            return self.pictures
        start = bisect_left(self.pictures, f"{folder}/")
        end = bisect_left(self.pictures, f"{folder}0")  # 0 is what follows / in the order of characters
        return self.pictures[start:end]

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """Folder -> the names of the folders in it."""
        children: dict[str, list[str]] = defaultdict(list)
        for folder in self.folders[1:]:
            parent, _, name = folder.rpartition("/")
            children[parent].append(name)
        return children

    def named_after(self, role: Role, parent: str) -> list[str]:
        """The folders in a folder whose names say image, or mask, as paths below the root."""
        names = self.children.get(parent, ())
        return [posixpath.join(parent, name) for name in names if parse_name(name).role == role]

    @cached_property
    def _parts(self) -> dict[str, tuple[str, ...]]:
        return parts_of_all(self.folders, self.children)

    def parts(self, path: str) -> tuple[str, ...]:
        """The folders of a file; `uavid_train`, which stands beside `uavid_val`, is called `train`."""
        return self.parts_of_folder(posixpath.dirname(path))

    def parts_of_folder(self, folder: str) -> tuple[str, ...]:
        """The folders that lead to a folder, and itself, called as in `parts`."""
        return self._parts[folder] if folder in self._parts else tuple(folder.split("/"))

    def find_folder(self, entry: str, base: str = "") -> str | None:
        """The folder that a list in the folder `base` names."""
        entry = composed(entry.strip())
        for folder in (base, ""):
            path = posixpath.normpath(posixpath.join(folder, entry))
            if entry and path in self._parts:
                return path
        return None

    def with_suffix(self, suffix: str) -> list[str]:
        """The files whose path ends like this, in any case."""
        files = self.by_suffix.get("." + suffix.rpartition(".")[2].lower(), ())
        return [path for path in files if path.lower().endswith(suffix.lower())]

    def path(self, below: str) -> Path:
        """A path below the root as an object."""
        return self.paths.get(below) or self.root / below

    def find(self, entry: str, base: str = "") -> str | None:
        """The file that a list in the folder `base` names: relative to it, to one above it or to the root, or by a path
        of another computer or folder, of which the end counts. What lies outside is found with `outside` alone."""
        stored = entry.strip().replace("\\", "/")
        if UNPRINTABLE.search(stored):
            return None
        entry = composed(stored)
        for name in dict.fromkeys((stored, entry)):  # the first where a folder has both forms of a name
            for folder in (*upwards(base), ""):
                path = posixpath.normpath(posixpath.join(folder, name))
                if path in self.known:
                    return path
        if self.outside:
            path = Path(os.path.abspath(self.path(base) / stored))
            if path.is_file():
                return path.as_posix()
        is_absolute = entry.startswith("/") or entry[1:3] == ":/"  # of others, a mere name would be that of any folder
        return next((end for end in ends(entry) if end in self.known and (is_absolute or "/" in end)), None)


def grouped(paths: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Key -> the paths that have it."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def texts(tree: Tree, paths: Iterable[str]) -> Iterator[str]:
    """`str(tree.path(path))` of each path, in a tenth of the time for the files in the tree."""
    start = str(tree.root / "x").removesuffix("x")  # nothing for the current folder
    for path in paths:
        is_plain = path in tree.known and path not in tree.paths
        yield start + path.replace("/", os.sep) if is_plain else str(tree.path(path))


def as_stored(tree: Tree, path: str, name: str) -> str:
    """A name made of parts of a path, in the form of Unicode in which the file is stored: runs know it by that."""
    if name.isascii() or tree.path(path) == tree.root / path:
        return name
    return normalize("NFD", name)


def upwards(folder: str) -> Iterator[str]:
    """A folder, and all that it lies in, from the inner to the outer ones."""
    yield folder
    while folder not in ("", "/"):
        folder = posixpath.dirname(folder)
        yield folder


def ends(path: str) -> Iterator[str]:
    """The ends of a path, from long to short: b/c and c of a/b/c."""
    parts = path.split("/")
    for start in range(1, len(parts)):
        yield "/".join(parts[start:])


def parts_of_all(folders: Sequence[str], children: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Folder -> its name and those of all that it lies in; those that differ in a split's word are called after it."""
    parts: dict[str, tuple[str, ...]] = {"": ()}
    for folder in folders:  # sorted: each comes after the one that it lies in
        names = children.get(folder, ())
        splits = splits_beside(names)
        for name in names:
            parts[posixpath.join(folder, name)] = (*parts[folder], splits.get(name, name))
    return parts


def has_role(path: str) -> bool:
    """Whether the name of a file, or one of its folders, says image or mask."""
    folder, _, name = posixpath.splitext(path)[0].rpartition("/")
    return bool(file_role(name)[0] or innermost_role(folder.split("/")))


def walk(root: Path, below: str, stored: str, depth: int) -> Iterator[tuple[str, str, bool]]:
    """(path below the root with composed names, the path as it is stored, whether it is a folder) of all that is not
    hidden, depth first; `below` and `stored` are the two paths of the folder to begin with."""
    with os.scandir(root / stored) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in PASSED_OVER]
    names = names_apart([entry.name for entry in shown])
    for entry in shown:
        path = posixpath.join(below, names[entry.name])
        stored_path = posixpath.join(stored, entry.name)
        if not entry.is_dir():
            yield path, stored_path, False
        elif not entry.is_symlink() or (depth < LINK_DEPTH and not leads_up(root / stored_path)):
            yield path, stored_path, True
            yield from walk(root, path, stored_path, depth + 1)


def names_apart(stored: Sequence[str]) -> dict[str, str]:
    """Stored name -> composed name of the files in a folder; those that would then be called the same keep theirs."""
    names = {name: composed(name) for name in stored}
    if all(map(str.isascii, stored)):
        return names
    numbers = Counter(names.values())
    return {name: name if numbers[same] > 1 else same for name, same in names.items()}


def composed(name: str) -> str:
    """A name with each letter and its accents as one character, as a keyboard writes it (NFC)."""
    return name if name.isascii() else normalize("NFC", name)


def leads_up(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in, which would have no end."""
    return link.resolve() in (parent.resolve() for parent in link.parents)


def beside_root(root: Path) -> Path:
    """The place for the description of a data folder that cannot be written to: data/set -> data/set.segtrain"""
    return root.resolve().with_name(f"{root.resolve().name}.segtrain")


def description_in(root: Path, name: str) -> Path | None:
    """The file of this name in a data folder, or else in the one beside it; `None` where there is none."""
    paths = root / name, beside_root(root) / name
    return next(filter(Path.is_file, paths), None)


def below(root: Path, path: Path) -> str:
    """A path as it is seen from the data folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
