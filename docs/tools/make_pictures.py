"""Makes the pictures of the systems' pages with fastconv's own commands, on images that it draws.

    python docs/tools/make_pictures.py [SYSTEM...]

trains each system for some minutes in a temporary folder, and writes to docs/pictures.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

from PIL import Image

from fastconv.data import draw_synthetic, write_folders

PICTURES = pathlib.Path(__file__).resolve().parents[1] / "pictures"
MAX_WIDTH = 750
QUALITY = 70  # of WebP, which keeps the files below the 100 kB that a test allows

# By system: its commands, and which files of its run folder become which pictures.
_EVALUATE = "evaluate runs/{system} --data shapes"
_SHOW = "show runs/{system} shapes/test/star/00000.png --max-maps 32"
SYSTEMS = {
    "cifar10": (
        ["train cifar10 --data shapes --batch-size 64 --epochs 20", _EVALUATE],
        {"curves": "curves", "confusion": "confusion"},
    ),
    "fruits360": (
        ["train fruits360 --data shapes --epochs 12", _SHOW],
        {"curves": "curves", "maps": "show/00000/maps-*-activation"},
    ),
    "food101": (
        [
            "train food101 --data shapes --classes disk,star,stripes --no-augment --epochs 10 "
            "--batch-size 16",
            _EVALUATE + " --classes disk,star,stripes",
            _SHOW,
        ],
        {
            "samples": "samples",
            "channels": "show/00000/channels",
            "maps": "show/00000/maps-*-activation",
        },
    ),
    "catsdogs": (
        [
            "train catsdogs --data shapes --classes frame,ring",
            _EVALUATE + " --classes frame,ring",
        ],
        {"curves": "curves", "samples": "samples"},
    ),
    "vgg16": (
        [
            "transfer --data shapes --classes disk,star,stripes --weights none --epochs 3 "
            "--fine-tune-epochs 3",
        ],
        {"curves": "curves"},
    ),
}


def main():
    """Runs the commands of the systems that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", default=[*SYSTEMS])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        dataset = draw_synthetic(train_per_class=100, test_per_class=20, image_size=(64, 64))
        write_folders(dataset, "shapes")
        for system in options.systems:
            commands, pictures = SYSTEMS[system]
            for command in commands:
                words = command.format(system=system).split()
                subprocess.run(["fastconv", *words], check=True)
            for name, pattern in pictures.items():
                file = min(pathlib.Path("runs", system).glob(f"{pattern}.png"))
                _shrink(file, PICTURES / f"{system}-{name}.webp")


def _shrink(source, target):
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > MAX_WIDTH:
        picture.thumbnail((MAX_WIDTH, picture.height), Image.Resampling.LANCZOS)
    picture.save(target, quality=QUALITY)
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
