"""Say what each option of fairseq does beside a differentiation: ``docs/fairseq-options.md``.

    python docs/fairseq_options.py > docs/fairseq-options.md

The one table of them. ``tests/e2e/test_fairseq_options.py`` holds it against the fairseq that is
installed, trains with what it calls working, and sees refused what it calls refused.
"""

from __future__ import annotations

import sys
from typing import Dict, List, NamedTuple, Tuple

WORKS = "works"
PROCESSES = "works (processes)"
REFUSED = "refused"
BEGINS_ANEW = "begins anew"
PACKAGE = "needs a package"
STOCK = "fairseq's own error"
NO_PART = "no part"
UNTRIED = "not tried"

VERDICTS = {
    WORKS: "trained with through the split, and resumed in the middle of the recording and after "
    "the split: all losses and parameters equal those of a run that never stopped",
    PROCESSES: "the same in two processes",
    REFUSED: "one line before the first update, which says why",
    BEGINS_ANEW: "works through the split; a resumed run is meant to differ",
    PACKAGE: "fairseq ends with an error of its own where the package isn't there; not tried with it",
    STOCK: "fairseq ends with a traceback of its own, with this plugin and without",
    NO_PART: "has no part in training these models: logging, generation, other models and devices",
    UNTRIED: "not tried",
}


class Row(NamedTuple):
    """Options that have one verdict."""

    names: Tuple[str, ...]
    """Fields of fairseq's settings, or ``optimizer NAME``, ``lr_scheduler NAME``."""

    verdict: str
    note: str = ""


def _row(names: str, verdict: str, note: str = "") -> Row:
    return Row(tuple(name.strip() for name in names.split(",")), verdict, note)


