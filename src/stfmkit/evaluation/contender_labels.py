"""How the labels of contenders in tables of scores are made."""

CONTROL = "control:"
"""How the labels of controls begin; no contender of the caller has such a label."""
BASELINE = "baseline:"
"""How the labels of baselines begin that a task brings along."""
JOINT = " + "
"""Between the model of a control and what was done to its predictions, as in "control:hvg_pca + noise=0.5"."""
