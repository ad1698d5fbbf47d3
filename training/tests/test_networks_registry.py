import re

import pytest
import torch
from dlloc_training.networks.outputs import ONE_NETWORK, TWO_NETWORKS, Outputs
from dlloc_training.networks.registry import NETWORKS, build
from dlloc_training.networks.shapes import InputShape
from torch import nn

from seiscomp_dlloc.errors import SettingError

from . import nets


@pytest.mark.parametrize(("name", "shape"), nets.CASES, ids=nets.IDS)
@pytest.mark.parametrize("outputs", [ONE_NETWORK, TWO_NETWORKS], ids=["one", "two"])
def test_every_network_answers_for_each_parameter_and_the_gradient_reaches_every_weight(name, shape, outputs):
    network = nets.network(name, shape, outputs, dropout=0.0).train()
    estimate = network(*nets.example(shape, 4))
    assert estimate.shape == (4, 5, 2)
    (estimate * torch.randn_like(estimate)).sum().backward()
    for label, weight in network.named_parameters():
        assert weight.grad is not None, label
        assert weight.grad.any(), label


@pytest.mark.parametrize(("name", "shape"), nets.CASES, ids=nets.IDS)
def test_an_event_gives_the_same_alone_and_in_a_batch(name, shape):
    network, arrays = nets.network(name, shape), nets.example(shape, 3)
    with torch.no_grad():
        together = network(*arrays)
        alone = torch.cat([network(*(array[k : k + 1] for array in arrays)) for k in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_image_network_has_the_weights_that_its_settings_say():
    shape = InputShape("snapshots", (1, 32, 32), 10.0, ("snapshots",))
    made = build("image_cnn", {"convolutions": 2, "kernel": 7, "channels": 4, "nodes": 50}, shape, Outputs())
    convolutions = 49 * 1 * 4 + 2 * 4 + 49 * 4 * 8 + 2 * 8  # with gain and offset of the batch normalisation
    assert count(made) == convolutions + (8 * 8 * 8 + 1) * 50 + (50 + 1) * 10


def test_convnetquake_has_the_layers_of_its_paper():
    shape = InputShape("stations", (3, 1, 1000), 100.0, ("waveforms",))
    made = build("convnetquake", {}, shape, Outputs((("x", "y"),), uncertainty=False))
    layers = [m for m in made.modules() if isinstance(m, nn.Conv1d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size, m.stride) for m in layers] == [
        (3 if k == 0 else 32, 32, (3,), (2,)) for k in range(8)
    ]
    # 1000 samples halved eight times leave 4
    assert count(made) == (3 * 3 + 1) * 32 + 7 * (32 * 3 + 1) * 32 + (4 * 32 + 1) * 2


def test_two_networks_share_no_weight():
    made = nets.network("volume_cnn", nets.IMAGES, TWO_NETWORKS, dropout=0.0)
    made(*nets.example(nets.IMAGES, 2))[:, :2].sum().backward()
    first, second = ([bool(weight.grad.any()) for weight in branch.parameters()] for branch in made.branches)
    assert all(first)
    assert not any(second)
    assert not {id(w) for w in made.branches[0].parameters()} & {id(w) for w in made.branches[1].parameters()}


@pytest.mark.parametrize("frames", [1, 2, 10, 60, 61])
def test_the_volume_network_adapts_to_any_number_of_frames(frames):
    shape = InputShape("snapshots", (frames, 32, 32), 10.0, ("snapshots",))
    made = build("volume_cnn", {"convolutions": 5, "channels": 2}, shape, ONE_NETWORK).eval()
    assert made(*shape.example(2)).shape == (2, 5, 2)


def test_dropout_of_half_stands_before_the_last_layer_by_default():
    made = nets.network("image_cnn", nets.IMAGES)
    (dropout,) = [m for m in made.modules() if isinstance(m, nn.Dropout)]
    assert dropout.p == 0.5
    arrays = nets.example(nets.IMAGES, 2)
    torch.manual_seed(1)
    assert torch.equal(made(*arrays), made(*arrays))
    made.train()
    assert not torch.equal(made(*arrays), made(*arrays))


def test_pooling_can_be_left_out_after_any_layer():
    shape = InputShape("snapshots", (1, 8, 8), 10.0, ("snapshots",))
    made = build(
        "image_cnn", {"convolutions": 5, "channels": 1, "pooling": [True, False, True, False, True]}, shape, ONE_NETWORK
    )
    assert sum(isinstance(m, nn.MaxPool2d) for m in made.modules()) == 3
    assert made.eval()(*shape.example(2)).shape == (2, 5, 2)


def test_pooling_can_leave_time_as_it_is():
    shape = InputShape("snapshots", (12, 8, 8), 10.0, ("snapshots",))
    settings = {"channels": 1, "convolutions": 3, "pooling_time": [False, True, False]}
    made = build("volume_cnn", settings, shape, ONE_NETWORK)
    trunk = made.branches[0].trunk
    assert [m.kernel_size for m in trunk.modules() if isinstance(m, nn.MaxPool3d)] == [(1, 2, 2), (2, 2, 2), (1, 2, 2)]
    assert trunk.features == 4 * 6 * 1 * 1
    assert made.eval()(*shape.example(2)).shape == (2, 5, 2)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet", {}, "network 'resnet' is unknown; known are image_cnn"),
        ("image_cnn", {"layers": 3}, "setting 'layers' is unknown; known are dense_layers"),
        ("image_cnn", {"convolutions": 6}, "convolutions: 6 is outside 1 to 5"),
        ("image_cnn", {"convolutions": 0}, "convolutions: 0 is outside 1 to 5"),
        ("image_cnn", {"convolutions": 2.5}, "convolutions: 2.5 must be a whole number"),
        ("image_cnn", {"kernel": 4}, "kernel: 4 must be one of 3, 5, 7, 9"),
        ("image_cnn", {"kernel": 11}, "kernel: 11 is outside 3 to 9"),
        ("image_cnn", {"dense_layers": 4}, "dense_layers: 4 is outside 0 to 3"),
        ("image_cnn", {"nodes": 0}, "nodes: 0 is outside"),
        ("image_cnn", {"dropout": 0.6}, "dropout: 0.6 is outside 0 to 0.5"),
        ("image_cnn", {"dropout": "much"}, "dropout: 'much' must be a number"),
        ("image_cnn", {"batch_normalisation": 1}, "batch_normalisation: 1 must be true or false"),
        ("image_cnn", {"pooling": [True]}, "one for each of the 3 convolution layers"),
        ("image_cnn", {"pooling": [True, 1, 0]}, "must be true or false, or a list"),
        ("image_cnn", {"convolutions": 5}, "16 x 16 pixels is too small for 5 poolings; at most 4"),
        ("volume_cnn", {"pooling_time": [True]}, "setting pooling_time: (True,) must be true or false"),
        ("volume_cnn", {"convolutions": 5}, "16 x 16 pixels is too small for 5 poolings; at most 4"),
        ("volume_cnn", {"window_frames": 13}, "window_frames 13 is more than the input's 12 frames"),
        ("two_stream", {"window_frames": 1}, "window_frames: 1 is outside 2"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_setting_named(name, settings, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        build(name, settings, nets.IMAGES, ONE_NETWORK)


def test_networks_of_images_do_not_take_waveforms():
    for name, entry in NETWORKS.items():
        if "stations" not in entry.kinds:
            with pytest.raises(SettingError, match=f"network {name}: takes snapshots, not stations"):
                build(name, {}, nets.WAVES, ONE_NETWORK)
    with pytest.raises(SettingError, match="window_frames is for images"):
        build("convnetquake", {"window_frames": 3}, nets.WAVES, ONE_NETWORK)
    single = InputShape("snapshots", (1, 16, 16), 10.0, ("snapshots",))
    with pytest.raises(SettingError, match="window_frames 2 is more than the input's 1"):
        build("two_stream", {}, single, ONE_NETWORK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pictures"}, "input kind 'pictures'"),
        ({"shape": (0, 16, 16)}, "above 0"),
        ({"rate_hz": 0.0}, "above 0"),
        ({"inputs": ("mask", "snapshots")}, "snapshots must stand first"),
        ({"inputs": ("snapshots", "waveforms")}, "waveforms unknown with snapshots"),
        ({"scale": "sometimes"}, "input scale"),
    ],
)
def test_inputs_that_no_representation_gives_are_refused(change, message):
    with pytest.raises(SettingError, match=message):
        InputShape(**{**vars(nets.IMAGES), **change})


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "no parameter"),
        ((("x",), ()), "no parameter"),
        ((("strike",),), "strike unknown"),
        ((("x",), ("x",)), "twice"),
    ],
)
def test_outputs_that_no_plugin_reads_are_refused(groups, message):
    with pytest.raises(SettingError, match=message):
        Outputs(groups)
