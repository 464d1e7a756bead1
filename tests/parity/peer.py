"""The same rounds in torch, from the same weights, and the distances of ours from them.

Torch computes in float64, so what differs is our rounding to float32, or an error. Conventions that are ours:
running statistics of batch norms move by a tenth (torch's momentum 0.1) towards the variance of the batch as it is
(torch: n / (n - 1) times that), and a frozen opponent keeps its statistics and singular vectors as they are.
"""

import contextlib
import math

import numpy as np
import torch
from rounds import BETAS, EPSILON, HALF_LIFE, RATE, flat, moments
from torch.overrides import TorchFunctionMode

PLAYERS = ("generator", "discriminator")
KINK = 5e-6  # distance to its kink, relative to its layer, below which rounding may flip a ReLU and its gradient
SMALL = 1e-3  # lower bound of a norm, relative to its network's norm (of a distance moved: to its array's)
# relative distances (for losses and norms below 1 absolute ones), about three times what rounding causes
BOUNDS = {"loss": 1e-5, "gradient norm": 1e-5, "memory": 1e-5} | dict.fromkeys(
    ("params", "statistics", "average", "gradients", "squares"), 2e-4
)


def double(array):
    """As a torch tensor, float64."""
    return torch.from_numpy(np.array(array, np.float64))


def channels_first(image):
    """Images `[b,h,w,c]` in torch's layout, float64."""
    return double(image).permute(0, 3, 1, 2)


def usual_layout(value, like):
    """A kernel `[k,k,i,o]` as `[o,i,k,k]`, `[i,o]` as `[o,i]`, anything else unchanged."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim)
    return (value if axes is None else value.transpose(axes)).reshape(like.shape)


@contextlib.contextmanager
def kept(network, wanted=True):
    """A context whose forwards do not change running statistics and singular vectors."""
    before = {name: value.clone() for name, value in network.named_buffers()}
    yield
    if wanted:
        for name, value in network.named_buffers():
            value.data.copy_(before[name])  # a graph that waits for its backward does not look at it


@contextlib.contextmanager
def one_thread():
    """Torch on one thread: networks this small would wait for threads longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Kinks(TorchFunctionMode):
    """Records how near activations come to the kink of a ReLU or similar, relative to the activations' size."""

    def __init__(self):
        super().__init__()
        self.nearest = math.inf

    def __torch_function__(self, function, types, arguments=(), named=None):
        if function.__name__.strip("_") in ("relu", "leaky_relu", "prelu"):
            x = arguments[0].detach()
            self.nearest = min(self.nearest, float(x.abs().min() / x.square().mean().sqrt()))
        return function(*arguments, **(named or {}))


