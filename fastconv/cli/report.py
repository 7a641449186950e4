"""`fastconv report`."""


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page about a training run, or comparing several",
        description="Writes one HTML page, pictures included: configuration, model, curves, "
        "metrics, confusion matrix, sample predictions, activation maps and speed of a run; of "
        "several runs also what differs, and stock Keras against fastconv.",
        epilog="example: fastconv report runs/stock runs/fastconv --output comparison.html",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder that `fastconv train` or `fastconv transfer` wrote",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="file to write to (default: report.html in the folder of the only run, or in the "
        "current folder where there are several)",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder of images with a test split to evaluate the runs on first, and to draw the "
        "activation maps of one of them (default: show earlier evaluations)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv.reports import report

    for file in report(options.runs, options.output, options.data):
        print(f"Written: {file}")
