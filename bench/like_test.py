"""A holdout that resembles the test set, against random ones of the same class shares.

    python bench/like_test.py

Of the 7,754 measured training images of the Human Protein Atlas contest (HOLOTYPE_DATA/hpa2018) 2,000 are chosen;
models of another family than the one that chose tell them from the test images, cross-fitted.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl
from _common import real_data

from holotype.split import adversarial_auc, choose_like_test, discriminate, matching_features, stratified_folds

ROWS, DRAWS, SEED = 2_000, 20, 1


def main() -> None:
    folder = real_data("hpa2018")
    if folder is None:
        return
    train, test = pl.read_csv(folder / "train_meta.csv"), pl.read_csv(folder / "test_meta.csv")
    names = [name for name in train.columns if name != "Id"]
    labels = train.join(pl.read_csv(folder / "train.csv"), on="Id", how="left", maintain_order="left")["Target"]
    truth = np.zeros((len(labels), 28), bool)
    for row, said in enumerate(labels):
        truth[row, [int(number) for number in said.split()]] = True
    features = np.vstack([train.select(names).to_numpy(), test.select(names).to_numpy()]).astype(np.float32)
    is_test = np.arange(len(features)) >= len(train)
    units = np.arange(len(features))
    started = time.perf_counter()
    likeness = discriminate(features, is_test, units, SEED, names)
    print(f"all training images against the test images: AUC {likeness.auc:.3f}; they are told apart by")
    print(likeness.separating.head(5))
    matching = matching_features(features, likeness.probability, is_test, SEED)
    target = matching[is_test].mean(axis=0)
    chosen = choose_like_test(matching[~is_test], target, truth, units[~is_test], ROWS, SEED)
    print(f"{chosen.sum():,} chosen in {time.perf_counter() - started:.1f} s")
    shares = np.abs(truth[chosen].mean(axis=0) - truth.mean(axis=0))
    print(f"class shares differ from those of all by {shares.mean():.4f} on average, {shares.max():.4f} at most")

    def judged(part: np.ndarray) -> float:
        rows = np.concatenate([np.flatnonzero(part), np.flatnonzero(is_test)])
        return adversarial_auc(features[rows], is_test[rows], units[rows], SEED)

    ours = judged(chosen)
    random = []
    for draw in range(DRAWS):
        fold = stratified_folds(truth, np.arange(len(truth)), len(truth) // 100, draw)
        part = np.isin(fold, np.random.default_rng(draw).permutation(len(truth) // 100)[: ROWS // 100])
        random.append(judged(part))
    print(f"AUC against the test images: chosen {ours:.3f}; random of the same class shares {np.round(random, 3)}")
    nearer = sum(abs(ours - 0.5) < abs(value - 0.5) for value in random)
    print(f"nearer to 0.5 than {nearer} of {DRAWS} random draws")


if __name__ == "__main__":
    main()
