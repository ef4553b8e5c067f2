"""Times forward passes and training steps against PyTorch, both in one run on one device.

    pip install torch numpy
    python benches/compare/pytorch.py                  # the CPU, two threads each
    python benches/compare/pytorch.py --threads 1 --pin 0
    python benches/compare/pytorch.py --rounds 30 step
    python benches/compare/pytorch.py --device cuda                       # the first NVIDIA GPU
    python benches/compare/pytorch.py --device cuda --dtype bf16 forward  # encoders in bf16
    python benches/compare/pytorch.py --device cuda --backend wgpu        # ours through Vulkan

Builds the same nets in PyTorch, starts `cargo bench --bench model -- --serve`, and alternates the
two case by case, so that whatever else the machine does falls on both. Prints a table of the
fastest of all rounds and their ratio, ours over PyTorch's; medians stand beside them as a measure
of how quiet the machine was. Frozen forward passes run in inference mode; `products` are what they
multiply by weights, and nothing else of them: the time no pass can be under. `--user` compares
processor time instead of wall time, which is fair on a busy machine with one thread each.

On a GPU both are waited for in every round, the first rounds (kernels are compiled and tuned) do
not count, and products of single precision may take TF32, as Burn's do.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SMALL_PICTURES = 192
# Rounds that do not count.
WARM_UP = 3
BATCH, STEPS, VARIATES, CLASSES, PATCH = 64, 37, 14, 4, 4


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x):
        b, t, d = x.shape
        split = lambda y: y.view(b, t, self.heads, d // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(x)), split(self.v(x)))
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    """A pre-norm block of CLIP with quick GELU."""

    def __init__(self, d, heads, dropout):
        super().__init__()
        self.attention, self.dropout = Attention(d, heads), nn.Dropout(dropout)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        h = self.fc1(self.norm2(x))
        return x + self.dropout(self.fc2(h * torch.sigmoid(1.702 * h)))


def blocks(d, heads, layers, dropout):
    return nn.Sequential(*(Block(d, heads, dropout) for _ in range(layers)))


class Vit(nn.Module):
    """CLIP's vision transformer; the class token leaves it."""

    def __init__(self, side, patch, d, heads, layers, dropout=0.0):
        super().__init__()
        self.patches = nn.Conv2d(3, d, patch, patch, bias=False)
        self.token = nn.Parameter(torch.randn(d) * 0.02)
        self.positions = nn.Parameter(torch.randn((side // patch) ** 2 + 1, d) * 0.02)
        self.pre, self.post = nn.LayerNorm(d), nn.LayerNorm(d)
        self.blocks = blocks(d, heads, layers, dropout)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), 1, -1), x], 1) + self.positions
        return self.post(self.blocks(self.pre(x))[:, 0])


class Projection(nn.Sequential):
    def __init__(self, d, out):
        super().__init__(nn.Linear(d, out), nn.LayerNorm(out))


class Tokenizer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(PATCH, d), nn.LayerNorm(d), nn.GELU(), nn.Dropout(0.1)
        )
        self.token = nn.Parameter(torch.randn(d) * 0.02)
        self.positions = nn.Parameter(torch.randn(1024, d) * 0.02)
        self.variates = nn.Parameter(torch.randn(VARIATES, d) * 0.02)
        self.norm = nn.LayerNorm(d)

    def forward(self, values):
        b, t, v = values.shape
        rows = F.pad(values.transpose(1, 2), (0, -t % PATCH)).reshape(b * v, -1, PATCH)
        x = torch.cat([self.token.expand(b * v, 1, -1), self.embed(rows)], 1)
        return self.norm(x + self.positions[: x.shape[1]] + self.variates.repeat(b, 1)[:, None])


