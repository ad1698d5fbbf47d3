"""Models for any network, end to end: the bundled ones on the theoretical events that come with the package."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import obspy
import pytest

from seiscomp_dlloc import models
from seiscomp_dlloc.cli.demo import true_hypocentres
from seiscomp_dlloc.cli.main import main
from seiscomp_dlloc.errors import ModelError, SettingError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.geometry import distance_azimuth
from seiscomp_dlloc.locate import Locator, required_window
from seiscomp_dlloc.model import load, read_passport
from seiscomp_dlloc.passport import from_dict
from seiscomp_dlloc.records import Station, Trigger
from seiscomp_dlloc.solution import Options

DATA = Path(str(resources.files("seiscomp_dlloc.data") / "demo"))
ANY = [name for name, path in models.bundled().items() if not read_passport(path).fixed_network]

# Central Oklahoma without its sediments; the demonstration's own earth is another one
EARTH = {
    "kind": "layers",
    "name": "crust",
    "layers": [
        {"top_km": 0.0, "vp_km_s": 5.5, "vs_km_s": 3.2},
        {"top_km": 1.5, "vp_km_s": 6.0, "vs_km_s": 3.5},
        {"top_km": 15.0, "vp_km_s": 6.5, "vs_km_s": 3.75},
    ],
}


@pytest.fixture(scope="module")
def jobs():
    """Trigger and waveforms of each theoretical event."""
    stream = obspy.read(str(DATA / "waveforms.mseed"))
    triggers = read_triggers(DATA / "triggers.xml").triggers
    return [(t, stream.slice(obspy.UTCDateTime(t.time - 90), obspy.UTCDateTime(t.time + 180))) for t in triggers]


@pytest.fixture(scope="module")
def inventory():
    return read_inventory(DATA / "stations.xml")


def away_km(solution) -> float:
    truth = true_hypocentres(DATA / "truth.xml")[solution.trigger.public_id]
    found = solution.hypocenter
    return float(distance_azimuth(truth.latitude, truth.longitude, found.latitude, found.longitude)[0])


def test_models_for_any_network_are_bundled():
    assert "migration" in ANY
    for name in ANY:
        passport = read_passport(models.resolve(name))
        assert passport.calibration.peak_threshold > 0.0
        assert [scale.preprocessing.sampling_rate_hz for scale in passport.scales] == [50.0, 20.0, 10.0]
        assert models.resolve(name).stat().st_size < 8_000_000


@pytest.mark.parametrize("name", ANY)
def test_theoretical_events_are_located_with_stations_that_the_model_does_not_know(name, jobs, inventory):
    locator = Locator(load(models.resolve(name), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    truths = true_hypocentres(DATA / "truth.xml")
    for trigger, stream in jobs[:3]:
        solution = locator.locate(trigger, stream)
        assert solution.accepted
        assert away_km(solution) < 2.5
        assert solution.hypocenter.time == pytest.approx(truths[trigger.public_id].time, abs=1.0)
        assert solution.hypocenter.time_sigma_s > 0.0
        assert np.all(np.linalg.eigvalsh(solution.hypocenter.covariance_km2) > 0.0)
        seen = {(onset.station_id, onset.phase) for onset in solution.onsets if onset.probability > 0.9}
        assert len(seen) > len(solution.used_stations)
        residuals = [onset.residual_s for onset in solution.onsets if onset.probability > 0.9]
        assert np.median(np.abs(residuals)) < 0.3


@pytest.mark.parametrize("name", ANY)
def test_of_two_events_in_the_window_the_triggers_own_is_located(name, jobs, inventory):
    (first, stream), (second, other) = jobs[:2]
    truths = true_hypocentres(DATA / "truth.xml")
    began = truths[first.public_id].time
    late = began + 20.0 - truths[second.public_id].time
    mixed = add_up(stream, other, late)
    locator = Locator(load(models.resolve(name), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    for trigger, time in ((first, began), (second, began + 20.0)):
        solution = locator.locate(replace(trigger, time=time + 0.8, picks=()), mixed)
        assert solution.hypocenter.time == pytest.approx(time, abs=1.0)
        assert away_km(replace(solution, trigger=trigger)) < 3.0
        assert solution.accepted


def test_an_event_that_is_not_at_the_triggers_time_is_told_to_be_perhaps_another(jobs, inventory):
    trigger, stream = jobs[0]
    began = true_hypocentres(DATA / "truth.xml")[trigger.public_id].time
    locator = Locator(load(models.resolve("anynet"), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    solution = locator.locate(replace(trigger, time=began + 12.0, picks=()), stream)
    assert away_km(solution) < 2.5
    assert any("s before the trigger's time" in note for note in solution.notes)
    assert not any("trigger's time" in note for note in locator.locate(trigger, stream).notes)
    alone = locator.with_options(Options(magnitude=False, trigger_only=True))
    assert not alone.locate(replace(trigger, time=began + 12.0, picks=()), stream).accepted
    assert alone.locate(trigger, stream).accepted


def test_an_answer_tells_how_far_the_epicentre_rests_on_each_station(jobs, inventory):
    trigger, stream = jobs[0]
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    few = obspy.Stream([t for t in stream if t.stats.station in {"S01", "S05", "S09", "S12", "S16", "S20", "S24"}])
    whole, part = locator.locate(trigger, stream), locator.locate(trigger, few)
    assert set(whole.influence_km) == set(whole.used_stations)
    assert max(whole.influence_km.values()) < max(part.influence_km.values())


def add_up(stream, other, late_s):
    """The sum of two recordings of the same channels, the second one moved in time."""
    moved = {trace.id: trace for trace in other}
    out = obspy.Stream()
    for trace in stream:
        summed = trace.copy()
        summed.data = trace.data.astype(float)
        if trace.id in moved:
            shift = moved[trace.id].stats.starttime + late_s - trace.stats.starttime
            first = round(shift * trace.stats.sampling_rate)
            low, high = max(first, 0), min(first + moved[trace.id].stats.npts, trace.stats.npts)
            summed.data[low:high] += moved[trace.id].data[low - first : high - first]
        out.append(summed)
    return out


def test_few_stations_and_other_names_do(jobs, inventory):
    trigger, stream = jobs[1]
    codes = sorted({trace.stats.station for trace in stream})[::3]
    few = obspy.Stream([trace.copy() for trace in stream if trace.stats.station in codes])
    renamed = inventory.copy()
    for network in renamed:
        network.code = "ZZ"
        for station in network:
            station.code = f"N{station.code}"
    for trace in few:
        trace.stats.network, trace.stats.station = "ZZ", f"N{trace.stats.station}"
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), renamed, Options(magnitude=False), EARTH)
    solution = locator.locate(trigger, few)
    assert len(solution.used_stations) <= len(codes)
    assert all(name.startswith("ZZ.N") for name in solution.used_stations)
    assert away_km(solution) < 4.0


def test_where_the_trigger_was_said_to_be_enters_nothing(jobs, inventory):
    trigger, stream = jobs[0]
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    elsewhere = Trigger(trigger.origin_id, trigger.time, trigger.event_id, 10.0, 20.0, 600.0)
    first, second = locator.locate(trigger, stream), locator.locate(elsewhere, stream)
    assert (first.hypocenter.latitude, first.hypocenter.longitude, first.hypocenter.depth_km) == (
        second.hypocenter.latitude, second.hypocenter.longitude, second.hypocenter.depth_km
    )  # fmt: skip


def test_noise_is_not_stood_by(jobs, inventory):
    trigger, stream = jobs[0]
    quiet, rng = obspy.Stream(), np.random.default_rng(1)
    for trace in stream:
        other = trace.copy()
        other.data = rng.standard_normal(trace.stats.npts) * max(float(np.std(trace.data[:200])), 1.0)
        quiet.append(other)
    for name in ANY:
        locator = Locator(load(models.resolve(name), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
        solution = locator.locate(Trigger("smi:x/noise", trigger.time), quiet)
        assert not solution.accepted
        assert solution.peak < read_passport(models.resolve(name)).calibration.peak_threshold


def test_too_few_stations_is_said(jobs, inventory):
    trigger, stream = jobs[0]
    codes = sorted({trace.stats.station for trace in stream})[:3]
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, None, EARTH)
    solution = locator.locate(trigger, obspy.Stream([t for t in stream if t.stats.station in codes]))
    assert solution.abstention.reason == "too few stations"


def test_waveforms_of_another_network_code_are_named_beside_the_inventorys(jobs, inventory):
    trigger, stream = jobs[0]
    renamed = stream.copy()
    for trace in renamed:
        trace.stats.network = "7B"
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, None, EARTH)
    solution = locator.locate(trigger, renamed)
    assert solution.abstention.reason == "no waveforms"
    assert "the waveforms are of 7B.S00, the inventory has XX.S00" in solution.abstention.detail
    assert "look at the source's span" in locator.locate(trigger, obspy.Stream()).abstention.detail


def test_a_fixed_depth_is_kept_and_said(jobs, inventory):
    trigger, stream = jobs[0]
    options = Options(magnitude=False, fixed_depth_km=5.0)
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, options, EARTH)
    solution = locator.locate(trigger, stream)
    assert solution.hypocenter.depth_km == 5.0
    assert solution.hypocenter.depth_type == "operator assigned"
    assert np.isnan(solution.hypocenter.covariance_km2[2, 2])


def test_the_scale_goes_with_the_networks_aperture():
    passport = read_passport(models.resolve("migration"))
    sizes = (5.0, 70.0, 71.0, 300.0, 5e3)
    rates = [[p.preprocessing.sampling_rate_hz for p in passport.scales_for(km)] for km in sizes]
    assert rates == [[50.0, 20.0, 10.0], [50.0, 20.0, 10.0], [20.0, 10.0], [10.0], [10.0]]


@pytest.mark.parametrize("name", ANY)
def test_a_network_is_waited_for_as_long_as_its_own_scale_takes(name, jobs, inventory):
    model = load(models.resolve(name), "cpu", threads=1)
    locator = Locator(model, inventory, Options(magnitude=False), EARTH)
    trigger, stream = jobs[0]
    longest = required_window(trigger, model.passport)[1] - trigger.time
    end = locator.window_end(trigger, stream)
    # 76.8 s at the scale of this network, half a minute for the magnitude, and what the first break may be late by
    assert 76.8 < end - trigger.time < 76.8 + 50.0 < longest - 30.0
    (whole, part) = (locator.locate(trigger, some) for some in (stream, stream.slice(endtime=obspy.UTCDateTime(end))))
    assert part.accepted
    assert part.hypocenter.latitude == pytest.approx(whole.hypocenter.latitude, abs=1e-6)


def test_slow_stations_get_a_coarser_scale(jobs, inventory, monkeypatch):
    """The demonstration's stations are sampled at 20 Hz; told that they stand close together, no 50 Hz is asked for."""
    from seiscomp_dlloc import locate

    monkeypatch.setattr(locate, "aperture_km", lambda stations: 5.0)
    locator = Locator(load(models.resolve("migration"), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    (located,) = locator.run([locate.Job(*jobs[0])])
    assert located.conditioned.sampling_rate_hz == 20.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"kind": "fixed", "tolerance_km": 1.0, "stations": [vars(Station("X", "A", 1.0, 2.0, 3.0))]}},
         "a migration goes with traces of any network"),
        ({"representation": {"kind": "stations", "missing": "zero"}}, "a migration goes with traces of any network"),
        ({"scales": []}, "scales"),
    ],
)  # fmt: skip
def test_passports_that_cannot_be_are_refused(change, message):
    document = json.loads(read_passport(models.resolve("migration")).to_json())
    with pytest.raises(ModelError, match=message):
        from_dict({**document, **change})


