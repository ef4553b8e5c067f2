"""Times the recipe that the default style reproduces: matplotlib, a PNG file, and reading it back.

    pip install matplotlib pillow numpy
    python benches/compare/matplotlib_png.py [--pictures 200] [--steps 37]

Prints milliseconds a picture, on one core, and the mean size of a file. Compare with
`cargo bench --bench raster` on the same machine.
"""

import argparse
import io
import os
import tempfile
import time

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import PIL
from PIL import Image


def draw(values):
    """A figure of 400 x 400 pixels without axes, shrunk to 224 x 224."""
    figure, axes = plt.subplots(figsize=(4, 4), dpi=100)
    axes.plot(values, color="#1f77b4", linewidth=2)
    axes.axis("off")
    plt.tight_layout(pad=0)
    png = io.BytesIO()
    plt.savefig(png, format="png", bbox_inches="tight", pad_inches=0)
    plt.close(figure)
    return Image.open(png).convert("RGB").resize((224, 224), Image.BILINEAR)


def timed(label, n, action):
    start, cpu = time.perf_counter(), time.process_time()
    results = [action(i) for i in range(n)]
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{label:<32} {1e3 * wall / n:8.3f} ms wall {1e3 * cpu / n:8.3f} ms CPU")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--steps", type=int, default=37)
    args = parser.parse_args()
    n = args.pictures
    rng = np.random.default_rng(7)
    series = np.cumsum(rng.normal(size=(n, args.steps)), axis=1).astype(np.float32)
    draw(series[0])  # fonts and backends load on first use
    print(f"matplotlib {matplotlib.__version__}, Pillow {PIL.__version__}; {n} walks")
    with tempfile.TemporaryDirectory() as folder:
        path = lambda i: os.path.join(folder, f"{i}.png")
        pictures = timed("draw", n, lambda i: draw(series[i]))
        timed("save as PNG (optimize=True)", n, lambda i: pictures[i].save(path(i), optimize=True))
        read = lambda i: np.asarray(Image.open(path(i)).convert("RGB"))
        back = timed("read back to u8", n, read)
        timed("read back to f32, channels first", n, lambda i: np.ascontiguousarray(
            read(i).transpose(2, 0, 1), dtype=np.float32) / 255)
        assert all((np.asarray(a) == b).all() for a, b in zip(pictures, back))
        size = sum(os.path.getsize(path(i)) for i in range(n)) / n
    print(f"a file has {size:.0f} bytes")


if __name__ == "__main__":
    main()
