"""Ways to damage a file. Each takes the source, the target and a random generator, and returns what it did."""

import json
import struct
import subprocess

# Containers whose readers find their place again after any byte.
SELF_SYNCHRONIZING = (".ts", ".mpg", ".flv")


def packets(path):
    """Position and size of each packet of the first video stream, in the order of the file."""
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pos,size", "-of", "json=compact=1", path],
                          check=True, capture_output=True, text=True).stdout
    listed = json.loads(text)["packets"]
    return [(int(packet["pos"]), int(packet["size"])) for packet in listed if packet.get("pos")]


def read(path):
    with open(path, "rb") as file:
        return bytearray(file.read())


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def flip_bits(source, target, rng):
    """Flips some bits within some packets."""
    data, found = read(source), packets(source)
    chosen = rng.sample(range(len(found)), min(len(found), rng.choice([1, 1, 2, 4])))
    n_bits = rng.choice([1, 3, 10, 40])
    for number in chosen:
        pos, size = found[number]
        for _ in range(n_bits):
            at = pos + rng.randrange(max(size, 1))
            if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
    write(target, data)
    return f"{n_bits} bits in each of the packets {sorted(chosen)}"


def lose_packets(source, target, rng):
    """Leaves packets of the video out; the container is written anew without them."""
    n = len(packets(source))
    first, length = rng.randrange(n), rng.choice([1, 1, 2, 5])
    remux(source, target, f"between(n\\,{first}\\,{first + length - 1})")
    return f"packets {first} to {first + length - 1} of {n}"


def remux(source, target, dropped):
    run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-copyts", "-i", source, "-map", "0", "-c", "copy", "-bsf:v", f"noise=drop={dropped}", "-muxdelay", "0",
         "-muxpreload", "0", target])


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def cut_end(source, target, rng):
    """Keeps the first part of the file."""
    data = read(source)
    share = rng.uniform(0.2, 0.98)
    write(target, data[:int(len(data) * share)])
    return f"the first {share:.1%}"


def cut_beginning(source, target, rng):
    """Removes the first part: of the bytes where the container allows it, else of the packets."""
    share = rng.uniform(0.05, 0.6)
    if source.endswith(SELF_SYNCHRONIZING):
        data = read(source)
        write(target, data[int(len(data) * share):])
        return f"without the first {share:.1%} of the bytes"
    n = max(1, int(len(packets(source)) * share))
    remux(source, target, f"lt(n\\,{n})")
    return f"without the first {n} packets"


def swap_packets(source, target, rng):
    """Exchanges two neighbouring packets of the video, with what lies between them."""
    data, found = read(source), packets(source)
    for _ in range(200):
        number = rng.randrange(len(found) - 1)
        if swapped := SWAPS.get(source[source.rindex("."):], swap_elements)(data, found, number, source):
            write(target, swapped)
            return f"packets {number} and {number + 1}"
    raise RuntimeError(f"{source}: no two packets to swap")


def start_of(data, pos, source):
    """Where the container's element begins whose packet is at `pos`."""
    if source.endswith((".mkv", ".webm")):
        for n in range(1, 9):
            # SimpleBlock, then its length.
            if data[pos - n - 1] == 0xa3 and 8 - data[pos - n].bit_length() == n - 1:
                return pos - n - 1
        return None
    return pos - 8 if source.endswith(".avi") else pos


def swap_elements(data, found, number, source):
    """Two elements that hold a packet each."""
    places = [found[i][0] if i < len(found) else None for i in range(number, number + 3)]
    if places[2] is None:
        return None
    first, second, end = (start_of(data, place, source) for place in places)
    if None in (first, second, end) or not first < second < end:
        return None
    return data[:first] + data[second:end] + data[first:second] + data[end:]


def swap_samples(data, found, number, source):
    """Two samples of one chunk, and their sizes in the table."""
    (first, first_size), (second, second_size) = found[number], found[number + 1]
    table = sizes_table(data)
    if first + first_size != second or table is None:
        return None
    entry = table + 4 * number
    if struct.unpack(">II", data[entry:entry + 8]) != (first_size, second_size):
        return None
    swapped = data[:first] + data[second:second + second_size] + data[first:second] + data[second + second_size:]
    swapped[entry:entry + 8] = struct.pack(">II", second_size, first_size)
    return swapped


def sizes_table(data):
    """Where the sizes of the first video track's samples begin."""
    handler = data.find(b"vmhd")
    table = data.find(b"stsz", handler)
    if handler < 0 or table < 0 or struct.unpack(">I", data[table + 8:table + 12])[0] != 0:
        return None
    return table + 16


SWAPS = {".mp4": swap_samples, ".mov": swap_samples, ".3gp": swap_samples}
KINDS = {"flipped bits": flip_bits, "lost packets": lose_packets, "cut end": cut_end, "cut beginning": cut_beginning, "swapped packets": swap_packets}
