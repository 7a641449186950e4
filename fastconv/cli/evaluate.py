"""`fastconv evaluate`."""

from fastconv.cli.arguments import names, not_negative, positive


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on images whose classes are known",
        description="Prints the accuracy, and precision, recall, F-score and support of every "
        "class; writes them with the confusion matrix and 20 random images to evaluation.json, "
        "evaluation.md, confusion.png and samples.png.",
        epilog="example: fastconv evaluate runs/cifar10 --data photos, where photos holds "
        "test/<class>/ folders of images",
    )
    parser.add_argument("model", metavar="MODEL", help="model.keras, or a run folder")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument(
        "--split",
        choices=("test", "train"),
        default="test",
        help="which split to evaluate on (default: %(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=names,
        metavar="A,B,C",
        help="which of the model's classes to evaluate on (default: all)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder to write to (default: the model's own)"
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        default=32,
        metavar="N",
        help="images per step (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="start of the random choice of the 20 images (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv.evaluation import evaluate, summary

    evaluation = evaluate(
        options.model,
        options.data,
        split=options.split,
        classes=options.classes,
        output=options.output,
        batch_size=options.batch_size,
        seed=options.seed,
    )
    print(f"{summary.sentence(evaluation)}\n\n{summary.class_table(evaluation)}\n")
    print(f"Written: {', '.join(str(file) for file in evaluation.files)}")