class Peer:
    """The torch side. Subclasses make the networks, link their tensors to our paths, draw fakes and play turns."""

    rates = dict.fromkeys(PLAYERS, RATE)
    betas = dict.fromkeys(PLAYERS, BETAS)
    half_life = HALF_LIFE
    backwards = False  # whether the generator's turn is first
    frozen = True  # whether a frozen opponent keeps its statistics

    def __init__(self, start, **changes):
        """From our initial state. `changes` of the fields above make the step a wrong one."""
        for name, value in changes.items():
            assert hasattr(self, name)
            setattr(self, name, value)
        self.start, self.averaged_at = start, int(start.averaged_at["generator"])
        self.memory = {}  # of penalties, by its path in the carry
        self.networks = {name: network.double() for name, network in zip(PLAYERS, self.make())}
        self.tensors, self.layouts = {}, {}
        self.link(*self.networks.values())
        self.load()
        self.optimizers = {}
        for player in PLAYERS:
            self.begin_moments(player)

    def make(self):
        """The generator and the discriminator."""
        raise NotImplementedError

    def link(self, generator, discriminator):
        """Links every tensor to its path."""
        raise NotImplementedError

    def draw(self, played):
        """The fakes of a round."""
        raise NotImplementedError

    def turn(self, name, real, fake, played):
        """Plays a phase; its loss."""
        raise NotImplementedError

    def idle(self, path):
        """Whether a param has a gradient of rounding errors only: a bias before a batch norm."""
        del path
        return False

    def put(self, path, tensor, layout=usual_layout):
        """Links the array at a path to a tensor, with the conversion of its layout."""
        self.tensors[path], self.layouts[path] = tensor, layout

    def put_layer(self, path, layer, layout=usual_layout):
        """Kernel and bias of a convolution or a dense layer."""
        self.put(f"{path}/kernel", layer.weight, layout)
        if layer.bias is not None:
            self.put(f"{path}/bias", layer.bias)

    def put_norm(self, path, norm):
        """Gain, bias and running statistics of a batch norm."""
        self.put(f"{path}/scale", norm.weight)
        self.put(f"{path}/bias", norm.bias)
        self.put_statistics(path, norm)

    def put_statistics(self, path, norm):
        """Running statistics of a batch norm."""
        network, _, rest = path.partition("/")
        self.put(f"{network}/batch_stats/{rest}/mean", norm.running_mean)
        self.put(f"{network}/batch_stats/{rest}/var", Variance(norm))

    def load(self):
        """Copies our weights into torch's tensors. All arrays and parameters of both sides must be linked."""
        variables = flat(self.start.variables).items()
        kept = {path: v for path, v in variables if "batch_stats" in path or path.endswith(("/u", "/style_mean"))}
        values = flat(self.start.params) | kept
        assert values.keys() == self.tensors.keys(), values.keys() ^ self.tensors.keys()
        linked = {id(tensor) for tensor in self.tensors.values()}
        assert all(id(each) in linked for network in self.networks.values() for each in network.parameters())
        self.first = {path: self.layouts[path](value, self.tensors[path]) for path, value in values.items()}
        with torch.no_grad():
            for path, value in self.first.items():
                self.tensors[path].copy_(double(value))
        averaged = flat(self.start.ema_params) | flat(self.start.ema_variables)
        self.average = {path: value for path, value in self.first.items() if path in averaged}

    def begin_moments(self, player):
        """A new optimizer."""
        options = {"lr": self.rates[player], "betas": self.betas[player], "eps": EPSILON}
        self.optimizers[player] = torch.optim.Adam(self.networks[player].parameters(), **options)

    def play(self, played):
        """Plays the turns of one of our rounds; the loss and gradient norm of each phase by our names of metrics."""
        real, report = channels_first(played.batch["image"]), {}
        moves = "generator" in played.due.values()
        with kept(self.networks["generator"], not moves):
            fake = self.draw(played)
        for name in reversed(played.due) if self.backwards else played.due:
            player = played.due[name]
            opponent = next(each for each in PLAYERS if each != player)
            with kept(self.networks[opponent], self.frozen):
                report[f"{name}/loss"] = float(self.turn(name, real, fake, played))
            gradients = (each.grad for each in self.networks[player].parameters() if each.grad is not None)
            report[f"{name}/grad_norm"] = math.sqrt(sum(each.square().sum() for each in gradients))
        if moves:
            self.move_average(int(played.state.images_seen))
        return report

    def move_average(self, images_seen):
        """Updates the average of the generator's params and statistics, with a half-life in images."""
        decay = 0.5 ** ((images_seen - self.averaged_at) / self.half_life)
        self.averaged_at, now = images_seen, self.values()
        self.average = {path: decay * value + (1 - decay) * now[path] for path, value in self.average.items()}

    def values(self):
        """Torch's arrays by our paths."""
        return {path: np.array(tensor.detach()) for path, tensor in self.tensors.items()}

    def moments(self, name):
        """Adam's `exp_avg` or `exp_avg_sq` by our paths; zeros before the first turn."""
        states = {tensor: state for optimizer in self.optimizers.values() for tensor, state in optimizer.state.items()}
        none = {name: torch.zeros(1)}
        params = {path: self.tensors[path] for path in flat(self.start.params)}
        return {p: states.get(t, none)[name].expand(t.shape).numpy() for p, t in params.items()}

    def beyond_bounds(self, rounds, times=1.0):
        """Plays our rounds; for each kind of number the largest distance above `times` its bound, and its path.

        Batches must keep clear of kinks where nothing is wrong: `nearest_kink` says by how much they do.
        """
        with one_thread(), Kinks() as kinks:
            found = [each for number, played in enumerate(rounds) for each in self.distances(number, played)]
        self.nearest_kink, worst = kinks.nearest, {}
        for kind, where, distance in found:
            if distance > times * BOUNDS[kind]:
                worst[kind] = max(worst.get(kind, (0.0, "")), (distance, where))
        return worst

    def assert_equal(self, rounds):
        """Asserts that all of our rounds are equal up to rounding."""
        worst = self.beyond_bounds(rounds)
        assert self.nearest_kink > KINK, f"an activation is {self.nearest_kink:.1e} from its kink: take another seed"
        assert worst == {}, worst

    def distances(self, number, played):
        """Plays a round; yields kinds of numbers, their paths, and the distances of ours from torch's."""
        for name, value in self.play(played).items():
            kind = "loss" if name.endswith("/loss") else "gradient norm"
            yield kind, f"{name}, round {number}", abs(played.metrics[name] - value) / max(abs(value), 1.0)
        state, now = played.state, self.values()
        params = {path: now.pop(path) for path in flat(state.params)}
        weights, averages = (
            flat(state.params) | flat(state.variables),
            flat(state.ema_params) | flat(state.ema_variables),
        )
        for kind, ours, theirs in (
            ("params", weights, {path: value for path, value in params.items() if not self.idle(path)}),
            ("statistics", weights, now),
            ("average", averages, {path: value for path, value in self.average.items() if not self.idle(path)}),
        ):
            for path, distance in self.compare(ours, theirs, self.first):
                yield kind, f"{path}, round {number}", distance
        for kind, name, torchs in (("gradients", "mu", "exp_avg"), ("squares", "nu", "exp_avg_sq")):
            for path, distance in self.compare(moments(state, name), self.moments(torchs)):
                yield kind, f"{path}, round {number}", distance
        for path, value in self.memory.items():
            yield "memory", f"{path}, round {number}", abs(flat(state.carry)[path] / value - 1)

    def compare(self, ours, theirs, start=None):
        """The relative distance of each array; with `start`, of its change since then."""
        for network in PLAYERS:
            paths = [path for path in theirs if path.startswith(network)]
            origins = {path: np.zeros(1) if start is None else start[path] for path in paths}
            whole = math.sqrt(sum(np.square(theirs[path] - origins[path]).sum() for path in paths))
            for path in paths:
                other, mine = theirs[path] - origins[path], self.layouts[path](ours[path], theirs[path]) - origins[path]
                size = max(np.linalg.norm(other), SMALL * whole, SMALL * np.linalg.norm(origins[path]), 1e-12)
                yield path, float(np.linalg.norm(mine - other) / size)


class Variance:
    """A batch norm's running variance by our convention: the biased variance of the batches.

    Torch's is the same linear recursion with n / (n - 1) times the variances.
    """

    def __init__(self, norm):
        self.norm, self.shape, self.begun, self.count = norm, norm.running_var.shape, None, None
        norm.register_forward_pre_hook(self.see)

    def see(self, norm, inputs):
        """Sets the number of values of each variance."""
        del norm
        self.count = inputs[0].numel() // inputs[0].shape[1]

    def copy_(self, value):
        """Sets the value."""
        self.begun = value
        self.norm.running_var.copy_(value)

    def detach(self):
        """The current value."""
        left = (1 - self.norm.momentum) ** int(self.norm.num_batches_tracked) * self.begun
        grown = self.norm.running_var - left
        return left + (1 - 1 / self.count if self.count else 1) * grown
