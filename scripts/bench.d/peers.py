"""Who is measured: names, commands, versions, and the Python environment that some of them live in."""

import glob
import os
import subprocess
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
# The newest versions with wheels for Python 3.11 when this was written.
PACKAGES = {"numpy": "2.4.6", "opencv-python-headless": "5.0.0.93", "decord": "0.6.0", "av": "18.1.0", "video-reader-rs": "0.4.5"}
# ffmpeg's scale of quality is another: on this input, 4 makes files as large as JPEG 85 does (3 % larger).
FFMPEG_PICTURES = ["-q:v", "4"]


@dataclass
class Peer:
    """One way to do the job. `command` has {input}, {out} and {interval}, a fraction of seconds."""

    key: str
    name: str
    command: list
    packages: list = field(default_factory=list)
    # "interval": measured at each interval. "keyframes" and "references" alone: measured once, whatever the interval.
    job: str = "interval"

    def arguments(self, vidgist, folder, source, out, interval):
        places = {"vidgist": vidgist, "python": os.path.join(folder, "venv", "bin", "python"), "peers": os.path.join(HERE, "peers"),
                  "input": source, "out": out, "interval": str(interval), "decimal": decimal(interval), "rate": str(1 / interval) if interval else ""}
        return [part.format(**places) for part in self.command]

    def shown(self, interval):
        """The command as a reader would type it."""
        places = {"vidgist": "vidgist", "python": "python", "peers": "scripts/bench.d/peers", "input": "IN.mp4", "out": "OUT",
                  "interval": str(interval), "decimal": decimal(interval), "rate": str(1 / interval) if interval else ""}
        return " ".join(part.format(**places) for part in self.command)


def decimal(interval):
    return f"{float(interval):g}" if interval else ""


def python(key, name, script, packages, *more):
    return Peer(key, name, ["{python}", "{peers}/" + script, "{input}", "{out}", "{interval}", *more], ["numpy", "opencv-python-headless", *packages])


FFMPEG = ["ffmpeg", "-nostdin", "-v", "error"]
VIDGIST = Peer("vidgist", "vidgist", ["{vidgist}", "frames", "-q", "{input}", "-o", "{out}", "--interval", "{decimal}s"])
PEERS = [
    VIDGIST,
    # Where two "cores" are two threads of one, both take more CPU time for the same work while both are busy.
    Peer("vidgist-one-core", "vidgist, held to one core", ["taskset", "-c", "0", *VIDGIST.command]),
    Peer("ffmpeg", "ffmpeg, fps filter",
         [*FFMPEG, "-i", "{input}", "-vf", "fps={rate}:round=up,scale=768:-2", *FFMPEG_PICTURES, "{out}/%06d.jpg"]),
    python("opencv-read", "opencv-python, read loop", "opencv_read.py", []),
    python("opencv-grab", "opencv-python, grab and retrieve", "opencv_grab.py", []),
    python("decord", "decord, get_batch", "decord_batch.py", ["decord"]),
    python("pyav", "PyAV, whole", "pyav_whole.py", ["av"]),
    python("pyav-seek", "PyAV, seeking", "pyav_seek.py", ["av"]),
    python("pyav-index", "PyAV, seeking by its index", "pyav_index.py", ["av"]),
    python("video-reader", "video-reader-rs, as it chooses", "video_reader_batch.py", ["video-reader-rs"], "auto"),
    python("video-reader-seek", "video-reader-rs, seeking", "video_reader_batch.py", ["video-reader-rs"], "seek"),
    Peer("vidgist-keyframe", "vidgist, keyframes", ["{vidgist}", "frames", "-q", "{input}", "-o", "{out}", "--sampling", "keyframe"], job="keyframes"),
    Peer("ffmpeg-keyframe", "ffmpeg, keyframes",
         [*FFMPEG, "-skip_frame", "nokey", "-i", "{input}", "-fps_mode", "passthrough", "-vf", "scale=768:-2", *FFMPEG_PICTURES, "{out}/%06d.jpg"],
         job="keyframes"),
    # The floor under whoever delivers exact frames by this decoder: what it takes for the frames that others refer to, with nothing
    # scaled or written.
    Peer("references", "libavcodec, the frames that others refer to alone",
         [*FFMPEG, "-threads", "1", "-skip_frame", "noref", "-i", "{input}", "-f", "null", "-"], job="references"),
]
BY_KEY = {peer.key: peer for peer in PEERS}


def environment(folder, peer):
    """Variables of a measured command: no keys, no settings or cache of the user, and the libraries that one wheel does not find."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "VIDGIST_"))}
    env["XDG_CACHE_HOME"], env["XDG_CONFIG_HOME"] = os.path.join(folder, "cache"), os.path.join(folder, "config")
    if "video-reader-rs" in peer.packages:
        env["LD_LIBRARY_PATH"] = ":".join(glob.glob(os.path.join(folder, "venv/lib/python*/site-packages/video_reader_rs.libs")))
    return env


def install(folder):
    """Makes the Python environment. Returns what failed: package to reason."""
    venv = os.path.join(folder, "venv")
    python, failed = os.path.join(venv, "bin", "python"), {}
    try:
        if not os.path.exists(python):
            run(["python3", "-m", "venv", venv])
        have = dict(line.split("==") for line in run([python, "-m", "pip", "freeze"]).split() if "==" in line)
    except (OSError, subprocess.CalledProcessError) as error:
        return {package: f"no Python environment: {reason(error)}" for package in PACKAGES}
    have = {name.lower().replace("_", "-"): version for name, version in have.items()}
    for package, version in PACKAGES.items():
        if have.get(package) == version:
            continue
        print(f"bench: installing {package} {version} into {os.path.relpath(venv)}", flush=True)
        try:
            run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", f"{package}=={version}"])
        except subprocess.CalledProcessError as error:
            failed[package] = f"{package} {version} cannot be installed: {reason(error)}"
    return failed


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def reason(error):
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no reason given")


def missing(peer, vidgist, failed):
    """Why a peer cannot run; None where it can."""
    broken = [failed[package] for package in peer.packages if package in failed]
    if broken:
        return broken[0]
    if peer.key == "vidgist-keyframe" and "keyframe" not in run([vidgist, "frames", "--help"]):
        return "this vidgist has no --sampling keyframe"
    return None

