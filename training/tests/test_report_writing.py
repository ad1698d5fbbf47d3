"""The report as it is written: files, figures, what it says."""

import io
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from dlloc_training.experiments.report import summarise, write_report
from dlloc_training.experiments.report.document import Document, Picture, Section, Table, to_markdown
from dlloc_training.experiments.report.page import to_html
from dlloc_training.experiments.report.plots import canvas, png
from dlloc_training.experiments.report.searchtable import search_section
from dlloc_training.experiments.search import BEST, SEARCH, TRIALS, Best
from dlloc_training.metrics import Interval
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from seiscomp_dlloc.errors import InputError

from .reportfolder import MACHINE, experiment, predictions, run_folder, write_network

FIGURES = {
    "errors-test", "errors-off-node", "errors-recorded-test", "map-test", "map-recorded-test", "coverage-test",
    "coverage-held-out", "coverage-recorded-test", "evolution-test", "evolution-recorded-test", "magnitude-test",
    "magnitude-recorded-test", "snr-test", "snr-recorded-test", "lost-test", "training-test", "training-off-node",
    "training-recorded-test", "learning",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a report of five networks, the last of which was not evaluated."""
    folder = tmp_path_factory.mktemp("run")
    made = experiment(folder)
    return write_report(made, run_folder(folder, made, recorded=True)).parent


def test_every_figure_is_an_image_of_moderate_size(report: Path) -> None:
    found = {path.stem: path for path in (report / "figures").iterdir()}
    assert found.keys() == FIGURES
    for path in found.values():
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            assert 600 <= image.width <= 1400
            assert len(np.unique(np.asarray(image.convert("L")))) > 20  # something is drawn
        assert path.stat().st_size < 400_000


def test_the_markdown_names_files_that_are_there(report: Path) -> None:
    text = (report / "report.md").read_text("utf-8")
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert {Path(name).stem for name in linked} == FIGURES
    assert all((report / name).is_file() for name in linked)
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| RMSE | theoretical")}
    assert widths == {10}


def test_the_text_says_what_the_figures_rest_on(report: Path) -> None:
    text = (report / "report.md").read_text("utf-8")
    for part in (
        "Theoretical seismograms (synthetic): every figure of theoretical events",
        "The split is by node of the grid, never by image or window",
        "Recorded events are split by event",
        "network cnn3d\\_coarse (3D CNN, every other node) was not evaluated",
        MACHINE,
        "| 3D CNN, half the events (100 x 4 x 20) | 60 |",
        "Not evaluated: ConvNetQuake",
        "*Theoretical seismograms (synthetic): test events: share of truths inside",
    ):
        assert part in text


def test_the_tables_hold_the_summary_s_figures(report: Path) -> None:
    summary = json.loads((report / "summary.json").read_text("utf-8"))
    rmse = summary["networks"]["cnn3d"]["sets"]["test"]["depth_km"]["rmse"]
    text = (report / "tables" / "test-rmse.csv").read_text("utf-8").splitlines()
    row = next(line for line in text if line.startswith("3D CNN (200"))
    assert float(row.split(",")[4]) == pytest.approx(rmse, abs=1e-4)
    assert (report / "tables" / "measures.csv").read_text("utf-8").count("\n") > 100


class Seen(HTMLParser):
    """Tags with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = io.StringIO()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.write(data)


def test_the_page_is_whole_in_itself(report: Path) -> None:
    seen = Seen()
    seen.feed((report / "report.html").read_text("utf-8"))
    sources = [attributes["src"] or "" for tag, attributes in seen.tags if tag == "img"]
    assert len(sources) == len(FIGURES)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not {"script", "link", "cutout"} & {tag for tag, _ in seen.tags}  # a title's <cutout> is text
    assert "3D CNN with <cutout> (200 x 4 x 20)" in seen.text.getvalue()


def test_text_cannot_become_markup() -> None:
    table = Table("t", ("a", "b"), (("x|y", "*_<b>"), ("z", Interval(1.0, 0.5, 2.0))))
    document = Document("<i>", "", {"k": "[x](y)"}, (Section("S", ("text", table, Picture("p", b"png", "c"))),))
    text = to_markdown(document)
    assert "| x\\|y | \\*\\_\\<b\\> |" in text
    assert "| z | 1.00 [0.50, 2.00] |" in text
    assert "\\[x\\](y)" in text
    assert "![p](figures/p.png)" in text
    assert "<i>" not in to_html(document)


def test_networks_of_fewer_parameters_and_one_window_are_reported(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    full = predictions(made, np.full((12, 5), 1.0), until_s=(8.0,))
    cut = type(full)(**{**vars(full), "parameters": ("x", "y", "depth"), "truth": full.truth[:, :3],
                        "mean": full.mean[..., :3], "sigma": np.full((12, 1, 3), np.nan),
                        "magnitude": np.full(12, np.nan)})  # fmt: skip
    write_network(tmp_path, "cnn3d", "3D CNN", {"test": cut}, 50)
    earlier = [tmp_path / "report" / name for name in ("figures/map-off-node.png", "tables/off-node-rmse.csv")]
    for path in earlier:
        path.parent.mkdir(parents=True)
        path.touch()
    text = write_report(made, tmp_path).read_text("utf-8")
    assert "no training events" in text
    assert "| 3D CNN (50 x 4 x 20) | 12 | 1.00 | 1.00 | 1.00 | - | - | 1.41 [1.41, 1.41] |" in text
    assert "evolution-test" not in text
    assert "coverage-test" not in text
    assert not any(path.exists() for path in earlier)  # an earlier report's, of a set that is gone
    assert summarise(made, tmp_path)["networks"]["cnn3d"]["sets"]["test"]["epicentre_km"]["mean"] == 1.4142


def test_a_folder_without_answers_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    with pytest.raises(InputError, match="evaluate first"):
        write_report(made, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_display_is_needed(report: Path) -> None:
    with canvas(3, "x", columns=2) as (figure, panels):
        panels[0].plot([0, 1])
        data = png(figure)
    assert len(panels) == 3
    assert type(figure.canvas) is FigureCanvasAgg
    assert data.startswith(b"\x89PNG")
    assert (report / "figures").is_dir()
    assert plt.get_fignums() == []  # nothing was drawn through pyplot, here or in the report


def test_what_a_search_tried_is_told(tmp_path: Path) -> None:
    place = tmp_path / SEARCH
    place.mkdir()
    settings: dict[str, Any] = {"convolutions": 3, "batch_normalisation": True}
    best = Best("net", 2, 0.25, {"x": 0.25}, settings, {"complete": 2, "left out": 1, "pruned": 1})
    (place / BEST).write_text(json.dumps(asdict(best)))
    (place / TRIALS).write_text(
        "trial,state,value,epochs,seconds,reason,convolutions,batch_normalisation,nodes,rmse_x\n"
        "0,left out,,0,0.1,9 weights,5,True,50,\n"
        "1,complete,0.5,4,9.1,,1,False,50,0.5\n"
        "2,complete,0.25,4,9.1,,3,True,50,0.25\n"
        "3,pruned,0.1,1,2.0,after epoch 1,2,True,50,\n"
    )
    plain = experiment(tmp_path)
    wanted = {"network": "net", "trials": 3, "events_share": 0.1, "epochs": 4}
    searched = replace(plain, settings={**plain.settings, "search": wanted})
    section = search_section(searched, tmp_path)
    text, table = section.blocks
    assert "net's settings" in str(text)
    assert "10 % of the training events: 2 complete, 1 left out, 1 pruned. Best is trial 2." in str(text)
    assert isinstance(table, Table)
    assert table.columns == ("trial", "state", "mean RMSE", "epochs", "convolutions", "batch normalisation")
    assert [row[0] for row in table.rows] == ["2", "1", "3"], "the best of the complete ones first"
    assert table.rows[0][4:] == ("3", "yes")
    assert not search_section(plain, tmp_path).blocks
    assert not search_section(searched, tmp_path / "elsewhere").blocks
