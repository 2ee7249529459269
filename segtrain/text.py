"""Text that anyone may have written: characters that a terminal would obey, and YAML that a few bytes blow up."""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import yaml

from .errors import UserError

# What moves the cursor, colours a terminal or reverses a line when it is printed, and half characters.
UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MAX_ENTRIES = 500_000  # values in a YAML file, with its aliases written out
MAX_TEXT = 1_000  # characters of one of them


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
