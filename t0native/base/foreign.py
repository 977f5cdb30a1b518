"""Names and keywords of other libraries, and what there is here in their place: the one table of such hints.

    Model.from_pretrained() got an unexpected keyword argument 'torch_dtype': say dtype="float32", "bfloat16" or "int8"
    'Model' object has no attribute 'save_pretrained': say save(folder)

The first halves are Python's own words. A keyword that is not in the table is answered with the nearest one of the function."""

from __future__ import annotations

import functools
import inspect
from abc import ABCMeta
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from t0native.base.errors import nearest
from t0native.base.showing import shown

__all__ = ["ATTRIBUTES", "KEYWORDS", "Hinting", "find_keyword_hint", "hint_keywords", "missing_attribute"]

Function = TypeVar("Function", bound=Callable[..., Any])

_PROCESSORS = "leave it out, all is computed on processors; t0native.set_num_threads(N) says on how many"
_UNPADDED = "leave it out, nothing is padded"
_ARRAYS = "leave it out, there are NumPy arrays and lists alone"
_CODE = "leave it out, no code of a checkpoint is ever run"
_BUDGET = "say batch_tokens=N, the tokens of one call; results do not depend on it"
_EPOCHS = "say epochs=N"
_OPTION = "say optimizer_options={{{!r}: value}}".format
_GENERATION = "say generation={{{!r}: value}}".format

_ANYWHERE = {"device": _PROCESSORS, "device_map": _PROCESSORS, "padding": _UNPADDED, "return_tensors": _ARRAYS}
_INPUTS = {
    "batch_size": _BUDGET,
    "max_length": "say max_input_length=N",
    "truncation": "say truncate=True",
    "show_progress_bar": "say progress=function(done, total); a bar is shown where it lasts",
    "input_ids": "give the ids as inputs, the first argument",
    "texts": "give them as inputs, the first argument",
}
_TABLE = {
    "sep": "say delimiter=",
    "separator": "say delimiter=",
    "dtype": 'say types={"label": "int"}',
    "dtypes": 'say types={"label": "int"}',
}

