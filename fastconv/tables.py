"""Tables to print."""


def table(header, rows):
    """Returns a table in Markdown that also reads well as plain text.

    Args:
        header: list of strings, the columns' titles.
        rows: list of lists of strings. The first column is aligned to the left, the others to the
            right.

    Returns:
        String without a line break at its end.

    Example:

    >>> print(table(["class", "images"], [["cat", "7"], ["dog", "12"]]))
    | class | images |
    | ----- | -----: |
    | cat   |      7 |
    | dog   |     12 |
    """
    header, *rows = ([cell.replace("|", r"\|") for cell in row] for row in (header, *rows))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *others in (header, rule, *rows):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
