"""opencv-python, the quicker way: grab() every frame, retrieve() those that are kept."""

import cv2
import job

video = cv2.VideoCapture(job.source)
wanted = job.wanted(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS))
n = i = 0
while i < len(wanted) and video.grab():
    if n == wanted[i]:
        _, frame = video.retrieve()
        job.write(i, cv2.resize(frame, (job.WIDTH, job.HEIGHT)))
        i += 1
    n += 1
