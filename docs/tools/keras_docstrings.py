"""Turns what Keras's docstrings write otherwise than Google's into Markdown."""

import re
import textwrap

import griffe

# From a prompt up to a line without text.
_SESSION = re.compile(r"^>>> .*(?:\n.*\S.*)*", re.MULTILINE)
_CONSTRUCTOR = "Creates the layer; see the class."
# A title and what is indented below it; sections that Google's style knows by a type each, or not.
_SECTION = re.compile(
    r"^(Call arguments|Returns|Yields|Input shape|Output shape):\n((?: {4}.*\n?|\n(?= {4}))+)",
    re.MULTILINE,
)
_ARGUMENT = re.compile(r"^(\w+): ", re.MULTILINE)


class KerasDocstrings(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_instance(self, *, obj, **kwargs):
        """Changes the docstring of an object that was read."""
        del kwargs
        if obj.docstring is None:
            return
        if obj.docstring.value == _CONSTRUCTOR:
            obj.docstring = None
            return
        text = _SESSION.sub(r"\n```pycon\n\g<0>\n```", obj.docstring.value)
        text = re.sub("^Example:$", "**Example:**", text, flags=re.MULTILINE)
        obj.docstring.value = _SECTION.sub(_paragraph, text)


def _paragraph(section):
    text = textwrap.dedent(section[2])
    if section[1] == "Call arguments":
        text = _ARGUMENT.sub(r"- `\1`: ", text)
    return f"**{section[1]}:**\n\n{text}"
