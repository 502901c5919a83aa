"""Two users of one WebUI at the same time, each with pictures of a fixed seed.

A picture that is made while somebody else is there has to be the file, byte for byte, that it is
when its user is alone; and nothing that a user asks for may fail.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.host.generations import picture, style
from tests.soak.strangers import Strangers

COFFEE, STARS = picture("coffee.jpg"), picture("deep_field.jpg")
GETS = ("version", "adapters", "presets", "blocks", "styles")
PACE = 0.01  # seconds between two acts of strangers, who would take the processor otherwise


@dataclass(frozen=True)
class Addresses:
    """Where coffee.jpg lies: `slow` brings it, `broken` a part; `silent` nothing, as "" none is."""

    slow: str
    broken: str
    silent: str = ""


@dataclass
class User:
    """One person: a checkpoint, pictures that are wished for, and what they look like alone."""

    name: str
    checkpoint: str
    adapter: str
    wishes: dict[str, dict[str, Any]]
    alone: dict[str, list[bytes]] = field(default_factory=dict)
    pixels: dict[str, list[bytes]] = field(default_factory=dict)
    saved: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.name)

    def first_style(self) -> dict[str, Any]:
        """A unit with the style that carries the user's name."""
        return {"style": self.name, "adapter": self.adapter}

    def unit(self, **fields: Any) -> dict[str, Any]:
        return {"image": COFFEE, "adapter": self.adapter, **fields}

    def request(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Whatever checkpoint the page shows meanwhile."""
        return {"override_settings": {"sd_model_checkpoint": self.checkpoint}, **fields}


def two_users() -> list[User]:
    linear = {"image": COFFEE, "adapter": "ip-adapter_sd15"}
    wide = {"image": COFFEE, "adapter": "ip-adapter_sdxl"}
    second = {**wide, "image": STARS, "preset": "layout"}
    stars = {"image": STARS, "method": "stylealigned"}
    return [
        User(
            "Ada", "tiny_sd15", "ip-adapter_sd15",
            {
                "style": {"seed": 11, **style(linear)},
                "plus": {"seed": 12, **style({**linear, "adapter": "ip-adapter-plus_sd15"})},
                "StyleAligned": {"seed": 13, **style(stars)},
                "plain": {"seed": 14},
            },
        ),
        User(
            "Ben", "tiny_sdxl", "ip-adapter_sdxl",
            {
                "style": {"seed": 21, **style(wide)},
                "content": {"seed": 22, **style({**wide, "content": "a cup of coffee"})},
                "two units": {"seed": 23, **style(wide, second)},
                "B-LoRA": {"seed": 24, **style({"method": "b-lora", "lora": "tiny_b-lora_sdxl"})},
                "plain": {"seed": 25},
            },
        ),
    ]  # fmt: skip


class House:
    """The WebUI, its two users, what they got, and what was wrong with it."""

    def __init__(self, webui: Any, addresses: Addresses, models: Path) -> None:
        self.webui, self.addresses = webui, addresses
        sound = (models / "ControlNet" / "ip-adapter_sd15.safetensors").read_bytes()
        self.users = two_users()
        self.strangers = Strangers(models, random.Random(3), sound)
        self.done: Counter[str] = Counter()
        self.compared = 0
        self.wrong: list[str] = []
        webui.shared.opts.data.update(api_enable_requests=True, api_forbid_local_requests=False)

    def alone(self) -> None:
        """Each picture as its user gets it with nobody else there, and a style of each."""
        for user in self.users:
            for wish, fields in user.wishes.items():
                made = self.picture(user, fields)
                user.alone[wish], user.pixels[wish] = made.png, made.pixels
            assert len({tuple(pixels) for pixels in user.pixels.values()}) == len(user.wishes)
            self.webui.use(f"{user.checkpoint}.")
            saved = self.webui.post("/instantstyle/embed", user.unit(name=user.name))
            assert saved.status_code == 200, saved.text

    def together(self, acts: Mapping[str, Sequence[Act]]) -> None:
        """What each user does, by name, at the same time, while strangers act, too."""

        def live(user: User) -> None:
            for act in acts[user.name]:
                self._attempt(user, act)

        with ThreadPoolExecutor(len(self.users)) as threads:
            lives = [threads.submit(live, user) for user in self.users]
            self.strangers.act()
            while wait(lives, PACE).not_done:
                self.strangers.act()
        for life in lives:
            life.result()

    def library(self) -> Any:
        """The saved styles."""
        from lib_instantstyle.methods import TABLE
        from lib_instantstyle.styles.library import library

        return library(TABLE)

    def _attempt(self, user: User, act: Act) -> None:
        """What is wrong, and any error, is written down."""
        try:
            found = act(self, user)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        self.done[f"{user.name}: {act.__name__}"] += 1
        if found:
            self.wrong.append(f"{user.name}, {act.__name__}: {found}"[:2000])

    def picture(self, user: User, fields: dict[str, Any], expect: int = 200) -> Any:
        return self.webui.txt2img(expect=expect, **user.request(fields))

    def compare_all(self, user: User) -> None:
        """Each of the user's pictures once more."""
        for wish, fields in user.wishes.items():
            if found := self._compare(user, wish, self.picture(user, fields).png):
                self.wrong.append(found)

    def _compare(self, user: User, wish: str, found: list[bytes]) -> str:
        self.compared += 1
        same = found == user.alone[wish]
        return "" if same else f"{wish} is another picture than when {user.name} is alone"


Act = Callable[[House, User], str]
"""What a user does; what was wrong with it, or nothing."""


def ask_for_a_picture(house: House, user: User) -> str:
    wish = user.chance.choice(sorted(user.wishes))
    return house._compare(user, wish, house.picture(user, user.wishes[wish]).png)


def name_a_slow_address(house: House, user: User) -> str:
    fields = {**user.wishes["style"], **style(user.unit(image=house.addresses.slow))}
    return house._compare(user, "style", house.picture(user, fields).png)


def name_a_broken_address(house: House, user: User) -> str:
    address = house.addresses.broken
    refused = house.picture(user, style(user.unit(image=address)), expect=422).body["detail"]
    return "" if "could not be read" in refused else refused


def name_a_silent_address(house: House, user: User) -> str:
    """Seldom: all others wait for its deadline."""
    address = house.addresses.silent
    if not address or user.chance.random() < 0.9:
        return look_around(house, user)
    refused = house.picture(user, style(user.unit(image=address)), expect=422).body["detail"]
    return "" if "it takes more than" in refused else refused


def save_a_style(house: House, user: User) -> str:
    """Save one from a picture and one from the user's first style; use that; remove both.

    A picture's style is made for whichever checkpoint is loaded: it is looked for, and no more.
    """
    user.saved += 1
    new, copied = f"{user.name} {user.saved}", f"{user.name} {user.saved} again"
    for body in ({"image": COFFEE, "name": new}, {**user.first_style(), "name": copied}):
        answer = house.webui.post("/instantstyle/embed", body)
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text}"
    listed = house.webui.get("/instantstyle/styles").json()["styles"]
    fields = {**user.wishes["style"], **style({**user.first_style(), "style": copied})}
    made = house.picture(user, fields)
    for name in (new, copied):
        house.library().delete(name)
    if not {new, copied, user.name} <= {each["name"] for each in listed}:
        return f"a style of {user.name} is not listed"
    same = made.pixels == user.pixels["style"]
    return "" if same else "a saved style paints otherwise than its reference"


