"""Prometheus metrics of the server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """Counters and histograms of one server, in their own registry."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("holotype_requests", "Requests", ["method", "path", "status"], registry=registry)
        self.seconds = Histogram(
            "holotype_request_seconds", "Time of a request", ["path"], buckets=SECONDS, registry=registry
        )
        self.batches = Histogram("holotype_batch_images", "Images per batch", buckets=IMAGES, registry=registry)
        self.batch_seconds = Histogram("holotype_batch_seconds", "Time of a batch", buckets=SECONDS, registry=registry)
        self.queue = Gauge("holotype_queue_images", "Images waiting or being predicted", registry=registry)
        self.images = Counter("holotype_images", "Predicted images", registry=registry)
        self.unusual = Counter("holotype_images_unusual", "Images out of distribution", registry=registry)

    def text(self) -> bytes:
        """Metrics in the Prometheus text format."""
        return generate_latest(self.registry)
