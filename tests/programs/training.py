"""A small network that learns y = sin(x), as tutorials write it."""

import torch
import torch.nn as nn
import torch.optim as optim


class Net(nn.Module):
    def __init__(self, width):
        super(Net, self).__init__()
        self.hidden = nn.Linear(1, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


torch.manual_seed(3)
x = torch.linspace(-3, 3, 40).reshape(-1, 1)
y = torch.sin(x)
net = Net(5)
criterion = nn.MSELoss()
optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
for epoch in range(60):
    loss = criterion(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 20 == 0:
        print("Epoch [{}/{}], Loss: {:.4f}".format(epoch + 1, 60, loss.item()))
print(net)
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape), parameter.requires_grad)
print(net.out.bias)
print(list(net.state_dict()))
print("学到的值 at 1:", net(torch.ones(1, 1)).detach())
