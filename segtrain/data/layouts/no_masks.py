"""What is said of a folder in which no image has a mask: what lies there, what that is, and what to do with it."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...disk import PACKED
from ...text import counted
from .pairing import role_of
from .reading import spread
from .tree import Tree
from .words import parse_name

SHOWN = 4  # folders, and kinds of files
LOOKS = 8  # files of a kind that are looked into
LOOKED_AT = 1 << 20  # bytes of a file that are searched for the words of a format
AS_PNG = "save images and masks as PNG or TIFF"
NOT_READ = {  # suffixes -> what they are, and the way on
    ".dcm .dicom .ima": f"DICOM is not read: {AS_PNG}, 16 bits for images",
    ".nii .nii.gz .mha .mhd .nrrd .mgz": f"volumes are not read: {AS_PNG}, a file for each slice",
    ".jp2 .j2k .jpx .j2c": "JPEG 2000 is not read: convert it to TIFF, as by `gdal_translate a.jp2 a.tif`",
    ".heic .heif .avif .jxl": "this format is not read: convert it to JPEG or PNG",
    ".dng .cr2 .cr3 .nef .arw .orf .raf": "raw photographs are not read: develop them to TIFF or JPEG",
    ".svs .ndpi .mrxs .czi .lif .vsi": "slides and microscope files are not read: export tiles as TIFF or PNG",
    ".shp .geojson .gpkg .kml": "outlines on a map are no masks: gdal_rasterize burns them into a TIFF like the image",
    ".h5 .hdf5 .mat .pkl .pickle .parquet .tfrecord .tfrecords .arrow .pt .pth": f"this is not read: {AS_PNG}",
    ".mp4 .avi .mov .mkv .webm": "videos are not read: save their frames, as by `ffmpeg -i a.mp4 frames/%06d.png`",
    ".svg .psd .xcf .ai .pdf": "drawings are not read: export each mask as PNG",
    ".npy .npz": "arrays are read in folders called images and masks, or with names such as x_mask.npy",
    " ".join(PACKED): "unpack them",
}
KNOWN: dict[str, str] = {}
for suffixes, text in NOT_READ.items():
    KNOWN.update(dict.fromkeys(suffixes.split(), text))
DOUBLE = (".nii.gz",)
BOXES = "boxes, which are no masks: draw polygons or masks, or make masks from the boxes with a tool such as SAM"
EXPORT = "is not read: export COCO JSON, or masks as PNG"
LABELME = "LabelMe's polygons, none of which has its image here: `imagePath` in them names it"
CVAT = "CVAT's XML is not read: export `COCO 1.0`, or `Segmentation mask 1.1`"
STUDIO = "Label Studio's own JSON is not read: export COCO with images"
YOLO = "YOLO polygons, without the data.yaml that names their classes: write one with the line `names: [first, second]`"
WRITTEN = (  # (suffix, pattern in the first megabyte, what it is and the way on); none takes longer than one pass
    (".json", rb'"shapes"\s*:', LABELME),
    (".json", rb'"_via_|"all_points_x"|"shape_attributes"', f"VIA's own JSON {EXPORT}"),
    (".json", rb'"classTitle"|"classId"', f"Supervisely's JSON {EXPORT}"),
    (".json", rb'"completed_by"|"from_name"|"original_width"', STUDIO),
    (".json", rb'"Labeled Data"|"data_row"|"DataRow ID"', f"Labelbox's JSON {EXPORT}"),
    (".json", rb'"FeatureCollection"', KNOWN[".geojson"]),
    (".xml", rb"<annotations>|<polygon\s|<mask\s", CVAT),
    (".xml", rb"<bndbox>|<annotation>|<object>", f"VOC's XML holds {BOXES}"),
    (".txt", rb"(?m)^[ \t]*\d+([ \t]+[-+.\de]+){6,}[ \t\r]*$", YOLO),
    (".txt", rb"(?m)^[ \t]*\d+([ \t]+[-+.\de]+){4,5}[ \t\r]*$", f"YOLO {BOXES}"),
    (".csv", rb"(?i)x_?min|bbox", f"a table of {BOXES}"),
    (".csv", rb"(?i)encoded_?pixels", f"run lengths in a table are not read: {AS_PNG}"),
)
COCO_WORDS = (b'"images"', b'"annotations"')
FILE_NAME = re.compile(rb'"file_name"\s*:\s*"([^"]{1,200})"')
SHAPES = re.compile(rb'"segmentation"\s*:\s*(\[[\s\[]*[-\d]|\{)')


def no_masks_text(tree: Tree) -> str:
    """The error about a folder in which no layout finds an image with its mask."""
    root = tree.root
    others, is_known = others_text(tree)
    expected = f"expected {root}/images/train with {root}/masks/train, or another layout of docs/data.md"
    if is_known:
        expected = "docs/data.md has all layouts"
    if not tree.pictures:
        return f"{root}: no images found{', but ' if others else ''}{others}; {expected}"
    message = f"{root}: no image has a mask: {pictures_text(tree)}"
    if others:
        message += f"; {others}"
    message += f"; {expected}"
    if not is_known:
        message += f", or list them in {root}/splits.csv with the header image,mask,split"
    if parse_name(root.resolve().name).role:
        message += f"; or do images and masks lie in {root.resolve().parent}?"
    return message


def pictures_text(tree: Tree) -> str:
    """How many pictures lie where, with the name of one; of images and of masks where there are both."""
    masks = [path for path in tree.pictures if role_of(path) == "mask"]
    images = [path for path in tree.pictures if role_of(path) == "image"]
    if not images or not masks:
        return f"{counted(len(tree.pictures), 'picture')} ({places(tree.pictures)}), such as {tree.pictures[0]}"
    return (
        f"{counted(len(images), 'image')} ({places(images)}) such as {images[0]} and {counted(len(masks), 'mask')} "
        f"({places(masks)}) such as {masks[0]}, {mismatch(images, masks)}"
    )


def mismatch(images: Sequence[str], masks: Sequence[str]) -> str:
    """Why no image has a mask, and what to do: one image with several masks in a folder, or names that differ."""
    images_in, masks_in = Counter(map(posixpath.dirname, images)), Counter(map(posixpath.dirname, masks))
    crowded = [folder for folder, number in masks_in.items() if folder and number > 1 and images_in[folder] == 1]
    if not crowded:
        return "whose names do not match: an image and its mask share their name, but for a word such as _mask"
    folder = crowded[0]
    return (
        f"and {folder} holds several for one image, which their names do not tell apart: move masks of objects into "
        f"{folder}/masks and the image into {folder}/images, or name each mask after its class, such as mask_road.png"
    )


def places(paths: Sequence[str]) -> str:
    folders = Counter(posixpath.dirname(path) or "." for path in paths).most_common(SHOWN)
    return ", ".join(f"{number} in {folder}" for folder, number in folders)


def others_text(tree: Tree) -> tuple[str, bool]:
    """The kinds of files that are no pictures, those first of which something is known, with an example of each and
    what to do with it; and whether anything is known."""
    kinds: dict[str, list[str]] = defaultdict(list)
    pictures = set(tree.pictures)
    for path in tree.files:
        if path not in pictures:
            kinds[kind_of(path)].append(path)
    hints = {kind: hint(tree, kind, paths) for kind, paths in kinds.items()}
    first = sorted(kinds, key=lambda kind: (not hints[kind], -len(kinds[kind])))[:SHOWN]
    texts: list[str] = []
    for kind in first:
        text = f"{len(kinds[kind])} {kind or 'files'}"
        if hints[kind]:
            text += f" such as {kinds[kind][0]}: {hints[kind]}"
        texts.append(text)
    is_known = any(hints.values())
    return ("; " if is_known else ", ").join(texts), is_known


def kind_of(path: str) -> str:
    """The suffix of a file, in small letters."""
    double = next((suffix for suffix in DOUBLE if path.lower().endswith(suffix)), "")
    return double or posixpath.splitext(path)[1].lower()


def hint(tree: Tree, kind: str, paths: Sequence[str]) -> str:
    """What files of a kind are and what to do with them, by their suffix or by what the first few of them hold."""
    if kind in KNOWN:
        return KNOWN[kind]
    patterns = [(re.compile(pattern), text) for suffix, pattern, text in WRITTEN if suffix == kind]
    if not patterns:
        return ""
    contents = [beginning(tree.path(path)) for path in spread(paths, LOOKS)]
    if kind == ".json":
        coco = next(filter(is_coco, contents), None)
        if coco is not None:
            return coco_text(coco)
    for pattern, text in patterns:
        if any(map(pattern.search, contents)):
            return text
    return ""


def beginning(path: Path) -> bytes:
    """The first megabyte of a file; nothing of what is no regular file, or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(LOOKED_AT)
    except OSError:
        return b""


def is_coco(content: bytes) -> bool:
    return all(word in content for word in COCO_WORDS)


def coco_text(content: bytes) -> str:
    """What is the matter with a COCO file: it holds boxes alone, or its images lie elsewhere."""
    names = FILE_NAME.search(content)
    if b'"annotations"' in content and len(content) < LOOKED_AT and not SHAPES.search(content):
        return f"COCO {BOXES}"
    if names is None:
        return "COCO annotations of no images"
    name = names[1].decode(errors="replace")
    return f"COCO annotations of images such as {name!r}, which lie in no folder here: put the images beside this file"
