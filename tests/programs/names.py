# Names of two sorts, told apart letter by letter with recurrent networks.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

names = {
    "a": ["anna", "maria", "laura", "clara", "julia", "silvia"],
    "o": ["marco", "paolo", "carlo", "dario", "enzo", "ugo"],
}
letters = sorted({c for group in names.values() for name in group for c in name[:-1]})
pairs = [(name[:-1], label) for label, group in enumerate(names.values()) for name in group]


class Reader(nn.Module):
    def __init__(self, kind, hidden=8):
        super().__init__()
        self.embedding = nn.Embedding(len(letters) + 1, 5, padding_idx=0)
        self.rnn = kind(5, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.rnn(packed)
        last = last[0] if isinstance(last, tuple) else last
        return self.out(last[-1])


x = pad_sequence([torch.tensor([letters.index(c) + 1 for c in name]) for name, _ in pairs], batch_first=True)
lengths = torch.tensor([len(name) for name, _ in pairs])
y = torch.tensor([label for _, label in pairs])
for kind in (nn.RNN, nn.GRU, nn.LSTM):
    torch.manual_seed(1)
    model = Reader(kind)
    print(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for step in range(1, 31):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, lengths), y)
        loss.backward()
        total = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step}: loss {loss.item():.4f}, gradient {total:.4f}")
    right = (model(x, lengths).argmax(1) == y).float().mean()
    print(f"right: {right:.2f}")
