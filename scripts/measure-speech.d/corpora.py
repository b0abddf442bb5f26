"""The recordings with their words: clips that lie beside the checkout, prompts of a Debian package, and all of them in one."""

import array
import glob
import json
import os
import random
import shutil
import subprocess
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "asterisk-core-sounds-en-wav"
NASA = ("This is the optical and science segment of the Webb Space Telescope in one of the largest clean rooms in the world "
        "at NASA's Goddard Space Flight Center in Greenbelt, Maryland.")
NAMES = {"jfk": "JFK, 1961", "nasa": "NASA film", "ljspeech": "LJ Speech", "librivox_austen": "LibriVox, Austen", "sonnet": "LibriVox, sonnet",
         "prompts": "Asterisk prompts, 8 kHz", "long": "all in one, with gaps"}


def run(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more)


def sources(media, folder):
    """Corpus, file and words of each recording; corpora whose files are not there are left out, with the reason printed."""
    found = []
    for corpus, place in [("jfk", "speech/jfk"), ("nasa", "nasa"), ("ljspeech", "speech/ljspeech"),
                          ("librivox_austen", "speech/librivox_austen"), ("sonnet", "speech/sonnet")]:
        listed, said = os.path.join(media, place, "transcripts.json"), {"nasa_13013.mp4": NASA}
        if corpus != "nasa" and os.path.exists(listed):
            with open(listed, encoding="utf-8") as file:
                said = json.load(file)
        there = [(corpus, path, words) for name, words in said.items() if os.path.exists(path := os.path.join(media, place, name))]
        found += there
        if not there:
            print(f"measure-speech: {os.path.join(media, place)} is not there: left out", flush=True)
    with open(os.path.join(HERE, "prompts.json"), encoding="utf-8") as file:
        prompts = json.load(file)
    sounds = unpack(folder)
    return found + [("prompts", os.path.join(sounds, name + ".wav"), words) for name, words in prompts.items()]


def unpack(folder):
    """The folder of the package's sounds, got without installing it."""
    unpacked = os.path.join(folder, "prompts")
    if not os.path.exists(unpacked):
        os.makedirs(work := unpacked + ".part", exist_ok=True)
        run(["apt-get", "download", PACKAGE], cwd=work)
        run(["dpkg", "-x", *glob.glob(os.path.join(work, "*.deb")), work])
        os.rename(work, unpacked)
    return glob.glob(os.path.join(unpacked, "usr/share/asterisk/sounds/*Allison"))[0]


def prepare(media, folder):
    """All recordings as WAV of 16 kHz, mono, 16 bits, so that each engine hears the same samples. Corpus to a list of
    `path`, `said`, `seconds`; the long recording also has `spans`, where each clip lies, and `starts`,
    when somebody begins to speak in it."""
    shutil.rmtree(wavs := os.path.join(folder, "wav"), ignore_errors=True)
    os.makedirs(wavs)
    corpora, every = {}, []
    for corpus, source, said in sources(media, folder):
        path = os.path.join(wavs, f"{corpus}-{os.path.splitext(os.path.basename(source))[0]}.wav")
        run(["ffmpeg", "-nostdin", "-v", "error", "-i", source, "-vn", "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", path])
        with wave.open(path) as file:
            sound = file.readframes(file.getnframes())
        corpora.setdefault(corpus, []).append({"path": path, "said": said, "seconds": len(sound) / 32000})
        every.append((sound, said))
    corpora["long"] = [together(every, os.path.join(wavs, "long.wav"))]
    return corpora


def together(every, path):
    """All recordings with gaps of 1 to 4 s between, in which is faint noise: digital silence is rare in the world."""
    chance, sound, spans, starts = random.Random(7), bytearray(), [], []
    for clip, _ in every:
        n_samples = int(chance.uniform(1, 4) * 16000)
        sound += b"".join(chance.randint(-20, 20).to_bytes(2, "little", signed=True) for _ in range(n_samples))
        spans.append((len(sound) / 32000, (len(sound) + len(clip)) / 32000))
        starts.append(len(sound) / 32000 + begins(clip))
        sound += clip
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(sound)
    return {"path": path, "said": " ".join(said for _, said in every), "seconds": len(sound) / 32000, "spans": spans, "starts": starts}


def begins(clip):
    """The second at which a clip is first a tenth as loud as in its loudest 20 ms."""
    samples = array.array("h", clip)
    loud = [sum(abs(each) for each in samples[at:at + 320]) for at in range(0, len(samples) - 320, 320)]
    return 0.02 * next(at for at, each in enumerate(loud) if each >= max(loud) / 10)
