"""What `vidgist frames` holds in memory while it reads 4K."""

import os
import shutil
from fractions import Fraction

import inputs
import measure
import peers

N_FRAMES, INTERVAL, LIMIT_MB = 150, Fraction(1, 2), 500
# Ten bits take twice the memory of eight.
CLIPS = {
    "H.264, 8 bits": ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"],
    "HEVC, 10 bits": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:keyint=60", "-pix_fmt", "yuv420p10le"],
}


def run(vidgist, folder, rounds):
    """Peak MB of each clip: the most of all rounds."""
    found = {}
    for name, options in CLIPS.items():
        source, out = os.path.join(folder, f"4k-{options[1]}.mp4"), os.path.join(folder, "out")
        if not os.path.exists(source):
            inputs.ffmpeg(source, "-f", "lavfi", "-i", f"testsrc2=s=3840x2160:r={inputs.FPS}", "-frames:v", str(N_FRAMES), *options)
        for _ in range(rounds):
            for leftover in (out, os.path.join(folder, "cache")):
                shutil.rmtree(leftover, ignore_errors=True)
            ran = measure.measure(peers.VIDGIST.arguments(vidgist, folder, source, out, INTERVAL), peers.environment(folder, peers.VIDGIST))
            if "error" in ran:
                raise SystemExit(f"bench: {name}: {ran['error']}")
            print(f"4K, {name:<14} peak {ran['peak_mb']:5.0f} MB", flush=True)
            found[name] = max(found.get(name, 0), ran["peak_mb"])
    shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
    return {"rounds": rounds, "peak_mb": found}


def text(found):
    rows = "\n".join(f"| {name} | {peak:.0f} | {'yes' if peak < LIMIT_MB else '**no**'} |" for name, peak in found["peak_mb"].items())
    return f"""## Memory at 4K

{N_FRAMES / inputs.FPS:g} s of 3840x2160, one frame each 0.5 s; {found['machine']['date']}, vidgist {found['versions']['vidgist']}, {found['machine']['cores']} cores. All decoders
together are held to about 400 MB (docs/adr/0002): what a decoder keeps are its reference frames.

| | most of {found['rounds']} rounds, MB | under {LIMIT_MB} MB |
|---|---:|---|
{rows}"""
