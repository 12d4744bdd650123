"""Tables of text, and the plot as SVG."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from .wrk import Load

COLOURS = ("#666666", "#1f77b4", "#d62728", "#9ecae1", "#fcaaaa")
WIDTH, HEIGHT, LEFT, TOP = 420, 260, 60, 40  # of a panel's axes, and their margins


def table(rows: Sequence[Mapping[str, str | float]]) -> str:
    """In Markdown, the columns aligned."""
    texts = [
        list(rows[0]),
        *([f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        " | ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in texts
    ]
    rule = "|".join(f"{'-' * (width + 1)}{':' if i else '-'}" for i, width in enumerate(widths))
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def plot(curves: Mapping[str, Mapping[int, Load]], caption: str) -> str:
    """Throughput and p99 over the number of connections, side by side, both axes logarithmic."""
    panels = [
        panel(curves, "requests a second", lambda load: load.per_second),
        panel(curves, "p99, milliseconds", lambda load: load.p99),
    ]
    width, height = 2 * (WIDTH + LEFT + 20), HEIGHT + TOP + 90
    names = "".join(
        f'<text x="{LEFT + 170 * i}" y="{height - 32}" fill="{colour}">&#9679; {escape(name)}</text>'
        for i, (name, colour) in enumerate(zip(curves, COLOURS, strict=False))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{panels[0]}'
        f'<g transform="translate({width // 2})">{panels[1]}</g>{names}'
        f'<text x="{LEFT}" y="{height - 10}" font-size="10" fill="#666666">{escape(caption)}</text></svg>\n'
    )


def panel(curves: Mapping[str, Mapping[int, Load]], title: str, value: Callable[[Load], float]) -> str:
    points = {name: [(n, max(value(load), 0.01)) for n, load in loads.items()] for name, loads in curves.items()}
    values = [y for line in points.values() for _, y in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    counts = sorted({n for line in points.values() for n, _ in line})
    last = max(1.0, math.log2(counts[-1]))

    def x(n: int) -> float:
        return round(LEFT + WIDTH * math.log2(n) / last, 1)

    def y(v: float) -> float:
        return round(TOP + HEIGHT * (high - math.log10(v)) / (high - low), 1)

    parts = [f'<text x="{LEFT}" y="{TOP - 16}" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<path d="M{LEFT} {at}h{WIDTH}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{10**power:,}</text>')
    parts += [f'<text x="{x(n)}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{n}</text>' for n in counts]
    parts.append(f'<text x="{LEFT + WIDTH}" y="{TOP + HEIGHT + 34}" text-anchor="end">connections</text>')
    for line, colour in zip(points.values(), COLOURS, strict=False):
        path = " ".join(f"{x(n)},{y(v)}" for n, v in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "".join(parts)
