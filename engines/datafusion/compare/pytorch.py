"""Predicts waves with the weights of a model file in PyTorch, in the loop that one would write.

    python pytorch.py MODEL.safetensors FOLDER_OF_PARQUET OUT.csv

MODEL is `timesclip train --model-type language_only --text-weights none --folds 1`: one network, no
closed form. Reads Parquet with pyarrow, batch by batch, and writes row, label and probability. Needs
torch, safetensors and pyarrow. The loop knows what a general reader cannot: every series has 3 variates
and 50 steps, and none is missing.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from safetensors import safe_open

STEPS, VARIATES, BATCH, HEADS = 50, 3, 4096, 4
STRETCH = 3  # readings of a token: 50 steps, at most 24 tokens


def load(path):
    with safe_open(path, "pt") as file:
        record = json.loads(next(iter(file.metadata().values())))
        names = [name for name in file.keys() if name.startswith("network.0.")]
        weights = {name[len("network.0.") :]: file.get_tensor(name) for name in names}
    return record, weights


def find(record, key):
    """The first value of this key, however deep."""
    if isinstance(record, dict):
        if key in record:
            return record[key]
        record = list(record.values())
    if isinstance(record, list):
        for part in record:
            found = find(part, key)
            if found is not None:
                return found
    return None


class Network:
    def __init__(self, weights):
        self.w = weights

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"])

    def batch_norm(self, name, x):
        w = [self.w[f"language.convolutions.{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *w)

    def convolve(self, layer, x):
        names = sorted(name for name in self.w if name.startswith(f"language.convolutions.{layer}.kernels."))
        kernels = [self.w[name] for name in names]
        return torch.cat([F.conv1d(x, k, padding=k.shape[2] // 2) for k in kernels], 1)

    def attend(self, layer, x):
        n, t, d = x.shape
        q, k, v = (
            self.linear(f"{layer}.self_attn.{part}_proj", x).view(n, t, HEADS, d // HEADS).transpose(1, 2) for part in "qkv"
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
        return self.linear(f"{layer}.self_attn.out_proj", y)

    def __call__(self, x):  # [n, variates, steps], normalized
        difference = F.pad(x[:, :, 1:] - x[:, :, :-1], (1, 0))
        x = torch.cat([x, difference, torch.ones_like(x)], 1)
        first = F.gelu(self.batch_norm("first_norm", self.convolve("first", x)))
        narrow = self.linear("language.convolutions.bottleneck", first.transpose(1, 2)).transpose(1, 2)
        x = F.gelu(self.batch_norm("second_norm", self.convolve("second", narrow)) + first)
        parts = x.split(STRETCH, 2)
        pooled = torch.stack([torch.cat([part.mean(2), part.amax(2)], 1) for part in parts], 1)
        tokens = self.linear("language.convolutions.projection", pooled)
        start = self.w["language.convolutions.class_token"].expand(len(x), 1, -1)
        x = torch.cat([start, tokens], 1)
        x = self.norm("language.convolutions.token_norm", x + self.w["language.convolutions.positions"][: x.shape[1]])
        for number in range(2):
            layer = f"language.text_model.encoder.layers.{number}"
            x = x + self.attend(layer, self.norm(layer + ".layer_norm1", x))
            h = F.gelu(self.linear(layer + ".mlp.fc1", self.norm(layer + ".layer_norm2", x)))
            x = x + self.linear(layer + ".mlp.fc2", h)
        x = self.norm("language.text_model.final_layer_norm", x)
        x = self.linear("language.projection.linear", torch.cat([x[:, 0], x[:, 1:].mean(1)], 1))
        return self.linear("head.output", self.norm("language.projection.norm", x))


def main(model, folder, out):
    record, weights = load(model)
    classes = find(record, "class_names")
    variates = find(record, "normalizer")["variates"]
    mean, std = (torch.tensor([v[key] for v in variates]).view(1, VARIATES, 1) for key in ("mean", "std"))
    network = Network(weights)
    started, row = time.perf_counter(), 0
    with torch.inference_mode(), open(out, "w") as answers:
        answers.write("row,label,probability\n")
        for path in sorted(Path(folder).glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(BATCH):
                columns = [batch.column(name).flatten().to_numpy() for name in ("acc_x", "acc_y", "acc_z")]
                x = torch.from_numpy(np.stack([c.reshape(-1, STEPS) for c in columns], 1))
                best = network((x - mean) / std).softmax(1).max(1)
                for label, probability in zip(best.indices.tolist(), best.values.tolist()):
                    answers.write(f"{row},{classes[label]},{probability:.6f}\n")
                    row += 1
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{row} rows in {seconds:.1f} s, {row / seconds:.0f} rows a second, {peak:.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
