"""Line charts as SVG: panels below each other that share one horizontal axis."""

import math
from html import escape

WIDTH, PANEL_HEIGHT, LEFT, RIGHT, TOP, GAP, BOTTOM = 760, 200, 70, 90, 50, 34, 52
COLOURS = ["#1f6feb", "#c2410c", "#15803d"]


def ticks(most):
    """Round numbers from 0 up to at least `most`, about five of them."""
    rough = most / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [i * step for i in range(math.ceil(most / step) + 1)]


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def write(path, title, x_label, xs, marks, panels, is_logarithmic=False):
    """`marks`: numbers on the horizontal axis, from end to end; `panels`: dicts of `label` (with its unit) and `series` (name to one
    value for each of `xs`), which begin at 0."""
    height = TOP + len(panels) * PANEL_HEIGHT + (len(panels) - 1) * GAP + BOTTOM
    right = WIDTH - RIGHT
    low, high = (math.log(marks[0]), math.log(marks[-1])) if is_logarithmic else (marks[0], marks[-1])

    def across(x):
        return LEFT + (right - LEFT) * ((math.log(x) if is_logarithmic else x) - low) / (high - low)

    # A background of its own, so that it can be read on a dark page too.
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           'font-family="system-ui, sans-serif" font-size="13" fill="#24292f">',
           f"<title>{escape(title)}</title>",
           f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
           text(LEFT, 26, title, "start", 'font-size="15" font-weight="600"')]
    for k, panel in enumerate(panels):
        top = TOP + k * (PANEL_HEIGHT + GAP)
        bottom = top + PANEL_HEIGHT
        levels = ticks(max(max(values) for values in panel["series"].values()))

        def up(value, bottom=bottom, most=levels[-1]):
            return bottom - (PANEL_HEIGHT - 18) * value / most

        out.append(text(LEFT, top + 8, panel["label"], "start", 'font-weight="600"'))
        for level in levels:
            out.append(f'<line x1="{LEFT}" x2="{right}" y1="{up(level):.1f}" y2="{up(level):.1f}" stroke="{"#57606a" if level == 0 else "#e4e8ec"}"/>')
            out.append(text(LEFT - 8, up(level) + 4, f"{level:g}", "end"))
        for mark in marks:
            out.append(f'<line x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{bottom}" y2="{bottom + 5}" stroke="#57606a"/>')
            if k == len(panels) - 1:
                out.append(text(across(mark), bottom + 20, f"{mark:g}"))
        ends = []
        for colour, (name, values) in zip(COLOURS, panel["series"].items()):
            points = [(across(x), up(value)) for x, value in zip(xs, values)]
            out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
            ends.append([points[-1][1], name, colour])
        if len(ends) > 1:
            # Names stand at the lines' ends, moved apart where they would lie on each other.
            ends.sort()
            for above, below in zip(ends, ends[1:]):
                below[0] = max(below[0], above[0] + 16)
            shift = max(0, ends[-1][0] - bottom + 4)
            out += [text(right + 12, y + 4 - shift, name, "start", f'fill="{colour}" font-weight="600"') for y, name, colour in ends]
    out.append(text((LEFT + right) / 2, height - 12, x_label))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*out, "</svg>"]) + "\n")
