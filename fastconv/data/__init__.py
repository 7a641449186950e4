"""Images to train on: folders of the user's own, or a small data set that fastconv draws itself."""

from fastconv.data.dataset import DataError, ImageDataset, Split
from fastconv.data.folders import load_folders
from fastconv.data.synthetic import CLASS_NAMES as SYNTHETIC_CLASS_NAMES
from fastconv.data.synthetic import draw_synthetic

__all__ = [
    "SYNTHETIC_CLASS_NAMES",
    "DataError",
    "ImageDataset",
    "Split",
    "draw_synthetic",
    "load_folders",
]
