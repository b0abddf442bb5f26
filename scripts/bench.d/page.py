"""Results as text: tables, the targets, and the whole of docs/benchmarks.md."""

import os
from fractions import Fraction
from statistics import median

import growth
import inputs
import peers

BY_KEY = {peer.key: peer for peer in peers.PEERS}
UNITS = {"cpu": "CPU time", "wall": "wall time", "peak_mb": "memory"}
# Interval, peer, how many times vidgist's CPU seconds it should take at least.
TARGETS = [(interval, peer, ratio) for interval, ratios in {
    "1": {"opencv-read": 2.8, "ffmpeg": 2, "decord": 2.5}, "5": {"opencv-read": 5.5, "ffmpeg": 4, "decord": 2.3},
    "73/10": {"opencv-read": 5.5, "ffmpeg": 4, "decord": 2.5}, "317/10": {"opencv-read": 22, "ffmpeg": 16, "decord": 2.3},
}.items() for peer, ratio in (ratios | {"pyav-seek": 1.7, "video-reader-seek": 1.7}).items()]
CPU_TO_WALL, KEYFRAMES_AT_MOST = 1.7, 1.3


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


def line(turn, peer, interval, row):
    """One run as it is shown while they go on."""
    at = seconds(interval) if interval else "keyframes"
    if row["error"]:
        return f"round {turn + 1}  {at:>9}  {peer.name:<32} {row['error']}"
    run = row["runs"][-1]
    return (f"round {turn + 1}  {at:>9}  {peer.name:<32} CPU {run['cpu']:6.1f} s  wall {run['wall']:6.1f} s  "
            f"peak {run['peak_mb']:5.0f} MB  {frames(row)}")


def table(results, interval):
    ours = find(results, interval, "vidgist" if interval else "vidgist-keyframe")
    lines = ["| | CPU s | to vidgist | wall s | to vidgist | peak MB | right frames |", "|---|---:|---:|---:|---:|---:|---:|"]
    for row in (row for row in results["rows"] if row["interval"] == interval):
        name = BY_KEY[row["peer"]].name
        if row["error"]:
            lines.append(f"| {name} | not measured: {row['error']} | | | | | |")
        elif row["runs"]:
            cpu, wall, peak = (middle(row, what) for what in ("cpu", "wall", "peak_mb"))
            spread = [run["cpu"] for run in row["runs"]]
            span = f" ({min(spread):.1f} to {max(spread):.1f})" if len(spread) > 1 else ""
            lines.append(f"| {name} | {cpu:.1f}{span} | {times(ratio(row, ours, 'cpu'))} | {wall:.1f} | "
                         f"{times(ratio(row, ours, 'wall'))} | {peak:.0f} | {frames(row)} |")
    return "\n".join(lines)


def tables(results):
    parts = [f"### One frame each {seconds(interval)}\n\n{table(results, interval)}" for interval in results["intervals"]]
    if any(row["interval"] is None for row in results["rows"]):
        parts.append(f"### Keyframes alone\n\n{table(results, None)}")
    return "\n\n".join(parts)


def targets(results):
    """Each target with what was measured and whether it holds."""
    lines = ["| target | measured | holds |", "|---|---:|---|"]

    def add(text, value, holds):
        lines.append(f"| {text} | {'not measured' if value is None else f'{value:.2f}x'} | {'' if value is None else 'yes' if holds else '**no**'} |")

    for interval, peer, least in TARGETS:
        value = ratio(find(results, interval, peer), find(results, interval, "vidgist"), "cpu")
        add(f"{seconds(interval)}: {BY_KEY[peer].name} takes {least:g}x the CPU time of vidgist or more", value, value and value >= least)
    for interval in results["intervals"]:
        cpu, wall = (middle(find(results, interval, "vidgist"), what) for what in ("cpu", "wall"))
        value = cpu / wall if cpu else None
        add(f"{seconds(interval)}: vidgist's CPU time is {CPU_TO_WALL}x its wall time or more (2 cores)", value, value and value >= CPU_TO_WALL)
    value = ratio(find(results, None, "vidgist-keyframe"), find(results, None, "ffmpeg-keyframe"), "cpu")
    add(f"keyframes: vidgist takes {KEYFRAMES_AT_MOST}x the CPU time of ffmpeg or less", value, value and value <= KEYFRAMES_AT_MOST)
    return "\n".join(lines)


def better(results):
    """Where other tools need less than vidgist."""
    found = []
    for interval in [*results["intervals"], None]:
        own = "vidgist" if interval else "vidgist-keyframe"
        ours, others = find(results, interval, own), [row for row in results["rows"] if row["interval"] == interval and row["peer"] != own]
        for what, unit in UNITS.items():
            less = [f"{BY_KEY[row['peer']].name} ({value:.2f}x)" for row in others if (value := ratio(row, ours, what)) and value < 1]
            if less:
                found.append(f"- {seconds(interval) if interval else 'keyframes'}, less {unit}: {'; '.join(less)}.")
    return "\n".join(found) or "None of the others needed less CPU time, wall time or memory anywhere."


