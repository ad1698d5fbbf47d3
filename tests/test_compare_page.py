"""The page of a comparison is whole, needs no network, and lets nothing through that a file put in; the command."""

import argparse
import csv
import io
import json
import re
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest
from lxml import etree
from obspy.core.inventory import Inventory, Network
from obspy.core.inventory import Station as Entry
from test_compare import LAYERS, STATIONS, file, lookup, origin, ours, picked

from seiscomp_dlloc.cli import compare as command
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.compare import compare, with_residuals
from seiscomp_dlloc.errors import EventFileError, SettingError
from seiscomp_dlloc.formats.identifiers import file_stem, short_stem
from seiscomp_dlloc.report import svg
from seiscomp_dlloc.report.comparison import comparison_page

COVARIANCE = np.diag([4.0, 1.0, 9.0])
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m&'\u202e"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


class Tags(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def comparison(count=3, name="e{}", theoretical=False, locators=1):
    rng = np.random.default_rng(2)
    mine, others = [], [[] for _ in range(locators)]
    for i in range(count):
        east, north = rng.normal(size=2) * 0.02
        event = name.format(i)
        truth = ours(f"o{i}", latitude=35 + north, longitude=-97 + east, covariance=COVARIANCE, event_id=event,
                     theoretical=theoretical, magnitude=2.0)  # fmt: skip
        mine.append(truth)
        for j, rows in enumerate(others):
            rows.append(origin(f"c{i}", depth_km=3.0 + j, picks=picked(truth), event_id=event, magnitude=1.5))
    found = compare([file("a.xml", *mine), *(file(f"l{j}.xml", *rows) for j, rows in enumerate(others))])
    pairs = tuple(with_residuals(pair, lookup, LAYERS) for pair in found.pairs)
    return type(found)(pairs, found.ours_alone, found.theirs_alone, found.notes)


def test_a_page_shows_every_event_the_worst_first_with_drawings():
    found = comparison(5)
    page = comparison_page(found, ["a.xml", "l0.xml"], "km", 2, tuple(STATIONS.values()), "predicted by layers")
    tags = Tags(page)
    assert sum(tag == "article" for tag, _ in tags.elements) == 2
    worst = sorted(found.pairs, key=lambda p: -p.hypocentral_km)
    heads = re.findall(r"<article id=e\d+><h3><b>\d+</b> (e\d)", page)
    assert heads == [pair.event_id for pair in worst[:2]]
    for i in range(5):
        assert f"e{i}" in tags.text
    assert "5 pairs of origins from a.xml, l0.xml" in tags.text
    assert "16 residuals" in tags.text
    assert "predicted by layers" in tags.text
    assert "Theoretical" not in tags.text


def test_a_page_loads_and_runs_nothing():
    page = comparison_page(comparison(3), ["a", "b"], pictures=lambda pair: PNG)
    tags = Tags(page)
    assert {tag for tag, _ in tags.elements}.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base"})
    for _tag, attributes in tags.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in page
    assert "@import" not in page
    policy = next(a["content"] for t, a in tags.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_nothing_that_a_file_says_becomes_markup():
    found = comparison(2)
    poisoned = []
    for pair in found.pairs:
        fields = dict.fromkeys(("event_id", "public_id", "method", "agency", "status", "earth_model"), EVIL)
        kinds = {"magnitude_type": EVIL, "comments": {"dlloc/notes": EVIL, "dlloc/model": EVIL}}
        one, other = (type(o)(**{**vars(o), **fields, **kinds}) for o in (pair.ours, pair.theirs))
        residuals = tuple(type(r)(**{**vars(r), "station_id": EVIL}) for r in pair.residuals)
        poisoned.append(type(pair)(**{**vars(pair), "ours": one, "theirs": other, "locator": EVIL, "how": EVIL,
                                      "residuals": residuals}))  # fmt: skip
    evil = type(found)(tuple(poisoned), (poisoned[0].ours,), ((EVIL, poisoned[0].theirs),), (EVIL,))
    page = comparison_page(evil, [EVIL, EVIL], travel_times=EVIL)
    tags = Tags(page)
    assert {"script", "img"}.isdisjoint({tag for tag, _ in tags.elements})
    assert not any(name.startswith("on") for _, attributes in tags.elements for name in attributes)
    assert "alert(1)" in tags.text
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_drawings_are_well_formed_and_finite():
    found = comparison(4, locators=2)
    texts = re.findall(r"<svg viewBox.*?</svg>(?=</div>|<svg viewBox)", comparison_page(found, ["a"]))
    assert len(texts) == 2 + len(found.pairs)
    for text in texts:
        etree.fromstring(text)
        assert "nan" not in text
        assert "inf" not in text


def test_theoretical_seismograms_are_called_so():
    page = Tags(comparison_page(comparison(1, theoretical=True), ["a"])).text
    assert "Theoretical seismograms (synthetic)" in page
    assert "theoretical seismograms" in page


def test_a_thousand_events_make_a_page_of_a_few_megabytes():
    page = comparison_page(comparison(1000), ["a", "b"])
    assert len(page) < 3_000_000
    assert page.count("<tr><td>") >= 1000


def test_extreme_values_make_a_page_too():
    rows = [
        (ours(f"o{i}", event_id=f"e{i}", **values), origin(f"c{i}", event_id=f"e{i}", **values))
        for i, values in enumerate(
            [
                {"time": 1e14},
                {"latitude": 90.0, "longitude": 180.0, "depth_km": None},
                {"depth_km": 1e300, "covariance": np.full((3, 3), 1e300)},
                {"latitude": -90.0, "covariance": np.zeros((3, 3)), "magnitude": 1e300},
                {"covariance": -np.eye(3)},
            ]
        )
    ]
    found = compare([file("a.xml", *(a for a, _ in rows)), file("b.xml", *(b for _, b in rows))])
    page = comparison_page(found, ["a", "b"])
    assert sum(tag == "article" for tag, _ in Tags(page).elements) == 5


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [(0, 10, 5, [0, 2, 4, 6, 8, 10]), (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]), (3.1, 3.4, 3, [3.1, 3.2, 3.3, 3.4])],
)
def test_ticks_are_round(low, high, most, wanted):
    assert svg.ticks(low, high, most) == pytest.approx(wanted)
    assert svg.ticks(high, low, most) == pytest.approx(wanted)
    assert svg.ticks(low, low, most) == []
    assert svg.ticks(low, float("nan"), most) == []


