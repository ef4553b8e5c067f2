"""Everything that docs/benchmarks.md lists of GPUs, one step after the other, and the finished tables.

    pip install torch numpy
    python benches/compare/gpu.py                      # the first NVIDIA GPU, through CUDA and Vulkan
    python benches/compare/gpu.py --backends cuda      # where there is no Vulkan driver
    python benches/compare/gpu.py --results FOLDER     # what is there already is not run again
    python benches/compare/gpu.py --programs FOLDER    # programs that are built already, by name

A step that ends well leaves its output in FOLDER (`target/gpu` unless said otherwise); a run that was
stopped goes on with the first step that is missing. Steps that fail are named at the end.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The tests without `fusion`, which hides how much memory a device has in use.
TESTS_WITHOUT_FUSION = "gpu-plain"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", default="cuda,wgpu", help="of ours, PyTorch's is always CUDA")
    parser.add_argument("--results", type=Path, default=ROOT / "target" / "gpu")
    parser.add_argument("--programs", type=Path, help="model, reference, precision, gpu, gpu-plain")
    parser.add_argument("--only", default="", help="steps with this in their name")
    parser.add_argument("--rounds", default="20")
    return parser.parse_args()


def program(options, name):
    """A command that runs one of ours."""
    if options.programs:
        return [str(options.programs / name)]
    extra = "" if name == TESTS_WITHOUT_FUSION else ",fusion,autotune"
    features = ["--locked", "--features", options.backends + extra]
    if name in ("gpu", TESTS_WITHOUT_FUSION):
        return ["cargo", "test", "--release", *features, "--test", "gpu", "--"]
    return ["cargo", "bench", "--quiet", *features, "--bench", name, "--"]


def steps(options):
    """Name, command and environment of every step, the shortest and most telling first."""
    compare = [sys.executable, str(ROOT / "benches/compare/pytorch.py"), "--device", "cuda"]
    compare += ["--rounds", options.rounds]
    if options.programs:
        compare += ["--binary", str(options.programs / "model")]
    for backend in options.backends.split(","):
        ours = [*compare, "--backend", backend]
        tests = ["--nocapture", "--test-threads", "1", f"{backend}::"]
        job = {"TIMESCLIP_BENCH_BACKEND": backend, "TIMESCLIP_BENCH_DTYPE": "bf16"}
        yield f"{backend}-agreement-plain", [*program(options, TESTS_WITHOUT_FUSION), *tests], {}
        yield f"{backend}-agreement", [*program(options, "gpu"), *tests], {}
        for case in ["step", "forward", "ink", "lines"]:
            yield f"{backend}-{case}-f32", [*ours, case], {}
        if backend == "cuda":
            for case in ["forward", "ink"]:
                yield f"{backend}-{case}-bf16", [*ours, "--dtype", "bf16", case], {}
            for tokens in ["all", "ink"]:
                job["TIMESCLIP_BENCH_TOKENS"] = tokens
                yield f"{backend}-reference-{tokens}", program(options, "reference"), dict(job)
            yield f"{backend}-precision", program(options, "precision"), dict(job)


def run(name, command, environment, results):
    """Runs a step unless its output is there; whether it is there in the end."""
    done = results / f"{name}.txt"
    if done.exists():
        print(f"{name}: there already", flush=True)
        return True
    print(f"{name} ...", flush=True)
    started, running = time.monotonic(), results / f"{name}.running"
    environment = {**os.environ, **environment}
    with open(running, "w", encoding="utf-8") as out:
        try:
            status = subprocess.call(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        except OSError as error:
            status = error
    print(f"    {time.monotonic() - started:.0f} s, exit status {status}", flush=True)
    running.rename(done if status == 0 else results / f"{name}.failed")
    return status == 0


def main():
    options = arguments()
    options.results.mkdir(parents=True, exist_ok=True)
    wanted = [step for step in steps(options) if options.only in step[0]]
    failed = [step[0] for step in wanted if not run(*step, options.results)]
    for name, _, _ in wanted:
        done = options.results / f"{name}.txt"
        if done.exists():
            print(f"\n## {name}\n\n{done.read_text(encoding='utf-8').strip()}")
    if failed:
        sys.exit(f"\nfailed: {', '.join(failed)}; see {options.results}")


if __name__ == "__main__":
    main()
