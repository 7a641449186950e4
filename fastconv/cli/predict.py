"""`fastconv predict`."""

import json

from fastconv import tables
from fastconv.cli.arguments import positive


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "predict",
        help="tell what a trained model takes images for",
        description="Prints the most probable class of an image, or of every image of a folder, "
        "with its probability.",
        epilog="example: fastconv predict runs/cifar10 holiday --top 3 --json",
    )
    parser.add_argument("model", metavar="MODEL", help="model.keras, or a run folder")
    parser.add_argument("path", metavar="IMAGE_OR_FOLDER", help="image, or folder of images")
    parser.add_argument(
        "--top",
        type=positive,
        default=1,
        metavar="K",
        help="how many of the most probable classes to print (default: %(default)s)",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="take the images of folders within, too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_run)


def _run(options):
    from fastconv.evaluation import predict

    predictions = predict(options.model, options.path, top=options.top, recursive=options.recursive)
    print(_json(predictions) if options.json else _table(predictions))


def _json(predictions):
    records = [
        {
            "image": str(prediction.path),
            "class_name": prediction.class_name,
            "probability": prediction.probability,
            "top": [
                {"class_name": name, "probability": probability}
                for name, probability in prediction.classes
            ],
        }
        for prediction in predictions
    ]
    return json.dumps(records, indent=2, ensure_ascii=False)


def _table(predictions):
    rows = []
    for prediction in predictions:
        image = str(prediction.path)
        for name, probability in prediction.classes:
            rows.append([image, name, f"{probability:.2%}"])
            image = ""  # named in the first of its rows
    return tables.table(["image", "class", "probability"], rows, left=2)
