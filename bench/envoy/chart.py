"""A bar chart as SVG, written by hand: groups of horizontal bars with whiskers from quartile to quartile."""

from dataclasses import dataclass, field
from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP = 960, 290, 90, 16, 4
COLOURS = {"api-guard": "#1f6feb", "empty module": "#8b949e", "native with cache": "#d29922", "native": "#bc4c00"}


@dataclass
class Bar:
    """One value with its spread."""

    name: str
    value: float
    low: float
    high: float


@dataclass
class Group:
    """Bars that are compared with each other."""

    title: str
    bars: list[Bar] = field(default_factory=list)


def draw(title: str, groups: list[Group]) -> str:
    """The whole SVG document."""
    groups = [group for group in groups if group.bars]
    widest = max((max(bar.value, bar.high) for group in groups for bar in group.bars), default=1.0)
    step = next((s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if widest / s <= 8), 10_000)
    scale = (WIDTH - LEFT - RIGHT) / max(widest, 0.001)
    body: list[str] = []
    y = 60
    for group in groups:
        body.append(_text(16, y + 4, group.title, "font-weight='600'"))
        y += 14
        for bar in group.bars:
            middle = y + BAR / 2
            body.append(_text(LEFT - 8, middle + 4, bar.name, "text-anchor='end'"))
            width = max(bar.value, 0) * scale
            body.append(f"<rect x='{LEFT}' y='{y}' width='{width:.1f}' height='{BAR}' fill='{_colour(bar.name)}'/>")
            low, high = (LEFT + max(v, 0) * scale for v in (bar.low, bar.high))
            whisker = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {y + 4}v8M{high:.1f} {y + 4}v8"
            body.append(f"<path d='{whisker}' stroke='#24292f'/>")
            body.append(_text(max(high, LEFT) + 6, middle + 4, f"{bar.value:.1f}", ""))
            y += BAR + GAP
        y += 18
    lines = []
    for i in range(int(widest / step) + 1):
        x = LEFT + i * step * scale
        lines.append(f"<path d='M{x:.1f} 44V{y}' stroke='#d0d7de'/>")
        lines.append(_text(x, y + 14, str(i * step), "text-anchor='middle' fill='#57606a'"))
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y + 28}' "
        f"font-family='system-ui, sans-serif' font-size='12'><rect width='100%' height='100%' fill='white'/>"
    )
    return "\n".join([head, _text(16, 26, title, "font-size='16' font-weight='600'"), *lines, *body, "</svg>\n"])


def _colour(name: str) -> str:
    return next((colour for prefix, colour in COLOURS.items() if name.startswith(prefix)), "#57606a")


def _text(x: float, y: float, words: str, more: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {more}>{escape(words)}</text>"
