"""Classifies a batch with the networks of a model, in PyTorch: needs torch and safetensors.

    timesclip train DATA --model-type dual --tokenizer patches --out RUN
    python examples/python/classify.py RUN/model.safetensors batch.safetensors

Modules are named as the tensors of a network (docs/safetensors.md), so that they load strictly. The
batch holds what a network takes: `masks` [batch, variates, side, side] and `colors` [variates, 256, 3]
where it has vision; `values`, `valid` and perhaps `statistics` where it has language. Prints the class
of the highest mean probability of the networks, before they are pooled with the closed form.
"""

import json
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    def __init__(self, d, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj = nn.Linear(d, d), nn.Linear(d, d)
        self.v_proj, self.out_proj = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x, seen=None):
        def heads(y):
            return y.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.out_proj(x.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, d, d_ff, activation):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, d_ff), nn.Linear(d_ff, d)
        self.is_quick = activation == "quick_gelu"

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.is_quick else F.gelu(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, eps = c["d_model"], c["layer_norm_eps"]
        self.self_attn = Attention(d, c["n_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d, eps), nn.LayerNorm(d, eps)
        self.mlp = Mlp(d, c["d_ff"], c["activation"])

    def forward(self, x, seen=None):
        x = x + self.self_attn(self.layer_norm1(x), seen)
        return x + self.mlp(self.layer_norm2(x))


class Transformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(Block(c) for _ in range(c["n_layers"]))


class VisionEmbeddings(nn.Module):
    def __init__(self, d, patch, n_tokens):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(d))
        self.patch_embedding = nn.Conv2d(3, d, patch, patch, bias=False)
        self.position_embedding = nn.Embedding(n_tokens, d)

    def forward(self, pixels):
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([first, patches], 1) + self.position_embedding.weight


class VisionEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        blocks, patch = c["transformer"], c["image_patch_size"]
        d, eps = blocks["d_model"], blocks["layer_norm_eps"]
        self.embeddings = VisionEmbeddings(d, patch, (c["side_px"] // patch) ** 2 + 1)
        if c["pre_norm"]:
            self.pre_layrnorm = nn.LayerNorm(d, eps)
        self.encoder = Transformer(blocks)
        self.post_layernorm = nn.LayerNorm(d, eps)
        self.layer, self.pooling = c["tap"]["layer"], c["tap"]["pooling"]

    def forward(self, pixels):
        x = self.embeddings(pixels)
        if hasattr(self, "pre_layrnorm"):
            x = self.pre_layrnorm(x)
        for block in self.encoder.layers[: self.layer]:
            x = block(x)
        if self.layer in (None, len(self.encoder.layers)):
            x = self.post_layernorm(x)
        taken = {"class": [x[:, 0]], "mean": [x[:, 1:].mean(1)]}
        taken["both"] = taken["class"] + taken["mean"]
        return torch.cat(taken[self.pooling], -1)


class Standardize(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("std", torch.ones(d))

    def forward(self, x):
        return (x - self.mean) / (self.std + 1e-6)


class Projection(nn.Module):
    def __init__(self, d, d_output):
        super().__init__()
        self.linear, self.norm = nn.Linear(d, d_output), nn.LayerNorm(d_output)

    def forward(self, x):
        return self.norm(self.linear(x))


class VisionBranch(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["vision"]["transformer"]["d_model"] * (1 + (c["vision"]["tap"]["pooling"] == "both"))
        self.vision_model = VisionEncoder(c["vision"])
        self.standardize = Standardize(d) if c["standardize_features"] else nn.Identity()
        self.projection = Projection(d, c["d_model"])

    def forward(self, masks, colors):
        b, v = masks.shape[:2]
        # A pixel is the entry of its coverage in the color table of its variate.
        pixels = colors[torch.arange(v)[:, None, None], masks.long()]
        features = self.vision_model(pixels.flatten(0, 1).permute(0, 3, 1, 2))
        return self.projection(self.standardize(features)).unflatten(0, (b, v))


class Tokenizer(nn.Module):
    def __init__(self, c, n_variates, d):
        super().__init__()
        self.c = c
        self.projection, self.patch_norm = nn.Linear(c["patch_len"], d), nn.LayerNorm(d)
        self.class_token = nn.Parameter(torch.zeros(d))
        self.positions = nn.Parameter(torch.zeros(c["max_tokens"], d))
        if c["variate_embedding"]:
            self.variates = nn.Parameter(torch.zeros(n_variates, d))
        if c["statistics"]:
            self.statistics = nn.Linear(2, d)
        self.token_norm = nn.LayerNorm(d)

    def patches(self, x):
        length, stride = self.c["patch_len"], self.c["patch_stride"]
        x = x.transpose(1, 2).flatten(0, 1)
        if self.c["pad_end"]:
            x = F.pad(x, (0, -(x.shape[1] - length) % stride if x.shape[1] > length else length - x.shape[1]))
        return x.unfold(1, length, stride)

    def forward(self, values, valid, statistics):
        b, _, v = values.shape
        tokens = F.gelu(self.patch_norm(self.projection(self.patches(values))))
        parts = [self.class_token.expand(b * v, 1, -1)]
        if self.c["statistics"]:
            parts.append(self.statistics(statistics.reshape(b * v, 1, 2)))
        x = torch.cat([*parts, tokens], 1)
        x = x + self.positions[: x.shape[1]]
        if self.c["variate_embedding"]:
            x = x + self.variates.repeat(b, 1)[:, None]
        seen = self.patches(valid.bool()).any(-1)
        always = torch.ones(b * v, len(parts), dtype=torch.bool)
        return self.token_norm(x), torch.cat([always, seen], 1)


class TextEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        blocks = c["transformer"]
        self.encoder, self.causal = Transformer(blocks), c["causal"]
        self.final_layer_norm = nn.LayerNorm(blocks["d_model"], blocks["layer_norm_eps"])

    def forward(self, x, seen):
        seen = seen[:, None, None]
        if self.causal:
            seen = seen & torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        for block in self.encoder.layers:
            x = block(x, seen)
        return self.final_layer_norm(x)


class LanguageBranch(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["language"]["transformer"]["d_model"]
        patches = c["language"]["tokenizer"]["patches"]
        self.tokenizer = Tokenizer(patches, c["n_variates"], d)
        self.text_model = TextEncoder(c["language"])
        self.projection = Projection(d, c["d_model"]) if d != c["d_model"] else nn.Identity()

    def forward(self, values, valid, statistics):
        x = self.text_model(*self.tokenizer(values, valid, statistics))[:, 0]
        return self.projection(x).unflatten(0, (len(values), -1))


class Selection(Attention):
    def __init__(self, c):
        d, wide = c["d_model"], c["d_model"] * c["selection"]["widening"]
        super().__init__(d, c["selection"]["n_heads"])
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, wide), nn.Linear(wide, d)
        self.gate = nn.Linear(2 * d, d)

    def forward(self, f):
        f1 = self.norm1(f + super().forward(f))
        f2 = self.norm2(f1 + self.fc2(F.gelu(self.fc1(f1))))
        g = torch.sigmoid(self.gate(torch.cat([f, f2], -1)))
        return g * f2 + (1 - g) * f


class Hidden(nn.Module):
    def __init__(self, d, d_output, norm):
        super().__init__()
        self.linear = nn.Linear(d, d_output)
        if norm == "batch":
            self.batch_norm = nn.BatchNorm1d(d_output)
        else:
            self.layer_norm = nn.LayerNorm(d_output)

    def forward(self, x):
        for step in self.children():
            x = step(x)
        return F.relu(x)


class Head(nn.Module):
    def __init__(self, d, c, n_classes):
        super().__init__()
        widths = [d, *c["hidden"]]
        pairs = zip(widths, widths[1:])
        self.hidden = nn.ModuleList(Hidden(a, b, c["norm"]) for a, b in pairs)
        self.output = nn.Linear(widths[-1], n_classes)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.output(x)


class Classifier(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.concat, mode = c["pooling"] == "concat", c["modalities"]
        if mode != "language_only":
            self.vision = VisionBranch(c)
        if mode != "vision_only":
            self.language = LanguageBranch(c)
        if mode == "dual":
            self.selection = Selection(c)
        width = c["d_model"] * (c["n_variates"] if self.concat else 1)
        self.head = Head(width * (3 if mode == "dual" else 1), c["head"], c["n_classes"])

    def forward(self, batch):
        views = []
        if hasattr(self, "vision"):
            views.append(self.vision(batch["masks"], batch["colors"]))
        if hasattr(self, "language"):
            # A batch in which every step is valid does not say so.
            valid = batch.get("valid", torch.ones_like(batch["values"]))
            views.append(self.language(batch["values"], valid, batch.get("statistics")))
        if hasattr(self, "selection"):
            views.append(self.selection(views[0] + views[1]))
        pooled = [x.flatten(1) if self.concat else x.mean(1) for x in views]
        return self.head(torch.cat(pooled, -1))


def networks(path):
    """The networks of a model file, or the classifier that `save_classifier` wrote, and class names."""
    with safe_open(path, "pt") as file:
        notes = file.metadata()
    tensors = load_file(path)
    if "timesclip" in notes:
        config, count, prefix, names = json.loads(notes["timesclip"])["model"], 1, "", None
    else:
        model = json.loads(notes["timesclip_model"])
        if model["network"] is None:
            sys.exit("the model has no network: its closed form is in docs/model-file.md")
        (recipe, count), names = model["network"], model["class_names"]
        config, prefix = recipe["model"], "network.{}."
    if config["modalities"] != "vision_only" and "patches" not in config["language"]["tokenizer"]:
        sys.exit("the network reads by convolutions; fit it with --tokenizer patches")
    for number in range(count):
        start = prefix.format(number)
        own = {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
        network = Classifier(config)
        network.load_state_dict(own)
        yield network.eval(), names


def main():
    batch, sum_of = load_file(sys.argv[2]), 0
    with torch.no_grad():
        for number, (network, names) in enumerate(networks(sys.argv[1]), 1):
            sum_of = sum_of + network(batch).softmax(-1)
    for row in sum_of / number:
        label = names[row.argmax()] if names else int(row.argmax())
        print(f"{label}\t{row.max():.4f}")


if __name__ == "__main__":
    main()
