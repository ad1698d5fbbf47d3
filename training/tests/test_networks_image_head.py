import warnings

import numpy as np
import onnxruntime as ort
import pytest
import torch
from dlloc_training.calibration import ImageKind
from dlloc_training.export import parity, to_onnx, write_model
from dlloc_training.fcn import IMAGE, LabelImage
from dlloc_training.networks.image_head import BESIDE_IMAGE, ImageAndVector, ImageWithParameters, amplitudes
from dlloc_training.networks.losses import LossSettings, loss
from dlloc_training.networks.outputs import ONE_NETWORK, TWO_NETWORKS, Outputs
from dlloc_training.networks.registry import build_image, with_parameters
from dlloc_training.networks.shapes import LOG_CENTRE, InputShape
from dlloc_training.passports import passport_document
from dlloc_training.slim import Density

from seiscomp_dlloc import heads
from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.model import load

from . import nets, toy

WAVES = InputShape("stations", (3, toy.STATIONS, toy.SAMPLES), toy.RATE, ("waveforms",))
NORMALISED = InputShape("stations", (3, toy.STATIONS, toy.SAMPLES), toy.RATE, ("waveforms", "log_scale"))
FULL = InputShape("stations", (3, 30, 2048), 20.0, ("waveforms",))
SIZES = {"width": 4, "mixed": 16, "hidden": 24, "decoder": 8, "dropout": 0.0}


def slim(shape: InputShape = WAVES, outputs: Outputs = BESIDE_IMAGE, **settings):
    torch.manual_seed(0)
    network = with_parameters(build_image("slim", SIZES, shape, toy.GRID.shape), settings, shape, outputs)
    network.fit_targets(
        nets.targets(100)[:, [("x", "y", "depth", "time", "magnitude").index(n) for n in outputs.names]]
    )
    return network.eval()


@pytest.mark.parametrize("shape", [WAVES, NORMALISED], ids=["waveforms", "log_scale"])
def test_the_image_is_that_of_the_network_without_a_head(shape):
    network, arrays = slim(shape), shape.example(2)
    with torch.no_grad():
        image, estimate = network(*arrays)
        exported, vector = ImageAndVector(network)(*arrays)
        assert torch.equal(image, network.network(arrays[0]))
        assert torch.equal(exported, Density(network.network)(arrays[0]))
    assert estimate.shape == (2, 2, 2)
    assert torch.equal(vector, torch.cat(network.physical(estimate), 1))


def test_the_full_network_carries_a_head_too():
    torch.manual_seed(0)
    network = with_parameters(build_image("fcn", {"width": 1}, FULL, IMAGE), {}, FULL, ONE_NETWORK)
    network.fit_targets(nets.targets(100))
    (waves,) = FULL.example(1)
    with torch.no_grad():
        image, vector = ImageAndVector(network).eval()(waves)
        assert torch.equal(image, LabelImage(network.network)(waves))
    assert vector.shape == (1, 10)


def test_the_gradient_of_the_head_stops_at_the_image_network_on_request():
    for detach in (False, True):
        network = slim(detach=detach)
        network(*WAVES.example(3))[1].sum().backward()
        assert all(w.grad is not None and w.grad.any() for w in network.head.parameters())
        reached = [w.grad is not None for w in network.network.along_time.parameters()]
        assert not any(reached) if detach else all(reached)


def test_motion_ten_times_as_strong_moves_amplitudes_by_one_whether_it_is_normalised_or_not():
    (waves,) = WAVES.example(2)
    waves[:, :, 3] = 0.0
    usual = torch.zeros(toy.STATIONS)
    one, ten = amplitudes(usual, waves), amplitudes(usual, 10.0 * waves)
    assert torch.allclose(ten - one, torch.ones(2, toy.STATIONS), atol=1e-5)
    peak = waves.abs().amax((1, 3))
    alive = peak > 0
    log_scale = torch.where(alive, torch.log10(peak.clamp_min(1e-9)) + LOG_CENTRE, 0.0)
    divided = waves / peak.clamp_min(1e-9)[:, None, :, None]
    assert torch.allclose(amplitudes(usual, divided, log_scale), one, atol=1e-5)


def test_a_station_without_data_is_taken_to_be_as_strong_as_the_others_for_its_place():
    (waves,) = WAVES.example(2)
    usual = torch.linspace(-1.0, 1.0, toy.STATIONS)
    whole = amplitudes(usual, waves)
    waves[:, :, 3] = 0.0
    got = amplitudes(usual, waves)
    others = [k for k in range(toy.STATIONS) if k != 3]
    assert torch.equal(got[:, others], whole[:, others])
    assert torch.allclose(got[:, 3] - usual[3], (whole - usual)[:, others].mean(1), atol=1e-6)
    assert torch.isfinite(amplitudes(usual, 0.0 * waves)).all()


