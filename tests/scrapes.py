"""Reading what a server tells Prometheus."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def text(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def samples(address: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Labels and value of every series, by name."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text(address)):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(address: str, name: str, **labels: str) -> float:
    """The sum of the series of that name with these labels."""
    series = samples(address).get(name, [])
    return sum(value for found, value in series if labels.items() <= found.items())
