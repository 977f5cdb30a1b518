"""What a training takes by number of hosts (cluster.py), as lines of text and as a picture.

The picture: tokens a second over hosts, as they are forecast, as they would be without a wire, and as a straight line from one host."""

from __future__ import annotations

from pathlib import Path

from t0native.base.progress import duration
from t0native.reports.plot import check_picture, legend_above, new_axes, save_figure
from t0native.training.cluster import MEMORY_THREADS, PAYLOAD
from t0native.training.forecast import format_bytes

__all__ = ["draw_scaling", "scaling_lines"]

COLUMNS = ("hosts", "tokens/s", "of linear", "a step", "work", "wire", "hidden", "sent", "memory", "all steps")


def scaling_lines(facts):
    """The facts of `plan_cluster` as text, a line each, the table of hosts last."""
    rows, rates, cluster = facts["hosts"], facts["measured"], facts["cluster"]
    steps = "" if facts["steps"] is None else f"; {_count(facts['steps'], 'step')}"
    about = {
        "model": f"{facts['model']}, {facts['parameters']:,} weights",
        "a step": f"{facts['examples']:,} examples, {facts['tokens']:,} tokens{steps}",
        "lengths": facts["lengths"],
        "operations": ", ".join(f"{part} {count:.3g}" for part, count in facts["operations"].items()),
        "a host": f"{_count(cluster['cores'], 'core')}, {_count(cluster['ranks'], 'rank')} of {_count(cluster['threads'], 'thread')}, "
        f"{cluster['gbit']:g} Gbit/s, gradients as {cluster['wire']}",
        "measured here": _describe_rates(rates),
        "by the model": _describe_model(cluster),
    }
    table = [COLUMNS, *(_format_row(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in table]
    return [f"{name:<14} {text}" for name, text in about.items()] + ["", *lines, "", *_explain()]


def _count(n, what):
    return f"{n:,} {what}{'s' * (n != 1)}"


def _describe_rates(rates):
    return (
        f"one thread, {rates['kernels']}, {rates['precision']}, width {rates['width']:,}: layers "
        f"{rates['layers'] / 1e9:,.0f} G op/s, head {rates['around'] / 1e9:,.0f}, of {rates['product'] / 1e9:,.0f} that products alone "
        f"reach; optimiser {1e9 * rates['optimizer']:.2f} ns a weight, a sum {1e9 * rates['sum']:.2f}, a copy "
        f"{rates['copy'] / 1e9:,.1f} GB/s"
    )


def _describe_model(cluster):
    more = f"{cluster['threads']} threads do {cluster['threads']} times that, " if cluster["threads"] > 1 else ""
    return (
        f"{more}memory feeds {MEMORY_THREADS} threads of a host; the wire gives {PAYLOAD:.0%} of its rate both ways at once and "
        f"{1e6 * cluster['latency']:g} us a message; hosts do not disturb each other. Validation and checkpoints are left out"
    )


def _format_row(row):
    seconds = row["seconds"]
    work = seconds["lots"] + seconds["sums"] + seconds["optimizer"]
    return (
        f"{row['hosts']:,}",
        f"{row['tokens_per_second']:,.0f}",
        f"{row['efficiency']:.0%}",
        duration(row["step"]),
        duration(work),
        duration(seconds["wire"] + seconds["weights"]) if row["ranks"] > 1 else "-",
        duration(row["hidden"]) if row["ranks"] > 1 else "-",
        format_bytes(row["sent"]) if row["hosts"] > 1 else "-",
        format_bytes(row["memory"]),
        "-" if row["hours"] is None else duration(3600 * row["hours"]),
    )


def _explain():
    yield "work: gradients, their sums, optimiser, of the slowest rank; wire: gradients and weights between ranks; hidden: what of it lies"
    yield "behind the backward pass of the last lot; sent: bytes of a host and step; memory: of a host"


def draw_scaling(facts, path=None, ax=None):
    """Tokens a second over hosts. Returns the Axes; path: a picture that is written whole or not at all. ImportError without matplotlib."""
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (7, 4)) if ax is None else ax
    rows = facts["hosts"]
    hosts = [row["hosts"] for row in rows]
    first = rows[0]["tokens_per_second"] / hosts[0]
    bare = [facts["tokens"] / (row["step"] - row["seconds"]["wire"] - row["seconds"]["weights"] + row["hidden"]) for row in rows]
    ax.plot(hosts, [first * n for n in hosts], ":", color="gray", label="as many times one host")
    ax.plot(hosts, bare, "--", color="C1", label="without the wire")
    ax.plot(hosts, [row["tokens_per_second"] for row in rows], "o-", color="C0", label=f"{facts['cluster']['gbit']:g} Gbit/s")
    if len(hosts) > 2:
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
    ax.set_xticks(hosts, [f"{n:,}" for n in hosts])
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.minorticks_off()
    ax.set_xlabel(f"hosts of {facts['cluster']['cores']} cores")
    ax.set_ylabel("tokens a second")
    legend_above(ax)
    if path is not None:
        save_figure(ax.figure, Path(path), _in_words(facts))
    return ax


def _in_words(facts):
    points = ", ".join(f"{row['tokens_per_second']:,.0f} on {row['hosts']:,} ({row['efficiency']:.0%} of linear)" for row in facts["hosts"])
    return f"Tokens a second over hosts, forecast: {points}."
