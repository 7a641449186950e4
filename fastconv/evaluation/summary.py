"""An evaluation in words and tables, and as JSON."""

from __future__ import annotations

import dataclasses
import json

from fastconv import tables
from fastconv.evaluation.metrics import Evaluation, Metrics


def sentence(evaluation: Evaluation) -> str:
    """Returns the accuracy in a sentence.

    Args:
        evaluation: An `Evaluation`.

    Returns:
        One line.
    """
    return (
        f"Accuracy: {evaluation.accuracy:.2%} of {evaluation.images} images of the "
        f"{evaluation.split} split of {evaluation.data}."
    )


def class_table(metrics: Metrics) -> str:
    """Returns the table of all classes, the best F-score first.

    Args:
        metrics: `Metrics`, such as an `Evaluation`.

    Returns:
        A table in Markdown that also reads well as plain text.
    """
    return tables.table(
        ["class", "precision", "recall", "F-score", "support"],
        [
            [
                each.class_name,
                f"{each.precision:.4f}",
                f"{each.recall:.4f}",
                f"{each.f_score:.4f}",
                str(each.support),
            ]
            for each in metrics.per_class
        ],
    )


def confusion_table(metrics: Metrics) -> str:
    """Returns the confusion matrix: true classes in rows, predicted ones in columns.

    Args:
        metrics: `Metrics`, such as an `Evaluation`.

    Returns:
        A table in Markdown that also reads well as plain text.
    """
    return tables.table(
        ["true \\ predicted", *metrics.class_names],
        [
            [name, *map(str, row)]
            for name, row in zip(metrics.class_names, metrics.confusion.tolist(), strict=True)
        ],
    )


def json_text(evaluation: Evaluation) -> str:
    """Returns the whole `evaluation.json`.

    Args:
        evaluation: An `Evaluation`.

    Returns:
        String.
    """
    record = dataclasses.asdict(evaluation)
    record["confusion"] = evaluation.confusion.tolist()
    record["files"] = [file.name for file in evaluation.files]
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def markdown(evaluation: Evaluation) -> str:
    """Returns the whole `evaluation.md`.

    Args:
        evaluation: An `Evaluation`.

    Returns:
        String.
    """
    return (
        f"# Evaluation of {evaluation.model}\n\n"
        f"{sentence(evaluation)} System: {evaluation.system}, {evaluation.backend} build.\n\n"
        f"{class_table(evaluation)}\n\n"
        "Precision or recall of a class without predictions or images counts as 0.\n\n"
        "## Confusion matrix\n\n"
        f"{confusion_table(evaluation)}\n\n"
        "![Confusion matrix](confusion.png)\n\n"
        "## Random images, titled predicted (true)\n\n"
        "![Random images](samples.png)\n"
    )
