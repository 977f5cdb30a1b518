"""Documents in the order of their relevance to a query, as monoT5 asks for it.

    input       Query: {query} Document: {document} Relevant:      as the tokenizer's add_eos ends it (and begins it, where it does)
    score       log p("true") - log (p("true") + p("false"))       of the first token of each word, behind the start token

What has more than max_input_length tokens is cut at the document's end, so that query and question stay whole.
(Nogueira et al. 2020, Document Ranking with a Pretrained Sequence-to-Sequence Model, Findings of EMNLP, section 3.)"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from t0native.base.arguments import check, whole
from t0native.base.errors import ConfigError, DataError
from t0native.base.foreign import hint_keywords
from t0native.base.showing import shown
from t0native.models.choices import need_decoder
from t0native.text.sequences import as_list, is_one

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

__all__ = ["Reranker", "Reranking", "Reranks"]

HEAD, TAIL = "Query: {} Document: {}", "Relevant:"
WORDS = ("true", "false")
MOST = 512  # tokens of an input: monoT5's own


@dataclass(frozen=True, eq=False)
class Reranking:
    """The documents of one query, judged. scores: float64 [documents], the log-probability of each to be relevant, as they were given.
    order: int64 [documents], their numbers, the most relevant first; of equal ones the first given.

    >>> found = t0.Model.mini().rerank("tea", ["Anna likes tea.", "Ben fell."], words=("Yes", "No"))
    >>> found.scores.shape, sorted(found.order.tolist()), found.documents[found.order[0]] in ("Anna likes tea.", "Ben fell.")
    ((2,), [0, 1], True)
    """

    documents: list[str]
    scores: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """float64 [documents]: exp of the scores.

        >>> found = t0.Model.mini().rerank("tea", ["Anna likes tea."], words=("Yes", "No"))
        >>> 0 < found.probabilities[0].item() < 1
        True
        """
        return np.exp(self.scores)


class Reranks:
    """The part of a Model that orders documents."""

    @overload
    def rerank(
        self, query: str, documents: Sequence[str], *, words: Sequence[str] = ..., max_input_length: int = ...,
        batch_tokens: int | None = ..., progress: Callable[[int, int], object] | None = ...,
    ) -> Reranking: ...  # fmt: skip
    @overload
    def rerank(
        self, query: Sequence[str], documents: Sequence[Sequence[str]], *, words: Sequence[str] = ..., max_input_length: int = ...,
        batch_tokens: int | None = ..., progress: Callable[[int, int], object] | None = ...,
    ) -> list[Reranking]: ...  # fmt: skip
    @hint_keywords
    def rerank(
        self,
        query: Any,
        documents: Any,
        *,
        words: Sequence[str] = WORDS,
        max_input_length: int = MOST,
        batch_tokens: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Any:
        """The documents of a query, or of each query of a list (then documents is a list of lists), by their relevance, as monoT5 asks for
        it: a Reranking, or a list of them. For checkpoints that were trained so, castorini/monot5-base-msmarco for one.

        words: for relevant and not; of mMonoT5 ("yes", "no"). The first tokens that they have in the model's own tokenizer are compared.
        max_input_length: a longer input is cut at the document's end.  batch_tokens, progress: as `rank`'s. No score depends on the other
        documents. ConfigError for a model without a tokenizer and for words that begin with the same token; DataError for a query that
        leaves no room for a document.

        >>> found = t0.Model.mini().rerank(["tea", "milk"], [["Anna likes tea."], ["Ben fell.", "Tom has milk."]], words=("Yes", "No"))
        >>> [one.order.shape for one in found]
        [(1,), (2,)]
        """
        single = isinstance(query, str)
        queries, lists = ([query], [documents]) if single else (list(as_list("query", query)), list(as_list("documents", documents)))
        if len(queries) != len(lists):
            raise ConfigError(f"{len(lists)} lists of documents for {len(queries)} queries: there must be one for each")
        lists = [_documents_of(i, one) for i, one in enumerate(lists)]
        pairs = [(i, text) for i, one in enumerate(lists) for text in one]
        inputs = _inputs_of(self, queries, pairs, check(whole(1), "max_input_length", max_input_length))
        choices = _first_tokens(self, words)
        keywords = {"max_input_length": max_input_length, "batch_tokens": batch_tokens, "progress": progress}
        found = [ranking.scores for ranking in self.rank(inputs, choices, **keywords)] if inputs else []  # type: ignore[attr-defined]
        scores = np.array([yes - np.logaddexp(yes, no) for yes, no in found], np.float64)
        ends = np.cumsum([0, *map(len, lists)])
        made = [_of_query(one, scores[begin:end]) for one, begin, end in zip(lists, ends, ends[1:])]
        return made[0] if single else made


def _of_query(documents, scores):
    return Reranking(documents, scores, np.argsort(-scores, kind="stable"))


def _documents_of(i, documents):
    if is_one(documents):
        raise ConfigError(f"documents of query {i}: {shown(documents)}; a list of texts is needed")
    texts = list(as_list(f"documents of query {i}", documents))
    for k, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"document {k} of query {i}: {shown(text)}; a text is needed")
    return texts


def _first_tokens(model, words):
    """[[id], [id]] of the words for relevant and not."""
    if not isinstance(words, list | tuple) or len(words) != 2 or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"words {shown(words)}: must be two texts, the words for relevant and for not, as {WORDS}")
    ids = [model.tokenizer.encode(word) for word in words]
    if not all(map(len, ids)) or ids[0][0] == ids[1][0]:
        pieces = [model.tokenizer.pieces(word)[:1] for word in words]
        raise ConfigError(
            f"words {shown(tuple(words))}: begin with {shown(pieces)} in this tokenizer, which tells nothing apart; give the words that "
            "the checkpoint was trained with"
        )
    return [[int(one[0])] for one in ids]


def _inputs_of(model, queries, pairs, most):
    """Ids of each (number of the query, document)."""
    need_decoder(model.config, "rerank")
    if model.tokenizer is None:
        raise ConfigError("rerank: the model has no tokenizer, which queries and documents need: load it with tokenizer=FILE")
    for i, query in enumerate(queries):
        if not isinstance(query, str):
            raise DataError(f"query {i}: {shown(query)}; a text is needed")
    first = [] if model.tokenizer.start_id is None else [model.tokenizer.start_id]
    tail = [*_tail_of(model.tokenizer), model.config.eos_token_id]
    around = len(first) + len(tail)
    heads = _encode(model, [(f"query {i}", HEAD.format(query, "")) for i, query in enumerate(queries)])
    for i, head in enumerate(heads):
        if len(head) + around >= most:
            raise DataError(
                f"query {i}: it has {len(head) + around} tokens of an input's {most} (max_input_length): no room for a document"
            )
    texts = _encode(model, [(f"a document of query {i}", HEAD.format(queries[i], text)) for i, text in pairs])
    return [np.concatenate([first, ids[: most - around], tail]).astype(np.int32) for ids in texts]


def _tail_of(tokenizer):
    """Ids of what stands behind every document, with the space before it where the tokenizer keeps one."""
    before, whole = tokenizer.encode("a"), tokenizer.encode(f"a {TAIL}")
    return whole[len(before) :] if whole[: len(before)] == before else tokenizer.encode(TAIL)


def _encode(model, texts):
    """Ids of each (what it is, text). DataError that names the first which is no text."""
    try:
        return model.tokenizer.encode_batch([text for _, text in texts], threads=model.threads)
    except ValueError:
        for what, text in texts:
            try:
                model.tokenizer.encode(text)
            except ValueError as error:
                raise DataError(f"{what}: {error}") from None
        raise


class _Frame(Protocol):
    """What pandas' data frames have of it."""

    columns: Any

    def __getitem__(self, name: str, /) -> Any: ...
    def assign(self, **columns: Any) -> Any: ...


