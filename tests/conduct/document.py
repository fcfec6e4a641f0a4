"""The configurations that scenarios are played with: lb's, and those of other gateways for the scorecard."""

import json

from scenario import TIMEOUTS


def name_of(instance, upstream, shared):
    return f"{instance.name}.{upstream}" if shared else upstream


def deployment(instance, name, place, certificates, port, shared):
    """`shared`: among others in one document, so that names must tell scenarios apart."""
    upstream = instance.upstreams[name]
    host = "127.0.0.1"
    if upstream.named or place == "sim":
        host = f"{name}.conduct.test"
    if upstream.tls and place == "sim":
        host = "127.0.0.1"
    out = {"name": name_of(instance, name, shared), "key": f"sk-{instance.name}-{name}",
           "url": f"{'https' if upstream.tls else 'http'}://{host}:{port}/v1",
           **TIMEOUTS, **upstream.settings}
    if instance.form.anthropic:
        out["dialect"] = "anthropic"
    if upstream.tls and place != "sim":
        out["tls"] = {"ca": certificates.authority}
    larger = name == instance.larger
    out["models"] = {instance.name + ("-larger" if larger else ""): {}}
    return out


def route(instance, shared, without=""):
    tiers = [[name_of(instance, name, shared) for name in tier if name != without] for tier in instance.tiers]
    routes = [{"model": instance.name, "tiers": [tier for tier in tiers if tier], **instance.route}]
    if instance.larger:
        routes[0]["larger"] = instance.name + "-larger"
        routes.append({"model": instance.name + "-larger", "tiers": [[name_of(instance, instance.larger, shared)]]})
    return routes


def lb_document(instances, place, certificates, ports, shared=False, without="", listen=""):
    """JSON, which lb reads as it reads YAML. `ports`: of the upstreams of each instance, by its name and theirs."""
    # Scenarios share a gateway, but no budget of retries.
    document = {"deployments": [], "routes": [], "retry_budget": {"ratio": -1}}
    if listen:
        document["listen"] = [{"address": listen}]
    for instance in instances:
        document["deployments"] += [deployment(instance, name, place, certificates, ports[instance.name][name], shared)
                                    for name in instance.upstreams if name != without]
        document["routes"] += route(instance, shared, without)
        for where, values in instance.top.items():
            document[where] = {**document.get(where, {}), **values}
    return json.dumps(document, indent=1)


def litellm_document(instances, ports):
    """LiteLLM's proxy: each upstream is a deployment, each later tier a fallback, and time limits as lb's."""
    models, fallbacks, larger = [], [], []
    for instance in instances:
        names = [[instance.name if index == 0 else f"{instance.name}.tier{index}" for _ in tier]
                 for index, tier in enumerate(instance.tiers)]
        provider = "anthropic" if instance.form.anthropic else "openai"
        for tier, groups in zip(instance.tiers, names):
            for name, group in zip(tier, groups):
                models.append(litellm_model(instance, name, group, provider, ports))
        if len(names) > 1:
            fallbacks.append({instance.name: [tier[0] for tier in names[1:]]})
        if instance.larger:
            models.append(litellm_model(instance, instance.larger, instance.name + "-larger", provider, ports))
            larger.append({instance.name: [instance.name + "-larger"]})
    return json.dumps({
        "model_list": models,
        "router_settings": {"fallbacks": fallbacks, "context_window_fallbacks": larger, "num_retries": 2,
                            "retry_after": 0, "allowed_fails": 3, "cooldown_time": 5},
        "litellm_settings": {"request_timeout": 2, "telemetry": False},
    }, indent=1)


def litellm_model(instance, name, group, provider, ports):
    upstream = instance.upstreams[name]
    base = f"{'https' if upstream.tls else 'http'}://127.0.0.1:{ports[instance.name][name]}"
    return {"model_name": group, "litellm_params": {
        "model": f"{provider}/m", "api_key": f"sk-{instance.name}-{name}", "timeout": 2, "stream_timeout": 2,
        "api_base": base if provider == "anthropic" else base + "/v1"}}


OTHERS = {"litellm": litellm_document}
