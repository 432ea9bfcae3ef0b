"""The rows of a Jacobian from one graph, and random numbers from a seed."""

import torch
import torch.nn.functional as F

torch.manual_seed(7)
scores = torch.randn(4, requires_grad=True)
chances = F.softmax(scores, dim=0)
print(scores)
print(chances)
rows = [torch.autograd.grad(c, scores, retain_graph=True)[0] for c in chances]
print(torch.stack(rows))
print(torch.func.jacrev(lambda s: F.softmax(s, dim=0))(scores.detach()))

inputs, weights = torch.rand(1, 3), torch.rand(2, 3, requires_grad=True)
answers = torch.sigmoid(inputs @ weights.t())
loss = F.mse_loss(answers, torch.ones(1, 2))
loss.backward()
print(inputs, answers, loss, loss.shape, weights.grad, sep="\n")
