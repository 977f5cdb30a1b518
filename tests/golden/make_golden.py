"""Makes the golden files with transformers and torch:  python tests/golden/make_golden.py  (extra [parity]).

models.npz holds, for each case of golden_models.py, transformers' encoder states, logits (some columns of a large vocabulary),
greedy generations and the log-likelihoods of choices by a plain loop; for those of MODELS also the loss and the gradients of all
tensors (end to end, by name); optimizers.npz sampled weights after 20 steps of transformers' Adafactor and torch's AdamW and SGD on
made-up gradients. Computed in float64 where transformers lets it. transformers' own float32 must agree with its float64 within
half of what our float32 is allowed, so that a case asks for nothing that rounding decides.
"""

from pathlib import Path

import golden_models as golden
import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.optimization import Adafactor

HERE = Path(__file__).parent
torch.set_num_threads(1)


def build(shape, seed, dtype=torch.float64, factors=None):
    """transformers' model with the golden weights. transformers would tie the head; T5 1.1's is its own."""
    model = T5ForConditionalGeneration(T5Config(**shape)).to(dtype).eval()
    if not shape["tie_word_embeddings"]:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = golden.weight(name, tuple(parameter.shape), seed, factors)
            parameter.copy_(torch.from_numpy(value).to(dtype))
    assert model.config.scale_decoder_outputs == shape["tie_word_embeddings"]
    return model


def padded(rows, fill):
    out = torch.full((len(rows), max(map(len, rows))), fill)
    for row, ids in zip(out, rows):
        row[: len(ids)] = torch.tensor(ids)
    return out


def build_case(case, dtype=torch.float64):
    return build(*golden.CASES[case][:2], dtype, golden.FACTORS.get(case))


def forward(model, sources, targets):
    """(output, logits [target tokens, V]) of a padded batch."""
    ids = padded(sources, 0)
    mask = padded([[1] * len(source) for source in sources], 0)
    out = model(input_ids=ids, attention_mask=mask, labels=padded(targets, -100))
    return out, np.concatenate([out.logits[b, : len(target)].detach().numpy() for b, target in enumerate(targets)])


def forward_and_gradients(model, sources, targets):
    out, logits = forward(model, sources, targets)
    model.zero_grad()
    out.loss.backward()
    gradients = {name: parameter.grad.numpy().astype(np.float32) for name, parameter in model.named_parameters()}
    return logits.astype(np.float32), out.loss.item(), gradients


@torch.no_grad()
def states(model, sources):
    """Encoder states [source tokens, D], each source by itself."""
    return np.concatenate([model.encoder(input_ids=torch.tensor([source])).last_hidden_state[0].numpy() for source in sources])


@torch.no_grad()
def greedy(model, source):
    """Plain loop without a cache. Returns the ids, and the least distance between best and second best."""
    ids, margin = [model.config.decoder_start_token_id], np.inf
    for _ in range(golden.GENERATED_TOKENS):
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([ids])).logits[0, -1]
        top = logits.topk(2).values
        margin = min(margin, (top[0] - top[1]).item())
        ids.append(logits.argmax().item())
        if ids[-1] == model.config.eos_token_id:
            break
    return ids[1:], margin


@torch.no_grad()
def likelihood(model, source, choice):
    out = model(input_ids=torch.tensor([source]), labels=torch.tensor([choice])).logits[0].log_softmax(-1)
    return sum(out[i, token].item() for i, token in enumerate(choice))


def likelihoods(model, case):
    """[sources, choices]"""
    sources, _ = golden.batch(case)
    return np.array([[likelihood(model, source, choice) for choice in golden.choices(case)] for source in sources])


def inference(case, dtype=torch.float64):
    """{what: array} of a case: states, logits, scores."""
    model = build_case(case, dtype)
    sources, targets = golden.batch(case)
    with torch.no_grad():
        _, logits = forward(model, sources, targets)
    return {"states": states(model, sources), "logits": logits, "scores": likelihoods(model, case)}


def check_conditioning(case, found):
    for what, rounded in inference(case, torch.float32).items():
        error = golden.error(rounded, found[what])
        assert error <= golden.TOLERANCE / 2, f"{case}: {what} depend on rounding: {error}"


def make_models():
    store = {}
    for case in golden.CASES:
        found = inference(case)
        check_conditioning(case, found)
        model = build_case(case)
        sources, targets = golden.batch(case)
        answers, margins = zip(*(greedy(model, source) for source in sources))
        assert min(margins) > 1e-3, f"{case}: a generation is decided by rounding; take another seed"
        found["generated"] = padded(answers, -1).numpy().astype(np.int32)
        found["logits"] = found["logits"][:, golden.columns(model.config.vocab_size)].astype(np.float32)
        found["states"] = found["states"].astype(np.float32)
        if case in golden.MODELS:
            _, loss, gradients = forward_and_gradients(model, sources, targets)
            found["loss"] = np.float64(loss)
            found["gradients"] = np.concatenate([gradients[name].reshape(-1) for name in sorted(gradients)])
        store |= {f"{case}/{what}": value for what, value in found.items()}
        print(case, "margin", min(margins), "lengths", [len(answer) for answer in answers], "largest logit", np.abs(found["logits"]).max())
    np.savez_compressed(HERE / "models.npz", **store)


def optimizer_steps(make_optimizer):
    model = build(golden.LARGE, 7, torch.float32)
    optimizer = make_optimizer(model.parameters())
    for step in range(1, golden.OPTIMIZER_STEPS + 1):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(golden.uniform(f"gradient {name}", tuple(parameter.shape), step, 0.01 * step))
        optimizer.step()
    return {
        name: parameter.detach().reshape(-1)[golden.sampled(name, parameter.numel())].numpy()
        for name, parameter in model.named_parameters()
    }


def make_optimizers():
    runs = {
        "adafactor": lambda p: Adafactor(p, lr=1e-3, scale_parameter=True, relative_step=False, warmup_init=False),
        "adafactor-absolute": lambda p: Adafactor(p, lr=1e-3, scale_parameter=False, relative_step=False, warmup_init=False),
        "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01),
        "sgd": lambda p: torch.optim.SGD(p, lr=1e-3),
        "sgd-momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.01),
    }
    results = {run: optimizer_steps(make) for run, make in runs.items()}
    store = {run: np.concatenate([found[name] for name in sorted(found)]) for run, found in results.items()}
    np.savez_compressed(HERE / "optimizers.npz", **store)


if __name__ == "__main__":
    make_models()
    make_optimizers()
    for file in ("models.npz", "optimizers.npz"):
        print(file, (HERE / file).stat().st_size, "bytes")
