"""The algorithms rldk tells apart, and the groups that rules name."""

from __future__ import annotations

GROUP = frozenset({"grpo", "rloo"})  # several completions per prompt, advantage relative to the group
ACTOR_CRITIC = frozenset({"ppo", "a2c", "sac", "td3"})
LLM_POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce"})
CLIPPED = frozenset({"ppo", "grpo", "rloo"})  # a clipped importance ratio
POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce", "a2c", "sac", "td3"})
DPO, KTO = frozenset({"dpo"}), frozenset({"kto"})
PREFERENCE = DPO | KTO
REWARD_MODEL = frozenset({"reward_model"})
SUPERVISED = frozenset({"sft"})
VALUE_BASED = frozenset({"dqn"})
OFF_POLICY = VALUE_BASED | {"sac", "td3"}  # learn from a replay buffer
ALGORITHMS = POLICY | PREFERENCE | REWARD_MODEL | SUPERVISED | VALUE_BASED