KEYWORDS: dict[str, dict[str, str]] = {  # function -> {keyword: what to do}
    "Model.from_pretrained": {
        "torch_dtype": 'say dtype="float32", "bfloat16" or "int8"',
        "load_in_8bit": 'say dtype="int8"',
        "load_in_4bit": 'say dtype="int8", the smallest there is',
        "quantization_config": 'say dtype="int8"',
        "low_cpu_mem_usage": "leave it out, no more than the weights is in memory",
        "trust_remote_code": _CODE,
        "use_safetensors": "leave it out, every format is read",
        "from_tf": "leave it out, every format is read",
        "from_flax": "leave it out, every format is read",
        "subfolder": "give the path of that folder",
        "local_files_only": "give the path of the folder",
        "cache_dir": "set the environment's HF_HOME",
        "token": "set the environment's HF_TOKEN",
        "use_auth_token": "set the environment's HF_TOKEN",
        "attn_implementation": "leave it out, there is one",
    },
    "Classifier.__init__": {
        "candidate_labels": "say labels=, the second argument",
        "classes": "say labels=, the second argument",
        "label_names": "say labels=, the second argument",
        "hypothesis_template": 'say prompts="{{ text }} ...?"',
        "template": 'say prompts="{{ text }} ...?"',
        "multi_class": "say multi_label=True",
        "batch_size": _BUDGET,
        "max_length": "say max_input_length=N",
        "truncation": 'say long_texts="head", "tail" or "pieces"',
        "method": 'say calibration="contextual", "pmi" or "batch", or tune=',
    },
    "Model.save": {
        "safe_serialization": "leave it out, safetensors are written",
        "max_shard_size": "leave it out, one file is written",
        "push_to_hub": "upload the folder by huggingface_hub",
    },
    "Model.rank": _INPUTS | {
        "candidates": "say choices=",
        "candidate_labels": "say choices=",
        "labels": "say choices=",
        "normalize": "say length_normalize=True",
        "return_scores": "leave it out, each Ranking has its scores",
    },
    "Model.score": _INPUTS | {"labels": "say targets=", "normalize": "say length_normalize=True"},
    "Model.encode": _INPUTS | {
        "pool": 'say pooling="mean"',
        "convert_to_numpy": _ARRAYS,
        "convert_to_tensor": _ARRAYS,
        "normalize_embeddings": "divide by np.linalg.norm(vectors, axis=1, keepdims=True)",
    },
    "generate": _INPUTS | {
        "max_tokens": "say max_new_tokens=N",
        "n": "say num_return_sequences=N",
        "beam_size": "say num_beams=N",
        "stop": "say stop_strings=",
        "random_seed": "say seed=N",
        "forced_decoder_ids": "say decoder_input=, a text or ids that the answer begins with",
        "skip_special_tokens": "leave it out, answers have none; Tokenizer.decode has skip_special",
        "clean_up_tokenization_spaces": "leave it out, nothing is cleaned up",
        "return_full_text": "leave it out, the input is no part of an answer",
    },
    "train": {
        "epoch": _EPOCHS,
        "num_epochs": _EPOCHS,
        "num_train_epochs": _EPOCHS,
        "max_epochs": _EPOCHS,
        "max_steps": "say steps=N",
        "lr": "say learning_rate=",
        "per_device_train_batch_size": "say batch_size=N",
        "gradient_accumulation_steps": "say accumulate=N",
        "gradient_checkpointing": "say recompute=True",
        "output_dir": "say out=FOLDER",
        "save_steps": "say checkpoint_every=N",
        "save_total_limit": "say keep=N",
        "logging_steps": "say log_every=N",
        "eval_dataset": "say validate=tasks",
        "eval_steps": "say validate_every=N",
        "load_best_model_at_end": "say select=True: the best is kept in out/best",
        "early_stopping": "say stop=function(report, log)",
        "callbacks": "say stop=function(report, log)",
        "resume_from_checkpoint": 'say resume="must"',
        "warmup_steps": "say warmup=N",
        "lr_scheduler_type": 'say schedule="constant", "linear", "cosine" or "rsqrt"',
        "max_grad_norm": "say clip=",
        "optim": 'say optimizer="adafactor", "adamw" or "sgd"',
        "weight_decay": _OPTION("weight_decay"),
        "label_smoothing_factor": _OPTION("label_smoothing"),
        "fp16": 'say precision="bfloat16"',
        "bf16": 'say precision="bfloat16"',
        "max_seq_length": "say max_source=N and max_target=N",
        "max_length": "say max_source=N and max_target=N",
        "report_to": "say tensorboard=True",
        "train_dataset": "give tasks or a Mixture as the second argument",
    },
    "evaluate": {
        "batch_size": _BUDGET,
        "num_fewshot": "give t0native.few_shot(task, N), or t0native.suite(name, shots=N)",
        "shots": "give t0native.few_shot(task, N), or t0native.suite(name, shots=N)",
        "output_path": "say out=FOLDER",
        "output_dir": "say out=FOLDER",
        "log_samples": "say out=FOLDER; report.examples(cell) then reads them",
        "max_samples": "say limit=N, rows of each task",
        "max_examples": "say limit=N, rows of each task",
        "metric": "say it where the task is made: Task(..., metric=)",
        "metrics": "say it where the task is made: Task(..., metric=)",
        "max_new_tokens": _GENERATION("max_new_tokens"),
        "num_beams": _GENERATION("num_beams"),
        "threads": "call t0native.set_num_threads(N) before",
    },
    "predict": {
        "batch_size": "leave it out, batches are made by themselves; results do not depend on them",
        "batch_tokens": "leave it out, batches are made by themselves; results do not depend on them",
        "out": "write what it gives, a dict a row and prompt; or t0native predict FILE --out answers.csv",
        "max_new_tokens": _GENERATION("max_new_tokens"),
        "num_beams": _GENERATION("num_beams"),
        "data": "say rows=",
        "limit": "give so many rows: itertools.islice(rows, N)",
    },
    "Task.__init__": {
        "data": "say rows=",
        "dataset_name": "say dataset=",
        "metrics": "say metric=, one or a list",
        "templates": "say prompts=",
        "prompt": "say prompts=, which takes one too",
    },
    "Tokenizer.encode": {
        "add_special_tokens": "say add_eos=True for the end token",
        "truncation": "say max_length=N to encode_batch",
        "max_length": "say max_length=N to encode_batch",
        "out_type": "call encode for ids, pieces for pieces",
    },
    "Tokenizer.encode_batch": {
        "add_special_tokens": "say add_eos=True for the end token",
        "truncation": "say max_length=N",
        "num_threads": "say threads=N",
    },
    "Tokenizer.decode": {
        "skip_special_tokens": "say skip_special=",
        "clean_up_tokenization_spaces": "leave it out, nothing is cleaned up",
    },
    "read_csv": _TABLE,
    "read_rows": _TABLE,
    "open_rows": _TABLE,
}  # fmt: skip

