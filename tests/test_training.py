"""The training loop against plain torch, and what callbacks and data sources promise."""

import copy

import numpy as np
import pytest
import skorch
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import Dataset

from skmi.exceptions import NonFiniteLossError
from skmi.networks import ACTIVATIONS, mlp
from skmi.training import ArrayDataset, Player, TensorBatches, Trainer


class Regression(nn.Module):
    """Least squares; the second player, if asked for, learns the mean of y."""

    def __init__(self, n_features=3, with_mean=False, width=None):
        super().__init__()
        self.weights = mlp([n_features, width, 1]) if width else nn.Linear(n_features, 1)
        self.mean = nn.ParameterDict({"value": torch.zeros(())}) if with_mean else None

    def forward(self, x, y, player=None):
        if player == "mean":
            return {"loss": (y - self.mean["value"]).square().mean()}
        residuals = self.weights(x).squeeze(1) - y
        return {"loss": residuals.square().mean(), "bias": residuals.mean()}


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 3, generator=generator)
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + 3 + 0.1 * torch.randn(500, generator=generator)
    return x, y


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return Regression()


def test_learns(data, objective):
    trainer = Trainer(objective, players=[Player("weights", 0.05)], max_epochs=40, batch_size=50)
    trainer.fit(data)
    np.testing.assert_allclose(objective.weights.weight[0].tolist(), [1, -2, 0.5], atol=0.05)
    losses = trainer.history[:, "train_loss"]
    assert len(losses) == 40 and losses[-1] < 0.02 < losses[0]
    assert abs(trainer.history[-1, "train_bias"]) < 0.05


