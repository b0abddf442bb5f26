"""PyAV: for each frame, seeks to the keyframe before it and decodes up to it, as its examples do.

Its threads stay as they are: frame threads decode beyond the wanted frame after each seek.
"""

import av
import job
from av.video.reformatter import VideoReformatter

with av.open(job.source) as container:
    stream = container.streams.video[0]
    scaler = VideoReformatter()
    for i, n in enumerate(job.wanted(stream.frames, stream.average_rate)):
        target = stream.start_time + round(n / stream.average_rate / stream.time_base)
        container.seek(target, stream=stream)
        for frame in container.decode(stream):
            if frame.pts >= target:
                job.write(i, scaler.reformat(frame, job.WIDTH, job.HEIGHT, "bgr24").to_ndarray())
                break
