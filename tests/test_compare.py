"""Origins that belong together are found, and what is said of their distance is right."""

import math
from dataclasses import replace

import numpy as np
import pytest
import solutions
from scipy.stats import chi2

from seiscomp_dlloc import compare as comparing
from seiscomp_dlloc.compare import EXPECTED, compare, in_sigma, measure, statistics, with_residuals, worst_first
from seiscomp_dlloc.errors import EventFileError
from seiscomp_dlloc.formats.origins import CatalogueOrigin, OriginFile, read_origins
from seiscomp_dlloc.formats.quakeml import write_quakeml
from seiscomp_dlloc.formats.scml import write_scml
from seiscomp_dlloc.geometry import LocalFrame, distance_azimuth
from seiscomp_dlloc.records import Pick, Station
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

T0 = 1.6e9
UNKNOWN = np.full((3, 3), np.nan)


def origin(public_id, time=T0, latitude=35.0, longitude=-97.0, depth_km=5.0, covariance=UNKNOWN, **more):
    return CatalogueOrigin(public_id, time, latitude, longitude, depth_km, covariance, **more)


def ours(public_id, **more):
    return origin(public_id, **{"method": "DLLOC", **more})


def file(name, *origins):
    return OriginFile(name, origins, ())


def joined(comparison):
    return {(p.ours.public_id, p.theirs.public_id, p.how) for p in comparison.pairs}


# Which belong together


def test_origins_of_one_event_are_a_pair():
    a = file("a.xml", ours("o1", event_id="e1"), ours("o2", event_id="e2", time=T0 + 1))
    b = file("b.xml", origin("c2", event_id="e2", time=T0 + 500), origin("c1", event_id="e1", time=T0 - 500))
    assert joined(compare([a, b])) == {("o1", "c1", "event"), ("o2", "c2", "event")}


def test_one_file_may_hold_both():
    both = file("all.xml", origin("c", event_id="e", method="LOCSAT"), ours("o", event_id="e"))
    found = compare([both])
    assert joined(found) == {("o", "c", "event")}
    assert found.locators == ("LOCSAT",)


def test_ours_names_the_origin_that_triggered_it():
    a = file("a.xml", ours("o", event_id="mine", comments={"dlloc/trigger": "c"}, time=T0 + 900))
    assert joined(compare([a, file("b.xml", origin("c", event_id="yours"))])) == {("o", "c", "trigger")}


def test_an_event_that_is_named_for_the_origin_is_a_pair():
    a, b = file("a.xml", ours("o", event_id="c", time=T0 + 900)), file("b.xml", origin("c"))
    assert len(compare([a, b]).pairs) == 1


def test_strangers_are_paired_by_time_and_place_the_nearest_first():
    a = file("a.xml", ours("o1"), ours("o2", time=T0 + 10), ours("o3", time=T0 + 3600))
    b = file(
        "b.xml",
        origin("c1", time=T0 + 2),
        origin("c2", time=T0 + 11),
        origin("far", time=T0 + 3600, latitude=45.0),
        origin("late", time=T0 + 3700),
    )
    found = compare([a, b])
    assert joined(found) == {("o1", "c1", "time and place"), ("o2", "c2", "time and place")}
    assert [o.public_id for o in found.ours_alone] == ["o3"]
    assert [o.public_id for _, o in found.theirs_alone] == ["far", "late"]
    assert ("o3", "late", "time and place") in joined(compare([a, b], time_tolerance_s=120.0))


def test_several_files_are_several_locators():
    a = file("a.xml", ours("o", event_id="e"))
    b, c = (file(f"{name}.xml", origin(name, event_id="e")) for name in ("locsat", "hypo71"))
    assert compare([a, b, c]).locators == ("locsat", "hypo71")
    same = compare([a, file("x/k.xml", origin("c1", event_id="e")), file("y/k.xml", origin("c2", event_id="e"))])
    assert same.locators == ("k", "k (2)")


