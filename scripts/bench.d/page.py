"""Results as text: tables, the targets, and the whole of docs/benchmarks.md."""

import os
from fractions import Fraction
from statistics import median

import growth
import inputs
import large
import near
import peers

UNITS = {"cpu": "CPU time", "wall": "wall time", "peak_mb": "memory"}
# Interval, peer, how many times vidgist's CPU seconds it should take at least.
TARGETS = [(interval, peer, ratio) for interval, ratios in {
    "1": {"opencv-read": 2.8, "ffmpeg": 2, "decord": 2.5}, "5": {"opencv-read": 5.5, "ffmpeg": 4, "decord": 2.3},
    "73/10": {"opencv-read": 5.5, "ffmpeg": 4, "decord": 2.5}, "317/10": {"opencv-read": 22, "ffmpeg": 16, "decord": 2.3},
}.items() for peer, ratio in (ratios | {"pyav-seek": 1.7, "video-reader-seek": 1.7}).items()]
CPU_TO_WALL, KEYFRAMES_AT_MOST = 1.7, 1.3
FLOOR_TEXT = """The targets were set on another input and another machine. "At the floor" is what would be measured if vidgist did nothing but decode the
frames that must be decoded, with nothing scaled, scored or written: a target above it cannot be reached on this input by this decoder."""


def seconds(interval):
    return f"{float(Fraction(interval)):g} s"


def middle(row, what):
    """The median over the rounds; None where nothing was measured."""
    return median(run[what] for run in row["runs"]) if row and row["runs"] and not row["error"] else None


def find(results, interval, peer):
    return next((row for row in results["rows"] if (row["interval"], row["peer"]) == (interval, peer)), None)


def ratio(row, ours, what):
    theirs, own = middle(row, what), middle(ours, what)
    return theirs / own if theirs and own else None


def times(value):
    return "" if value is None else f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def frames(row):
    found = row.get("check")
    if not found:
        return ""
    right = found["n"] if found["n_right"] is None else found["n_right"]
    return f"{right} of {row['expected']}" + (f", {found['n']} written" if found["n"] != row["expected"] else "")


def line(n_round, peer, row):
    """One run as it is shown while they go on."""
    at = seconds(row["interval"]) if row["interval"] else peer.job
    if row["error"]:
        return f"round {n_round}  {at:>10}  {peer.name:<32} {row['error']}"
    run = row["runs"][-1]
    return (f"round {n_round}  {at:>10}  {peer.name:<32} CPU {run['cpu']:6.1f} s  wall {run['wall']:6.1f} s  "
            f"peak {run['peak_mb']:5.0f} MB  {frames(row)}")


def span(row):
    """Least and most CPU seconds of the rounds, in brackets."""
    found = [run["cpu"] for run in row["runs"]]
    return f" ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else ""


def of_job(results, interval, job):
    return [row for row in results["rows"] if row["interval"] == interval and peers.BY_KEY[row["peer"]].job == job]


def table(results, interval):
    ours = find(results, interval, "vidgist" if interval else "vidgist-keyframe")
    lines = ["| | CPU s | to vidgist | wall s | to vidgist | peak MB | right frames |", "|---|---:|---:|---:|---:|---:|---:|"]
    for row in of_job(results, interval, "interval" if interval else "keyframes"):
        name = peers.BY_KEY[row["peer"]].name
        if row["error"]:
            lines.append(f"| {name} | not measured: {row['error']} | | | | | |")
        elif row["runs"]:
            cpu, wall, peak = (middle(row, what) for what in ("cpu", "wall", "peak_mb"))
            lines.append(f"| {name} | {cpu:.1f}{span(row)} | {times(ratio(row, ours, 'cpu'))} | {wall:.1f} | "
                         f"{times(ratio(row, ours, 'wall'))} | {peak:.0f} | {frames(row)} |")
    return "\n".join(lines)


def tables(results):
    parts = [f"### One frame each {seconds(interval)}\n\n{table(results, interval)}" for interval in results["intervals"]]
    if of_job(results, None, "keyframes"):
        parts.append(f"### Keyframes alone\n\n{table(results, None)}")
    if floor_table(results):
        parts.append(f"### The floor\n\n{floor_about(results)}\n\n{floor_table(results)}")
    return "\n\n".join(parts)


def per_reference(results):
    """CPU seconds that the decoder takes for a frame that others refer to; None where it was not measured."""
    cpu = middle(find(results, None, "references"), "cpu")
    return cpu and cpu / results["input"]["n_references"]


def floor(results, interval):
    """CPU seconds of decoding alone what must be decoded."""
    each = per_reference(results)
    return each and each * results["needed"][interval]


def floor_about(results):
    facts, cpu = results["input"], middle(find(results, None, "references"), "cpu")
    return (f"libavcodec with one thread takes {cpu:.1f} CPU s for the {facts['n_references']:,} of {facts['n_frames']:,} frames that others refer to,\n"
            f"with nothing scaled or written: {1000 * per_reference(results):.2f} ms each. What must be decoded at an interval is, of each GOP that holds\n"
            "a wanted frame, the frames that others refer to, from the keyframe up to the last wanted frame, and the wanted frames. Times these\n"
            "milliseconds, it is what no exact reader with this decoder can do without.")


