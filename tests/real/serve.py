"""llama.cpp's HTTP server on a free port of the loopback interface, until standard input closes.

serve.py MODEL.gguf CONTEXT_TOKENS KEY [PROJECTOR.gguf]: prints its address as the first line that begins with
"LISTEN ". Without a projector it sees no pictures.
"""

import sys

import xllamacpp

model, context, key, *projector = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.n_ctx = int(context)
if projector:
    params.mmproj.path = projector[0]
# More threads wait for one another in busy loops, which on a busy machine is ten times slower.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.n_parallel = 1
params.n_gpu_layers = 0
params.mmproj_use_gpu = False
params.warmup = False
params.use_jinja = True
params.hostnames = ["127.0.0.1"]
params.port = 0
params.model_alias = {"smollm2"}
params.api_keys = [key]
server = xllamacpp.Server(params)
print("LISTEN", server.listening_address, flush=True)
# Whoever started this may be killed: the pipe then closes by itself.
sys.stdin.read()
