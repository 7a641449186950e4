"""`fastconv prepare`."""

from fastconv.cli.arguments import not_negative, number


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "prepare",
        help="split class folders of images into train/ and test/",
        description="Splits SOURCE/<class>/ into OUTPUT/train/<class>/ and OUTPUT/test/<class>/, "
        "by a share of every class or by lists as Food-101 has them. Images are linked, or copied; "
        "the source stays as it is. Run it again to complete what an interrupt left undone.",
        epilog="example: fastconv prepare food-101/images food-101-split --train-list "
        "food-101/meta/train.json --test-list food-101/meta/test.json",
    )
    parser.add_argument("source", metavar="SOURCE", help="folder that holds <class>/ with images")
    parser.add_argument("output", metavar="OUTPUT", help="folder to make")
    parser.add_argument(
        "--test-fraction",
        type=number,
        metavar="SHARE",
        help="share of the images of every class for the test split, such as 0.2",
    )
    parser.add_argument(
        "--train-list",
        metavar="FILE",
        help='JSON file of the training images: {"class": ["class/image", ...], ...}',
    )
    parser.add_argument("--test-list", metavar="FILE", help="the same of the test images")
    parser.add_argument(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="start of the random choice (default: %(default)s)",
    )
    parser.add_argument("--copy", action="store_true", help="copy the images instead of linking")
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv.data import prepare

    try:
        made = prepare(
            options.source,
            options.output,
            test_fraction=options.test_fraction,
            train_list=options.train_list,
            test_list=options.test_list,
            seed=options.seed,
            link=not options.copy,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("repeat the command to complete the output") from None
    train, test = (sum(made.counts[split].values()) for split in ("train", "test"))
    kinds = " and ".join(f"{count} {_plural(kind)}" for kind, count in made.kinds.items() if count)
    print(
        f"{made.output}: {len(made.counts['train'])} classes, {train} training and {test} test "
        f"images ({kinds})"
    )
    if made.left_out:
        print(f"{made.left_out} images are in neither list")


def _plural(kind):
    return "copies" if kind == "copy" else f"{kind}s"
