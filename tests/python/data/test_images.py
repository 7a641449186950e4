import re

import numpy as np
import pytest
from image_folders import write_image
from PIL import Image

from fastconv.data import DataError, IdxImage, load_image, load_images
from fastconv.data.images import is_grey


def gradient(height, width):
    """Pixels whose three channels are row, column and a constant: all turns of it differ."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([8 * rows, 8 * columns, np.full_like(rows, 40)], axis=2).astype("uint8")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_exif_says(tmp_path, orientation):
    upright = gradient(8, 12)
    # What a camera stores so that the orientation makes it upright again, after the EXIF standard.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(load_image(path, (8, 12)), upright)


def test_large_jpegs_are_reduced_as_whole_ones(tmp_path):
    path = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).normal(0, 40, (200, 320, 3))
    smooth = Image.fromarray(gradient(5, 8)).resize((320, 200), Image.Resampling.BICUBIC)
    pixels = np.clip(64 + 2.0 * np.asarray(smooth) + noise, 0, 255).astype("uint8")
    Image.fromarray(pixels).save(path, quality=95)
    with Image.open(path) as image:
        whole = image.convert("RGB").resize((32, 20), Image.Resampling.BILINEAR)
    reduced = load_image(path, (20, 32)).astype(int)
    difference = np.abs(reduced - np.asarray(whole))
    # The decoder averages 2x2 pixels where resizing would weigh them by distance: 0.25 in the mean.
    # To the result's own size it would average 4x4: 0.55.
    assert difference.mean() < 0.4
    assert difference.max() < 5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_grey_or_rgb(tmp_path, mode, channels):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    # The palette of mode P holds multiples of 51.
    plain = (204, 51, 0) if mode in ("P", "RGB", "RGBA", "CMYK") else (180, 180, 180)
    if mode == "I;16":
        Image.fromarray(np.full((6, 5), 180 * 257, "uint16")).save(path)
    elif mode == "1":
        plain = (255, 255, 255)
        Image.new("1", (5, 6), 1).save(path)
    else:
        Image.new("RGB", (5, 6), plain).convert(mode).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
    luma = round(np.dot(plain, [0.299, 0.587, 0.114]))  # ITU-R 601, which Pillow follows
    expected = plain if channels == 3 else [luma]
    pixels = load_image(path, (6, 5), channels)
    assert pixels.shape == (6, 5, channels)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), np.broadcast_to(expected, pixels.shape), atol=1)


def test_a_palette_with_transparency_is_read(tmp_path):
    path = tmp_path / "image.png"
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(path, transparency=bytes((0, 128)))
    np.testing.assert_array_equal(load_image(path, (4, 4))[0, 0], [10, 200, 30])


def test_values_of_32_bits_are_refused(tmp_path):
    path = tmp_path / "depth.tif"
    Image.fromarray(np.ones((4, 4), "float32")).save(path)
    with pytest.raises(DataError, match=r"32 bits a value.*Received: .*depth\.tif"):
        load_image(path, (4, 4))


@pytest.mark.parametrize(("size", "channels"), [((7, 5), 1), ((7, 5), 3), ((14, 10), 1)])
def test_images_of_idx_files_are_read(size, channels):
    pixels = np.full((7, 5), 90, "uint8")
    loaded = load_image(IdxImage("images", 0, pixels), size, channels)
    np.testing.assert_array_equal(loaded, np.full((*size, channels), 90, "uint8"))


def test_many_images_come_in_their_order(tmp_path):
    paths = [write_image(tmp_path / f"{k}.png", seed=k) for k in range(40)]
    images = load_images(paths, (9, 7))
    expected = [np.asarray(Image.open(path)) for path in paths]
    np.testing.assert_array_equal(images, expected)


def test_all_unreadable_images_are_named(tmp_path):
    paths = [write_image(tmp_path / f"{k}.png", seed=k) for k in range(5)]
    paths[1].write_bytes(b"")
    paths[3].write_bytes(paths[3].read_bytes()[:-60])
    with pytest.raises(DataError, match=r"^2 images.*Received: .*1\.png, .*3\.png$"):
        load_images(paths, (9, 7))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nowhere.png", "No such file or directory"),
        ("folder.png", "Is a directory"),
        ("empty.png", "its format is unknown"),
    ],
)
def test_a_path_is_named_once(tmp_path, name, problem):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").write_bytes(b"")
    message = (
        f"The image cannot be read ({problem}). Replace or remove it. Received: {tmp_path / name}"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_image(tmp_path / name, (9, 7))


def test_a_truncated_jpeg_is_named(tmp_path):
    path = tmp_path / "cut.jpg"
    Image.fromarray(gradient(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"truncated.*Received: .*cut\.jpg"):
        load_image(path, (32, 32))


def test_grey_images_are_told_from_the_header(tmp_path):
    assert is_grey(write_image(tmp_path / "grey.png", seed=0, mode="L"))
    assert not is_grey(write_image(tmp_path / "colour.png", seed=0))
    assert is_grey(IdxImage("images", 0, np.zeros((2, 2), "uint8")))