SECTIONS: Dict[str, List[Row]] = {
    "Optimizers": [
        _row("optimizer adam, optimizer nag, optimizer sgd, optimizer adagrad", WORKS),
        _row("optimizer adadelta, optimizer adamax", WORKS),
        _row(
            "optimizer adafactor",
            WORKS,
            "refused where neurons are divided (`gdps`): its factored state belongs to no neuron. "
            "`--relative-step`: fairseq's own error, whatever `--lr` is",
        ),
        _row(
            "optimizer composite", REFUSED, "several optimizers, whose states can't be carried over"
        ),
        _row("optimizer cpu_adam", PACKAGE, "deepspeed"),
        _row(
            "optimizer lamb",
            PACKAGE,
            "apex. `--optimizer adam` takes apex's fused Adam by itself on a GPU that has it, and "
            "`--fp16-adam-stats` needs that one; `adam8bit` is in no fairseq 0.12",
        ),
    ],
    "Learning rates": [
        _row(
            "lr_scheduler inverse_sqrt, lr_scheduler tri_stage, lr_scheduler polynomial_decay",
            WORKS,
        ),
        _row("lr_scheduler reduce_lr_on_plateau, lr_scheduler fixed", WORKS),
        _row("lr_scheduler triangular, lr_scheduler step", WORKS),
        _row(
            "lr_scheduler cosine",
            WORKS,
            "where neither `--lr-period-updates` nor updates after the warm-up are left, fairseq "
            "divides by zero",
        ),
        _row(
            "lr_scheduler manual",
            WORKS,
            "keys are text: `--update2lr '{\"1\": 1e-3}'`; with numbers fairseq ends in a TypeError",
        ),
        _row("lr_scheduler pass_through", REFUSED, "it is for `--optimizer composite`"),
        _row("lr", WORKS),
        _row("stop_min_lr", WORKS, "ends a warm-up that begins at 0 before its first update"),
    ],
    "Optimization": [
        _row(
            "clip_norm, sentence_avg, update_freq, max_update, max_epoch",
            WORKS,
        ),
        _row("stop_time_hours", WORKS),
        _row(
            "skip_remainder_batch",
            WORKS,
            "in fairseq 0.12.3; 0.12.2 itself loses its place when it resumes in the middle of an epoch",
        ),
        _row("debug_param_names", WORKS, "in fairseq 0.12.3 only"),
        _row("use_bmuf", REFUSED, "its own copies of the parameters can't be split"),
        _row(
            "block_lr, block_momentum, global_sync_iter, warmup_iterations, use_nbm, average_sync",
            NO_PART,
            "without `--use-bmuf`",
        ),
    ],
    "Precision": [
        _row(
            "fp16_no_flatten_grads, fp16, fp16_init_scale, fp16_scale_window, fp16_scale_tolerance",
            WORKS,
            "`--fp16` without `--fp16-no-flatten-grads` needs a GPU, where fairseq makes its flat masters; "
            "nothing was trained with it yet ([what was tried](gpu.md)). torch 1.12 has no half precision on CPUs",
        ),
        _row("memory_efficient_fp16, min_loss_scale, threshold_loss_scale", WORKS),
        _row(
            "bf16, memory_efficient_bf16",
            WORKS,
            "slower than fp32 on a CPU without AMX: fine-tuning Whisper base made 0.17 updates a "
            "second there, in fp32 0.27",
        ),
        _row(
            "amp, amp_batch_retries, amp_init_scale, amp_scale_window",
            WORKS,
            "on a CPU, where autocast does nothing, too",
        ),
        _row(
            "tpu, on_cpu_convert_precision",
            UNTRIED,
            "without torch_xla `--tpu` is left out, which `--bf16` sets",
        ),
        _row(
            "store_ema",
            REFUSED,
            "its shadow model can't follow a split; average checkpoints instead",
        ),
        _row(
            "ema_decay, ema_start_update, ema_seed_model, ema_update_freq, ema_fp32",
            NO_PART,
            "without `--store-ema`",
        ),
        _row("quantization_config_path", REFUSED, "it replaces the same modules by its own"),
    ],
    "Batches": [
        _row(
            "max_tokens, batch_size, required_batch_size_multiple, required_seq_len_multiple",
            WORKS,
            "no last batch is dropped, whatever the multiple is; audio is padded to no multiple",
        ),
        _row("num_workers, data_buffer_size, skip_invalid_size_inputs_valid_test", WORKS),
        _row(
            "train_subset, valid_subset, max_tokens_valid, batch_size_valid, max_valid_steps", WORKS
        ),
        _row("validate_interval, validate_interval_updates, validate_after_updates", WORKS),
        _row("fixed_validation_seed, disable_validation, ignore_unused_valid_subsets", WORKS),
        _row("curriculum, grouped_shuffling, update_epoch_batch_itr", WORKS),
        _row(
            "update_ordered_indices_seed",
            WORKS,
            "each epoch is shuffled by its own seed; stock fairseq does so only after a resume",
        ),
        _row(
            "combine_valid_subsets",
            REFUSED,
            "it reads a subset called `valid`; name subsets in `--valid-subset`. Works where there is one",
        ),
        _row(
            "dataset_impl, gen_subset, num_shards, shard_id",
            NO_PART,
            "`num_shards` and `shard_id` are those of `fairseq-generate`",
        ),
    ],
    "Checkpoints": [
        _row("save_dir, save_interval, save_interval_updates, keep_interval_updates", WORKS),
        _row("keep_interval_updates_pattern, keep_last_epochs, keep_best_checkpoints", WORKS),
        _row(
            "no_epoch_checkpoints, no_last_checkpoints, checkpoint_suffix, checkpoint_shard_count",
            WORKS,
        ),
        _row(
            "best_checkpoint_metric, maximize_best_checkpoint_metric, patience",
            WORKS,
            "of several validation subsets their mean ([training](training.md#early-stopping))",
        ),
        _row(
            "reset_meters, reset_lr_scheduler, optimizer_overrides",
            WORKS,
            "as far as a resumed run is meant to be the same: an override of another value holds",
        ),
        _row("restore_file, continue_once", WORKS),
        _row(
            "finetune_from_model",
            BEGINS_ANEW,
            "with its plan; the same `--differentiate-at` again is refused",
        ),
        _row(
            "reset_optimizer",
            BEGINS_ANEW,
            "after the split the same `--differentiate-at` is refused: the model would be split twice",
        ),
        _row("no_save_optimizer_state", BEGINS_ANEW, "a resumed run counts updates anew, as above"),
        _row("reset_dataloader", BEGINS_ANEW, "with the first batch of the epoch"),
        _row("no_save", BEGINS_ANEW, "there is nothing to resume from"),
        _row(
            "write_checkpoints_asynchronously",
            PACKAGE,
            "iopath; without it fairseq shows an error, trains nothing and returns 0",
        ),
    ],
    "Several processes": [
        _row("distributed_world_size, distributed_rank, distributed_no_spawn", PROCESSES),
        _row("distributed_backend, distributed_init_method", PROCESSES, "`gloo`, by TCP"),
        _row(
            "ddp_backend",
            PROCESSES,
            "`legacy_ddp` (and its other name `no_c10d`). Torch's own (`pytorch_ddp`, `c10d`) need "
            "`--find-unused-parameters`, without which a split model is refused. Refused too: "
            "`fully_sharded` (which needs fairscale), `slowmo`",
        ),
        _row("fast_stat_sync, heartbeat_timeout, all_gather_list_size", PROCESSES),
        _row(
            "find_unused_parameters",
            PROCESSES,
            "what a split model needs under torch's own wrapper",
        ),
        _row(
            "bucket_cap_mb, broadcast_buffers, gradient_as_bucket_view",
            UNTRIED,
            "with torch's own wrapper; the others have no use for them",
        ),
        _row("load_checkpoint_on_all_dp_ranks", PROCESSES),
        _row("fix_batches_to_gpus", PROCESSES),
        _row("zero_sharding", REFUSED, "sharded optimizer state can't be carried over"),
        _row("ddp_comm_hook", UNTRIED, "`fp16`: gradients rounded between processes"),
        _row(
            "slowmo_momentum, slowmo_base_algorithm, localsgd_frequency",
            NO_PART,
            "without `--ddp-backend slowmo`, which is refused",
        ),
        _row(
            "pipeline_model_parallel",
            REFUSED,
            "a model in pieces on several devices can't be rewritten",
        ),
        _row(
            "pipeline_balance, pipeline_devices, pipeline_chunks, pipeline_encoder_balance", NO_PART
        ),
        _row(
            "pipeline_encoder_devices, pipeline_decoder_balance, pipeline_decoder_devices", NO_PART
        ),
        _row("pipeline_checkpoint", NO_PART),
        _row(
            "no_reshard_after_forward, fp32_reduce_scatter, use_sharded_state",
            NO_PART,
            "without `--ddp-backend fully_sharded`, which is refused",
        ),
        _row("not_fsdp_flatten_parameters", NO_PART, "likewise"),
        _row("cpu_offload", STOCK, "it requires `--ddp-backend fully_sharded`"),
        _row("model_parallel_size", PACKAGE, "megatron, and a model of it, which none of these is"),
        _row(
            "distributed_num_procs, distributed_port, device_id, nprocs_per_node",
            NO_PART,
            "how processes are started; see [several processes](training.md#several-processes)",
        ),
    ],
    "The rest of the common ones": [
        _row("seed", WORKS, "0 or more: numpy takes no other"),
        _row("cpu, user_dir, empty_cache_freq, suppress_crashes, profile", WORKS),
        _row(
            "no_progress_bar, log_interval, log_format, log_file, aim_repo, aim_run_hash", NO_PART
        ),
        _row("tensorboard_logdir, wandb_project, azureml_logging, reset_logging", NO_PART),
        _row("use_plasma_view, plasma_path", NO_PART, "of other data"),
    ],
}