class Selection(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.attention = nn.MultiheadAttention(d, 8, dropout=0.1, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.fed = nn.Sequential(
            nn.Linear(d, 4 * d), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * d, d), nn.Dropout(0.1)
        )
        self.gate = nn.Linear(2 * d, d)

    def forward(self, f):
        f1 = self.norm1(f + self.attention(f, f, f)[0])
        f2 = self.norm2(f1 + self.fed(f1))
        return f + torch.sigmoid(self.gate(torch.cat([f, f2], -1))) * (f2 - f)


class SmallDual(nn.Module):
    """The small preset: sees masks of 64 px painted by a color table, reads patches of 4 steps."""

    def __init__(self, d=64):
        super().__init__()
        self.vision = Vit(64, 16, d, 4, 2, 0.1)
        self.tokenizer, self.text = Tokenizer(d), blocks(d, 4, 2, 0.1)
        self.norm = nn.LayerNorm(d)
        self.project_vision = Projection(d, d)
        self.selection = Selection(d)
        self.head = nn.Sequential(
            nn.Linear(3 * VARIATES * d, 128), nn.LayerNorm(128), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(128, CLASSES),
        )

    def forward(self, masks, colors, values):
        b, v = masks.shape[:2]
        variate = torch.arange(v)[:, None, None]
        pixels = colors[variate, masks.long()].flatten(0, 1).permute(0, 3, 1, 2)
        seen = self.project_vision(self.vision(pixels)).reshape(b, v, -1)
        read = self.norm(self.text(self.tokenizer(values)))[:, 0].reshape(b, v, -1)
        selected = self.selection(seen + read)
        return self.head(torch.cat([seen, read, selected], 1).flatten(1)), seen, read


def info_nce(seen, read, temperature=0.07):
    seen, read = F.normalize(seen.mean(1), dim=-1), F.normalize(read.mean(1), dim=-1)
    scores, target = seen @ read.T / temperature, torch.arange(len(seen))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


def forward(patch, pictures, dtype, size=(768, 12)):
    model = Vit(224, patch, *size, 12).eval().to(dtype)
    pixels = torch.randn(pictures, 3, 224, 224, dtype=dtype)

    def run():
        with torch.inference_mode():
            model(pixels)

    return run


def products(patch, pictures, dtype, d=768, d_ff=3072, layers=12):
    """The products with weights of a forward pass, and nothing else of it."""
    patches = pictures * (224 // patch) ** 2
    rows = {k: torch.randn(patches + pictures, k, dtype=dtype) for k in (d, d_ff)}
    pixels = torch.randn(patches, 3 * patch**2, dtype=dtype)
    shapes = [(d, d)] * 4 + [(d_ff, d), (d, d_ff)]
    factors = [(pixels, torch.randn(d, pixels.shape[1], dtype=dtype))]
    factors += [(rows[w[1]], torch.randn(w, dtype=dtype)) for w in shapes * layers]

    def run():
        with torch.inference_mode():
            for x, weight in factors:
                F.linear(x, weight)

    return run


def optimized(model, loss):
    adamw = torch.optim.AdamW(model.parameters(), 1e-3)

    def run():
        adamw.zero_grad()
        value = loss()
        value.backward()
        adamw.step()
        value.item()

    return run


def vit_step(patch):
    model = nn.Sequential(Vit(64, patch, 128, 4, 4), nn.Linear(128, 10))
    pixels, targets = torch.randn(SMALL_PICTURES, 3, 64, 64), torch.arange(SMALL_PICTURES) % 10
    return optimized(model, lambda: F.cross_entropy(model(pixels), targets))


def small_dual_step():
    model = SmallDual()
    masks = torch.randint(0, 256, (BATCH, VARIATES, 64, 64), dtype=torch.uint8)
    colors, values = torch.randn(VARIATES, 256, 3), torch.randn(BATCH, STEPS, VARIATES)
    targets = torch.arange(BATCH) % CLASSES

    def loss():
        logits, seen, read = model(masks, colors, values)
        return F.cross_entropy(logits, targets) + 0.1 * info_nce(seen, read)

    return optimized(model, loss)


CASES = {
    "forward/vit-b-32": lambda options: forward(32, options.pictures, DTYPES[options.dtype]),
    "forward/vit-b-16": lambda options: forward(16, options.pictures, DTYPES[options.dtype]),
    # Ours drops the tokens of blank paper; PyTorch takes them all, as a user of it would.
    "ink/vit-b-32": lambda options: forward(32, options.pictures, DTYPES[options.dtype]),
    "ink/vit-b-16": lambda options: forward(16, options.pictures, DTYPES[options.dtype]),
    # Ours draws as well; PyTorch's is DINOv2's ViT-S/14 over pictures that are there.
    "lines/builtin": lambda options: forward(14, options.pictures, DTYPES[options.dtype], (384, 6)),
    "products/vit-b-32": lambda options: products(32, options.pictures, DTYPES[options.dtype]),
    "products/vit-b-16": lambda options: products(16, options.pictures, DTYPES[options.dtype]),
    "step/vit-64px-16": lambda options: vit_step(16),
    "step/vit-64px-8": lambda options: vit_step(8),
    "step/small-dual": lambda options: small_dual_step(),
}
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


class Ours:
    """The bench binary, waiting for the names of cases."""

    def __init__(self, options):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        command = ["cargo", "bench", "--quiet", "--locked", "--bench", "model"]
        if options.backend != "cpu":
            command += ["--features", f"{options.backend},fusion,autotune"]
        command = [options.binary, "--serve"] if options.binary else [*command, "--", "--serve"]
        settings = {
            "RAYON_NUM_THREADS": str(options.threads),
            "TIMESCLIP_BENCH_BACKEND": options.backend,
            "TIMESCLIP_BENCH_DTYPE": options.dtype,
            "TIMESCLIP_BENCH_PICTURES": str(options.pictures),
        }
        self.process = subprocess.Popen(
            command, cwd=root, env={**os.environ, **settings}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def run(self, name):
        """Wall and processor seconds of one run."""
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the bench stopped at {name}")
        return tuple(float(seconds) for seconds in answer.split())


def run_torch(case, device):
    def used():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    wall, processor = time.perf_counter(), used()
    case()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, used() - processor


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def gpu_name():
    """Card, driver and CUDA of PyTorch, for the table's head."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return f"{torch.cuda.get_device_name()}, driver {driver}, CUDA {torch.version.cuda}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filter", nargs="?", default="", help="only cases with this in their name")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="PyTorch's")
    parser.add_argument("--backend", choices=["cpu", "cuda", "wgpu"], help="ours [the device's]")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="of frozen encoders")
    parser.add_argument("--pictures", type=int, help="of a forward pass [8, on a GPU 256]")
    parser.add_argument("--pin", help="run both on these processors, as `taskset -c` takes them")
    parser.add_argument("--user", action="store_true", help="compare processor time")
    parser.add_argument("--binary", help="a bench that is built already, instead of cargo's")
    options = parser.parse_args()
    options.backend = options.backend or options.device
    options.pictures = options.pictures or (8 if options.device == "cpu" else 256)
    return options


def main():
    options = arguments()
    if options.pin:
        os.sched_setaffinity(0, {int(core) for core in options.pin.split(",")})
    torch.set_num_threads(options.threads)
    torch.set_default_device(options.device)
    torch.set_float32_matmul_precision("highest" if options.device == "cpu" else "high")
    torch.manual_seed(0)
    ours, clock = Ours(options), 1 if options.user else 0
    kind = "processor" if options.user else "wall"
    if options.device == "cuda":
        print(f"{gpu_name()}; ours through {options.backend};")
    print(f"{processor_name()}, {options.threads} threads each, PyTorch {torch.__version__},")
    print(f"encoders in {options.dtype} over {options.pictures} pictures,")
    print(f"fastest (median) of {options.rounds} rounds, {kind} time in ms\n")
    print("| case | ours | PyTorch | ratio |\n| --- | --: | --: | --: |")
    for name, build in CASES.items():
        if options.filter not in name:
            continue
        case, times = build(options), ([], [])
        for _ in range(options.rounds + WARM_UP):
            times[0].append(ours.run(name)[clock] * 1e3)
            times[1].append(run_torch(case, options.device)[clock] * 1e3)
        a, b = (side[WARM_UP:] for side in times)
        middle = [statistics.median(side) for side in (a, b)]
        print(
            f"| {name} | {min(a):.1f} ({middle[0]:.1f}) | {min(b):.1f} ({middle[1]:.1f}) "
            f"| **{min(a) / min(b):.2f}** ({middle[0] / middle[1]:.2f}) |",
            flush=True,
        )
    ours.process.stdin.close()
    ours.process.wait()


if __name__ == "__main__":
    main()
