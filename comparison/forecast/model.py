"""A cost model of distributed training: how long a step and a job take with N workers, and how to fit it.

Pure functions of numbers: nothing here knows a record. docs/forecast.md has the formulas on one page.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.special import ndtri

WorkerCounts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

PARAMETER_SERVER = "parameter_server"


@dataclass(frozen=True)
class Network:
    """What a message costs on the wire, in the α–β model: α a message and β a byte.

    Attributes:
        name: As a reader knows it.
        latency_seconds: α, from one program to the other.
        seconds_per_byte: β, one over the bandwidth.
        replaces_measured: Whether its own software takes the place of the measured one, instead of adding a wire to it.
        source: Where α and β come from.
    """

    name: str
    latency_seconds: float
    seconds_per_byte: float
    replaces_measured: bool
    source: str


# An Ethernet carries the very messages that were measured, through the same software: it adds a wire to them.
NETWORKS = (
    Network(
        "1 GbE",
        50e-6,
        1 / 125e6,
        replaces_measured=False,
        source="α: half of the 100 µs round trip that Rumble et al., “It's time for low latency”, HotOS 2011, give as "
        "the least of common data centres; β: line rate, IEEE 802.3ab",
    ),
    Network(
        "10 GbE",
        20e-6,
        1 / 1.25e9,
        replaces_measured=False,
        source="α: Hurwitz & Feng, “Initial end-to-end performance evaluation of 10-Gigabit Ethernet”, "
        "Hot Interconnects 2003; β: line rate, IEEE 802.3ae",
    ),
    Network(
        "100 GbE",
        10e-6,
        1 / 12.5e9,
        replaces_measured=False,
        source="α: Larsen et al., “Architectural breakdown of end-to-end latency in a TCP/IP network”, SBAC-PAD 2007, "
        "the least that TCP takes; β: line rate, IEEE 802.3ba",
    ),
    Network(
        "NVLink with NCCL",
        3.4e-6,
        1 / 450e9,
        replaces_measured=True,
        source="α: a hop of the ring in NVIDIA's NCCL 2, src/graph/tuning.cc, without its 8.4 µs a call; β: 450 GB/s "
        "each way, NVIDIA H100 data sheet; takes the place of the measured software, and reaches 8 to 72 devices",
    ),
    Network("no communication", 0.0, 0.0, replaces_measured=True, source="the most that any network could bring"),
)


@dataclass(frozen=True)
class Job:
    """What is trained, and how: everything about a forecast that is known and not measured.

    Attributes:
        strategy: `all_reduce` or `parameter_server`.
        scaling: `strong` (one global batch for all) or `weak` (one batch size a worker).
        global_batch_size: Images in a step of the single node.
        steps: Steps of the single node.
        message_bytes: Size of the gradient.
        num_ps: Parameter servers.
        cpus_per_replica: Cores of each replica.
    """

    strategy: str
    scaling: str
    global_batch_size: int
    steps: int
    message_bytes: float
    num_ps: int
    cpus_per_replica: float


class Clocks(NamedTuple):
    """What was measured of one configuration, means over its trials.

    Attributes:
        computation_seconds: Of a step: all of it but the communication.
        communication_seconds: Of a step, waiting for others included.
        relative_noise: Standard deviation of a step's duration over its median.
        setup_seconds: Of the job: all of it but the training.
    """

    computation_seconds: float
    communication_seconds: float
    relative_noise: float
    setup_seconds: float


@dataclass(frozen=True)
class Assumptions:
    """What a single number of workers cannot tell, as positions between two extremes, from 0 to 1.

    Attributes:
        latency_share: How much of a message's cost is latency (1) and how much is bandwidth (0).
        setup_growth: Whether what a distributed job's setup takes longer grows with each worker (1) or not at all (0).
    """

    latency_share: float = 0.5
    setup_growth: float = 0.5


@dataclass(frozen=True)
class CostModel:
    """The fitted model: the parameters of docs/forecast.md.

    Attributes:
        job: What is trained.
        single_step_seconds: T, a step of the single node.
        fixed_share: f, the share of T that a smaller batch does not shorten.
        overhead_seconds: o, what every step of a worker takes longer, beside communication.
        relative_noise: c, the standard deviation of a step's computation over its mean.
        latency_seconds: α of a message.
        seconds_per_byte: β of a message.
        single_setup_seconds: The single node's job but for its training.
        setup_seconds: s₀, the same of a distributed job, without
        setup_seconds_per_worker: s₁, what each worker adds.
    """

    job: Job
    single_step_seconds: float
    fixed_share: float
    overhead_seconds: float
    relative_noise: float
    latency_seconds: float
    seconds_per_byte: float
    single_setup_seconds: float
    setup_seconds: float
    setup_seconds_per_worker: float


def expect_maximum(num_workers: npt.ArrayLike) -> Values:
    """Returns the expected maximum of N standard normal variables, about sqrt(2 ln N) for many.

    Source: Blom, "Statistical estimates and transformed beta-variables" (1958): Φ⁻¹((N - 3/8) / (N + 1/4)); the limit:
    Cramér, "Mathematical methods of statistics" (1946).
    """
    counts = np.asarray(num_workers, float)
    return np.asarray(ndtri((counts - 0.375) / (counts + 0.25)), float)


def count_ring_messages(num_workers: npt.ArrayLike) -> tuple[Values, Values]:
    """Returns how many latencies and how many times the vector's bytes a ring all-reduce of N workers takes in turn.

    Source: Thakur, Rabenseifner & Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19
    (2005); Patarasu & Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69
    (2009): 2 (N - 1) and 2 (N - 1) / N.
    """
    counts = np.asarray(num_workers, float)
    return 2 * (counts - 1), 2 * (counts - 1) / counts


def predict_step_seconds(model: CostModel, num_workers: npt.ArrayLike) -> Values:
    """Returns how long one step takes N workers, the single node if N = 1.

    With parameter servers it is the time in which each worker makes one update, unless the servers' bandwidth takes
    longer to exchange weights and gradients with all of them.

    Source: Goyal et al., "Accurate, large minibatch SGD" (2017), arXiv:1706.02677, for weak scaling; Li et al.,
    "Scaling distributed machine learning with the parameter server", OSDI 2014, for the servers.
    """
    counts = np.asarray(num_workers, float)
    job, size = model.job, model.job.message_bytes
    share = 1 / counts if job.scaling == "strong" else np.ones_like(counts)
    scaled = model.fixed_share + (1 - model.fixed_share) * share
    computation = model.single_step_seconds * scaled + model.overhead_seconds
    if job.strategy == PARAMETER_SERVER:
        exchange = 2 * (model.latency_seconds + size * model.seconds_per_byte)
        served = counts * 2 * size * model.seconds_per_byte / job.num_ps
        seconds = np.maximum(computation + exchange, served)
    else:
        latencies, sizes = count_ring_messages(counts)
        waiting = model.relative_noise * expect_maximum(counts) * computation
        seconds = computation + waiting + latencies * model.latency_seconds + sizes * size * model.seconds_per_byte
    return np.where(counts == 1, model.single_step_seconds, seconds)


def predict_speedup(model: CostModel, num_workers: npt.ArrayLike) -> Values:
    """Returns how many times as fast as a single node N workers train equally many images."""
    counts = np.asarray(num_workers, float)
    images = counts if model.job.scaling == "weak" else np.ones_like(counts)
    return images * model.single_step_seconds / predict_step_seconds(model, counts)


def predict_job_seconds(model: CostModel, num_workers: npt.ArrayLike) -> Values:
    """Returns how long the whole job takes that trains as many images as the single node's did."""
    counts = np.asarray(num_workers, float)
    setup = model.setup_seconds + model.setup_seconds_per_worker * counts
    training = model.job.steps * model.single_step_seconds / predict_speedup(model, counts)
    return np.where(counts == 1, model.single_setup_seconds, setup) + training


