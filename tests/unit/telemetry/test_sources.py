"""What `bsmon doctor` says of each source."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bsmon.core.records import GpuSample
from bsmon.telemetry.gpu_client import Deadlines, GpuClient
from bsmon.telemetry.gpu_protocol import Answer, Request, encode
from bsmon.telemetry.sources import Source, sources

GPU = GpuSample(index=0, uuid="GPU-0", name="H200", reasons={"pcie_rx_bytes_s": "own only", "power_w": "no permission"})
LOST = GpuSample(index=1, uuid="GPU-1", name="H200", reasons={"gpu": "the GPU is lost"})


class Process:
    pid = 1

    def __init__(self, answer: Answer) -> None:
        self._line = encode(answer).strip()

    def ask(self, request: Request) -> None: ...

    def receive(self, timeout_s: float) -> bytes:
        return self._line

    def kill(self) -> None: ...

    def is_dead(self) -> bool:
        return True


def found(answer: Answer) -> dict[str, Source]:
    client = GpuClient(Deadlines(), start=lambda: Process(answer))
    return {source.name: source for source in sources(client, 0.01)}


def test_a_healthy_gpu_and_a_lost_one() -> None:
    by_name = found(Answer((GPU, LOST), driver="570.1"))
    assert by_name["GPU driver"] == Source("GPU driver", "ok", "version 570.1")
    assert by_name["GPU 0"] == Source("GPU 0", "ok", "H200, GPU-0; n/a: power_w: no permission")
    assert by_name["GPU 1"] == Source("GPU 1", "broken", "the GPU is lost")


@pytest.mark.parametrize(
    ("answer", "state"), [(Answer(problem="none", absent=True), "absent"), (Answer(problem="none"), "broken")]
)
def test_a_driver_that_is_absent_or_broken(answer: Answer, state: str) -> None:
    assert found(answer)["GPU driver"] == Source("GPU driver", state, "none")  # type: ignore[arg-type]  # from the table


def test_every_source_has_a_state_and_a_sentence_and_is_json() -> None:
    listed = list(found(Answer(problem="no driver", absent=True)).values())
    names = {source.name for source in listed}
    assert {"torch", "psutil", "container limits", "MPS", "processor", "disks", "network", "sampling"} <= names
    assert json.loads(json.dumps([asdict(source) for source in listed])) == [asdict(source) for source in listed]
    assert all(source.detail for source in listed)


def test_what_the_host_does_not_tell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> object:
        raise PermissionError

    monkeypatch.setattr("psutil.net_io_counters", refuse)
    monkeypatch.setattr("os.getloadavg", refuse)
    by_name = found(Answer(problem="no driver", absent=True))
    assert by_name["network"].state == "absent"
    assert by_name["network"].detail.endswith("does not tell: network_bytes_s")
    assert by_name["processor"].state == "ok"
    assert by_name["processor"].detail.endswith("does not tell: load_1m")


def test_the_samplers_own_cost_is_told() -> None:
    cost = found(Answer((GPU,)))["sampling"]
    assert cost.state == "ok"
    assert cost.detail.startswith("costs ")
