"""The budget of the victims in words: their accuracies depend on it as much as on the noise."""

from __future__ import annotations

from unlearnable.products.product import Given, Style, VictimBudget


def about_budgets(given: Given[Style]) -> list[str]:
    """One line for each budget that the victims are trained with.

    Args:
        given: the victims and their budgets.
    """
    adversarial = {(cell.dataset, cell.network) for cell in given.victims if cell.radius}
    trainings: dict[str, list[str]] = {}
    for dataset, network in dict.fromkeys((cell.dataset, cell.network) for cell in given.victims):
        text = _in_words(given.budgets[dataset][network], attacked=(dataset, network) in adversarial)
        trainings.setdefault(text, []).append(f"{network} on {dataset}")
    if len(trainings) == 1:
        return [f"Victims: {text}" for text in trainings]
    return [f"Victims {', '.join(names)}: {text}" for text, names in trainings.items()]


def _in_words(budget: VictimBudget, attacked: bool) -> str:
    schedule = f"learning rate {budget.lr:g}"
    if budget.lr_drops:
        shares = " and ".join(f"{100 * share:g} %" for share in budget.lr_drops)
        schedule += f", times {budget.lr_factor:g} after {shares} of the steps"
    parts = [
        f"{budget.steps:,} SGD steps of {budget.batch_size} images",
        schedule,
        f"momentum {budget.momentum:g}",
        f"weight decay {budget.weight_decay:g}",
    ]
    if attacked:
        parts.append(f"adversarial training with {budget.k_a} attack steps of {budget.alpha_a:g} times the radius")
    return "; ".join(parts) + "."
