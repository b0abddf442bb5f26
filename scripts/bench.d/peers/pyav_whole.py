"""PyAV: decodes everything on several threads, scales what is kept."""

import av
import job
from av.video.reformatter import VideoReformatter

with av.open(job.source) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    scaler = VideoReformatter()
    wanted = job.wanted(stream.frames, stream.average_rate)
    i = 0
    for n, frame in enumerate(container.decode(stream)):
        if n == wanted[i]:
            job.write(i, scaler.reformat(frame, job.WIDTH, job.HEIGHT, "bgr24").to_ndarray())
            i += 1
            if i == len(wanted):
                break