def predict_core_seconds(model: CostModel, num_workers: npt.ArrayLike) -> Values:
    """Returns the cores that the whole job holds times its duration; parameter servers need a chief, too."""
    counts = np.asarray(num_workers, float)
    others = model.job.num_ps + 1 if model.job.strategy == PARAMETER_SERVER else 0
    replicas = np.where(counts == 1, 1, counts + others)
    return replicas * model.job.cpus_per_replica * predict_job_seconds(model, counts)


def find_break_even(num_workers: npt.ArrayLike, ratios: npt.ArrayLike) -> float:
    """Returns the smallest number of several workers whose ratio over a single node exceeds 1, infinite if none."""
    counts, values = np.asarray(num_workers), np.asarray(ratios)
    return float(min(counts[(counts > 1) & (values > 1)], default=math.inf))


def find_pay_off_end(num_workers: npt.ArrayLike, ratios: npt.ArrayLike) -> float:
    """Returns up to how many workers the ratio stays above 1 from the break-even on, 1 if it never is."""
    counts, values = np.asarray(num_workers), np.asarray(ratios)
    first = find_break_even(counts, values)
    lost = float(min(counts[(counts > first) & (values <= 1)], default=math.inf))
    return float(max(counts[(counts >= first) & (counts < lost)], default=1))


