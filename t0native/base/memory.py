"""Memory: what the system can still give. Asked before memory is taken, so that a model that is too large is an error with numbers in
it, not a machine that swaps or a process that is killed. What models and trainings take: checkpoints/sizes.py."""

from pathlib import Path

__all__ = ["available_memory", "check_room"]


def available_memory():
    """Bytes that the system can still give to this process, or None where it does not say."""
    try:
        with open("/proc/meminfo") as file:
            facts = dict(line.split(":", 1) for line in file)
        free = sum(int(facts[key].split()[0]) * 1024 for key in ("MemAvailable", "SwapFree"))
        limit = Path("/sys/fs/cgroup/memory.max")
        if limit.is_file() and (text := limit.read_text().strip()) != "max":
            used = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())["anon"]
            free = min(free, int(text) - int(used))  # cached files do not count: they give way
        return free
    except (OSError, KeyError, ValueError):
        return None


def check_room(needed, what, remedy):
    """MemoryError where `needed` bytes are more than there are. what: a sentence with {} for the gigabytes."""
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{what.format(f'{needed / 1e9:,.1f} GB')}, but {free / 1e9:,.1f} GB of memory are available: {remedy}")
