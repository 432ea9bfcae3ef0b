# A first network for pictures, as one writes it after the beginners' tutorials: data set, loader, module, loops, file.
import os
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(42)
device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
print(f"Using {device} device")
print(torch.cuda.is_available())


class Stripes(Dataset):
    """Noisy pictures of stripes: across, down, or along the diagonal."""

    def __init__(self, count):
        self.labels = torch.randint(0, 3, (count,))
        rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
        kinds = torch.stack([rows, columns, rows + columns]) % 4 < 2
        self.pictures = kinds[self.labels].float().unsqueeze(1) + 0.5 * torch.randn(count, 1, 8, 8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.pictures[index], self.labels[index]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.flatten = nn.Flatten()
        self.classify = nn.Sequential(nn.Linear(6 * 4 * 4, 32), nn.GELU(), nn.Dropout(0.25), nn.Linear(32, 3))

    def forward(self, x):
        return self.classify(self.flatten(self.features(x)))


train_data, test_data = random_split(Stripes(200), [160, 40])
train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
test_loader = DataLoader(test_data, batch_size=20)
for X, y in test_loader:
    print(f"Shape of X [N, C, H, W]: {X.shape}")
    print(f"Shape of y: {y.shape} {y.dtype}")
    break

model = Network().to(device)
print(model)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)


def train(loader):
    size = len(loader.dataset)
    model.train()
    for batch, (X, y) in enumerate(loader):
        X, y = X.to(device), y.to(device)
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if batch % 2 == 0:
            print(f"loss: {loss.item():>7f}  [{(batch + 1) * len(X):>3d}/{size:>3d}]")


def test(loader):
    model.eval()
    loss, correct = 0.0, 0.0
    with torch.no_grad():
        for X, y in loader:
            pred = model(X.to(device))
            loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    print(f"Accuracy: {100 * correct / len(loader.dataset):>0.1f}%, Avg loss: {loss / len(loader):>8f}")


for epoch in range(3):
    print(f"Epoch {epoch + 1}, lr {scheduler.get_last_lr()[0]}")
    train(train_loader)
    test(test_loader)
    scheduler.step()

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.pth")
    torch.save(model.state_dict(), path)
    again = Network()
    print(again.load_state_dict(torch.load(path, weights_only=True)))

again.eval()
x, y = test_data[0]
with torch.no_grad():
    pred = again(x.unsqueeze(0))
    print(f'Predicted: "{pred[0].argmax(0)}", Actual: "{y}"')
    print(nn.Softmax(dim=1)(pred))
