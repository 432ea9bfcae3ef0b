"""Made by tools/make_stubs.py from the declarations; do not edit."""

from builtins import float as _float
from .dtypes import dtype as _dtype
from .tensor import Tensor as FloatTensor
from .random.generator import Generator as Generator
from .errors import MissingExtra as MissingExtra
from .errors import OutOfMemoryError as OutOfMemoryError
from .dtypes import Size as Size
from .tensor import Tensor as Tensor
from .ops.arithmetic import abs as abs
from .ops.trigonometric import acos as acos
from .ops.trigonometric import acosh as acosh
from .ops.arithmetic import add as add
from .ops.pointwise import addcdiv as addcdiv
from .ops.pointwise import addcmul as addcmul
from .ops.linalg import addmm as addmm
from .ops.complex import adjoint as adjoint
from .ops.rearrange import alias_copy as alias_copy
from .ops.reduce import all as all
from .ops.comparison import allclose as allclose
from .ops.extremes import amax as amax
from .ops.extremes import amin as amin
from .ops.polar import angle as angle
from .ops.reduce import any as any
from .creation import arange as arange
from .ops.pointwise import atan2 as arctan2
from .ops.extremes import argmax as argmax
from .ops.extremes import argmin as argmin
from .creation import as_tensor as as_tensor
from .creation import asarray as asarray
from .ops.trigonometric import asin as asin
from .ops.trigonometric import asinh as asinh
from .ops.trigonometric import atan as atan
from .ops.pointwise import atan2 as atan2
from .ops.trigonometric import atanh as atanh
from .ops.pieces import atleast_1d as atleast_1d
from .ops.pieces import atleast_2d as atleast_2d
from .ops.pieces import atleast_3d as atleast_3d
from . import autograd as autograd
from .ops.random import bernoulli as bernoulli
from .ops.comparison import bitwise_and as bitwise_and
from .ops.pointwise import bitwise_left_shift as bitwise_left_shift
from .ops.comparison import bitwise_not as bitwise_not
from .ops.comparison import bitwise_or as bitwise_or
from .ops.pointwise import bitwise_right_shift as bitwise_right_shift
from .ops.comparison import bitwise_xor as bitwise_xor
from .ops.pieces import block_diag as block_diag
from .ops.linalg import bmm as bmm
from .ops.pieces import broadcast_shapes as broadcast_shapes
from .ops.pieces import broadcast_tensors as broadcast_tensors
from .ops.shape import broadcast_to as broadcast_to
from .ops.pieces import cartesian_prod as cartesian_prod
from .ops.shape import cat as cat
from .ops.rounding import ceil as ceil
from .ops.pieces import chunk as chunk
from .ops.choice import clamp as clamp
from .ops.choice import clamp as clip
from .ops.convert import clone as clone
from .ops.pieces import column_stack as column_stack
from .ops.pieces import combinations as combinations
from .compiler import compile as compile
from .ops.complex import complex as complex
from .ops.shape import cat as concat
from .ops.complex import conj as conj
from .ops.complex import conj_physical as conj_physical
from .ops.pointwise import copysign as copysign
from .ops.trigonometric import cos as cos
from .ops.trigonometric import cosh as cosh
from .ops.reduce import cumsum as cumsum
from .random.generator import default_generator as default_generator
from .ops.pointwise import deg2rad as deg2rad
from .device import device as device
from .ops.diagonals import diag as diag
from .ops.diagonals import diag_embed as diag_embed
from .ops.diagonals import diagflat as diagflat
from .ops.diagonals import diagonal as diagonal
from .ops.rearrange import diagonal_copy as diagonal_copy
from .ops.diagonals import diagonal_scatter as diagonal_scatter
from .ops.special import digamma as digamma
from .ops.arithmetic import div as div
from .ops.linalg import dot as dot
from .ops.pieces import dsplit as dsplit
from .ops.pieces import dstack as dstack
from .dtypes import dtype as dtype
from .creation import empty as empty
from .creation import empty_like as empty_like
from .modes import enable_grad as enable_grad
from .ops.comparison import eq as eq
from .ops.comparison import equal as equal
from .ops.activation import erf as erf
from .ops.special import erfc as erfc
from .ops.special import erfinv as erfinv
from .ops.exponential import exp as exp
from .ops.pointwise import exp2 as exp2
from .ops.rearrange import expand_copy as expand_copy
from . import explain as explain
from .ops.exponential import expm1 as expm1
from .creation import eye as eye
from . import fft as fft
from .dtypes import finfo as finfo
from .ops.pointwise import trunc as fix
from .ops.shape import flatten as flatten
from .ops.shape import flip as flip
from .ops.rearrange import fliplr as fliplr
from .ops.rearrange import flipud as flipud
from .ops.pointwise import float_power as float_power
from .ops.rounding import floor as floor
from .ops.rounding import floor_divide as floor_divide
from .ops.pointwise import fmax as fmax
from .ops.pointwise import fmin as fmin
from .ops.pointwise import fmod as fmod
from .ops.pointwise import frac as frac
from .ops.pointwise import frexp as frexp
from .creation import from_numpy as from_numpy
from .creation import full as full
from .creation import full_like as full_like
from . import func as func
from .ops.index import gather as gather
from .ops.pointwise import gcd as gcd
from .ops.comparison import ge as ge
from .dtypes import get_default_dtype as get_default_dtype
from .random.generator import get_rng_state as get_rng_state
from .ops.comparison import gt as gt
from .ops.pointwise import heaviside as heaviside
from .ops.pieces import hsplit as hsplit
from .ops.pieces import hstack as hstack
from .ops.pointwise import hypot as hypot
from .ops.special import i0 as i0
from .ops.special import igamma as igamma
from .ops.special import igammac as igammac
from .dtypes import iinfo as iinfo
from .ops.complex import imag as imag
from .ops.index import index_select as index_select
from .modes import inference_mode as inference_mode
from .random.generator import initial_seed as initial_seed
from .autograd.anomaly_mode import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .autograd.anomaly_mode import is_anomaly_enabled as is_anomaly_enabled
from .ops.complex import is_complex as is_complex
from .ops.complex import is_conj as is_conj
from .ops.complex import is_floating_point as is_floating_point
from .modes import is_grad_enabled as is_grad_enabled
from .modes import is_inference as is_inference
from .modes import is_inference_mode_enabled as is_inference_mode_enabled
from .ops.complex import is_neg as is_neg
from .creation import is_tensor as is_tensor
from .ops.pointwise import isclose as isclose
from .ops.pointwise import isfinite as isfinite
from .ops.pointwise import isinf as isinf
from .ops.comparison import isnan as isnan
from .ops.pointwise import isneginf as isneginf
from .ops.pointwise import isposinf as isposinf
from .ops.complex import isreal as isreal
from .ops.rearrange import kron as kron
from .ops.pointwise import lcm as lcm
from .ops.pointwise import ldexp as ldexp
from .ops.comparison import le as le
from .ops.pointwise import lerp as lerp
from .ops.special import lgamma as lgamma
from .creation import linspace as linspace
from .ops.exponential import log as log
from .ops.exponential import log10 as log10
from .ops.exponential import log1p as log1p
from .ops.exponential import log2 as log2
from .ops.activation import log_softmax as log_softmax
from .ops.pointwise import logaddexp as logaddexp
from .ops.pointwise import logaddexp2 as logaddexp2
from .ops.pointwise import logical_and as logical_and
from .ops.pointwise import logical_not as logical_not
from .ops.pointwise import logical_or as logical_or
from .ops.pointwise import logical_xor as logical_xor
from .ops.special import logit as logit
from .creation import logspace as logspace
from .ops.reduce import logsumexp as logsumexp
from .ops.comparison import lt as lt
from .random.generator import manual_seed as manual_seed
from .ops.choice import masked_fill as masked_fill
from .ops.linalg import matmul as matmul
from .ops.extremes import max as max
from .ops.choice import maximum as maximum
from .ops.reduce import mean as mean
from .ops.pieces import meshgrid as meshgrid
from .ops.extremes import min as min
from .ops.choice import minimum as minimum
from .ops.linalg import mm as mm
from .ops.shape import movedim as movedim
from .ops.arithmetic import mul as mul
from .ops.random import multinomial as multinomial
from .ops.linalg import mv as mv
from .ops.special import mvlgamma as mvlgamma
from .ops.pointwise import nan_to_num as nan_to_num
from .ops.pieces import narrow as narrow
from .ops.rearrange import narrow_copy as narrow_copy
from .ops.comparison import ne as ne
from .ops.arithmetic import neg as neg
from .ops.pointwise import nextafter as nextafter
from . import nn as nn
from .modes import no_grad as no_grad
from .ops.choice import nonzero as nonzero
from .ops.statistics import norm as norm
from .sampling import normal as normal
from .creation import ones as ones
from .creation import ones_like as ones_like
from . import optim as optim
from .ops.linalg import outer as outer
from .ops.shape import permute as permute
from .ops.rearrange import permute_copy as permute_copy
from .ops.random import poisson as poisson
from .ops.polar import polar as polar
from .ops.special import polygamma as polygamma
from .ops.pointwise import positive as positive
from .ops.arithmetic import pow as pow
from .ops.reduce import prod as prod
from .ops.pointwise import rad2deg as rad2deg
from .sampling import rand as rand
from .sampling import rand_like as rand_like
from .sampling import randint as randint
from .sampling import randint_like as randint_like
from .sampling import randn as randn
from .sampling import randn_like as randn_like
from . import random as random
from .sampling import randperm as randperm
from .ops.shape import ravel as ravel
from .ops.complex import real as real
from .ops.arithmetic import reciprocal as reciprocal
from .ops.activation import relu as relu
from .ops.rounding import remainder as remainder
from .ops.rearrange import repeat_interleave as repeat_interleave
from .ops.shape import reshape as reshape
from .ops.complex import resolve_conj as resolve_conj
from .ops.complex import resolve_neg as resolve_neg
from .ops.rearrange import roll as roll
from .ops.rearrange import rot90 as rot90
from .ops.rounding import round as round
from .ops.pieces import vstack as row_stack
from .ops.exponential import rsqrt as rsqrt
from .creation import scalar_tensor as scalar_tensor
from .random.generator import seed as seed
from .ops.pieces import select as select
from .ops.rearrange import select_copy as select_copy
from .ops.pieces import select_scatter as select_scatter
from .autograd.anomaly_mode import set_anomaly_enabled as set_anomaly_enabled
from .dtypes import set_default_dtype as set_default_dtype
from .modes import set_grad_enabled as set_grad_enabled
from .printing import set_printoptions as set_printoptions
from .random.generator import set_rng_state as set_rng_state
from .ops.polar import sgn as sgn
from .ops.activation import sigmoid as sigmoid
from .ops.arithmetic import sign as sign
from .ops.pointwise import signbit as signbit
from .ops.trigonometric import sin as sin
from .ops.special import sinc as sinc
from .ops.trigonometric import sinh as sinh
from .ops.pieces import slice_scatter as slice_scatter
from .ops.activation import softmax as softmax
from . import special as special
from .ops.pieces import split as split
from .ops.pieces import split_with_sizes as split_with_sizes
from .ops.rearrange import split_with_sizes_copy as split_with_sizes_copy
from .ops.exponential import sqrt as sqrt
from .ops.arithmetic import square as square
from .ops.shape import squeeze as squeeze
from .ops.rearrange import squeeze_copy as squeeze_copy
from .ops.shape import stack as stack
from .ops.statistics import std as std
from .ops.arithmetic import sub as sub
from .ops.reduce import sum as sum
from .ops.shape import transpose as swapaxes
from .ops.shape import transpose as swapdims
from .ops.shape import t as t
from .ops.rearrange import t_copy as t_copy
from .ops.trigonometric import tan as tan
from .ops.trigonometric import tanh as tanh
from .creation import tensor as tensor
from .ops.pieces import tensor_split as tensor_split
from .ops.rearrange import tile as tile
from .ops.diagonals import trace as trace
from .ops.shape import transpose as transpose
from .ops.rearrange import transpose_copy as transpose_copy
from .ops.diagonals import tril as tril
from .ops.diagonals import tril_indices as tril_indices
from .ops.diagonals import triu as triu
from .ops.diagonals import triu_indices as triu_indices
from .ops.arithmetic import div as true_divide
from .ops.pointwise import trunc as trunc
from .ops.index import unbind as unbind
from .ops.rearrange import unbind_copy as unbind_copy
from .ops.rearrange import unflatten as unflatten
from .ops.rearrange import unfold_copy as unfold_copy
from .ops.pieces import unsafe_chunk as unsafe_chunk
from .ops.pieces import unsafe_split as unsafe_split
from .ops.pieces import unsafe_split_with_sizes as unsafe_split_with_sizes
from .ops.shape import unsqueeze as unsqueeze
from .ops.rearrange import unsqueeze_copy as unsqueeze_copy
from . import utils as utils
from .ops.statistics import var as var
from .ops.complex import view_as_complex as view_as_complex
from .ops.complex import view_as_real as view_as_real
from .ops.rearrange import view_copy as view_copy
from .func.vmap import vmap as vmap
from .ops.pieces import vsplit as vsplit
from .ops.pieces import vstack as vstack
from .ops.choice import where as where
from .ops.special import xlogy as xlogy
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like

bool: _dtype
cdouble: _dtype
cfloat: _dtype
chalf: _dtype
complex128: _dtype
complex64: _dtype
double: _dtype
e: _float
float: _dtype
float16: _dtype
float32: _dtype
float64: _dtype
half: _dtype
inf: _float
int: _dtype
int16: _dtype
int32: _dtype
int64: _dtype
int8: _dtype
long: _dtype
nan: _float
newaxis: None
pi: _float
short: _dtype
uint16: _dtype
uint32: _dtype
uint64: _dtype
uint8: _dtype
__version__: str
__all__: list[str]