class Reranker:
    """A transformer in PyTerrier's sense, without PyTerrier: it takes a data frame of pandas with the columns qid, query, docno and text, a
    candidate a row, and gives it back with score (log-probability to be relevant) and rank (from 0, in each qid) anew. In a pipeline:
    `bm25 >> pt.text.get_text(index) >> pt.apply.generic(t0.Reranker(model))`.

    text: the column of the documents' texts.  words, max_input_length, batch_tokens, progress: as Model.rerank's. ConfigError for a frame
    that lacks a column.

    >>> reranker = t0.Reranker(t0.Model.mini(), words=("Yes", "No"))
    >>> reranker.model.name == t0.Model.mini().name
    True
    """

    @hint_keywords
    def __init__(
        self,
        model: Reranks,
        *,
        text: str = "text",
        words: Sequence[str] = WORDS,
        max_input_length: int = MOST,
        batch_tokens: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        if not hasattr(model, "rerank"):
            raise ConfigError(f"model {shown(model)}: must be a Model, which has rerank; Model.from_pretrained(folder) loads one")
        self.model, self.text, self.words = model, text, words
        self.max_input_length, self.batch_tokens, self.progress = max_input_length, batch_tokens, progress

    def transform(self, frame: _Frame) -> Any:
        """The frame with score and rank, its rows where they were; `reranker(frame)` is the same."""
        lacking = [name for name in ("qid", "query", self.text) if name not in frame.columns]
        if lacking:
            raise ConfigError(
                f"the frame has no column {lacking[0]}: it has {', '.join(map(str, frame.columns))}; qid, query and {self.text} are needed "
                "(PyTerrier's get_text fetches the texts of documents)"
            )
        of_query: dict[Any, list[int]] = {}
        for row, pair in enumerate(zip(frame["qid"].tolist(), frame["query"].tolist())):
            of_query.setdefault(pair, []).append(row)
        texts = frame[self.text].tolist()
        found = self.model.rerank(
            [query for _, query in of_query],
            [[texts[row] for row in rows] for rows in of_query.values()],
            words=self.words,
            max_input_length=self.max_input_length,
            batch_tokens=self.batch_tokens,
            progress=self.progress,
        )
        scores, ranks = np.empty(len(texts)), np.empty(len(texts), np.int64)
        for rows, one in zip(of_query.values(), found):
            scores[rows] = one.scores
            ranks[np.array(rows)[one.order]] = np.arange(len(rows))
        return frame.assign(score=scores, rank=ranks)

    __call__ = transform
