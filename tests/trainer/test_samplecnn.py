"""SampleCNN against METHOD.md 2.1, and the fast layout against the plain one."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from manifests.errors import ManifestError, UsageError
from trainer.models.samplecnn import SampleCNN

CHUNK = 3**10


def clmr_sample_cnn() -> nn.Sequential:
    """The encoder as CLMR's table has it, written out with torch's own layers: the oracle."""
    layers: list[nn.Module] = [nn.Conv1d(1, 128, 3, stride=3), nn.BatchNorm1d(128), nn.ReLU()]
    channels = [128, 128, 128, 256, 256, 256, 256, 256, 256, 512]
    for n_in, n_out in itertools.pairwise(channels):
        layers += [
            nn.Conv1d(n_in, n_out, 3, padding=1),
            nn.BatchNorm1d(n_out),
            nn.ReLU(),
            nn.MaxPool1d(3),
        ]
    layers += [nn.Conv1d(512, 512, 3, padding=1), nn.BatchNorm1d(512), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers)


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_sizes() -> None:
    encoder = SampleCNN()
    assert n_parameters(encoder) == 2_368_512
    assert n_parameters(clmr_sample_cnn()) == 2_368_512
    assert (encoder.n_features, encoder.chunk_samples, encoder.sample_rate) == (512, CHUNK, 22_050)


def test_thesis_last_kernel_has_its_weights_only() -> None:
    assert n_parameters(SampleCNN(last_kernel=1)) == 2_368_512 - 2 * 512 * 512
    encoder = SampleCNN(width=0.05, last_kernel=1).eval()
    assert encoder(torch.randn(2, 1, CHUNK)).shape == (2, encoder.n_features)


@pytest.mark.parametrize("layout", ["conv1d", "conv2d"])
def test_equals_clmr_in_eval_mode(layout: str) -> None:
    oracle = clmr_sample_cnn()
    for part in oracle:  # other statistics than 0 and 1, or a swapped buffer would go unseen
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 2.0)
    encoder = SampleCNN(layout=layout)  # type: ignore[arg-type]
    names = list(encoder.state_dict())
    values = list(oracle.state_dict().values())
    encoder.load_state_dict(dict(zip(names, values, strict=True)))
    audio = torch.randn(2, 1, CHUNK)
    with torch.no_grad():
        h = encoder.eval()(audio)
        expected = oracle.eval()(audio)
    assert h.shape == (2, 512)
    torch.testing.assert_close(h, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("last_kernel", [1, 3])
def test_layouts_agree_in_output_gradients_and_buffers(last_kernel: int) -> None:
    torch.manual_seed(3)
    plain = SampleCNN(0.1, last_kernel, layout="conv1d").double()
    fast = SampleCNN(0.1, last_kernel, layout="conv2d").double()
    fast.load_state_dict(plain.state_dict())
    audio = torch.randn(5, 1, CHUNK, dtype=torch.float64)
    weights = torch.randn(5, plain.n_features, dtype=torch.float64)
    inputs = [audio.clone().requires_grad_(), audio.clone().requires_grad_()]
    outputs = []
    for encoder, given in zip((plain, fast), inputs, strict=True):
        h = encoder.train()(given)
        (h * weights).sum().backward()
        outputs.append(h)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-7, atol=1e-9)
    for (name, slow), quick in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert slow.grad is not None and quick.grad is not None
        # A bias in front of BatchNorm has no gradient but rounding noise.
        torch.testing.assert_close(quick.grad, slow.grad, rtol=1e-7, atol=1e-8, msg=name)
    for (name, before), after in zip(plain.named_buffers(), fast.buffers(), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9, msg=name)
        assert "num_batches" not in name or after == 1


def test_layouts_agree_in_eval_mode_where_every_norm_is_folded() -> None:
    torch.manual_seed(5)
    plain = SampleCNN(0.1, layout="conv1d").double()
    for name, value in (*plain.named_buffers(), *plain.named_parameters()):
        if "norm" in name and value.is_floating_point():
            nn.init.uniform_(value, 0.5, 1.5)
    fast = SampleCNN(0.1, layout="conv2d").double()
    fast.load_state_dict(plain.state_dict())
    audio = torch.randn(2, 1, CHUNK, dtype=torch.float64)
    gradients = []
    for encoder in (plain, fast):
        given = audio.clone().requires_grad_()
        encoder.eval()(given).square().sum().backward()
        gradients.append([given.grad, *(parameter.grad for parameter in encoder.parameters())])
    torch.testing.assert_close(fast(audio), plain(audio), rtol=1e-9, atol=1e-9)
    for quick, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(quick, slow, rtol=1e-7, atol=1e-9)
    for after, before in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_norm_of_another_kind_is_not_folded() -> None:
    """As after ``SyncBatchNorm.convert_sync_batchnorm``: it sees the activations themselves."""
    torch.manual_seed(4)
    encoder = SampleCNN(0.1).double()
    other = copy.deepcopy(encoder)
    norm = nn.BatchNorm2d(other.first.norm.num_features).double()
    norm.load_state_dict(encoder.first.norm.state_dict())
    seen: list[torch.Size] = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    other.first.norm = norm  # type: ignore[assignment]
    audio = torch.randn(3, 1, CHUNK, dtype=torch.float64)
    torch.testing.assert_close(other(audio), encoder(audio), rtol=1e-9, atol=1e-9)
    assert seen == [(3, norm.num_features, 1, CHUNK // 3)]


def test_the_encoder_compiles_whole() -> None:
    """``aot_eager`` traces as on a GPU but needs no C++ compiler; two batches, one graph."""
    torch.manual_seed(6)
    encoder = SampleCNN(0.05)
    other = copy.deepcopy(encoder)
    compiled = torch.compile(other, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        audio = torch.randn(2, 1, CHUNK)
        torch.testing.assert_close(compiled(audio), encoder(audio), rtol=1e-3, atol=1e-4)
    for (name, expected), found in zip(encoder.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)


def test_layouts_start_from_the_same_weights() -> None:
    states = []
    for layout in ("conv1d", "conv2d"):
        torch.manual_seed(7)
        states.append(SampleCNN(0.1, layout=layout).state_dict())  # type: ignore[arg-type]
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])


def test_bf16_autocast_stays_near_float32() -> None:
    torch.manual_seed(5)
    encoder = SampleCNN(0.1).eval()
    audio = torch.randn(2, 1, CHUNK)
    with torch.no_grad():
        exact = encoder(audio)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = encoder(audio).float()
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.995


@pytest.mark.parametrize("shape", [(2, 1, CHUNK - 1), (2, 1, 81_365), (2, 2, CHUNK), (2, CHUNK)])
def test_other_shapes_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ManifestError, match=rf"expected shape \(batch, 1, 59049\), got \({shape[0]},"
    ):
        SampleCNN(0.05)(torch.zeros(shape))


def test_bad_options() -> None:
    with pytest.raises(UsageError, match="width: expected a factor above 0, got 0"):
        SampleCNN(0)
    with pytest.raises(UsageError, match=r"last_kernel: expected 1 .* got 5"):
        SampleCNN(last_kernel=5)
    with pytest.raises(UsageError, match="layout: expected one of conv1d, conv2d, got nhwc"):
        SampleCNN(layout="nhwc")  # type: ignore[arg-type]


def test_batchnorm_refuses_other_ranks() -> None:
    norm = SampleCNN(0.05).first.norm
    with pytest.raises(ValueError, match="3-D or 4-D input, got 2-D"):
        norm(torch.zeros(4, norm.num_features))