_MODEL_FOLDER = 'Model.from_pretrained("folder or hub name")'
ATTRIBUTES: dict[str, dict[str, str]] = {  # class, or the package -> {attribute: what to do}
    "Model": {
        "save_pretrained": "say save(folder)",
        "push_to_hub": "say save(folder), and upload it by huggingface_hub",
        "from_config": "say init(config)",
        "load": "say from_pretrained(folder)",
        "generation_config": "say generation, a dict",
        "num_parameters": "say parameters, a number",
        "state_dict": "say save(folder): model.safetensors holds the weights",
        "forward": "say logits(input_ids, decoder_input_ids)",
        "get_encoder": "say encode(inputs)",
        "embed": 'say encode(inputs, pooling="mean")',
        "classify": "say rank(inputs, choices)",
        "predict": "say rank(inputs, choices), or generate(inputs)",
        "predict_proba": "say rank(inputs, choices): a Ranking's scores are log-likelihoods",
        "train": "say t0native.train(model, tasks, steps=N)",
        "fit": "say t0native.train(model, tasks, steps=N)",
        "evaluate": "say t0native.evaluate(model, tasks)",
        "eval": "leave it out, dropout is of training alone",
        "half": 'say to("bfloat16")',
        "bfloat16": 'say to("bfloat16")',
        "quantize": 'say to("int8")',
        "gradient_checkpointing_enable": "say t0native.train(..., recompute=True)",
        "device": _PROCESSORS,
        "cuda": _PROCESSORS,
        "cpu": _PROCESSORS,
    },
    "Tokenizer": {
        "from_pretrained": "say Tokenizer.from_folder(folder) or Tokenizer.from_file(file)",
        "save_pretrained": "say files_to_save(), or save the model, which writes them",
        "tokenize": "say pieces(text)",
        "batch_decode": "say [tokenizer.decode(ids) for ids in sequences]",
        "batch_encode_plus": "say encode_batch(texts)",
        "encode_plus": "say encode(text)",
        "convert_tokens_to_ids": "say piece_to_id(piece)",
        "convert_ids_to_tokens": "say id_to_piece(id)",
        "eos_token_id": "say eos_id",
        "pad_token_id": "say pad_id",
        "unk_token_id": "say unk_id",
        "piece_size": "say n_pieces",
        "get_piece_size": "say n_pieces",
        "get_vocab": "say id_to_piece(id) for id in range(vocab_size)",
        "encode_as_ids": "say encode(text)",
        "encode_as_pieces": "say pieces(text)",
        "decode_ids": "say decode(ids)",
        "model_max_length": "say max_length=N to encode_batch, or max_input_length=N to the model's methods",
    },
    "Report": {
        "results": "say cells, a list of dicts, or summary",
        "to_df": "say to_pandas()",
        "to_dataframe": "say to_pandas()",
        "to_csv": "say to_pandas().to_csv(path)",
        "to_json": "say save(path)",
    },
    "Run": {
        "loss_curve": "say t0native.loss_curve(run)",
        "plot": "say t0native.loss_curve(run)",
        "history": "say log, a list of dicts",
        "loss": "say losses, one a step",
    },
    "Prompt": {
        "template": "say jinja",
        "format": "say render(example)",
        "get_answer_choices_list": "say choices(example)",
        "get_fixed_answer_choices_list": "say fixed_choices",
        "get_name": "say name",
        "get_id": "say id",
        "get_reference": "say reference",
    },
    "t0native": {
        "AutoModelForSeq2SeqLM": f"say {_MODEL_FOLDER}",
        "AutoModel": f"say {_MODEL_FOLDER}",
        "T5ForConditionalGeneration": f"say {_MODEL_FOLDER}",
        "T5EncoderModel": f'say {_MODEL_FOLDER}.encode(texts, pooling="mean")',
        "SentenceTransformer": f'say {_MODEL_FOLDER}.encode(texts, pooling="sentence")',
        "AutoTokenizer": "say Model.from_pretrained(folder).tokenizer, or Tokenizer.from_folder(folder)",
        "T5Tokenizer": "say Tokenizer.from_folder(folder)",
        "SentencePieceProcessor": "say Tokenizer.from_file(file)",
        "AutoConfig": "say Config.from_file(file)",
        "T5Config": "say Config",
        "pipeline": f"say {_MODEL_FOLDER}, then rank or generate, or Classifier(model, labels)",
        "ZeroShotClassificationPipeline": "say Classifier(model, labels)",
        "SetFitModel": "say Classifier(model, labels)",
        "GLiClassModel": "say Classifier(model, labels)",
        "Trainer": "say train(model, tasks, steps=N)",
        "Seq2SeqTrainer": "say train(model, tasks, steps=N)",
        "TrainingArguments": "give its values to train, as keywords",
        "Seq2SeqTrainingArguments": "give its values to train, as keywords",
        "GenerationConfig": "give its values to Model.generate, as keywords",
        "load_dataset": 'say read_rows("file or folder"); objects of `datasets` are rows too',
        "Dataset": "a list of dicts is one, and so are objects of `datasets` and data frames",
        "simple_evaluate": "say evaluate(model, tasks)",
        "DatasetTemplates": "say `from t0native.promptsource import DatasetTemplates`, or PromptCollection.promptsource()",
        "Template": "say Prompt(name, jinja)",
    },
}


