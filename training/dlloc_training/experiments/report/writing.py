"""The report of an experiment, composed and written."""

import json
from pathlib import Path

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically

from ...scoreboard import finite
from ..reading import ExperimentFile
from .compose import compose
from .document import FIGURES, TABLES, Document, Table, to_csv, to_markdown
from .page import to_html
from .results import read_results
from .scores import score_all
from .searchtable import search_section
from .summary import summary_of

FOLDER, MARKDOWN, PAGE, SUMMARY = "report", "report.md", "report.html", "summary.json"


def write_report(experiment: ExperimentFile, folder: Path) -> Path:
    """Write ``report/`` into the run folder ``folder`` from what was evaluated there; returns the Markdown's path.

    ``report.md`` with ``figures/*.png``, ``tables/*.csv``, ``report.html`` with its figures inside, ``summary.json``.
    Raises InputError where nothing was evaluated, SettingError where a file is damaged or cannot be written.
    """
    results = read_results(experiment, folder)
    scores = score_all(results, experiment.region.frame)
    document, more = compose(experiment, results, scores, search_section(experiment, folder))
    place = folder / FOLDER
    _write(place, document, more)
    summary = finite(summary_of(experiment.name, results, scores))
    write_atomically(place / SUMMARY, (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode())
    return place / MARKDOWN


def _write(place: Path, document: Document, more: tuple[Table, ...]) -> None:
    files = {f"{TABLES}/{table.name}.csv": to_csv(table).encode() for table in (*document.tables, *more)}
    files |= {f"{FIGURES}/{picture.name}.png": picture.png for picture in document.pictures}
    try:
        for part, ending in ((TABLES, "csv"), (FIGURES, "png")):
            (place / part).mkdir(parents=True, exist_ok=True)
            for old in (place / part).glob(f"*.{ending}"):  # of an earlier report, with other sets
                if f"{part}/{old.name}" not in files:
                    old.unlink()
    except OSError as error:
        raise SettingError(f"{error.filename or place}: cannot be written ({error.strerror or error})") from error
    for name, content in files.items():
        write_atomically(place / name, content)
    write_atomically(place / PAGE, to_html(document).encode())
    write_atomically(place / MARKDOWN, to_markdown(document).encode())