def compute_pay_off_step_seconds(model: CostModel) -> float:
    """Returns the single node's step from which on two workers train faster, all costs of distributing as they are.

    A longer step is taken to be one that computes more for each image: its fixed part stays.
    """
    job, overhead, size = model.job, model.overhead_seconds, model.job.message_bytes
    fixed = model.fixed_share * model.single_step_seconds if job.scaling == "strong" else 0.0
    waiting = 0.0 if job.strategy == PARAMETER_SERVER else model.relative_noise * float(expect_maximum(2))
    if waiting >= 1:
        return math.inf
    # One message of the whole vector each way, both for a ring of two (two halves) and for a server; a ring's latencies
    # are two as well.
    transfer = size * model.seconds_per_byte
    is_served = job.strategy == PARAMETER_SERVER
    exchange = 2 * model.latency_seconds + (2 if is_served else 1) * transfer
    # In strong scaling x of the step is shared: fixed + x = (1 + w) (fixed + x / 2 + overhead) + exchange; in weak
    # scaling two workers do the work of two: 2 x = (1 + w) (x + overhead) + exchange.
    lost = (1 + waiting) * overhead + waiting * fixed + exchange
    step = fixed + (2 if job.scaling == "strong" else 1) * lost / (1 - waiting)
    served = 4 * transfer / job.num_ps / (1 if job.scaling == "strong" else 2) if is_served else 0.0
    return max(step, served)


def apply_network(model: CostModel, network: Network) -> CostModel:
    """Returns the model with the messages' cost on another network."""
    kept = 0.0 if network.replaces_measured else 1.0
    return replace(
        model,
        latency_seconds=kept * model.latency_seconds + network.latency_seconds,
        seconds_per_byte=kept * model.seconds_per_byte + network.seconds_per_byte,
    )


def fit_model(
    job: Job,
    single: Clocks,
    distributed: Mapping[int, Clocks],
    assumptions: Assumptions | None = None,
    fixed_share: float | None = None,
) -> CostModel:
    """Returns the model that fits a single node's clocks and those of one or more numbers of workers.

    Args:
        job: What is trained.
        single: The single node's clocks.
        distributed: The clocks by number of workers, each more than one; at least one entry.
        assumptions: What one number of workers cannot tell; the middle by default.
        fixed_share: The share of a step that a smaller batch does not shorten, where it is known from elsewhere.
    """
    assumptions = assumptions or Assumptions()
    share, overhead = _fit_computation(job, single, distributed, fixed_share)
    noise = _fit_noise(single, distributed) if job.strategy != PARAMETER_SERVER else 0.0
    if job.strategy == PARAMETER_SERVER:
        latency, per_byte = _fit_servers(job, distributed, assumptions.latency_share)
    else:
        latency, per_byte = _fit_ring(job, distributed, noise, assumptions.latency_share)
    setup, setup_per_worker = _fit_setup(single, distributed, assumptions.setup_growth)
    return CostModel(
        job=job,
        single_step_seconds=single.computation_seconds,
        fixed_share=share,
        overhead_seconds=overhead,
        relative_noise=noise,
        latency_seconds=latency,
        seconds_per_byte=per_byte,
        single_setup_seconds=single.setup_seconds,
        setup_seconds=setup,
        setup_seconds_per_worker=setup_per_worker,
    )


