"""Requests: who asks for what, and when; details and weights are drawn for recorded ones too."""

from __future__ import annotations

import numpy as np

from edge_marl.jit import part
from edge_marl.kernel.loading import (
    DETAILS_AT,
    DONE_WELL,
    NO_ROOM,
    TASK_COUNT,
    TASK_ROOM,
    TASKS_AT,
    WEIGHTS_AT,
)
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    NUM_DETAILS,
    NUM_TASK_FIELDS,
    RUN_TIME,
    STAGE,
    TYPE,
    UPLOAD,
    Ints,
)
from edge_marl.memory import grid
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import MAX_STAGES
from edge_marl.workload import entries as r
from edge_marl.workload.called import draw_words, open_stream, sort
from edge_marl.workload.entries import choices_of, floats_of, table
from edge_marl.workload.sampling import (
    CLASS_STREAM,
    DETAIL_STREAM,
    STAGE_STREAM,
    TASK_STREAM,
    USER_STREAM,
    choose,
    choose_evenly,
    fill_load_times,
    fill_logs,
)
from edge_marl.workload.words import Entropy, Words, advance_lane, below, open_lanes, word_of

TYPE_WORD, WORDS_PER_TASK = 1, 4
"""Of a task's words the first is of its gap, then of its type, its demand and its gateway."""

# Words of a stage: what its load time (3, the first), input, result and failure come from.
UPLOAD_WORD, DOWNLOAD_WORD, FAIL_WORD = 3, 4, 5
WORDS_PER_DETAIL = 6

BLOCK = 128
"""Tasks whose logarithms are taken in one go."""


def least_requests(scenario: Scenario) -> int:
    """Requests that an episode needs to have a decision: the last may only be shown."""
    return 2 if scenario.episode.end == "last-task" else 1


@part
def fill_poisson(tasks: Ints, recipe: Ints, entropy: Entropy) -> int:
    """Fill the tasks of the base model row by row; return how many arrive before the horizon.

    `LEAST` tasks are kept wherever they fall, so that an episode has a decision (with the rates of
    the released tiers the horizon never comes this early). The four words of a task come from the
    four lanes of a stream. All of `tasks` is that there may be more.
    """
    mean_gap, horizon, least = floats_of(recipe)[r.MEAN_GAP], recipe[r.HORIZON], recipe[r.LEAST]
    demands, resolution = table(recipe, r.DEMANDS), recipe[r.RESOLUTION]
    choices, types, gateways = len(demands) // 2, recipe[r.TYPES], recipe[r.GATEWAYS]
    words, logs = np.empty(BLOCK, dtype=np.uint64), np.empty(BLOCK)
    arrival = 0
    a, b, c, d, e, f, g, h, up, down = open_lanes(open_stream(recipe, entropy, TASK_STREAM))
    for start in range(0, len(tasks), BLOCK):
        stop = min(start + BLOCK, len(tasks))
        for k in range(start, stop):
            words[k - start] = word_of(a, b)
            demand = 2 * choose_evenly(word_of(e, f), choices)
            tasks[k, DEMAND] = demands[demand]
            tasks[k, RUN_TIME] = demands[demand + 1]
            tasks[k, TYPE] = choose_evenly(word_of(c, d), types)
            tasks[k, GATEWAY] = choose_evenly(word_of(g, h), gateways)
            a, b = advance_lane(a, b, up, down)
            c, d = advance_lane(c, d, up, down)
            e, f = advance_lane(e, f, up, down)
            g, h = advance_lane(g, h, up, down)
        fill_logs(logs, words)
        for k in range(start, stop):
            if k > 0:
                arrival += int(logs[k - start] * mean_gap + 0.5)
                if arrival >= horizon and k >= least:
                    return k
            # As floats: an integer division takes longer than all else here; exact below 2^52.
            tasks[k, ARRIVAL] = int(arrival / np.float64(resolution)) * resolution
    return len(tasks)