def floor_table(results):
    """What is left of vidgist's time beside the decoder's own."""
    if not floor(results, results["intervals"][0]):
        return ""
    lines = ["| interval | must be decoded | that alone, CPU s | vidgist's whole job, CPU s | to that |", "|---:|---:|---:|---:|---:|"]
    for interval in results["intervals"]:
        least, cpu = floor(results, interval), middle(find(results, interval, "vidgist"), "cpu")
        lines.append(f"| {seconds(interval)} | {results['needed'][interval]:,} of {results['input']['n_frames']:,} frames | {least:.1f} | "
                     + (f"{cpu:.1f} | {cpu / least:.2f}x |" if cpu else "| |"))
    return "\n".join(lines)


def targets(results):
    """Each target with what was measured, whether it holds, and what the floor leaves to be reached."""
    lines = ["| target | measured | holds | at the floor |", "|---|---:|---|---:|"]

    def add(text, value, holds, best=None):
        lines.append(f"| {text} | {'not measured' if value is None else f'{value:.2f}x'} | {'' if value is None else 'yes' if holds else '**no**'} | "
                     f"{'' if best is None else f'{best:.2f}x'} |")

    for interval, peer, least in TARGETS:
        row, least_cpu = find(results, interval, peer), floor(results, interval)
        value, theirs = ratio(row, find(results, interval, "vidgist"), "cpu"), middle(row, "cpu")
        add(f"{seconds(interval)}: {peers.BY_KEY[peer].name} takes {least:g}x the CPU time of vidgist or more", value, value and value >= least,
            theirs and least_cpu and theirs / least_cpu)
    for interval in results["intervals"]:
        cpu, wall = (middle(find(results, interval, "vidgist"), what) for what in ("cpu", "wall"))
        value = cpu / wall if cpu else None
        add(f"{seconds(interval)}: vidgist's CPU time is {CPU_TO_WALL}x its wall time or more (2 cores)", value, value and value >= CPU_TO_WALL)
    value = ratio(find(results, None, "vidgist-keyframe"), find(results, None, "ffmpeg-keyframe"), "cpu")
    add(f"keyframes: vidgist takes {KEYFRAMES_AT_MOST}x the CPU time of ffmpeg or less", value, value and value <= KEYFRAMES_AT_MOST)
    return "\n".join(lines)


def megabits(facts):
    """Of each second."""
    return facts["n_bytes"] * 8 / facts["n_frames"] * inputs.FPS / 1e6


