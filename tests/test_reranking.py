"""Reranking: monoT5's input and score, several queries, long documents, data frames, and what is refused."""

import numpy as np
import pytest
from conftest import needed
from tokenizer_kinds import code_folder

import t0native as t0

YES_NO = {"words": ("Yes", "No")}
DOCUMENTS = ["Anna likes tea.", "Ben fell.", "Tom has milk and tea.", "Anna likes tea."]


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


def by_hand(model, query, document, words=("Yes", "No")):
    """log softmax of the two first tokens' logits behind the start token, in double, of the whole text with the end token."""
    ids = [*model.tokenizer.encode(f"Query: {query} Document: {document} Relevant:"), model.config.eos_token_id]
    logits = model.logits(ids, [model.config.decoder_start_token_id])[0].astype(np.float64)
    yes, no = (logits[model.tokenizer.encode(word)[0]] for word in words)
    return yes - np.logaddexp(yes, no)


def test_scores_are_the_softmax_of_two_first_tokens(model):
    found = model.rerank("Who likes tea?", DOCUMENTS, **YES_NO)
    expected = [by_hand(model, "Who likes tea?", document) for document in DOCUMENTS]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-5)
    assert found.order.tolist() == sorted(range(4), key=lambda i: (-found.scores[i], i)) and found.documents == DOCUMENTS
    assert found.scores[0] == found.scores[3] and (found.probabilities == np.exp(found.scores)).all()


def test_company_batches_and_several_queries_change_no_bit(model):
    alone = [model.rerank("tea", [document], **YES_NO).scores[0] for document in DOCUMENTS]
    assert model.rerank("tea", DOCUMENTS, batch_tokens=1, **YES_NO).scores.tolist() == alone
    several = model.rerank(["milk", "tea"], [DOCUMENTS[:2], DOCUMENTS], **YES_NO)
    assert several[1].scores.tolist() == alone and len(several[0].scores) == 2
    assert model.rerank([], []) == [] and model.rerank("tea", [], **YES_NO).order.tolist() == []


def test_a_long_document_is_cut_at_its_end_and_the_question_stays(model):
    long = "Anna likes tea. " * 100
    most = 40
    tail = [*model.tokenizer.encode("Relevant:"), model.config.eos_token_id]
    ids = np.concatenate([model.tokenizer.encode(f"Query: tea Document: {long}")[: most - len(tail)], tail])
    yes, no = model.rank(ids.astype(np.int32), [model.tokenizer.encode(word)[:1] for word in ("Yes", "No")]).scores
    assert model.rerank("tea", [long], max_input_length=most, **YES_NO).scores[0] == yes - np.logaddexp(yes, no)
    with pytest.raises(t0.DataError, match=r"query 0: it has \d+ tokens of an input's 12 \(max_input_length\): no room"):
        model.rerank("Who of them all likes a cup of tea?", ["x"], max_input_length=12, **YES_NO)


@pytest.mark.parametrize("kind", ["bytes", "byte-level BPE"])
def test_inputs_are_whole_where_a_tokenizer_keeps_spaces(tmp_path, kind):
    """The space before the question is the text's, and what add_eos puts before a text is there."""
    if kind == "bytes":
        tok = t0.Tokenizer.of_bytes()
    else:
        needed("tokenizers", "pip install tokenizers")
        tok = t0.Tokenizer.from_folder(code_folder(tmp_path / "code"))
    config = t0.Config(
        vocab_size=tok.vocab_size, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4, eos_token_id=tok.eos_id, pad_token_id=tok.pad_id
    )
    model = t0.Model.init(config, seed=0, tokenizer=tok)
    whole = tok.encode("Query: tea Document: Anna likes tea. Relevant:", add_eos=True)
    yes, no = model.rank(whole, [tok.encode(word)[:1] for word in ("Yes", "No")]).scores
    assert model.rerank("tea", ["Anna likes tea."], **YES_NO).scores[0] == yes - np.logaddexp(yes, no)


