"""The experiment: what is committed is what its command makes of the committed runs, and runs repeat."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import experiment
import numpy as np
import pytest
import tables
from experiment import RESULTS, TRAINED
from plan import BOOSTERS, LOSSES, SEEDS, Boosted, Boosting, Outcome, Run, plan
from scipy import stats

import hsproj


def test_the_committed_runs_are_those_of_the_plan() -> None:
    runs = [run for run, _ in experiment.from_text(TRAINED.read_text(), Run, Outcome)]
    assert runs == list(plan())
    assert len(set(runs)) == len(runs)


def test_tables_are_those_of_the_committed_runs(tmp_path: Path) -> None:
    results = dict(experiment.from_text(TRAINED.read_text(), Run, Outcome))
    tables.write(tmp_path, results, dict(experiment.from_text(experiment.BOOSTED.read_text(), Boosting, Boosted)))
    texts = [path for path in tmp_path.iterdir() if path.suffix in (".md", ".csv")]
    assert len(texts) == 10
    for path in texts:
        assert path.read_text() == (RESULTS / path.name).read_text(), path.name


def test_lines_read_back_as_they_were_and_a_cut_one_is_left_out() -> None:
    pairs = [
        (Run("digits", "hinge", 0, 1e-3, 4, permuted=True), Outcome(*(seed / 7 for seed in range(8)))),
        (Run("shuttle", "squares", 128, 3e-2, 0, noise=0.2), Outcome(*(0.1 * seed for seed in range(8)))),
    ]
    text = experiment.header(Run, Outcome) + experiment.to_text(pairs)
    assert list(experiment.from_text(text, Run, Outcome)) == pairs
    assert list(experiment.from_text(text[:-1], Run, Outcome)) == pairs[:1]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "KEPT", tmp_path)
    monkeypatch.setattr(experiment, "digest", lambda: "now")
    kept = tmp_path / "copies-now.csv"
    runs = [Boosting(method, seed) for method in BOOSTERS for seed in SEEDS]
    earlier = [(run, Boosted(0.5, 0.25, 0.125)) for run in runs[:3]]
    kept.write_text((experiment.header(Boosting, Boosted) + experiment.to_text(earlier))[:-5])  # the last line is cut
    # A copy stands for what would be trained.
    pairs = experiment.run_all(copy.copy, runs[:4], Boosting, Boosted, "copies")
    assert pairs == [*earlier[:2], (runs[2], runs[2]), (runs[3], runs[3])]
    assert len(kept.read_text().splitlines()) == 1 + 4


def test_comparisons_are_scipys_paired_t_tests() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(480, 517, (2, 5)) / 517
    one = tables.compare("digits", 128, "hinge", ours, theirs)
    expected = stats.ttest_rel(100 * ours, 100 * theirs)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose([one.t, one.p, one.low, one.high], [expected.statistic, expected.pvalue, *interval])
    assert one.effect == pytest.approx(one.t / np.sqrt(5))
    shared = one.t * np.sqrt(1 / 5) / np.sqrt(1 / 5 + 517 / 1024)
    assert one.corrected_p == pytest.approx(2 * stats.t.sf(abs(shared), 4))


@pytest.mark.parametrize(("ahead", "p"), [(0, 1.0), (7, 0.0), (-7, 0.0)])
def test_differences_without_spread_are_certain(ahead: int, p: float) -> None:
    theirs = np.array([480, 501, 499, 483, 511])
    one = tables.compare("digits", 128, "hinge", (theirs + ahead) / 517, theirs / 517)
    assert (one.mean, one.low, one.high, one.p, one.corrected_p) == (ahead * (100 / 517),) * 3 + (p, p)
    assert np.sign(one.effect) == np.sign(ahead)


def test_differences_that_add_up_to_nothing_are_no_difference() -> None:
    theirs = np.array([480, 501, 499, 483, 511])
    ours = theirs + np.array([6, 2, -5, -3, 0])
    assert tables.compare("digits", 128, "hinge", ours / 517, theirs / 517).mean == 0


def test_holm_adjusts_step_by_step() -> None:
    assert tables.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_rates_are_chosen_on_the_validation_set() -> None:
    blank = Outcome(*[0.0] * 8)
    run = Run("digits", "hinge", 0, 0.0, 0)
    results: dict[Run, Outcome] = {}
    for i, rate in enumerate(tables.RATES):
        for seed in SEEDS:
            results[replace(run, rate=rate, seed=seed)] = replace(blank, validation=float(i == seed % 4), test=i / 10)
    assert tables.by_validation(results, run).tolist() == [0.0, 0.1, 0.2, 0.3, 0.0]


class TestHarness:
    """What needs PyTorch."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        self.torch = pytest.importorskip("torch")
        self.harness = pytest.importorskip("harness")

    @pytest.mark.parametrize("loss", LOSSES)
    def test_a_run_repeats_in_all_digits_and_learns(self, loss: str) -> None:
        run = Run("digits", loss, 512, 1e-2, 3)
        outcome = experiment.train(run)
        assert outcome == experiment.train(run)
        assert outcome != experiment.train(replace(run, seed=4))
        assert outcome.test > 0.9

    @pytest.mark.parametrize("changes", [{"noise": 0.4}, {"total": "half"}, {"temperature": 5.0}, {"permuted": True}])
    def test_a_variant_is_another_run(self, changes: dict[str, Any]) -> None:
        run = Run("digits", "hypersimplex", 0, 1e-2, 0)
        other = experiment.train(replace(run, **changes))
        assert abs(other.brier - experiment.train(run).brier) > 1e-3
        assert (other.test < 0.2) == ("permuted" in changes)

    def test_tables_and_harness_mean_the_same_splits(self) -> None:
        assert {data: self.harness.SOURCES[data].train for data in tables.TRAINED} == tables.TRAINED
        rest = {data: source.train + source.validation for data, source in self.harness.SOURCES.items()}
        samples = {"digits": 1797, "mnist5k": 5000, "shuttle": 49097}
        assert {data: count - rest[data] for data, count in samples.items()} == tables.TESTED

    def test_splits_share_no_samples_and_differ_by_seed(self) -> None:
        first, second = (self.harness.parts(Run("digits", "hinge", 0, 0.0, seed)) for seed in (0, 1))
        assert [len(labels) for _, labels in first] == [1024, 256, 517]
        assert sum(len(labels) for _, labels in first) == len(self.harness.samples("digits")[1])
        assert not np.array_equal(first[0][0], second[0][0])
        assert len(np.unique(np.concatenate([x for x, _ in first]), axis=0)) == 1797  # which all differ

    def test_noise_changes_that_share_of_training_labels_and_no_test_labels(self) -> None:
        clean, noisy = (self.harness.parts(Run("digits", "hinge", 0, 0.0, 0, noise=noise)) for noise in (0.0, 0.4))
        shares = [np.mean(a != b) for (_, a), (_, b) in zip(clean, noisy, strict=True)]
        assert shares[0] == pytest.approx(0.4, abs=0.05)
        assert shares[1] == pytest.approx(0.4, abs=0.1)
        assert shares[2] == 0

    def test_the_derivative_of_blocks_is_another_at_saturated_ties_only(self) -> None:
        torch = self.torch
        for column, same in (([5.0, 4.0, 0.25, -1.0, -7.0], True), ([5.0, 5.0, 0.25, -1.0, -7.0], False)):
            x = torch.tensor([[value] for value in column], requires_grad=True)
            g = torch.tensor([[1.0], [0.0], [1.0], [0.0], [1.0]])
            p = self.harness.Blocks.apply(x, torch.tensor([2.5]), 0.5)
            assert p[:, 0].tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]
            p.backward(g)
            exact = [0.0, 0.0, 0.0, 0.0, 0.0] if same else [1.0, -1.0, 0.0, 0.0, 0.0]
            assert x.grad[:, 0].tolist() == exact

    def test_without_ties_the_derivative_of_blocks_is_the_exact_one_up_to_rounding(self) -> None:
        torch = self.torch
        generator = torch.Generator().manual_seed(0)
        scores = 5 * torch.randn(512, 10, generator=generator)
        labels = torch.randint(10, (512,), generator=generator)
        gradients = []
        for derivative in ("exact", "blocks"):
            x = scores.clone().requires_grad_()
            self.harness.LOSSES["hypersimplex"](Run("", "", 0, 0.0, 0, derivative=derivative), x, labels).backward()
            gradients.append(x.grad)
        assert (gradients[0] - gradients[1]).abs().max() <= 1e-6 * gradients[0].abs().max()

    def test_the_scalar_of_the_fenchel_young_loss_has_its_gradient(self) -> None:
        torch = self.torch
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
        labels = torch.arange(20) % 3
        self.harness.LOSSES["fenchel_young"](Run("", "", 0, 0.0, 0), x, labels).backward()
        targets = np.eye(3)[labels.numpy()]
        _, gradient = hsproj.fenchel_young_loss_and_grad(x.detach().numpy(), targets, temperature=1.5, axis=0)
        np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=0, atol=1e-15)

    def test_calibration_error_by_hand(self) -> None:
        # Two bins: 0.8 is right in one of two, 0.65 in one of one.
        probabilities, labels = np.array([[0.8, 0.2], [0.8, 0.2], [0.35, 0.65]]), np.array([0, 1, 1])
        assert self.harness.calibration_error(probabilities, labels) == pytest.approx((2 * 0.3 + 0.35) / 3)

    def test_the_scale_that_is_fitted_has_no_better_neighbour(self) -> None:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 200)
        margins = 3 * (np.eye(3)[labels] + rng.normal(size=(200, 3)))
        scale = self.harness.fitted_scale(margins, labels)

        def loss(s: float) -> float:
            return float(np.mean(np.log(np.exp(s * margins).sum(1)) - s * margins[np.arange(200), labels]))

        assert loss(scale) < min(loss(0.99 * scale), loss(1.01 * scale), loss(1.0))

    def test_trees_learn_and_repeat(self) -> None:
        pytest.importorskip("river")
        run = Boosting("hypersimplex, exact, bound", 0)
        boosted = experiment.boost(run)
        assert boosted.error < 0.01
        assert boosted == experiment.boost(run)

    def test_the_made_up_problem_has_minimisers_that_differ(self) -> None:
        from scipy.optimize import minimize

        x, y = self.harness.samples("outliers")
        sign = 2.0 * y - 1.0
        angles = np.linspace(-np.pi, np.pi, 721)
        errors = [np.mean((x @ [np.cos(angle), np.sin(angle)]) * sign <= 0) for angle in angles]
        assert min(errors) == pytest.approx(0.15, abs=0.01)
        logistic: Any = minimize(lambda w: np.logaddexp(0, -sign * (x @ w[:2] + w[2])).mean(), np.zeros(3))
        assert np.mean((x @ logistic.x[:2] + logistic.x[2]) * sign <= 0) > 0.35
