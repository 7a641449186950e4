"""`fastconv demo`."""

from fastconv import demo
from fastconv.cli.arguments import not_negative, positive


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "demo",
        help="train one model in stock Keras and in fastconv, compare speed and accuracy",
        description="Trains the cifar10 system twice from equal weights, in stock Keras layers and "
        "in fastconv's, then prints a table and writes it and the learning curves to a folder.",
        epilog="example: fastconv demo --data photos --epochs 20, where photos holds "
        "train/<class>/ and test/<class>/ folders of images",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder with train/<class>/ and test/<class>/ images (default: a synthetic data set "
        "that fastconv draws)",
    )
    parser.add_argument(
        "--epochs",
        type=positive,
        default=10,
        metavar="N",
        help="epochs of each of the two (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        default=256,
        metavar="N",
        help="images per training step (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        default="fastconv-demo",
        metavar="DIR",
        help="folder to write the results to (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="start of all random numbers (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    demo.run(
        data=options.data,
        epochs=options.epochs,
        batch_size=options.batch_size,
        output=options.output,
        seed=options.seed,
    )
