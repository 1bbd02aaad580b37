"""What compiled code finds in a recipe: all that drawing an episode takes of a scenario.

A recipe (`recipe.py` makes it) is one array of 64-bit words. A number is one of them, which holds
the bits of a float where it says so. A table has two: where it begins, and how long it is.
"""

from __future__ import annotations

import numpy as np

from edge_marl.jit import part
from edge_marl.kernel.world import Floats, Ints
from edge_marl.workload.words import Words

__all__ = ["floats_of", "table"]

# How many words there are; addresses of what all of drawing shares (`called.py`).
SIZE, OPEN, FILL, SORT = range(4)

# Table of the addresses of the parts that are drawn, in order (`drawing.py`).
PARTS = 4

# What is on: devices, residency, a network, a cloud, bursts.
DEVICES, RESIDENCY, NETWORK, CLOUD, BURSTS = range(6, 11)

# Sizes: edge servers, services, types, gateways, links of each to edge servers.
SERVERS, SERVICES, TYPES, GATEWAYS, LINKS = range(11, 16)

# Arrivals: when they end and what they are cut down to (ms), how many requests there are at least,
# how many rows at most; gaps (ms) and rate (per ms) in the mean, shape of gaps: floats.
HORIZON, RESOLUTION, LEAST, MOST_ROWS = range(16, 20)
MEAN_GAP, RATE, SHAPE = range(20, 23)

# Bursts, all floats: share of the time that is busy, factors of the rate, means of spells (ms).
BUSY_SHARE, BUSY_FACTOR, QUIET_FACTOR, BUSY_MS, QUIET_MS = range(23, 28)

# Hot spots: how many at a time, gateways of each, periods; factor of the rate (float).
SPOTS, SPOT_GATEWAYS, PERIODS, SPOT_RATIO = range(28, 32)

# Tasks: users of a gateway; below which of 2^53 numbers a request keeps its user's type, and fails;
# least input and result (kB) and how many more there may be.
USERS, STICKY, FAILING, UPLOAD_LEAST, UPLOAD_CHOICES = range(32, 37)
DOWNLOAD_LEAST, DOWNLOAD_CHOICES = range(37, 39)

# Servers: models of each (edge); sides of the area (m); floats: largest demand, latency and time
# per km (ms), least bandwidth and its range (Mbit/s); of the cloud, its links (ms, us per kB).
HOSTED, AREA_X, AREA_Y = range(39, 42)
MOST_DEMAND, LATENCY, MS_PER_KM, BANDWIDTH, BANDWIDTH_RANGE = range(42, 47)
CLOUD_PROPAGATION, CLOUD_US_PER_KB = range(47, 49)

# Server failures, both floats: mean time between any two, and of repairs (ms).
OUTAGE_GAP, REPAIR = range(49, 51)

# Tables of tasks: each demand and its run time (ms); where choices begin (`limits`) of types,
# demands and numbers of stages; deadline of each type (ms).
DEMANDS, TYPE_BEGINS, DEMAND_BEGINS, STAGE_BEGINS, DEADLINES = range(51, 61, 2)

# Tables of arrivals: when rates change (ms), the factor of the day (floats) and the period of hot
# spots up to the next change; gateways' loads by rank.
EDGES, DAILY, PERIOD_OF, LOADS = range(61, 69, 2)

# Tables of devices: where choices begin; capacities, and where those of each begin; memory; by
# (device, model) slowdown and energy. Of models: memory, least quality, how many there are of it;
# slowdown on the cloud. Of loads: where modes begin, medians (ms) and spreads (floats).
DEVICE_BEGINS, CAPACITIES, CAPACITIES_AT, DEVICE_MEMORY, SLOWDOWNS, ENERGIES = range(69, 81, 2)
MODEL_MEMORY, QUALITY_LEAST, QUALITY_CHOICES, CLOUD_SLOWDOWN = range(81, 89, 2)
LOAD_BEGINS, LOAD_MEDIANS, LOAD_SPREADS = range(89, 95, 2)

# Tables of servers that are the same in each episode: capacity, baseline and curve (floats).
OWN_CAPACITY, OWN_BASELINE, OWN_CURVE = range(95, 101, 2)

# Tables of classes of service: where choices begin, and weights in thousandths.
CLASS_BEGINS, CLASS_WEIGHTS = range(101, 105, 2)

# Sleeps of gateways, all floats: share of the time, means of the time awake and of a sleep (ms).
ASLEEP_SHARE, AWAKE_MS, ASLEEP_MS = range(105, 108)

# Table of servers that are the same in each episode: slowdown; none where all have the reference's.
OWN_SLOWDOWN = 108
NUM_ENTRIES = 110


@part
def table(recipe: Ints, name: int) -> Ints:
    """Return a table of a recipe."""
    return recipe[recipe[name] : recipe[name] + recipe[name + 1]]


@part
def floats_of(words: Ints) -> Floats:
    """Return the floats that words hold."""
    return words.view(np.float64)


@part
def choices_of(recipe: Ints, name: int) -> Words:
    """Return a table of where choices begin (`limits`)."""
    begins: Words = table(recipe, name).view(np.uint64)
    return begins
