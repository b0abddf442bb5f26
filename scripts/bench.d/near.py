"""Frames near the sample points: what `--tolerance` saves, beside the exact frames, and beside peers that seek to keyframes."""

import json
import os
import shutil
from fractions import Fraction
from statistics import median

import inputs
import measure
import peers

INTERVAL, MINUTES = Fraction(5), 10
EXACT, HALF, WHOLE, KEYFRAMES = "vidgist", "vidgist-half", "vidgist-whole", "vidgist-keyframe"
PEERS = [
    peers.VIDGIST,
    peers.Peer(HALF, "vidgist, tolerance 50%", [*peers.VIDGIST.command, "--tolerance", "50%"]),
    peers.Peer(WHOLE, "vidgist, tolerance 100%", [*peers.VIDGIST.command, "--tolerance", "100%"]),
    peers.BY_KEY[KEYFRAMES],
    peers.Peer("ffmpeg-keyframe-rate", "ffmpeg, keyframes alone, fps filter",
               [*peers.FFMPEG, "-skip_frame", "nokey", "-i", "{input}", "-vf", "fps={rate}:round=up,scale=768:-2", *peers.FFMPEG_PICTURES, "{out}/%06d.jpg"]),
    peers.python("pyav-keyframe", "PyAV, the keyframe before each point", "pyav_keyframe.py", ["av"]),
    peers.python("decord-keyframe", "decord, the keyframe nearest to each point", "decord_keyframe.py", ["decord"]),
    peers.python("pyav-index", "PyAV, exact, seeking by its index", "pyav_index.py", ["av"]),
    peers.python("decord", "decord, exact", "decord_batch.py", ["decord"]),
]
# Times less CPU than the exact frames at 50%, and more than the keyframes at 100%.
HALF_AT_LEAST, WHOLE_AT_MOST = 2.5, 1.5


def run(vidgist, folder, rounds, check):
    """The runs of each, and which frames came."""
    source, failed = inputs.clip(folder, MINUTES), peers.install(folder)
    n_frames = inputs.facts(source)["n_frames"]
    rows = [{"peer": peer.key, "name": peer.name, "runs": [], "error": peers.missing(peer, vidgist, failed)} for peer in PEERS]
    measure.read_once(source)
    for n_round in range(rounds):
        for peer, row in zip(PEERS, rows):
            if row["error"]:
                continue
            out = os.path.join(folder, "out")
            for leftover in (out, os.path.join(folder, "cache")):
                shutil.rmtree(leftover, ignore_errors=True)
            os.makedirs(out)
            ran = measure.measure(peer.arguments(vidgist, folder, source, out, INTERVAL), peers.environment(folder, peer))
            row["error"] = ran.pop("error", None)
            row["runs"].append(ran)
            if n_round == 0 and not row["error"]:
                row |= frames(check(out, out, [])["numbers"], n_frames, os.path.join(out, "frames.json"))
            print(f"round {n_round + 1}  {peer.name:<44} CPU {ran['cpu']:6.2f} s  wall {ran['wall']:6.2f} s  {row.get('n')} frames", flush=True)
    shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
    return {"rounds": rounds, "n_points": len(inputs.wanted(n_frames, INTERVAL)), "rows": rows}


def frames(numbers, n_frames, report):
    """Number of frames, and of those that came twice; the largest distance of a sample point from the nearest frame and the largest gap
    between frames, in seconds; for vidgist, the number of pictures that do not show the frame at the time that frames.json states."""
    at = [place(number, numbers[:i], n_frames) for i, number in enumerate(numbers)]
    points = inputs.wanted(n_frames, INTERVAL)
    found = {"n": len(at), "n_twice": len(at) - len(set(at)),
             "farthest": max(min(abs(point - each) for each in at) for point in points) / inputs.FPS,
             "longest_gap": max(b - a for a, b in zip(at, at[1:])) / inputs.FPS}
    if os.path.exists(report):
        with open(report, encoding="utf-8") as file:
            told = [round(frame["seconds"] * inputs.FPS) for frame in json.load(file)["frames"]]
        found["n_untrue"] = sum(each % inputs.N_PART_FRAMES != number for each, number in zip(told, numbers)) + abs(len(told) - len(numbers))
    return found


def place(number, before, n_frames):
    """Numbers begin again with each copy of the part: pictures come in order."""
    n_parts = sum(after < earlier for earlier, after in zip(before, before[1:] + [number]))
    return n_parts * inputs.N_PART_FRAMES + number


def cpu(found, key):
    row = next(row for row in found["rows"] if row["peer"] == key)
    return median(ran["cpu"] for ran in row["runs"]) if row["runs"] and not row["error"] else None


def text(found):
    lines = ["| | CPU s | to vidgist, exact | wall s | frames | of these twice | farthest point, s | longest gap, s |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for row in found["rows"]:
        if row["error"]:
            lines.append(f"| {row['name']} | not measured: {row['error']} | | | | | | |")
            continue
        middle, wall = cpu(found, row["peer"]), median(ran["wall"] for ran in row["runs"])
        lines.append(f"| {row['name']} | {middle:.2f} | {middle / cpu(found, EXACT):.2f}x | {wall:.2f} | {row['n']} | {row['n_twice']} | {row['farthest']:.2f} | "
                     f"{row['longest_gap']:.2f} |")
    half, whole = cpu(found, EXACT) / cpu(found, HALF), cpu(found, WHOLE) / cpu(found, KEYFRAMES)
    n_untrue = sum(row.get("n_untrue", 0) for row in found["rows"])
    yes = lambda holds: "yes" if holds else "**no**"
    return f"""## Near the sample points

`scripts/bench --near`: the input and the job described above, {MINUTES} min at one frame each {float(INTERVAL):g} s, {found['n_points']} sample points; medians of {found['rounds']} rounds,
all in turn; {found['machine']['date']}, vidgist {found['versions']['vidgist']}, {found['machine']['cores']} cores, a load of {found['machine']['load']:.1f} when it began. `--tolerance` takes, for each sample point, the frame
within that distance that is cheapest to decode; the peers seek to a keyframe. "Farthest point" is the largest distance of a sample
point from the frame nearest to it.

{chr(10).join(lines)}

Pictures of vidgist that do not show the frame at the time that `frames.json` states: {n_untrue}.

Contact sheets of the first 30 s of Big Buck Bunny, a frame each 2 s, exact and at 50 %, were looked at side by side on 2026-11-28: both
show the same shots in the same order, and no frame is damaged. At 50 % the bird that flaps its wings at 20 s is missed for the credits a
second later, and of the still before the title there are three frames where the exact sheet has one.

| target | measured | holds |
|---|---:|---|
| tolerance 50%: the exact frames take {HALF_AT_LEAST}x the CPU time or more | {half:.1f}x | {yes(half >= HALF_AT_LEAST)} |
| tolerance 100%: {WHOLE_AT_MOST}x the CPU time of the keyframes or less | {whole:.2f}x | {yes(whole <= WHOLE_AT_MOST)} |"""
