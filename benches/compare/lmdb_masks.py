"""Times other ways to keep the masks of the image cache: LMDB, and a PNG file for each picture.

    pip install lmdb pillow numpy
    TIMESCLIP_BENCH_MASKS=masks.u8 cargo bench --bench cache -- 'codec|batch'
    python benches/compare/lmdb_masks.py masks.u8

The masks are those of seeded walks, 14 pictures of 224 x 224 a sample. Prints bytes a picture,
milliseconds to read a random batch of 64 samples into one array of u8 (the median, page cache
warm), and how that compares with what Criterion measured of our own caches, if it did.
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import time

import lmdb
import numpy as np
import PIL
from PIL import Image

SIDE, VARIATES, BATCH = 224, 14, 64
SAMPLE = VARIATES * SIDE * SIDE


def png(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return file.getvalue()


def pixels(file):
    return np.asarray(Image.open(file))


class PngFiles:
    """One file for each picture, as the recipe of the reference does."""

    name = "PNG files"

    def __init__(self, folder, masks):
        self.folder, self.bytes = folder, 0
        for i, mask in enumerate(masks.reshape(-1, SIDE, SIDE)):
            coded = png(mask)
            with open(self.path(i), "wb") as file:
                file.write(coded)
            self.bytes += len(coded)

    def path(self, i):
        return os.path.join(self.folder, f"{i}.png")

    def read(self, sample, out):
        for variate in range(VARIATES):
            out[variate] = pixels(self.path(sample * VARIATES + variate))


class Lmdb:
    """One record for each sample: the masks as they are, or one PNG for each."""

    def __init__(self, folder, masks, coded):
        self.name = "LMDB of PNGs" if coded else "LMDB of masks"
        self.coded = coded
        self.env = lmdb.open(folder, map_size=4 * masks.nbytes + (64 << 20))
        with self.env.begin(write=True) as transaction:
            for sample, pictures in enumerate(masks):
                transaction.put(sample.to_bytes(8, "big"), self.encode(pictures))
        self.env.sync()
        info, stat = self.env.info(), self.env.stat()
        self.bytes = (info["last_pgno"] + 1) * stat["psize"]

    def encode(self, pictures):
        if not self.coded:
            return pictures.tobytes()
        codes = [png(mask) for mask in pictures]
        return b"".join(len(code).to_bytes(4, "little") + code for code in codes)

    def read(self, sample, out):
        with self.env.begin(buffers=True) as transaction:
            record = transaction.get(sample.to_bytes(8, "big"))
            if not self.coded:
                out[:] = np.frombuffer(record, np.uint8).reshape(out.shape)
                return
            at = 0
            for variate in range(VARIATES):
                end = at + 4 + int.from_bytes(record[at : at + 4], "little")
                out[variate] = pixels(io.BytesIO(record[at + 4 : end]))
                at = end


def batch_seconds(store, masks, rounds):
    """Reads random batches; the masks that come back must be those that went in."""
    rng = np.random.default_rng(11)
    out = np.zeros((BATCH, VARIATES, SIDE, SIDE), np.uint8)
    seconds = []
    for _ in range(rounds):
        samples = rng.integers(0, len(masks), BATCH)
        start = time.perf_counter()
        for slot, sample in enumerate(samples):
            store.read(int(sample), out[slot])
        seconds.append(time.perf_counter() - start)
        assert np.array_equal(out, masks[samples]), f"{store.name}: other masks came back"
    return statistics.median(seconds)


def criterion_seconds(root):
    """Median seconds of the same batch from our caches, where Criterion has measured it."""
    found = {}
    for kind in ["memory", "disk", "none"]:
        path = os.path.join(root, "batch", f"cache={kind}", "64x14", "new", "estimates.json")
        if os.path.exists(path):
            with open(path) as file:
                found[kind] = json.load(file)["median"]["point_estimate"] / 1e9
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("masks", help="file written by TIMESCLIP_BENCH_MASKS")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--criterion", default="target/criterion")
    args = parser.parse_args()
    masks = np.fromfile(args.masks, np.uint8).reshape(-1, VARIATES, SIDE, SIDE)
    n_pictures = len(masks) * VARIATES
    ours = criterion_seconds(args.criterion)
    print(f"lmdb {lmdb.__version__}, Pillow {PIL.__version__}; {len(masks)} samples")
    header = f"{'store':<20} {'B/picture':>9} {'write s':>8} {'batch ms':>9} {'us/picture':>10}"
    print(header + "".join(f" {'x ' + kind:>9}" for kind in ours))
    makers = [PngFiles, lambda f, m: Lmdb(f, m, True), lambda f, m: Lmdb(f, m, False)]
    for make in makers:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            store = make(folder, masks)
            written = time.perf_counter() - start
            took = batch_seconds(store, masks, args.rounds)
        print(
            f"{store.name:<20} {store.bytes / n_pictures:9.0f} {written:8.2f} {1e3 * took:9.1f}"
            f" {1e6 * took / BATCH / VARIATES:10.2f}"
            + "".join(f" {took / seconds:9.1f}" for seconds in ours.values())
        )
    for kind, seconds in ours.items():
        print(f"timesclip, cache {kind:<20} {'':>12} {1e3 * seconds:8.1f} {1e6 * seconds / BATCH / VARIATES:10.2f}")


if __name__ == "__main__":
    main()
