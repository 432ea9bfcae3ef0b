"""Made by tools/make_stubs.py from the declarations; do not edit.

Families of operations that are imported when one of their names is first used: functions, and methods of Tensor.
"""

FAMILIES: dict[str, tuple[str, str]] = {
    "adaptive": ("adaptive_avg_pool1d adaptive_max_pool1d", ""),
    "aliases": (
        "absolute arccos arccosh arcsin arcsinh arctan arctanh concatenate divide ger greater greater_equal "
        "less less_equal moveaxis multiply negative not_equal subtract",
        "absolute absolute_ arccos arccos_ arccosh arccosh_ arcsin arcsin_ arcsinh arcsinh_ arctan arctan_ "
        "arctanh arctanh_ divide divide_ ger greater greater_ greater_equal greater_equal_ less less_ "
        "less_equal less_equal_ moveaxis multiply multiply_ negative negative_ not_equal not_equal_ subtract "
        "subtract_",
    ),
    "alignment": ("ctc_loss", ""),
    "attention": ("", ""),
    "bessel": ("i0", "i0 i0_"),
    "blends": ("addcdiv addcmul lerp", "addcdiv addcmul lerp lerp_"),
    "columns": ("", ""),
    "combining": ("index_reduce scatter_reduce", "index_reduce index_reduce_ scatter_reduce scatter_reduce_"),
    "convolution": ("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d", ""),
    "counting": ("hash_tensor histogramdd nonzero_static", "hash_tensor nonzero_static"),
    "cumulative": (
        "cummax cummin cumprod cumulative_trapezoid diff gradient logcumsumexp trapezoid trapz",
        "cummax cummin cumprod cumprod_ cumsum_ diff logcumsumexp",
    ),
    "determinants": ("det logdet slogdet", "det logdet slogdet"),
    "diagonals": (
        "diag diag_embed diagflat diagonal diagonal_scatter trace tril tril_indices triu triu_indices",
        "diag diag_embed diagflat diagonal diagonal_scatter trace tril tril_ triu triu_",
    ),
    "distances": ("cdist dist pdist", "dist"),
    "dropout": (
        "alpha_dropout dropout dropout_ feature_alpha_dropout feature_dropout native_dropout "
        "native_dropout_backward",
        "",
    ),
    "einsum": ("einsum", ""),
    "elimination": (
        "cholesky cholesky_inverse cholesky_solve lu lu_solve lu_unpack",
        "cholesky cholesky_inverse cholesky_solve lu lu_solve",
    ),
    "embedding": ("embedding embedding_renorm_", ""),
    "factors": ("geqrf ormqr pca_lowrank svd_lowrank", "geqrf ormqr"),
    "fft": ("", ""),
    "frequencies": ("", ""),
    "joining": (
        "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod "
        "column_stack combinations dstack hstack meshgrid row_stack vstack",
        "",
    ),
    "losses": ("", ""),
    "margins": ("", ""),
    "matrix_functions": ("matrix_exp matrix_power pinverse", "matrix_exp matrix_power pinverse"),
    "memory": ("", "cuda get_device ipu is_pinned is_shared mtia pin_memory share_memory_ xpu"),
    "moments": (
        "aminmax corrcoef cov nanmean nansum renorm std_mean var_mean",
        "aminmax corrcoef cov nanmean nansum renorm renorm_",
    ),
    "native": (
        "_batch_norm_with_update _native_batch_norm_legit batch_norm conv_tbc convolution group_norm "
        "instance_norm layer_norm native_batch_norm native_group_norm native_layer_norm",
        "",
    ),
    "normalisation": ("rms_norm", ""),
    "norms": ("cross vander", "cross"),
    "ordering": (
        "argsort kthvalue median mode msort nanmedian nanquantile quantile sort topk",
        "argsort kthvalue median mode msort nanmedian nanquantile quantile sort topk",
    ),
    "orthogonal": ("orgqr qr", "orgqr qr"),
    "padding": ("constant_pad_nd", ""),
    "pairs": ("bilinear", ""),
    "patches": ("", ""),
    "pieces": (
        "chunk dsplit hsplit narrow select select_scatter slice_scatter split split_with_sizes tensor_split "
        "unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit",
        "chunk dsplit hsplit narrow select select_scatter slice_scatter split split_with_sizes tensor_split "
        "unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit",
    ),
    "pixels": ("channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle", ""),
    "pointwise": (
        "arctan2 atan2 copysign deg2rad exp2 fix float_power fmax fmin fmod frac hypot ldexp logaddexp "
        "logaddexp2 nextafter rad2deg trunc",
        "arctan2 arctan2_ atan2 atan2_ copysign copysign_ deg2rad deg2rad_ exp2 exp2_ fix fix_ float_power "
        "float_power_ fmax fmax_ fmin fmin_ fmod fmod_ frac frac_ hypot hypot_ ldexp ldexp_ logaddexp "
        "logaddexp2 logaddexp2_ logaddexp_ nextafter nextafter_ rad2deg rad2deg_ trunc trunc_",
    ),
    "pooling": ("avg_pool1d max_pool1d max_pool1d_with_indices max_pool2d max_pool3d", ""),
    "products": (
        "addbmm addmv addr baddbmm chain_matmul inner tensordot vdot",
        "addbmm addbmm_ addmm_ addmv addmv_ addr addr_ baddbmm baddbmm_ inner vdot",
    ),
    "queries": (
        "can_cast is_nonzero is_same_size is_signed numel promote_types result_type",
        "is_nonzero is_same_size is_signed",
    ),
    "random": (
        "bernoulli binomial multinomial poisson",
        "bernoulli bernoulli_ cauchy_ exponential_ geometric_ log_normal_ multinomial normal_ random_ "
        "uniform_",
    ),
    "rearrange": (
        "alias_copy diagonal_copy expand_copy fliplr flipud kron narrow_copy permute_copy repeat_interleave "
        "roll rot90 select_copy slice_copy split_with_sizes_copy squeeze_copy t_copy tile transpose_copy "
        "unbind_copy unflatten unfold_copy unsqueeze_copy view_copy zero_",
        "fliplr flipud kron narrow_copy new_empty new_full new_ones new_zeros repeat repeat_interleave roll "
        "rot90 squeeze_ sum_to_size swapaxes_ swapdims_ t_ tile transpose_ unflatten unfold unsqueeze_",
    ),
    "recurrence": ("", ""),
    "resampling": ("", ""),
    "sampler": ("affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d", ""),
    "samplewise": ("", ""),
    "scatter": (
        "index_add index_copy index_fill index_put masked_scatter masked_select put scatter scatter_add take "
        "take_along_dim",
        "index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_put index_put_ "
        "masked_scatter masked_scatter_ masked_select put put_ scatter scatter_ scatter_add scatter_add_ take "
        "take_along_dim",
    ),
    "search": (
        "argwhere bincount bucketize count_nonzero histc histogram isin searchsorted unique "
        "unique_consecutive unravel_index",
        "argwhere bincount count_nonzero histc histogram unique unique_consecutive",
    ),
    "segments": ("segment_reduce", ""),
    "sliding": ("", ""),
    "solvers": ("inverse triangular_solve", "inverse triangular_solve"),
    "special": (
        "digamma erfc erfinv igamma igammac lgamma logit mvlgamma polygamma sinc xlogy",
        "digamma digamma_ erfc erfc_ erfinv erfinv_ igamma igamma_ igammac igammac_ lgamma lgamma_ logit "
        "logit_ mvlgamma mvlgamma_ polygamma polygamma_ sinc sinc_ xlogy xlogy_",
    ),
    "spectral": ("svd", "svd"),
    "spectrogram": ("istft stft", "istft stft"),
    "strided": (
        "as_strided as_strided_copy as_strided_scatter empty_permuted empty_strided resize_as_",
        "as_strided as_strided_ as_strided_scatter new_empty_strided resize_ resize_as_ storage_offset",
    ),
    "taps": ("", ""),
    "truths": (
        "bitwise_left_shift bitwise_right_shift frexp gcd heaviside isclose isfinite isinf isneginf isposinf "
        "lcm logical_and logical_not logical_or logical_xor nan_to_num positive signbit true_divide",
        "__ilshift__ __irshift__ __lshift__ __pos__ __rlshift__ __rrshift__ __rshift__ bitwise_left_shift "
        "bitwise_left_shift_ bitwise_right_shift bitwise_right_shift_ frexp gcd gcd_ heaviside heaviside_ "
        "isclose isfinite isinf isneginf isposinf lcm lcm_ logical_and logical_and_ logical_not logical_not_ "
        "logical_or logical_or_ logical_xor logical_xor_ nan_to_num nan_to_num_ positive signbit true_divide "
        "true_divide_",
    ),
    "units": ("celu cosine_similarity hardshrink pairwise_distance prelu rrelu selu threshold", "hardshrink prelu"),
    "unpooling": ("", ""),
    "weight_norm": ("norm_except_dim", ""),
    "windows": ("bartlett_window blackman_window hamming_window hann_window kaiser_window", ""),
}
