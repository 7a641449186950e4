"""`fastconv show`."""

from fastconv.cli.arguments import names, positive


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "show",
        help="draw what a trained model's layers make of an image",
        description="Draws an image's channels, the filters of the model's first layer, and "
        "activation maps of layers, stage by stage also inside fused layers.",
        epilog="example: fastconv show runs/cifar10 cat.jpg --layers fused_conv2d,fused_conv2d_1",
    )
    parser.add_argument("model", metavar="MODEL", help="model.keras, or a run folder")
    parser.add_argument("image", metavar="IMAGE", help="image file")
    parser.add_argument(
        "--layers",
        type=names,
        metavar="A,B,C",
        help="names of the layers to draw (default: the first two convolutions and what follows "
        "them)",
    )
    parser.add_argument(
        "--max-maps",
        type=positive,
        default=64,
        metavar="N",
        help="activation maps to draw in one picture (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder to write to (default: show/<image> in the model's own)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv.evaluation import show

    files = show(
        options.model,
        options.image,
        output=options.output,
        layers=options.layers,
        max_maps=options.max_maps,
    )
    print("Written:", *files, sep="\n  ")