def test_a_band_of_a_scale_must_lie_below_half_its_rate():
    document = json.loads(read_passport(models.resolve("migration")).to_json())
    document["scales"][1]["band_hz"] = [2.0, 12.0]
    with pytest.raises(ModelError, match=r"scales\.1\.band_hz"):
        from_dict(document)


def test_a_part_of_the_graph_runs_alone():
    model = load(models.resolve("migration"), "cpu", threads=1)
    waveforms = np.random.default_rng(1).standard_normal((3, 3, 400)).astype(np.float32)
    (onsets,) = model.run({"waveforms": waveforms, "mask": np.ones_like(waveforms)}, ("onsets",)).values()
    assert onsets.shape == (3, 2, 200)
    evidence = np.zeros((2, 2, 50), np.float32)
    evidence[0, 0, 20] = 3.0
    arrivals = np.array([[[20.0, 90.0], [-5.0, 5.0]], [[19.5, 0.0], [0.0, 0.0]]], np.float32)
    (total,) = model.run({"evidence": evidence, "arrivals": arrivals, "origins": np.zeros(1)}, ("stack",)).values()
    assert total[:, 0].tolist() == [3.0, 1.5]
    with pytest.raises(ModelError, match="input evidence, arrivals, origins is not given"):
        model.run({"waveforms": waveforms, "mask": waveforms})


