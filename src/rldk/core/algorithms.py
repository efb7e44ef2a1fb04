"""The algorithms rldk tells apart, and the groups that rules name."""

from __future__ import annotations

GROUP = frozenset({"grpo", "rloo"})  # several completions per prompt, advantage relative to the group
ACTOR_CRITIC = frozenset({"ppo", "a2c", "sac", "td3"})
LLM_POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce"})
CLIPPED = frozenset({"ppo", "grpo", "rloo"})  # a clipped importance ratio
POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce", "a2c", "sac", "td3"})
PREFERENCE = frozenset({"dpo", "kto"})
REWARD_MODEL = frozenset({"reward_model"})
SUPERVISED = frozenset({"sft"})
VALUE_BASED = frozenset({"dqn"})
ALGORITHMS = POLICY | PREFERENCE | REWARD_MODEL | SUPERVISED | VALUE_BASED
