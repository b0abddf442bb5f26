"""Runs commands and takes their time and memory; tells about the machine."""

import os
import platform
import subprocess
import tempfile
import time


def measure(command, env):
    """CPU seconds (user and system), wall seconds, peak memory in MB of a command with its children; `error` where it failed."""
    with tempfile.TemporaryFile() as log:
        begun = time.monotonic()
        try:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=env)
        except OSError as error:
            return {"error": str(error)}
        # The kernel's own account of this child: neither sampling nor other processes come into it.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        said = log.read()[-2000:].decode(errors="replace").strip().splitlines()
    found = {"user": usage.ru_utime, "system": usage.ru_stime, "cpu": usage.ru_utime + usage.ru_stime, "wall": wall,
             "peak_mb": usage.ru_maxrss * 1024 / 1e6}
    if process.returncode != 0:
        found["error"] = f"ended with {process.returncode}: {said[-1] if said else 'no message'}"
    return found


def read_once(path):
    """Brings a file into the page cache, so that no run pays for the disk."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 22):
            pass


def machine():
    """Processor, cores, system, and how busy it is."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) / 1e6
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {"cpu": models[0] if models else platform.machine(), "cores": len(os.sched_getaffinity(0)), "memory_gb": round(memory),
            "system": f"{system}, Linux {platform.release()}", "date": time.strftime("%Y-%m-%d"), "load": os.getloadavg()[0]}


def first_line(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"