# The command


def run(*words):
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    arguments = parser.parse_args(["compare", *map(str, words)])
    return arguments.run(arguments)


def quakeml(rows, method=""):
    events = []
    for i, row in enumerate(rows):
        places = "".join(
            f'<pick publicID="smi:p/{i}/{pick.public_id}"><time><value>{_iso(pick.time)}</value></time>'
            f'<waveformID networkCode="XX" stationCode="{pick.station}"/></pick>'
            for pick in row.picks
        )
        arrivals = "".join(
            f'<arrival publicID="smi:a/{i}/{p.public_id}"><pickID>smi:p/{i}/{p.public_id}</pickID>'
            f"<phase>{p.phase}</phase></arrival>"
            for p in row.picks
        )
        events.append(
            f'<event publicID="smi:e/{i}">{places}<origin publicID="smi:{method or "c"}/{i}"><time><value>'
            f"{_iso(row.time)}</value></time><latitude><value>{row.latitude}</value></latitude><longitude><value>"
            f"{row.longitude}</value></longitude><depth><value>{1000 * row.depth_km}</value></depth>"
            f"<methodID>smi:local/{method}</methodID>{arrivals}</origin></event>"
        )
    return (
        '<?xml version="1.0"?><q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" '
        f'xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><eventParameters publicID="smi:a/b">{"".join(events)}'
        "</eventParameters></q:quakeml>"
    )


