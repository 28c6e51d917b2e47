"""Classification heads: from the backbone's feature map to one logit per class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from holotype.classifiers import FittedClassifier
from holotype.core.registry import Registry
from holotype.networks.activations import make_activation
from holotype.networks.taxonomy_head import RankLogits
from holotype.recipe.sections import HeadSpec, MarginSpec
from holotype.types import RankHeads

__all__ = [
    "LEARNED_POOLS",
    "POOLS",
    "AttentionPool",
    "ClassifierLayer",
    "ClippedLinear",
    "CosineClassifier",
    "GeM",
    "Head",
    "as_feature_map",
]

EPSILON = 1e-6
POOLS = Registry("pooling")


@POOLS.register
def avg(features: Tensor) -> Tensor:
    """Global average pooling.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, width).
    """
    return features.mean(dim=(2, 3))


@POOLS.register(name="max")
def max_pool(features: Tensor) -> Tensor:
    """Global max pooling.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, width).
    """
    return features.amax(dim=(2, 3))


@POOLS.register
def concat(features: Tensor) -> Tensor:
    """Global average and max pooling, concatenated.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, 2 * width).
    """
    return torch.cat([avg(features), max_pool(features)], dim=1)


@POOLS.register
def token(features: Tensor) -> Tensor:
    """Class token of a vision transformer: its first position.

    Args:
        features: Shape (n, width, positions, 1).

    Returns:
        Shape (n, width).
    """
    return features[:, :, 0, 0]


class ClippedLinear(nn.Linear):
    """Last layer made of a fitted linear classifier: features are clipped and centered as in `LinearClassifier`."""

    lower: Tensor
    upper: Tensor
    center: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)
        for name in ("lower", "upper", "center"):
            self.register_buffer(name, torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """Compute the logits (n, classes) of features (n, width)."""
        clipped = torch.minimum(torch.maximum(features, self.lower), self.upper)
        return functional.linear(clipped - self.center, self.weight, self.bias)


class ClassifierLayer(nn.Module):
    """Last layer made of a fitted classifier that is not linear (nearest neighbors, trees)."""

    def __init__(self, classifier: FittedClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor) -> Tensor:
        """Compute the logits (n, classes) of features (n, width)."""
        logits = self.classifier.logits(features.detach().float().cpu().numpy())
        return torch.from_numpy(logits).to(features.device)


class GeM(nn.Module):
    """Generalized-mean pooling with one learned exponent, between the mean (1) and the maximum (infinity).

    Radenović, Tolias & Chum 2018, "Fine-tuning CNN image retrieval with no human annotation", equation 3.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(3.0))

    def forward(self, features: Tensor) -> Tensor:
        """Pool a feature map (n, width, H, W) to (n, width); negative values count as zero."""
        power = self.power.clamp(1.0, 10.0)
        raised: Tensor = features.float().clamp_min(EPSILON) ** power
        return raised.mean(dim=(2, 3)) ** (1.0 / power)


class AttentionPool(nn.Module):
    """Gated attention pooling: a learned weighted mean over positions (Ilse et al. 2018, equations 8 and 9)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = min(128, width)
        self.value, self.gate, self.score = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Pool a feature map (n, width, H, W) to (n, width)."""
        positions = features.flatten(2).transpose(1, 2)
        weights = self.score(self.value(positions).tanh() * self.gate(positions).sigmoid()).softmax(dim=1)
        return (weights * positions).sum(dim=1)


LEARNED_POOLS: dict[str, type[nn.Module]] = {"gem": GeM, "attention": AttentionPool}


class CosineClassifier(nn.Module):
    """Cosine classifier: scaled cosine similarity to the nearest center of each class.

    Deng et al. 2019, "ArcFace", section 3.1; with several centers Deng et al. 2020, "Sub-center ArcFace", equation 3.

    Args:
        width: Length of a feature vector.
        spec: The recipe's `head.margin` section.
    """

    def __init__(self, width: int, classes: int, spec: MarginSpec) -> None:
        super().__init__()
        self.scale, self.subcenters = spec.scale, spec.subcenters
        self.weight = nn.Parameter(torch.empty(classes * spec.subcenters, width))
        nn.init.xavier_normal_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Compute the logits (n, classes) of features (n, width), in float32 because small angles need it."""
        with torch.autocast(features.device.type, enabled=False):
            unit, centers = (functional.normalize(part.float(), dim=1) for part in (features, self.weight))
            cosine = unit @ centers.T
            return self.scale * cosine.unflatten(1, (-1, self.subcenters)).amax(dim=2)


class Head(nn.Module):
    """Classification head: pooling, optional hidden layers, dropout and a linear or cosine classifier.

    Args:
        width: Channels of the feature map.
        rank_heads: Taxonomic ranks that get logits of their own if `spec.taxonomy.kind` is `separate`.
    """

    def __init__(self, width: int, classes: int, spec: HeadSpec, rank_heads: RankHeads | None = None) -> None:
        super().__init__()
        self.pool = LEARNED_POOLS[spec.pool](width) if spec.pool in LEARNED_POOLS else POOLS[spec.pool]
        width = self.width = 2 * width if spec.pool == "concat" else width
        layers: list[nn.Module] = []
        if spec.batch_norm:
            layers.append(nn.BatchNorm1d(width))
        for hidden in [spec.hidden] if isinstance(spec.hidden, int) else spec.hidden or []:
            layers += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), make_activation(spec.activation)]
            width = hidden
        self.neck = nn.Sequential(*layers)
        self.dropout = nn.Dropout(spec.dropout)
        self.last: nn.Linear | CosineClassifier | ClassifierLayer
        if spec.margin is None:
            self.last = nn.Linear(width, classes)
            nn.init.zeros_(self.last.bias)
        else:
            self.last = CosineClassifier(width, classes, spec.margin)
        has_rank_heads = rank_heads is not None and spec.taxonomy is not None and spec.taxonomy.kind == "separate"
        self.ranks = RankLogits(width, rank_heads) if rank_heads is not None and has_rank_heads else None

    def forward(self, features: Tensor) -> Tensor:
        """Compute the logits (n, classes) of a feature map (n, width, H, W)."""
        return self.classify(self.pool(features))

    def classify(self, pooled: Tensor) -> Tensor:
        """Compute the logits (n, classes) of pooled features (n, pooled width).

        In training, one column per taxon follows for the ranks that have logits of their own.
        """
        features = self.dropout(self.neck(pooled))
        device = features.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                class_logits = self.last(features.float())  # bfloat16 gives different images equal scores
        else:
            class_logits = self.last(features)
        return class_logits if self.ranks is None else self.ranks(class_logits, features)


def as_feature_map(features: Tensor, width: int) -> Tensor:
    """Convert a backbone's output to (n, width, H, W): channels-first or channels-last maps, tokens or vectors."""
    if features.ndim == 4:
        return features if features.shape[1] == width else features.permute(0, 3, 1, 2)
    if features.ndim == 3:
        return features.transpose(1, 2).unsqueeze(3)
    return features[:, :, None, None]
