import json
from pathlib import Path

import pytest
import tidemark
from tidemark.cli import main


def test_generate_writes_a_step_that_can_be_planned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "step.json"

    assert main(["generate", "resnet18", "--batch", "4", "-o", str(out), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    graph = tidemark.StepGraph.load(out)
    assert graph == tidemark.generate("resnet18", batch=4)
    assert answer["peak_bytes"] == graph.peak_bytes
    assert answer["is_estimate"] is True
    made = tidemark.plan(graph, graph.peak_bytes * 9 // 10)
    assert tidemark.validate(graph, made) is None


def test_profile_measures_what_generate_takes_for_a_device(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("tidemark.profiling._SECONDS_EACH", 0.01)
    here = tmp_path / "here.json"

    assert main(["profile", "-o", str(here), "--json"]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert figures["source"].startswith("measured")
    assert tidemark.generate("chain4", device=here).step_ns > 0


def test_bytes_scale_with_the_batch_and_costs_with_the_device() -> None:
    small, large = (tidemark.generate("unet", batch=b, optimizer="none") for b in (8, 16))
    fast = tidemark.generate("unet", batch=8, device="h100")

    assert large.peak_bytes > 1.5 * small.peak_bytes
    assert fast.step_ns * 3 < small.step_ns


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"model": "resnet7"}, "18, 34, 50"),
        ({"model": "nothing"}, "gpt2_xl"),
        ({"model": "unet", "batch": 0}, "batch is 0"),
        ({"model": "unet", "device": "abacus"}, "rtx4090"),
        ({"model": "unet", "dtype": "int8"}, "bfloat16"),
        ({"model": "unet", "optimizer": "lion"}, "adamw"),
    ],
)
def test_generate_names_what_there_is(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        tidemark.generate(**arguments)  # type: ignore[arg-type]


def test_every_listed_model_exists() -> None:
    numbers = {"resnet": 50, "vgg": 11, "densenet": 121}
    for name in tidemark.generated_models():
        family = name.split("<")[0]
        model = name if family == name else f"{family}{numbers.get(family, 4)}"
        assert tidemark.generate(model, batch=1).num_ops > 10


def recorded(layers: list[object], images: tuple[int, ...], classes: int) -> tidemark.StepGraph:
    """The step of a network as PyTorch runs it, on fake tensors."""
    import torch

    x = torch.randn(images)
    y = torch.randint(0, classes, images[:1])
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=False)

    def step() -> None:
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    return tidemark.record(step, device="cpu")


def test_a_generated_chain_takes_the_bytes_of_the_recorded_one() -> None:
    torch = pytest.importorskip("torch")
    layers = [
        make() for _ in range(4) for make in (lambda: torch.nn.Linear(512, 512), torch.nn.GELU)
    ]

    graph = recorded(layers, (256, 512), 512)

    # The recorded step holds the loss of the step before, too.
    assert graph.peak_bytes - tidemark.generate("chain4", batch=256).peak_bytes in range(9)


@pytest.mark.full
def test_a_generated_vgg_takes_the_bytes_of_the_recorded_one() -> None:
    nn = pytest.importorskip("torch").nn
    layers: list[object] = []
    channels = 3
    for widths in ([64], [128], [256, 256], [512, 512], [512, 512]):
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    for width in (512 * 49, 4096):
        layers += [nn.Linear(width, 4096), nn.ReLU(inplace=True), nn.Dropout()]
    layers.append(nn.Linear(4096, 1000))

    graph = recorded(layers, (4, 3, 224, 224), 1000)

    # A CPU's dropout keeps a float per number and its convolutions have workspace.
    ours = tidemark.generate("vgg11", batch=4).peak_bytes
    assert 0.98 * graph.peak_bytes < ours <= graph.peak_bytes
