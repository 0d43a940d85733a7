"""GPU memory: what the driver says of this process, and what the frameworks' own allocators say.

A framework is asked only if the suite has loaded it *and* has woken its GPU part: asking earlier would create a context
of some hundred megabytes, which would then look like the test's leak. Nothing is reset: the user's tests may measure
peaks, too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from importlib import import_module
from typing import Any

from leaktrace.pristine import os, sys
from leaktrace.probes.model import Counter, Thing, Unread, Value


GPU_ALLOCATED_BYTES = Counter(name="gpu_allocated_bytes", unit="bytes", kind="gpu")
GPU_BYTES = Counter(name="gpu_bytes", unit="bytes", kind="gpu", exact=False, noise=2 * 1024 * 1024)

FRAMEWORKS = ("torch", "cupy", "jax", "tensorflow")
_NONE_LOADED = "no GPU framework is loaded"


class GpuAllocatorsProbe:
    """Reads the bytes that torch, cupy and jax have handed out on all devices; exact, and free of caches."""

    counter: Counter = GPU_ALLOCATED_BYTES

    def __init__(self, *, modules: Mapping[str, Any] | None = None) -> None:
        self._modules = sys.modules if modules is None else modules
        self._unused = Unread(counter=GPU_ALLOCATED_BYTES.name, why=f"{_NONE_LOADED} whose allocator can be asked")

    def read(self) -> Value:
        """Bytes handed out now."""
        if not _loaded(self._modules):
            return self._unused
        try:
            pools = list(_pools(self._modules))
        except Exception as exc:  # noqa: BLE001 - a framework without a device, or in a state of error, raises anything
            return Unread(counter=GPU_ALLOCATED_BYTES.name, why=f"a GPU allocator cannot be asked: {exc!r}")
        return sum(used for _name, used, _peak in pools) if pools else self._unused

    def peak_bytes(self) -> Value:
        """The most bytes handed out at once since the process began or since the suite itself has reset the peak."""
        try:
            peaks = [peak for _name, _used, peak in _pools(self._modules) if peak is not None]
        except Exception as exc:  # noqa: BLE001 - as above
            return Unread(counter=GPU_ALLOCATED_BYTES.name, why=f"a GPU allocator cannot be asked: {exc!r}")
        return sum(peaks) if peaks else self._unused

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """One thing for each allocator of each device."""
        try:
            return {
                (name, used): Thing(kind="gpu", noun="GPU memory", name=name, detail=_detail(used, peak))
                for name, used, peak in _pools(self._modules)
            }
        except Exception as exc:  # noqa: BLE001 - as above
            return Unread(counter=GPU_ALLOCATED_BYTES.name, why=f"a GPU allocator cannot be asked: {exc!r}")

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Return at once: an allocator counts memory as free as soon as it has been given back."""


class GpuProcessProbe:
    """Reads this process's memory on all GPUs from the driver (NVML, extra `gpu`), contexts and caches included.

    `pynvml` is imported when a GPU framework has been, and not before.
    """

    counter: Counter = GPU_BYTES

    def __init__(self, *, nvml: Any = None, modules: Mapping[str, Any] | None = None, pid: int | None = None) -> None:
        self._nvml = nvml
        self._modules = sys.modules if modules is None else modules
        self._pid = pid
        self._handles: list[Any] | None = None
        self._unused = Unread(counter=GPU_BYTES.name, why=_NONE_LOADED)
        self._broken: Unread | None = None

    def read(self) -> Value:
        """Bytes of GPU memory that the driver books to this process now."""
        if self._broken is not None or not _loaded(self._modules):
            return self._broken or self._unused
        try:
            own = self._own_bytes()
        except Exception as exc:  # noqa: BLE001 - NVML has an error class of its own, but may also fail to load
            self._broken = Unread(counter=GPU_BYTES.name, why=f"NVML cannot be asked: {exc!r}")
            return self._broken
        if not own:
            return Unread(
                counter=GPU_BYTES.name,
                why="NVML does not list this process: it uses no GPU, or is known to the driver by another id",
            )
        return sum(own)

    def _own_bytes(self) -> list[int]:
        nvml = self._nvml
        if nvml is None:
            nvml = self._nvml = import_module("pynvml")
        if self._handles is None:
            nvml.nvmlInit()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        pid = self._pid or os.getpid()
        running = [
            process
            for handle in self._handles
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            if process.pid == pid
        ]
        if any(process.usedGpuMemory is None for process in running):
            raise OSError("the driver does not tell the memory of processes here")
        return [process.usedGpuMemory for process in running]


_Pool = tuple[str, int, "int | None"]  # name, bytes in use, the most bytes ever in use


def _loaded(modules: Mapping[str, Any]) -> bool:
    return not modules.keys().isdisjoint(FRAMEWORKS)


def _pools(modules: Mapping[str, Any]) -> Iterator[_Pool]:
    for name, pools in (("torch", _torch), ("cupy", _cupy), ("jax", _jax)):
        module = modules.get(name)
        if module is not None:
            yield from pools(module, modules)


def _torch(torch: Any, _modules: Mapping[str, Any]) -> Iterator[_Pool]:
    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            yield f"torch, cuda:{device}", torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)


def _cupy(cupy: Any, _modules: Mapping[str, Any]) -> Iterator[_Pool]:
    # The default pool knows the current device only; a pool never used reads 0 and touches no device.
    yield "cupy, default pool", cupy.get_default_memory_pool().used_bytes(), None


def _jax(jax: Any, modules: Mapping[str, Any]) -> Iterator[_Pool]:
    bridge = modules.get("jax._src.xla_bridge")
    if not getattr(bridge, "_backends", None):
        return  # no backend is awake, and asking for the devices would wake all of them
    for device in jax.local_devices():
        stats = device.memory_stats() if device.platform == "gpu" else None
        if stats:
            yield f"jax, {device}", stats["bytes_in_use"], stats.get("peak_bytes_in_use")


def _detail(used: int, peak: int | None) -> str:
    return f"{used} bytes in use" + (f", {peak} at the most" if peak is not None else "")
