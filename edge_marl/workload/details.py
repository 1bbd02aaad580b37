"""What is drawn alike for drawn and recorded requests: details, weights, server failures."""

from __future__ import annotations

import numpy as np

from edge_marl.jit import part
from edge_marl.kernel.loading import DONE_WELL, NO_ROOM, OUTAGE_COUNT, OUTAGE_ROOM, OUTAGES_AT
from edge_marl.kernel.world import (
    DOWNLOAD,
    DURATION,
    FAILS,
    LOAD_TIME,
    LOCATION,
    NUM_OUTAGE_COLUMNS,
    TIME,
    UPLOAD,
    Ints,
)
from edge_marl.memory import grid
from edge_marl.workload import entries as r
from edge_marl.workload.called import fill_words, open_stream, sort
from edge_marl.workload.entries import choices_of, floats_of, table
from edge_marl.workload.sampling import (
    GRAIN,
    OUTAGE_STREAM,
    choose,
    choose_evenly,
    fill_load_times,
    fill_logs,
)
from edge_marl.workload.words import Entropy, Words

# Words of a stage: what its load time (3, the first), input, result and failure come from.
UPLOAD_WORD, DOWNLOAD_WORD, FAIL_WORD = 3, 4, 5
WORDS_PER_DETAIL = 6

WORDS_PER_OUTAGE = 3
"""Of its gap, its server and its repair."""


@part
def fill_details(recipe: Ints, words: Words) -> Ints:
    """Return load time, input, result and failure of tasks, (N, 4): columns LOAD_TIME .. FAILS.

    Args:
        recipe: of a scenario whose residency and tasks state the laws.
        words: (N * WORDS_PER_DETAIL,) those of a task together.
    """
    count = len(words) // WORDS_PER_DETAIL
    drawn, times = np.empty((count, 4), dtype=np.int64), np.zeros(count, dtype=np.int64)
    if recipe[r.RESIDENCY] == 1:
        begins = choices_of(recipe, r.LOAD_BEGINS)
        medians = floats_of(table(recipe, r.LOAD_MEDIANS))
        spreads = floats_of(table(recipe, r.LOAD_SPREADS))
        fill_load_times(times, words, WORDS_PER_DETAIL, begins, medians, spreads)
    upload, uploads = recipe[r.UPLOAD_LEAST], recipe[r.UPLOAD_CHOICES]
    download, downloads = recipe[r.DOWNLOAD_LEAST], recipe[r.DOWNLOAD_CHOICES]
    for k in range(count):
        at = WORDS_PER_DETAIL * k
        drawn[k, 0] = times[k]
        drawn[k, UPLOAD - LOAD_TIME] = upload + choose_evenly(words[at + UPLOAD_WORD], uploads)
        down = download + choose_evenly(words[at + DOWNLOAD_WORD], downloads)
        drawn[k, DOWNLOAD - LOAD_TIME] = down
        fails = np.int64(words[at + FAIL_WORD] >> np.uint64(11)) < recipe[r.FAILING]
        drawn[k, FAILS - LOAD_TIME] = 1 if fails else 0
    return drawn


@part
def fill_weights(recipe: Ints, words: Words) -> Ints:
    """Return the weights of requests in thousandths, (R,), from a word of each."""
    begins, weights = choices_of(recipe, r.CLASS_BEGINS), table(recipe, r.CLASS_WEIGHTS)
    drawn = np.empty(len(words), dtype=np.int64)
    for i in range(len(words)):
        drawn[i] = weights[choose(words[i], begins)]
    return drawn


@part
def draw_outages(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw failures of edge servers in order of (time, server).

    One Poisson process for all, each event of it on a server that is drawn uniformly, is one of a
    server's rate for each of them.
    """
    gap_ms, repair_ms = floats_of(recipe)[r.OUTAGE_GAP], floats_of(recipe)[r.REPAIR]
    state = open_stream(recipe, entropy, OUTAGE_STREAM)
    words, logs = np.empty(WORDS_PER_OUTAGE, dtype=np.uint64), np.empty(WORDS_PER_OUTAGE)
    drawn = grid(draft, draft[OUTAGES_AT], draft[OUTAGE_ROOM], NUM_OUTAGE_COLUMNS)
    passed, count = 0.0, 0
    while True:
        fill_words(recipe, state, words)
        fill_logs(logs, words)
        passed += round(logs[0] * GRAIN) / GRAIN
        time = int(passed * gap_ms)
        if time >= recipe[r.HORIZON]:
            break
        if count < len(drawn):
            drawn[count, TIME] = time
            drawn[count, LOCATION] = choose_evenly(words[1], recipe[r.SERVERS])
            drawn[count, DURATION] = round(logs[2] * repair_ms)
        count += 1
    draft[OUTAGE_COUNT] = count
    if count > len(drawn):
        return NO_ROOM
    put_in_order(recipe, drawn, draft[OUTAGE_COUNT])
    return DONE_WELL


@part
def put_in_order(recipe: Ints, outages: Ints, count: int) -> None:
    """Put the first server failures in order of (time, server)."""
    before = np.empty((count, NUM_OUTAGE_COLUMNS), dtype=np.int64)
    keys = np.empty(count, dtype=np.uint64)
    for key in (LOCATION, TIME):
        for k in range(count):
            keys[k] = outages[k, key]
            for column in range(NUM_OUTAGE_COLUMNS):
                before[k, column] = outages[k, column]
        order = sort(recipe, keys)
        for k in range(count):
            for column in range(NUM_OUTAGE_COLUMNS):
                outages[k, column] = before[order[k], column]