# ---- keywords ------------------------------------------------------------------------------------------------------------


def find_keyword_hint(function: str, keyword: str, known: Any) -> str:
    """What follows the name of an unknown keyword: ": what to do", "; did you mean ...?" of the known ones, or nothing.

    >>> find_keyword_hint("train", "lr", ["steps"]), find_keyword_hint("train", "step", ["steps"]), find_keyword_hint("train", "x", [])
    (': say learning_rate=', "; did you mean 'steps'?", '')
    """
    hint = KEYWORDS.get(function, {}).get(keyword) or _ANYWHERE.get(keyword)
    if hint is not None:
        return f": {hint}"
    near = nearest(keyword, known)
    return "" if near is None else f"; did you mean {shown(near)}?"


def hint_keywords(function: Function) -> Function:
    """The same function; a keyword that it has not is answered with what there is: TypeError in Python's words, and the hint.

    >>> @hint_keywords
    ... def train(*, steps): return steps
    >>> train(num_epochs=2)
    Traceback (most recent call last):
    TypeError: train() got an unexpected keyword argument 'num_epochs': say epochs=N
    """
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    known = frozenset(names)

    @functools.wraps(function)
    def call(*arguments, **keywords):
        if not keywords.keys() <= known:
            name = next(name for name in keywords if name not in known)
            hint = find_keyword_hint(function.__qualname__, name, names)
            raise TypeError(f"{function.__qualname__}() got an unexpected keyword argument {shown(name)}{hint}")
        return function(*arguments, **keywords)

    return call  # type: ignore[return-value]


# ---- attributes ----------------------------------------------------------------------------------------------------------


def missing_attribute(kind: type, name: str, of: str) -> str:
    """The message about an attribute that a class has not. of: whose it is, as Python says it."""
    hints = (ATTRIBUTES[base.__name__][name] for base in kind.__mro__ if name in ATTRIBUTES.get(base.__name__, ()))
    hint = next(hints, None)
    return f"{of} has no attribute {shown(name)}" + ("" if hint is None else f": {hint}")


class _HintingType(ABCMeta):
    if not TYPE_CHECKING:  # for whom any name would then be one

        def __getattr__(cls, name):
            raise AttributeError(missing_attribute(cls, name, f"type object '{cls.__name__}'"), name=name, obj=cls)


class Hinting(metaclass=_HintingType):
    """What a class inherits whose missing attributes, its objects' too, are answered with what there is.

    >>> t0.mini.tokenizer().eos_token_id
    Traceback (most recent call last):
    AttributeError: 'Tokenizer' object has no attribute 'eos_token_id': say eos_id
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise AttributeError(missing_attribute(type(self), name, f"'{type(self).__name__}' object"), name=name, obj=self)
