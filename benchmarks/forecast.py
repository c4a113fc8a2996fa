"""How close and how quick: the memory forecast beside torch's own profiler, and what the CPU's memory count costs.

    python -m benchmarks.forecast

"profiler" is the peak of all CPU allocations of the step, scratch memory inside operators included, as torch.profiler
records them; "counted" is what `LiveMemory` sees of the same step. All three are of the same model, optimizer and size.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.profiler import ProfilerActivity, profile

from bsmon.engine.forecast import forecast_peak
from bsmon.engine.live_memory import LiveMemory, held_tensors

Batch = tuple[torch.Tensor, torch.Tensor]
Case = tuple[str, Callable[[], nn.Module], Callable[[int], Batch], tuple[int, ...]]


class Transformer(nn.Module):
    """A small encoder over characters."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(65, width)
        block = [nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True) for _ in range(layers)]
        self.blocks, self.head = nn.Sequential(*block), nn.Linear(width, 65)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the next character, (rows, 65, characters)."""
        logits: torch.Tensor = self.head(self.blocks(self.embed(tokens)))
        return logits.transpose(1, 2)


def mlp() -> nn.Module:
    """Rows of 64 numbers, two hidden layers."""
    return nn.Sequential(
        nn.Linear(64, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def cnn() -> nn.Module:
    """32x32 images, three convolutions with BatchNorm."""
    widths, layers = (3, 16, 32, 64), []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1, stride=2), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10))


def vectors(rows: int) -> Batch:
    """Random rows and classes."""
    return torch.randn(rows, 64), torch.randint(0, 10, (rows,))


def images(rows: int) -> Batch:
    """Random images and classes."""
    return torch.randn(rows, 3, 32, 32), torch.randint(0, 10, (rows,))


def texts(rows: int) -> Batch:
    """Random characters, and those to predict."""
    return torch.randint(0, 65, (rows, 64)), torch.randint(0, 65, (rows, 64))


CASES: tuple[Case, ...] = (
    ("mlp", mlp, vectors, (1, 32, 1024)),
    ("cnn", cnn, images, (1, 32, 256)),
    ("transformer", lambda: Transformer(64, 2), texts, (1, 8, 64)),
)
OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "AdamW": lambda model: torch.optim.AdamW(model.parameters()),
}


def step(model: nn.Module, optimizer: Optimizer, batch: object) -> None:
    """Make one update."""
    assert isinstance(batch, tuple)
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    torch.autograd.backward(loss)
    optimizer.step()


def profiled_peak(build: Callable[[], tuple[nn.Module, Optimizer, Batch]]) -> int:
    """Peak bytes above the start of a process part that builds everything and makes two updates."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model, optimizer, batch = build()
        for _ in range(2):
            step(model, optimizer, batch)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = [event["args"] for event in events if event.get("name") == "[memory]"]
    start: int = changes[0]["Total Allocated"] - changes[0]["Bytes"]
    return max(int(change["Total Allocated"]) for change in changes) - start


def counted_peak(model: nn.Module, optimizer: Optimizer, batch: Batch) -> int:
    """Peak of one update after two others, counted operator by operator."""
    for _ in range(2):
        step(model, optimizer, batch)
    live = LiveMemory()
    live.hold(held_tensors(model, optimizer, batch))
    with live:
        step(model, optimizer, batch)
    return live.peak_bytes


def step_seconds(model: nn.Module, optimizer: Optimizer, batch: Batch, watched: bool) -> float:
    """Median seconds of an update, with or without the count."""
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        if watched:
            live = LiveMemory()
            live.hold(held_tensors(model, optimizer, batch))
            with live:
                step(model, optimizer, batch)
        else:
            step(model, optimizer, batch)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[len(seconds) // 2]


def show(case: Case, optimizer_name: str, rows: int) -> float:
    """Print one line; the forecast's error against the profiler."""
    name, build_model, build_batch, _ = case
    make_optimizer = OPTIMIZERS[optimizer_name]

    def build() -> tuple[nn.Module, Optimizer, Batch]:
        model = build_model()
        return model, make_optimizer(model), build_batch(rows)

    forecast = forecast_peak(build_model(), make_optimizer, step, build_batch(2), rows)
    profiled = profiled_peak(build)
    parts = build()
    counted = counted_peak(*parts)
    plain, watched = step_seconds(*parts, watched=False), step_seconds(*parts, watched=True)
    predicted = forecast.peak_bytes or 0
    error = (predicted - profiled) / profiled
    print(
        f"{name:12} {optimizer_name:6} {rows:5}  {predicted:12,} {counted:12,} {profiled:12,}  {error:+8.3%}"
        f"  {forecast.seconds * 1e3:8.0f}  {plain * 1e3:8.2f} {watched * 1e3:8.2f}"
    )
    return abs(error)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("model        optim.  rows  forecast [B]  counted [B] profiler [B]     error  fake, ms  step, ms  counted")
    errors = [show(case, optimizer, rows) for case in CASES for optimizer in OPTIMIZERS for rows in case[3]]
    print(f"worst error against the profiler: {max(errors):.3%} of {len(errors)} forecasts")


if __name__ == "__main__":
    main()
