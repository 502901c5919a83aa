"""Which step an evaluation belongs to, for samplers of every habit."""

import inspect
from types import SimpleNamespace

import pytest
import torch

from lib_instantstyle.unet.progress import SamplerProgress
from tests.unit.sampler_calls import Denoiser

STEPS = 5
SIGMAS = torch.tensor([10.0, 5.0, 2.5, 1.0, 0.3, 0.0])


def euler(model, x, sigmas, extra_args=None, callback=None, s_churn=0.0):
    for i in range(len(sigmas) - 1):
        model(x, sigmas[i] * (1 + s_churn), i)
        callback({"i": i})


def heun(model, x, sigmas, extra_args=None, callback=None):
    for i in range(len(sigmas) - 1):
        model(x, sigmas[i], i)
        callback({"i": i})
        if sigmas[i + 1] > 0:
            model(x, sigmas[i + 1], i)


def heunpp2(model, x, sigmas, extra_args=None, callback=None):
    """As Forge's: up to three evaluations, and no word of it to the WebUI."""
    for i in range(len(sigmas) - 1):
        model(x, sigmas[i], i)
        callback({"i": i})
        for later in sigmas[i + 1 : i + 3]:
            if later > 0:
                model(x, later, i)


def midpoint(model, x, sigmas, extra_args=None, callback=None):
    for i in range(len(sigmas) - 1):
        model(x, sigmas[i], i)
        callback({"i": i})
        model(x, (sigmas[i] * sigmas[i + 1]).sqrt() or sigmas[i] / 2, i)


def said_at_the_end(model, x, sigmas, extra_args=None, callback=None):
    for i in range(len(sigmas) - 1):
        model(x, sigmas[i], i)
        model(x, sigmas[i + 1] or sigmas[i], i)
        callback({"i": i})


def every_second(model, x, sigmas, extra_args=None, callback=None):
    for i in range(len(sigmas) - 1):
        if i % 2 == 0:
            model(x, sigmas[i], i)
        callback({"i": i})


def outer(model, x, sigmas, extra_args=None, callback=None):
    """As res_multistep: the loop is in a function of its own."""
    return heunpp2(model, x, sigmas, callback=callback)


def other_names(model, x, sigmas, extra_args=None, callback=None):
    for number, sigma in enumerate(sigmas[:-1]):
        for _ in range(3):
            model(x, sigma, number)
        callback({"i": number})


def restart(model, x, sigmas, extra_args=None, callback=None):
    """As A1111's: a loop over `i` makes a list of steps; a closure changes the counter."""
    pairs = []
    step_id = 0
    for i in range(len(sigmas) - 1):
        pairs.append((sigmas[i], sigmas[i + 1]))

    def heun_step(old, new):
        nonlocal step_id
        model(x, old, step_id)
        callback({"i": step_id})
        model(x, new or old, step_id)
        step_id += 1

    for old, new in pairs:
        heun_step(old, new)


def restart_again(model, x, sigmas, extra_args=None, callback=None):
    """The same, and in the middle back to noise: more sigmas than the list has, same steps."""
    return restart(model, x, sigmas[[0, 1, 0, 1, 2, 5]], callback=callback)


def multistep(model, x, timesteps, extra_args=None, callback=None):
    """As UniPC: evaluates ahead, and its counter is an attribute."""
    state = SimpleNamespace(index=0)
    levels = timesteps.flip(0)

    def update(ahead):
        i = 2  # no step
        if ahead < len(levels):
            model(x, levels[ahead], ahead + 0 * i)
        callback({"i": state.index})
        state.index += 1

    model(x, levels[0], 0)
    for step in range(1, len(levels) + 1):
        update(step)


def own_list(model, x, timesteps, extra_args=None, callback=None):
    """As UniPC in A1111, whose list ends at 1000 and not at the last step's noise."""
    return multistep(model, x, timesteps + 198, callback=callback)


def plms(model, x, timesteps, extra_args=None, callback=None):
    levels = timesteps.flip(0)
    for i in range(len(levels)):
        model(x, levels[i], i)
        if i == 0:
            model(x, levels[1], i)
        callback({"i": i})


def counted(model, x, sigma_min, sigma_max, n, extra_args=None, callback=None):
    """As DPM fast: evaluations are the steps, and its callback counts something else."""
    done = 0
    for i in range(n // 3 + 1):
        for _ in range(min(3, n - done)):
            model(x, torch.tensor(1.0), done)
            done += 1
        callback({"i": i})


def adaptive(model, x, sigma_min, sigma_max, extra_args=None, callback=None):
    for place, sigma in enumerate((10.0, 1.0, 3.0, 0.1, 0.1)):  # a refused step goes back
        model(x, torch.tensor(sigma), place)


def run(function, order=1, **schedule):
    progress, sampler = SamplerProgress(STEPS), SimpleNamespace(func=function)
    sampler.model_wrap = SimpleNamespace(sigmas=torch.tensor([0.1, 1.0, 10.0]))
    denoiser = Denoiser(sampler, progress, STEPS * order)
    with progress.watching(sampler):
        assert inspect.signature(sampler.func) == inspect.signature(function)
        sampler.func(denoiser, torch.zeros(2, 4), callback=lambda state: None, **schedule)
    assert sampler.func is function
    return denoiser.seen


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "function",
    [
        euler,
        heun,
        heunpp2,
        midpoint,
        said_at_the_end,
        every_second,
        outer,
        other_names,
        restart,
        restart_again,
    ],
)
def test_an_evaluation_belongs_to_the_step_that_makes_it(function, order):
    """order: evaluations in a step as the WebUI believes, right or wrong."""
    seen = run(function, order, sigmas=SIGMAS)
    assert len(seen) >= STEPS // 2
    assert [fraction for _, fraction in seen] == [step / STEPS for step, _ in seen]


def test_churn_puts_a_step_above_its_place_in_the_list():
    seen = run(euler, sigmas=SIGMAS, s_churn=0.4)
    assert [fraction for _, fraction in seen] == [step / STEPS for step, _ in seen]


@pytest.mark.parametrize("function", [multistep, own_list, plms])
def test_samplers_that_take_timesteps(function):
    seen = run(function, timesteps=torch.tensor([1, 201, 401, 601, 801]))
    assert [fraction for _, fraction in seen] == [step / STEPS for step, _ in seen]


def test_evaluations_are_the_steps_of_a_sampler_that_takes_their_number():
    seen = run(counted, sigma_min=0.1, sigma_max=10.0, n=STEPS)
    assert [fraction for _, fraction in seen] == [step / STEPS for step, _ in seen]


def test_a_sampler_that_chooses_its_steps_is_timed_by_sigma():
    seen = [fraction for _, fraction in run(adaptive, sigma_min=0.1, sigma_max=10.0)]
    assert seen == pytest.approx([0.0, 0.5, 0.2614, 0.999, 0.999], abs=1e-3)


def test_without_a_list_or_a_loop_evaluations_are_counted():
    progress = SamplerProgress(4)
    denoiser = SimpleNamespace(step=0, total_steps=8)
    seen = []
    for denoiser.step in range(7):
        seen.append(progress.fraction(denoiser, torch.ones(1)))
    assert seen == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75]


def test_a_sampler_without_a_function_is_left_alone():
    with SamplerProgress(4).watching(None):
        pass


def test_a_function_that_another_extension_puts_in_its_place_stays():
    sampler = SimpleNamespace(func=euler)
    with SamplerProgress(4).watching(sampler):
        sampler.func = heun
    assert sampler.func is heun
