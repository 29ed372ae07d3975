"""Times a training step of GPT-2 in PyTorch, written as in nanoGPT, for `make bench-peers`.

    torch_step.py n_layer n_head n_embd block_size vocab_size bias(0|1) B T RUNS [bf16]

prints the median seconds of RUNS steps, after one that does not count. A step is forward,
cross-entropy, backward, clipping to 1 and AdamW; the output is tied to the embedding. Attention is
written out, because PyTorch 1.13 has no fused attention for training on a CPU.
"""
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, C, H, bias):
        super().__init__()
        self.ln_1, self.ln_2 = LayerNorm(C, bias), LayerNorm(C, bias)
        self.qkv, self.proj = nn.Linear(C, 3 * C, bias), nn.Linear(C, C, bias)
        self.fc, self.fc_proj = nn.Linear(C, 4 * C, bias), nn.Linear(4 * C, C, bias)
        self.H, self.gelu = H, "tanh" if bias else "none"

    def forward(self, x, mask):
        B, T, C = x.shape
        q, k, v = (y.view(B, T, self.H, C // self.H).transpose(1, 2)
                   for y in self.qkv(self.ln_1(x)).split(C, 2))
        p = (q @ k.transpose(2, 3) / math.sqrt(C // self.H)).masked_fill(mask, -math.inf).softmax(3)
        x = x + self.proj((p @ v).transpose(1, 2).reshape(B, T, C))
        return x + self.fc_proj(F.gelu(self.fc(self.ln_2(x)), approximate=self.gelu))


class LayerNorm(nn.Module):
    def __init__(self, C, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(C))
        self.bias = nn.Parameter(torch.zeros(C)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


class GPT(nn.Module):
    def __init__(self, L, H, C, block_size, V, bias):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(block_size, C)
        self.blocks = nn.ModuleList(Block(C, H, bias) for _ in range(L))
        self.ln_f = LayerNorm(C, bias)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        T = ids.shape[1]
        mask = torch.ones(T, T, dtype=torch.bool).triu(1)
        x = self.wte(ids) + self.wpe(torch.arange(T))
        for block in self.blocks:
            x = block(x, mask)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[2]), targets.view(-1))


def main(L, H, C, block_size, V, bias, B, T, runs, bf16):
    torch.manual_seed(1)
    model = GPT(L, H, C, block_size, V, bias)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    ids, targets = torch.randint(V, (B, T)), torch.randint(V, (B, T))
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = model(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimiser.step()
        times.append(time.perf_counter() - start)
    print(statistics.median(times[1:]))


main(*map(int, sys.argv[1:10]), "bf16" in sys.argv[10:])
