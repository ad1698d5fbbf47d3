"""What scconfig and the module read: description and defaults, made of the table of settings.

    python -m seiscomp_dlloc.install.description FOLDER

writes descriptions/dlloc.xml and etc/defaults/dlloc.cfg below FOLDER. They stand in the repository as it leaves them.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from lxml import etree

from ..formats.atomic import write_atomically
from ..settings.parameters import BINDING, GROUPS, PARAMETERS, Parameter

PROFILE_GROUP = "profile.$name"

ABOUT = (
    "Locates the origins of the messaging with a neural network from waveforms, and sends its own origins beside them. "
    "The trigger's location is not used. The origins are shadows by default: they have the evaluation status "
    "'reported' and never become preferred."
)

OPTIONS = (
    ("test", "", "", "Locate, but send nothing: the audit log says what would be sent."),
    ("ep", "", "file", "Locate the origins of an SCML file, write it with the new origins to stdout; no messaging."),
    ("formatted", "f", "", "With --ep: write indented XML."),
    ("origin-id", "O", "publicID", "Locate this origin of the database, send it and end."),
)
"""Options of the module's command line: long, short, argument, text."""

REFERENCES = {
    "Generic": ("help", "version", "config-file", "plugins", "daemon"),
    "Verbosity": ("verbosity", "v", "quiet", "component", "syslog", "lockfile", "console", "debug", "log-file"),
    "Messaging": ("user", "host", "timeout", "primary-group", "subscribe-group"),
    "Database": ("db-driver-list", "database", "config-module"),
}
"""The host's own options that the module has."""


def description_xml() -> bytes:
    """descriptions/dlloc.xml as scconfig reads it."""
    root = etree.Element("seiscomp")
    module = etree.SubElement(root, "module", name="dlloc", category="Processing")
    _describe(module, ABOUT)
    configuration = etree.SubElement(module, "configuration")
    for group, text in GROUPS.items():
        members = [parameter for parameter in PARAMETERS if parameter.group == group]
        parent = configuration
        if group == PROFILE_GROUP:
            # A group with one element per name; scconfig asks for the name
            parent = etree.SubElement(configuration, "group", name="profile")
            _describe(parent, "Profiles, by the names that 'profiles' lists.")
            parent = etree.SubElement(parent, "struct", type="dlloc profile", title="Profile $name")
            _describe(parent, text)
        elif group:
            parent = etree.SubElement(configuration, "group", name=group)
            _describe(parent, text)
        for parameter in members:
            _parameter(parent, parameter)
    command = etree.SubElement(module, "command-line")
    for group, names in REFERENCES.items():
        element = etree.SubElement(command, "group", name=group)
        for name in names:
            etree.SubElement(element, "optionReference").text = f"{group.lower()}#{name}"
    own = etree.SubElement(command, "group", name="Mode")
    for long, short, argument, text in OPTIONS:
        attributes = {"flag": short} if short else {}
        attributes["long-flag"] = long
        if argument:
            attributes["argument"] = argument
        _describe(etree.SubElement(own, "option", attributes), text)
    binding = etree.SubElement(root, "binding", module="dlloc")
    _describe(binding, "What the locator does with a station. A station without a binding is used.")
    bound = etree.SubElement(binding, "configuration")
    for parameter in BINDING:
        _parameter(bound, parameter)
    etree.indent(root, "\t")
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return document


def _parameter(parent: etree._Element, parameter: Parameter) -> None:
    attributes = {"name": parameter.name, "type": parameter.type}
    if parameter.default:
        attributes["default"] = parameter.default
    if parameter.unit:
        attributes["unit"] = parameter.unit
    if parameter.values:
        attributes["values"] = ",".join(parameter.values)
    if parameter.range != (None, None):
        attributes["range"] = ":".join("" if limit is None else f"{limit:g}" for limit in parameter.range)
    _describe(etree.SubElement(parent, "parameter", attributes), parameter.description)


def _describe(parent: etree._Element, text: str) -> None:
    etree.SubElement(parent, "description").text = text


def defaults_cfg(given: Mapping[str, str] | None = None) -> bytes:
    """etc/defaults/dlloc.cfg: every setting that has a default, with its text; ``given`` in place of the table's.

    Keys of a profile are those of the profile ``default``.
    """
    values = dict(given or {})
    lines = [
        "# Defaults of the module dlloc, its worker and its locator. Do not edit: set what differs in etc/dlloc.cfg.",
    ]
    for parameter in PARAMETERS:
        value = values.pop(parameter.key, parameter.default)
        lines += ["", *_comment(parameter)]
        if parameter.group == PROFILE_GROUP:
            lines.append(f"# {parameter.key.replace('$name', 'NAME')} = {value}".rstrip())
        elif value:
            lines.append(f"{parameter.key} = {_quoted(parameter, value)}")
        else:
            lines.append(f"# {parameter.key} =")
    if values:
        raise ValueError(f"no such settings: {', '.join(values)}")
    return "\n".join([*lines, ""]).encode()


def _comment(parameter: Parameter) -> list[str]:
    words, lines = parameter.description.split(), ["#"]
    if parameter.unit:
        words.append(f"[{parameter.unit}]")
    for word in words:
        if len(lines[-1]) + 1 + len(word) > 100:
            lines.append("#")
        lines[-1] += f" {word}"
    return lines


def _quoted(parameter: Parameter, value: str) -> str:
    return f'"{value}"' if not parameter.is_list and any(c in value for c in ", #") else value


def write(folder: Path) -> None:
    """Write both files below ``folder``, as the repository has them."""
    for name, content in (("descriptions/dlloc.xml", description_xml()), ("etc/defaults/dlloc.cfg", defaults_cfg())):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
