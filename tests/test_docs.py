"""The manual does not run ahead of the code, nor lag behind it."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from seiscomp_dlloc.cli.main import build_parser

REPOSITORY = Path(__file__).resolve().parent.parent
MANUALS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/conventions.md",
    "docs/host-tests.md",
    "docs/host.md",
    "docs/module.md",
    "docs/promotion.md",
    "docs/scan.md",
    "docs/worker.md",
    "docs/adr/README.md",
    "bench/README.md",
)


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def subcommands(parser: argparse.ArgumentParser, prefix: str = "dlloc") -> dict[str, argparse.ArgumentParser]:
    """``dlloc model check`` -> its parser, of every command."""
    found = {prefix: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= subcommands(child, f"{prefix} {name}")
    return found


COMMANDS = subcommands(build_parser())
OPTIONS = {name: {o for action in parser._actions for o in action.option_strings} for name, parser in COMMANDS.items()}


def command_lines(text: str) -> list[list[str]]:
    """Every ``dlloc ...`` in ``text``: in indented blocks, code spans and after shell operators."""
    joined = text.replace("\\\n", " ")
    indented = [line.strip() for line in joined.splitlines() if line.startswith(("    ", "  dlloc"))]
    pieces = [piece for line in indented for piece in re.split(r"&&|\|", line.split("  #")[0])]
    pieces += re.findall(r"`(dlloc [^`]*)`", joined)
    return [shlex.split(piece, comments=True) for piece in pieces if piece.strip().startswith("dlloc ")]


def check(words: list[str]) -> None:
    depth = 1
    while depth < len(words) and " ".join(words[: depth + 1]) in COMMANDS:
        depth += 1
    command = " ".join(words[:depth])
    children = [name for name in COMMANDS if name.startswith(f"{command} ")]
    rest = words[depth:]
    assert not children or not rest or rest[0].startswith("-") or rest[0].isupper(), f"no such command: {words}"
    wrong = [word for word in rest if word.startswith("-") and word.split("=")[0] not in OPTIONS[command]]
    assert not wrong, f"{command} has no option {wrong}"


@pytest.mark.parametrize("manual", MANUALS)
def test_every_command_line_of_the_manuals_exists(manual: str):
    for words in command_lines(text_of(manual)):
        check([word for word in words if word != "|" and not re.fullmatch(r"\w+\|[\w|]+", word)])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_the_help_exists(name: str):
    for words in command_lines(COMMANDS[name].epilog or ""):
        check(words)


def test_the_reader_of_command_lines_finds_and_refuses():
    assert command_lines("see:\n\n    dlloc model list && dlloc demo -o x  # say\n") == [
        ["dlloc", "model", "list"],
        ["dlloc", "demo", "-o", "x"],
    ]
    for words in (["dlloc", "demo", "--fast"], ["dlloc", "find"], ["dlloc", "model", "make"]):
        with pytest.raises(AssertionError):
            check(words)


def test_the_readme_names_every_command_and_every_option_of_locate():
    readme = text_of("README.md")
    leaves = [name for name in COMMANDS if not any(other.startswith(f"{name} ") for other in COMMANDS)]
    assert len(leaves) >= 5
    assert [name for name in leaves if name not in readme] == []
    spelt = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", readme))
    missing = OPTIONS["dlloc locate"] - spelt - {"-h", "--help", "--output"}
    assert not missing, f"README.md does not mention {sorted(missing)}"


def test_every_option_that_a_manual_names_exists():
    known = {option for options in OPTIONS.values() for option in options}
    for span in re.findall(r"`(--[a-z-]+)[^`]*`", text_of("README.md")):
        assert span in known, span


@pytest.mark.parametrize("manual", MANUALS)
def test_links_lead_to_files_that_are_there(manual: str):
    for target in re.findall(r"\]\(([^)#]+)\)", text_of(manual)):
        if "://" not in target:
            assert (REPOSITORY / manual).parent.joinpath(target).exists(), f"{manual}: {target}"


def test_every_help_text_says_its_exit_status():
    for name in ("dlloc", "dlloc locate", "dlloc demo", "dlloc model"):
        assert "exit status" in (COMMANDS[name].epilog or "")


def test_every_decision_record_is_listed():
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", text_of("docs/adr/README.md"))
    assert sorted(listed) == sorted(path.name for path in (REPOSITORY / "docs" / "adr").glob("0*.md"))


def test_the_readme_gives_the_two_commands():
    readme = text_of("README.md")
    assert "python3 -m pip install . && dlloc demo" in readme
    assert 'python3 -m pip install ".[test]" && python3 -m pytest' in readme
    assert 'python3 -m pip install --quiet ".[test]" && python3 -m pytest' in text_of(".ci/run")