def test_what_is_refused(model):
    with pytest.raises(t0.ConfigError, match="words 5: must be two texts"):
        model.rerank("tea", DOCUMENTS, words=5)
    with pytest.raises(t0.DataError, match="a document of query 1: text: lone surrogate"):
        model.rerank(["tea", "milk"], [["x"], ["y", "\ud800"]], **YES_NO)
    with pytest.raises(t0.DataError, match="query 1: text: lone surrogate"):
        model.rerank(["tea", "\ud800"], [["x"], ["y"]], **YES_NO)
    with pytest.raises(t0.ConfigError, match="words .*: begin with .* in this tokenizer, which tells nothing apart"):
        model.rerank("tea", DOCUMENTS, words=("Yes", "Yes"))
    with pytest.raises(t0.ConfigError, match="words 'Yes': must be two texts"):
        model.rerank("tea", DOCUMENTS, words="Yes")
    with pytest.raises(t0.ConfigError, match="documents of query 0: 'a text'; a list of texts is needed"):
        model.rerank("tea", "a text", **YES_NO)
    with pytest.raises(t0.DataError, match="document 1 of query 0: None; a text is needed"):
        model.rerank("tea", ["a", None], **YES_NO)
    with pytest.raises(t0.ConfigError, match="1 lists of documents for 2 queries"):
        model.rerank(["tea", "milk"], [["a"]], **YES_NO)
    with pytest.raises(t0.ConfigError, match="the model has no tokenizer"):
        t0.Model(model.core, model.config).rerank("tea", ["a"])
    with pytest.raises(t0.ConfigError, match="must be a Model, which has rerank"):
        t0.Reranker("folder")
    with pytest.raises(TypeError, match="max_length"):
        model.rerank("tea", ["a"], max_length=5)


class Frame(dict):
    """As much of pandas' data frame as a Reranker uses; its columns are arrays, which have tolist."""

    columns = property(lambda self: list(self))

    def assign(self, **columns):
        return Frame(self | columns)


ROWS = {
    "qid": np.array(["2", "1", "1", "2", "1"]),
    "query": np.array(["milk", "tea", "tea", "milk", "tea"], object),
    "docno": np.array(["a", "b", "c", "d", "e"]),
    "text": np.array([DOCUMENTS[2], DOCUMENTS[0], DOCUMENTS[1], DOCUMENTS[1], DOCUMENTS[0]], object),
    "score": np.zeros(5),
    "rank": np.zeros(5, int),
}


def check_frame(model, out):
    queries, texts = ROWS["query"], ROWS["text"]
    expected = [model.rerank(query, [text], **YES_NO).scores[0] for query, text in zip(queries, texts)]
    assert list(out["score"]) == expected and list(out["docno"]) == list("abcde")
    for qid in ("1", "2"):
        rows = [i for i in range(5) if ROWS["qid"][i] == qid]
        assert [list(out["rank"])[i] for i in sorted(rows, key=lambda i: (-expected[i], i))] == list(range(len(rows)))


def test_a_reranker_gives_each_query_its_ranks(model):
    reranker = t0.Reranker(model, **YES_NO)
    check_frame(model, reranker(Frame(ROWS)))
    check_frame(model, reranker.transform(Frame(ROWS)))
    with pytest.raises(t0.ConfigError, match="the frame has no column text: it has qid, query, body;"):
        reranker(Frame({"qid": [], "query": [], "body": []}))
    renamed = Frame({("body" if name == "text" else name): values for name, values in ROWS.items()})
    check_frame(model, t0.Reranker(model, text="body", **YES_NO)(renamed))


def test_a_data_frame_of_pandas(model):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, index=[5, 9, 2, 7, 0])
    out = t0.Reranker(model, **YES_NO)(frame)
    check_frame(model, out)
    assert out.index.tolist() == frame.index.tolist() and "rank" in out and (frame["score"] == 0).all()
    assert len(t0.Reranker(model, **YES_NO)(frame[:0])) == 0