def content_table(contents):
    """What each tool takes beside vidgist, by what is seen in the input."""
    first = next(iter(contents.values()))
    names = [row["peer"] for row in of_job(first, first["intervals"][0], "interval") if row["peer"] != "vidgist"]
    lines = ["| content | interval | vidgist, CPU s | to the floor | " + " | ".join(peers.BY_KEY[name].name for name in names) + " |",
             "|---|---:|---:|---:|" + "---:|" * len(names)]
    for content, results in contents.items():
        for interval in results["intervals"]:
            ours, least = find(results, interval, "vidgist"), floor(results, interval)
            cpu = middle(ours, "cpu")
            cells = [times(ratio(find(results, interval, name), ours, "cpu")) for name in names]
            lines.append(f"| {inputs.CONTENTS[content].name}, {megabits(results['input']):.1f} Mbit/s | {seconds(interval)} | {f'{cpu:.1f}{span(ours)}' if cpu else 'not measured'} | "
                         f"{f'{cpu / least:.2f}x' if cpu and least else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def better(results):
    """Where other tools need less than vidgist."""
    found = []
    for interval in [*results["intervals"], None]:
        own = "vidgist" if interval else "vidgist-keyframe"
        rows = of_job(results, interval, "interval" if interval else "keyframes")
        ours, others = find(results, interval, own), [row for row in rows if row["peer"] != own]
        for what, unit in UNITS.items():
            less = [f"{peers.BY_KEY[row['peer']].name} ({value:.2f}x)" for row in others if (value := ratio(row, ours, what)) and value < 1]
            if less:
                found.append(f"- {seconds(interval) if interval else 'keyframes'}, less {unit}: {'; '.join(less)}.")
    return "\n".join(found) or "None of the others needed less CPU time, wall time or memory anywhere."


def wrong(measured):
    """The tools that did not deliver the requested frames. `measured`: the text before a line, and its results."""
    found = []
    for before, row in [(before, row) for before, results in measured.items() for row in results["rows"]]:
        got = row.get("check")
        if got and (got["n"] != row["expected"] or got["n_right"] not in (None, row["expected"])):
            at = seconds(row["interval"]) if row["interval"] else "keyframes"
            found.append(f"- {before}{at}: {peers.BY_KEY[row['peer']].name}: {frames(row)}.")
    return "\n".join(found) or "All tools delivered all frames that were asked for, and no others."


def psnr(results):
    worst = {}
    for row in results["rows"]:
        value = (row.get("check") or {}).get("psnr")
        if value is not None and row["interval"]:
            worst[row["peer"]] = min(value, worst.get(row["peer"], value))
    # OpenCV has a number for pictures that are the same, too.
    return "; ".join(f"{peers.BY_KEY[peer].name} {'the same' if value > 100 else f'{value} dB'}" for peer, value in worst.items())


def commands():
    interval = Fraction(5)
    return "\n".join("    " + peer.shown(interval if peer.job == "interval" else None) for peer in peers.PEERS)


def about(results):
    machine, versions = results["machine"], results["versions"]
    busy = f"; a load of {machine['load']:.1f} when it began, so that other work may have made the times longer" if machine["load"] > 0.5 else ""
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    # Written into the results by hand, where a run was not as it should be.
    remark = f"\n\n{results['remark']}" if "remark" in results else ""
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; {machine['date']}{busy}.{remark}\n\n{tools}.")


def rounds(results):
    n = results["rounds"]
    return "one round" if n == 1 else f"medians of {n} rounds (least and most in brackets)"


def write(folder, results, contents, grown, found_near, at_4k):
    """docs/benchmarks.md, and the pictures of the growth."""
    parts = ["# Benchmarks\n\n`scripts/bench` writes this page from what it measured; `scripts/bench --help` tells how. Do not edit it by hand."]
    if results:
        facts = results["input"]
        parts.append(f"""## What is measured

The whole job: decode a video, take the frame on the screen at each multiple of the interval, scale it to 768 pixels' width,
write it as a JPEG file of quality 85.

- **Input**: {facts['n_frames'] / inputs.FPS / 60:.0f} min of {inputs.WIDTH}x{inputs.HEIGHT} at {inputs.FPS} frames a second, H.264 by x264 with its default settings:
  {facts['n_frames']:,} frames, {megabits(facts):.1f} Mbit/s, {facts['n_keyframes']} keyframes, where x264 saw a new scene and after 250 frames without one.
- **The input decides the ratios**: see [below](#what-the-input-does-to-the-ratios).
- **Each tool** does it in the quickest way that we know for it, with as many threads as it takes by itself: `scripts/bench.d/peers/`.
  opencv-python writes the pictures of all Python tools, and scales for those that do not by themselves, by its default filter.
- **vidgist** does more than the others: it also scores sharpness and change, hashes each picture, and writes `frames.json`.
- **In turn**: all tools one after the other, round by round; {rounds(results)}. CPU time is user plus system time of the process and
  its children, memory the most that it held (both from the kernel, `wait4`). The file is in the page cache; vidgist's cache is empty.
- **Right frames**: each frame of the input carries its number, which is read from the pictures that came out.

## Machine

{about(results)}

## Results

{tables(results)}

Which frames came out:

{wrong({"": results})}

The pictures are not the same to the pixel: each tool scales its own way, and the input, as many files, does not name its colour matrix. vidgist
takes BT.709 for high definition, as players do. PSNR of the picture that is farthest from vidgist's:
{psnr(results) or 'not measured'}.

## Targets

{FLOOR_TEXT}

{targets(results)}

## Where others need less

{better(results)}

## Commands

{commands()}""")
    if contents:
        first = next(iter(contents.values()))
        parts.append(f"""## What the input does to the ratios

100 s of each content, from the same encoder with the same settings; {rounds(first)}, {first['machine']['date']}, vidgist {first['versions']['vidgist']}. How much CPU
time each tool takes beside vidgist depends on how far the keyframes lie apart, on the share of frames that nothing refers to, and on
what these cost beside the others: grain and much motion make the frames that others refer to the dear ones, and these nobody can leave out.

{content_table(contents)}

{wrong({f"{inputs.CONTENTS[content].name}, ": results for content, results in contents.items()})}""")
    if grown:
        parts.append(growth.text(folder, grown))
    if at_4k:
        parts.append(large.text(at_4k))
    with open(os.path.join(folder, "benchmarks.md"), "w", encoding="utf-8") as file:
        file.write("\n\n".join(parts) + "\n")
    if found_near:
        put_section(folder, near.text(found_near))


def put_section(folder, text):
    """Puts a section into docs/benchmarks.md, in place of the one with its heading, or before the growth."""
    path = os.path.join(folder, "benchmarks.md")
    with open(path, encoding="utf-8") as file:
        sections = file.read().split("\n## ")
    heading, section = text.split("\n")[0].removeprefix("## "), text.removeprefix("## ") + "\n"
    headings = [each.split("\n")[0] for each in sections]
    if heading in headings:
        sections[headings.index(heading)] = section
    else:
        sections.insert(next((i for i, each in enumerate(headings) if each.startswith(("Growth", "Memory"))), len(sections)), section)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n## ".join(each.strip("\n") + "\n" for each in sections))
