"""A T5 with its tokenizer: loading, rank classification, likelihoods, generation, saving.

Rank classification (Sanh et al. 2022, section 4): each choice's log-likelihood given the input, summed over its tokens and
the end token, without length normalisation; the highest wins. Targets carry the end token; whether inputs do is a property of the
checkpoint (checkpoints/endtoken.py): T0's do not, flan-t5's, mT0's and T5's do.

Wherever a text is taken, ids can be given too (a list of integers or an array): they are used as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from t0native import _core
from t0native.base.arguments import FLAG, FOLDER, SEED, check, one_of
from t0native.base.errors import ConfigError, suggest
from t0native.base.files import FileSet
from t0native.base.foreign import Hinting, hint_keywords
from t0native.base.showing import shown
from t0native.base.threads import THREADS, get_num_threads
from t0native.checkpoints.checkpoint import add_files, check_place_of_weights
from t0native.checkpoints.config import Config
from t0native.checkpoints.endtoken import with_end_token, without_end_token
from t0native.checkpoints.modelcard import Card, add_card, card_text
from t0native.generation.generation import generate, results_of, stream, warn_cut
from t0native.generation.options import options_of
from t0native.models.adapting import ACTIVE, Adapting
from t0native.models.choices import check_choices, check_row, need_decoder
from t0native.models.cores import FLAT, copy_weights, new_core
from t0native.models.encoding import encode
from t0native.models.generationfile import write_generation
from t0native.models.loading import load
from t0native.models.notebook import model_html
from t0native.models.pickling import Pickled
from t0native.models.ranking import Choice, Ranking, rankings_of
from t0native.models.reranking import Reranks
from t0native.models.scoring import score_pairs
from t0native.models.tokenizing import mismatch
from t0native.text.sequences import Sequences, as_list, check_ids, inputs_of

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Literal, Self, Unpack

    from numpy.typing import ArrayLike, NDArray

    from t0native import _core
    from t0native.base.annotations import Array, Column, Item, Many, PathName, Progress
    from t0native.checkpoints.sentences import Sentence
    from t0native.generation.generation import Generation
    from t0native.models.keywords import Encoding, Generating, Judging, Pooling, Reading, Streaming
    from t0native.text.tokenizer import Tokenizer

__all__ = ["Model", "Ranking"]

MAX_INPUT_LENGTH, MAX_TARGET_LENGTH = 1024, 256  # T0's own
INITIALIZER = one_of("t5", "matching")
DTYPE, PART = one_of("float32", "bfloat16", "int8"), one_of("encoder").or_none()
MINI = Path(__file__).parents[1] / "mini" / "baselines"  # a folder a carried model


class Model(Adapting, Pickled, Hinting, Reranks):
    """A T5 (Raffel et al. 2020) with its tokenizer. Make one with Model.from_pretrained, Model.init or Model.mini; any number
    of threads may use it at once. It pickles, by the place of its files where it came from some that have not changed.

    config: Config.  tokenizer: Tokenizer, or None: the model then takes and gives ids.  name: shown in reports.
    generation: what `generate` does where its keywords do not say else, a dict under the hub's names.
    add_eos_to_inputs: whether texts are read with the end token behind them, where a method's keyword does not say else. It is saved
    with the model.  end_token_assumed: whether nothing told it when the model was loaded.  card: where it is from, for README.md.
    sentence: of a folder of sentence-transformers.  An encoder alone (config.encoder_only) raises ConfigError where a decoder is needed.

    >>> t0.mini.new_model(0).config.vocab_size == t0.mini.tokenizer().vocab_size
    True
    """

    core: _core.Model
    config: Config
    tokenizer: Tokenizer | None
    name: str | None
    generation: dict[str, Any]
    add_eos_to_inputs: bool
    end_token_assumed: bool
    card: Card = Card()
    sentence: Sentence | None = None

    def __init__(
        self,
        core: _core.Model,
        config: Config,
        tokenizer: Tokenizer | None = None,
        *,
        name: str | None = None,
        threads: int | None = None,
        generation: Mapping[str, Any] | None = None,
        add_eos_to_inputs: bool = False,
    ) -> None:
        if tokenizer is not None and (problem := mismatch(tokenizer, config)):
            raise ConfigError(f"the tokenizer does not fit the model: {problem}")
        self.core, self.config, self.tokenizer, self.name = core, without_end_token(config), tokenizer, name
        self.generation = {} if generation is None else dict(generation)
        self.add_eos_to_inputs, self.end_token_assumed = check(FLAG, "add_eos_to_inputs", add_eos_to_inputs), False
        self._threads = None if threads is None else check(THREADS, "threads", threads)
        self._origin = core, None  # and the FileWeights that it was loaded from
        self.adapters = {}

    # ---- making and saving ---------------------------------------------------------------------------

    @classmethod
    @hint_keywords
    def from_pretrained(
        cls,
        path: PathName,
        dtype: Literal["float32", "bfloat16", "int8"] = "float32",
        *,
        config: Config | Mapping[str, Any] | None = None,
        tokenizer: Tokenizer | PathName | Literal[False] | None = None,
        revision: str | None = None,
        kernels: str | None = None,
        threads: int | None = None,
        allow_nonfinite: bool = False,
        verify: bool = False,
        add_eos_to_inputs: bool | None = None,
        part: Literal["encoder"] | None = None,
        adapter: PathName | None = None,
    ) -> Self:
        """Loads a checkpoint: a folder in the hub's layout (config.json, spiece.model, and model.safetensors or
        pytorch_model.bin, whole or in shards), one of T5X (its file, its folder, or a run's folder: then the last one), a
        packed int8 file of `t0native convert` (or its folder), or a model of the Hugging Face hub by its name "owner/name"
        (pip install huggingface_hub).

        dtype: of the weights and their products: "float32"; "bfloat16" (half the memory, and faster where the processor
        multiplies it); "int8" (a quarter, fastest; one scale a row, sums exact). Files of any float type serve each; a packed
        file is mapped, and serves "int8" alone.  config: a Config, or a mapping of keys that replace the files' own.
        tokenizer: None for the one of the model's folder (docs/reference/tokenizers.md), with the tokens that files beside it add;
        the path of such a file, or of a folder, a Tokenizer, or "bytes" (ByT5's), in its place; False for none: ids in, ids out.
        revision: of a model of the hub.  kernels: a name of t0.kernels.available().  threads: for this model's calls, else
        t0.get_num_threads().  allow_nonfinite: take weights that are not finite.  verify: go through a packed file and check
        it again; other files are always checked.  add_eos_to_inputs: whether the model reads texts with the end token behind
        them; None: what its files say, or where they say nothing, what they tell of where it is from (docs/reference/generation.md).
        part: "encoder" for the encoder of a whole model: nothing else is read, and `encode` is what it does.
        adapter: as load_adapter's folder: it is kept as "default", and used by calls that do not say.
        FileNotFoundError for a missing file, FormatError for a broken one, NumericError for weights that are not finite
        (with the tensor's name), ConfigError for an argument, MemoryError before more memory is asked for than there is.

        >>> t0.Model.from_pretrained("my-t0")
        Traceback (most recent call last):
        FileNotFoundError: my-t0: no such folder; a model is a folder with config.json, model.safetensors and spiece.model
        """
        check(DTYPE, "dtype", dtype), check(PART, "part", part), check(FLAG.or_none(), "add_eos_to_inputs", add_eos_to_inputs)
        workers = get_num_threads() if threads is None else check(THREADS, "threads", threads)
        found = load(path, dtype, config, tokenizer, revision, kernels, workers, allow_nonfinite, verify, add_eos_to_inputs, part)
        model = cls(found.core, found.config, found.tokenizer, name=found.name, threads=threads, generation=found.generation)
        model._origin, model.sentence, model.card = (found.core, found.files), found.sentence, found.card
        model.add_eos_to_inputs, model.end_token_assumed = found.end
        if adapter is not None:
            model.load_adapter(adapter)
            model.adapter = "default"
        return model

    @classmethod
    @hint_keywords
    def init(
        cls,
        config: Config,
        tokenizer: Tokenizer | None = None,
        seed: int = 0,
        initializer: Literal["t5", "matching"] = "t5",
        *,
        dtype: Literal["float32", "bfloat16", "int8"] = "float32",
        kernels: str | None = None,
        threads: int | None = None,
        name: str | None = None,
    ) -> Model:
        """A model with random weights, the same on every machine for one seed.

        dtype: "float32", which can be trained, or "bfloat16" or "int8", as from_pretrained's.
        initializer: "t5", or "matching", in which half of the encoder's heads begin by looking for tokens like their own
        and the others at their neighbours.  seed: from 0 to 2**64 - 1.  ConfigError for a tokenizer larger than the
        vocabulary or with another end token; MemoryError as above.

        >>> config = t0.Config(vocab_size=100, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
        >>> t0.Model.init(config, seed=1).parameters == config.parameters
        True
        """
        if not isinstance(config, Config):
            raise ConfigError(f"config {shown(config)}: must be a Config, as Config.from_dict and Config.from_file make them")
        seed, initializer = check(SEED, "seed", seed), check(INITIALIZER, "initializer", initializer)
        dtype = check(DTYPE, "dtype", dtype)
        if dtype != "float32" and initializer != "t5":
            return cls.init(config, tokenizer, seed, initializer, kernels=kernels, threads=threads, name=name).to(dtype)
        core = new_core(config, kernels, FLAT if dtype == "float32" else dtype)
        core.init(initializer, seed, get_num_threads() if threads is None else check(THREADS, "threads", threads))
        model = cls(core, config, tokenizer, name=name, threads=threads)
        model.card = Card(origin=f"random numbers of seed {seed}, initializer {initializer}")
        return model

    def to(self, dtype: Literal["float32", "bfloat16", "int8"]) -> Model:
        """The same model in another number type, for inference: a copy.

        >>> model = t0.mini.new_model(0)
        >>> small = model.to("int8")
        >>> small.dtype, small.core.nbytes < model.core.nbytes / 3
        ('int8', True)
        """
        core = new_core(self.config, self.core.kernels, check(DTYPE, "dtype", dtype))
        copy_weights(core, self.core)
        model = Model(core, self.config, self.tokenizer, name=self.name, threads=self._threads, generation=self.generation)
        model.add_eos_to_inputs, model.end_token_assumed, model.card = self.add_eos_to_inputs, self.end_token_assumed, self.card
        model.sentence, model.adapters, model.adapter = self.sentence, dict(self.adapters), self.adapter
        return model

    def make_trainable(self) -> None:
        """Lays float32 weights out for training, in place; they are so after init. ConfigError for another number type, and for an
        encoder alone.

        >>> t0.Model.mini().make_trainable()
        """
        need_decoder(self.config, "train")
        if self.dtype != "float32":
            raise ConfigError(f'a model in {self.dtype} cannot be trained: load it with dtype="float32"')
        if self.core.packed:
            core = new_core(self.config, self.core.kernels, FLAT)
            copy_weights(core, self.core)
            self.core = core

    @classmethod
    def mini(cls, label: str = "all prompts", *, kernels: str | None = None, threads: int | None = None) -> Self:
        """A trained model that the package carries: the miniature's, labelled "all prompts", "one prompt" (of each training
        dataset) or "unprompted" (text with holes alone).  ConfigError naming the labels there are for any other.

        >>> t0.Model.mini().name
        'all prompts'
        """
        folders = {path.parent.name.replace("-", " "): path.parent for path in sorted(MINI.glob("*/config.json"))}
        if label not in folders:
            raise ConfigError(f"Model.mini: no carried model {shown(label)}; {suggest(label, folders)}")
        model = cls.from_pretrained(folders[label], kernels=kernels, threads=threads)
        model.name, model.card = label, Card(origin=f"the model that t0native carries as {label}")
        return model

    @hint_keywords
    def save(self, folder: PathName) -> None:
        """Writes the folder in the hub's layout; other libraries load it with no missing and no unexpected key. Weights are
        written in the model's own float type; an int8 model's as a packed file, which from_pretrained alone reads.
        README.md is a model card (docs/reference/checkpoints.md), unless one lies there that is not as this program wrote it.
        OSError where it cannot be written (a full disk); what was there before is then untouched.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     t0.mini.new_model(0).save(folder)
        ...     sorted(path.name for path in Path(folder).iterdir())[:2]
        ['README.md', 'config.json']
        """
        check_place_of_weights(check(FOLDER, "folder", folder), self.dtype)
        with FileSet(folder) as files:
            self.add_to(files)

    def add_to(self, files: FileSet) -> None:
        """Adds the files of `save` to a FileSet, the weights last.

        >>> from tempfile import TemporaryDirectory
        >>> from t0native.files import FileSet
        >>> with TemporaryDirectory() as folder:
        ...     with FileSet(folder) as files:
        ...         t0.mini.new_model(0).add_to(files)
        ...     (Path(folder) / "model.safetensors").is_file()
        True
        """
        add_card(files, card_text(self.card, self.config, self.dtype, self.tokenizer is not None))
        others = [write_generation(self)] if self.sentence is None else [write_generation(self), *self.sentence.files_to_save()]
        if self.tokenizer is not None:
            others += self.tokenizer.files_to_save()
        add_files(files, self.core, with_end_token(self.config, self.add_eos_to_inputs), others)

    # ---- rank classification and likelihoods ---------------------------------------------------------

    @overload
    def rank(
        self, inputs: Item, choices: Sequence[Choice], *, token_scores: bool = ..., **keywords: Unpack[Judging]
    ) -> Ranking[Choice]: ...
    @overload
    def rank(self, inputs: Array, choices: Sequence[Any], *, token_scores: bool = ..., **keywords: Unpack[Judging]) -> Any: ...
    @overload
    def rank(
        self, inputs: Many, choices: Iterable[Sequence[Choice]] | Column, *, token_scores: bool = ..., **keywords: Unpack[Judging]
    ) -> list[Ranking[Choice]]: ...
    @hint_keywords
    def rank(
        self,
        inputs: Any,
        choices: Any,
        *,
        add_eos_to_inputs: bool | None = None,
        max_input_length: int = MAX_INPUT_LENGTH,
        max_target_length: int = MAX_TARGET_LENGTH,
        truncate: bool | Literal["start"] = False,
        sentinels: bool = False,
        length_normalize: bool = False,
        token_scores: bool = False,
        batch_tokens: int | None = None,
        progress: Progress | None = None,
        adapter: Any = ACTIVE,
    ) -> Any:
        """Judges the choices of an input, or of each input of a list (then the result is a list).

        choices: a list of choices, each a text or ids: of a list of inputs it serves them all. Or a list of such lists, one for each
        input. Which of the two it is, its items tell: where they are texts, or ids, it is one list for all.

        Every input is encoded once, whatever the number of choices, and identical inputs once in all; results come in
        the order of inputs and do not depend on the company.  add_eos_to_inputs: whether the end token is appended to texts; None: as
        the model has it; ids are taken as they are.  truncate: cut longer texts as T0 does (the end token is
        appended first) instead of refusing them; "start": inputs at their beginning instead.  sentinels: <extra_id_k> in a text is T5's
        sentinel k.  length_normalize: the
        best choice is that of the highest score a token (T0: of the highest score); scores stay sums.  token_scores: keep those
        of each token.  batch_tokens: tokens of one call of the core at most (None: about a second's work).  progress(done, total)
        is called as inputs are finished; None shows a bar on stderr where that takes more than two seconds.  adapter: a name of
        load_adapter, or a list with a name or None for each input; None: the model alone; where nothing is said, model.adapter.  DataError
        for a text too long or not to be tokenized, ConfigError for an input without choices, NumericError for a score not finite.

        >>> rankings = t0.mini.new_model(0).rank(["Is it tea?", "Who?"], [["Yes", "No"], ["Anna", "Ben", "Tom"]])
        >>> [ranking.scores.shape for ranking in rankings]
        [(2,), (3,)]
        >>> [ranking.scores.shape for ranking in t0.mini.new_model(0).rank(["Is it tea?", "Is it milk?"], ["Yes", "No"])]
        [(2,), (2,)]
        """
        need_decoder(self.config, "rank")
        single, inputs = inputs_of(inputs)
        choices = [check_row("choices of input 0", choices)] if single else check_choices(inputs, choices)
        sources = self._sources(inputs, add_eos_to_inputs, max_input_length, truncate, sentinels, adapter)
        flat = [choice for row in choices for choice in row]
        targets = Sequences(self, "choice", flat, True, max_target_length, truncate, sentinels)
        owners = np.repeat(np.arange(len(inputs)), [len(row) for row in choices])
        scores, tokens = score_pairs(self, sources, targets, owners, batch_tokens, progress, token_scores)
        rankings = rankings_of(choices, scores, targets.lengths, tokens, length_normalize)
        return rankings[0] if single else rankings

    @overload
    def score(self, inputs: Item, targets: Item | Array, **keywords: Unpack[Judging]) -> float: ...
    @overload
    def score(
        self, inputs: Item, targets: Item | Array, *, token_scores: Literal[True], **keywords: Unpack[Judging]
    ) -> tuple[float, NDArray[np.float32]]: ...
    @overload
    def score(self, inputs: Array, targets: Any, *, token_scores: bool = ..., **keywords: Unpack[Judging]) -> Any: ...
    @overload
    def score(self, inputs: Many, targets: Many, **keywords: Unpack[Judging]) -> NDArray[np.float64]: ...
    @overload
    def score(
        self, inputs: Many, targets: Many, *, token_scores: Literal[True], **keywords: Unpack[Judging]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]: ...
    @hint_keywords
    def score(
        self,
        inputs: Any,
        targets: Any,
        *,
        add_eos_to_inputs: bool | None = None,
        max_input_length: int = MAX_INPUT_LENGTH,
        max_target_length: int = MAX_TARGET_LENGTH,
        truncate: bool | Literal["start"] = False,
        sentinels: bool = False,
        length_normalize: bool = False,
        token_scores: bool = False,
        batch_tokens: int | None = None,
        progress: Progress | None = None,
        adapter: Any = ACTIVE,
    ) -> Any:
        """Summed log-likelihood (nats) of each target given its input: float64 [inputs], or a float for a single pair.
        length_normalize: divided by the target's tokens.  token_scores: a pair, scores and those of each token (float32 arrays).
        Other keywords and errors as `rank`'s.

        >>> model = t0.mini.new_model(0)
        >>> model.rank("Is it tea?", ["Yes", "No"]).scores.tolist()[0] == model.score("Is it tea?", "Yes")
        True
        """
        need_decoder(self.config, "score")
        single, inputs = inputs_of(inputs)
        if isinstance(targets, str) and not single:
            raise ConfigError(f"targets {shown(targets)}: a text; a list of {len(inputs)} targets is needed, one for each input")
        targets = [targets] if single else as_list("targets", targets)
        if len(inputs) != len(targets):
            raise ConfigError(f"{len(targets)} targets for {len(inputs)} inputs: there must be one for each")
        sources = self._sources(inputs, add_eos_to_inputs, max_input_length, truncate, sentinels, adapter)
        ends = Sequences(self, "target", targets, True, max_target_length, truncate, sentinels)
        scores, tokens = score_pairs(self, sources, ends, np.arange(len(inputs)), batch_tokens, progress, token_scores)
        if check(FLAG, "length_normalize", length_normalize):
            scores = scores / ends.lengths
        scores, tokens = (float(scores[0]), tokens and tokens[0]) if single else (scores, tokens)
        return (scores, tokens) if check(FLAG, "token_scores", token_scores) else scores

    # ---- generation ----------------------------------------------------------------------------------

    @overload  # of a model with a tokenizer; without one, ids stand where texts do
    def generate(self, inputs: Item, **options: Unpack[Generating]) -> str: ...
    @overload
    def generate(self, inputs: Item, *, output_scores: Literal[True], **options: Unpack[Generating]) -> Generation: ...
    @overload
    def generate(self, inputs: Item, *, num_return_sequences: int, **options: Unpack[Generating]) -> list[str]: ...
    @overload
    def generate(
        self, inputs: Item, *, num_return_sequences: int, output_scores: Literal[True], **options: Unpack[Generating]
    ) -> list[Generation]: ...
    @overload
    def generate(
        self, inputs: Array, *, num_return_sequences: int = ..., output_scores: bool = ..., **options: Unpack[Generating]
    ) -> Any: ...
    @overload
    def generate(self, inputs: Many, **options: Unpack[Generating]) -> list[str]: ...
    @overload
    def generate(self, inputs: Many, *, output_scores: Literal[True], **options: Unpack[Generating]) -> list[Generation]: ...
    @overload
    def generate(self, inputs: Many, *, num_return_sequences: int, **options: Unpack[Generating]) -> list[list[str]]: ...
    @overload
    def generate(
        self, inputs: Many, *, num_return_sequences: int, output_scores: Literal[True], **options: Unpack[Generating]
    ) -> list[list[Generation]]: ...
    def generate(
        self,
        inputs: Any,
        *,
        decoder_input: Any = None,
        add_eos_to_inputs: bool | None = None,
        max_input_length: int = MAX_INPUT_LENGTH,
        truncate: bool | Literal["start"] = False,
        sentinels: bool = False,
        places: Sequence[int] | None = None,
        progress: Progress | None = None,
        adapter: Any = ACTIVE,
        **options: Any,
    ) -> Any:
        """The answer to an input, or to each input of a list: the most likely token after another, unless options say else.

        options: the hub's, with its meanings and defaults: max_new_tokens (20), min_new_tokens, num_beams, length_penalty,
        early_stopping, num_return_sequences (with beams or sampling: a list of answers an input), do_sample, temperature,
        top_k (50), top_p, min_p, typical_p, repetition_penalty, no_repeat_ngram_size, bad_words_ids, stop_strings,
        prefix_allowed_tokens_fn(number of the input, ids so far, the start token first) -> ids, and as it has them
        max_length and min_length. Besides, seed (0): of sampling; output_scores=True: a Generation instead of a text.
        What model.generation says of them, the content of generation_config.json, goes before the defaults. docs/reference/generation.md.
        decoder_input: what the answer begins with (a text, or ids; or a list of them, one an input); it is not among the new
        tokens.  places: the numbers of the inputs, unless 0, 1, ...: of those that are a part of more, so that what is drawn is the
        same.  add_eos_to_inputs, max_input_length, truncate, sentinels, adapter: as in `rank`.  progress(done, total) is
        called as inputs are finished; None shows a bar on stderr where that takes more than two seconds.
        An answer does not depend on the company of its input, and neither does a sample, which (seed, place of the input,
        number of the answer) decide. A model without a tokenizer gives ids. Where the length cut an answer, the logger
        "t0native" warns. TypeError for an unknown keyword, ConfigError for a value that is not available or where the options
        leave no token, DataError as in `rank`, NumericError where numbers are not finite.

        >>> answers = t0.mini.new_model(0).generate(["Who drinks tea?", "Is it Anna?"], max_new_tokens=4)
        >>> [type(answer) for answer in answers]
        [<class 'str'>, <class 'str'>]
        """
        need_decoder(self.config, "generate")
        options = options_of(self, options)
        single, inputs = inputs_of(inputs)
        sources = self._sources(inputs, add_eos_to_inputs, max_input_length, truncate, sentinels, adapter)
        answers = generate(self, sources, decoder_input, options, progress, places)
        warn_cut(answers, options)
        results = [results_of(self, row, options) for row in answers]
        return results[0] if single else results

    @overload
    def stream(self, input: Item, **options: Unpack[Streaming]) -> Iterator[str]: ...
    @overload
    def stream(self, input: Array, **options: Unpack[Streaming]) -> Iterator[Any]: ...
    def stream(
        self,
        input: Any,
        *,
        decoder_input: Any = None,
        add_eos_to_inputs: bool | None = None,
        max_input_length: int = MAX_INPUT_LENGTH,
        truncate: bool | Literal["start"] = False,
        sentinels: bool = False,
        adapter: Any = ACTIVE,
        **options: Any,
    ) -> Iterator[Any]:
        """The answer to one input in pieces of text, each given as soon as its tokens are chosen: together they are what
        `generate` gives. Keywords and errors as `generate`'s, without beams, several answers and scores. Of a model without a
        tokenizer the pieces are ids.

        >>> model, ask = t0.Model.mini(), "Anna keeps a cat. Ben keeps a dog. Who keeps the dog?"
        >>> "".join(model.stream(ask)) == model.generate(ask)
        True
        """
        need_decoder(self.config, "stream")
        options = options_of(self, options)
        for name in ("num_beams", "num_return_sequences", "output_scores"):
            if (value := getattr(options, name)) > 1 or value is True:
                raise ConfigError(f"stream: {name}={value}: there is one text, given while it is written; use generate")
        single, inputs = inputs_of(input)
        if not single:
            raise ConfigError(f"stream: {len(inputs)} inputs: it takes one; use generate")
        source = self._sources(inputs, add_eos_to_inputs, max_input_length, truncate, sentinels, adapter)
        return stream(self, source, decoder_input, options)

    # ---- inside --------------------------------------------------------------------------------------

    def _sources(self, inputs, add_eos, most, truncate, sentinels, adapter=ACTIVE):
        """The Sequences of a call's inputs, those of different adapters apart."""
        adapters = self._adapters_of(adapter, len(inputs))
        add_eos = check(FLAG.or_none(), "add_eos_to_inputs", add_eos)
        add_eos = self.add_eos_to_inputs if add_eos is None else add_eos
        return Sequences(self, "input", inputs, add_eos, most, truncate, sentinels).split(adapters)

    @overload
    def encode(self, inputs: Item, *, pooling: Pooling | None = ..., **keywords: Unpack[Encoding]) -> NDArray[np.float32]: ...
    @overload
    def encode(self, inputs: Array, *, pooling: Pooling | None = ..., **keywords: Unpack[Encoding]) -> Any: ...
    @overload
    def encode(self, inputs: Many, *, pooling: None = ..., pad: None = ..., **keywords: Unpack[Reading]) -> list[NDArray[np.float32]]: ...
    @overload
    def encode(self, inputs: Many, *, pooling: Pooling, **keywords: Unpack[Reading]) -> NDArray[np.float32]: ...
    @overload
    def encode(self, inputs: Many, *, pad: Literal["attend", "zeros"], **keywords: Unpack[Reading]) -> NDArray[np.float32]: ...
    @hint_keywords
    def encode(
        self,
        inputs: Any,
        *,
        pooling: Pooling | None = None,
        pad: Literal["attend", "zeros"] | None = None,
        add_eos_to_inputs: bool | None = None,
        max_input_length: int = MAX_INPUT_LENGTH,
        truncate: bool | Literal["start"] = False,
        sentinels: bool = False,
        adapter: Any = ACTIVE,
    ) -> Any:
        """Encoder states: a float32 array [S, D] for an input of S tokens, a list of them for a list.

        pooling: one vector an input: "mean", the mean over its tokens, float32 [B, D], or [D] for a single input; it does not depend
        on the company, and is what the mean of the input's states alone is, to the bit. "sentence": what the folder's modules of
        sentence-transformers make of that, [B, E]; max_input_length is then theirs at most.  pad: all inputs as long as
        max_input_length, [B, S, D], or [S, D] for one: "attend", behind an input pads that are tokens like others, as pipelines without
        a mask have them; "zeros", zeros behind it.  With "sentence" and pad, truncate=True keeps the end token, as transformers does. Other
        keywords and errors as `rank`'s; ConfigError for pooling beside pad, and for "sentence" of a model without such modules.

        >>> model = t0.mini.new_model(0)
        >>> model.encode("Anna keeps a cat.").shape, model.encode(["Anna keeps a cat.", "tea"], pooling="mean").shape
        ((5, 64), (2, 64))
        >>> model.encode(["Anna keeps a cat.", "tea"], pad="zeros", max_input_length=8).shape
        (2, 8, 64)
        """
        single, inputs = inputs_of(inputs)
        vectors = encode(self, inputs, pooling, pad, (add_eos_to_inputs, max_input_length, truncate, sentinels, adapter))
        return vectors[0] if single else vectors

    def logits(self, input_ids: ArrayLike, decoder_input_ids: ArrayLike, *, adapter: Any = ACTIVE) -> NDArray[np.float32]:
        """Logits, float32 [T, V], of one sequence of decoder inputs (taken as they are: the first is usually
        config.decoder_start_token_id), given one sequence of input ids. ValueError for an id outside the vocabulary.

        >>> model = t0.mini.new_model(0)
        >>> model.logits([5, 6, 7], [0, 5]).shape == (2, model.config.vocab_size)
        True
        """
        need_decoder(self.config, "logits")
        sources, targets = (self._one_sequence(*pair) for pair in (("input_ids", input_ids), ("decoder_input_ids", decoder_input_ids)))
        adapters = self._adapters_of(adapter, 1)
        return self.core.logits(sources, [0, len(sources)], targets, [0, len(targets)], self.threads, adapters)

    def _one_sequence(self, what, ids):
        _, rows = inputs_of(ids, what)
        if len(rows) != 1:
            raise ConfigError(f"{what}: {len(rows)} sequences of ids; one is needed")
        return check_ids(what, rows[0], self.config.vocab_size)

    @property
    def threads(self) -> int:
        """Threads of a call made now: the model's own, else t0.get_num_threads()."""
        return self._threads if self._threads is not None else get_num_threads()

    @property
    def dtype(self) -> Literal["float32", "bfloat16", "int8"]:
        """Number type of the weights and their products: "float32", "bfloat16" or "int8".

        >>> t0.Model.mini().dtype
        'float32'
        """
        return self.core.dtype

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.core.parameters

    def __repr__(self):
        c = self.config
        head = f"{self.name!r}: " if self.name else ""
        layers = f"{c.num_layers} encoder" if c.encoder_only else f"{c.num_layers} + {c.num_decoder_layers}"
        return (
            f"<Model {head}{self.parameters:,} weights, d_model {c.d_model}, {layers} layers, "
            f"{c.num_heads} heads, vocabulary {c.vocab_size}, {self.dtype}, kernels {self.core.kernels}>"
        )

    def _repr_html_(self):
        return model_html(self)
