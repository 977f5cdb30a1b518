"""Raw distributions become the hub's columns: rows of the public data, and files of our own making."""

import json

import pytest

import t0native as t0
from t0native.data.convert_data import winogender_rows
from t0native.data.distributed import convert_rows
from t0native.data.lines import read_jsonl
from t0native.data.rows import read_rows


def made(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "dataset, raw, count, first",
    [
        (
            "super_glue/wsc.fixed",
            "superglue-val/WSC.val.jsonl",
            104,
            {"span1_text": "anyone", "span2_text": "him", "span1_index": 32, "label": 0},
        ),
        ("super_glue/wic", "superglue-val/WiC.val.jsonl", 638, {"word": "class", "label": 0}),
        ("super_glue/copa", "superglue-val/COPA.val.jsonl", 100, {"question": "effect", "label": 1}),
        ("piqa", "piqa-val/valid.jsonl", 1838, {"label": 0}),
        (
            "cos_e/v1.0",
            "cos-e-v1.0/dev_rand_split.jsonl",
            950,
            {"answer": "unable to work", "choices": ["born again", "unable to work", "no longer exist"]},
        ),
    ],
)
def test_public_data(dataset, raw, count, first, public_data, tmp_path):
    place = t0.convert_data(dataset, public_data / "data" / raw, tmp_path)
    assert place == tmp_path / dataset / "validation.jsonl"
    rows = read_jsonl(place)
    assert len(rows) == count and first.items() <= rows[0].items()
    assert read_rows(place, dataset) == rows  # what is converted stays


def test_explanations_of_cos_e(public_data):
    raw = public_data / "data/cos-e-v1.0"
    given = {row["id"]: row["explanation"] for row in read_jsonl(raw / "cose_dev_v1.0_processed.jsonl")}
    for row in read_rows(raw / "dev_rand_split.jsonl", "cos_e/v1.0"):
        assert row["answer"] in row["choices"]
        assert (row["abstractive_explanation"], row["extractive_explanation"]) == (
            given[row["id"]]["open-ended"],
            given[row["id"]]["selected"],
        )


def test_copa_in_xml(tmp_path):
    item = '<item id="{}" asks-for="{}" most-plausible-alternative="{}"><p>It rained.</p><a1>A &amp; B.</a1><a2> C.\n</a2></item>'
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE copa-corpus SYSTEM "copa.dtd">\n'
    raw = made(tmp_path, "copa-dev.xml", f"{head}<copa-corpus>{item.format(1, 'cause', 1)}{item.format(2, 'effect', 2)}</copa-corpus>")
    rows = read_jsonl(t0.convert_data("super_glue/copa", raw, tmp_path))
    assert rows == [
        {"premise": "It rained.", "choice1": "A & B.", "choice2": "C.", "question": "cause", "idx": 1, "label": 0},
        {"premise": "It rained.", "choice1": "A & B.", "choice2": "C.", "question": "effect", "idx": 2, "label": 1},
    ]


def test_labels_in_words():
    for dataset, word, number in [
        ("super_glue/rte", "not_entailment", 1),
        ("super_glue/axg", "entailment", 0),
        ("super_glue/cb", "contradiction", 1),
        ("super_glue/cb", "neutral", 2),
        ("super_glue/boolq", True, 1),
    ]:
        assert convert_rows(dataset, [{"label": word}, {"label": 0}]) == [{"label": number}, {"label": 0}]


def test_rounds_of_anli(tmp_path):
    row = {
        "uid": "u",
        "context": "It rains.",
        "hypothesis": "It is wet.",
        "label": "c",
        "model_label": "e",
        "genre": "made",
        "reason": "r",
        "tag": "",
    }
    raw = made(tmp_path, "anli_v1.0/R2/dev.jsonl", lines(row, row | {"label": "n"}, row | {"label": "e"}))
    place = t0.convert_data("anli", raw, tmp_path / "DATA")
    assert place == tmp_path / "DATA/anli/dev_r2.jsonl"
    assert read_jsonl(place)[0] == {"uid": "u", "premise": "It rains.", "hypothesis": "It is wet.", "label": 2, "reason": "r"}
    assert [row["label"] for row in read_jsonl(place)] == [2, 1, 0]
    assert t0.convert_data("anli", raw, tmp_path, split="train_r3").name == "train_r3.jsonl"


def test_crows_pairs(tmp_path):
    text = ",sent_more,sent_less,stereo_antistereo,bias_type,annotations,anon_writer,anon_annotators\n0,a,b,stereo,gender,[],a0,[]\n1,c,d,antistereo,age,[],a0,[]\n"
    place = t0.convert_data("crows_pairs", made(tmp_path, "crows_pairs_anonymized.csv", text), tmp_path)
    assert place.name == "test.jsonl"
    first, second = read_jsonl(place)
    assert (first["id"], first["sent_more"], first["stereo_antistereo"], first["bias_type"]) == (0, "a", 0, 2)
    assert (second["stereo_antistereo"], second["bias_type"]) == (1, 8)


def test_story_cloze(tmp_path):
    names = [f"InputSentence{n}" for n in range(1, 5)] + ["RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2"]
    text = ",".join(["InputStoryid", *names, "AnswerRightEnding"]) + "\nx1,One.,Two.,Three.,Four.,Five.,Six.,2\n"
    [row] = read_jsonl(t0.convert_data("story_cloze/2016", made(tmp_path, "cloze.csv", text), tmp_path))
    assert (row["input_sentence_4"], row["sentence_quiz2"], row["answer_right_ending"]) == ("Four.", "Six.", 2)


