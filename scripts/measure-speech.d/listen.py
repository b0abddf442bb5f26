"""Transcribes WAV files (16 kHz, mono, 16 bits) with one of the other engines, on one thread.

    listen.py faster-whisper|whisper.cpp MODEL OPTIONS OUT.json FILE.wav...

Writes the CPU seconds until the model was ready, and for each file those that it took and its segments.
"""

import json
import sys
import time
import wave

engine, model, options, out, *files = sys.argv[1:]
options = json.loads(options)

import numpy


def samples(path):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2), path
        return numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype(numpy.float32) / 32768


if engine == "faster-whisper":
    from faster_whisper import WhisperModel

    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)

    def listen(sound):
        found, _ = whisper.transcribe(sound, **options)
        return [(each.start, each.end, each.text) for each in found]
else:
    from pywhispercpp.model import Model

    whisper = Model(model, n_threads=1, print_realtime=False, print_progress=False, redirect_whispercpp_logs_to=None)

    def listen(sound):
        return [(each.t0 / 100, each.t1 / 100, each.text) for each in whisper.transcribe(sound, **options)]


# Both make ready more than the model when they are first called.
listen(numpy.zeros(16000, numpy.float32))
ready, found = time.process_time(), []
for path in files:
    begun = time.process_time()
    segments = listen(samples(path))
    found.append({"cpu": time.process_time() - begun, "segments": segments})
with open(out, "w", encoding="utf-8") as file:
    json.dump({"ready": ready, "files": found}, file)
