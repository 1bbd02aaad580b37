"""Recorded workloads: the registry, the user's copies, loaders, and replay as episodes.

`edge_marl.draw_workload` cuts episodes of scenarios that have a section `replay`; the functions
here are for those who want the data themselves (`docs/data.md`).
"""

from edge_marl.data.copies import add, added_folder, file_of, is_here, verify
from edge_marl.data.dataset import DataFile, Dataset, datasets, find_dataset
from edge_marl.data.loaders import (
    ClientRates,
    ImageRequests,
    LlmRequests,
    Metric,
    Places,
    TokenHistograms,
    load_client_rates,
    load_image_requests,
    load_llm_requests,
    load_metric,
    load_places,
    load_prefix_requests,
    load_token_histograms,
)

__all__ = [
    "ClientRates",
    "DataFile",
    "Dataset",
    "ImageRequests",
    "LlmRequests",
    "Metric",
    "Places",
    "TokenHistograms",
    "add",
    "added_folder",
    "datasets",
    "file_of",
    "find_dataset",
    "is_here",
    "load_client_rates",
    "load_image_requests",
    "load_llm_requests",
    "load_metric",
    "load_places",
    "load_prefix_requests",
    "load_token_histograms",
    "verify",
]
