# model.py: a whole training step of the small model of bench/table.tsv: embedding, (norm, mixer, norm, MLP) twice with
# residuals, norm, head; cross-entropy at every step, gradients clipped to norm 1, AdamW. Vocabulary 64. Needs layers.py.

VOCABULARY, DEPTH = 64, 2


def heads_of(x):
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def merged(x):
    return x.transpose(1, 2).flatten(2)


class Softmax(nn.Module):
    def __init__(self, D, T):
        super().__init__()
        self.qkv, self.out, d = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False), D // HEADS
        angle = torch.outer(torch.arange(T).float(), 10000.0 ** (-torch.arange(0, d, 2).float() / d))
        self.register_buffer("cos", torch.cat([angle.cos()] * 2, -1))
        self.register_buffer("sin", torch.cat([-angle.sin(), angle.sin()], -1))
        self.register_buffer("mask", torch.full((T, T), -math.inf).triu(1))

    def turn(self, x):
        return x * self.cos + x.roll(x.shape[-1] // 2, -1) * self.sin

    def forward(self, x):
        q, k, v = map(heads_of, self.qkv(x).chunk(3, -1))
        q, k = self.turn(q), self.turn(k)
        if hasattr(F, "scaled_dot_product_attention"):
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            o = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5 + self.mask, -1) @ v
        return self.out(merged(o))


class Linear(nn.Module):
    """At 64 steps one chunk holds the sequence: the parallel form."""
    def __init__(self, D, T):
        super().__init__()
        self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)

    def forward(self, x):
        q, k, v = map(heads_of, self.qkv(x).chunk(3, -1))
        a = ((F.elu(q) + 1) @ (F.elu(k) + 1).mT).tril()
        return self.out(merged(a @ v / (a.sum(-1, keepdim=True) + 1e-6)))


class DeltaNet(nn.Module):
    """At 64 steps one chunk holds the sequence: the WY form without states."""
    def __init__(self, D, T):
        super().__init__()
        self.qkv, self.beta, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, HEADS, bias=False), nn.Linear(D, D, bias=False)
        self.conv, self.gain = nn.Conv1d(3 * D, 3 * D, 4, groups=3 * D, bias=False), nn.Parameter(torch.ones(D // HEADS))

    def forward(self, x):
        z = F.silu(self.conv(F.pad(self.qkv(x).mT, (3, 0))).mT)
        q, k, v = map(heads_of, z.chunk(3, -1))
        q, k, beta = F.normalize(q, dim=-1) * q.shape[-1] ** -0.5, F.normalize(k, dim=-1), torch.sigmoid(self.beta(x)).mT.unsqueeze(-1)
        kb = k * beta
        t = torch.eye(k.shape[2]) + (kb @ k.mT).tril(-1)
        u = torch.linalg.solve_triangular(t, v * beta, upper=False, unitriangular=True)
        o = (q @ k.mT).tril() @ u
        o = o * torch.rsqrt(o.pow(2).mean(-1, keepdim=True) + 1e-5) * self.gain
        return self.out(merged(o))


class Recurrent(nn.Module):
    def __init__(self, kind, D):
        super().__init__()
        self.net = kind(D, D, batch_first=True)

    def forward(self, x):
        return self.net(x)[0]


class Block(nn.Module):
    def __init__(self, mixer, D):
        super().__init__()
        self.mixer, self.norm1, self.norm2 = mixer, nn.LayerNorm(D), nn.LayerNorm(D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))

    def forward(self, x):
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def model(mixer):
    def make(B, T, D):
        net = nn.Sequential(nn.Embedding(VOCABULARY, D), *[Block(mixer(D, T), D) for _ in range(DEPTH)], nn.LayerNorm(D),
                            nn.Linear(D, VOCABULARY))
        weights = list(net.parameters())
        fused = {"fused": True} if int(torch.__version__.split(".")[0]) >= 2 else {"foreach": True}
        try:
            rule = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01, **fused)
        except RuntimeError:
            rule = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01, foreach=True)
        x, y = torch.randint(VOCABULARY, (B, T)), torch.randint(VOCABULARY, (B * T,))

        def step():
            rule.zero_grad(set_to_none=True)
            F.cross_entropy(net(x).flatten(0, 1), y).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            rule.step()
        return step
    return make


for _name, _mixer in (("softmax", Softmax), ("linear", Linear), ("deltanet", DeltaNet),
                      ("gru", lambda D, T: Recurrent(nn.GRU, D)), ("lstm", lambda D, T: Recurrent(nn.LSTM, D))):
    form(f"model-{_name}", "step")(model(_mixer))
