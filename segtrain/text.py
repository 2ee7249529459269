"""Text that anyone may have written: characters that a terminal would obey, and YAML that a few bytes blow up."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import regex
import yaml

from .errors import UserError

# What moves the cursor, colours a terminal or reverses a line when it is printed, and half characters.
UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# What is not seen, and makes two names look like one. The joiners of Persian and Indian scripts stand between letters.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u2800\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]|(?<![^\0-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\0-\x7f])"
)
FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001  with which a spreadsheet begins to compute
SEARCH = 10.0  # seconds that a regular expression may take, for all names together
MAX_ENTRIES = 500_000  # values in a YAML file, with its aliases written out
MAX_TEXT = 1_000  # characters of one of them


def kinds_of_files(paths: Iterable[Path], most: int | None = None) -> str:
    """How many files there are of each suffix, or of the `most` frequent ones, in words."""
    kinds = Counter(path.suffix or "files without suffix" for path in paths)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(most))


def counted(number: int, noun: str) -> str:
    """1, "image" -> "1 image"; 2, "image" -> "2 images"; 3, "class" -> "3 classes" """
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"


def enumerated(texts: Sequence[str], most: int) -> str:
    """The first few of several texts, up to `most`, and how many there are besides: a, b and 3 more"""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def refuse_unprintable(path: object) -> None:
    """Raises UserError for a path that would not be printed as it is."""
    if UNPRINTABLE.search(str(path)):
        raise UserError(f"{str(path)!r}: the name holds control or invalid characters: rename it")


def printable(text: str) -> str:
    """A text in which signs stand for what a terminal would obey, or no file can hold."""
    return UNPRINTABLE.sub("\ufffd", text)


def plain_cell(value: Any) -> Any:
    """What is written into a cell of a CSV file: a text that a spreadsheet would take for a formula gets a mark before
    it by which it stays a text; numbers stay as they are."""
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value


class Pattern:
    """A regular expression that anyone may have written: all searches with it together take at most `SEARCH` seconds.

    The standard library's would never end for some, such as (.*a)*b in a long name.

    Raises:
        UserError: For what is no regular expression, in a sentence without the expression.
    """

    def __init__(self, expression: str) -> None:
        self.left = SEARCH
        try:
            self.compiled = regex.compile(expression)
        except (regex.error, RecursionError, OverflowError) as error:
            raise UserError(f"not a regular expression: {error}") from None

    def search(self, text: str) -> Any:
        """The first match, or `None`."""
        start = time.process_time()  # which is what `regex` counts
        try:
            return self.compiled.search(text, timeout=max(self.left, 0.001))
        except TimeoutError:
            raise UserError(f"{self.compiled.pattern!r:.200} takes too long to find in {text!r:.200}") from None
        finally:
            self.left -= time.process_time() - start


def parse_yaml(content: bytes | str, deepest: int) -> Any:
    """Plain data from YAML with up to `deepest` lists and mappings in one another. Raises UserError for all else."""
    try:
        refuse_depth(content, deepest)
        loader = yaml.SafeLoader(content)
        node = loader.get_single_node()
        refuse_bomb(node, deepest)
        if node is None:
            return None
        return loader.construct_document(node)
    except Exception as error:  # for a wrong value under a tag such as !!int, SafeLoader raises many types
        raise UserError(" ".join(str(error).split())) from None


def refuse_depth(content: bytes | str, deepest: int) -> None:
    """Raises UserError for brackets in brackets, before PyYAML takes a time for them that grows with their square."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > deepest:
            raise UserError("nested too deeply")


def refuse_bomb(value: Any, deepest: int) -> None:
    """Raises UserError for YAML nodes or plain data that are too large, counted with their aliases written out."""
    entries, waiting = 0, [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, yaml.Node):
            item = item.value
        entries += 1
        if entries > MAX_ENTRIES:
            raise UserError(f"more than {MAX_ENTRIES} entries, aliases written out")
        if depth > deepest:
            raise UserError("nested too deeply")
        if isinstance(item, str) and len(item) > MAX_TEXT:
            raise UserError(f"a text of {len(item)} characters, more than {MAX_TEXT}")
        waiting.extend(product(inside(item), [depth + 1]))


def inside(item: Any) -> Any:
    """What a mapping (its keys and values, in pairs) or a sequence holds."""
    if isinstance(item, Mapping):
        return item.items()
    return item if isinstance(item, list | tuple | set) else ()
