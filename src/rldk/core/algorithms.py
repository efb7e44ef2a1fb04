"""The algorithms that rldk knows, and the groups that rules name."""

from __future__ import annotations

GROUP = frozenset({"grpo", "rloo"})  # several completions per prompt; the advantage is relative to the group
VALUE_BASED = frozenset({"dqn"})
OFF_POLICY = VALUE_BASED | {"sac", "td3", "ddpg"}  # they learn from a replay buffer
ACTOR_CRITIC = frozenset({"ppo", "trpo", "a2c", "sac", "td3", "ddpg"})
LLM_POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce"})
CLIPPED = frozenset({"ppo", "grpo", "rloo"})  # they clip an importance ratio
POLICY = LLM_POLICY | ACTOR_CRITIC
POLICY_GRADIENT = POLICY - OFF_POLICY  # they learn from their newest samples
DPO, KTO = frozenset({"dpo"}), frozenset({"kto"})
PREFERENCE = DPO | KTO  # fixed preferences, compared with a reference model
# fixed preferences without a reference model: the margin does not start at 0
REFERENCE_FREE = frozenset({"orpo", "cpo", "simpo"})
ONLINE_PREFERENCE = frozenset({"online_dpo"})  # preferences among the policy's own completions
REWARD_MODEL = frozenset({"reward_model"})
SUPERVISED = frozenset({"sft"})
BY_LOSS = SUPERVISED | PREFERENCE | REFERENCE_FREE | REWARD_MODEL  # the loss itself should fall
ALGORITHMS = POLICY | ONLINE_PREFERENCE | BY_LOSS | VALUE_BASED
