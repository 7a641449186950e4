"""Turns models of stock Keras layers into models of fastconv's layers, and back."""

from fastconv.conversion.convert import convert

__all__ = ["convert"]
