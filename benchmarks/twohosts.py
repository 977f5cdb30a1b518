#!/usr/bin/env python3
"""Two hosts on one machine, as two network namespaces with a link of a chosen rate between: bits, time of a step, any command.

    python benchmarks/twohosts.py [--mbit 200 1000] [--size small] [--steps 3]      # as root; iproute2 and util-linux; mpi4py and mpich
    python benchmarks/twohosts.py --mbit 1000 --shell "COMMAND with HOST0 and HOST1"    # in the first host; COMMAND in both: --both

    host 0  10.77.0.1  eth0 ===== veth, tbf of R Mbit/s on both ends ===== eth0  10.77.0.2  host 1

Each host has its own network, host name and System V memory, and its own /dev/shm: without these MPI would go through shared memory, and
nobody would tell. MPI starts ranks through this script, which stands where ssh would. For each rate:

    bits    a run of a tiny model by one process, and by two on two hosts: the weights' and states' SHA-256 are equal
    step    a step of the size's model on two hosts, a thread each, beside what `t0native plan` forecasts of it

What the kernel must have: network namespaces, veth, tbf; what is missing is told. `cut(seconds)`, or --cut AT SECONDS beside --shell, takes
the link away for a while."""

import argparse
import hashlib
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

HOSTS, ADDRESSES = ("t0host0", "t0host1"), ("10.77.0.1", "10.77.0.2")
ENVIRONMENT = {
    "MPIR_CVAR_CH4_NETMOD": "ofi",
    "UCX_NET_DEVICES": "eth0",
    "UCX_TLS": "tcp,self",
    "FI_PROVIDER": "tcp",
    "FI_TCP_IFACE": "eth0",
    "PYTHONHASHSEED": "0",
}
UP_SECONDS = 5.0
RECIPE = """\
model: {{config: config.json, tokenizer: spiece.model}}
tasks: [{{dataset: tea, data: rows.jsonl, objective: span_corruption}}]
steps: {steps}
batch_size: 12
lots: 8
dropout: 0.1
max_source: 64
max_target: 32
threads: 1
progress: false
out: {out}
"""


# ---- the hosts -------------------------------------------------------------------------------------------------------


def check_machine():
    """What is missing, in words, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program, package in (("ip", "iproute2"), ("tc", "iproute2"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"no {program}: apt-get install {package}"
    return None


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=not check)


@contextmanager
def two_hosts(mbit):
    """Two hosts with a link of that rate; they are gone behind the block."""
    remove()
    try:
        for host in HOSTS:
            ip("netns", "add", host)
        ip("link", "add", "eth0", "netns", HOSTS[0], "type", "veth", "peer", "name", "eth0", "netns", HOSTS[1])
        for host, address in zip(HOSTS, ADDRESSES):
            ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", host, "link", "set", device, "up")
            rate = ("rate", f"{mbit}mbit", "burst", "256kb", "latency", "50ms")
            subprocess.run(["tc", "-n", host, "qdisc", "add", "dev", "eth0", "root", "tbf", *rate], check=True)
        wait_until_up()
        yield
    finally:
        remove()


def wait_until_up():
    until = time.monotonic() + UP_SECONDS
    while any("state UP" not in ip_text("-n", host, "link", "show", "eth0") for host in HOSTS):
        if time.monotonic() > until:
            raise SystemExit(f"the link did not come up within {UP_SECONDS:.0f} s")
        time.sleep(0.05)
    time.sleep(0.5)  # addresses settle


def ip_text(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def remove():
    for host in HOSTS:
        ip("netns", "del", host, check=False)


def sent_bytes():
    """What host 0 has sent over the link so far, with all headers."""
    words = ["ip", "netns", "exec", HOSTS[0], "cat", "/sys/class/net/eth0/statistics/tx_bytes"]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def cut(seconds):
    """The link is away for so long."""
    ip("-n", HOSTS[0], "link", "set", "eth0", "down")
    time.sleep(seconds)
    ip("-n", HOSTS[0], "link", "set", "eth0", "up")


def on_host(number, words):
    """The command that runs words on a host, with a host name and /dev/shm of its own."""
    inside = f"hostname {HOSTS[number]} && mount -t tmpfs tmpfs /dev/shm && exec {shlex.join(map(str, words))}"
    return ["ip", "netns", "exec", HOSTS[number], "unshare", "-u", "-i", "-m", "sh", "-c", inside]


def mpiexec(words):
    """The command that starts words as two ranks, one on each host."""
    launcher = ["mpiexec", "-launcher", "ssh", "-launcher-exec", str(Path(__file__).resolve()), "-hosts", ",".join(ADDRESSES), "-n", "2"]
    return on_host(0, [*launcher, "-bind-to", "user:0,1", *words])


def stand_for_ssh(words):
    """As MPI calls it: [options] ADDRESS COMMAND ..., of which sh makes words."""
    while words[0].startswith("-"):
        words = words[1:]
    address, command = words[0], " ".join(words[1:])
    number = ADDRESSES.index(address) if address in ADDRESSES else HOSTS.index(address)
    command = on_host(number, ["sh", "-c", command])
    os.execvp(command[0], command)


# ---- what is shown ---------------------------------------------------------------------------------------------------


def compare_bits(folder, steps=20):
    """Whether a run of one process and one of two hosts have the same bytes, and that two hosts there were."""
    import t0native as t0

    config = t0.Config(vocab_size=2048, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_decoder_layers=2, num_heads=4)
    spiece = Path(t0.__file__).parent / "mini/spiece.model"
    shutil.copy(spiece, folder)
    tokenizer = t0.Tokenizer.from_file(folder / "spiece.model")
    (folder / "config.json").write_text(t0_json(config, tokenizer.vocab_size))
    (folder / "rows.jsonl").write_text("".join(f'{{"text": "{" ".join(["tea and milk", str(i)] * 12)}"}}\n' for i in range(64)))
    digests = {}
    for name, launch in (("one", list), ("two", mpiexec)):
        (folder / f"{name}.yaml").write_text(RECIPE.format(steps=steps, out=name))
        words = launch([sys.executable, "-m", "t0native", "train", str(folder / f"{name}.yaml"), "-q"])
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        digests[name] = digest_of(folder / name)
    assert digests["one"], f"{folder}: no checkpoint"
    return digests["one"] == digests["two"], digests["one"]


def t0_json(config, vocab_size):
    import json

    return json.dumps(config.to_dict() | {"vocab_size": vocab_size})


def digest_of(run):
    """SHA-256 of weights and states of a run's last checkpoint."""
    digest = hashlib.sha256()
    for path in sorted(Path(run).rglob("*.safetensors")):
        digest.update(path.relative_to(run).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def compare_step(planner, case, mbit, options):
    predicted, parts, told = planner.predict(case, options.repeats, options.busy, hosts=2, gbit=mbit / 1000)
    before = sent_bytes()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "seconds.json")
        subprocess.run(mpiexec([sys.executable, planner.__file__, *planner.step_words(out, case, options.steps, options.busy)]), check=True)
        seconds = planner.read_seconds(out)
    sent = (sent_bytes() - before) / (options.steps + 1)
    planner.print_case(case, predicted, parts, seconds, f"{mbit} Mbit/s, sent {sent / 1e6:.0f} MB of {told / 1e6:.0f} told")
    return abs(predicted / statistics.median(seconds) - 1) <= planner.WITHIN


