"""Tables and sizes to print."""


def table(header, rows, left=1):
    """Returns a table in Markdown that also reads well as plain text.

    Args:
        header: list of strings, the columns' titles.
        rows: list of lists of strings.
        left: int, how many columns, the first ones, are aligned to the left; the others are to the
            right. Defaults to `1`.

    Returns:
        String without a line break at its end.

    Example:

    >>> from fastconv.tables import table
    >>> print(table(["class", "images"], [["cat", "7"], ["dog", "12"]]))
    | class | images |
    | ----- | -----: |
    | cat   |      7 |
    | dog   |     12 |
    """
    header, *rows = ([cell.replace("|", r"\|") for cell in row] for row in (header, *rows))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width if k < left else "-" * (width - 1) + ":" for k, width in enumerate(widths)]
    lines = []
    for row in (header, rule, *rows):
        cells = [
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def dimensions(sizes):
    """Returns sizes as one writes them.

    Args:
        sizes: iterable of ints.

    Returns:
        String.

    Example:

    >>> from fastconv.tables import dimensions
    >>> dimensions((32, 32, 3))
    '32x32x3'
    """
    return "x".join(map(str, sizes))