def _fit_computation(
    job: Job, single: Clocks, distributed: Mapping[int, Clocks], fixed_share: float | None
) -> tuple[float, float]:
    """Returns the fixed share and the overhead by least squares; a share below 0 or above 1 is none.

    Computation over the single node's is y = f + (1 - f) x + o / T where a worker's batch is x of the single node's.
    One number of workers determines f or o, not both: what f cannot explain is o.
    """
    ratios = np.array([clocks.computation_seconds for clocks in distributed.values()]) / single.computation_seconds
    shares = 1 / np.array(list(distributed), float) if job.scaling == "strong" else np.ones(len(distributed))
    saved = 1 - shares
    if fixed_share is None:
        total = float(saved @ saved)
        fixed_share = float(np.clip(saved @ (ratios - shares) / total, 0, 1)) if total else 0.0
    weights = saved / saved.sum() if saved.any() else np.full(len(saved), 1 / len(saved))
    left = float(weights @ (ratios - fixed_share * saved - shares))
    return fixed_share, max(0.0, left) * single.computation_seconds


def _fit_noise(single: Clocks, distributed: Mapping[int, Clocks]) -> float:
    """Returns the noise of a step that workers do not share: never so much that the measured waiting was shorter."""
    waited = [
        clocks.communication_seconds / (float(expect_maximum(count)) * clocks.computation_seconds)
        for count, clocks in distributed.items()
    ]
    return min(single.relative_noise, *waited)


def _fit_ring(job: Job, distributed: Mapping[int, Clocks], noise: float, latency_share: float) -> tuple[float, float]:
    """Returns α and β by least squares of relative errors, neither below zero.

    One number of workers gives their sum only, which the latency share splits.
    """
    counts = np.array(list(distributed), float)
    measured = np.array([clocks.communication_seconds for clocks in distributed.values()])
    computation = np.array([clocks.computation_seconds for clocks in distributed.values()])
    exchange = np.maximum(0, measured - noise * expect_maximum(counts) * computation)
    latencies, sizes = count_ring_messages(counts)
    if len(counts) == 1:
        latency = latency_share * exchange[0] / latencies[0]
        return float(latency), float((1 - latency_share) * exchange[0] / (sizes[0] * job.message_bytes))
    scale = np.where(measured > 0, measured, 1)
    # Both columns in the unit of a vector's transfer, for a well-conditioned system.
    solution, _ = nnls(np.stack([latencies / scale, sizes / scale], axis=1), exchange / scale)
    return float(solution[0]), float(solution[1] / job.message_bytes)


def _fit_servers(job: Job, distributed: Mapping[int, Clocks], latency_share: float) -> tuple[float, float]:
    """Returns α and β of one of an update's two messages; the servers did keep up with what was measured."""
    message = float(np.mean([clocks.communication_seconds for clocks in distributed.values()])) / 2
    kept_up = min(
        (clocks.computation_seconds + clocks.communication_seconds) * job.num_ps / (2 * count)
        for count, clocks in distributed.items()
    )
    transfer = (1 - latency_share) * min(message, kept_up)
    return message - transfer, transfer / job.message_bytes


def _fit_setup(single: Clocks, distributed: Mapping[int, Clocks], growth: float) -> tuple[float, float]:
    """Returns what a job takes beside its training, and what each worker adds to it, neither below nothing.

    With one number of workers the latter is between nothing and the slope from the single node to there.
    """
    counts = np.array(list(distributed), float)
    seconds = np.array([clocks.setup_seconds for clocks in distributed.values()])
    if len(counts) == 1:
        slope = growth * (seconds[0] - single.setup_seconds) / (counts[0] - 1)
    else:
        spread = counts - counts.mean()
        slope = spread @ seconds / (spread @ spread)
    slope = float(np.clip(slope, 0, seconds.mean() / counts.mean()))
    return float(seconds.mean() - slope * counts.mean()), slope
