"""What a trained model gets right and wrong, and what its layers see."""

from fastconv.evaluation.activations import (
    ActivationMaps,
    activation_maps,
    convolution_stages,
    first_filters,
)
from fastconv.evaluation.classifier import Classifier
from fastconv.evaluation.evaluate import evaluate
from fastconv.evaluation.metrics import ClassMetrics, Evaluation, Metrics, measure
from fastconv.evaluation.predict import Prediction, predict
from fastconv.evaluation.show import show

__all__ = [
    "ActivationMaps",
    "ClassMetrics",
    "Classifier",
    "Evaluation",
    "Metrics",
    "Prediction",
    "activation_maps",
    "convolution_stages",
    "evaluate",
    "first_filters",
    "measure",
    "predict",
    "show",
]