def page() -> str:
    """Return the page."""
    out = [
        "# Options of fairseq",
        "",
        "What each option of `fairseq-train` that touches optimizer, checkpoint, precision, batches or",
        "processes does in a run with `--differentiate-at`. Written by `python docs/fairseq_options.py >",
        "docs/fairseq-options.md`; a test holds the table against the options of the fairseq that is",
        "installed, trains with all that works, and sees refused what is refused. Without a",
        "differentiation everything that works in stock fairseq works.",
        "",
        "| | |",
        "|---|---|",
        *(f"| **{verdict}** | {meaning} |" for verdict, meaning in VERDICTS.items()),
    ]
    for title, rows in SECTIONS.items():
        out += ["", f"## {title}", "", "| option | | |", "|---|---|---|"]
        out += [
            f"| {', '.join(f'`{flag(name)}`' for name in row.names)} | {row.verdict} | {row.note} |"
            for row in rows
        ]
    out += [
        "",
        "*Criterions.* `label_smoothed_cross_entropy`, this plugin's own and `..._with_ctc` work. R-drop",
        "(`..._with_rdrop`, as CTC in fairseq 0.12.3) works for targets without a language tag; with `--ignore-prefix-size 1`, or with",
        "`--multiway-batches`, it is refused. `cross_entropy` has no `--ignore-prefix-size`: fairseq's own",
        "error where targets have a tag.",
        "",
    ]
    return "\n".join(out)


def flag(name: str) -> str:
    """Return a field as it is given to ``fairseq-train``."""
    option, _, value = name.partition(" ")
    return "--" + option.replace("_", "-") + (f" {value}" if value else "")


if __name__ == "__main__":
    sys.stdout.write(page())
