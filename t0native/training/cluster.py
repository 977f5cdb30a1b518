"""What a training takes on a cluster, before there is one: time of a step by parts, the wire, memory of a host, for any number of hosts.

    a step = the slowest rank's lots + its sums + gradients over the wire - what the backward pass hides of them
             + optimiser + weights over the wire

    lots        operations by the model's shape and the examples' lengths, tokens of inputs and targets apart (forecast.py), at rates that
                were measured on one thread of this machine (rates.py), times the threads of a rank
    wire        each tensor's nodes go to its owner (wire.py), then its weights to all, at the link's rate, both ways at once; of the same
                host at the rate of a copy
    memory      that of the forecast, of each rank

What is measured is the work of one thread. By this model: that more are faster in proportion, that memory feeds MEMORY_THREADS of a
host, the wire's rate and latency, and that hosts do not disturb each other."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from t0native.base.errors import ConfigError
from t0native.checkpoints.sizes import training_bytes
from t0native.training.exchange import keys_of_rank, share_out
from t0native.training.forecast import SAMPLE, count_steps, measure_lengths, memory_of, operations_by_part
from t0native.training.lots import MOST, cut_lots, lots_of_rank
from t0native.training.ranks import LOTS
from t0native.training.rates import REPEATS, measure_rates
from t0native.training.trainer import match_names
from t0native.training.wire import final_shares, simulate

__all__ = ["MEMORY_THREADS", "PAYLOAD", "WIRES", "Cluster", "Work", "choose_lots", "forecast_cluster", "hosts_up_to", "plan_cluster"]

MEMORY_THREADS = 8  # of a host, that read and write memory at once as fast as one does alone; more share what these reach
PAYLOAD = 1448 / 1538  # of an Ethernet frame's bytes on the wire, those that TCP carries for its user
WIRES = {"float32": 4, "bfloat16": 2}  # bytes of a number of gradients on their way; weights are float32 always
BACKWARD, RECOMPUTED = 2 / 3, 3 / 4  # of the time of a lot, and with recomputing


@dataclass(frozen=True)
class Cluster:
    """Hosts alike, each with so many cores and ranks; gbit: of the link of a host, a second each way; latency: seconds of a message;
    wire: the number type of gradients between ranks. ConfigError for ranks that have no core each."""

    hosts: int
    cores: int
    gbit: float
    ranks: int = 1
    latency: float = 5e-5
    wire: str = "float32"

    def __post_init__(self):
        if self.ranks > self.cores:
            raise ConfigError(f"{self.ranks} ranks on {self.cores} cores of a host: a rank needs a core at least")

    @property
    def size(self):
        """All ranks."""
        return self.hosts * self.ranks

    @property
    def threads(self):
        """Of a rank."""
        return self.cores // self.ranks

    @property
    def memory_threads(self):
        """Of a rank, that memory feeds."""
        return min(self.threads, max(1.0, MEMORY_THREADS / self.ranks))


@dataclass(frozen=True)
class Work:
    """One step: sources, targets: float64 [n], tokens of its examples; settings: of the run; steps: of the run, or None."""

    sources: np.ndarray
    targets: np.ndarray
    settings: object
    steps: int | None = None

    @classmethod
    def of(cls, lengths, settings):
        """A step under these Settings, of examples with lengths like these [(source, target)], again and again."""
        sources, targets = np.array(lengths, np.float64).T
        if settings.batch_tokens is None:
            n = settings.batch_size * settings.accumulate
        else:
            n = max(1, round(settings.batch_tokens * settings.accumulate / (sources + targets).mean()))
        at = np.arange(n) % len(sources)
        return cls(sources[at], targets[at], settings, settings.steps)

    @property
    def tokens(self):
        """Of the step, inputs and targets."""
        return int((self.sources + self.targets).sum())


def plan_cluster(settings, cluster, recipe=None, config=None, model=None, repeats=REPEATS):
    """All that `t0native plan` tells, a dict: model, parameters, lengths (how they are known), examples, tokens (of a step), steps (of the
    run, or None), operations (of a step by part), measured (Rates), cluster, hosts (forecast_cluster).

    recipe: whose model and rows; of none, examples are as long as may be.  config, model: a Config in the place of the recipe's, and its
    name.  repeats: of each measurement."""
    if settings.adapter is not None:
        raise ConfigError("plan: an adapter is trained by one process, on one host; t0native train RECIPE --dry-run tells what it takes")
    longest = (settings.max_source, settings.max_target)
    lengths, source = [longest] * SAMPLE, f"taken as {longest[0]} + {longest[1]} tokens an example, the most: there is no recipe"
    if recipe is not None:
        lengths, source = measure_lengths(recipe, settings)
        config, model = (recipe.config(), recipe.model_name()) if config is None else (config, model)
    work = Work.of(lengths, settings)
    if recipe is not None:
        work = replace(work, steps=count_steps(recipe, settings, len(work.sources))[0])
    _check_ranks(settings, cluster)
    match_names(settings.freeze or (), config.tensors())  # which says what fits nothing
    rates = measure_rates(config, lengths, replace(settings, wire=cluster.wire), repeats)
    operations = operations_by_part(config, work.sources, work.targets, settings.recompute)
    return {
        "model": model,
        "parameters": config.parameters,
        "lengths": source,
        "examples": len(work.sources),
        "tokens": work.tokens,
        "steps": work.steps,
        "operations": {part: float(counts.sum()) for part, counts in operations.items()},
        "measured": asdict(rates),
        "cluster": asdict(cluster) | {"threads": cluster.threads},
        "hosts": forecast_cluster(config, lengths, work, cluster, rates),
    }


def choose_lots(settings, ranks):
    """The lots of the run: its own, none of one rank alone, else 8, or the power of two that so many ranks need.

    >>> from t0native.training.settings import Settings
    >>> [choose_lots(Settings(steps=1), ranks) for ranks in (1, 2, 9)], choose_lots(Settings(steps=1, lots=2), 1)
    ([None, 8, 16], 2)
    """
    if settings.lots is not None or ranks == 1:
        return settings.lots
    return max(LOTS, 1 << (ranks - 1).bit_length())


def hosts_up_to(hosts):
    """Powers of two, and this number.

    >>> hosts_up_to(12)
    [1, 2, 4, 8, 12]
    """
    return sorted({1 << i for i in range(hosts.bit_length())} | {hosts})


def forecast_cluster(config, lengths, work, cluster, rates):
    """Facts of a run on each number of hosts up to the cluster's, a dict each: hosts, ranks, lots; seconds: of the parts of a step,
    {"lots", "sums", "wire", "optimizer", "weights"}; hidden: seconds of the wire that lie behind the backward pass of the last lot; step
    (seconds), tokens_per_second, efficiency (of that many times one host), sent (bytes that a host sends in a step), memory (bytes of a
    host), hours (of all steps, or None).

    config: the model's; lengths: [(source, target)] of examples, whose largest decide memory; work: a Work; rates: Rates of this machine.
    ConfigError where there are more ranks than lots."""
    settings = replace(work.settings, lots=_check_ranks(work.settings, cluster), wire=cluster.wire)
    rows = [
        _forecast_hosts(config, lengths, replace(work, settings=settings), replace(cluster, hosts=n), rates)
        for n in hosts_up_to(cluster.hosts)
    ]
    for row in rows:
        row["efficiency"] = row["tokens_per_second"] / (row["hosts"] * rows[0]["tokens_per_second"])
    return rows


def _check_ranks(settings, cluster):
    """The lots of the run; ConfigError where they are too few."""
    lots = choose_lots(settings, cluster.size)
    if lots is not None and (lots > MOST or cluster.size > lots):
        raise ConfigError(
            f"{cluster.size} ranks and {min(lots, MOST)} lots: a rank needs one at least, and there are {MOST} at most; plan fewer ranks, "
            "of more threads each, or more lots"
        )
    return lots


def _forecast_hosts(config, lengths, work, cluster, rates):
    settings, ranks = work.settings, cluster.size
    shares = [range(1)] if settings.lots is None else [lots_of_rank(settings.lots, ranks, rank) for rank in range(ranks)]
    nodes = [1 if settings.lots is None else len(keys_of_rank(settings.lots, settings.lots, ranks, rank)) for rank in range(ranks)]
    of_lots = _seconds_of_lots(config, work, rates, cluster)
    sizes = [int(np.prod(shape)) for shape in config.tensors().values()]
    owned = np.bincount(share_out(sizes, ranks), sizes, ranks)
    seconds = {"lots": max(float(of_lots[share.start : share.stop].sum()) for share in shares)}
    sums = max(len(share) - n for share, n in zip(shares, nodes)) * config.parameters + (sum(nodes) - 1) * owned.max()
    rounded = (max(map(len, shares)) + (ranks > 1)) * config.parameters  # each lot, and once more on the way
    seconds["sums"] = (rates.sum * float(sums) + rates.rounding * rounded) / cluster.memory_threads
    backward = (RECOMPUTED if settings.recompute else BACKWARD) * min(float(of_lots[share.stop - 1]) for share in shares)
    sent, seconds["wire"], hidden, seconds["weights"] = _seconds_of_wire(config, work, nodes, backward, cluster, rates)
    updated = np.bincount(share_out(sizes, ranks), _trained(config, sizes, settings.freeze), ranks).max()
    seconds["optimizer"] = rates.optimizer * float(updated) / cluster.memory_threads
    step = sum(seconds.values()) - hidden
    memory = memory_of(config, lengths, settings, ranks)
    return {
        "hosts": cluster.hosts,
        "ranks": ranks,
        "lots": settings.lots,
        "seconds": seconds,
        "hidden": hidden,
        "step": step,
        "tokens_per_second": work.tokens / step,
        "sent": sent,
        "memory": cluster.ranks * memory["total"],
        "hours": None if work.steps is None else work.steps * step / 3600,
    }


def _trained(config, sizes, freeze):
    """Numbers of each tensor that the optimiser changes."""
    frozen = set(match_names(freeze or (), config.tensors()))
    return [0 if name in frozen else size for name, size in zip(config.tensors(), sizes)]


# ---- the work of a rank ----------------------------------------------------------------------------------------------------


def _seconds_of_lots(config, work, rates, cluster):
    """float64 [lots]: of gradients of each lot, by a rank."""
    offsets = [np.concatenate([[0], np.cumsum(tokens)]) for tokens in (work.sources, work.targets)]
    cuts = [(0, len(work.sources))] if work.settings.lots is None else cut_lots(*offsets, work.settings.lots)
    parts = operations_by_part(config, work.sources, work.targets, work.settings.recompute)
    layers, head = parts["encoder"] + parts["decoder"], parts["head"]
    around = config.parameters - _layer_weights(config)
    a_piece = _layer_weights(config) * rates.layers_weight + around * rates.around_weight
    rows, most = offsets[0] + offsets[1], training_bytes(config)["tokens"]
    return np.array(
        [
            (layers[begin:end].sum() / rates.layers + head[begin:end].sum() / rates.around) / cluster.threads
            + _count_pieces(rows[begin : end + 1], most) * a_piece / cluster.memory_threads
            for begin, end in cuts
        ]
    )


def _layer_weights(config):
    return sum(int(np.prod(shape)) for name, shape in config.tensors().items() if ".block." in name)


def _count_pieces(ends, most):
    """Runs of whole examples of at most so many tokens, one example at least. ends: [n + 1], tokens before each example.

    >>> _count_pieces(np.array([0, 5, 9, 30, 32]), 10)
    3
    """
    at, n = 0, 0
    while at < len(ends) - 1:
        at = max(at + 1, int(np.searchsorted(ends, ends[at] + most, "right")) - 1)
        n += 1
    return n


# ---- the wire -----------------------------------------------------------------------------------------------------------------


def _seconds_of_wire(config, work, nodes, backward, cluster, rates):
    """(bytes that a host sends in a step at most, seconds of gradients, those of them that a backward pass of `backward` seconds hides,
    seconds of weights). nodes: of each rank."""
    if cluster.size == 1:
        return 0, 0.0, 0.0, 0.0
    tensors = config.tensors()
    sizes = [int(np.prod(shape)) for shape in tensors.values()]
    owners, host_of = share_out(sizes, cluster.size), [rank // cluster.ranks for rank in range(cluster.size)]
    link, inside = cluster.gbit * 1e9 / 8 * PAYLOAD, rates.copy / 2
    way = {"host_of": host_of, "link": link, "inside": inside, "number": WIRES[cluster.wire], "latency": cluster.latency}
    operations = operations_by_part(config, work.sources, work.targets)
    final = backward * (final_shares(list(tensors), {part: float(counts.sum()) for part, counts in operations.items()}) - 1)
    gradients, exposed = (simulate(sizes, owners, nodes, when, **way) for when in (np.zeros(len(sizes)), final))
    elsewhere = config.parameters - np.bincount(host_of, np.bincount(owners, sizes, cluster.size))  # weights that other hosts own
    nodes_of = np.bincount(host_of, nodes)
    received = 4 * cluster.ranks * elsewhere.max()
    weights = received / link + (0 if cluster.ranks == 1 else 4 * config.parameters * (cluster.ranks - 1) / inside)
    return int(WIRES[cluster.wire] * (nodes_of * elsewhere).max() + received), gradients, gradients - exposed, float(weights)
