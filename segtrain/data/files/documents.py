"""JSON files of annotations: searched for the words of a format, and parsed."""

import json
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
        while wanted and (piece := file.read(PIECE)):
            wanted = {word for word in wanted if word not in before + piece}
            before = piece[-LONGEST:]
    return not wanted


def parsed_json(path: Path) -> Any:
    """The content of a JSON file; UserError for what is none."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON: {str(error)[:100]}") from None
