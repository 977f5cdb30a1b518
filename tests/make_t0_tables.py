"""Makes t0native/data/t0_datasets.json, the table of facts behind t0native.Mixture.t0, from four public sources:

datasets.csv            of bigscience-workshop/t-zero 7a699e3: which dataset trains or evaluates what, and its training size
t0_dataset_infos.json   split sizes, home pages and types of the features, of the hub's dataset_infos.json files of June 2022
promptsource 0.1.0      how many prompts a dataset has, how many are of the original task, and a hash of them (no text of theirs)
RENAMED, NOT_SELECTED   below: hub ids since 2024 as public code names them; t-zero's seqio_tasks (D4_TRAIN_SKIP_EVAL and the tasks
                        that it could not cache, which are all of wiki_hop's)

python tests/make_t0_tables.py ../shared/data/t0-mixture PROMPTSOURCE_0_1_0"""

import csv
import json
import sys
from pathlib import Path

TABLE = Path(__file__).parent.parent / "t0native" / "data" / "t0_datasets.json"
COLUMNS = (
    "dataset",
    "subset",
    "task",
    "train",
    "evaluate",
    "train_size",
    "selects",
    "prompts",
    "original",
    "sha256",
    "splits",
    "homepage",
    "types",
)
NOT_SELECTED = {
    *(
        "paws/labeled_final",
        "adversarial_qa/dbidaf",
        "adversarial_qa/dbert",
        "duorc/ParaphraseRC",
        "dream",
        "amazon_polarity",
        "app_reviews",
    ),
    *("imdb", "wiki_bio", "gigaword", "multi_news", "samsum", "dbpedia_14", "trec", "wiki_hop/original"),
}
RENAMED = """
    UCLNLP/adversarial_qa fancyzhx/ag_news allenai/ai2_arc fancyzhx/amazon_polarity facebook/anli sealuzh/app_reviews abisee/cnn_dailymail
    allenai/common_gen Salesforce/cos_e allenai/cosmos_qa nyu-mll/crows_pairs fancyzhx/dbpedia_14 dataset-org/dream ibm-research/duorc
    Harvard/gigaword nyu-mll/glue Rowan/hellaswag stanfordnlp/imdb google/jigsaw_toxicity_pred facebook/kilt_tasks alexfabbri/multi_news
    allenai/openbookqa google-research-datasets/paws ybisk/piqa allenai/qasc textmachinelab/quail community-datasets/quarel allenai/quartz
    allenai/quoref ehovy/race allenai/ropes cornell-movie-review-data/rotten_tomatoes Samsung/samsum allenai/sciq allenai/social_i_qa
    rajpurkar/squad_v2 LSDSem/story_cloze aps/super_glue CogComp/trec mandarjoshi/trivia_qa stanfordnlp/web_questions michaelauli/wiki_bio
    microsoft/wiki_qa uclanlp/wino_bias allenai/winogrande allenai/wiqa EdinburghNLP/xsum Yelp/yelp_review_full
""".split()


def table(facts, promptsource):
    """The whole table, of the folder with datasets.csv and t0_dataset_infos.json and of an unpacked promptsource 0.1.0."""
    from t0native.prompts.collection import PromptCollection
    from t0native.tasks.t0mixtures import prompts_hash

    prompts = PromptCollection.promptsource(promptsource)
    infos = json.loads(Path(facts, "t0_dataset_infos.json").read_text())
    rows = []
    for row in csv.DictReader(Path(facts, "datasets.csv").read_text().splitlines()):
        key = row["HF_name"], row["subset"] or None
        name = "/".join(filter(None, key))
        own = prompts[key] if key in prompts else {}
        original = sum(bool(prompt.metadata.original_task) for prompt in own.values())
        evaluate = row["do_eval"].removesuffix("_FAIRNESS") or None
        size = int(row["train_size"]) if row["train_size"] else None
        selects = row["do_train"] == "BASE" and name not in NOT_SELECTED
        info = infos[name]
        said = (row["task_by_convention"], row["do_train"] or None, evaluate, size, selects, len(own), original, prompts_hash(own))
        rows.append([*key, *said, info["splits"], info["homepage"], {field: type_of(at) for field, at in info["features"].items()}])
    return {"columns": COLUMNS, "rows": rows, "renamed": {name.split("/")[1]: name for name in RENAMED}}


def type_of(feature):
    """A feature of the library `datasets` as the table has it: "text", "int", "float", "bool"; {"names": [...]} of numbers that have
    names; {"list": type}; {"fields": {name: type}}. A sequence of fields is, in its rows, fields that are lists."""
    if isinstance(feature, list):
        return {"list": type_of(feature[0])}
    kind = feature.get("_type")
    if not isinstance(kind, str):
        return {"fields": {name: type_of(inner) for name, inner in feature.items()}}
    if kind == "Value":
        dtype = feature["dtype"]
        return "text" if "string" in dtype else dtype.rstrip("0123456789").lstrip("u")
    if kind == "ClassLabel":
        return {"names": feature["names"]}
    inner = type_of(feature["feature"])
    if isinstance(inner, dict) and "fields" in inner:
        return {"fields": {name: {"list": of} for name, of in inner["fields"].items()}}
    return {"list": inner}


def text(made):
    """The file: JSON with a dataset a line."""
    head = {key: value for key, value in made.items() if key != "rows"}
    rows = ",\n".join("  " + json.dumps(row) for row in made["rows"])
    return json.dumps(head, indent=1)[:-2] + ',\n "rows": [\n' + rows + "\n ]\n}\n"


if __name__ == "__main__":
    TABLE.write_text(text(table(*sys.argv[1:3])))
