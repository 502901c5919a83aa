"""`<name:argument:...>` in a prompt: taken out before encoding and handed to the named network."""

from __future__ import annotations

import logging
import re
from collections import defaultdict

from modules import errors

extra_network_registry: dict[str, ExtraNetwork] = {}
extra_network_aliases: dict[str, ExtraNetwork] = {}


def initialize() -> None:
    extra_network_registry.clear()
    extra_network_aliases.clear()


def register_extra_network(extra_network: ExtraNetwork) -> None:
    extra_network_registry[extra_network.name] = extra_network


def register_extra_network_alias(extra_network: ExtraNetwork, alias: str) -> None:
    extra_network_aliases[alias] = extra_network


def register_default_extra_networks() -> None:
    """The miniature has no hypernetworks."""


class ExtraNetworkParams:
    def __init__(self, items=None) -> None:
        self.items = items or []
        self.positional: list = []
        self.named: dict[str, str] = {}
        for item in self.items:
            parts = item.split("=", 2) if isinstance(item, str) else [item]
            if len(parts) == 2:
                self.named[parts[0]] = parts[1]
            else:
                self.positional.append(item)

    def __eq__(self, other) -> bool:
        return self.items == other.items

    __hash__ = None


class ExtraNetwork:
    def __init__(self, name: str) -> None:
        self.name = name

    def activate(self, p, params_list: list[ExtraNetworkParams]) -> None:
        """Called on every run, with an empty list where the prompt does not name it. Replaces."""
        raise NotImplementedError

    def deactivate(self, p) -> None:
        raise NotImplementedError


def lookup_extra_networks(extra_network_data: dict) -> dict:
    found: dict[ExtraNetwork, list] = {}
    for name, args in list(extra_network_data.items()):
        network = extra_network_registry.get(name) or extra_network_aliases.get(name)
        if network is None:
            logging.info("Skipping unknown extra network: %s", name)
        else:
            found.setdefault(network, []).extend(args)
    return found


def activate(p, extra_network_data: dict) -> None:
    """Named networks with their arguments, then every other with none. Errors are displayed."""
    activated = []
    for network, args in lookup_extra_networks(extra_network_data).items():
        try:
            network.activate(p, args)
            activated.append(network)
        except Exception as e:
            errors.display(e, f"activating extra network {network.name} with arguments {args}")
    for name, network in extra_network_registry.items():
        if network in activated:
            continue
        try:
            network.activate(p, [])
        except Exception as e:
            errors.display(e, f"activating extra network {name}")
    if p.scripts is not None:
        p.scripts.after_extra_networks_activate(
            p,
            batch_number=p.iteration,
            prompts=p.prompts,
            seeds=p.seeds,
            subseeds=p.subseeds,
            extra_network_data=extra_network_data,
        )


def deactivate(p, extra_network_data: dict) -> None:
    named = list(lookup_extra_networks(extra_network_data))
    others = [x for x in extra_network_registry.values() if x not in named]
    for network in named + others:
        try:
            network.deactivate(p)
        except Exception as e:
            errors.display(e, f"deactivating extra network {network.name}")


re_extra_net = re.compile(r"<(\w+):([^>]+)>")


def parse_prompt(prompt: str) -> tuple[str, dict]:
    found: dict[str, list] = defaultdict(list)

    def take(m: re.Match) -> str:
        found[m[1]].append(ExtraNetworkParams(items=m[2].split(":")))
        return ""

    return re_extra_net.sub(take, prompt), found


def parse_prompts(prompts: list[str]) -> tuple[list[str], dict | None]:
    """All prompts without their tags; the tags of the first one only."""
    parsed = [parse_prompt(x) for x in prompts]
    return [x[0] for x in parsed], parsed[0][1] if parsed else None
