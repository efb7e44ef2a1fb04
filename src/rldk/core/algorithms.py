"""The algorithms rldk tells apart, and the groups that rules name."""

from __future__ import annotations

GROUP = frozenset({"grpo", "rloo"})  # several completions per prompt, advantage relative to the group
VALUE_BASED = frozenset({"dqn"})
OFF_POLICY = VALUE_BASED | {"sac", "td3", "ddpg"}  # learn from a replay buffer
ACTOR_CRITIC = frozenset({"ppo", "trpo", "a2c", "sac", "td3", "ddpg"})
LLM_POLICY = frozenset({"ppo", "grpo", "rloo", "reinforce"})
CLIPPED = frozenset({"ppo", "grpo", "rloo"})  # a clipped importance ratio
POLICY = LLM_POLICY | ACTOR_CRITIC
POLICY_GRADIENT = POLICY - OFF_POLICY  # learn from what they have just sampled
DPO, KTO = frozenset({"dpo"}), frozenset({"kto"})
PREFERENCE = DPO | KTO  # fixed preferences, judged against a reference
REFERENCE_FREE = frozenset({"orpo", "cpo", "simpo"})  # fixed preferences, no reference: no margin of 0 at the start
ONLINE_PREFERENCE = frozenset({"online_dpo"})  # preferences among the policy's own completions
REWARD_MODEL = frozenset({"reward_model"})
SUPERVISED = frozenset({"sft"})
BY_LOSS = SUPERVISED | PREFERENCE | REFERENCE_FREE | REWARD_MODEL  # the loss itself is to fall
ALGORITHMS = POLICY | ONLINE_PREFERENCE | BY_LOSS | VALUE_BASED
