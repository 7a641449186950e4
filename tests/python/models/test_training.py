"""Twenty steps of training on real images: both builds follow the same loss curve."""

import keras
import numpy as np
import pytest
from helpers import REPOSITORY
from tolerances import LOSS_CURVE

from fastconv.models import SYSTEMS, build

IMAGES = REPOSITORY.parent / "shared" / "data" / "cifar10" / "train"
STEPS = 20
BATCH = 32


@pytest.fixture(scope="module")
def batches():
    if not IMAGES.is_dir():
        pytest.skip(f"there are no CIFAR-10 images in {IMAGES}")
    files = [
        sorted(folder.glob("*.png"))[: STEPS * BATCH // 10] for folder in sorted(IMAGES.iterdir())
    ]
    # One image of each class after the other.
    paths = [path for group in zip(*files, strict=True) for path in group]
    x = np.stack([keras.utils.img_to_array(keras.utils.load_img(path)) for path in paths]) / 255
    y = keras.utils.to_categorical(np.arange(len(paths)) % 10, 10)
    return x.reshape(STEPS, BATCH, 32, 32, 3), y.reshape(STEPS, BATCH, 10)


def losses(system, backend, variant, batches, jit_compile, weights=None):
    """Returns the loss of each step, and the initial weights."""
    keras.utils.set_random_seed(1)  # equal dropout masks
    model = build(system, backend, input_shape=(32, 32, 3), classes=10, variant=variant)
    if weights is not None:
        model.set_weights(weights)
    weights = model.get_weights()
    description = SYSTEMS[system]
    model.compile(description.new_optimizer(backend), description.loss, jit_compile=jit_compile)
    curve = []
    for x, y in zip(*batches, strict=True):
        model.reset_metrics()
        curve.append(float(model.train_on_batch(x, y)))
    return curve, weights


# In float64 without a regulariser: Keras cannot add its float64 loss to the float32 one.
@pytest.mark.parametrize(
    ("system", "variant", "jit_compile", "policy"),
    [
        ("cifar10", None, False, "float32"),
        ("cifar10", None, True, "float32"),
        ("cifar10", None, False, "float64"),
        ("fruits360", "v5", False, "float64"),
    ],
)
def test_loss_curves_agree(system, variant, jit_compile, policy, batches):
    keras.config.set_dtype_policy(policy)
    # Keras draws other masks with XLA, fastconv the same ones.
    stock, weights = losses(system, "stock", variant, batches, jit_compile=False)
    fast, _ = losses(system, "fastconv", variant, batches, jit_compile, weights)
    bound = LOSS_CURVE[policy]
    np.testing.assert_allclose(fast, stock, rtol=bound)
    assert max(stock) - min(stock) > bound * max(stock)  # else a constant would pass