def events_of_one_place(count: int) -> tuple[torch.Tensor, np.ndarray]:
    """Waveforms that differ by their amplitude alone, and their magnitudes (event, 1)."""
    magnitude = np.random.default_rng(1).uniform(2.0, 4.5, (count, 1))
    scale = torch.tensor(10.0 ** (magnitude - 3.0), dtype=torch.float32)
    return WAVES.example(1)[0] * scale[:, :, None, None], magnitude


def taught_magnitudes(waves: torch.Tensor, magnitude: np.ndarray) -> ImageWithParameters:
    """A network whose head alone has been trained."""
    network = slim(outputs=Outputs((("magnitude",),)), detach=True, dropout=0.0).train()
    network.fit_targets(magnitude)
    wanted = network.standardise(torch.tensor(magnitude, dtype=torch.float32))
    network.network.eval()
    with torch.no_grad():
        encoded = network.network.encode(waves)
    optimizer = torch.optim.Adam(network.head.parameters(), lr=3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        loss(network.parameters_from(encoded, waves), wanted, LossSettings()).backward()
        optimizer.step()
    return network.eval()


def test_magnitudes_are_learnt_beside_an_image_network_that_is_left_alone():
    """Events that differ by their amplitude alone: the slim network's image cannot tell them, the head does."""
    waves, magnitude = events_of_one_place(64)
    network, fresh = taught_magnitudes(waves, magnitude), slim(outputs=Outputs((("magnitude",),)))
    with torch.no_grad():
        got = network.predict(waves).mean.numpy()
    assert np.sqrt(np.mean((got - magnitude) ** 2)) < 0.05
    before = dict(fresh.network.named_parameters())
    assert all(torch.equal(before[k], v) for k, v in network.network.named_parameters())


def test_a_station_that_was_always_there_in_training_can_be_missing_later():
    waves, magnitude = events_of_one_place(64)
    network = taught_magnitudes(waves, magnitude)
    waves[:, :, 3] = 0.0
    with torch.no_grad():
        wrong = network.predict(waves).mean.numpy() - magnitude
    assert np.sqrt(np.mean(wrong**2)) < 0.5 * magnitude.std()


def test_both_outputs_stand_in_one_onnx_file():
    network = ImageAndVector(slim(NORMALISED))
    example = dict(zip(network.input_names, NORMALISED.example(1), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = to_onnx(network, example, ("image", "vector"))
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["image", "vector"]
    for batch in (1, 3):
        arrays = dict(zip(network.input_names, (a.numpy() for a in NORMALISED.example(batch)), strict=True))
        assert parity(data, network, arrays, rtol=1e-5, atol=1e-5) <= 1.0


def test_the_plugin_reads_the_image_of_a_file_that_holds_a_vector_too(tmp_path):
    network, net = ImageAndVector(slim()), toy.target()
    document = passport_document(
        net,
        toy.MOVEOUT,
        name="toy",
        version="1.0.0",
        description="a toy",
        calibration={"peak_threshold": 0.0, "covariance_scale": 1.0},
        provenance={"data": "toy"},
        skill={},
        kind=ImageKind("density", 6.0, 3.0),
        min_stations=4,
    )
    waves = WAVES.example(2)[0].numpy()
    path = tmp_path / "toy.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_model(path, network, document, waves[:1], waves, ("image", "vector"))
    model = load(path, provider="cpu", threads=1)
    answer = model.run({"waveforms": waves})
    assert answer["vector"].shape == (2, 4)
    estimate = heads.read({name: values[0] for name, values in answer.items()}, model.passport)
    assert estimate.image.values.shape == toy.GRID.shape
    # The golden input guards the vector as well
    assert set(model.golden.values) == {"image", "vector"}


@pytest.mark.parametrize(
    ("name", "settings", "shape", "image", "message"),
    [
        ("image_cnn", {}, WAVES, toy.GRID.shape, "returns no image; those that do are fcn, slim"),
        ("slim", {}, nets.IMAGES, toy.GRID.shape, "takes stations, not snapshots"),
        ("slim", {"width": 0}, WAVES, toy.GRID.shape, "width: 0 is outside"),
        ("slim", {}, WAVES, (3, 8, 9), "multiples of 8"),
        ("fcn", {}, WAVES, IMAGE, r"made for input \(3, 30, 2048\)"),
    ],
)
def test_image_networks_that_do_not_fit_are_refused(name, settings, shape, image, message):
    with pytest.raises(SettingError, match=message):
        build_image(name, settings, shape, image)


def test_heads_that_do_not_fit_are_refused():
    network = build_image("slim", SIZES, WAVES, toy.GRID.shape)
    with pytest.raises(SettingError, match="one group"):
        with_parameters(network, {}, WAVES, TWO_NETWORKS)
    with pytest.raises(SettingError, match="mask"):
        with_parameters(network, {}, InputShape(**{**vars(WAVES), "inputs": ("waveforms", "mask")}), BESIDE_IMAGE)
    with pytest.raises(SettingError, match="image head: setting 'kernel' is unknown"):
        with_parameters(network, {"kernel": 3}, WAVES, BESIDE_IMAGE)
