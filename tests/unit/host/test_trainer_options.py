"""Options of fairseq under which a model can't be rewritten are refused at the start."""

from argparse import Namespace

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.host.trainer import check_trainer


def trainer_with(optimizer):
    return Namespace(
        is_fsdp=False,
        cfg=Namespace(
            common=Namespace(fp16=False, fp16_no_flatten_grads=False, memory_efficient_fp16=False),
            ema=Namespace(store_ema=False),
            optimization=Namespace(use_bmuf=False),
            distributed_training=Namespace(
                zero_sharding="none", ddp_backend="legacy_ddp", pipeline_model_parallel=False
            ),
            optimizer=Namespace(_name=optimizer),
        ),
    )


@pytest.mark.parametrize("divides", [False, True])
def test_several_optimizers_in_one_are_refused(divides):
    with pytest.raises(OptionError, match="with --optimizer composite: it is several"):
        check_trainer(trainer_with("composite"), divides=divides)


def test_adafactor_is_refused_where_parameters_are_divided():
    check_trainer(trainer_with("adafactor"))
    with pytest.raises(OptionError, match="with --optimizer adafactor where neurons are divided"):
        check_trainer(trainer_with("adafactor"), divides=True)


@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad", "nag"])
def test_others_are_taken(name):
    check_trainer(trainer_with(name), divides=True)
