"""A block of our lines in a configuration file of the operator's, between two markers; the rest is left as it is."""

from collections.abc import Mapping, Sequence

from ..settings.cfg import Values, parse_cfg

BEGIN = "# >>> dlloc: written by 'dlloc install', removed by 'dlloc uninstall' >>>"
END = "# <<< dlloc <<<"


def without_block(text: str) -> str:
    """``text`` without our block, and as it was before the block came."""
    lines, kept, inside = text.splitlines(keepends=True), [], False
    for line in lines:
        if line.rstrip("\r\n") == BEGIN:
            inside = True
        elif inside and line.rstrip("\r\n") == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "".join(kept)


def with_block(text: str, lines: Sequence[str]) -> str:
    """``text`` with a block of ``lines`` at its end, in place of an earlier one."""
    rest = without_block(text)
    gap = "" if not rest or rest.endswith("\n") else "\n"
    return rest + gap + "".join(f"{line}\n" for line in (BEGIN, *lines, END))


def keys_set(text: str, path: str, known: Values) -> set[str]:
    """Keys that ``text`` of the file ``path`` sets, our block apart, or sets otherwise than ``known``, read before it.

    Raises SettingError.
    """
    values = parse_cfg(without_block(text), path, known)
    return {key for key, value in values.items() if known.get(key) != value}


def locator_lines(present: set[str], profiles: Sequence[str]) -> list[str]:
    """Lines that make the profiles known as External locators; entries that are there stay."""
    entries = ", ".join(f'{name}:"@ROOTDIR@/bin/dlloc-locext --profile {name}"' for name in profiles)
    before = "${ExternalLocator.profiles}, " if "ExternalLocator.profiles" in present else ""
    return ["plugins = ${plugins}, locext", f"ExternalLocator.profiles = {before}{entries}"]


SCOLV: Mapping[str, str] = {
    # The reviewer who relocates an origin of ours gets its locator and profile preset
    "olv.locator.presetFromOrigin": "true",
    # The code reads this key for the id, and the one without olv. for the label
    "olv.display.origin.comment.id": "dlloc/summary",
    "display.origin.comment.label": "dlloc",
    "eventedit.origin.customColumn.name": "dlloc",
    "eventedit.origin.customColumn.originCommentID": "dlloc/summary",
    "eventedit.origin.customColumn.pos": "6",
    "eventlist.customColumn.name": "dlloc",
    "eventlist.customColumn.originCommentID": "dlloc/summary",
    "button0": '"dlloc picture"',
    "scripts.script0": "@ROOTDIR@/bin/dlloc-show-origin",
}
"""Settings of scolv that show what our origins say of themselves."""

_TOGETHER = (
    ("olv.display.origin.comment.", "display.origin.comment."),
    ("eventedit.origin.customColumn.", "eventedit.customColumn"),
    ("eventlist.customColumn",),
    ("button0", "scripts.script0"),
)
"""Settings that make sense together only: where the operator has set one, all of them are left to the operator."""


def scolv_lines(present: set[str], profiles: Sequence[str]) -> tuple[list[str], list[str]]:
    """(Lines for scolv.cfg, keys that are left as the operator has them)."""
    taken = set(present)
    for prefixes in _TOGETHER:
        if any(key.startswith(prefixes) for key in present):
            taken.update(key for key in SCOLV if key.startswith(prefixes))
    lines = locator_lines(present, profiles)
    lines += [f"{key} = {value}" for key, value in SCOLV.items() if key not in taken]
    return lines, sorted(taken & set(SCOLV))