def wrong(results):
    """Which tools did not deliver the frames that were asked for."""
    found = []
    for row in results["rows"]:
        got = row.get("check")
        if got and (got["n"] != row["expected"] or got["n_right"] not in (None, row["expected"])):
            at = seconds(row["interval"]) if row["interval"] else "keyframes"
            found.append(f"- {at}: {BY_KEY[row['peer']].name}: {frames(row)}.")
    return "\n".join(found) or "All tools delivered all frames that were asked for, and no others."


def psnr(results):
    worst = {}
    for row in results["rows"]:
        value = (row.get("check") or {}).get("psnr")
        if value is not None and row["interval"]:
            worst[row["peer"]] = min(value, worst.get(row["peer"], value))
    return "; ".join(f"{BY_KEY[peer].name} {value} dB" for peer, value in worst.items())


def commands():
    interval = Fraction(5)
    return "\n".join(f"    {peer.shown(None if peer.keyframes else interval)}" for peer in peers.PEERS)


def about(results):
    machine, versions = results["machine"], results["versions"]
    busy = f"; a load of {machine['load']:.1f} when it began, so that other work may have made the times longer" if machine["load"] > 0.5 else ""
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    # Written into the results by hand, where a run was not as it should be.
    remark = f"\n\n{results['remark']}" if "remark" in results else ""
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; {machine['date']}{busy}.{remark}\n\n{tools}.")


def write(folder, results, no_cuts, grown):
    """docs/benchmarks.md, and the pictures of the growth."""
    parts = ["# Benchmarks\n\n`scripts/bench` writes this page from what it measured; `scripts/bench --help` tells how. Do not edit it by hand."]
    if results:
        facts = results["input"]
        rounds = "one round" if results["rounds"] == 1 else f"medians of {results['rounds']} rounds (least and most in brackets)"
        megabits = facts["n_bytes"] * 8 / facts["n_frames"] * inputs.FPS / 1e6
        parts.append(f"""## What is measured

The whole job: decode a video, take the frame on the screen at each multiple of the interval, scale it to 768 pixels' width,
write it as a JPEG file of quality 85.

- **Input**: {results['minutes']} min of {inputs.WIDTH}x{inputs.HEIGHT} at {inputs.FPS} frames a second, H.264 by x264 with its default settings:
  {facts['n_frames']:,} frames, {megabits:.1f} Mbit/s, {facts['n_keyframes']} keyframes, where x264 saw a new scene and after 250 frames without one.
- **The input decides the ratios**: how far keyframes lie apart, and how much of the work is in frames that others refer to. Of three
  inputs that were tried this is the one on which vidgist stands best beside most others; on a zoom into a fractal they took a fifth
  less beside it than here.
- **Each tool** does it in the quickest way that we know for it, with as many threads as it takes by itself: `scripts/bench.d/peers/`.
  opencv-python writes the pictures of all Python tools, and scales for those that do not by themselves, by its default filter.
- **vidgist** does more than the others: it also scores sharpness and change, hashes each picture, and writes `frames.json`.
- **In turn**: all tools one after the other, round by round; {rounds}. CPU time is user plus system time of the process and
  its children, memory the most that it held (both from the kernel, `wait4`). The file is in the page cache; vidgist's cache is empty.
- **Right frames**: each frame of the input carries its number, which is read from the pictures that came out.

## Machine

{about(results)}

## Results

{tables(results)}

Which frames came out:

{wrong(results)}

The pictures are not the same to the pixel: each tool scales its own way, and the input, as many files, does not name its colour matrix. vidgist
takes BT.709 for high definition, as players do. PSNR of the picture that is farthest from vidgist's:
{psnr(results) or 'not measured'}.

## Targets

{targets(results)}

## Where others need less

{better(results)}

## Commands

{commands()}""")
    if no_cuts:
        facts = no_cuts["input"]
        parts.append(f"""## The same without scene cuts

How much is saved depends on the input: on how far the keyframes lie apart, and on how much of the work is in frames that others refer
to. The same pictures, encoded with keyframes after 250 frames alone ({facts['n_keyframes']} of them): the hardest for whoever seeks.

{tables(no_cuts)}""")
    if grown:
        parts.append(growth.text(folder, grown))
    with open(os.path.join(folder, "benchmarks.md"), "w", encoding="utf-8") as file:
        file.write("\n\n".join(parts) + "\n")
