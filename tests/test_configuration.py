"""What scconfig and the module read is made of the one table of settings, and says what the table says."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from seiscomp_dlloc.install.description import OPTIONS, REFERENCES, defaults_cfg, write
from seiscomp_dlloc.settings.cfg import read_cfg
from seiscomp_dlloc.settings.layout import HostLayout
from seiscomp_dlloc.settings.parameters import BINDING, GROUPS, PARAMETERS, Parameter
from seiscomp_dlloc.settings.values import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
XML = REPOSITORY / "descriptions" / "dlloc.xml"
DEFAULTS = REPOSITORY / "etc" / "defaults" / "dlloc.cfg"
MANUAL = REPOSITORY / "descriptions" / "dlloc.rst"
TYPES = {"boolean", "double", "file", "int", "path", "string"}
ids = [parameter.key for parameter in PARAMETERS]


def described() -> dict[str, etree._Element]:
    """Key -> its element in the description; a struct stands for ``$name``."""

    def walk(element: etree._Element, prefix: str) -> Iterator[tuple[str, etree._Element]]:
        for child in element:
            if child.tag == "parameter":
                yield prefix + child.get("name"), child
            elif child.tag == "group":
                yield from walk(child, f"{prefix}{child.get('name')}.")
            elif child.tag == "struct":
                yield from walk(child, f"{prefix}$name.")

    (configuration,) = etree.parse(XML).getroot().iterfind("module/configuration")
    rows = list(walk(configuration, ""))
    assert len(rows) == len(dict(rows)), "no key stands there twice"
    return dict(rows)


def test_the_files_of_the_repository_are_those_that_the_table_makes(tmp_path: Path):
    write(tmp_path)
    for made in ("descriptions/dlloc.xml", "etc/defaults/dlloc.cfg"):
        same = (tmp_path / made).read_bytes() == (REPOSITORY / made).read_bytes()
        assert same, f"{made}: run python -m seiscomp_dlloc.install.description ."


def test_the_description_names_the_settings_of_the_table_and_no_others_in_its_order():
    assert sorted(described()) == sorted(ids)
    groups = [key.rpartition(".")[0] for key in described()]
    assert list(dict.fromkeys(groups)) == list(GROUPS)
    assert all(key in GROUPS for key in {parameter.group for parameter in PARAMETERS})


@pytest.mark.parametrize("parameter", PARAMETERS, ids=ids)
def test_an_entry_of_the_description_says_what_the_table_says(parameter: Parameter):
    element = described()[parameter.key]
    assert element.get("type") == parameter.type
    assert parameter.type.rpartition(":")[2] in TYPES
    assert element.get("default", "") == parameter.default
    assert element.get("unit", "") == parameter.unit
    assert tuple((element.get("values") or "").split(",")) == (parameter.values or ("",))
    stated = [None if not part else float(part) for part in element.get("range", ":").split(":")]
    assert tuple(stated) == parameter.range
    assert element.findtext("description") == parameter.description
    assert parameter.description.endswith(".")


@pytest.mark.parametrize("parameter", PARAMETERS, ids=ids)
def test_numbers_state_a_unit_where_they_have_one_and_a_default_within_their_range(parameter: Parameter):
    kind = parameter.type.rpartition(":")[2]
    if kind not in ("int", "double"):
        assert (parameter.unit, parameter.range) == ("", (None, None))
        return
    assert parameter.range != (None, None), "say what is allowed"
    for text in filter(None, parameter.default.split(",")):
        low, high = parameter.range
        assert low is None or float(text) >= low
        assert high is None or float(text) <= high


def test_every_group_and_option_is_described():
    root = etree.parse(XML).getroot()
    for element in root.iter("group", "struct", "option"):
        if element.getparent().tag != "command-line":
            assert element.findtext("description"), element.attrib
    stated = {option.get("long-flag"): option.get("flag", "") for option in root.iter("option")}
    assert stated == {long: short for long, short, _, _ in OPTIONS}


def test_the_options_described_are_those_that_the_module_adds():
    source = (REPOSITORY / "seiscomp_dlloc" / "seiscomp_app" / "module.py").read_text("utf-8")
    added = re.findall(r'add\w*Option\(\s*"\w+",\s*"([^"]+)"', source)
    assert sorted(name.split(",")[0] for name in added) == sorted(long for long, _, _, _ in OPTIONS)
    assert {name.split(",")[0]: name.partition(",")[2] for name in added} == {o[0]: o[1] for o in OPTIONS}


def test_the_defaults_file_read_as_the_host_reads_it_gives_what_no_file_gives():
    layout = HostLayout("/host")
    assert Settings.load(str(DEFAULTS), layout)._replace(files=()) == Settings.from_getter(lambda key: None, layout)


def test_the_defaults_file_states_every_default_and_names_every_key():
    values = read_cfg(str(DEFAULTS))
    stated = {p.key: p.default for p in PARAMETERS if p.default and "$name" not in p.key}
    assert set(values) == set(stated)
    text = DEFAULTS.read_text("utf-8")
    for parameter in PARAMETERS:
        key = parameter.key.replace("$name", "NAME")
        assert re.search(rf"^(# )?{re.escape(key)} =", text, re.MULTILINE), key


@pytest.mark.parametrize("parameter", PARAMETERS, ids=ids)
def test_a_setting_that_a_file_changes_changes_the_settings(parameter: Parameter):
    others = {
        "boolean": "false" if parameter.default == "true" else "true",
        "int": "7",
        "double": "0.75" if parameter.key.endswith("minPeak") else "77",
        "list:double": "1, 2, 3, 4",
        "list:string": "manual",
    }
    text = parameter.values[-1] if parameter.values else others.get(parameter.type, "/other")
    key = parameter.key.replace("$name", "default")
    if parameter.key == "profiles":
        text = "other"
    given = {key: [part.strip() for part in text.split(",")]}
    layout = HostLayout("/host")
    changed = Settings.from_getter(given.get, layout)
    assert changed != Settings.from_getter(lambda name: None, layout), f"{parameter.key} is read by nobody"


def test_an_installation_may_state_defaults_of_its_own_and_only_of_settings_that_exist(tmp_path: Path):
    path = tmp_path / "dlloc.cfg"
    path.write_bytes(defaults_cfg({"worker.python": "/a b/python", "worker.recordstreamCommand": "run, it #1"}))
    values = read_cfg(str(path))
    assert values["worker.python"] == ["/a b/python"]
    assert values["worker.recordstreamCommand"] == ["run, it #1"]
    with pytest.raises(ValueError, match=r"worker\.pithon"):
        defaults_cfg({"worker.pithon": "/x"})


def test_what_the_manual_calls_a_setting_is_one():
    named = set(re.findall(r":confval:`([^`]+)`", MANUAL.read_text("utf-8")))
    assert named
    assert named <= {*ids, *(parameter.key for parameter in BINDING)}


def test_the_binding_is_described_as_the_table_has_it():
    elements = etree.parse(XML).getroot().findall("binding[@module='dlloc']/configuration/parameter")
    stated = [(e.get("name"), e.get("type"), e.get("default"), e.findtext("description")) for e in elements]
    assert stated == [(p.key, p.type, p.default, p.description) for p in BINDING]


def test_settings_that_documents_name_exist():
    pattern = re.compile(rf"`((?:{'|'.join(group for group in GROUPS if group and '$' not in group)})\.[a-zA-Z]+)")
    for path in sorted((REPOSITORY / "docs").glob("*.md")):
        named = {key for key in pattern.findall(path.read_text("utf-8")) if not key.endswith(".py")}
        assert named <= set(ids), path.name


# With SeisComP


def host_python(root: str, code: str, *arguments: str) -> bytes:
    """stdout of ``code`` under the host's interpreter, with its libraries."""
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{root}/lib", "PYTHONPATH": f"{root}/lib/python"}
    command = [f"{root}/bin/seiscomp-python", "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def root() -> str:
    """The installation in SEISCOMP_ROOT."""
    value = os.environ.get("SEISCOMP_ROOT")
    if not value:
        pytest.skip("needs SEISCOMP_ROOT, the folder of an installed SeisComP")
    return value


@pytest.mark.seiscomp
def test_the_host_reads_the_description(root: str, tmp_path: Path):
    shutil.copy(XML, tmp_path)
    code = (
        "import sys\nimport seiscomp.system\n"
        "schema = seiscomp.system.SchemaDefinitions()\n"
        "assert schema.load(sys.argv[1])\n"
        "module = schema.module('dlloc')\n"
        "print(schema.moduleCount(), module.name, module.category, len(module.description) > 100)\n"
    )
    assert host_python(root, code, str(tmp_path)).decode().split() == ["1", "dlloc", "Processing", "True"]


@pytest.mark.seiscomp
def test_the_hosts_reader_finds_in_the_defaults_what_the_table_says(root: str):
    code = (
        "import json, sys\nimport seiscomp.config\n"
        "config = seiscomp.config.Config()\nassert config.readConfig(sys.argv[1])\n"
        "wanted = json.loads(sys.argv[2])\nfound = {}\n"
        "for key, kind in wanted.items():\n"
        "    get = {'boolean': config.getBool, 'int': config.getInt, 'double': config.getDouble,\n"
        "           'list:string': config.getStrings}.get(kind, config.getString)\n"
        "    value = get(key)\n"
        "    found[key] = list(value) if kind.startswith('list') else value\n"
        "print(json.dumps(found))\n"
    )
    wanted = {p.key: p.type for p in PARAMETERS if p.default and "$name" not in p.key}
    found = json.loads(host_python(root, code, str(DEFAULTS), json.dumps(wanted)))
    for parameter in PARAMETERS:
        if parameter.key not in wanted:
            continue
        convert = {"boolean": lambda text: text == "true", "int": int, "double": float,
                   "list:string": lambda text: [part.strip() for part in text.split(",")]}  # fmt: skip
        assert found[parameter.key] == convert.get(parameter.type, str)(parameter.default), parameter.key


@pytest.mark.seiscomp
def test_the_options_of_the_host_that_are_referred_to_exist(root: str):
    tree = etree.parse(Path(root) / "etc" / "descriptions" / "global.xml")
    known = {option.get("publicID") for option in tree.getroot().iter("option")}
    assert {f"{group.lower()}#{name}" for group, names in REFERENCES.items() for name in names} <= known
