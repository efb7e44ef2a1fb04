"""Trainings to profile, as the text of scripts."""

SLOW_REWARD = """
import random, time

def sample(n):
    return [[random.random() for _ in range(50)] for _ in range(n)]

def slow_reward(rows):
    total = []
    for row in rows:
        total.append(sum(sorted(row)))
        time.sleep(0.004)
    return total

def update(rewards):
    return sum(random.random() for _ in range(2000))

for step in range(25):
    print("step", step, "loss", update(slow_reward(sample(20))))
"""
LEAK = """
import time
kept = []
for step in range(110):
    {what}
    time.sleep(0.1)
    print("step", step, "loss", 1.0)
"""
TORCH = """
import random, time
import torch

policy = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 4))
value = torch.nn.Linear(8, 1)
first = torch.optim.Adam(policy.parameters())
second = torch.optim.Adam(value.parameters())

def judge_answers(actions):
    time.sleep(0.05)
    return torch.rand(len(actions), 1)

for step in range(12):
    states = torch.randn(32, 8)
    logits = policy(states)
    actions = torch.distributions.Categorical(logits=logits).sample()
    rewards = judge_answers(actions)
    (value(states) - rewards).pow(2).mean().backward()
    (logits.logsumexp(1).mean()).backward()
    first.step()
    second.step()
    print("step", step, "loss", float(rewards.mean()))
"""
SB3 = """
import time
import gymnasium
from stable_baselines3 import PPO

class Slow(gymnasium.Wrapper):
    def step(self, action):
        time.sleep(0.003)
        return self.env.step(action)

gymnasium.register("SlowPole-v0", entry_point=lambda **k: Slow(gymnasium.make("CartPole-v1").unwrapped))
PPO("MlpPolicy", "SlowPole-v0", seed=1, n_steps=64, n_epochs=1, device="cpu").learn(64 * 7)
"""
GRPO = """
import sys, time
sys.path.insert(0, {root!r})
from benchmarks import tiny

def length_reward(completions, **_):
    time.sleep(0.5)
    return [float(len(str(one))) for one in completions]

tiny.grpo({out!r}, 7, [], reward_funcs=length_reward).train()
"""
RLLIB = """
from ray.rllib.algorithms.ppo import PPOConfig

config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0)
algorithm = config.training(train_batch_size=200, minibatch_size=64, num_epochs=2).build_algo()
for _ in range(6):
    algorithm.train()
algorithm.stop()
"""
