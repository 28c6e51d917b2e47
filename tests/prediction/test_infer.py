"""The one inference loop: views, batches, order."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from holotype.augment import tta_matrices
from holotype.core.progress import Progress, Task
from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset, view_batch
from holotype.networks import build_network, open_checkpoint, save_network
from holotype.prediction import InferenceOptions, RunningPool, infer, infer_logits, tta_transforms
from holotype.recipe.sections import AugmentSpec, ModelSpec, PredictSpec
from holotype.types import Normalization

CPU = torch.device("cpu")
ROWS = np.arange(11)
MEAN, DEVIATION = (100.0, 30.0), (40.0, 20.0)


@pytest.fixture(scope="module")
def specimens() -> ImageDataset:
    pixels = np.random.default_rng(1).integers(0, 255, (11, 2, 24, 24)).astype(np.uint8)
    return ImageDataset(PixelCache(pixels, "fit"), Normalization(MEAN, DEVIATION), np.zeros((11, 3), bool))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Sees which way up an image is."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 22 * 22, 3)]
    return nn.Sequential(*layers).eval()


def scaled(specimens: ImageDataset) -> Tensor:
    """The images as the network should be given them."""
    pixels = torch.from_numpy(specimens.pixel_cache.pixels).float()
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def said(network: nn.Module, specimens: ImageDataset, views: str = "none", pool: str = "mean-logit") -> np.ndarray:
    reading = InferenceOptions(24, "multilabel", PredictSpec(tta=views, pooling=pool))  # type: ignore[arg-type]
    return infer_logits(network, specimens, ROWS, reading, CPU)


def test_without_views_the_network_sees_the_scaled_image(network: nn.Module, specimens: ImageDataset) -> None:
    with torch.no_grad():
        expected = network(scaled(specimens)).numpy()
    np.testing.assert_allclose(said(network, specimens), expected, atol=1e-4)


def test_flips_are_the_four_mirrorings(network: nn.Module, specimens: ImageDataset) -> None:
    pixels = scaled(specimens)
    with torch.no_grad():
        views = [network(pixels.flip(axes)) for axes in ([], [2], [3], [2, 3])]
    np.testing.assert_allclose(said(network, specimens, "flips"), torch.stack(views).mean(0).numpy(), atol=1e-4)


@pytest.mark.parametrize("pool", ["mean-logit", "max"])
def test_d4_is_the_eight_symmetries_of_the_square(network: nn.Module, specimens: ImageDataset, pool: str) -> None:
    pixels = scaled(specimens)
    with torch.no_grad():
        views = [
            network(turned)
            for quarter in range(4)
            for turned in (pixels.rot90(quarter, (2, 3)), pixels.rot90(quarter, (2, 3)).flip(3))
        ]
    together = torch.stack(views)
    expected = together.mean(0) if pool == "mean-logit" else together.amax(0)
    assert (together - together[0]).abs().max() > 0.1
    np.testing.assert_allclose(said(network, specimens, "d4", pool), expected.numpy(), atol=1e-4)


def test_the_size_of_the_batch_does_not_matter(
    network: nn.Module, specimens: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = said(network, specimens, "d4")
    for size in (1, 4, 11):
        monkeypatch.setattr(sys.modules[infer.__module__], "PREDICTION_BATCH", size)
        np.testing.assert_allclose(said(network, specimens, "d4"), whole, atol=1e-5)


def test_scores_come_in_the_order_of_the_rows(network: nn.Module, specimens: ImageDataset) -> None:
    whole = said(network, specimens)
    reading = InferenceOptions(24, "multilabel", PredictSpec(tta="none"))
    order = np.array([7, 0, 10, 7, 3])
    np.testing.assert_allclose(infer_logits(network, specimens, order, reading, CPU), whole[order], atol=1e-5)


def test_no_rows_give_no_scores_of_the_right_shape(network: nn.Module, specimens: ImageDataset) -> None:
    reading = InferenceOptions(24, "multilabel", PredictSpec())
    nothing = infer_logits(network, specimens, np.empty(0, np.int64), reading, CPU)
    assert (nothing.shape, nothing.dtype) == ((0, 3), np.float32)


def test_images_are_counted_once_however_many_views_there_are(network: nn.Module, specimens: ImageDataset) -> None:
    task = Task("predicting", 11, "images")
    infer_logits(network, specimens, ROWS, InferenceOptions(24, "multilabel", PredictSpec(tta="d4")), CPU, task)
    assert task.done == 11


def test_crops_are_windows_of_the_networks_size_the_same_for_every_image(specimens: ImageDataset) -> None:
    views = PredictSpec(tta={"crops": 5, "image_size": 24})
    made = [view(scaled(specimens)) for view in tta_transforms(specimens, InferenceOptions(12, "multilabel", views))]
    assert len(made) == 5
    whole = scaled(specimens)
    for seen in made:
        assert seen.shape == (11, 2, 12, 12)
        # a window that lies between pixels is a mean of its neighbours: within what the image holds about there
        assert seen.min() >= whole.min() - 1e-4
        assert seen.max() <= whole.max() + 1e-4
    alone = tta_transforms(specimens, InferenceOptions(12, "multilabel", views))[3](whole[4:5])
    torch.testing.assert_close(alone, made[3][4:5], atol=1e-5, rtol=0)
    assert (made[0] - made[1]).abs().max() > 0.1


def test_a_crop_of_a_smooth_image_is_where_it_says() -> None:
    ramp = np.broadcast_to(np.arange(24, dtype=np.uint8), (1, 1, 24, 24))
    specimens = ImageDataset(PixelCache(ramp.copy(), "fit"), Normalization((0.0,), (1.0,)), np.zeros((1, 3), bool))
    views = PredictSpec(tta={"crops": 20, "image_size": 24})
    pixels = torch.from_numpy(ramp.copy()).float()
    for view in tta_transforms(specimens, InferenceOptions(12, "multilabel", views)):
        steps = view(pixels)[0, 0].diff(dim=1)
        torch.testing.assert_close(steps, torch.ones_like(steps), atol=1e-4, rtol=0)  # no scale but the image's own
        assert 0 <= view(pixels).min() <= view(pixels).max() <= 23


def test_drawn_views_are_draws_of_the_training_augmentation_beside_plain_ones(specimens: ImageDataset) -> None:
    views, augment = PredictSpec(tta={"train_augmentation": 6, "identity": 1}), AugmentSpec(brightness=0.5)
    made = [
        view(scaled(specimens))
        for view in tta_transforms(specimens, InferenceOptions(24, "multilabel", views, augment))
    ]
    assert len(made) == 7
    torch.testing.assert_close(made[0], scaled(specimens), atol=1e-4, rtol=0)
    assert min((one - made[0]).abs().max() for one in made[1:]) > 0.1
    still = AugmentSpec(flip=False, rotate=0, scale=(1, 1), brightness=0, contrast=0)
    plain = [
        view(scaled(specimens)) for view in tta_transforms(specimens, InferenceOptions(24, "multilabel", views, still))
    ]
    assert max((one - plain[0]).abs().max() for one in plain) < 1e-3


def test_turning_pixels_is_what_the_warp_would_do(specimens: ImageDataset) -> None:
    pixels = scaled(specimens)
    made = tta_transforms(specimens, InferenceOptions(24, "multilabel", PredictSpec(tta="d4")))
    for view, matrix in zip(made, tta_matrices("d4"), strict=True):
        torch.testing.assert_close(view(pixels), view_batch(specimens, pixels, matrix[None], 24), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "views", [{"crops": 4}, {"train_augmentation": 0}, {"identity": 1}, {"crops": 1, "identity": 1}]
)
def test_half_said_views_are_refused(views: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="should be of the form"):
        PredictSpec(tta=views)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_the_geometric_pool_is_the_mean_of_logarithms(kind: str) -> None:
    views = [torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)) * 4 for seed in range(3)]
    pool = RunningPool("geometric", kind)
    for view in views:
        pool.add(view)
    said = [view.sigmoid() if kind == "multilabel" else view.softmax(1) for view in views]
    mean = torch.stack([one.log() for one in said]).mean(0).exp()
    found = pool.logits().sigmoid() if kind == "multilabel" else pool.logits().softmax(1)
    expected = mean if kind == "multilabel" else mean / mean.sum(1, keepdim=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_checkpoint_is_asked_in_evaluation_mode_at_its_own_size(specimens: ImageDataset, tmp_path: Path) -> None:
    model = ModelSpec.model_validate(
        {"name": "b1", "backbone": "test_efficientnet", "weights": "none", "head": {"dropout": 0.5}}
    )
    network, found = build_network(model, 3, 2, seed=1)
    card = {
        "model": model.model_dump(mode="json"),
        "fold": 4,
        "classes": ["a", "b", "c"],
        "kind": "multilabel",
        "channels": 2,
        "input_channels": 2,
        "size": 32,
        "backbone_options": found.options,
    }
    save_network(tmp_path, network, card)
    runtime = Runtime(device="cpu", threads=1, progress=Progress(quiet=True))
    first = infer(open_checkpoint(tmp_path), specimens, ROWS, PredictSpec(tta="flips"), runtime, CPU)[0]
    again = infer(open_checkpoint(tmp_path), specimens, ROWS, PredictSpec(tta="flips"), runtime, CPU)[0]
    assert (first.model, first.fold, first.rows.tolist()) == ("b1", 4, ROWS.tolist())
    assert first.logits.dtype == np.float32
    np.testing.assert_array_equal(first.logits, again.logits)
    reading = InferenceOptions(32, "multilabel", PredictSpec(tta="flips"))
    np.testing.assert_allclose(first.logits, infer_logits(network.eval(), specimens, ROWS, reading, CPU), atol=1e-5)


def test_on_a_gpu_the_next_batch_is_read_while_this_one_is_computed(
    network: nn.Module, specimens: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, readers = said(network, specimens), []
    infer_module = sys.modules["holotype.prediction.infer"]  # the package has a function of that name
    read = infer_module.read_batch

    def watched(held: ImageDataset, rows: np.ndarray, device: object) -> Tensor:
        readers.append(threading.current_thread())
        return read(held, rows, CPU)

    monkeypatch.setattr(infer_module, "read_batch", watched)
    monkeypatch.setattr(infer_module, "PREDICTION_BATCH", 3)
    reading, gpu = InferenceOptions(24, "multilabel", PredictSpec(tta="none")), SimpleNamespace(type="cuda")
    logits = infer_logits(network, specimens, ROWS, reading, gpu)  # type: ignore[arg-type]
    np.testing.assert_allclose(logits, plain, atol=1e-5)
    assert len(readers) == 4
    assert threading.main_thread() not in readers
    readers.clear()
    said(network, specimens)
    assert set(readers) == {threading.main_thread()}
