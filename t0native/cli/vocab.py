"""The verb vocab."""

from t0native.cli.targets import check_target, force_option
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_vocab"]


def add_vocab(verbs):
    examples = ["train corpus.txt more.txt --out spiece.model --size 8000"]
    parser = verb(verbs, "vocab", _run_vocab, "make a vocabulary of texts (by the sentencepiece package, the extra [vocab])", examples)
    parser.add_argument("action", choices=("train",))
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="UTF-8 files, a sentence or paragraph a line")
    parser.add_argument("--out", required=True, metavar="FILE", help="the SentencePiece model to write")
    parser.add_argument("--size", type=int, default=32000, metavar="N", help="pieces (default 32000, as T5)")
    force_option(parser)
    json_option(parser)
    parser.add_argument("--byte-fallback", action="store_true", help="256 pieces for bytes: no character is unknown")


def _run_vocab(args):
    from t0native.text.vocabulary import train_vocabulary

    check_target(args.out, args.force)
    tokenizer = train_vocabulary(args.texts, args.out, size=args.size, byte_fallback=args.byte_fallback)
    if args.json:
        print_json({"path": args.out, "pieces": tokenizer.n_pieces, "sha256": tokenizer.fingerprint})
    else:
        print(f"{args.out}: {tokenizer.n_pieces} pieces, SHA-256 {tokenizer.fingerprint}")
    return FINE