def change_the_checkpoint(house: House, user: User) -> str:
    """By a picture that keeps its own, or as the settings do; in Forge that loads nothing yet.

    A WebUI sets the choice before it waits for its queue: a picture of somebody else that begins
    in that moment is made with it, with or without us. So it is chosen under the lock here.
    """
    from modules import call_queue, host, sd_models

    name = user.chance.choice([each.checkpoint for each in house.users])
    if user.chance.random() < 0.5:
        chosen = {"override_settings": {"sd_model_checkpoint": name}}
        house.webui.txt2img(seed=31, override_settings_restore_afterwards=False, **chosen)
        return ""
    with call_queue.queue_lock:
        info = sd_models.get_closet_checkpoint_match(f"{name}.")
        house.webui.shared.opts.data["sd_model_checkpoint"] = info.title
        host.checkpoint_chosen()
    return ""


def look_around(house: House, user: User) -> str:
    for route in GETS:
        answer = house.webui.get(f"/instantstyle/{route}")
        if answer.status_code != 200:
            return f"{route}: {answer.status_code} {answer.text}"
    names = {each["name"] for each in house.webui.get("/instantstyle/adapters").json()["adapters"]}
    return "" if user.adapter in names else f"{user.adapter} is not listed"


def ask_for_a_plan(house: House, user: User) -> str:
    answer = house.webui.post("/instantstyle/plan", user.request(style(user.unit())))
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text}"
    problems = answer.json()["problems"]
    return "; ".join(problems)


def ask_for_nonsense(house: House, user: User) -> str:
    fields = style({**user.unit(), "weight": 99})
    refused = house.picture(user, fields, expect=422).body["detail"]
    return "" if "weight" in refused else refused


ACTIONS: tuple[Act, ...] = (
    *(ask_for_a_picture,) * 3, name_a_slow_address, name_a_broken_address, name_a_silent_address,
    save_a_style, change_the_checkpoint, look_around, ask_for_a_plan, ask_for_nonsense,
)  # fmt: skip
