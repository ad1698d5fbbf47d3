"""The reference of an experiment's file names every entry of the schema, with its default, and no other."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from dlloc_training.experiments.augmenting import Draws
from dlloc_training.experiments.reading import schema
from dlloc_training.experiments.robustness.settings import Robustness
from dlloc_training.networks.image_head import SlimSizes
from dlloc_training.networks.registry import NETWORKS

PAGE = (Path(__file__).parent.parent / "docs" / "experiment-file.md").read_text("utf-8")
SETTINGS = "Settings of the networks"


def _sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _below(table: dict[str, Any]) -> dict[str, Any]:
    """Entries of a table of the schema, those of tables within it after a point; robustness has its own section."""
    found: dict[str, Any] = {}
    for name, what in table["properties"].items():
        found[name] = what
        inner = [what, what.get("items", {}), *what.get("oneOf", [])]
        if name != "robustness":
            for each in inner:
                found |= {f"{name}.{key}": value for key, value in _below(each).items()} if "properties" in each else {}
    return found


def _tables() -> dict[str, dict[str, Any]]:
    """Entries by the title of their section."""
    top = schema()["properties"]
    found = {"Top level": top}
    for name, table in top.items():
        if name == "networks":
            found["networks.NAME"] = _below(table["additionalProperties"])
        elif table["type"] == "object":
            found[name] = _below(table)
    return found | {"evaluation.robustness": _below(top["evaluation"]["properties"]["robustness"])}


def _rows(section: str) -> list[list[str]]:
    """Cells of the rows of a section's tables, heads and rules left out."""
    lines = [line.strip("|").split("|") for line in _sections()[section].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def _default(cell: str) -> Any:
    return tomllib.loads(f"x = {cell.strip('`')}")["x"]


TABLES = _tables()


def test_there_is_a_section_for_every_table_and_no_other() -> None:
    assert set(_sections()) == {*TABLES, SETTINGS}


@pytest.mark.parametrize("section", TABLES)
def test_every_entry_of_the_schema_has_a_line_and_no_line_names_another(section: str) -> None:
    named = [row[0].strip("`") for row in _rows(section)]
    assert sorted(named) == sorted(TABLES[section])
    assert all(len(row) == 4 for row in _rows(section))


def test_entries_that_the_text_names_with_their_table_are_in_the_schema() -> None:
    known = {f"{section}.{name}" for section, entries in TABLES.items() for name in entries} | set(TABLES)
    first = "|".join(schema()["properties"])
    found = re.findall(rf"`((?:{first})(?:\.\w+)+)`", PAGE)
    assert found
    assert set(found) <= known


@pytest.mark.parametrize(("section", "made"), [("augmentation", Draws), ("evaluation.robustness", Robustness)])
def test_defaults_are_those_of_the_code(section: str, made: type) -> None:
    defaults = {item.name: item.default for item in fields(made)}
    for name, _, cell, _ in _rows(section):
        default = defaults[name.strip("`")]
        if name not in ("`networks`", "`sets`"):
            assert _default(cell) == (list(default) if isinstance(default, tuple) else default), name


@pytest.mark.parametrize("kind", [*NETWORKS, "slim"])
def test_settings_of_a_network_are_all_there_with_range_and_default(kind: str) -> None:
    tables = _sections()[SETTINGS].split("\n\n")
    (table,) = [part for part in tables if part.startswith("| setting |") and f"| `{kind}` |" in part.splitlines()[0]]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line]
    column = head.index(f"`{kind}`")
    said = {row[0].strip("`"): (row[1], row[column]) for row in rows if row[column] != "-"}
    wanted = fields(SlimSizes if kind == "slim" else NETWORKS[kind].settings)
    assert sorted(said) == sorted(item.name for item in wanted)
    for item in wanted:
        values, default = said[item.name]
        if "low" in item.metadata:
            assert f"{item.metadata['low']:g} to {item.metadata['high']:g}" in values, item.name
        assert default == "all frames" if item.default is None else _default(default) == item.default