def test_several_methods_of_a_file_are_several_locators():
    rows = [origin(f"c{m}{i}", event_id=f"e{i}", method=m) for i in range(2) for m in ("LOCSAT", "NLL")]
    found = compare([file("all.xml", *rows, ours("o0", event_id="e0"), ours("o1", event_id="e1"))])
    assert found.locators == ("LOCSAT", "NLL")
    assert len(found.pairs) == 4


def test_the_preferred_origin_counts_else_the_latest_and_of_ours_the_latest():
    early, late = (origin(n, event_id="e", method="M", created=c) for n, c in (("c1", "2020-01-01"), ("c2", "2020-02")))
    mine = [ours(n, event_id="e", created=c) for n, c in (("o1", "2020-03"), ("o3", "2020-05"), ("o2", "2020-04"))]
    assert joined(compare([file("f.xml", early, late, *mine)])) == {("o3", "c2", "event")}
    early = replace(early, preferred=True)
    assert joined(compare([file("f.xml", early, late, *mine)])) == {("o3", "c1", "event")}


def test_a_method_may_be_named_as_ours():
    rows = [origin("c", event_id="e", method="LOCSAT"), origin("n", event_id="e", method="External:NEW")]
    for name in ("new", "External:NEW"):
        assert joined(compare([file("f.xml", *rows)], ours=name)) == {("n", "c", "event")}
    with pytest.raises(EventFileError, match=r"--ours OTHER.*LOCSAT"):
        compare([file("f.xml", *rows)], ours="OTHER")


@pytest.mark.parametrize("make", [origin, ours])
def test_where_nothing_tells_them_apart_the_first_file_is_ours_and_said(make):
    a, b = file("a.xml", make("x", event_id="e")), file("b.xml", make("y", event_id="e"))
    found = compare([a, b])
    assert joined(found) == {("x", "y", "event")}
    assert "a.xml stand for ours" in found.notes[0]
    with pytest.raises(EventFileError, match="second file"):
        compare([a])


def test_origins_that_we_do_not_stand_by_are_told_or_left_out():
    a = file("a.xml", ours("o1", event_id="e1", comments={"dlloc/abstention": "low peak"}), ours("o2", event_id="e2"))
    b = file("b.xml", origin("c1", event_id="e1"), origin("c2", event_id="e2"))
    every, accepted = compare([a, b]), compare([a, b], accepted_only=True)
    assert [pair.abstained for pair in every.pairs] == [True, False]
    assert "1 of our 2 origins" in every.notes[0]
    assert [pair.ours.public_id for pair in accepted.pairs] == ["o2"]


def test_thousands_are_paired_in_time():
    rng = np.random.default_rng(1)
    times = T0 + np.cumsum(rng.uniform(40, 80, 4000))
    a = file("a.xml", *(ours(f"o{i}", time=t) for i, t in enumerate(times)))
    b = file("b.xml", *(origin(f"c{i}", time=t + rng.normal()) for i, t in enumerate(times)))
    assert all(p.ours.public_id[1:] == p.theirs.public_id[1:] for p in compare([a, b]).pairs)


# How far apart they are


def test_distances_in_km_are_those_of_the_local_frame():
    frame = LocalFrame(35.0, -97.0)
    latitude, longitude = (float(v) for v in frame.to_geographic(3.0, 4.0))
    mine = ours("o", latitude=latitude, longitude=longitude, depth_km=17.0, time=T0 + 1.5, magnitude=3.5)
    pair = measure(mine, origin("c", magnitude=3.0))
    assert (pair.east_km, pair.north_km, pair.down_km) == pytest.approx((3.0, 4.0, 12.0))
    assert pair.epicentral_km == pytest.approx(5.0)
    assert pair.hypocentral_km == pytest.approx(13.0)
    assert (pair.later_s, pair.larger) == pytest.approx((1.5, 0.5))
    shallow = measure(mine, origin("c", depth_km=None))
    assert math.isnan(shallow.down_km)
    assert shallow.hypocentral_km == pytest.approx(5.0)


def test_the_date_line_is_no_distance():
    pair = measure(ours("o", longitude=-179.99), origin("c", longitude=179.99))
    assert pair.epicentral_km == pytest.approx(1.8, abs=0.1)


