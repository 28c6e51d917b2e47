"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["ServerMetrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("holotype_requests", "Requests", ["method", "path", "status"], registry=registry)
        self.seconds = Histogram(
            "holotype_request_seconds", "Time of one", ["path"], buckets=SECONDS, registry=registry
        )
        self.batches = Histogram("holotype_batch_images", "Images of a batch", buckets=IMAGES, registry=registry)
        self.batch_seconds = Histogram("holotype_batch_seconds", "Time of a batch", buckets=SECONDS, registry=registry)
        self.queue = Gauge("holotype_queue_images", "Images that wait or are being answered for", registry=registry)
        self.images = Counter("holotype_images", "Images that were answered for", registry=registry)
        self.unusual = Counter("holotype_images_unusual", "Images unlike those of the training", registry=registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads it."""
        return generate_latest(self.registry)