def test_same_steps_as_a_plain_loop(data, objective):
    plain = copy.deepcopy(objective)
    trainer = Trainer(objective, players=[Player("weights")], max_epochs=3, batch_size=64, seed=7)
    trainer.fit(data)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3, fused=True)
    for epoch in range(3):
        permutation = torch.randperm(500, generator=torch.Generator().manual_seed(7 + epoch + 1))
        losses = []
        for start in range(0, 500 - 63, 64):
            rows = permutation[start : start + 64]
            optimizer.zero_grad()
            loss = plain(data[0][rows], data[1][rows])["loss"]
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert trainer.history[epoch, "train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    for ours, theirs in zip(objective.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_players_have_optimisers_and_rhythms_of_their_own(data):
    objective = Regression(with_mean=True)
    players = [Player("weights", 0.01), Player("mean", 0.1, every=3)]
    steps = []

    class Recorder(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            steps.append(sorted({name.split(".")[0] for name, _ in named_parameters}))

    trainer = Trainer(
        objective, players=players, max_epochs=20, batch_size=100, callbacks=[Recorder()]
    )
    trainer.fit(data)
    assert steps[:5] == [["weights"], ["weights"], ["weights"], ["mean"], ["weights"]]
    assert float(objective.mean["value"].detach()) == pytest.approx(float(data[1].mean()), abs=0.8)
    assert steps.count(["mean"]) == 20 * 5 // 3


def test_every_parameter_has_an_owner(data):
    with pytest.raises(ValueError, match="belong to one player"):
        Trainer(Regression(with_mean=True), players=[Player("weights")]).fit(data)
    with pytest.raises(ValueError, match="no parameters for player 'critic'"):
        Trainer(Regression(), players=[Player("critic")]).fit(data)


def test_parameters_with_rates_of_their_own(data):
    # Adam's first step of each parameter is its step size, in the direction of the gradient
    moves = {}
    for rate in (0.01, 0.3):
        objective = Regression()
        before = {n: p.detach().clone() for n, p in objective.named_parameters()}
        players = [Player("weights", 0.01, rates={"bias": rate})]
        options = {"players": players, "max_epochs": 1, "batch_size": len(data[0])}
        trainer = Trainer(objective, **options, schedule="cosine").fit(data)
        moves[rate] = {
            n: (p - before[n]).abs().max().item() for n, p in objective.named_parameters()
        }
        assert moves[rate]["weights.weight"] == pytest.approx(0.01, rel=1e-3)
        assert moves[rate]["weights.bias"] == pytest.approx(rate, rel=1e-3)
        again = Trainer(objective, **options).resume(trainer.training_state())
        assert [g["lr"] for g in again.optimizer_of(players[0]).param_groups] == [0.01, rate]


def test_patience_needs_validation_data(data, objective):
    with pytest.raises(ValueError, match="patience needs validation data"):
        Trainer(objective, players=[Player("weights")], patience=3).fit(data)


def test_early_stopping_returns_to_the_best_weights(data, objective):
    class Spoil(Callback):  # from epoch 6 on, weights drift away
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) > 5:
                with torch.no_grad():
                    net.module_.weights.bias += 100.0

    trainer = Trainer(
        objective,
        players=[Player("weights", 0.05)],
        max_epochs=50,
        batch_size=50,
        patience=4,
        callbacks=[Spoil()],
    )
    trainer.fit(data, data)
    assert trainer.stopped_early_ and len(trainer.history) == 9
    best = min(trainer.history[:, "valid_loss"])
    assert float(objective(*data)["loss"].detach()) == pytest.approx(best, rel=1e-5)


def test_the_untrained_model_is_a_candidate(data):
    objective = Regression()
    with torch.no_grad():
        objective.weights.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
        objective.weights.bias.fill_(3.0)
    before = copy.deepcopy(objective.state_dict())
    trainer = Trainer(objective, players=[Player("weights", 1.0)], max_epochs=30, patience=3)
    trainer.fit(data, data)
    assert trainer.stopped_early_ and len(trainer.history) == 3
    for name, value in objective.state_dict().items():
        assert torch.equal(value, before[name])


def test_negative_losses_stop_early_too(data):
    class Negative(Regression):
        def forward(self, x, y, player=None):
            return {"loss": super().forward(x, y)["loss"] - 1000}

    trainer = Trainer(Negative(), players=[Player("weights", 0.1)], max_epochs=300, patience=5)
    trainer.fit(data, data)
    assert trainer.stopped_early_ and trainer.history[-1, "valid_loss"] < -999.9


def test_averaged_weights_are_the_exponential_average(data, objective):
    plain, averaged = copy.deepcopy(objective), objective
    path = []

    class Recorder(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            path.append([p.detach().clone() for p in net.module_.parameters()])

    options = {"players": [Player("weights", 0.05)], "max_epochs": 2, "batch_size": 50}
    Trainer(plain, **options, callbacks=[Recorder()]).fit(data)
    Trainer(averaged, **options, averaging=0.9).fit(data)
    expected = [w.clone() for w in path[0]]
    for step, weights in enumerate(path):
        decay = min(0.9, step / (step + 9))
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    for ours, wanted in zip(averaged.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.detach(), wanted)


def test_validation_sees_the_averaged_weights(data, objective):
    trainer = Trainer(objective, players=[Player("weights", 0.05)], max_epochs=3, averaging=0.99)
    trainer.fit(data, data)
    assert trainer.history[-1, "valid_loss"] == pytest.approx(
        float(objective(*data)["loss"].detach()), rel=1e-5
    )


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [("cosine", [1, 0.75, 0.25]), (lambda epoch: 0.5**epoch, [1, 0.5, 0.25])],
)
def test_schedules(data, objective, schedule, factors):
    rates = []

    class Recorder(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_of(net.players[0]).param_groups[0]["lr"])

    Trainer(
        objective,
        players=[Player("weights", 0.2)],
        max_epochs=3,
        schedule=schedule,
        callbacks=[Recorder()],
    ).fit(data)
    np.testing.assert_allclose(rates, 0.2 * np.array(factors))


def test_gradient_clipping(data, objective):
    norms = []

    class Recorder(Callback):
        def on_batch_end(self, net, **kwargs):
            norms.append(sum(p.grad.square().sum() for p in net.module_.parameters()).sqrt().item())

    options = {"players": [Player("weights")], "max_epochs": 1, "callbacks": [Recorder()]}
    Trainer(objective, **options, gradient_clipping=0.5).fit(data)
    assert max(norms) == pytest.approx(0.5, rel=1e-3)


def test_a_real_interrupt_gets_through_and_a_skorch_stop_does_not(data, objective):
    class CtrlC(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(objective, players=[Player("weights")], callbacks=[CtrlC()], patience=5).fit(
            data, data
        )
    stopper = skorch.callbacks.EarlyStopping(
        monitor="train_loss", patience=1, threshold=1e9, threshold_mode="abs"
    )
    trainer = Trainer(objective, players=[Player("weights")], callbacks=[stopper]).fit(data)
    assert trainer.stopped_early_ and len(trainer.history) == 2


def test_non_finite_loss_is_a_named_error(objective):
    x = torch.full((20, 3), 1e30)
    with pytest.raises(NonFiniteLossError, match="epoch 1"):
        Trainer(objective, players=[Player("weights")]).fit((x, torch.zeros(20)))


def test_state_is_resumed_exactly(data, objective):
    other = copy.deepcopy(objective)
    options = {"players": [Player("weights", 0.05)], "batch_size": 50}
    Trainer(objective, max_epochs=6, **options).fit(data)
    first = Trainer(other, max_epochs=2, **options).fit(data)
    second = Trainer(other, max_epochs=4, **options).resume(first.training_state())
    second.partial_fit(data)
    assert second.training_state()["n_epochs"] == 6
    for ours, theirs in zip(objective.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_goes_on_with_the_decay_rates_of_the_new_player(data, objective):
    options = {"max_epochs": 1, "batch_size": len(data[0])}
    plain = copy.deepcopy(objective)
    first = Trainer(objective, players=[Player("weights", betas=(0.5, 0.9))], **options).fit(data)
    second = Trainer(objective, players=[Player("weights", betas=(0.0, 0.99))], **options)
    second.resume(first.training_state()).partial_fit(data)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for betas in ((0.5, 0.9), (0.0, 0.99)):
        optimizer.param_groups[0]["betas"] = betas
        optimizer.zero_grad()
        plain(*data)["loss"].backward()
        optimizer.step()
    for ours, theirs in zip(objective.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_training_goes_on_at_the_rate_of_the_new_player(data, objective):
    options = {"max_epochs": 1, "batch_size": len(data[0])}
    state = Trainer(objective, players=[Player("weights", 0.05)], **options).fit(data)
    for schedule in ("constant", "cosine"):
        players = [Player("weights", 0.5)]
        again = Trainer(copy.deepcopy(objective), players=players, schedule=schedule, **options)
        again.resume(state.training_state())
        assert [g["rate"] for g in again.optimizer_of(players[0]).param_groups] == [0.5]
        assert [g["lr"] for g in again.optimizer_of(players[0]).param_groups] == [0.5]


def test_weights_that_overflow_in_the_last_step_are_told(data):
    class Overflow(Regression):  # a finite loss whose gradient is not
        def forward(self, x, y, player=None):
            loss = super().forward(x, y)["loss"]
            return {"loss": loss.detach() + (loss - loss.detach()).abs().sqrt()}

    with pytest.raises(NonFiniteLossError, match="weights became non-finite"):
        Trainer(Overflow(), players=[Player("weights")], max_epochs=1, batch_size=len(data[0])).fit(
            data
        )


# ---------------------------------------------------------------------------- batches


@pytest.mark.parametrize("n_rows", [1, 2, 5, 64, 65, 200])
@pytest.mark.parametrize("batch_size", [2, 7, 64])
def test_batches_cover_the_rows(n_rows, batch_size):
    rows = torch.arange(n_rows)
    ordered = list(TensorBatches([rows, 2 * rows], batch_size))
    assert torch.cat([batch[0] for batch in ordered]).tolist() == rows.tolist()
    assert max(len(batch[0]) for batch in ordered) <= max(batch_size, 3)
    if n_rows > 1:
        assert min(len(batch[0]) for batch in ordered) > 1
    shuffled = list(TensorBatches([rows, 2 * rows], batch_size, torch.Generator().manual_seed(0)))
    seen = torch.cat([batch[0] for batch in shuffled]).tolist()
    assert len(set(seen)) == len(seen) > n_rows - batch_size
    assert {len(batch[0]) for batch in shuffled} == {min(batch_size, n_rows)}
    assert all(torch.equal(second, 2 * first) for first, second in shuffled)


def test_long_data_make_short_epochs_of_changing_rows():
    rows, generator = torch.arange(100), torch.Generator().manual_seed(0)
    batches = TensorBatches([rows], 8, generator, epoch_rows=20)
    epochs = [torch.cat([batch[0] for batch in batches]).tolist() for _ in range(60)]
    assert all(len(set(epoch)) == len(epoch) == 16 for epoch in epochs)
    assert {row for epoch in epochs for row in epoch} == set(rows.tolist())
    assert sum(len(b[0]) for b in TensorBatches([rows], 8, epoch_rows=20)) == 100  # validation


@pytest.mark.parametrize("kind", [ArrayDataset, lambda x, y: Pairs(x, y)])
def test_short_epochs_of_datasets(kind, data):
    trainer = Trainer(
        Regression(), players=[Player("weights")], max_epochs=2, batch_size=10, epoch_rows=40
    ).fit(kind(*data))
    assert trainer.n_steps_ == 8


class Pairs(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return self.x[row], self.y[row]


def test_data_on_disk_and_datasets_train_like_data_in_memory(data, tmp_path):
    x, y = data
    on_disk = np.memmap(tmp_path / "x.dat", dtype=np.float32, mode="w+", shape=(500, 3))
    on_disk[:] = x.numpy()
    results = {}
    for source in ((x, y), ArrayDataset(on_disk, y.numpy()), Pairs(x, y)):
        torch.manual_seed(0)
        objective = Regression()
        Trainer(
            objective, players=[Player("weights", 0.05)], max_epochs=30, batch_size=50, patience=30
        ).fit(source, source)
        results[type(source)] = float(objective(x, y)["loss"].detach())
    assert max(results.values()) < 0.05
    with pytest.raises(ValueError, match=r"equal length, got lengths \[500, 3\]"):
        ArrayDataset(on_disk, y[:3])


def test_memory_does_not_grow_with_the_steps(data, objective):
    trainer = Trainer(objective, players=[Player("weights")], max_epochs=3, batch_size=5)
    trainer.fit(data)
    assert all(not row.get("batches") for row in trainer.history)


# --------------------------------------------------------------------------- networks


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_mlp_layers(activation, layer_norm):
    net = mlp([3, 8, 4, 1], activation=activation, layer_norm=layer_norm)
    kinds = [type(layer).__name__ for layer in net]
    assert kinds.count("Linear") == 3 and kinds[-1] == "Linear"
    assert kinds.count("LayerNorm") == (2 if layer_norm else 0)
    assert len(net) == 3 + 2 + (2 if layer_norm else 0)
    assert net(torch.zeros(5, 3)).shape == (5, 1)
    hidden = mlp([8, 4, 1], activation=activation, layer_norm=layer_norm, activate_input=True)
    assert isinstance(hidden[0], nn.LayerNorm) == layer_norm