TEMPLATES = "occupation(0)\tother-participant(1)\tanswer\tsentence\n" + "".join(
    f"baker\tguest\t{answer}\tThe $OCCUPATION met the $PARTICIPANT because {pronoun} came.\n"
    for answer, pronoun in ((0, "$NOM_PRONOUN"), (1, "$POSS_PRONOUN bus"), (1, "it helped $ACC_PRONOUN and rain"))
)


def test_winogender(tmp_path):
    rows = winogender_rows(made(tmp_path, "templates.tsv", TEMPLATES))
    assert len(rows) == 12 and [row["idx"] for row in rows] == list(range(12))
    assert [row["label"] for row in rows] == [0, 1, 0, 1] + [1, 0, 1, 0] * 2
    assert [row["premise"].split("because ")[1] for row in rows[::2]] == [
        "he came.", "she came.", "his bus came.", "her bus came.", "it helped him and rain came.", "it helped her and rain came."
    ]  # fmt: skip
    assert rows[5]["hypothesis"] == "The baker met the guest because the guest's bus came."
    assert t0.convert_data("super_glue/axg", tmp_path / "templates.tsv", tmp_path) == tmp_path / "super_glue/axg/test.jsonl"


def test_winogender_under_the_public_prompts(promptsource_folder, tmp_path):
    rows = winogender_rows(made(tmp_path, "templates.tsv", TEMPLATES))
    prompts = t0.PromptCollection.load(promptsource_folder)["super_glue", "axg"]
    task = t0.Task("axg", rows, prompts)
    assert task.render("must be true", 0).target == "Yes" and task.render("must be true", 1).target == "No"


def test_wino_bias(promptsource_folder, tmp_path):
    text = "1 [The old baker] greeted the guest because [she] didn't sleep, alas.\n\n2 The guest thanked [the baker] and gave [her] tips.\n3 When [he] called, [the baker] ran.\n"
    place = t0.convert_data("wino_bias/type2_anti", made(tmp_path, "anti_stereotyped_type2.txt.dev", text), tmp_path)
    assert place == tmp_path / "wino_bias/type2_anti/validation.jsonl"
    rows = read_jsonl(place)
    assert [row["coreference_clusters"] for row in rows] == [["0", "2", "7", "7"], ["3", "4", "7", "7"], ["4", "5", "1", "1"]]
    assert rows[0]["tokens"] == "The old baker greeted the guest because she didn't sleep , alas .".split()
    prompts = t0.PromptCollection.load(promptsource_folder)["wino_bias", "type2_anti"]
    assert [prompts["refers_to"].render(row).target for row in rows] == ["The old baker", "the baker", "the baker"]


@pytest.mark.parametrize(
    "dataset, name, text, message",
    [
        ("super_glue/wsc.fixed", "a.jsonl", lines({"text": "x", "target": {}}), "a.jsonl, row 0: not super_glue/wsc.fixed in its distributed form (KeyError: 'span1_index')"),
        ("super_glue/rte", "a.jsonl", lines({"label": 0}, {"label": "maybe"}), "a.jsonl, row 1: not super_glue/rte in its distributed form (KeyError: 'maybe')"),
        ("anli", "R1/dev.jsonl", lines({"context": "x", "label": "e"}), "dev.jsonl, row 0: not anli in its distributed form (KeyError: 'uid')"),
        ("anli", "dev.jsonl", lines({"premise": "x"}), "dev.jsonl: of which round and split? name it R1/dev.jsonl, or give split='dev_r1'"),
        ("super_glue/copa", "a.xml", "<copa><item", "a.xml, line 1: not XML (unclosed token: line 1, column 6)"),
        ("super_glue/copa", "a.xml", "<copa><item id='1'/></copa>", "a.xml, row 0: not super_glue/copa in its distributed form (KeyError: 'most-plausible-alternative')"),
        ("super_glue/copa", "a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "a.xml: declares entities; COPA's files have none"),
        ("super_glue/axg", "a.tsv", "occupation(0)\tsentence\nx\ty\n", "a.tsv, row 0: not winogender in its distributed form (KeyError: 'other-participant(1)')"),
        ("super_glue/axg", "a.tsv", TEMPLATES.replace("$NOM_PRONOUN", "he"), "a.tsv, row 0: not winogender in its distributed form (ValueError: no $NOM_PRONOUN or $POSS_PRONOUN or $ACC_PRONOUN in the sentence)"),
        ("wino_bias/type1_pro", "a.txt.dev", "1 [The cook] ran.\n", "a.txt.dev, line 1: must have a person and a pronoun in brackets, as 1 [The cook] asked if [he] ..."),
        ("wino_bias/type1_pro", "a.txt.dev", "1 [The cook] ran as [he] [did].\n", "a.txt.dev, line 1: must have a person and a pronoun in brackets, as 1 [The cook] asked if [he] ..."),
        ("cos_e/v1.11", "dev_rand_split.jsonl", lines({"question": {}}), "dev_rand_split.jsonl: the explanations must stand beside it, in one file cose_dev_*_processed.jsonl; there are 0"),
        ("crows_pairs", "a.csv", "stereo_antistereo,bias_type\nstereo,height\n", "a.csv, row 0: not crows_pairs in its distributed form (KeyError: 'height')"),
        ("super_glue/wik", "a.jsonl", "{}", "dataset 'super_glue/wik': no raw form is known; did you mean 'super_glue/wic'?"),
    ],
)  # fmt: skip
def test_files_in_neither_form(dataset, name, text, message, tmp_path):
    raw = made(tmp_path, name, text)
    with pytest.raises((t0.DataError, t0.ConfigError)) as error:
        t0.convert_data(dataset, raw, tmp_path / "DATA")
    assert str(error.value).replace(f"{raw.parent}/", "") == message
    assert not (tmp_path / "DATA").exists()
