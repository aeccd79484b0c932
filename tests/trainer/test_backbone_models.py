"""The backbones: published sizes, shapes, gradients, and options that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_backbones import ALL, MEL, sound, tiny
from torch import nn

from manifests.errors import ManifestError, UsageError
from trainer.config import BackboneName, ModelConfig
from trainer.models import transformer
from trainer.models.registry import BACKBONES, check_used, chunk_samples, new_encoder


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("model", "n_features", "chunk", "n_encoder", "n_published"),
    [
        (ModelConfig(), 512, 59_049, 2_368_512, 2_394_162),
        (ModelConfig(backbone="transformer"), 256, 81_365, 4_554_882, 4_567_732),
        (ModelConfig(backbone="transformer", attention_dim=64), 64, 81_365, 1_105_602, 1_108_852),
        (ModelConfig(backbone="shortchunk"), 512, 81_365, 12_078_594, 12_104_244),
        (ModelConfig(backbone="musicnn"), 200, 66_150, 774_250, 784_300),
    ],
)
def test_published_sizes(
    model: ModelConfig, n_features: int, chunk: int, n_encoder: int, n_published: int
) -> None:
    """The publication's head is one dense layer from h to 50 tags."""
    encoder = new_encoder(model)
    assert (encoder.name, encoder.sample_rate) == (model.backbone, 22_050)
    assert (encoder.n_features, encoder.chunk_samples) == (n_features, chunk)
    assert chunk_samples(model) == chunk
    assert n_parameters(encoder) == n_encoder
    assert n_encoder + n_parameters(nn.Linear(n_features, 50)) == n_published


def test_sizes_by_hand() -> None:
    """The same from the layers of the papers, not from the code."""

    def conv(n_in: int, n_out: int, kernel: int) -> int:
        return (n_in * kernel + 1) * n_out + 2 * n_out  # bias, BatchNorm

    def residual(n_in: int, n_out: int, shortcut: bool) -> int:
        return conv(n_in, n_out, 9) + conv(n_out, n_out, 9) + shortcut * conv(n_in, n_out, 9)

    def dense(n_in: int, n_out: int) -> int:
        return (n_in + 1) * n_out

    def perceptron(dim: int) -> int:
        return dense(dim, 4 * dim) + dense(4 * dim, dim)

    short = 2 + residual(1, 128, True) + residual(128, 128, True) + residual(128, 256, True)
    short += 3 * residual(256, 256, True) + residual(256, 512, True)
    assert short + dense(512, 512) + 2 * 512 == 12_078_594
    front = conv(1, 204, 67 * 7) + conv(1, 204, 38 * 7) + sum(conv(1, 51, k) for k in (129, 65, 33))
    back = conv(561, 64, 7) + 2 * conv(64, 64, 7)
    assert 2 + front + back + dense(2 * (561 + 3 * 64), 200) + 2 * 200 == 774_250
    for dim, expected in ((256, 4_554_882), (64, 1_105_602)):
        layer = 2 * 2 * dim + 3 * dim * dim + dense(dim, dim) + perceptron(dim)
        first = 2 + residual(1, 128, True) + 2 * residual(128, 128, False)
        tokens = dense(16 * 128, dim) + dim + 513 * dim
        assert first + tokens + 4 * layer + 2 * dim == expected


def test_the_table_of_the_documents_is_what_the_networks_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    section = text.partition("## Backbones")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    expected = []
    models = [ModelConfig(backbone=name) for name in ALL]
    models.insert(2, ModelConfig(backbone="transformer", attention_dim=64))
    for model in models:
        encoder = new_encoder(model)
        small = " --attention-dim 64" if model.attention_dim == 64 else ""
        heard = "waveform"
        if hasattr(encoder, "mel"):
            mel = encoder.mel.settings
            heard = f"{mel.n_mels} mel bands to {mel.high_hz:,.0f} Hz, hop {mel.hop_samples}"
        length, n = encoder.chunk_samples, n_parameters(encoder)
        expected.append(
            f"| `{model.backbone}{small}` | {heard} "
            f"| {length:,} samples ({length / 22_050:.2f} s) | "
            f"{encoder.n_features} | {n:,} | {n + 50 * (encoder.n_features + 1):,} |"
        )
    assert rows[1:] == expected


