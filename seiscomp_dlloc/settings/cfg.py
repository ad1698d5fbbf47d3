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


def _read(path: str, values: Values, depth: int, outer: str = "") -> None:
    if depth > _MOST_DEEP:
        raise SettingError(f"{path}: includes itself")
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({error})") from error
    _parse(text, path, values, depth, outer)


def _parse(text: str, path: str, values: Values, depth: int, outer: str = "") -> None:
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
        prefix = outer + "".join(name + "." for name in blocks)
        words = entry.split(None, 1)
        if words[0] == "include" and "=" not in entry:
            names = _items(words[1], values, where) if len(words) > 1 else []
            if len(names) != 1:
                raise SettingError(f"{where}: include names one file")
            _read(os.path.join(os.path.dirname(path), os.path.expanduser(names[0])), values, depth + 1, prefix)
        elif words[0] == "del" and "=" not in entry:
            for name in _items(words[1], values, where) if len(words) > 1 else ():
                values.pop(prefix + name, None)
        else:
            key, separator, right = entry.partition("=")
            if not separator or not key.strip() or re.search(r"\s", key.strip()):
                raise SettingError(f"{where}: '{entry}' is no 'name = value'")
            try:
                values[prefix + key.strip()] = _items(right.strip(), values, where)
            except RecursionError as error:
                raise SettingError(f"{where}: what it refers to refers to itself") from error
    if blocks:
        raise SettingError(f"{path}: block '{blocks[-1]}' is not closed")


def _entries(text: str, path: str) -> Iterator[Tuple[int, str]]:
    """(line, entry) without comments, lines that go on joined."""
    entry, first, quoted = "", 0, False
    for number, line in enumerate(text.split("\n"), 1):
        kept, line = "", line.strip()
        if not line:
            continue
        for place, letter in enumerate(line):
            if letter == '"' and (quoted or place == 0 or line[place - 1] != "\\"):
                quoted = not quoted
            elif letter == "#" and not quoted:
                break
            kept += letter
        first = first if entry else number
        entry = (entry + kept).strip()
        if entry.endswith("\\"):
            entry = entry[:-1]
            continue
        if quoted:
            raise SettingError(f'{path}, line {number}: missing terminating "')
        if entry:
            yield first, entry
        entry = ""
    # What goes on after the last line is nothing to the host


def _items(text: str, values: Values, where: str) -> List[str]:
    """The items of a right side. ``""`` alone is an empty list.

    As the host does it: blanks outside quotes are dropped, quoted and bare parts joined, references resolved outside
    quotes, one to a list making several items. A list may name what is not set; it leaves that item out.
    """
    items: List[str] = []
    item: Optional[str] = None
    quoted = unset = False
    unresolved = ""

    def finish(last: bool) -> None:
        if unset and (item is not None or (last and not items)):
            raise SettingError(f"{where}: ${{{unresolved}}} is not set")
        if item is None and not unset:
            raise SettingError(f"{where}: '{text}' has an empty item or none; write \"\" where that is meant")
        if item is not None:
            items.append(item)

    place = 0
    while place < len(text):
        letter = text[place]
        place += 1
        if letter == '"':
            quoted, item = not quoted, item or ""
        elif quoted:
            item = (item or "") + letter
        elif letter == "\\":
            escaped = text[place : place + 1]
            item, place = (item or "") + {"n": "\n", "t": "\t"}.get(escaped, escaped), place + 1
        elif letter == "$":
            # Without braces the name is all the rest, as in the host
            stop = text.find("}", place)
            if stop < 0 and text[place : place + 1] == "{":
                raise SettingError(f"{where}: '{text[place - 1 :]}' has no closing brace")
            name = (text[place:stop] if stop >= 0 else text[place:]).strip().lstrip("{")
            found = _reference(name, values, where)
            if found is None:
                unset, unresolved = True, name
            for number, value in enumerate(found or ([] if found is None else [""])):
                if number:
                    finish(False)
                    item = None
                item = (item or "") + value
            place = stop + 1 if stop >= 0 else len(text)
        elif letter == ",":
            finish(False)
            item, unset = None, False
        elif not letter.isspace():
            item = (item or "") + letter
    if quoted:
        raise SettingError(f'{where}: missing terminating "')
    finish(True)
    return [] if items == [""] else items


def _reference(name: str, values: Values, where: str) -> Optional[List[str]]:
    """What ``${name}`` stands for: a setting, the environment's variable, or with ``@`` a file's content."""
    if name.startswith("@"):
        # Below the host's etc; without a host the reference leads nowhere
        path = os.path.join(os.environ.get("SEISCOMP_ROOT", ""), "etc", os.path.expanduser(name[1:]))
        try:
            with open(path, encoding="utf-8") as handle:
                return _items(handle.read(), values, where)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{where}: ${{{name}}} cannot be read ({error})") from error
    if name in values:
        return values[name]
    return _items(os.environ[name], values, where) if name in os.environ else None
