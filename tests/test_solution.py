"""What becomes of the model's answer: the uncertainty of the origin time, and which second events count."""

import numpy as np
import pytest
import scene
import tinymodels
from obspy import Stream
from samples import passport_document

from seiscomp_dlloc.locate import locate
from seiscomp_dlloc.records import Pick, Trigger
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

TRIGGER = Trigger("origin/1", scene.origin_time(0).timestamp, "event/1")
INVENTORY = scene.inventory()


def model_of(folder, sigma_km):
    document = passport_document(
        calibration={"peak_threshold": 0.0, "covariance_scale": 1.0, "time_sigma_floor_s": 0.01}
    )
    return tinymodels.load(tinymodels.fixed_image(document, z_km=scene.DEPTH_KM, sigma_km=sigma_km), folder)


def doublet(late_s):
    """Two events at one place, the second one ``late_s`` later and as large."""
    first, second = scene.waveforms(0), scene.waveforms(0, seed=1)
    out = Stream()
    for a, b in zip(first, second, strict=True):
        shift = round(late_s * scene.RATE_HZ)
        a.data = a.data.copy()
        a.data[shift:] += b.data[: a.data.size - shift]
        out += a
    return out


def picks():
    times = LayeredTravelTimes([0.0], [6.0], [3.5])
    found = []
    for code, latitude, _ in scene.STATIONS:
        distance = 111.0 * (latitude - scene.LATITUDE)
        found += [
            Pick(
                f"{code}/{phase}", TRIGGER.time + float(times.times(phase, distance, 2.0, 0.0)), "XX", code, phase=phase
            )
            for phase in ("P", "S")
        ]
    return tuple(found)


@pytest.mark.parametrize("trigger", [TRIGGER, Trigger("origin/1", TRIGGER.time, "event/1", picks=picks())])
def test_the_places_uncertainty_is_in_that_of_the_origin_time(tmp_path, trigger):
    """The stations lie in one line to the north, so what is unsure along it is unsure in time."""
    sharp, vague = (
        locate(trigger, scene.waveforms(0), INVENTORY, model_of(tmp_path, sigma)).hypocenter for sigma in (1.0, 5.0)
    )
    assert vague.time == pytest.approx(sharp.time, abs=0.3)
    assert vague.covariance_km2[1, 1] > 9.0 * sharp.covariance_km2[1, 1]
    north = np.sqrt(vague.covariance_km2[1, 1])
    # Mean slowness of P and S, the first station, right above, being no help
    assert 0.12 < vague.time_sigma_s / north < 0.3
    assert sharp.time_sigma_s < 0.5 * vague.time_sigma_s


def test_a_second_event_in_the_window_is_an_abstention_one_after_it_is_none(tmp_path):
    model = model_of(tmp_path, 1.0)
    inside = locate(TRIGGER, doublet(6.0), INVENTORY, model)
    assert inside.abstention.reason == "two events in the window"
    assert "+6." in inside.abstention.detail or "+5.9" in inside.abstention.detail
    after = locate(TRIGGER, doublet(25.0), INVENTORY, model)
    assert after.accepted, after.abstention
    assert after.hypocenter.time == pytest.approx(TRIGGER.time, abs=0.3)