def _set_kind(
    tasks: Ints, k: int, recipe: Ints, begins: tuple[Words, Words], words: Words, at: int
) -> None:
    """Set type, demand and run time from two words; with even weights as the base model does."""
    if len(begins[0]) > 0:
        tasks[k, TYPE] = choose(words[at], begins[0])
    else:
        tasks[k, TYPE] = choose_evenly(words[at], recipe[r.TYPES])
    if len(begins[1]) > 0:
        chosen = choose(words[at + 1], begins[1])
    else:
        chosen = choose_evenly(words[at + 1], recipe[r.DEMANDS + 1] // 2)
    at = recipe[r.DEMANDS] + 2 * chosen
    tasks[k, DEMAND], tasks[k, RUN_TIME] = recipe[at], recipe[at + 1]


set_kind = part(_set_kind)


@part
def keep_types(tasks: Ints, recipe: Ints, entropy: Entropy) -> None:
    """Let users keep types: theirs is that of their last request that did not keep it."""
    count, users = len(tasks), recipe[r.USERS]
    words = draw_words(recipe, entropy, USER_STREAM, 2 * count)
    persons = np.empty(count, dtype=np.uint64)
    for k in range(count):
        persons[k] = tasks[k, GATEWAY] * users + choose_evenly(words[2 * k], users)
    order = sort(recipe, persons)
    for i in range(1, count):
        k, before = order[i], order[i - 1]
        keeps = np.int64(words[2 * k + 1] >> np.uint64(11)) < recipe[r.STICKY]
        if keeps and persons[k] == persons[before]:
            tasks[k, TYPE] = tasks[before, TYPE]


@part
def draw_poisson(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw the tasks of the base model."""
    room = draft[TASK_ROOM]
    count = fill_poisson(grid(draft, draft[TASKS_AT], room, NUM_TASK_FIELDS), recipe, entropy)
    draft[TASK_COUNT] = count if count < room else 2 * room
    return DONE_WELL if count < room else NO_ROOM


@part
def draw_kinds(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw what the requests ask for that are there."""
    tasks = grid(draft, draft[TASKS_AT], draft[TASK_COUNT], NUM_TASK_FIELDS)
    words = draw_words(recipe, entropy, TASK_STREAM, WORDS_PER_TASK * len(tasks))
    kinds = choices_of(recipe, r.TYPE_BEGINS), choices_of(recipe, r.DEMAND_BEGINS)
    for k in range(len(tasks)):
        set_kind(tasks, k, recipe, kinds, words, WORDS_PER_TASK * k + TYPE_WORD)
    if recipe[r.STICKY] > 0:
        keep_types(tasks, recipe, entropy)
    return DONE_WELL


@part
def draw_rows(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Make a row per stage of the requests that are there, and draw all that they ask for."""
    begins, count = choices_of(recipe, r.STAGE_BEGINS), draft[TASK_COUNT]
    stage_words = 1 + 2 * (MAX_STAGES - 1)
    words = draw_words(recipe, entropy, STAGE_STREAM, stage_words * count if len(begins) > 1 else 0)
    starts = np.empty(count + 1, dtype=np.int64)
    starts[0] = 0
    for i in range(count):
        stages = 1 + choose(words[stage_words * i], begins) if len(begins) > 1 else 1
        starts[i + 1] = starts[i] + stages
        if starts[i + 1] > recipe[r.MOST_ROWS]:
            count = i
            break
    draft[TASK_COUNT] = starts[count]
    if starts[count] > draft[TASK_ROOM]:
        return NO_ROOM
    starts = starts[: count + 1]
    tasks = grid(draft, draft[TASKS_AT], starts[count], NUM_TASK_FIELDS)
    details = grid(draft, draft[DETAILS_AT], starts[count], NUM_DETAILS)
    spread_rows(tasks, details, recipe, starts, words)
    for stage in range(len(begins)):
        draw_details(details, recipe, entropy, starts, stage)
    set_deadlines(details, tasks, table(recipe, r.DEADLINES), starts)
    return DONE_WELL


@part
def spread_rows(tasks: Ints, details: Ints, recipe: Ints, starts: Ints, words: Words) -> None:
    """Move every request to its first row, and fill its later ones; each of a kind of its own."""
    kinds = choices_of(recipe, r.TYPE_BEGINS), choices_of(recipe, r.DEMAND_BEGINS)
    stage_words = 1 + 2 * (MAX_STAGES - 1)
    for i in range(len(starts) - 2, -1, -1):  # from the last, whose rows hold no other request
        for k in range(starts[i + 1] - 1, starts[i] - 1, -1):
            stage = k - starts[i]
            for column in range(NUM_TASK_FIELDS):
                tasks[k, column] = tasks[i, column]
            details[k, STAGE] = stage
            details[k, AFTER] = starts[i + 1] - 1 - k
            if stage > 0:
                set_kind(tasks, k, recipe, kinds, words, stage_words * i + 2 * stage - 1)


@part
def draw_details(details: Ints, recipe: Ints, entropy: Entropy, starts: Ints, stage: int) -> None:
    """Draw what the requests that have a stage ask of it."""
    count, members = len(starts) - 1, 0
    words = draw_words(recipe, below(entropy, DETAIL_STREAM), stage, WORDS_PER_DETAIL * count)
    rows = np.empty(count, dtype=np.int64)
    for i in range(count):
        if starts[i] + stage < starts[i + 1]:
            rows[members] = starts[i] + stage
            for k in range(WORDS_PER_DETAIL):
                words[WORDS_PER_DETAIL * members + k] = words[WORDS_PER_DETAIL * i + k]
            members += 1
    drawn = fill_details(recipe, words[: WORDS_PER_DETAIL * members])
    for m in range(members):
        for column in range(LOAD_TIME, FAILS + 1):
            details[rows[m], column] = drawn[m, column - LOAD_TIME]
        if stage > 0:  # what it takes in is what the stage before it made
            details[rows[m], UPLOAD] = details[rows[m] - 1, DOWNLOAD]


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
def draw_classes(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw the class of each request: the weight of all its rows."""
    count = draft[TASK_COUNT]
    details = grid(draft, draft[DETAILS_AT], count, NUM_DETAILS)
    drawn = fill_weights(recipe, draw_words(recipe, entropy, CLASS_STREAM, count))
    request = -1
    for k in range(count):
        if details[k, STAGE] == 0:
            request += 1
        draft[draft[WEIGHTS_AT] + k] = drawn[request]
    return DONE_WELL


@part
def set_deadlines(details: Ints, tasks: Ints, of_type: Ints, starts: Ints) -> None:
    """Give every stage of a request the sum of its stages' deadlines; 0 where there are none."""
    for i in range(len(starts) - 1):
        deadline = 0
        if len(of_type) > 0:
            for k in range(starts[i], starts[i + 1]):
                deadline += of_type[tasks[k, TYPE]]
        for k in range(starts[i], starts[i + 1]):
            details[k, DEADLINE] = deadline
