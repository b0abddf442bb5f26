"""The clips that are measured, made with ffmpeg once and kept.

100 s are encoded, 1080p at 30 frames a second by x264 with its default settings; longer clips are copies of these, put
together without encoding. Moving shapes with some grain; x264 puts a keyframe where it sees a new scene, and after 250 frames without
one. "No cuts" is the same with all GOPs of 250 frames, which is the hardest for whoever seeks.

Each frame carries its number in the upper left corner: `N_BITS` squares, the lowest bit first, white for 1.
"""

import json
import math
import os
import subprocess

WIDTH, HEIGHT, FPS = 1920, 1080, 30
# A multiple of 250, so that without cuts there is no short GOP between the copies.
N_PART_FRAMES = 12 * 250
N_BITS, SQUARE_PX = 12, 48


def ffmpeg(target, *options):
    part = target + ".part" + os.path.splitext(target)[1]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *options, part], check=True)
    os.rename(part, target)


def part(folder, cuts):
    """The 100 s that are encoded."""
    target = os.path.join(folder, name("part", cuts))
    if os.path.exists(target):
        return target
    print("bench: encoding the input, which takes some minutes (once) ...", flush=True)
    side = SQUARE_PX
    mark = f"drawbox=x=0:y=0:w={N_BITS * side}:h={side}:t=fill:color=black" + "".join(
        f",drawbox=x={bit * side}:y=0:w={side}:h={side}:t=fill:color=white:enable='mod(floor(n/{1 << bit}),2)'" for bit in range(N_BITS))
    shapes = f"testsrc2=s={WIDTH}x{HEIGHT}:r={FPS}"
    ffmpeg(target, "-f", "lavfi", "-i", shapes, "-vf", f"noise=alls=4:allf=t,{mark}", "-frames:v", str(N_PART_FRAMES),
           "-c:v", "libx264", "-pix_fmt", "yuv420p", *([] if cuts else ["-sc_threshold", "0"]))
    return target


def name(length, cuts):
    return f"{length}-1080p30{'' if cuts else '-no-cuts'}.mp4"


def clip(folder, minutes, cuts=True):
    """A clip of so many minutes, or up to 3 frames more: it ends where no frame is missing among those before."""
    target = os.path.join(folder, name(f"{minutes}-min", cuts))
    if os.path.exists(target):
        return target
    source = part(folder, cuts)
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
    """Frames, keyframes and bytes of a clip, counted from its packets."""
    flags = packets(path, "flags")
    return {"n_frames": len(flags), "n_keyframes": sum("K" in each for each in flags), "n_bytes": os.path.getsize(path)}


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
    places = list(zip(packets(path, "pos"), packets(path, "size")))
    is_key = ["K" in flags for flags in packets(path, "flags")]
    kept = set(wanted(len(places), interval))
    n_needed = n_in_gop = 0
    with open(path, "rb") as file:
        for number, is_keyframe, place in zip(numbers(path), is_key, places):
            if is_keyframe:
                n_in_gop = 0
            n_in_gop += number in kept or is_reference(file, *place)
            if number in kept:
                n_needed, n_in_gop = n_needed + n_in_gop, 0
    return n_needed, len(kept)


def is_reference(file, position, size):
    """Whether other frames refer to this H.264 packet: told by the first of its units that holds a slice."""
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
