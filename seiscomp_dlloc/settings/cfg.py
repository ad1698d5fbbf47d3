"""SeisComP's configuration files, read as SeisComP reads them (system/libs/seiscomp/config/config.cpp).

``name = value, value`` with optional quotes, ``#`` comments, lines that go on after a backslash, blocks
``name { ... }``, ``include FILE``, ``del NAME`` and references ``${name}`` to what was set before or stands in the
environment.
"""

import os
import re
from typing import Dict, Iterator, List, Optional, Tuple

from ..errors import SettingError

Values = Dict[str, List[str]]

_REFERENCE = re.compile(r"\$\{([^}]*)\}|\$([A-Za-z_][A-Za-z0-9_.]*)")
_MOST_DEEP = 8


def read_cfg(path: str, known: Optional[Values] = None) -> Values:
    """Values of each key in the file, on top of ``known``, which references may name; ``known`` is left alone.

    Raises SettingError naming file and line where the file cannot be read or is no configuration.
    """
    values = {key: list(items) for key, items in (known or {}).items()}
    _read(path, values, 0)
    return values


def parse_cfg(text: str, path: str, known: Optional[Values] = None) -> Values:
    """As :func:`read_cfg`, of ``text`` that stands, or is to stand, in the file ``path``."""
    values = {key: list(items) for key, items in (known or {}).items()}
    _parse(text, path, values, 0)
    return values


def _read(path: str, values: Values, depth: int) -> None:
    if depth > _MOST_DEEP:
        raise SettingError(f"{path}: includes itself")
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({error})") from error
    _parse(text, path, values, depth)


def _parse(text: str, path: str, values: Values, depth: int) -> None:
    blocks: List[str] = []
    for number, entry in _entries(text, path):
        where = f"{path}, line {number}"
        if entry == "}":
            if not blocks:
                raise SettingError(f"{where}: '}}' closes no block")
            blocks.pop()
            continue
        opened = re.match(r"^([^\s=]+)\s*\{$", entry)
        if opened:
            blocks.append(opened.group(1))
            continue
        prefix = "".join(name + "." for name in blocks)
        words = entry.split(None, 1)
        if words[0] == "include" and "=" not in entry:
            (name,) = _items(words[1], values, where) if len(words) > 1 else ("",)
            if name.startswith("~"):
                name = os.path.expanduser(name)
            _read(os.path.join(os.path.dirname(path), name), values, depth + 1)
        elif words[0] == "del" and "=" not in entry:
            for name in _items(words[1], values, where) if len(words) > 1 else ():
                values.pop(prefix + name, None)
        else:
            key, separator, right = entry.partition("=")
            if not separator or not key.strip() or re.search(r"\s", key.strip()):
                raise SettingError(f"{where}: '{entry}' is no 'name = value'")
            values[prefix + key.strip()] = _items(right.strip(), values, where)
    if blocks:
        raise SettingError(f"{path}: block '{blocks[-1]}' is not closed")


def _entries(text: str, path: str) -> Iterator[Tuple[int, str]]:
    """(line, entry) without comments, lines that go on joined."""
    entry, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        quoted, kept = False, ""
        line = line.strip()
        for place, letter in enumerate(line):
            if letter == '"' and (quoted or place == 0 or line[place - 1] != "\\"):
                quoted = not quoted
            elif letter == "#" and not quoted:
                break
            kept += letter
        if quoted:
            raise SettingError(f'{path}, line {number}: missing terminating "')
        first = first if entry else number
        entry += kept.strip()
        if entry.endswith("\\"):
            entry = entry[:-1]
            continue
        if entry:
            yield first, entry
        entry = ""
    if entry:
        yield first, entry


def _items(text: str, values: Values, where: str) -> List[str]:
    """The comma-separated items of a right side, quotes and references resolved. ``""`` alone is an empty list."""
    items: List[str] = []
    for item in _split(text):
        bare = item.strip()
        whole = re.match(r"^\$\{([^}]*)\}$", bare)
        if whole:
            items += _reference(whole.group(1), values, where)
        elif bare.startswith('"') and bare.endswith('"') and len(bare) > 1:
            items.append(_resolved(bare[1:-1], values, where))
        else:
            items.append(_resolved(re.sub(r"\\(.)", r"\1", bare), values, where))
    return [] if items == [""] else items


def _split(text: str) -> Iterator[str]:
    quoted, item, last = False, "", ""
    for letter in text:
        if letter == '"' and last != "\\":
            quoted = not quoted
        if letter == "," and not quoted and last != "\\":
            yield item
            item = ""
        else:
            item += letter
        last = letter
    yield item


def _reference(name: str, values: Values, where: str) -> List[str]:
    if name in values:
        return values[name]
    if name in os.environ:
        return [part.strip() for part in os.environ[name].split(",")]
    raise SettingError(f"{where}: ${{{name}}} is not set")


def _resolved(text: str, values: Values, where: str) -> str:
    return _REFERENCE.sub(lambda m: ", ".join(_reference(m.group(1) or m.group(2), values, where)), text)
