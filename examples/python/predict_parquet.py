"""Predicts for Parquet files with the networks of a model, in PyTorch: a loop to measure timesclip-sql by.

    timesclip train DATA --model-type language_only --tokenizer patches --out RUN
    python examples/python/predict_parquet.py RUN/model.safetensors FOLDER id acc_x acc_y > labels.csv

Needs torch, safetensors and pyarrow. Columns are the id and, for each variate, lists of one length without
gaps. The values are normalized by the moments in the model, as `--normalization dataset` does.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import torch
from classify import networks
from safetensors import safe_open


def main():
    path, folder, id_name, *names = sys.argv[1:]
    with safe_open(path, "pt") as file:
        model = json.loads(file.metadata()["timesclip_model"])
    moments = model["network"][0]["normalizer"]["variates"]
    mean = np.array([m["mean"] for m in moments], np.float32)
    deviation = np.array([m["deviation"] for m in moments], np.float32)
    members, classes = [network for network, _ in networks(path)], model["class_names"]

    start, n_rows = time.time(), 0
    print(f"{id_name},label")
    for file in sorted(Path(folder).glob("*.parquet")):
        for batch in parquet.ParquetFile(file).iter_batches(1024, columns=[id_name, *names]):
            lists = [batch.column(name).flatten().to_numpy() for name in names]
            values = np.stack([x.reshape(len(batch), -1) for x in lists], -1)
            values = torch.from_numpy((values - mean) / deviation)
            with torch.inference_mode():
                answers = sum(network({"values": values}).softmax(-1) for network in members)
            for row, answer in zip(batch.column(id_name).to_pylist(), answers.argmax(-1).tolist()):
                print(f"{row},{classes[answer]}")
            n_rows += len(batch)
    seconds = time.time() - start
    print(f"{n_rows} rows in {seconds:.1f} s, {n_rows / seconds:.0f} rows/s", file=sys.stderr)


if __name__ == "__main__":
    main()