def _iso(time):
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def paths(tmp_path):
    """Files of three events: ours, conventional with picks, stations."""
    rng = np.random.default_rng(5)
    truths = [ours(f"o{i}", latitude=35 + rng.normal() * 0.05, time=1.6e9 + 3600 * i) for i in range(3)]
    conventional = [origin(f"c{i}", time=t.time + 0.3, depth_km=2.0, picks=picked(t)) for i, t in enumerate(truths)]
    (tmp_path / "ours.xml").write_text(quakeml(truths, "DLLOC"))
    (tmp_path / "conventional.xml").write_text(quakeml(conventional))
    entries = [Entry(s.code, s.latitude, s.longitude, s.elevation_m) for s in STATIONS.values()]
    Inventory([Network("XX", entries)], source="test").write(str(tmp_path / "stations.xml"), format="STATIONXML")
    return tmp_path


def test_compare_prints_a_table_and_writes_a_page(paths, capsys):
    page = paths / "page.html"
    files = paths / "ours.xml", paths / "conventional.xml"
    assert run(*files, "--inventory", paths / "stations.xml", "-o", page) == 0
    said = capsys.readouterr().out
    assert said.count("smi:e/") == 3
    assert "residuals of its picks" in said
    assert "TauP (iasp91)" in Tags(page.read_text("utf-8")).text


def test_compare_gives_json_and_csv(paths, capsys):
    files = paths / "ours.xml", paths / "conventional.xml"
    assert run(*files, "--json", "--inventory", paths / "stations.xml") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    assert rows[0]["hypocentral_km"] == max(row["hypocentral_km"] for row in rows)
    assert rows[0]["picks"] == 16
    assert rows[0]["sigma_2d"] is None
    assert run(*files, "--csv", "--order", "time") == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["event"] for row in table} == {row["event"] for row in rows}
    assert table[0]["sigma_2d"] == ""


def test_csv_holds_no_formula():
    assert command._cell("=HYPERLINK()") == "'=HYPERLINK()"
    assert command._cell("Event/1") == "Event/1"
    assert command._cell(-1.5) == -1.5


def test_pictures_of_a_folder_go_in_and_others_do_not(paths, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / f"{short_stem('smi:e/0')}.png").write_bytes(PNG)
    (folder / f"{file_stem('smi:local/DLLOC/1')}.png").write_bytes(b"no picture")
    (folder / "2.png").write_bytes(PNG + bytes(5 << 20))
    page = tmp_path / "p.html"
    run(paths / "ours.xml", paths / "conventional.xml", "-o", page, "--pictures", folder)
    assert sum(tag == "img" for tag, _ in Tags(page.read_text("utf-8")).elements) == 1
    with pytest.raises(SettingError, match="no such folder"):
        run(paths / "ours.xml", paths / "conventional.xml", "-o", page, "--pictures", tmp_path / "absent")


def test_nothing_in_common_is_an_error(paths, tmp_path):
    (tmp_path / "other.xml").write_text(quakeml([origin("x", time=1.0)]).replace("smi:e/0", "smi:other/0"))
    with pytest.raises(EventFileError, match="no origin of ours belongs"):
        run(paths / "ours.xml", tmp_path / "other.xml")
    with pytest.raises(EventFileError, match="no such file"):
        run(paths / "absent.xml")
    with pytest.raises(SettingError):
        run(paths / "ours.xml", paths / "conventional.xml", "-o", tmp_path / "no" / "folder.html")


@pytest.mark.slow
def test_the_demo_compares_with_its_truth_and_is_called_theoretical(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path), "--provider", "cpu", "--threads", "1"]) == 0
    capsys.readouterr()
    with resources.as_file(resources.files("seiscomp_dlloc.data") / "demo") as data:
        status = run(
            tmp_path / "located.xml", data / "truth.xml", "--inventory", data / "stations.xml",
            "--pictures", tmp_path, "-o", tmp_path / "page.html",
        )  # fmt: skip
    said = capsys.readouterr().out
    assert status == 0
    assert said.startswith("THEORETICAL SEISMOGRAMS")
    assert "truth: 5 events" in said
    tags = Tags((tmp_path / "page.html").read_text("utf-8"))
    assert sum(tag == "img" for tag, _ in tags.elements) == 5
    assert "Theoretical seismograms (synthetic)" in tags.text
