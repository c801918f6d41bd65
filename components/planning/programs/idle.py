"""What a person set to which something else that is set leaves no effect: it is refused, or told of."""

from components.planning.parameters import Parameters, refuse_others


def refuse_idle(parameters: Parameters) -> None:
    """Makes sure that nothing is set of this project's own loop that would be left aside without a word.

    Raises:
        ConfigError: Something is; the message says what leaves it no meaning.
    """
    if parameters.a_a:
        alone = "is about several workers, and a_a compares the single node with itself alone"
        bigger = ("bigger_nodes",) if parameters.bigger_nodes else ()  # that none is compared, none denies
        refuse_others(parameters, ("workers", "strategies", "num_ps", "scaling", *bigger), alone)
    if "parameter_server" not in parameters.strategies:
        refuse_others(parameters, ("num_ps",), "is of the strategy parameter_server, which strategies does not have")
    if parameters.bigger_nodes and max(parameters.workers, default=0) == 1:
        several = "has the CPUs of several workers, and workers has no number above 1"
        refuse_others(parameters, ("bigger_nodes",), several)
    refuse_sharing(parameters, parameters.gpus_per_replica)


def refuse_sharing(parameters: Parameters, gpus: int) -> None:
    """Makes sure that nobody is to share GPUs where there are none.

    Args:
        parameters: What a person asked for.
        gpus: Those of a worker.

    Raises:
        ConfigError: Somebody is.
    """
    if not gpus:
        refuse_others(parameters, ("share_gpus",), "takes GPUs, of which a worker has none")


def describe_prices(parameters: Parameters, cpus: float | None, gpus: int) -> list[str]:
    """Returns why prices that were given lead to none of a training, a sentence each.

    Args:
        parameters: What a person asked for.
        cpus: Those of a worker; None where nobody limits them.
        gpus: Those of a worker.
    """
    per_cpu, per_gpu, told = parameters.cpu_price, parameters.gpu_price, []
    if per_cpu and gpus and not per_gpu:
        told.append(
            "No price is told for cpu_price alone: what the replicas' GPUs cost (gpu_price) is the greater part."
        )
    if per_gpu and not gpus:
        told.append("gpu_price has no effect: no worker has a GPU.")
    if (per_cpu or per_gpu) and cpus is None:
        told.append("No price is told: how many CPUs a worker holds is not known where the manifest limits none.")
    return told
