"""The command line: one command per stage, each reading what the stage before left in the work folder."""
from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from .data import Streams
    from .target import Run

ROOT = Path(__file__).resolve().parents[2]
STAGES = "tokenizer, target, draft, export, evaluate"


def main() -> None:
    """Parses the command line and runs one stage."""
    arguments = _parser().parse_args()
    # Read by the libraries when they are first imported, hence the imports inside the stages.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, str(arguments.threads))
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m train", description=f"Trains the Shakespeare pair. Stages: {STAGES}.")
    commands = parser.add_subparsers(required=True, metavar="STAGE")

    def stage(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--work", type=Path, default=ROOT / ".cache" / "train",
                             help="folder of intermediate files (default: .cache/train in the repository)")
        command.add_argument("--data", type=Path, default=Path(__file__).parent / "data",
                             help="folder of the training text (default: the bundled one)")
        command.add_argument("--threads", type=int, default=1, help="default: 1; another number gives other last bits")
        command.set_defaults(run=run)
        return command

    stage("tokenizer", _tokenizer, "learn the byte-level BPE from the training part of the text (seconds)")
    target = stage("target", _target, "train the target (about two hours of one core)")
    draft = stage("draft", _draft, "distil the draft from the target (about twenty minutes of one core)")
    for command in (target, draft):
        command.add_argument("--seed", type=int, default=1, help="of weights, batches and dropout (default: 1)")
        command.add_argument("--steps", type=int, help="steps per phase instead of the planned number, to try things out")
        command.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16",
                             help="of matrix products (default: bfloat16, fast where the processor has it)")
    draft.add_argument("--target", type=Path, metavar="DIR", help="an exported target instead of WORK/target.pt")
    draft.add_argument("--teacher-ratio", type=float, default=1.0, help="share of the planned teacher data (default: 1)")
    export = stage("export", _export, "write and check the model folders of what is trained")
    export.add_argument("--out", type=Path, help="parent of the two folders (default: WORK/models)")
    evaluate = stage("evaluate", _evaluate, "measure an exported pair; prints JSON")
    evaluate.add_argument("--models", type=Path, default=ROOT / "models",
                          help="parent of the two folders (default: the bundled pair's)")
    evaluate.add_argument("--only", nargs="+", metavar="PART", help="reference, loss, samples, timing, acceptance, "
                          "calibration, lookup, noise, speculation (default: all)")
    evaluate.add_argument("--windows", type=int, help="most windows per loss, for a quick look")
    return parser


def _tokenizer(arguments: argparse.Namespace) -> None:
    from . import data, tokenizer

    corpus = data.load_corpus(arguments.data)
    path = arguments.work / "tokenizer.json"
    tokenizer.write(tokenizer.learn(corpus.train), path)
    encoder = tokenizer.Tokenizer(path)
    for name in ("train", "more", "heldout"):
        text = getattr(corpus, name)
        ids = encoder.encode(text)
        if encoder.decode(ids) != text:
            raise RuntimeError(f"{name} does not survive encoding and decoding")
        print(f"{name}: {len(text):,} bytes, {len(ids):,} tokens, {len(text) / len(ids):.3f} bytes per token")


def _streams(arguments: argparse.Namespace, tokenizer_file: Path) -> Streams:
    import torch
    from . import data, tokenizer

    torch.set_num_threads(arguments.threads)
    if not tokenizer_file.exists():
        raise SystemExit(f"{tokenizer_file} is missing: run an earlier stage first ({STAGES})")
    return data.encode_corpus(data.load_corpus(arguments.data), tokenizer.Tokenizer(tokenizer_file))


def _settings(arguments: argparse.Namespace) -> Run:
    import torch
    from .target import Run

    return Run(arguments.work, arguments.seed, getattr(torch, arguments.precision), arguments.steps)


def _target(arguments: argparse.Namespace) -> None:
    from .target import train_target

    print(train_target(_streams(arguments, arguments.work / "tokenizer.json"), _settings(arguments)))


def _draft(arguments: argparse.Namespace) -> None:
    from .draft import train_draft
    from .hf.folder import model_of
    from .nn.model import load_model
    from .teacher import TeacherPlan

    streams = _streams(arguments, (arguments.target or arguments.work) / "tokenizer.json")
    trained = arguments.work / "target.pt"
    if not arguments.target and not trained.exists():
        raise SystemExit(f"{trained} is missing: run the target stage first, or name a folder with --target")
    target = model_of(arguments.target) if arguments.target else load_model(trained)[0]
    plan = TeacherPlan() if arguments.teacher_ratio == 1 else TeacherPlan().scaled(arguments.teacher_ratio)
    print(train_draft(target, streams, _settings(arguments), plan))


def _export(arguments: argparse.Namespace) -> None:
    from .export import check_export, export_model

    tokenizer_file = arguments.work / "tokenizer.json"
    heldout = _streams(arguments, tokenizer_file).heldout
    trained = [kind for kind in ("target", "draft") if (arguments.work / f"{kind}.pt").exists()]
    if not trained:
        raise SystemExit(f"nothing trained yet in {arguments.work}: run an earlier stage first ({STAGES})")
    for kind in trained:
        folder = (arguments.out or arguments.work / "models") / f"shakespeare-{kind}"
        model = export_model(arguments.work / f"{kind}.pt", tokenizer_file, folder)
        print(f"{folder}: {check_export(folder, model, heldout)}", flush=True)


def _evaluate(arguments: argparse.Namespace) -> None:
    from .evaluate import Evaluation

    streams = _streams(arguments, arguments.models / "shakespeare-target" / "tokenizer.json")
    parts = Evaluation(arguments.models, streams, arguments.windows).parts()
    unknown = set(arguments.only or ()) - set(parts)
    if unknown:
        raise SystemExit(f"unknown part {min(unknown)}; known: {', '.join(parts)}")
    for name in arguments.only or parts:
        print(json.dumps({name: parts[name]()}, indent=1, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
