"""Scanning, piece by piece: chunks, evidence without a break, agreement and its peaks, one event once, the folder."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from solutions import ONSETS, T0, solution
from streamsamples import stations
from tinymodels import any_document

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.locate import required_window
from seiscomp_dlloc.passport import from_dict
from seiscomp_dlloc.records import Abstention, Conditioned, Hypocenter, Onset, Trigger
from seiscomp_dlloc.scan import spread
from seiscomp_dlloc.scan.chunks import Chunk, chunks_of, record_of
from seiscomp_dlloc.scan.detecting import Nodes, Plan, agreement, candidates
from seiscomp_dlloc.scan.evidence import continuous_evidence
from seiscomp_dlloc.scan.finding import coverage
from seiscomp_dlloc.scan.folder import ScanFolder, table
from seiscomp_dlloc.scan.plain import from_json, to_json
from seiscomp_dlloc.scan.searching import ChunkResult, check_model
from seiscomp_dlloc.scan.spread import each
from seiscomp_dlloc.scan.unique import named, same_event, unique
from seiscomp_dlloc.traveltimes import from_passport

PASSPORT = from_dict(any_document(preprocessing__normalisation="none"))


def test_chunks_cover_the_span_once_and_the_last_one_is_what_is_left():
    chunks = chunks_of(100.0, 1400.0, 600.0)
    assert [chunk.span for chunk in chunks] == [(100.0, 700.0), (700.0, 1300.0), (1300.0, 1400.0)]
    assert len(chunks_of(0.0, 1800.0, 600.0)) == 3
    with pytest.raises(ValueError, match="no span"):
        chunks_of(5.0, 5.0, 600.0)


def test_a_chunks_record_holds_the_waveforms_of_each_event_in_it():
    chunk = Chunk(0, 1000.0, 1600.0)
    start, end = record_of(chunk, PASSPORT, Plan())
    for time in (1000.0, 1300.0, 1600.0):
        first, last = required_window(Trigger("", time), PASSPORT)
        assert start <= first
        assert last <= end


def conditioned(samples: int, count: int = 3) -> Conditioned:
    data = np.random.default_rng(1).normal(size=(3, count, samples)).astype(np.float32)
    return Conditioned(data, np.ones(data.shape, bool), 20.0, 5000.0)


def echo(inputs, outputs):
    """A model whose evidence is every second sample of the first two components."""
    assert inputs["waveforms"].shape[-1] == PASSPORT.preprocessing.window_samples
    return {"onsets": np.ascontiguousarray(inputs["waveforms"][:, :2, ::2])}


@pytest.mark.parametrize("samples", [100, 512, 513, 700, 768, 1024, 5001])
def test_evidence_of_any_length_is_that_of_windows_without_a_gap_or_a_seam(samples):
    record, names = conditioned(samples), stations("A", "B", "C")
    found = continuous_evidence(echo, record, names, PASSPORT, from_passport(PASSPORT.earth_model))
    assert found.values.shape == (3, 2, -(-samples // 2))
    assert (found.starttime, found.step_s) == (5000.0, 0.1)
    np.testing.assert_array_equal(found.values, record.data[:2, :, ::2].transpose(1, 0, 2))


def test_where_a_station_has_no_data_nothing_is_known():
    record, names = conditioned(2000), stations("A", "B", "C")
    record.valid[:, 1, 600:900] = False
    record.valid[:, 2] = False
    found = continuous_evidence(echo, record, names, PASSPORT, from_passport(PASSPORT.earth_model))
    assert [station.code for station in found.stations] == ["A", "B"]
    assert not found.values[1, :, 300:450].any()
    assert np.all(found.values[1, :, :300] != 0.0)
    assert np.all(found.values[0] != 0.0)
    assert coverage(record, (5000.0, 5100.0)) == pytest.approx(1.0 - 300 / 4000)


def stack(evidence, arrivals, origins):
    """The sum along travel times, linear between steps; outside and where there is no arrival 0."""
    flat = evidence.reshape(-1, evidence.shape[-1])
    steps = np.arange(flat.shape[-1])
    total = np.zeros((len(arrivals), origins.size), np.float32)
    for row, arrival in zip(flat, arrivals.reshape(len(arrivals), -1).T, strict=True):
        at = arrival[:, None] + origins[None]
        total += np.where(np.isfinite(at), np.interp(at, steps, row, left=0.0, right=0.0), 0.0).astype(np.float32)
    return total


def network(seed: int = 0) -> Nodes:
    """Sixteen nodes 4 km apart and six stations among them."""
    rng = np.random.default_rng(seed)
    x, y = (4.0 * a.ravel() for a in np.meshgrid(np.arange(4), np.arange(4)))
    places = rng.uniform(0.0, 12.0, (6, 2))
    distance = np.sqrt((x[:, None] - places[:, 0]) ** 2 + (y[:, None] - places[:, 1]) ** 2 + 25.0)
    times = np.stack([distance / 6.0, distance / 3.5], axis=-1)
    times[3, 2, 1] = np.nan
    return Nodes(times, 4.0)


def evidence_of(nodes: Nodes, quakes: list[tuple[float, int]], steps: int = 3000, noise: float = 0.3) -> np.ndarray:
    """Onsets of value 4 over noise; ``quakes``: origin time (s after the first step of 0.1 s) and node."""
    out = noise * np.random.default_rng(2).normal(size=(6, 2, steps)).astype(np.float32)
    for time, node in quakes:
        for station, phase in np.argwhere(np.isfinite(nodes.times[node])):
            at = round((time + nodes.times[node, station, phase]) / 0.1)
            out[station, phase, at - 2 : at + 3] += np.array([1.0, 3.0, 4.0, 3.0, 1.0])
    return out


def test_the_stations_agree_at_origin_time_and_place_of_the_events():
    nodes, quakes = network(), [(60.0, 5), (64.0, 14), (200.0, 0)]
    found = agreement(evidence_of(nodes, quakes), 1000.0, 0.1, stack, nodes, (990.0, 1320.0), Plan())
    assert found.times[0] == pytest.approx(990.0)
    assert found.times[-1] == pytest.approx(1320.0, abs=1.0)
    seen = candidates(found, Plan())
    assert [(round(one.time - 1000.0), one.node) for one in seen] == [(60, 5), (64, 14), (200, 0)]
    assert all(one.rise > 20.0 for one in seen)


def test_blocks_of_any_size_give_the_same_agreement():
    nodes = network()
    evidence = evidence_of(nodes, [(60.0, 5)], 1500)
    arguments = evidence, 1000.0, 0.1, stack, nodes, (985.0, 1160.0)
    whole = agreement(*arguments, Plan(block=10_000, most=100_000_000))
    parts = agreement(*arguments, Plan(block=7, most=600))
    np.testing.assert_allclose(parts.level, whole.level, atol=1e-4)
    np.testing.assert_array_equal(parts.times, whole.times)


def test_a_stack_is_never_larger_than_the_plan_says():
    nodes, sizes = network(), []

    def measured(evidence, arrivals, origins):
        sizes.append(arrivals.shape[0] * origins.size * evidence.shape[0] * evidence.shape[1])
        assert evidence.shape[-1] <= origins[-1] + nodes.latest_s / 0.1 + 4
        return stack(evidence, arrivals, origins)

    agreement(evidence_of(nodes, []), 0.0, 0.1, measured, nodes, (0.0, 300.0), Plan(block=20, most=1000))
    assert max(sizes) <= 1000


def test_noise_gives_hardly_a_candidate():
    nodes = network()
    found = agreement(evidence_of(nodes, [], 9000, noise=1.0), 0.0, 0.1, stack, nodes, (10.0, 880.0), Plan())
    assert len(candidates(found, Plan())) <= 3


def at(time: float, east_km: float = 0.0, peak: float = 0.9, **changes):
    """An answer at an origin time and ``east_km`` from 35 N, 97 W, known to 0.5 km and 0.1 s."""
    place = Hypocenter(35.0, -97.0 + east_km / 91.3, 5.0, 0.25 * np.eye(3), time, 0.1)
    return replace(solution(), hypocenter=place, peak=peak, onsets=(), **changes)


def seen_at(*times: float) -> tuple[Onset, ...]:
    return tuple(Onset(f"XX.S{i}", "P", time, 0.9, 0.0) for i, time in enumerate(times))


def test_answers_at_one_time_and_place_are_one_event_and_the_higher_peak_stays():
    low, high = at(T0, 0.3, 0.7), at(T0 + 0.8, 0.0, 0.8)
    for order in ([low, high], [high, low]):
        (kept,) = unique(order)
        assert kept is high


def test_two_places_at_one_time_are_two_events_and_two_times_at_one_place_too():
    first, apart, later = at(T0, -30.0), at(T0), at(T0 + 4.0)
    for order in ([later, apart, first], [first, apart, later], [apart, first, later]):
        assert [id(kept) for kept in unique(order)] == [id(first), id(apart), id(later)]


def test_answers_of_the_same_waves_are_one_event_whatever_phases_they_take_them_for():
    event = replace(at(T0, peak=0.95), onsets=seen_at(T0 + 3, T0 + 4, T0 + 5, T0 + 6))
    ghost = replace(at(T0 - 6.0, 40.0, 0.8), onsets=seen_at(T0 + 3.2, T0 + 4.05, T0 + 9, T0 + 11))
    other = replace(at(T0 - 6.0, 40.0, 0.8), onsets=seen_at(T0 + 3.1, T0 + 7, T0 + 9, T0 + 11))
    assert same_event(event, ghost)
    assert not same_event(event, other)
    assert [id(kept) for kept in unique([ghost, event, other])] == [id(other), id(event)]
    unlikely = replace(ghost, onsets=tuple(replace(onset, probability=0.3) for onset in ghost.onsets))
    assert not same_event(event, unlikely)
    # Half of its onsets are the event's, but what it rests on is not; and the other way round
    weak = tuple(replace(onset, probability=0.6 if k < 2 else 0.8) for k, onset in enumerate(ghost.onsets))
    strong = tuple(replace(onset, probability=0.8 if k < 1 else 0.6) for k, onset in enumerate(other.onsets))
    assert not same_event(event, replace(ghost, onsets=weak))
    assert same_event(event, replace(other, onsets=strong))


def test_an_accepted_answer_stays_before_one_that_is_not_and_one_without_a_place_is_left_out():
    doubted, accepted = at(T0, peak=0.99, abstention=Abstention("low peak")), at(T0, peak=0.8)
    (kept,) = unique([doubted, accepted, replace(at(T0), hypocenter=None)])
    assert kept is accepted


def test_events_are_named_by_model_and_time_each_by_another_name():
    first, second, third = named([at(T0), at(T0, 30.0), at(T0 + 2.0)])
    assert first.trigger.public_id == "Event/dlloc/sample/20200102030405.250"
    assert second.trigger.public_id == f"{first.trigger.public_id}-2"
    assert third.trigger.public_id.endswith("407.250")
    assert named([at(T0)])[0].trigger == first.trigger


def test_a_result_comes_back_from_json_as_it_was():
    covariance = np.diag([1.0, 2.0, np.nan])
    answer = replace(solution(covariance=covariance), onsets=ONSETS[:3], dropped=())
    result = ChunkResult(Chunk(3, 1.5, 2.5), 9, 8, 0.123456789012345678, 4, {"low peak": 2}, solutions=(answer,))
    back = from_json(ChunkResult, to_json(result))
    assert replace(back, solutions=()) == replace(result, solutions=())
    (found,) = back.solutions
    np.testing.assert_array_equal(found.hypocenter.covariance_km2, covariance)
    plain = replace(answer.hypocenter, covariance_km2=0)
    assert replace(found, hypocenter=plain) == replace(answer, hypocenter=plain)
    for text in ("[]", '{"chunk": 5}', '{"chunk": {"number": "a", "start": 0, "end": 1}}', "{"):
        with pytest.raises(ValueError):  # noqa: PT011 (JSON's own, or ours)
            from_json(ChunkResult, text)


def test_models_of_one_network_cannot_scan():
    from samples import passport_document

    check_model(PASSPORT)
    with pytest.raises(SettingError, match=r"sample belongs to one network.*anynet"):
        check_model(from_dict(passport_document()))


def test_a_folder_goes_on_with_the_same_settings_and_refuses_others_by_name(tmp_path):
    settings = {"--chunk": 10.0, "--corrections": None, "--end": "2020-01-01T00:00:00.000Z"}
    folder = ScanFolder(tmp_path / "a" / "scan", settings)
    folder.write(ChunkResult(Chunk(7, 0.0, 1.0), candidates=3))
    again = ScanFolder(tmp_path / "a" / "scan", dict(settings))
    assert again.read(7).candidates == 3
    assert again.read(8) is None
    with pytest.raises(SettingError, match=r"holds a scan with --chunk 10\.0, here it is 5\.0"):
        ScanFolder(tmp_path / "a" / "scan", {**settings, "--chunk": 5.0})
    with pytest.raises(SettingError, match=r"--corrections none, here it is c\.json"):
        ScanFolder(tmp_path / "a" / "scan", {**settings, "--corrections": "c.json"})


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(SettingError, match="holds something else"):
        ScanFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(SettingError, match="cannot be"):
        ScanFolder(tmp_path / "thesis.tex" / "scan", {})


def test_a_damaged_chunk_is_as_if_it_were_not_done(tmp_path):
    folder = ScanFolder(tmp_path, {})
    folder.write(ChunkResult(Chunk(0, 0.0, 1.0)))
    path = next((tmp_path / "chunks").iterdir())
    path.write_bytes(path.read_bytes()[:-20])
    assert folder.read(0) is None


def test_the_table_says_unknown_by_nothing():
    text = table([replace(solution(covariance=np.diag([1.0, 4.0, np.nan])), magnitude=None)])
    header, row = (line.split(",") for line in text.splitlines())
    found = dict(zip(header, row, strict=True))
    assert found["time"] == "2020-01-02T03:04:05.500Z"
    assert (found["depth_km"], found["sigma_major_km"], found["sigma_depth_km"]) == ("-1.250", "2.000", "")
    assert (found["magnitude"], found["peak"], found["stations"]) == ("", "0.812", "3")


def test_without_dask_several_workers_are_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert list(each(str, [3, 1, 2])) == ["3", "1", "2"]
    for options in ({"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(SettingError, match=r"pip install 'seiscomp_dlloc\[scan\]'"):
            list(each(str, [1], **options))


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(spread, "_CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x:1"):
        with pytest.raises(SettingError, match=f"--scheduler {address}: no scheduler answers there"):
            list(each(str, [1], scheduler=address))
