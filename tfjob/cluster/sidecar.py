"""Containers that something in the cluster put beside the training's own, and that keep its pod from ending."""

from collections.abc import Collection, Sequence

# How a pod opts out of what injects a container, by the container's name; each from its vendor's manual.
_OPT_OUTS = {
    "istio-proxy": ("labels", "sidecar.istio.io/inject", "false"),
    "linkerd-proxy": ("annotations", "linkerd.io/inject", "disabled"),
    "vault-agent": ("annotations", "vault.hashicorp.com/agent-inject", "false"),
    "consul-dataplane": ("annotations", "consul.hashicorp.com/connect-inject", "false"),
    "kuma-sidecar": ("labels", "kuma.io/sidecar-injection", "disabled"),
    "daprd": ("annotations", "dapr.io/enabled", "false"),
    "otc-container": ("annotations", "sidecar.opentelemetry.io/inject", "false"),
}


def describe_hold(containers: Sequence[str], own: Collection[str] = ()) -> str:
    """Returns what keeps a pod running though its training has ended, and how to have pods without it.

    Args:
        containers: The names of the containers that still run.
        own: Those of the manifest itself.
    """
    if own and set(containers) <= set(own):
        return f"its pod is kept running by {', '.join(containers)}, which goes with the job"
    kind = "container" if len(containers) == 1 else "containers"
    known = dict.fromkeys(_OPT_OUTS[name] for name in containers if name in _OPT_OUTS)
    settings = " and ".join(f'{{"{place}": {{"{key}": "{value}"}}}}' for place, key, value in known)
    unknown = [name for name in containers if name not in _OPT_OUTS]
    what = "by the label or annotation that the manual of what injects it names, in job_settings"
    how = [f"with job_settings {settings}"] if settings else []
    if unknown:
        how.append(f"for {', '.join(unknown)} {what}" if settings else what)
    return (
        f"its pod is kept running by the {kind} {', '.join(containers)}, which something in the cluster injected; "
        f"switch the injection off {', '.join(how)}"
    )