def test_distance_in_sigma_by_hand():
    mine = ours("o", latitude=35.0 + 3.0 / 110.94, covariance=np.diag([1.0, 5.0, 3.0]), depth_km=7.0)
    pair = measure(mine, origin("c", covariance=np.diag([2.0, 4.0, 1.0])))
    assert pair.sigma2 == pytest.approx(1.0, abs=1e-3)
    assert pair.sigma3 == pytest.approx(math.sqrt(2.0), abs=1e-3)
    assert pair.sigma_of == "both"
    assert measure(mine, origin("c")).sigma2 == pytest.approx(3.0 / math.sqrt(5.0), abs=1e-3)
    assert measure(mine, origin("c")).sigma_of == "ours"
    assert math.isnan(measure(ours("o"), origin("c")).sigma2)


def test_distance_in_sigma_does_not_depend_on_the_frame():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(3, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    covariance, away = root @ root.T, rng.normal(size=3)
    turned = in_sigma(turn @ away, turn @ covariance @ turn.T)
    assert turned == pytest.approx(in_sigma(away, covariance))
    assert turned == pytest.approx(math.sqrt(away @ np.linalg.solve(covariance, away)))
    assert math.isnan(in_sigma(away, np.diag([1.0, 1.0, 0.0])))
    assert math.isnan(in_sigma(away, np.zeros((3, 3))))


def test_normal_errors_lie_within_the_expected_limits():
    for percent, limits in EXPECTED.items():
        for dimensions, limit in zip((2, 3), limits, strict=True):
            assert limit == pytest.approx(math.sqrt(chi2.ppf(percent / 100, dimensions)), abs=1e-4)
    rng = np.random.default_rng(7)
    a, b = np.array([[2.0, 0.8, 0.1], [0.8, 1.0, 0.0], [0.1, 0.0, 4.0]]), np.diag([1.0, 3.0, 2.0])
    frame, pairs = LocalFrame(35.0, -97.0), []
    for one, other in zip(rng.multivariate_normal(np.zeros(3), a, 4000), rng.multivariate_normal(np.zeros(3), b, 4000),
                          strict=True):  # fmt: skip
        places = [[float(v) for v in frame.to_geographic(*row[:2])] for row in (one, other)]
        mine, theirs = (
            origin("x", latitude=place[0], longitude=place[1], depth_km=10 + row[2], covariance=covariance)
            for place, row, covariance in zip(places, (one, other), (a, b), strict=True)
        )
        pairs.append(measure(mine, theirs, "L"))
    (row,) = statistics(comparing.Comparison(tuple(pairs), (), ()))
    for percent, shares in row.inside.items():
        assert shares == pytest.approx((percent / 100, percent / 100), abs=0.025)


# Residuals


LAYERS = LayeredTravelTimes([0.0, 15.0], [6.0, 7.0], [3.4, 4.0])
STATIONS = {
    f"XX.S{i}": Station("XX", f"S{i}", 35.0 + 0.2 * np.sin(i), -97.0 + 0.2 * np.cos(i), 300.0) for i in range(8)
}


def lookup(station_id, time):
    return STATIONS.get(station_id)


def picked(truth):
    """Picks that fit ``truth`` exactly, P and S at every station."""
    picks = []
    for station in STATIONS.values():
        away, _ = distance_azimuth(truth.latitude, truth.longitude, station.latitude, station.longitude)
        for phase in "PS":
            time = truth.time + float(LAYERS.times(phase, away, truth.depth_km, station.elevation_m))
            picks.append(Pick(f"p{station.code}{phase}", time, "XX", station.code, phase=phase))
    return tuple(picks)


def test_residuals_vanish_where_the_picks_come_from():
    truth = ours("o", latitude=35.05, longitude=-97.02, depth_km=8.0)
    theirs = origin("c", latitude=35.0, longitude=-97.0, depth_km=3.0, time=T0 - 0.4, picks=picked(truth))
    pair = with_residuals(measure(truth, theirs), lookup, LAYERS)
    assert len(pair.residuals) == 16
    assert pair.rms_s("ours") == pytest.approx(0.0, abs=1e-6)
    assert pair.rms_s("theirs") > 0.4
    assert pair.rms_s("theirs_shifted") < pair.rms_s("theirs")


def test_a_wrong_origin_time_alone_leaves_no_shifted_residual():
    truth = ours("o", latitude=35.05, depth_km=8.0)
    theirs = replace(truth, public_id="c", method="", time=T0 + 2.0, picks=picked(truth))
    pair = with_residuals(measure(truth, theirs), lookup, LAYERS)
    assert pair.rms_s("theirs") == pytest.approx(2.0)
    assert pair.rms_s("theirs_shifted") == pytest.approx(0.0, abs=1e-6)


def test_picks_that_cannot_be_used_are_left_out_or_do_not_count():
    truth = ours("o", depth_km=8.0)
    good = picked(truth)
    more = (
        replace(good[0], public_id="x1", phase="LR"),
        replace(good[0], public_id="x2", station="NOWHERE"),
        replace(good[1], public_id="x3", time=good[1].time + 30.0, used=False),
    )
    pair = with_residuals(measure(truth, replace(truth, picks=good + more)), lookup, LAYERS)
    assert len(pair.residuals) == 17
    assert pair.rms_s("theirs") == pytest.approx(0.0, abs=1e-6)
    without = with_residuals(measure(truth, origin("c", depth_km=None, picks=good)), lookup, LAYERS)
    assert math.isnan(without.rms_s("theirs"))
    assert without.rms_s("ours") == pytest.approx(0.0, abs=1e-6)
    assert with_residuals(measure(truth, origin("c")), lookup, LAYERS).residuals == ()


def test_the_worst_come_first_and_the_unknown_last():
    near, far, unknown = (
        measure(ours(n, latitude=35.0 + d, depth_km=z, time=T0 + t), origin("c"), "L")
        for n, d, z, t in (("near", 0.01, 50.0, 3.0), ("far", 1.0, 5.0, 1.0), ("unknown", 0.02, None, 2.0))
    )
    pairs = (unknown, near, far)
    assert [p.ours.public_id for p in worst_first(pairs)] == ["far", "near", "unknown"]
    assert [p.ours.public_id for p in worst_first(pairs, "depth")] == ["near", "far", "unknown"]
    assert [p.ours.public_id for p in worst_first(pairs, "time")] == ["near", "unknown", "far"]
    assert len(worst_first(pairs, "sigma")) == len(worst_first(pairs, "magnitude")) == 3


# Reading origins


@pytest.mark.parametrize("write", [write_quakeml, lambda s, labels: write_scml(s, "0.13", labels)])
def test_our_own_documents_come_back(write):
    solution = solutions.solution()
    (found,) = read_origins(write([solution], solutions.LABELS)).origins
    h = solution.hypocenter
    assert (found.latitude, found.longitude, found.depth_km) == pytest.approx((h.latitude, h.longitude, h.depth_km))
    assert found.time == pytest.approx(h.time)
    assert found.event_id == solution.trigger.event_id
    assert found.comments["dlloc/trigger"] == solution.trigger.origin_id
    assert (found.magnitude, found.magnitude_type) == (2.5, "ML")
    assert comparing.is_ours(found, None)
    expected = solutions.COVARIANCE.copy()
    expected[2, :2] = expected[:2, 2] = 0.0
    np.testing.assert_allclose(found.covariance_km2, expected, rtol=2e-3, atol=2e-3)
    assert [p.station for p in found.picks] == [a.pick.station for a in solution.arrivals]
    assert [p.used for p in found.picks] == [a.weight > 0 for a in solution.arrivals]
    assert not found.theoretical


def document(inside, after="", more=""):
    return (
        '<?xml version="1.0"?><q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" '
        'xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><eventParameters publicID="smi:a/b">'
        f'<event publicID="smi:e/1"><origin publicID="smi:o/1"><time><value>2020-01-01T00:00:00Z</value></time>{inside}'
        f"</origin>{more}</event>{after}</eventParameters></q:quakeml>"
    ).encode()


PLACE = "<latitude><value>35</value></latitude><longitude><value>-97</value></longitude>"


def test_an_ellipse_alone_is_scaled_by_its_confidence_level():
    body = (
        "<originUncertainty><minHorizontalUncertainty>1000</minHorizontalUncertainty><maxHorizontalUncertainty>2000"
        "</maxHorizontalUncertainty><azimuthMaxHorizontalUncertainty>90</azimuthMaxHorizontalUncertainty>"
        "<confidenceLevel>95</confidenceLevel></originUncertainty>"
    )
    (found,) = read_origins(document(PLACE + body)).origins
    factor = math.sqrt(chi2.ppf(0.95, 2))
    np.testing.assert_allclose(found.covariance_km2[:2, :2], np.diag([(2 / factor) ** 2, (1 / factor) ** 2]), atol=1e-9)
    assert math.isnan(found.covariance_km2[2, 2])


def test_kilometres_in_place_of_degrees_are_known_by_the_ellipse():
    place = PLACE.replace("</value></lat", "</value><uncertainty>0.6</uncertainty></lat").replace(
        "</value></lon", "</value><uncertainty>1.1</uncertainty></lon"
    )
    ellipse = (
        "<originUncertainty><minHorizontalUncertainty>{}</minHorizontalUncertainty><maxHorizontalUncertainty>{}"
        "</maxHorizontalUncertainty><azimuthMaxHorizontalUncertainty>90</azimuthMaxHorizontalUncertainty>"
        "</originUncertainty>"
    )
    exported = read_origins(document(place + ellipse.format(900, 1700)))
    np.testing.assert_allclose(np.sqrt(np.diag(exported.origins[0].covariance_km2)[:2]), [1.1, 0.6])
    assert "in kilometres" in exported.problems[0].message
    bare = '<origin publicID="smi:o/2"><time><value>2020-01-01T00:00:09Z</value></time>' + place + "</origin>"
    beside = read_origins(document(place + ellipse.format(900, 1700), more=bare)).origins[1]
    np.testing.assert_allclose(np.sqrt(np.diag(beside.covariance_km2)[:2]), [1.1, 0.6])
    alone = read_origins(document(place)).origins[0]
    np.testing.assert_allclose(np.sqrt(np.diag(alone.covariance_km2)[:2]), [100.4, 66.6], rtol=5e-3)
    large = read_origins(document(place + ellipse.format(90e3, 170e3)))
    np.testing.assert_allclose(np.sqrt(np.diag(large.origins[0].covariance_km2)[:2]), [100.4, 66.6], rtol=5e-3)
    assert large.problems == ()


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("smi:local/DLLOC", "DLLOC"),
        ("smi:local/External~3ADLLOC", "External:DLLOC"),
        ("smi:org.gfz-potsdam.de/geofon/LOCSAT", "LOCSAT"),
        ("LOCSAT", "LOCSAT"),
        ("External:DLLOC", "External:DLLOC"),
    ],
)
def test_methods_are_named_as_people_name_them(identifier, name):
    (found,) = read_origins(document(f"{PLACE}<methodID>{identifier}</methodID>")).origins
    assert found.method == name


def test_an_origin_without_uncertainty_has_none():
    (found,) = read_origins(document(PLACE)).origins
    assert np.isnan(found.covariance_km2).all()
    assert found.depth_km is None
    assert found.magnitude is None


def test_documents_that_say_so_are_theoretical():
    text = "<description>Theoretical seismograms</description>"
    assert read_origins(document(PLACE, text)).origins[0].theoretical
    comment = "<comment><text>synthetic data</text></comment>"
    assert read_origins(document(PLACE + comment)).origins[0].theoretical
    assert not read_origins(document(PLACE + "<comment><text>photosynthetic</text></comment>")).origins[0].theoretical


def test_origins_without_a_place_are_named():
    found = read_origins(document(""))
    assert found.origins == ()
    assert "has no epicentre" in found.problems[0].message


def test_entities_are_refused():
    evil = document(PLACE).replace(b'<?xml version="1.0"?>', b'<!DOCTYPE q [<!ENTITY f SYSTEM "file:///etc/passwd">]>')
    with pytest.raises(EventFileError, match="document type declaration"):
        read_origins(evil)
