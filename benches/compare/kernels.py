"""Times aeon's compiled MiniRocket and Hydra on one core, beside `cargo bench --bench kernels`.

pip install aeon torch; python benches/compare/kernels.py
"""

import time

import numpy as np
from aeon.transformations.collection.convolution_based import HydraTransformer, MiniRocket

N_SERIES = 200
SHAPES = [(100, 1), (361, 1), (1000, 1), (100, 3), (128, 6), (300, 12)]
ROUNDS = 3


def best(transform, x):
    """Microseconds a series, of the best of some rounds after one to compile."""
    transform.fit(x)
    times = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        transform.transform(x)
        times.append(time.process_time() - start)
    return min(times[1:]) / len(x) * 1e6


rng = np.random.default_rng(7)
for n_steps, n_variates in SHAPES:
    x = rng.normal(size=(N_SERIES, n_variates, n_steps)).cumsum(axis=-1)
    mini = best(MiniRocket(n_jobs=1, random_state=0), x)
    hydra = best(HydraTransformer(n_jobs=1, random_state=0), x)
    name = f"steps={n_steps}/variates={n_variates}"
    print(f"{name}: MiniRocket {mini:.0f} us, Hydra {hydra:.0f} us, both {mini + hydra:.0f} us")
