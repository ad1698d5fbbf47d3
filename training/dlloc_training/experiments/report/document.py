"""A report as sections of text, tables and figures, and its Markdown."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...metrics import Interval
from ...scoreboard import interval_text

Cell = str | int | float | Interval | None
"""An interval is shown with its bounds; None and NaN are dashes."""

FIGURES, TABLES = "figures", "tables"


@dataclass(frozen=True)
class Table:
    """``name``: of its file. ``note``: what has to be known to read it."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name}: a row of {len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True)
class Picture:
    """``name``: of its file, without ending; ``png``: the image; ``caption``: what it shows."""

    name: str
    png: bytes
    caption: str


Block = str | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """``banner``: what has to be known before any figure; ``facts``: label -> text."""

    title: str
    banner: str
    facts: dict[str, str]
    sections: tuple[Section, ...]

    @property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Table)]

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def cell_text(cell: Cell) -> str:
    """A cell for readers: two decimals, three below 0.1."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Interval):
        return interval_text(cell, _digits(cell.value))
    if cell is None or not math.isfinite(cell):
        return "-"
    return str(cell) if isinstance(cell, int) else f"{cell:.{_digits(cell)}f}"


def _digits(value: float) -> int:
    return 3 if abs(value) < 0.0995 and value != 0 else 2


def to_markdown(document: Document) -> str:
    """The document, with figures by their path beside it."""
    lines = [f"# {_plain(document.title)}", ""]
    if document.banner:
        lines += [f"> {_plain(document.banner)}", ""]
    lines += [f"- {_plain(label)}: {_plain(text)}" for label, text in document.facts.items()]
    for section in document.sections:
        lines += ["", f"## {_plain(section.title)}"]
        for block in section.blocks:
            lines.append("")
            if isinstance(block, str):
                lines.append(_plain(block))
            elif isinstance(block, Picture):
                lines += [f"![{_plain(block.name)}]({FIGURES}/{block.name}.png)", "", f"*{_plain(block.caption)}*"]
            else:
                lines += _table_lines(block)
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text from anywhere that cannot become markup of its own."""
    for character in "\\`*_<>" + ("[]" if "](" in text else ""):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _table_lines(table: Table) -> list[str]:
    def line(cells: Sequence[Cell]) -> str:
        texts = (_plain(cell).replace("|", "\\|") if isinstance(cell, str) else cell_text(cell) for cell in cells)
        return "| " + " | ".join(texts) + " |"

    lines = [line(table.columns), "|---" + "|---:" * (len(table.columns) - 1) + "|"]
    lines += [line(row) for row in table.rows]
    return [*lines, "", _plain(table.note)] if table.note else lines


def to_csv(table: Table) -> str:
    """The table with full figures; a column with intervals becomes three, the bounds called low and high."""
    wide = [any(isinstance(row[k], Interval) for row in table.rows) for k in range(len(table.columns))]
    head: list[str] = []
    for name, three in zip(table.columns, wide, strict=True):
        head += [name, f"{name}, low", f"{name}, high"] if three else [name]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    for row in table.rows:
        cells: list[str] = []
        for cell, three in zip(row, wide, strict=True):
            parts = (cell.value, cell.low, cell.high) if isinstance(cell, Interval) else (cell, None, None)
            cells += [_raw(part) for part in (parts if three else parts[:1])]
        writer.writerow(cells)
    return buffer.getvalue()


def _raw(cell: str | int | float | None) -> str:
    if isinstance(cell, float):
        return f"{cell:.6g}" if math.isfinite(cell) else ""
    return "" if cell is None else str(cell)
