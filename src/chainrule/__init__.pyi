"""Made by tools/make_stubs.py from the declarations; do not edit."""

from builtins import float as _float
from .dtypes import dtype as _dtype
from .tensor_types import (
	BoolTensor as BoolTensor, ByteTensor as ByteTensor, CharTensor as CharTensor, DoubleTensor as DoubleTensor,
	FloatTensor as FloatTensor, HalfTensor as HalfTensor, IntTensor as IntTensor, LongTensor as LongTensor,
	ShortTensor as ShortTensor, set_default_tensor_type as set_default_tensor_type
)
from .random.generator import (
	Generator as Generator, default_generator as default_generator, get_rng_state as get_rng_state,
	initial_seed as initial_seed, manual_seed as manual_seed, seed as seed, set_rng_state as set_rng_state
)
from .errors import MissingExtra as MissingExtra, OutOfMemoryError as OutOfMemoryError
from .dtypes import (
	Size as Size, dtype as dtype, finfo as finfo, get_default_dtype as get_default_dtype, iinfo as iinfo,
	set_default_dtype as set_default_dtype
)
from .tensor import Tensor as Tensor
from .ops.native import (
	batch_norm_with_update as _batch_norm_with_update, native_batch_norm_legit as _native_batch_norm_legit,
	batch_norm as batch_norm, conv_tbc as conv_tbc, convolution as convolution, group_norm as group_norm,
	instance_norm as instance_norm, layer_norm as layer_norm, native_batch_norm as native_batch_norm,
	native_group_norm as native_group_norm, native_layer_norm as native_layer_norm
)
from . import (
	_dynamo as _dynamo, accelerator as accelerator, array_api as array_api, autograd as autograd, backends as backends,
	compiler as compiler, cuda as cuda, explain as explain, fft as fft, func as func, linalg as linalg,
	masked as masked, nn as nn, optim as optim, random as random, serialization as serialization, signal as signal,
	special as special, utils as utils
)
from .ops.arithmetic import (
	abs as abs, abs as absolute, add as add, div as div, div as divide, mul as mul, mul as multiply, neg as neg,
	neg as negative, pow as pow, reciprocal as reciprocal, rsub as rsub, sign as sign, square as square, sub as sub,
	sub as subtract, div as true_divide
)
from .ops.trigonometric import (
	acos as acos, acosh as acosh, acos as arccos, acosh as arccosh, asin as arcsin, asinh as arcsinh, atan as arctan,
	atanh as arctanh, asin as asin, asinh as asinh, atan as atan, atanh as atanh, cos as cos, cosh as cosh, sin as sin,
	sinh as sinh, tan as tan, tanh as tanh
)
from .ops.adaptive import adaptive_avg_pool1d as adaptive_avg_pool1d, both_adaptive_max_pool1d as adaptive_max_pool1d
from .ops.products import (
	addbmm as addbmm, addmv as addmv, addr as addr, baddbmm as baddbmm, chain_matmul as chain_matmul, inner as inner,
	tensordot as tensordot, vdot as vdot
)
from .ops.blends import addcdiv as addcdiv, addcmul as addcmul, lerp as lerp
from .ops.linalg import addmm as addmm, bmm as bmm, dot as dot, outer as ger, matmul as matmul, mm as mm, mv as mv, outer as outer
from .ops.complex import (
	adjoint as adjoint, complex as complex, conj as conj, conj_physical as conj_physical, imag as imag,
	is_complex as is_complex, is_conj as is_conj, is_floating_point as is_floating_point, is_neg as is_neg,
	isreal as isreal, real as real, resolve_conj as resolve_conj, resolve_neg as resolve_neg,
	view_as_complex as view_as_complex, view_as_real as view_as_real
)
from .ops.sampler import (
	affine_grid_generator as affine_grid_generator, grid_sampler as grid_sampler, grid_sampler as grid_sampler_2d,
	grid_sampler as grid_sampler_3d
)
from .ops.rearrange import (
	alias_copy as alias_copy, diagonal_copy as diagonal_copy, expand_copy as expand_copy, fliplr as fliplr,
	flipud as flipud, kron as kron, narrow_copy as narrow_copy, permute_copy as permute_copy,
	repeat_interleave as repeat_interleave, roll as roll, rot90 as rot90, select_copy as select_copy,
	slice_copy as slice_copy, split_with_sizes_copy as split_with_sizes_copy, squeeze_copy as squeeze_copy,
	t_copy as t_copy, tile as tile, transpose_copy as transpose_copy, unbind_copy as unbind_copy,
	unflatten as unflatten, unfold_copy as unfold_copy, unsqueeze_copy as unsqueeze_copy, view_copy as view_copy,
	zero_ as zero_
)
from .ops.reduce import all as all, any as any, cumsum as cumsum, logsumexp as logsumexp, mean as mean, prod as prod, sum as sum
from .ops.comparison import (
	allclose as allclose, bitwise_and as bitwise_and, bitwise_not as bitwise_not, bitwise_or as bitwise_or,
	bitwise_xor as bitwise_xor, eq as eq, equal as equal, ge as ge, gt as greater, ge as greater_equal, gt as gt,
	isnan as isnan, le as le, lt as less, le as less_equal, lt as lt, ne as ne, ne as not_equal
)
from .ops.dropout import (
	alpha_dropout as alpha_dropout, plain_dropout as dropout, plain_dropout_ as dropout_,
	feature_alpha_dropout as feature_alpha_dropout, feature_dropout as feature_dropout,
	native_dropout as native_dropout, native_dropout_backward as native_dropout_backward
)
from .ops.extremes import amax as amax, amin as amin, argmax as argmax, argmin as argmin, max as max, min as min
from .ops.moments import (
	aminmax as aminmax, corrcoef as corrcoef, cov as cov, nanmean as nanmean, nansum as nansum, renorm as renorm,
	std_mean as std_mean, var_mean as var_mean
)
from .ops.polar import angle as angle, polar as polar, sgn as sgn
from .creation import (
	arange as arange, as_tensor as as_tensor, asarray as asarray, empty as empty, empty_like as empty_like, eye as eye,
	from_numpy as from_numpy, full as full, full_like as full_like, is_tensor as is_tensor, linspace as linspace,
	logspace as logspace, ones as ones, ones_like as ones_like, scalar_tensor as scalar_tensor, tensor as tensor,
	zeros as zeros, zeros_like as zeros_like
)
from .ops.pointwise import (
	atan2 as arctan2, atan2 as atan2, copysign as copysign, deg2rad as deg2rad, exp2 as exp2, trunc as fix,
	float_power as float_power, fmax as fmax, fmin as fmin, fmod as fmod, frac as frac, hypot as hypot, ldexp as ldexp,
	logaddexp as logaddexp, logaddexp2 as logaddexp2, nextafter as nextafter, rad2deg as rad2deg, trunc as trunc
)
from .settings import (
	are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled,
	get_default_device as get_default_device, get_float32_matmul_precision as get_float32_matmul_precision,
	get_num_threads as get_num_threads,
	is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
	set_default_device as set_default_device, set_float32_matmul_precision as set_float32_matmul_precision,
	set_num_threads as set_num_threads, use_deterministic_algorithms as use_deterministic_algorithms
)
from .ops.ordering import (
	argsort as argsort, kthvalue as kthvalue, median as median, mode as mode, msort as msort, nanmedian as nanmedian,
	nanquantile as nanquantile, quantile as quantile, sort as sort, topk as topk
)
from .ops.search import (
	argwhere as argwhere, bincount as bincount, bucketize as bucketize, count_nonzero as count_nonzero, histc as histc,
	histogram as histogram, isin as isin, searchsorted as searchsorted, unique as unique,
	unique_consecutive as unique_consecutive, unravel_index as unravel_index
)
from .ops.strided import (
	as_strided as as_strided, as_strided_copy as as_strided_copy, as_strided_scatter as as_strided_scatter,
	empty_permuted as empty_permuted, empty_strided as empty_strided, resize_as_ as resize_as_
)
from .ops.joining import (
	atleast_1d as atleast_1d, atleast_2d as atleast_2d, atleast_3d as atleast_3d, block_diag as block_diag,
	broadcast_shapes as broadcast_shapes, broadcast_tensors as broadcast_tensors, cartesian_prod as cartesian_prod,
	column_stack as column_stack, combinations as combinations, dstack as dstack, hstack as hstack,
	meshgrid as meshgrid, vstack as row_stack, vstack as vstack
)
from .ops.pooling import (
	avg_pool1d as avg_pool1d, max_pool1d as max_pool1d, max_pool1d_with_indices as max_pool1d_with_indices,
	max_pool2d as max_pool2d, max_pool3d as max_pool3d
)
from .ops.windows import (
	bartlett_window as bartlett_window, blackman_window as blackman_window, hamming_window as hamming_window,
	hann_window as hann_window, kaiser_window as kaiser_window
)
from .ops.random import bernoulli as bernoulli, binomial as binomial, multinomial as multinomial, poisson as poisson
from .ops.pairs import bilinear as bilinear
from .ops.truths import (
	bitwise_left_shift as bitwise_left_shift, bitwise_right_shift as bitwise_right_shift, frexp as frexp, gcd as gcd,
	heaviside as heaviside, isclose as isclose, isfinite as isfinite, isinf as isinf, isneginf as isneginf,
	isposinf as isposinf, lcm as lcm, logical_and as logical_and, logical_not as logical_not, logical_or as logical_or,
	logical_xor as logical_xor, nan_to_num as nan_to_num, positive as positive, signbit as signbit
)
from .ops.shape import (
	broadcast_to as broadcast_to, cat as cat, cat as concat, cat as concatenate, flatten as flatten, flip as flip,
	movedim as moveaxis, movedim as movedim, permute as permute, ravel as ravel, reshape as reshape, squeeze as squeeze,
	stack as stack, transpose as swapaxes, transpose as swapdims, t as t, transpose as transpose, unsqueeze as unsqueeze
)
from .ops.queries import (
	can_cast as can_cast, is_nonzero as is_nonzero, is_same_size as is_same_size, is_signed as is_signed,
	numel as numel, promote_types as promote_types, result_type as result_type
)
from .ops.distances import cdist as cdist, dist as dist, pdist as pdist
from .ops.rounding import ceil as ceil, floor as floor, floor_divide as floor_divide, remainder as remainder, round as round
from .ops.units import (
	celu as celu, cosine_similarity as cosine_similarity, hardshrink as hardshrink,
	pairwise_distance as pairwise_distance, prelu as prelu, rrelu as rrelu, selu as selu, threshold as threshold
)
from .ops.pixels import (
	channel_shuffle as channel_shuffle, channel_shuffle as native_channel_shuffle, pixel_shuffle as pixel_shuffle,
	pixel_unshuffle as pixel_unshuffle
)
from .device import (
	channels_last as channels_last, channels_last_3d as channels_last_3d, contiguous_format as contiguous_format,
	device as device, layout as layout, memory_format as memory_format, preserve_format as preserve_format,
	strided as strided
)
from .ops.elimination import (
	old_cholesky as cholesky, cholesky_inverse as cholesky_inverse, cholesky_solve as cholesky_solve, old_lu as lu,
	old_lu_solve as lu_solve, lu_unpack as lu_unpack
)
from .ops.pieces import (
	chunk as chunk, dsplit as dsplit, hsplit as hsplit, narrow as narrow, select as select,
	select_scatter as select_scatter, slice_scatter as slice_scatter, split as split,
	split_with_sizes as split_with_sizes, tensor_split as tensor_split, unsafe_chunk as unsafe_chunk,
	unsafe_split as unsafe_split, unsafe_split_with_sizes as unsafe_split_with_sizes, vsplit as vsplit
)
from .ops.choice import (
	clamp as clamp, clamp_max as clamp_max, clamp_min as clamp_min, clamp as clip, masked_fill as masked_fill,
	maximum as maximum, minimum as minimum, nonzero as nonzero, where as where
)
from .ops.convert import clone as clone
from .compiler import compile as compile
from .ops.padding import constant_pad_nd as constant_pad_nd
from .ops.convolution import (
	conv1d as conv1d, conv2d as conv2d, conv3d as conv3d, conv_transpose1d as conv_transpose1d,
	conv_transpose2d as conv_transpose2d, conv_transpose3d as conv_transpose3d
)
from .ops.norms import old_cross as cross, old_vander as vander
from .ops.alignment import numbered_ctc_loss as ctc_loss
from .ops.cumulative import (
	cummax as cummax, cummin as cummin, cumprod as cumprod, cumulative_trapezoid as cumulative_trapezoid, diff as diff,
	gradient as gradient, logcumsumexp as logcumsumexp, trapezoid as trapezoid, trapezoid as trapz
)
from .ops.determinants import det as det, logdet as logdet, slogdet as slogdet
from .ops.diagonals import (
	diag as diag, diag_embed as diag_embed, diagflat as diagflat, diagonal as diagonal,
	diagonal_scatter as diagonal_scatter, trace as trace, tril as tril, tril_indices as tril_indices, triu as triu,
	triu_indices as triu_indices
)
from .ops.special import (
	digamma as digamma, erfc as erfc, erfinv as erfinv, igamma as igamma, igammac as igammac, lgamma as lgamma,
	logit as logit, mvlgamma as mvlgamma, polygamma as polygamma, sinc as sinc, xlogy as xlogy
)
from .ops.einsum import einsum as einsum
from .ops.embedding import plain_embedding as embedding, embedding_renorm_ as embedding_renorm_
from .modes import (
	enable_grad as enable_grad, inference_mode as inference_mode, is_grad_enabled as is_grad_enabled,
	is_inference as is_inference, is_inference_mode_enabled as is_inference_mode_enabled, no_grad as no_grad,
	set_grad_enabled as set_grad_enabled
)
from .ops.activation import erf as erf, log_softmax as log_softmax, relu as relu, sigmoid as sigmoid, softmax as softmax
from .ops.exponential import exp as exp, expm1 as expm1, log as log, log10 as log10, log1p as log1p, log2 as log2, rsqrt as rsqrt, sqrt as sqrt
from .ops.filling import fill as fill
from .interop import from_dlpack as from_dlpack, frombuffer as frombuffer
from .ops.index import gather as gather, index_select as index_select, unbind as unbind
from .ops.factors import geqrf as geqrf, ormqr as ormqr, pca_lowrank as pca_lowrank, svd_lowrank as svd_lowrank
from .ops.counting import hash_tensor as hash_tensor, histogramdd as histogramdd, nonzero_static as nonzero_static
from .ops.bessel import i0 as i0
from .ops.scatter import (
	index_add as index_add, index_copy as index_copy, index_fill as index_fill, index_put as index_put,
	masked_scatter as masked_scatter, masked_select as masked_select, put as put, scatter as scatter,
	scatter_add as scatter_add, take as take, take_along_dim as take_along_dim
)
from .ops.combining import index_reduce as index_reduce, scatter_reduce as scatter_reduce
from .ops.solvers import inv as inverse, triangular_solve as triangular_solve
from .autograd.anomaly_mode import (
	is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled, is_anomaly_enabled as is_anomaly_enabled,
	set_anomaly_enabled as set_anomaly_enabled
)
from .ops.spectrogram import istft as istft, stft as stft
from .serialization.files import load as load, save as save
from .ops.matrix_functions import matrix_exp as matrix_exp, matrix_power as matrix_power, pinverse as pinverse
from .ops.statistics import norm as norm, std as std, var as var
from .ops.weight_norm import norm_except_dim as norm_except_dim
from .sampling import (
	normal as normal, rand as rand, rand_like as rand_like, randint as randint, randint_like as randint_like,
	randn as randn, randn_like as randn_like, randperm as randperm
)
from .ops.orthogonal import householder_product as orgqr, old_qr as qr
from .ops.normalisation import rms_norm as rms_norm
from .ops.segments import segment_reduce as segment_reduce
from .printing import set_printoptions as set_printoptions
from .ops.spectral import old_svd as svd
from .nn.parameter import typename as typename
from .func.vmap import vmap as vmap

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