def run_shell(command, both, cut_at):
    if cut_at:
        at, seconds = cut_at
        timer = threading.Timer(at, cut, [seconds])
        timer.daemon = True
        timer.start()
    for name, address in zip(("HOST0", "HOST1"), ADDRESSES):
        command = command.replace(name, address)
    others = (
        [subprocess.Popen(on_host(1, ["sh", "-c", both.replace("HOST0", ADDRESSES[0]).replace("HOST1", ADDRESSES[1])]))] if both else []
    )
    try:
        return subprocess.run(on_host(0, ["sh", "-c", command])).returncode
    finally:
        for process in others:
            process.terminate()
            process.wait()


def main():
    if len(sys.argv) > 1 and any(word in (*ADDRESSES, *HOSTS) for word in sys.argv[1:3]):
        stand_for_ssh(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mbit", nargs="+", type=int, default=(200, 1000))
    parser.add_argument("--size", default="small")
    parser.add_argument("--batch", nargs=3, type=int, default=(16, 256, 64), metavar=("EXAMPLES", "SOURCE", "TARGET"))
    parser.add_argument("--wires", nargs="+", default=("float32",), choices=("float32", "bfloat16"))
    parser.add_argument("--products", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", action="store_true", help="as of benchmarks/planner.py")
    parser.add_argument("--skip", nargs="+", default=(), choices=("bits", "step"))
    parser.add_argument("--shell", metavar="COMMAND", help="run this on the first host in place of all else")
    parser.add_argument("--second", metavar="COMMAND", help="with --shell: and this on the second, until the first has ended")
    parser.add_argument(
        "--cut", nargs=2, type=float, metavar=("AT", "SECONDS"), help="with --shell: the link is away from then, for so long"
    )
    options = parser.parse_args()
    if (missing := check_machine()) is not None:
        raise SystemExit(missing)
    os.environ.update(ENVIRONMENT)
    if options.shell:
        with two_hosts(options.mbit[0]):
            raise SystemExit(run_shell(options.shell, options.second, options.cut))
    show(options)


def show(options):
    import planner

    fine = True
    print(planner.sidebyside.machine() + "\n\n" + planner.HEAD)
    for mbit in options.mbit:
        with two_hosts(mbit):
            if "step" not in options.skip:
                for wire in options.wires:
                    case = (options.size, *options.batch, 2, 8, options.products, wire)
                    fine &= compare_step(planner, case, mbit, options)
            if "bits" not in options.skip:
                before = sent_bytes()
                with tempfile.TemporaryDirectory() as folder:
                    equal, digest = compare_bits(Path(folder))
                print(f"\n{mbit} Mbit/s: bits of one process and of two hosts {'equal' if equal else 'DIFFER'}, SHA-256 {digest[:16]}\n")
                assert sent_bytes() - before > 1e6, "nothing went over the link: were there two hosts?"
                fine &= equal
    print(f"\nload {os.getloadavg()[0]:.2f} at the end")
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
