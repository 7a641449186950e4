"""Images to train on: folders of the user's own, or a small data set that fastconv draws itself."""

from fastconv.data.augmentation import Augmentation, Variations
from fastconv.data.dataset import ImageDataset, Split
from fastconv.data.folders import load_folders, write_folders
from fastconv.data.idx import IdxImage
from fastconv.data.images import IMAGE_EXTENSIONS, ImageSource, load_image, load_images
from fastconv.data.listing import (
    ImageListing,
    ImageSplit,
    list_image_files,
    list_images,
    list_split,
)
from fastconv.data.pipeline import LABEL_MODES, ImagePipeline
from fastconv.data.preparation import Preparation, prepare
from fastconv.data.synthetic import CLASS_NAMES as SYNTHETIC_CLASS_NAMES
from fastconv.data.synthetic import draw_synthetic
from fastconv.errors import DataError

__all__ = [
    "IMAGE_EXTENSIONS",
    "LABEL_MODES",
    "SYNTHETIC_CLASS_NAMES",
    "Augmentation",
    "DataError",
    "IdxImage",
    "ImageDataset",
    "ImageListing",
    "ImagePipeline",
    "ImageSource",
    "ImageSplit",
    "Preparation",
    "Split",
    "Variations",
    "draw_synthetic",
    "list_image_files",
    "list_images",
    "list_split",
    "load_folders",
    "load_image",
    "load_images",
    "prepare",
    "write_folders",
]
