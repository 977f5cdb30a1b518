"""Raw distributions become the hub's columns: rows of the public data, and files of our own making."""

import csv
import io
import json

import pytest

import t0native as t0
from t0native.data import diskrows
from t0native.data.convert_data import winogender_rows
from t0native.data.distributed import COLUMNS, convert_rows
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


WINO_BIAS = [  # as the authors' eight files have them: with and without numbers, spaces before "'s", a pronoun first, one or two pronouns
    ("1 [The developer] argued with the designer because [she] did not like it.", ["The developer", "she"]),
    ("2 The mechanic fixed the [housekeeper] 's car and then [he] wrote a thankful note.", ["housekeeper", "he"]),
    ("3 [The mover] offered to help because [he] needed to prove [his] strength.", ["The mover", "he", "his"]),
    ("The chief praised [the receptionist] and [her] for [her] work.", ["the receptionist", "her", "her"]),
    ("Because [she] was late, [the clerk] hurt [herself].", ["the clerk", "she", "herself"]),
    ("The manager thanked the [the CEO] and asked [him] to look after [him] and [his] desk.", ["the CEO", "him", "him", "his"]),
]


@pytest.mark.parametrize("kind", ["pro", "anti"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("part", ["dev", "test"])
def test_wino_bias_loses_no_line(kind, number, part, promptsource_folder, tmp_path):
    name = f"{kind}_stereotyped_type{number}.txt.{part}"
    place = t0.convert_data(
        f"wino_bias/type{number}_{kind}", made(tmp_path, name, "\n".join(line for line, _ in WINO_BIAS) + "\n"), tmp_path, part
    )
    rows = read_jsonl(place)
    assert len(rows) == len(WINO_BIAS)
    for row, (line, spans) in zip(rows, WINO_BIAS):
        places = list(map(int, row["coreference_clusters"]))
        assert [" ".join(row["tokens"][a : b + 1]) for a, b in zip(places[::2], places[1::2])] == spans
        assert "".join(row["tokens"]) == "".join(line.lstrip("123 ").translate(str.maketrans("", "", "[] ")))
    prompts = t0.PromptCollection.load(promptsource_folder)["wino_bias", f"type{number}_{kind}"]
    assert [prompts["refers_to"].render(row).target for row in rows] == [spans[0] for _, spans in WINO_BIAS]


PASSAGE = {
    "idx": 7,
    "version": 1.1,
    "passage": {
        "text": "Anna has a cat. Ben has none.",
        "questions": [
            {
                "question": "Who has a cat?",
                "idx": 3,
                "answers": [{"text": "Anna", "idx": 8, "label": 1}, {"text": "Ben", "idx": 9, "label": 0}],
            },
            {"question": "What has Ben?", "idx": 4, "answers": [{"text": "None", "idx": 10}]},
        ],
    },
}
ARTICLE = {
    "source": "made",
    "idx": 2,
    "passage": {
        "text": "Ben met Anna.\n@highlight\nAnna smiled",
        "entities": [{"start": 8, "end": 11}, {"start": 0, "end": 2}, {"start": 25, "end": 28}],
    },
    "qas": [
        {"idx": 5, "query": "@placeholder smiled.", "answers": [{"start": 8, "end": 11, "text": "Anna"}, {"start": 25, "end": 28, "text": "Anna"}]},
        {"idx": 6, "query": "@placeholder met her."},
    ],
}  # fmt: skip
WIC = {"word": "pen", "sentence1": "a pen", "sentence2": "to pen", "start1": 2, "end1": 5, "start2": 3, "end2": 6, "idx": 0, "version": 1.1}
PAIR = {"premise": "It rains.", "hypothesis": "It is wet.", "idx": 0}
WSC_TEXT = "Mark told Pete many lies about himself."
WSC_RAW = {"span1_text": "Mark", "span2_text": "himself", "span1_index": 0, "span2_index": 6}
COPA_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<copa-corpus version="1.0">\n<item id="1" asks-for="cause" most-plausible-alternative="2">'
    "<p>It is wet.</p><a1>It snowed.</a1><a2>It rained.</a2></item>\n</copa-corpus>"
)
COSE_QUESTION = {
    "answerKey": "B",
    "id": "q1",
    "question": {"stem": "Where?", "question_concept": "x", "choices": [{"label": "A", "text": "here"}, {"label": "B", "text": "there"}]},
}


def csv_text(*rows):
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


CROWS = {
    "": 0, "sent_more": "Old people, all, are slow.", "sent_less": "Young people are slow.", "stereo_antistereo": "stereo",
    "bias_type": "socioeconomic", "annotations": "[['age']]", "anon_writer": "a1", "anon_annotators": "['a2']",
}  # fmt: skip
CLOZE = {"InputStoryid": "s1"} | {f"InputSentence{n}": f"Sentence {n}." for n in range(1, 5)}
CLOZE |= {"RandomFifthSentenceQuiz1": "Good.", "RandomFifthSentenceQuiz2": "Bad.", "AnswerRightEnding": 2}
FORMS = {  # dataset -> {file: text}, the first is the one that is named; the first row that must come out, in part; rows
    "super_glue/wsc.fixed": ({"val.jsonl": lines({"text": WSC_TEXT, "target": WSC_RAW, "idx": 0, "label": True})}, WSC_RAW | {"label": 1}, 1),
    "super_glue/wsc": ({"test.jsonl": lines({"text": WSC_TEXT, "target": WSC_RAW, "idx": 0})}, WSC_RAW | {"label": -1}, 1),
    "super_glue/wic": ({"val.jsonl": lines(WIC | {"label": False}, WIC | {"label": True})}, {"word": "pen", "label": 0}, 2),
    "super_glue/boolq": (
        {"val.jsonl": lines({"question": "is it", "passage": "It is.", "idx": 0, "label": True})}, {"question": "is it", "label": 1}, 1,
    ),
    "super_glue/rte": ({"val.jsonl": lines(PAIR | {"label": "not_entailment"}, PAIR | {"label": "entailment"})}, PAIR | {"label": 1}, 2),
    "super_glue/axb": (
        {"AX-b.jsonl": lines({"sentence1": "A", "sentence2": "B", "label": "entailment", "logic": "x", "idx": 0})}, {"sentence1": "A", "label": 0}, 1,
    ),
    "super_glue/axg": ({"AX-g.jsonl": lines(PAIR | {"label": "not_entailment", "pair_id": 551})}, PAIR | {"label": 1}, 1),
    "super_glue/cb": ({"val.jsonl": lines(PAIR | {"label": "contradiction"}, PAIR | {"label": "neutral"})}, PAIR | {"label": 1}, 2),
    "super_glue/copa": ({"copa-dev.xml": COPA_XML}, {"premise": "It is wet.", "question": "cause", "choice2": "It rained.", "label": 1}, 1),
    "super_glue/multirc": (
        {"val.jsonl": lines(PASSAGE)},
        {"paragraph": PASSAGE["passage"]["text"], "question": "Who has a cat?", "answer": "Anna", "label": 1, "idx": {"paragraph": 7, "question": 3, "answer": 8}}, 3,
    ),
    "super_glue/record": (
        {"val.jsonl": lines(ARTICLE)},
        {"entities": ["Ben", "Anna"], "answers": ["Anna"], "idx": {"passage": 2, "query": 5}, "entity_spans": {"text": ["Ben", "Anna", "Anna"], "start": [0, 8, 25], "end": [3, 12, 29]}}, 2,
    ),
    "anli": (
        {"R1/dev.jsonl": lines({"uid": "u", "context": "c", "hypothesis": "h", "label": "n", "model_label": "e", "emturk": True, "genre": "wiki", "reason": "r", "tag": "t"})},
        {"uid": "u", "premise": "c", "hypothesis": "h", "label": 1, "reason": "r"}, 1,
    ),
    "crows_pairs": ({"crows_pairs_anonymized.csv": csv_text(CROWS)}, {"id": 0, "sent_more": CROWS["sent_more"], "stereo_antistereo": 0, "bias_type": 1}, 1),
    "story_cloze/2016": ({"cloze.csv": csv_text(CLOZE)}, {"input_sentence_4": "Sentence 4.", "sentence_quiz2": "Bad.", "answer_right_ending": 2}, 1),
    "piqa": ({"valid.jsonl": lines({"goal": "eat", "sol1": "a", "sol2": "b"}), "valid-labels.lst": "1\n"}, {"goal": "eat", "label": 1}, 1),
    "cos_e/v1.11": (
        {"dev_rand_split.jsonl": lines(COSE_QUESTION), "cose_dev_v1.11_processed.jsonl": lines({"id": "q1", "explanation": {"open-ended": "o", "selected": "s"}})},
        {"question": "Where?", "choices": ["here", "there"], "answer": "there", "abstractive_explanation": "o"}, 1,
    ),
    "cos_e/v1.0": (
        {"dev_rand_split.jsonl": lines(COSE_QUESTION), "cose_dev_v1.0_processed.jsonl": lines({"id": "q1", "explanation": {"open-ended": "o", "selected": "s"}})},
        {"extractive_explanation": "s"}, 1,
    ),
    **{
        f"wino_bias/type{n}_{kind}": ({f"{kind}_stereotyped_type{n}.txt.dev": WINO_BIAS[2][0]}, {"coreference_clusters": ["0", "1", "6", "6", "10", "10"]}, 1)
        for n in (1, 2) for kind in ("pro", "anti")
    },
}  # fmt: skip


def test_every_known_dataset_has_its_form_here():
    assert FORMS.keys() == COLUMNS.keys()


@pytest.mark.parametrize("dataset", FORMS)
def test_both_forms_of_every_dataset(dataset, tmp_path):
    """The authors' form becomes the hub's columns; a file in these is written as it is."""
    files, first, count = FORMS[dataset]
    paths = [made(tmp_path, name, text) for name, text in files.items()]
    place = t0.convert_data(dataset, paths[0], tmp_path / "DATA")
    rows = read_jsonl(place)
    assert len(rows) == count and {name: rows[0].get(name) for name in first} == first
    assert COLUMNS[dataset].keys() <= rows[0].keys()
    again = made(tmp_path / "R2", "dev.jsonl", place.read_text())  # a name by which anli's round is known
    assert read_jsonl(t0.convert_data(dataset, again, tmp_path / "AGAIN")) == rows
    assert list(read_rows(place, dataset)) == rows


SAME_COLUMNS = [
    {"super_glue/rte", "super_glue/axg"},
    {"super_glue/wsc", "super_glue/wsc.fixed"},
    {"cos_e/v1.0", "cos_e/v1.11"},
    {dataset for dataset in FORMS if dataset.startswith("wino_bias/")},
]


@pytest.mark.parametrize("dataset", FORMS)
def test_another_dataset_s_file_is_refused(dataset, tmp_path):
    """Each dataset's files given for each other dataset: refused with file and row, or with what is missing beside; nothing is written."""
    for other, (files, _, _) in FORMS.items():
        if other == dataset or any({dataset, other} <= same for same in SAME_COLUMNS):
            continue
        paths = [made(tmp_path / other / "R3", name, text) for name, text in files.items()]
        raw = paths[0].rename(paths[0].with_name("dev" + paths[0].suffix)) if dataset == "anli" else paths[0]
        with pytest.raises(t0.DataError) as error:
            t0.convert_data(dataset, raw, tmp_path / "DATA")
        assert str(raw) in str(error.value)
        assert not (tmp_path / "DATA").exists(), (dataset, other)


@pytest.mark.parametrize(
    "dataset, row, message",
    [
        ("super_glue/rte", PAIR | {"label": 2}, "field 'label' is 2, must be a whole number from -1 to 1"),
        ("super_glue/rte", PAIR | {"label": None}, "field 'label' is None, must be a whole number from -1 to 1"),
        ("super_glue/rte", PAIR | {"label": 1.0}, "field 'label' is 1.0, must be a whole number from -1 to 1"),
        ("super_glue/boolq", {"question": "q", "passage": None, "label": 0}, "field 'passage' is None, must be a text"),
        ("super_glue/record", {"passage": "p", "query": "q", "entities": "Anna", "answers": []}, "field 'entities' is 'Anna', must be a list of texts"),
        ("super_glue/multirc", {"paragraph": "p"}, "no field 'question' (it has: paragraph)"),
        ("story_cloze/2016", {"input_sentence_1": "a"}, "no field 'input_sentence_2' (it has: input_sentence_1)"),
        ("crows_pairs", {"sent_more": "a", "sent_less": "b", "stereo_antistereo": 3, "bias_type": 1}, "field 'stereo_antistereo' is 3, must be a whole number from 0 to 1"),
    ],
)  # fmt: skip
def test_columns_that_are_not_the_hub_s(dataset, row, message, tmp_path):
    raw = made(tmp_path, "a.jsonl", lines(row))
    with pytest.raises(t0.DataError) as error:
        t0.convert_data(dataset, raw, tmp_path / "DATA")
    assert str(error.value) == f"{raw}, row 0: neither {dataset} as its authors distribute it nor in the hub's columns: {message}"
    assert not (tmp_path / "DATA").exists()


@pytest.mark.parametrize("name", ["axb", "multirc", "record"])
def test_nested_rows_under_the_public_prompts(name, promptsource_folder, tmp_path):
    (raw, text), *_ = FORMS[f"super_glue/{name}"][0].items()
    rows = read_rows(made(tmp_path, raw, text), f"super_glue/{name}")
    prompts = t0.PromptCollection.load(promptsource_folder)["super_glue", name]
    for prompt in prompts.values():
        rendered = prompt.render(rows[0])
        assert rendered.target in (rendered.choices or [rendered.target]) and rendered.target != "<NO LABEL>"


def test_rows_that_become_several_have_no_numbers_on_the_disk(monkeypatch, tmp_path):
    raw = made(tmp_path, "train.jsonl", lines(PASSAGE, PASSAGE))
    monkeypatch.setattr(diskrows, "BIG", 0)
    assert len(diskrows.rows_at(raw, "super_glue/multirc")) == 6
    with pytest.raises(t0.DataError, match="convert the file first: t0native data convert super_glue/multirc"):
        diskrows.open_rows(raw, "super_glue/multirc")[1]
    hub = t0.convert_data("super_glue/multirc", raw, tmp_path)
    assert isinstance(diskrows.rows_at(hub, "super_glue/multirc"), diskrows.DiskRows)


def test_a_file_without_labels_is_told(caplog, tmp_path):
    place = t0.convert_data("super_glue/rte", made(tmp_path, "test.jsonl", lines(PAIR, PAIR)), tmp_path, split="test")
    assert [row["label"] for row in read_jsonl(place)] == [-1, -1]
    assert "test.jsonl: no row has a label; -1 is written" in caplog.text


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
