"""`fastconv train`."""

from fastconv.cli import training_options
from fastconv.models import SYSTEMS

_SYSTEMS = [name for name, system in SYSTEMS.items() if not system.phases]


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "train",
        help="train a documented system on a folder of images",
        description="Trains a documented system on a folder of images and writes a run folder with "
        "the model, its history, learning curves and TensorBoard logs. Ctrl-C saves after the "
        "current step; --resume continues with the same result as without the interrupt.",
        epilog="example: fastconv train cifar10 --data photos --epochs 20 --output runs/photos, "
        "where photos holds train/<class>/ and test/<class>/ folders of images",
    )
    parser.add_argument(
        "system", nargs="?", metavar="SYSTEM", choices=_SYSTEMS, help="one of %(choices)s"
    )
    parser.add_argument("--variant", metavar="NAME", help="of fruits360: v1 to v6 (default: v6)")
    training_options.add(parser, "runs/SYSTEM")
    parser.add_argument(
        "--grayscale",
        action="store_const",
        const=True,
        help="turn the images to grey levels (default: as they are)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv import train

    training_options.check(options, {"SYSTEM": options.system, "--data DIR": options.data})
    settings = training_options.settings(options)
    settings |= {name: getattr(options, name) for name in ("system", "variant", "grayscale")}
    if options.resume is not None:
        train.resume(options.resume, **settings)
    else:
        train.train(output=options.output or f"runs/{options.system}", **settings)