def test_the_default_model_is_for_any_network_and_takes_any_earth(tmp_path):
    """The demonstration's stations have a model of their own, which takes no other earth."""
    from seiscomp_dlloc.cli.run import Run, Settings

    assert models.DEFAULT in ANY
    inputs = DATA / "triggers.xml", str(DATA / "waveforms.mseed"), DATA / "stations.xml"
    own = read_passport(models.resolve("oklahoma-fcn-slim")).earth_model
    default, named = Run(Settings(*inputs)), Run(Settings(*inputs, earth_model="iasp91"))
    assert [run.model.passport.name for run in (default, named)] == [models.DEFAULT] * 2
    assert default.locator.earth_model["layers"] == own["layers"]
    assert named.locator.earth_model == {"kind": "taup", "name": "iasp91"}
    with pytest.raises(SettingError, match="belongs to its own network and earth"):
        Run(Settings(*inputs, model="oklahoma-fcn-slim", earth_model="iasp91"))


def test_the_command_line_says_what_the_model_is_and_locates(tmp_path, capsys):
    assert main(["model", "show", "migration"]) == 0
    shown = capsys.readouterr().out
    assert "any network, at least 4 stations" in shown
    assert "up to 70 km: 5-20 Hz" in shown
    assert "migration: places up to 100 %" in shown
    earth = tmp_path / "crust.csv"
    earth.write_text("depth_km,vp_km_s,vs_km_s\n0,5.5,3.2\n1.5,6.0,3.5\n15,6.5,3.75\n")
    status = main([
        "locate", "--events", str(DATA / "triggers.xml"), "--waveforms", str(DATA / "waveforms.mseed"), "--inventory",
        str(DATA / "stations.xml"), "--model", "migration", "--earth-model", str(earth), "--json", "--no-progress",
        "-o", str(tmp_path / "out.xml"), "--plot", str(tmp_path / "pictures"),
    ])  # fmt: skip
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 0
    assert {row["status"] for row in rows} == {"accepted"}
    assert rows[0]["onsets"][0].keys() == {"station", "phase", "time", "probability", "residual_s"}
    assert len(list((tmp_path / "pictures").glob("*.png"))) == len(rows)
    assert "quakeml" in (tmp_path / "out.xml").read_text("utf-8")


