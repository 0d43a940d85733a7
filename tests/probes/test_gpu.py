from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from leaktrace.probes.gpu import GpuAllocatorsProbe, GpuProcessProbe
from leaktrace.probes.model import Probe, Unread
from probes.probe_readings import things_of, why_unread


class FakeTorch:
    """torch's allocator, one number a device; `cuda` is torch's own name for the part that is asked."""

    def __init__(self, used: list[int], *, initialized: bool = True) -> None:
        self.used = used
        self.cuda = SimpleNamespace(
            is_initialized=lambda: initialized,
            device_count=lambda: len(used),
            memory_allocated=lambda device: self.used[device],
            max_memory_allocated=lambda device: self.used[device] + 100,
        )


def nvml_of(*devices: Sequence[tuple[int, int | None]], broken: bool = False) -> SimpleNamespace:
    """NVML with devices, each a list of (pid, bytes)."""

    def init() -> None:
        if broken:
            raise OSError("libnvidia-ml.so.1 not found")

    return SimpleNamespace(
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(devices),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [
            SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in devices[handle]
        ],
    )


def jax_of(*stats: dict[str, int] | None) -> SimpleNamespace:
    devices = [SimpleNamespace(platform="gpu", memory_stats=lambda stat=stat: stat) for stat in stats]
    return SimpleNamespace(local_devices=lambda: devices)


@pytest.mark.parametrize("probe", [GpuAllocatorsProbe(modules={}), GpuProcessProbe(modules={})])
def test_without_a_framework_the_gpu_is_unread(probe: GpuAllocatorsProbe | GpuProcessProbe) -> None:
    assert isinstance(probe, Probe)
    assert isinstance(probe.read(), Unread)
    assert "no GPU framework is loaded" in why_unread(probe)


def test_torchs_bytes_are_summed_over_devices() -> None:
    assert GpuAllocatorsProbe(modules={"torch": FakeTorch([1000, 24])}).read() == 1024


def test_a_torch_that_has_not_woken_its_gpu_is_not_asked() -> None:
    assert isinstance(GpuAllocatorsProbe(modules={"torch": FakeTorch([7], initialized=False)}).read(), Unread)


def test_cupys_default_pool_is_read() -> None:
    cupy = SimpleNamespace(get_default_memory_pool=lambda: SimpleNamespace(used_bytes=lambda: 512))

    assert GpuAllocatorsProbe(modules={"cupy": cupy}).read() == 512


def test_jax_is_read_when_a_backend_is_awake() -> None:
    modules = {
        "jax": jax_of({"bytes_in_use": 64, "peak_bytes_in_use": 256}),
        "jax._src.xla_bridge": SimpleNamespace(_backends={"gpu": 1}),
    }
    probe = GpuAllocatorsProbe(modules=modules)

    assert (probe.read(), probe.peak_bytes()) == (64, 256)


def test_jax_is_not_woken() -> None:
    modules = {"jax": jax_of({"bytes_in_use": 64}), "jax._src.xla_bridge": SimpleNamespace(_backends={})}

    assert isinstance(GpuAllocatorsProbe(modules=modules).read(), Unread)


def test_the_peak_is_what_the_allocators_tell() -> None:
    assert GpuAllocatorsProbe(modules={"torch": FakeTorch([1000])}).peak_bytes() == 1100


def test_each_devices_allocator_is_a_thing() -> None:
    (thing,) = things_of(GpuAllocatorsProbe(modules={"torch": FakeTorch([1000])})).values()

    assert (thing.kind, thing.name, thing.detail) == ("gpu", "torch, cuda:0", "1000 bytes in use, 1100 at the most")


def test_an_allocator_that_raises_is_unread_with_its_reason() -> None:
    modules = {"torch": SimpleNamespace()}

    assert "no attribute 'cuda'" in why_unread(GpuAllocatorsProbe(modules=modules))


def test_nvmls_bytes_of_this_process_are_summed_over_devices() -> None:
    nvml = nvml_of([(1, 5), (42, 1000)], [(42, 24)])

    assert GpuProcessProbe(nvml=nvml, modules={"torch": None}, pid=42).read() == 1024


def test_a_process_that_nvml_does_not_list_is_unread_not_zero() -> None:
    value = GpuProcessProbe(nvml=nvml_of([(1, 5)]), modules={"torch": None}, pid=42).read()

    assert isinstance(value, Unread)
    assert "does not list this process" in value.why


def test_memory_that_the_driver_conceals_is_unread() -> None:
    probe = GpuProcessProbe(nvml=nvml_of([(42, None)]), modules={"torch": None}, pid=42)

    assert "does not tell" in why_unread(probe)


def test_a_broken_nvml_is_asked_once_only() -> None:
    probe = GpuProcessProbe(nvml=nvml_of([], broken=True), modules={"torch": None}, pid=42)
    first = probe.read()

    assert isinstance(first, Unread)
    assert "libnvidia-ml.so.1 not found" in first.why
    assert probe.read() is first
