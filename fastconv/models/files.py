"""A trained model as one file: Keras's archive with a description of what the model was made for.

`model.keras` opens with `keras.saving.load_model`, too, where fastconv is imported.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import zipfile

import keras

from fastconv.errors import InputError, reason
from fastconv.files import written_aside
from fastconv.version import __version__

MODEL_FILE = "model.keras"
_DESCRIPTION_FILE = "fastconv.json"


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """What a trained model takes and returns.

    Args:
        system: Name of the documented system, a key of `fastconv.models.SYSTEMS`.
        variant: The system's variant, None where it has none.
        backend: `"fastconv"` or `"stock"`, whose layers the model is made of.
        class_names: Names of the classes in the order of the labels.
        image_size: `(height, width)` of the images.
        channels: Number of channels of the images: 3 for RGB, 1 for grey levels.
        precision: Keras's dtype policy of the layers. Defaults to `"float32"`.
        rescale: What pixels of 0 to 255 are divided by. Defaults to `255`.
        fastconv: Version of fastconv that wrote the model. Defaults to this one.
    """

    system: str
    variant: str | None
    backend: str
    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    precision: str = "float32"
    rescale: int = 255
    fastconv: str = __version__

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of an image."""
        return (*self.image_size, self.channels)


def save_model(
    model: keras.Model, path: str | os.PathLike, description: ModelDescription
) -> pathlib.Path:
    """Writes a model and its description to one file, aside first and then renamed.

    Args:
        model: Keras model; with an optimizer, its state is written, too.
        path: Where to, ending in `.keras`.
        description: What the model was made for.

    Returns:
        The path of the file.

    Raises:
        InputError: The file cannot be written.

    Example:

    >>> description = fastconv.models.ModelDescription(
    ...     "cifar10", None, "fastconv", ("cat", "dog"), image_size=(32, 32), channels=3
    ... )
    >>> model = fastconv.models.build("cifar10", classes=2)
    >>> fastconv.models.save_model(model, "model.keras", description)
    PosixPath('model.keras')
    """
    path = pathlib.Path(path)
    with written_aside(path) as aside:
        keras.saving.save_model(model, aside)
        with zipfile.ZipFile(aside, "a") as archive:
            archive.writestr(
                _DESCRIPTION_FILE, json.dumps(dataclasses.asdict(description), indent=2)
            )
    return path


def load_model(path: str | os.PathLike) -> tuple[keras.Model, ModelDescription]:
    """Loads a model that `save_model` wrote, to predict with.

    Args:
        path: The file, or the run folder of `fastconv train` that holds `model.keras`.

    Returns:
        Tuple of the Keras model, not compiled, and its description.

    Raises:
        InputError: There is no such file, or it is none that `save_model` wrote.

    Example:

    >>> model, description = fastconv.models.load_model("runs/cifar10")
    >>> description.class_names
    ('cat', 'dog', 'horse')
    """
    path = _model_file(pathlib.Path(path))
    description = _read_description(path)
    try:
        model = keras.saving.load_model(path, compile=False)
    # What Keras, h5py and zipfile raise for damaged archives and for layers they do not know.
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The model cannot be loaded ({reason(error)}). Received: {path}"
        ) from error
    return model, description


def _model_file(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        raise InputError(
            "There is no such model: give a .keras file, or a folder that `fastconv train` wrote. "
            f"Received: {path}"
        )
    if path.is_dir():
        path = path / MODEL_FILE
        if not path.exists():
            raise InputError(
                f"The folder holds no {MODEL_FILE}: give one that `fastconv train` wrote. "
                f"Received: {path.parent}"
            )
    if path.suffix != ".keras":
        raise InputError(f"A model's file must end in .keras. Received: {path}")
    return path


def _read_description(path: pathlib.Path) -> ModelDescription:
    try:
        with zipfile.ZipFile(path) as archive:
            fields = json.loads(archive.read(_DESCRIPTION_FILE))
        return ModelDescription(
            **{
                **fields,
                "class_names": tuple(fields["class_names"]),
                "image_size": tuple(fields["image_size"]),
            }
        )
    except OSError as error:
        raise InputError(f"The model cannot be read ({reason(error)}). Received: {path}") from error
    except zipfile.BadZipFile as error:
        raise InputError(
            f"The file is damaged, or no Keras model at all ({error}). Received: {path}"
        ) from error
    # No description in the archive, or one with other fields.
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "The file has no description of classes and images, which `fastconv train` adds to a "
            f"Keras model (fastconv {__version__} looks for {_DESCRIPTION_FILE}). Received: {path}"
        ) from error