def test_every_name_of_the_option_is_a_backbone() -> None:
    assert set(BACKBONES) == set(ALL)


@pytest.mark.parametrize("backbone", ALL)
@pytest.mark.parametrize("width", [0.03, 0.1])
def test_shapes_at_small_widths(backbone: BackboneName, width: float) -> None:
    encoder = tiny(backbone, width)
    full = {"samplecnn": 512, "transformer": 256, "shortchunk": 512, "musicnn": 200}[backbone]
    step = 8 if backbone == "transformer" else 1
    assert encoder.n_features == step * max(1, round(full * width / step))
    assert encoder(sound(encoder)).shape == (4, encoder.n_features)
    assert encoder.eval()(sound(encoder, 1)).shape == (1, encoder.n_features)


@pytest.mark.parametrize("backbone", MEL)
def test_gradients_reach_everything(backbone: BackboneName) -> None:
    encoder = tiny(backbone).train()
    audio = sound(encoder).requires_grad_()
    h = encoder(audio)
    (h * torch.randn(h.shape)).sum().backward()
    assert audio.grad is not None and torch.isfinite(audio.grad).all()
    assert (audio.grad.abs().amax(dim=(1, 2)) > 0).all(), "every chunk is heard"
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        if parameter.ndim > 1:
            assert parameter.grad.abs().max() > 0, name
    if backbone == "transformer":
        n_tokens = (1 + encoder.chunk_samples // 512) // 4
        used = encoder.positions.grad.abs().amax(dim=1) > 0  # type: ignore[union-attr]
        assert used.tolist() == [True] * (1 + n_tokens) + [False] * (512 - n_tokens)
        assert encoder.class_token.grad.abs().max() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("backbone", MEL)
def test_silence_is_harmless(backbone: BackboneName) -> None:
    """A silent chunk in a batch leaves output and gradients finite, alone and among others."""
    encoder = tiny(backbone).train()
    for audio in (sound(encoder), torch.zeros(4, 1, encoder.chunk_samples)):
        audio[0] = 0.0
        audio.requires_grad_()
        encoder.zero_grad()
        h = encoder(audio)
        h.square().sum().backward()
        assert torch.isfinite(h).all()
        assert audio.grad is not None and torch.isfinite(audio.grad).all()
        assert (audio.grad[0] == 0).all()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("backbone", MEL)
def test_bf16_autocast_stays_near_float32(backbone: BackboneName) -> None:
    encoder = tiny(backbone)
    with torch.no_grad():
        encoder.train()(sound(encoder, 8))
        encoder.eval()
        exact = encoder(sound(encoder))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = encoder(sound(encoder)).float()
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.99


def test_a_layer_is_torchs_own_pre_ln_layer() -> None:
    """Independent oracle: nn.TransformerEncoderLayer with norm_first, and no bias in Q, K, V."""
    torch.manual_seed(4)
    dim = 24
    layer = transformer._Layer(dim).eval()
    oracle = nn.TransformerEncoderLayer(
        dim, 8, 4 * dim, activation="gelu", norm_first=True, batch_first=True
    ).eval()
    names = {
        "self_attn.in_proj_weight": "to_qkv.weight",
        "self_attn.out_proj": "to_out",
        "linear1": "perceptron.1",
        "linear2": "perceptron.4",
        "norm1": "attention_norm",
        "norm2": "perceptron.0",
    }
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = layer.state_dict()
    state = {"self_attn.in_proj_bias": torch.zeros(3 * dim)}
    for theirs in oracle.state_dict():
        for before, after in names.items():
            if theirs.startswith(before):
                state[theirs] = ours[theirs.replace(before, after)]
    oracle.load_state_dict(state)
    states = torch.randn(3, 11, dim)
    with torch.no_grad():
        torch.testing.assert_close(layer(states), oracle(states), rtol=1e-5, atol=1e-5)


def test_the_transformer_hears_where_a_sound_is() -> None:
    """Positions matter: the same audio with its halves swapped has another embedding."""
    encoder = tiny("transformer").eval()
    audio = sound(encoder)
    audio[..., : encoder.chunk_samples // 2] *= 0.01
    with torch.no_grad():
        there, back = encoder(audio), encoder(audio.flip(2))
        again = encoder(audio.clone())
    assert torch.equal(there, again), "no dropout in eval mode"
    assert (there - back).abs().max() > 1e-2


def test_the_longest_chunk_fills_the_positions() -> None:
    longest = (4 * 513 - 1) * 512 - 1
    encoder = transformer.MusicTaggingTransformer(0.03, chunk_samples=longest).eval()
    with torch.no_grad():
        assert encoder(torch.zeros(1, 1, longest)).shape == (1, 8)
    message = r"expected 22,050 to 1,050,111 samples \(1.000 to 47.624 s\) for --backbone transform"
    with pytest.raises(UsageError, match=f"--chunk-s: {message}er, got 1,050,112; leave it out"):
        transformer.MusicTaggingTransformer(0.03, chunk_samples=longest + 1)


@pytest.mark.parametrize(
    ("backbone", "chunk_s", "expected"),
    [
        ("samplecnn", 0.0, 59_049),
        ("samplecnn", 59_049 / 22_050, 59_049),
        ("samplecnn", 2.678, 59_049),
        ("samplecnn", 2.6775, 59_049),
        ("transformer", 0.9996, 22_050),
        ("transformer", 47.6245, 1_050_111),
        ("musicnn", 1.0004, 22_059),
        ("transformer", 3.69, 81_365),
        ("transformer", 10.0, 220_500),
        ("shortchunk", 1.0, 22_050),
        ("musicnn", 15.0, 330_750),
    ],
)
def test_chunk_lengths(backbone: BackboneName, chunk_s: float, expected: int) -> None:
    assert chunk_samples(ModelConfig(backbone=backbone, chunk_s=chunk_s)) == expected


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            ModelConfig(chunk_s=3.69),
            r"--chunk-s: expected 59,049 samples \(2.678 s\) for --backbone samplecnn, got 81,365",
        ),
        (ModelConfig(chunk_s=2.6785), r"expected 59,049 samples .* got 59,061; leave it out"),
        (ModelConfig(backbone="musicnn", chunk_s=0.5), "expected 22,050 to 1,323,000 samples"),
        (
            ModelConfig(backbone="shortchunk", chunk_s=61),
            "--backbone shortchunk, got 1,345,050",
        ),
        (ModelConfig(backbone="vgg"), "--backbone: expected one of samplecnn, transformer, short"),  # type: ignore[arg-type]
        (
            ModelConfig(backbone="transformer", attention_dim=100),
            "--attention-dim: expected a multiple of 8, got 100; 256 is the teacher's",
        ),
        (ModelConfig(backbone="transformer", attention_dim=0), "a multiple of 8, got 0"),
        *(
            (ModelConfig(backbone=name, width=0), "width: expected a factor above 0, got 0")
            for name in MEL
        ),
    ],
)
def test_options_that_cannot_be(model: ModelConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        new_encoder(model)


def test_an_option_of_another_backbone_is_refused_unless_one_uses_it() -> None:
    check_used(["width", "last_kernel", "attention_dim"], ["samplecnn", "transformer"])
    with pytest.raises(UsageError, match="--attention-dim: expected with --backbone transformer"):
        check_used(["last_kernel", "attention_dim"], ["samplecnn", "musicnn"])
    with pytest.raises(UsageError, match=r"\[a\]: --last-kernel: .* samplecnn, got musicnn; leave"):
        check_used(["last_kernel"], ["musicnn"], "[a]: ")


@pytest.mark.parametrize("backbone", MEL)
def test_other_shapes_are_named(backbone: BackboneName) -> None:
    encoder = tiny(backbone)
    for shape in ((2, 1, 26_461), (2, 2, 26_460), (2, 26_460)):
        with pytest.raises(ManifestError, match=r"expected shape \(batch, 1, 26460\), got \(2, "):
            encoder(torch.zeros(shape))


@pytest.mark.parametrize("backbone", MEL)
def test_filters_and_window_are_in_no_checkpoint(backbone: BackboneName) -> None:
    encoder = tiny(backbone)
    assert not [name for name in encoder.state_dict() if "filters" in name or "window" in name]
    assert {"mel.window", "mel.filters"} <= {name for name, _ in encoder.named_buffers()}
