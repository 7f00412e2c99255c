"""Every field of a run, with its default. Other configurations import this one and change a few lines.

    python train.py --workdir=runs/default

trains the Semi-Global Network on the embedded synthetic data set.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The default run."""
    config = ConfigDict()

    # Data
    config.dataset = "synthetic"  # synthetic, folder, columbia, carvalho, nc2016
    config.data_dir = ""  # `folder`: DIR/{images,masks} or DIR/{train,val,test}/{images,masks}; others: where prepared
    config.split = "test"  # what evaluate.py scores
    config.split_seed = 0  # by which columbia, carvalho and nc2016 are split 65 : 10 : 25
    config.patch_stride = 64  # pixels between neighbouring patches, in training and evaluation; below 64 they overlap
    config.orientations = 1  # 1, 2, 4, 8: mirrored and transposed forms of an image whose maps are averaged
    config.border = "inward"  # what happens to a remainder: inward, crop (the baseline: no map there, scored as 0)
    config.patches_per_image = 4  # patches of one image that stand in a batch together
    config.augment = True  # random flips and transpositions of patches

    # Network
    config.method = "sgn"  # sgn, bappy (the local network alone), sfcn, mfcn, mfcn_edge, camera_response
    config.hidden_size = 256  # of the LSTM: 256 (the paper), 64
    config.num_layers = 3  # of the LSTM
    config.input_normalization = "residual"  # relative, residual, patch, imagenet, unit (the baseline)
    config.activation = "leaky_relu"  # of the narrow convolutions: leaky_relu, relu (the baseline)
    config.block_order = "row"  # row, column (the baseline)
    config.global_network = "cnn"  # cnn (trained), resnet18 (frozen, see global_weights), none
    config.global_weights = ""  # of resnet18: a .npz of Flax variables
    config.global_normalization = "imagenet"  # of the global network's thumbnails: imagenet, unit (the baseline)
    config.cnn_output = "linear"  # of the cnn's last convolution: linear, relu (the baseline)
    config.resnet_batch_norm = "frozen"  # frozen, training (the baseline: batch statistics, running averages drift)
    config.initialization = "looks_linear"  # of everything that is trained: looks_linear, baseline
    config.compute_dtype = "float32"  # of the LSTM's products: float32, bfloat16; sums and parameters are float32
    config.width = 1.0  # of sfcn, mfcn, mfcn_edge: their channels in those of VGG-16
    config.trunk_weights = ""  # of VGG-16 with BatchNorm, for width 1: a .npz of Flax variables; empty: from scratch
    config.trunk_normalization = "imagenet"  # imagenet (what those weights expect), vgg_mean (the MFCN paper's)
    config.crop_size = 224  # of sfcn, mfcn, mfcn_edge: pixels along a side of what they are trained on

    # Loss: classification + beta * segmentation + smooth * |mean mask - label|
    config.loss = ConfigDict()
    config.loss.beta = 10.0
    config.loss.smooth = 0.1
    config.loss.normalization = "weight"  # count (the paper), weight (the baseline)
    config.loss.class_weights = (1.0, 2.0)  # W_n, W_s

    # Optimization
    config.seed = 0
    config.batch_size = 64  # patches, crops or edges, over all devices
    config.num_epochs = 60
    config.num_steps = 0  # where it is not 0, it counts and num_epochs does not
    config.learning_rate = 1e-3
    config.optimizer = "adam"  # adam, sgd (momentum 0.9)
    config.weight_decay = 0.0  # of kernels, added to their gradients
    config.schedule = "step"  # step, cosine (to zero)
    config.drop_epochs = (20, 40)  # of step
    config.drop_factor = 0.1
    config.warmup_steps = 0
    config.clip_norm = 0.0  # gradients of a larger norm are scaled down to it; 0: never
    config.resident_gigabytes = 2.0  # on accelerators, tables of patches up to this size lie in each one's memory
    config.cpu_devices = 0  # devices that the CPU is divided into; 0: one per core

    # Reports and checkpoints, in steps
    config.log_every = 50
    config.validate_every = 500
    config.validation_images = 20
    config.checkpoint_every = 500

    # Evaluation
    config.methods = ""  # rows, separated by commas; empty: those of all runs, the run's own with CRF too
    config.runs = ""  # other runs, whose rows stand beside, with this evaluation's patch_stride, orientations and CRF
    config.evaluation_name = ""  # folder below WORKDIR/evaluation; empty: DATASET-SPLIT
    config.degradations = ""  # every row under each as well, for example jpeg:90,70;blur:1,2;noise:4;resize:0.5
    config.ignore_border = 0  # pixels this near to the boundary of a mask do not count
    config.rescore = False  # score the cached maps again; no network runs

    config.crf = ConfigDict()
    config.crf.backend = "pydensecrf"  # pydensecrf, none
    config.crf.bilateral_weight = 10.0
    config.crf.bilateral_position_std = 80.0  # pixels
    config.crf.bilateral_colour_std = 13.0  # levels of 0..255
    config.crf.smoothness_weight = 3.0
    config.crf.smoothness_position_std = 3.0  # pixels
    config.crf.iterations = 5
    config.crf.max_megapixels = 2.0  # larger images are refined at this size
    config.crf.neutral = "half"  # the probability that speaks for neither label: half, otsu (the threshold of the map)
    return config
