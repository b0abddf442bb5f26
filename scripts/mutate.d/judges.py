"""What ffmpeg and vidgist say about a file, and who is right."""

import json
import os
import re
import subprocess
import tempfile

SHOWN = re.compile(r"\bn: *\d+ pts: *(-?\d+) pts_time:(\S+) .*?checksum:([0-9A-F]+)")
# Seconds: containers round times, and begin at another one where they are written anew.
NEAR = 0.012
LEVEL = re.compile(r"^(?:\[[^\]]*\] )*\[(error|fatal|panic)\] ?(.*)")


def decode(path):
    """A full decode by ffmpeg: what it reports, and pts, seconds and checksum of each frame."""
    command = ["ffmpeg", "-nostdin", "-v", "level+info", "-nostats", "-copyts", "-threads", "1", "-err_detect", "crccheck+bitstream+buffer", "-i", path,
               "-map", "0:v:0", "-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    frames, errors = [], []
    for line in done.stderr.splitlines():
        if found := SHOWN.search(line):
            frames.append((int(found[1]), float(found[2]), found[3]))
        # What the null muxer says about times is no damage.
        elif (found := LEVEL.match(line)) and not line.startswith("[null @"):
            errors.append(found[2])
    verdict = "error" if not frames else "damaged" if errors or done.returncode else "complete"
    return {"verdict": verdict, "errors": errors, "frames": frames, "codec": codec(path)}


def codec(path):
    found = subprocess.run(["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-show_entries", "stream=codec_name", "-of", "csv=p=0", path], capture_output=True, text=True)
    return (found.stdout.split() or ["unknown"])[0].strip(",")


def extract(path, vidgist):
    """All frames by vidgist: its verdict, what it says, and for each pts whether it is suspect."""
    with tempfile.TemporaryDirectory() as folder:
        # Twice the frame rate of the fixtures, so that each frame is displayed at a sample point.
        command = [vidgist, "frames", "-q", path, "-o", folder, "--fps", "50", "--max-width", "64"]
        env = {"HOME": folder, "PATH": os.environ.get("PATH", "")}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=env)
        said, frames = done.stderr.strip(), {}
        report = os.path.join(folder, "frames.json")
        if os.path.exists(report):
            with open(report, encoding="utf-8") as file:
                document = json.load(file)
            frames = {frame["pts"]: frame["suspect"] for frame in document["frames"]}
            said = "; ".join(f"{missing['what']}: {missing['why']}" for missing in document["missing"])
    verdict = {0: "complete", 1: "damaged", 2: "error"}.get(done.returncode, f"exit {done.returncode}")
    return {"verdict": verdict, "said": said, "frames": frames}


def compare(path, good, vidgist, kind):
    """Both verdicts about a file with this kind of damage, whose undamaged decode is `good`."""
    whole, found = decode(path), extract(path, vidgist)
    right = [(seconds, checksum) for _, seconds, checksum in good["frames"]]
    changed = [pts for pts, seconds, checksum in whole["frames"] if not any(abs(seconds - at) < NEAR and checksum == of for at, of in right)]
    n_lost = sum(not any(abs(seconds - at) < NEAR for _, seconds, _ in whole["frames"]) for at, _ in right)
    n_wrong = sum(not found["frames"].get(pts, True) for pts in changed)
    is_changed = bool(changed) or n_lost > 0
    verdicts = (whole["verdict"], found["verdict"])
    if verdicts[0] == verdicts[1]:
        agreement = "both see it" if verdicts[0] != "complete" else "neither sees it" if is_changed else "nothing to see"
    elif verdicts == ("complete", "damaged"):
        agreement = "vidgist alone sees it" if is_changed else "false alarm"
    elif verdicts[1] == "complete":
        # A recording that begins within a GOP is no damaged one: the frames whose references were never there are not shown.
        agreement = "begins late" if kind == "cut beginning" and n_wrong == 0 else "missed"
    else:
        # One finds no frame at all, the other some: both say that something is wrong.
        agreement = "both see it" if "complete" not in verdicts else "false alarm"
    return {"codec": good["codec"], "ffmpeg": verdicts[0], "vidgist": verdicts[1], "agreement": agreement, "said": found["said"] or "; ".join(whole["errors"][:3]),
            "n_changed": len(changed), "n_wrong": n_wrong, "n_lost": n_lost,
            "n_changed_suspect": sum(found["frames"].get(pts, False) for pts in changed),
            "n_suspect": sum(found["frames"].values())}
