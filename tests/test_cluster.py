"""The planner: the wire's bytes, pieces and rates by their definitions; the verb plan. Predictions beside clocks: benchmarks/planner.py."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.checkpoints.sizes import training_bytes
from t0native.cli.main import main
from t0native.training import cluster, forecast, rates
from t0native.training.cluster import Cluster, Work, forecast_cluster
from t0native.training.lots import cut_lots
from t0native.training.rates import Rates
from t0native.training.settings import Settings
from t0native.training.wire import simulate

CONFIG = t0.Config(vocab_size=3000, d_model=256, d_kv=32, d_ff=512, num_layers=3, num_decoder_layers=2, num_heads=8)
LENGTHS = [(150, 20), (5, 200), (40, 3), (400, 380), (1, 1), (90, 10), (170, 80), (30, 30)]
SETTINGS = Settings(steps=100, batch_size=16)
RATES = Rates("avx2", "float32", 1e11, layers=8e10, layers_weight=1e-9, around=9e10, around_weight=5e-10, optimizer=1e-9, sum=3e-10, rounding=0.0,
              copy=1e10, width=256)  # fmt: skip


def plan(cluster, settings=SETTINGS, config=CONFIG):
    return forecast_cluster(config, LENGTHS, Work.of(LENGTHS, settings), cluster, RATES)


def test_tokens_of_inputs_pass_the_encoder_and_those_of_targets_the_decoder():
    sources, targets = np.array(LENGTHS, np.float64).T
    parts = forecast.operations_by_part(CONFIG, sources, targets)
    assert sum(part.sum() for part in parts.values()) == forecast.operations(CONFIG, LENGTHS)
    longer = forecast.operations_by_part(CONFIG, sources, 2 * targets)
    assert (longer["encoder"] == parts["encoder"]).all() and (longer["head"] == 2 * parts["head"]).all()
    deep = forecast.operations_by_part(replace(CONFIG, num_layers=6), sources, targets)
    assert (deep["encoder"] == 2 * parts["encoder"]).all() and (deep["decoder"] == parts["decoder"]).all()


def test_one_process_pays_for_no_wire_and_no_sums():
    (row,) = plan(Cluster(1, 2, 10.0))
    assert row["lots"] is None and row["sent"] == 0 and row["efficiency"] == 1.0
    assert row["seconds"]["wire"] == row["seconds"]["weights"] == row["seconds"]["sums"] == 0.0
    assert row["hours"] == pytest.approx(100 * row["step"] / 3600)
    assert row["memory"] == pytest.approx(forecast.memory_of(CONFIG, LENGTHS, SETTINGS)["total"], rel=0.05)  # this process grows meanwhile


def test_frozen_weights_cost_no_optimiser():
    whole, without = (plan(Cluster(1, 2, 10.0), replace(SETTINGS, freeze=freeze))[0]["seconds"] for freeze in (None, ["*.block.*"]))
    around = CONFIG.parameters - sum(int(np.prod(shape)) for name, shape in CONFIG.tensors().items() if ".block." in name)
    assert without["optimizer"] == pytest.approx(whole["optimizer"] * around / CONFIG.parameters)
    assert without["lots"] == whole["lots"]


def test_the_wire_carries_gradients_once_and_weights_once():
    """Between two hosts each sends half of the gradients and of the weights, about: tensors are whole."""
    largest = max(int(np.prod(shape)) for shape in CONFIG.tensors().values())
    for n in (2, 4, 8):
        row = plan(Cluster(n, 1, 1.0))[-1]
        assert row["sent"] == pytest.approx(8 * CONFIG.parameters * (n - 1) / n, abs=8 * largest)
    one, half = (plan(Cluster(2, 1, 1.0, wire=wire, latency=0.0))[-1] for wire in ("float32", "bfloat16"))
    assert half["seconds"]["wire"] == pytest.approx(one["seconds"]["wire"] / 2, rel=0.01)
    assert half["seconds"]["weights"] == one["seconds"]["weights"]  # which stay float32
    fast = plan(Cluster(2, 1, 10.0, latency=0.0))[-1]
    assert fast["seconds"]["wire"] == pytest.approx(one["seconds"]["wire"] / 10) and 0 < fast["hidden"] <= fast["seconds"]["wire"]


def test_nodes_wait_for_room_and_for_both():
    """Tensor 1 goes first; each of two hosts owns one, so that they go at once; with little room a second tensor of one owner waits."""
    way = {"counts": [1, 1], "host_of": [0, 1], "link": 400.0, "inside": 1.0}
    assert simulate([100, 100], [0, 1], final=[0.0, 0.0], **way) == 1.0
    assert simulate([100, 100], [0, 0], final=[0.0, 0.0], **way) == 2.0  # one link in
    assert simulate([100, 100], [0, 0], final=[0.0, -1.0], **way) == 1.0  # of which the first is hidden
    three = {"sizes": [100, 100, 100], "owners": [0, 1, 1], "final": [0.0] * 3, **way}
    assert simulate(**three) == 2.0 and simulate(**three, room=0) == 2.0  # the last one, of the other way, waits in order
    assert simulate([100, 100, 100], [1, 0, 0], final=[0.0] * 3, room=0, **way) == 2.0
    assert simulate([100], [0], final=[0.0], **way | {"host_of": [0, 0], "inside": 100.0}) == 4.0


def test_ranks_that_are_no_power_of_two_send_more_nodes():
    """Three ranks of 8 lots have 1 (of two lots), 2 and 2 nodes each, not one."""
    rows = {row["hosts"]: row for row in plan(Cluster(3, 1, 1.0))}
    assert rows[3]["sent"] > 1.3 * rows[2]["sent"]


def test_ranks_of_one_host_use_no_link_and_share_its_memory():
    (row,) = plan(Cluster(1, 4, 0.001, ranks=2))
    assert row["sent"] == 0 and 0 < row["seconds"]["wire"] < 1
    alone = forecast.memory_of(CONFIG, LENGTHS, replace(SETTINGS, lots=8), 2)
    assert row["ranks"] == 2 and row["memory"] == pytest.approx(2 * alone["total"], rel=0.05)
    assert Cluster(1, 32, 1.0, ranks=4).threads == 8 and Cluster(1, 32, 1.0, ranks=4).memory_threads == 2


def test_the_slowest_rank_counts():
    """Eight lots of equal examples: three ranks have 2, 3 and 3."""
    work = Work.of([(64, 16)], replace(SETTINGS, lots=8))
    seconds = {row["hosts"]: row["seconds"]["lots"] for row in forecast_cluster(CONFIG, [(64, 16)], work, Cluster(3, 1, 1.0), RATES)}
    assert seconds[3] == pytest.approx(3 / 8 * seconds[1]) and seconds[2] == pytest.approx(seconds[1] / 2)


def test_pieces_are_those_of_the_core():
    """Runs of whole examples of so many tokens as the core works on at once."""
    most = training_bytes(CONFIG)["tokens"]
    settings = replace(SETTINGS, lots=4)
    work = Work.of(LENGTHS, settings)
    offsets = [np.concatenate([[0], np.cumsum(tokens)]).astype(int) for tokens in (work.sources, work.targets)]
    wanted = []
    for begin, end in cut_lots(*offsets, 4):
        pieces, held = 0, None
        for tokens in (work.sources + work.targets)[begin:end]:
            held = tokens if held is None or held + tokens > most else held + tokens
            pieces += held == tokens
        wanted.append(pieces)
    no_work = replace(RATES, layers=np.inf, around=np.inf, layers_weight=1.0, around_weight=1.0)
    found = cluster._seconds_of_lots(CONFIG, work, no_work, Cluster(1, 1, 1.0))
    assert (found == np.array(wanted) * CONFIG.parameters).all() and max(wanted) > 1


def test_rates_are_solved_for():
    """Seconds made from known rates give them back."""
    small, large = rates._choose_models(CONFIG)
    samples = [LENGTHS[:1], LENGTHS[:4]]
    assert large.num_layers == 3 * small.num_layers
    layer_weights = (large.parameters - small.parameters) // 2

    def seconds_of(config, sample):
        parts = {name: part.sum() for name, part in forecast.operations_by_part(config, *np.array(sample, np.float64).T).items()}
        layers = (parts["encoder"] + parts["decoder"]) / 5e10 + (3 if config is large else 1) * layer_weights * 2e-9
        return layers + parts["head"] / 7e10 + (small.parameters - layer_weights) * 1e-9

    measured = [[seconds_of(config, sample) for sample in samples] for config in (small, large)]
    layers, around = rates._solve(small, large, samples, False, measured, 1e12)
    assert layers == pytest.approx((5e10, 2e-9)) and around == pytest.approx((7e10, 1e-9))


@pytest.mark.parametrize("size", ["small", "xxl"])
def test_models_that_are_measured_are_like_the_one_that_is_asked_about(size):
    config = t0.Config.t5_v1_1(size)
    small, large = rates._choose_models(config)
    assert small.d_model == min(config.d_model, 1024) and small.d_model * small.d_ff <= 1024 * 4096 and large.num_layers == 3
    assert training_bytes(small)["tokens"] == training_bytes(config)["tokens"] and large.parameters < 2e8
    tiny = rates._choose_models(t0.Config(vocab_size=2000, d_model=128, d_kv=16, d_ff=256, num_layers=2, num_heads=8))
    assert training_bytes(tiny[0])["tokens"] == 1024  # cut into shards, as models of fewer than 4 million weights are


def test_measured_rates_are_such_as_processors_have():
    tiny = t0.Config(vocab_size=300, d_model=64, d_kv=8, d_ff=96, num_layers=2, num_heads=8)
    found = rates.measure_rates(tiny, [(40, 10)] * 8, replace(SETTINGS, dropout=0.1), repeats=1)
    assert 1e6 < found.layers <= found.product * 1.001 < 1e14 and found.optimizer > 0 and found.copy > 1e7 and found.width == 64


# ---- the verb ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "PRODUCT_SECONDS", 0.01)
    monkeypatch.setattr(rates, "SUM_FLOATS", 1 << 16)
    monkeypatch.chdir(tmp_path)
    small = t0.Config(vocab_size=300, d_model=64, d_kv=8, d_ff=96, num_layers=2, num_heads=8)
    (tmp_path / "config.json").write_text(json.dumps(small.to_dict()))
    return "config.json"


PLAN = ("--batch-size", "16", "--set", "max_source=32", "--set", "max_target=8", "--hosts", "3", "--cores", "2", "--gbit", "1")


def test_plan_of_a_configuration(config, capsys):
    assert main(["plan", "--model", config, *PLAN, "--steps", "50"]) == 0
    out = capsys.readouterr().out
    assert "16 examples, 640 tokens; 50 steps" in out and "measured here  one thread" in out and "by the model" in out
    assert [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()] == ["1", "2", "3"]
    assert main(["plan", "--model", config, *PLAN, "--wire", "bfloat16", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["steps"] == 12_200 and facts["cluster"]["wire"] == "bfloat16" and [row["lots"] for row in facts["hosts"]] == [8, 8, 8]


@pytest.mark.parametrize(
    "shape, words",
    [
        ({"num_layers": 6, "num_decoder_layers": 6}, (*PLAN, "--set", 'freeze=["decoder.block.5.*"]')),
        ({"d_model": 4}, PLAN),
        ({}, ("--set", "max_source=1", "--set", "max_target=1", "--batch-size", "16", "--hosts", "2")),
    ],
)
@pytest.mark.filterwarnings("error")
def test_plan_of_unusual_shapes(config, capsys, shape, words):
    facts = json.loads(Path(config).read_text())
    Path(config).write_text(json.dumps(facts | shape))
    assert main(["plan", "--model", config, *words, "--json"]) == 0, capsys.readouterr().err
    assert all(row["step"] > 0 for row in json.loads(capsys.readouterr().out)["hosts"])


def test_plan_of_a_recipe(config, capsys, tmp_path):
    (tmp_path / "recipe.yaml").write_text("model: mini\nmixture: mini\nsteps: 30\nbatch_size: 8\nmax_source: 64\nmax_target: 16\n")
    assert main(["plan", "recipe.yaml", "--json", "-q"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "mini" and facts["steps"] == 30 and "the mean of the first" in facts["lengths"] and len(facts["hosts"]) == 1
    assert main(["plan", "recipe.yaml", "--model", config, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == t0.Config.from_file(config).parameters


def test_plan_draws(config, capsys):
    needed("matplotlib", "pip install '.[plot]'")
    assert main(["plan", "--model", config, *PLAN, "--plot", "scaling.svg"]) == 0
    with open("scaling.svg") as file:
        assert "Tokens a second over hosts, forecast:" in file.read()


@pytest.mark.parametrize(
    "words, told",
    [
        ((), "plan: of what?"),
        (("--model", "base", "--cores", "2", "--ranks", "3"), "3 ranks on 2 cores of a host"),
        (
            ("--model", "base", "--hosts", "65"),
            "65 ranks and 64 lots: a rank needs one at least, and there are 64 at most; plan fewer ranks",
        ),
        (("--model", "base", "--hosts", "4", "--lots", "2"), "4 ranks and 2 lots"),
        (("--model", "base", "--wire", "float16"), "--wire 'float16': must be"),
        (("--model", "base", "--gbit", "0"), "--gbit 0.0: must be a positive number"),
        (("--model", "base", "--hosts", "0"), "--hosts 0: must be a whole number, at least 1\n"),
        (("--model", "base", "--set", 'freeze=["nothing"]'), "freeze: no tensor of this model fits 'nothing'"),
        (("--model", "base", "--set", "adapter=lora"), "an adapter is trained by one process"),
        (("--model", "base", "--epochs", "2"), "epochs are of rows, which a recipe names; without one give --steps"),
        (("nowhere.yaml", "--hosts", "2"), "nowhere.yaml: No such file"),
    ],
)
def test_what_cannot_be_planned_is_told_before_anything_is_measured(words, told, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "measure_rates", lambda *_: pytest.fail("measured"))
    assert main(["plan", *words]) == 2
    assert told in capsys.readouterr().err
