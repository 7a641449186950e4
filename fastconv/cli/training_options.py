"""What `fastconv train` and `fastconv transfer` share."""

from fastconv.cli.arguments import image_size, names, not_negative, number, positive
from fastconv.errors import InputError
from fastconv.models import BACKENDS, PRECISIONS

_SETTINGS = (
    *("data", "backend", "classes", "limit_classes", "image_size", "batch_size", "learning_rate"),
    *("epochs", "validation_split", "augment", "patience", "precision", "seed"),
)


def add(parser, default_output):
    """Adds the options that both commands have; those that are not given are None.

    Args:
        parser: the command's parser.
        default_output: string, where a new run goes without `--output`, for the help.
    """
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder of images: train/<class>/ and test/<class>/, <class>/, or MNIST's idx files",
    )
    parser.add_argument(
        "--output", metavar="RUN", help=f"run folder to write (default: {default_output})"
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="continue a run that was interrupted, with its settings"
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="layers and optimizer: fastconv's or those of stock Keras (default: fastconv)",
    )
    parser.add_argument(
        "--classes",
        type=names,
        metavar="A,B,C",
        help="use these classes, in this order (default: all, in alphabetical order)",
    )
    parser.add_argument(
        "--limit-classes",
        type=positive,
        metavar="N",
        help="use the first N classes in alphabetical order (default: all)",
    )
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="N or HxW",
        help="resize images to so many pixels (default: the system's size)",
    )
    parser.add_argument(
        "--batch-size", type=positive, metavar="N", help="images per step (default: the system's)"
    )
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="at most so many (default: the system's)"
    )
    parser.add_argument(
        "--learning-rate",
        type=number,
        metavar="X",
        help="of the first step (default: the system's)",
    )
    parser.add_argument(
        "--validation-split",
        type=number,
        metavar="X",
        help="share of the training images to validate on; 0: validate on test/ (default: the "
        "system's)",
    )
    parser.add_argument(
        "--no-augment",
        dest="augment",
        action="store_const",
        const=False,
        help="do not vary the training images as the system does",
    )
    parser.add_argument(
        "--patience",
        type=not_negative,
        metavar="N",
        help="end after N epochs that were not better than the best one; 0: never (default: the "
        "system's)",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="Keras's dtype policy (default: float32)"
    )
    parser.add_argument(
        "--seed", type=not_negative, metavar="N", help="start of all random numbers (default: 0)"
    )


def settings(options):
    """Returns the settings that both commands have, by name; None where none was given."""
    return {name: getattr(options, name) for name in _SETTINGS}


def check(options, needed):
    """Checks that the options are those of a new run or of one to resume.

    Args:
        options: parsed options.
        needed: dict from what a new run cannot do without, as the help names it, to its value.

    Raises:
        InputError: something is missing, or `--output` names a second folder.
    """
    missing = [name for name, value in needed.items() if value is None]
    if options.resume is None and missing:
        raise InputError(
            f"A new run needs {' and '.join(needed)}; --resume RUN continues an old one. "
            f"Received: no {' and no '.join(missing)}"
        )
    if options.resume is not None and options.output is not None:
        raise InputError(
            "A resumed run stays in its folder: leave --output out. "
            f"Received: --resume {options.resume} --output {options.output}"
        )
