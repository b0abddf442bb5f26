"""The clips that are measured, made with ffmpeg once and kept.

100 s of each content are encoded, 1080p at 30 frames a second by x264 with its default settings: a keyframe where it sees a new scene,
and after 250 frames without one. Longer clips are copies of these, put together without encoding.

Each frame carries its number in the upper left corner: `N_BITS` squares, the lowest bit first, white for 1.
"""

import json
import math
import os
import subprocess
from dataclasses import dataclass, field

WIDTH, HEIGHT, FPS = 1920, 1080, 30
# A multiple of 250, so that without cuts there is no short GOP between the copies.
N_PART_FRAMES = 12 * 250
N_BITS, SQUARE_PX = 12, 48


@dataclass
class Content:
    """What is seen in a clip: a graph of ffmpeg's filters that makes it, and options of the encoder."""

    name: str
    graph: str
    options: list = field(default_factory=list)


SIZE = f"s={WIDTH}x{HEIGHT}:r={FPS}"
STILL = f"mandelbrot=s={WIDTH * 3 // 2}x{HEIGHT * 3 // 2}:r={FPS}:start_scale=0.003,trim=end_frame=1,loop=-1:1,setpts=N/{FPS}/TB,gblur=0.7"
GRAIN = f"testsrc2={SIZE},noise=alls=4:allf=t"
CONTENTS = {
    # What all tools are compared on.
    "grain": Content("moving shapes with grain, many cuts", GRAIN),
    "no-cuts": Content("the same, a keyframe each 250 frames alone", GRAIN, ["-sc_threshold", "0"]),
    "pan": Content("a camera led over a picture", f"{STILL},crop={WIDTH}:{HEIGHT}:x='480+450*sin(n/300)':y='270+250*sin(n/231)'"),
    "zoom": Content("a zoom into the same picture", f"{STILL},zoompan=z='1+on/2000':x='(iw-iw/zoom)/2':y='(ih-ih/zoom)/2':d=1:{SIZE.replace('r=', 'fps=')}"),
    "talk": Content("a slide each 20 s, a moving picture in the corner",
                    f"mandelbrot=s={WIDTH}x{HEIGHT}:r=1/20,fps={FPS}[slide];testsrc2=s=480x270:r={FPS},noise=alls=4:allf=t[corner];"
                    "[slide][corner]overlay=x=W-w:y=H-h:shortest=1"),
    "cells": Content("many small things that move (Conway's Life)",
                     f"life=s={WIDTH // 4}x{HEIGHT // 4}:r={FPS}:mold=10:ratio=0.1:seed=7:death_color=#C83232:life_color=#00ff00,scale={WIDTH}:{HEIGHT}"),
}
MAIN = "grain"


def ffmpeg(target, *options):
    part = target + ".part" + os.path.splitext(target)[1]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *options, part], check=True)
    os.rename(part, target)


def part(folder, content):
    """The 100 s that are encoded."""
    target = os.path.join(folder, f"{content}-1080p30.mp4")
    if os.path.exists(target):
        return target
    print(f"bench: encoding the input \"{content}\", which takes some minutes (once) ...", flush=True)
    side = SQUARE_PX
    mark = f"drawbox=x=0:y=0:w={N_BITS * side}:h={side}:t=fill:color=black" + "".join(
        f",drawbox=x={bit * side}:y=0:w={side}:h={side}:t=fill:color=white:enable='mod(floor(n/{1 << bit}),2)'" for bit in range(N_BITS))
    made = CONTENTS[content]
    ffmpeg(target, "-f", "lavfi", "-i", f"{made.graph},format=yuv420p,{mark}", "-frames:v", str(N_PART_FRAMES), "-c:v", "libx264", *made.options)
    return target


def clip(folder, minutes):
    """The main content for so many minutes, or up to 3 frames more: it ends where no frame is missing among those before."""
    target = os.path.join(folder, f"{minutes}-min-1080p30.mp4")
    if os.path.exists(target):
        return target
    source = part(folder, MAIN)
    n_wanted = minutes * 60 * FPS
    times = packets(source, "pts")
    first, step = min(times), sorted(times)[1] - min(times)
    rest, last = n_wanted % N_PART_FRAMES, -1
    for n, pts in enumerate(times, 1):
        last = max(last, (pts - first) // step)
        if n >= rest and last == n - 1:
            break
    playlist = os.path.join(folder, "list.txt")
    with open(playlist, "w", encoding="utf-8") as file:
        file.write(f"file '{os.path.basename(source)}'\n" * -(-n_wanted // N_PART_FRAMES))
    ffmpeg(target, "-f", "concat", "-i", playlist, "-frames:v", str(n_wanted - rest + (n if rest else 0)), "-c", "copy")
    return target


def packets(path, field):
    """One field of each packet of the video, in decoding order."""
    found = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", f"packet={field}", "-of", "csv=p=0", path],
                           check=True, capture_output=True, text=True).stdout.split()
    return [value.strip(",") if field == "flags" else int(value.strip(",")) for value in found]


def facts(path):
    """Frames, keyframes, frames that others refer to, and bytes of a clip, counted from its packets."""
    flags = packets(path, "flags")
    return {"n_frames": len(flags), "n_keyframes": sum("K" in each for each in flags), "n_references": sum(references(path)),
            "n_bytes": os.path.getsize(path)}


def wanted(n_frames, interval):
    """Numbers of the frames on the screen at 0, interval, 2 * interval ... seconds (a Fraction)."""
    return [math.floor(i * interval * FPS) for i in range(math.ceil(n_frames / (interval * FPS)))]


def numbers(path):
    """The number of each packet's frame, in decoding order."""
    pts = packets(path, "pts")
    first, second = sorted(pts)[:2]
    return [(each - first) // (second - first) for each in pts]


def keyframes(path):
    """Numbers of the keyframes."""
    return [number for number, flags in zip(numbers(path), packets(path, "flags")) if "K" in flags]


def needed(path, interval):
    """How many frames a decoder cannot do without for one frame each `interval` seconds (a Fraction), and how many are kept.

    Up to the last frame that is wanted of each GOP: all frames that others refer to (`nal_ref_idc` is not 0), and the wanted ones.
    """
    is_key = ["K" in flags for flags in packets(path, "flags")]
    kept = set(wanted(len(is_key), interval))
    n_needed = n_in_gop = 0
    for number, is_keyframe, is_referred_to in zip(numbers(path), is_key, references(path)):
        if is_keyframe:
            n_in_gop = 0
        n_in_gop += number in kept or is_referred_to
        if number in kept:
            n_needed, n_in_gop = n_needed + n_in_gop, 0
    return n_needed, len(kept)


def references(path):
    """Whether others refer to each packet's frame, in decoding order."""
    with open(path, "rb") as file:
        return [is_reference(file, *place) for place in zip(packets(path, "pos"), packets(path, "size"))]


def is_reference(file, position, size):
    """Whether other frames refer to this H.264 packet: by the first of its units that holds a slice."""
    while size > 4:
        file.seek(position)
        head = file.read(5)
        if head[4] & 31 in (1, 5):
            return head[4] >> 5 & 3 != 0
        length = 4 + int.from_bytes(head[:4], "big")
        position, size = position + length, size - length
    return True


if __name__ == "__main__":
    import sys
    print(json.dumps({minutes: facts(clip(sys.argv[1], int(minutes))) for minutes in sys.argv[2:]}, indent=1))
