"""The trainings of benchmarks/advice.py: small, each a second or two on one CPU core at batch size 32.

Learning rates are where the search at batch size 32 begins. Targets are what the best of these runs reaches after some
hundreds of updates, on a fixed part of the training set in eval mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bsmon.config.load import parse
from bsmon.config.schema import Config


@dataclass(frozen=True, slots=True)
class Task:
    """A training: its config at batch size 32, and the loss that every batch size is to reach."""

    name: str
    toml: str
    target: float

    def config(self, seed: int) -> Config:
        """The config with this seed, for data, weights and order alike."""
        return parse(self.toml, Path(f"{self.name}.toml"), [f"run.seed={seed}", "run.threads=1", 'run.device="cpu"'])


def _toml(data: str, model: str, optimizer: str) -> str:
    return f"[data]\n{data}\n[model]\n{model}\n[optimizer]\n{optimizer}\n[batch]\nsize = 32\n"


DIGITS, TEXT = 'task = "digits"', 'task = "text"\ncontext = 16\nstride = 8'
LONG_TAIL = 'task = "long-tail"\nclasses = 20\nseparation = 4.0'
CATS = 'task = "cats-vs-dogs"\nsamples = 4096\nfeatures = 200\nsignal = 2.0'
MOMENTUM, ADAM, PLAIN = 'name = "SGD"\nmomentum = 0.9\nlr = {}', 'name = "AdamW"\nlr = {}', 'name = "SGD"\nlr = {}'
TRANSFORMER = 'name = "char-transformer"\nwidth = 32\nheads = 2\nlayers = 1'

TASKS = (
    Task("digits-mlp-sgd", _toml(DIGITS, 'name = "mlp"\nhidden = [64]', MOMENTUM.format(0.03)), 0.01),
    Task("digits-mlp-adam", _toml(DIGITS, 'name = "mlp"\nhidden = [64]', ADAM.format(3e-3)), 0.01),
    Task("digits-cnn", _toml(DIGITS, 'name = "cnn"\nchannels = [8, 16]', ADAM.format(3e-3)), 0.05),
    Task("text", _toml(TEXT, TRANSFORMER, ADAM.format(3e-3)), 1.9),
    Task("long-tail", _toml(LONG_TAIL, 'name = "mlp"\nhidden = [64]\nnorm = "layer"', ADAM.format(3e-3)), 0.25),
    Task("cats-dogs-signal", _toml(CATS, 'name = "mlp"\nhidden = [32]', MOMENTUM.format(0.01)), 0.05),
    # The guidelines' complete example (C, part 7): random labels, learned by heart.
    Task("cats-dogs-noise", _toml('task = "cats-vs-dogs"', 'name = "mlp"\nhidden = [100]', PLAIN.format(0.01)), 0.01),
    Task("digits-linear", _toml(DIGITS, 'name = "mlp"\nhidden = []', MOMENTUM.format(0.1)), 0.05),
)

# Nothing was decided on these: other sizes of model, other optimizers, another amount of noise.
HELD_OUT = (
    Task("deep-mlp", _toml(DIGITS, 'name = "mlp"\nhidden = [96, 96]\nnorm = "layer"', ADAM.format(1e-3)), 0.02),
    Task("cnn-sgd", _toml(DIGITS, 'name = "cnn"\nchannels = [16, 16]\nnorm = "group"', MOMENTUM.format(0.03)), 0.05),
    Task(
        "text-wide", _toml(TEXT, 'name = "char-transformer"\nwidth = 48\nheads = 4\nlayers = 1', ADAM.format(1e-3)), 1.9
    ),
    Task("long-tail-sgd", _toml(LONG_TAIL, 'name = "mlp"\nhidden = [48]', MOMENTUM.format(0.03)), 0.25),
    Task("cats-dogs-adam", _toml(CATS.replace("2.0", "3.0"), 'name = "mlp"\nhidden = [64]', ADAM.format(1e-3)), 0.02),
)