def test_a_station_with_waveforms_that_the_inventory_lacks_is_named(tmp_path, capsys):
    inventory = obspy.read_inventory(str(DATA / "stations.xml")).remove(station="S25")
    inventory.write(str(tmp_path / "stations.xml"), "STATIONXML")
    for given, warned in ((tmp_path / "stations.xml", True), (DATA / "stations.xml", False)):
        assert main([
            "locate", "--events", str(DATA / "triggers.xml"), "--waveforms", str(DATA / "waveforms.mseed"),
            "--inventory", str(given), "--model", "migration", "--no-progress",
        ]) == 0  # fmt: skip
        said = "waveforms of 1 station that the inventory does not have at the events' times: XX.S25"
        assert (said in capsys.readouterr().err) is warned


def test_a_station_of_the_window_that_counts_is_not_told_to_be_left_out_of_another(jobs, inventory):
    trigger, stream = jobs[0]
    began = true_hypocentres(DATA / "truth.xml")[trigger.public_id].time
    short = stream.copy()
    # It ends before the window at the trigger's time, in which nothing is found
    for trace in short.select(station="S05"):
        trace.trim(endtime=obspy.UTCDateTime(began + 6.0))
    locator = Locator(load(models.resolve("anynet"), "cpu", threads=1), inventory, Options(magnitude=False), EARTH)
    solution = locator.locate(replace(trigger, time=began + 12.0, picks=()), short)
    assert any("trigger's time" in note for note in solution.notes)
    assert "XX.S05" in solution.used_stations
    assert not any("S05" in item.seed_id for item in solution.dropped)


def test_what_the_notes_say_is_told_once_with_the_table(tmp_path, capsys):
    earth = tmp_path / "slow.csv"
    earth.write_text("depth_km,vp_km_s,vs_km_s\n0,4.2,2.1\n")
    asked = [
        "locate", "--events", str(DATA / "triggers.xml"), "--waveforms", str(DATA / "waveforms.mseed"), "--inventory",
        str(DATA / "stations.xml"), "--model", "migration", "--earth-model", str(earth), "--no-progress",
    ]  # fmt: skip
    main(asked)
    said = capsys.readouterr().err
    assert said.count("dlloc: note: travel times: slow (content ") == 1
    assert "no station corrections (all events)" in said
    assert "off their predicted times: look at the earth model (theoretical-" in said
    main([*asked, "--json"])
    assert "dlloc: note" not in capsys.readouterr().err
