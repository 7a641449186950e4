"""Keras layers, in the conventions of `keras.layers`."""

from fastconv.layers.dense import Dense
from fastconv.layers.dropout import Dropout
from fastconv.layers.fused_conv2d import FusedConv2D
from fastconv.layers.max_pooling2d import MaxPooling2D

__all__ = ["Dense", "Dropout", "FusedConv2D", "MaxPooling2D"]
