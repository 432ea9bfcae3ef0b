"""Derivatives at points, and what the tensors on both ends of a graph say of themselves."""

import torch
from torch.autograd import Variable, grad

t = Variable(torch.Tensor([2, -1]), requires_grad=True)
height = 4 * t**3 - t**2 + 6
height.sum().backward()
print(t.grad, height)

r = torch.tensor(1.5, requires_grad=True)
area = r**2 * 3.14
area.backward()
for tensor in (r, area):
    print(tensor, tensor.data, tensor.grad, tensor.grad_fn, tensor.is_leaf, tensor.requires_grad)
print(area.grad_fn.next_functions)
print(f"slope {r.grad:.3f}", "circumference", r.grad.item())

p = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
q = torch.tensor([[2.0], [5.0]], requires_grad=True)
product = (p.log() * q).sum()
dp, dq = grad(product, (p, q), create_graph=True)
print(dp.detach())
print(dq.detach())
print(grad(dp.sum(), p))

product = (p * q).mean()
product.backward(retain_graph=True)
product.backward()
print(p.grad, q.grad)
p.grad.zero_()
print(p.grad)
with torch.no_grad():
    print((p * 2).requires_grad, p.detach(), q.shape, q.dtype)
