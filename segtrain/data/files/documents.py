"""Text files that anyone may have written: read up to a limit; JSON among them searched for words, and parsed."""

import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import UserError

MAX_BYTES = 1_000_000_000  # the file of COCO's 118,000 training images has 450 million
PIECE, LONGEST = 1 << 22, 16  # bytes that are searched at a time, and of a word


def holds(path: Path, words: Iterable[bytes]) -> bool:
    """Whether all these words stand in a file, which is searched piece by piece, and not parsed."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return False
    wanted, before = set(words), b""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            wanted = {word for word in wanted if word not in before + piece}
            if not wanted:
                break
            before = piece[-LONGEST:]
    return not wanted


def text_in(path: Path, most: int) -> str:
    """The text of a file of up to `most` bytes, in UTF-8, or in UTF-16 with a mark at its start.

    Raises:
        UserError: For everything else, in a sentence without the path.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        raise UserError("expected a file, or a link to one")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"more than {most} bytes")
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise UserError("it is no UTF-8 text") from None


def parsed_json(path: Path) -> Any:
    """The content of a JSON file; UserError for what is none."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON: {str(error)[:100]}") from None
