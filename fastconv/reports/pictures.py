"""Pictures that a page carries within itself."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A picture as data URIs.

    Attributes:
        light: string, the data URI for a light page, and for paper.
        alt: string, what the picture shows, for who cannot see it.
        dark: string, the data URI for a dark page; None where one picture serves both. Defaults to
            `None`.
        caption: string, printed below the picture. Defaults to `""`.
    """

    light: str
    alt: str
    dark: str | None = None
    caption: str = ""


def data_uri(content, media_type):
    """Returns the data URI of a file's bytes.

    Args:
        content: bytes.
        media_type: string, such as `"image/png"`.

    Returns:
        String.
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def embed_png(content, alt, caption=""):
    """Returns the `Picture` of a PNG file's bytes.

    Args:
        content: bytes.
        alt: string, what it shows.
        caption: string, printed below it. Defaults to `""`.

    Returns:
        A `Picture`.
    """
    return Picture(data_uri(content, "image/png"), alt, caption=caption)
