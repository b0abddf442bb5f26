"""PyAV: for each sample point, seeks to the keyframe before it and takes that."""

import av
import job
from av.video.reformatter import VideoReformatter

with av.open(job.source) as container:
    stream = container.streams.video[0]
    stream.codec_context.skip_frame = "NONKEY"
    scaler = VideoReformatter()
    for i, n in enumerate(job.wanted(stream.frames, stream.average_rate)):
        container.seek(stream.start_time + round(n / stream.average_rate / stream.time_base), stream=stream)
        frame = next(container.decode(stream))
        job.write(i, scaler.reformat(frame, job.WIDTH, job.HEIGHT, "bgr24").to_ndarray())
