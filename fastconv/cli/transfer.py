"""`fastconv transfer`."""

from fastconv.cli import training_options
from fastconv.cli.arguments import not_negative, number

_OUTPUT = "runs/vgg16"


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "transfer",
        help="train the vgg16 system on a folder of images, from VGG16's weights",
        description="Trains the vgg16 system in two phases: a new head on VGG16's frozen "
        "convolutions, then head and last block at a much smaller learning rate. Writes a run "
        "folder, is interrupted and resumed as `fastconv train`.",
        epilog="example: fastconv transfer --data fruit --weights vgg16_notop.h5 --output "
        "runs/fruit, where fruit holds train/<class>/ and test/<class>/ folders of images",
    )
    training_options.add(parser, _OUTPUT)
    parser.add_argument(
        "--weights",
        metavar="imagenet|FILE|none",
        help="of the convolutions: those that Keras downloads, a weights file for VGG16 without "
        "its top or a .keras model, or random ones (default: imagenet)",
    )
    parser.add_argument(
        "--fine-tune-epochs",
        type=not_negative,
        metavar="N",
        help="as --epochs, of the second phase; 0: leave it out (default: the system's)",
    )
    parser.add_argument(
        "--fine-tune-learning-rate",
        type=number,
        metavar="X",
        help="as --learning-rate, of the second phase (default: the system's)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv import train

    training_options.check(options, {"--data DIR": options.data})
    settings = training_options.settings(options)
    for name in ("weights", "fine_tune_epochs", "fine_tune_learning_rate"):
        settings[name] = getattr(options, name)
    if options.resume is not None:
        train.resume(options.resume, **settings)
    else:
        if settings["weights"] is None:
            del settings["weights"]
        train.transfer(output=options.output or _OUTPUT, **settings)
