public import Configuration

/// What the keys of transformers, peft, TRL, axolotl and LLaMA-Factory mean here that no section has: every field of
/// transformers' `TrainingArguments` and of peft's `LoraConfig` is a key here or in this list.
public enum ForeignKeys {
    public static let all =
        otherNames + runs + evaluation + precision + machines + data + hub + lora + flat

    private static let off = ["false", "none", "0", "no"]
    private static let gpu = "computing is on this machine's CPUs"

    private static func training(_ key: String, _ meaning: ForeignKey.Meaning) -> ForeignKey {
        ForeignKey("training", key, meaning)
    }

    private static func peft(_ key: String, _ meaning: ForeignKey.Meaning) -> ForeignKey {
        ForeignKey("peft", key, meaning)
    }

    private static let otherNames: [ForeignKey] = [
        ("activation_checkpointing", "gradient_checkpointing"),
        ("use_gradient_checkpointing", "gradient_checkpointing"),
        ("num_epochs", "num_train_epochs"), ("epochs", "num_train_epochs"),
        ("micro_batch_size", "per_device_train_batch_size"), ("eval_batch_size", "per_device_eval_batch_size"),
        ("per_gpu_train_batch_size", "per_device_train_batch_size"),
        ("per_gpu_eval_batch_size", "per_device_eval_batch_size"), ("lr", "learning_rate"),
        ("lr_scheduler", "lr_scheduler_type"), ("learning_rate_scheduler", "lr_scheduler_type"),
        ("optimizer", "optim"), ("max_gradient_norm", "max_grad_norm"), ("gradient_clipping", "max_grad_norm"),
        ("neftune_alpha", "neftune_noise_alpha"), ("label_smoothing", "label_smoothing_factor"),
        ("evaluation_strategy", "eval_strategy"),
    ].map { training($0.0, .same(as: "training.\($0.1)")) }

    private static let runs: [ForeignKey] = [
        training(
            "batch_size",
            .answer(
                "may mean several things: give per_device_train_batch_size, and gradient_accumulation_steps for larger steps than fit into memory",
                harmless: [])),
        training(
            "train_batch_size",
            .answer(
                "may mean several things: give per_device_train_batch_size, and gradient_accumulation_steps for larger steps than fit into memory",
                harmless: [])),
        training(
            "auto_find_batch_size",
            .answer("give per_device_train_batch_size: auto, which reckons before the first step", harmless: off)),
        training(
            "average_tokens_across_devices",
            .nothing("a step's loss is the mean over all its target tokens wherever they were computed")),
        training(
            "activation_checkpointing_kwargs",
            .nothing("there is one way of checkpointing, and its bits are those without")),
        training(
            "gradient_checkpointing_kwargs",
            .nothing("there is one way of checkpointing, and its bits are those without")),
        training("use_cache", .nothing("training keeps no keys and values for later")),
        training("torch_empty_cache_steps", .nothing("memory that is free is used again as it is")),
        training("use_liger_kernel", .nothing("the loss is always computed by chunks, without logits for all tokens")),
        training(
            "liger_kernel_config", .nothing("the loss is always computed by chunks, without logits for all tokens")),
        training(
            "resume_from_checkpoint",
            .answer(
                "is an option of the command: peft train --resume goes on from the newest checkpoint of output_dir",
                harmless: off)),
        training("overwrite_output_dir", .answer("is an option of the command: peft train --overwrite", harmless: off)),
        training("do_train", .answer("peft train trains, and peft eval evaluates", harmless: ["true"])),
        training(
            "do_eval",
            .answer("data.validation names the files whose loss is measured while training", harmless: ["true"] + off)),
        training(
            "do_predict", .answer("peft predict and peft generate tell what the trained model says", harmless: off)),
        training(
            "ignore_data_skip", .answer("a resumed run always goes on with the records that are due", harmless: off)),
        training("restore_callback_states_from_checkpoint", .nothing("a resumed run always has the whole state")),
        training("full_determinism", .nothing("the same seed always gives the same bits, on any number of threads")),
        training("data_seed", .answer("the order of the data follows from seed", harmless: off)),
        training(
            "logging_strategy", .answer("lines of metrics.jsonl come every logging_steps steps", harmless: ["steps"])),
        training(
            "logging_first_step",
            .answer("give logging_steps: 1 for a line of every step, the first too", harmless: off)),
        training(
            "logging_nan_inf_filter", .nothing("a loss that is no finite number ends the run with its records' places")),
        training("logging_on_each_node", .nothing("one process writes the metrics")),
        training("log_on_each_node", .nothing("one process writes the metrics")),
        training(
            "log_level",
            .answer(
                "is an option of the command: peft train --quiet", harmless: ["passive", "info", "warning", "error"])),
        training("log_level_replica", .nothing("one process tells what happens")),
        training(
            "disable_tqdm", .answer("is an option of the command: peft train --quiet", harmless: ["true", "false"])),
        training("include_num_input_tokens_seen", .nothing("metrics.jsonl always has the tokens")),
        training("include_tokens_per_second", .nothing("metrics.jsonl always has the tokens per second")),
        training("run_name", .nothing("a run is known by its output_dir")),
        training("project", .nothing("a run is known by its output_dir")),
        training("trackio_*", .nothing("nothing is reported elsewhere: metrics.jsonl in output_dir has it all")),
        training("wandb_*", .nothing("nothing is reported elsewhere: metrics.jsonl in output_dir has it all")),
        training("mlflow_*", .nothing("nothing is reported elsewhere: metrics.jsonl in output_dir has it all")),
        training("skip_memory_metrics", .nothing("metrics.jsonl always has the peak memory")),
        training("debug", .answer("has no counterpart here", harmless: ["", "[]"])),
        training(
            "save_only_model",
            .answer(
                "checkpoints hold the optimizer's state, without which no run can be resumed; output_dir itself has the result alone",
                harmless: off)),
        training("save_safetensors", .answer("files are safetensors", harmless: ["true"])),
        training("save_on_each_node", .nothing("one process writes the files")),
        training("enable_jit_checkpoint", .nothing("a run that is interrupted always saves a checkpoint")),
        training(
            "cosine_min_lr_ratio",
            .answer(
                "give lr_scheduler_type: cosine_with_min_lr and lr_scheduler_kwargs: {min_lr_rate: …}", harmless: [])),
        training("jit_mode_eval", .nothing("there is nothing to compile")),
        training("torch_compile*", .nothing("there is nothing to compile")),
        training("torchdynamo", .nothing("there is nothing to compile")),
    ]

    private static let evaluation: [ForeignKey] = [
        training("eval_delay", .answer("the first evaluation is after eval_steps steps", harmless: off)),
        training(
            "prediction_loss_only",
            .nothing("the loss is measured while training, and a task's scores; peft eval has the rest")),
        training("eval_do_concat_batches", .nothing("scores are over the whole data")),
        training("batch_eval_metrics", .nothing("scores are over the whole data")),
        training("eval_use_gather_object", .nothing(gpu)),
        training("eval_accumulation_steps", .nothing("no logits are kept")),
        training("include_for_metrics", .answer("peft eval has the metrics of texts", harmless: ["[]"])),
        training(
            "generation_config", .answer("generation has its own options: peft generate --help", harmless: off)),
    ]

    private static let precision: [ForeignKey] = [
        training(
            "fp16",
            .answer(
                "leave it out, or give training.bf16: computing is in floats of 32 bits otherwise; a base in 16 bits stays so in memory, and model.load_in_4bit or load_in_8bit makes it smaller",
                harmless: off + ["auto"])),
        training("bf16_full_eval", .answer("leave it out: evaluation computes as training does", harmless: off)),
        training("fp16_full_eval", .answer("leave it out: evaluation is in floats of 32 bits", harmless: off)),
        training("fp16_opt_level", .nothing(gpu)), training("half_precision_backend", .nothing(gpu)),
        training("tf32", .nothing(gpu)),
    ]

    private static let machines: [ForeignKey] = [
        training("use_cpu", .nothing(gpu)), training("no_cuda", .nothing(gpu)),
        training("use_mps_device", .nothing(gpu)),
        training("use_ipex", .nothing("kernels are the tool's own")),
        training("local_rank", .nothing("mpirun starts several processes, which know each other from it")),
        training("ddp_*", .nothing("mpirun starts several processes, which know each other from it")),
        training("fsdp", .nothing(gpu)), training("fsdp_config", .nothing(gpu)), training("fsdp_*", .nothing(gpu)),
        training("deepspeed", .nothing(gpu)), training("accelerator_config", .nothing(gpu)),
        training("parallelism_config", .nothing(gpu)), training("tensor_parallel_size", .nothing(gpu)),
        training("flash_attention", .nothing("attention is always computed without its whole matrix")),
        training("flash_attn", .nothing("attention is always computed without its whole matrix")),
        training("attn_implementation", .nothing("attention is always computed without its whole matrix")),
        training("sdp_attention", .nothing("attention is always computed without its whole matrix")),
        training("xformers_attention", .nothing("attention is always computed without its whole matrix")),
    ]

    private static let data: [ForeignKey] = [
        training("dataloader_num_workers", .nothing("records are ready before the first step")),
        training(
            "dataloader_drop_last", .answer("every record is trained on: a last batch may be smaller", harmless: off)),
        training("dataloader_*", .nothing("records are ready before the first step")),
        training("remove_unused_columns", .nothing("templates name the fields that they take")),
        training("label_names", .nothing("templates name the fields that they take")),
        training("length_column_name", .nothing("lengths are counted")),
        training(
            "packing",
            .nothing(
                "texts always lie one behind the other without padding, and none sees another; data.block_size cuts them into blocks"
            )),
        training(
            "sample_packing",
            .nothing(
                "texts always lie one behind the other without padding, and none sees another; data.block_size cuts them into blocks"
            )),
        training(
            "packing_strategy",
            .nothing(
                "texts always lie one behind the other without padding, and none sees another; data.block_size cuts them into blocks"
            )),
        training(
            "eval_packing", .nothing("texts always lie one behind the other without padding, and none sees another")),
        training("padding_free", .nothing("texts always lie one behind the other without padding")),
        training("pad_to_sequence_len", .nothing("texts always lie one behind the other without padding")),
        training("pad_to_multiple_of", .nothing("texts always lie one behind the other without padding")),
        training(
            "max_seq_length",
            .answer(
                "give data.max_length, and data.max_length_policy: keep_prompt_start for longer texts to be cut at their end",
                harmless: [])),
        training(
            "max_length",
            .answer(
                "give data.max_length, and data.max_length_policy: keep_prompt_start for longer texts to be cut at their end",
                harmless: [])),
        training(
            "completion_only_loss",
            .answer(
                "of data.prompt and data.completion the completion is learned, of data.text everything", harmless: [])),
        training("assistant_only_loss", .answer("give data.loss_on: assistant", harmless: [])),
        training(
            "train_on_inputs",
            .answer(
                "of data.prompt and data.completion the completion is learned, of data.text everything", harmless: off)),
        training("dataset_text_field", .answer("give data.text: '{FIELD}'", harmless: [])),
        training("dataset_num_proc", .nothing("records are ready before the first step")),
        training(
            "val_set_size",
            .answer(
                "give data.validation_fraction, the part of the examples that is left for it, or files of their own: data.validation",
                harmless: off)),
    ]

    private static let hub: [ForeignKey] = [
        training("push_to_hub", .answer("nothing is uploaded: hf upload NAME OUTPUT_DIR does it", harmless: off)),
        training("push_to_hub_*", .answer("nothing is uploaded: hf upload NAME OUTPUT_DIR does it", harmless: off)),
        training(
            "hub_*", .answer("nothing is uploaded: hf upload NAME OUTPUT_DIR does it", harmless: off + ["every_save"])),
    ]

    private static let variant = "is a variant of LoRA that isn't computed here: leave it out, or train in peft"

    private static let lora: [ForeignKey] = [
        peft(
            "task_type",
            .answer(
                "the task is a key of its own: task: sequence_classification",
                harmless: ["causal_lm", "seq_2_seq_lm", "seq_cls"])),
        peft("peft_type", .answer("give the method by its name here, such as method: lora", harmless: [])),
        peft("auto_mapping", .nothing("it is written into files, not read")),
        peft("peft_version", .nothing("it is written into files, not read")),
        peft("base_model_name_or_path", .answer("the base is model.path", harmless: [])),
        peft("revision", .answer("the base is model.path, a folder or what the Hub's cache holds", harmless: ["main"])),
        peft(
            "inference_mode",
            .answer("adapters are trained here, and used by peft generate and peft eval", harmless: off)),
        peft("fan_in_fan_out", .nothing("how a layer keeps its weight is known from the model")),
        peft("megatron_config", .answer("is for a library of models that this tool hasn't got", harmless: off)),
        peft("megatron_core", .nothing("is for a library of models that this tool hasn't got")),
        peft(
            "eva_config",
            .answer(
                "init_lora_weights: eva isn't computed here; pissa and olora begin with the weights' own directions",
                harmless: off)),
        peft(
            "corda_config",
            .answer(
                "init_lora_weights: corda isn't computed here; pissa and olora begin with the weights' own directions",
                harmless: off)),
        peft(
            "lora_ga_config",
            .answer(
                "init_lora_weights: lora_ga isn't computed here; pissa and olora begin with the weights' own directions",
                harmless: off)),
        peft("velora_config", .answer(variant, harmless: off)),
        peft("alora_invocation_tokens", .answer(variant, harmless: off)),
        peft("use_qalora", .answer(variant, harmless: off)),
        peft("qalora_group_size", .nothing("use_qalora isn't computed here")),
        peft("monteclora_config", .answer(variant, harmless: off)), peft("use_bdlora", .answer(variant, harmless: off)),
        peft("arrow_config", .answer(variant, harmless: off)), peft("kasa_config", .answer(variant, harmless: off)),
        peft("layer_replication", .answer("layers aren't replicated here", harmless: off)),
        peft("runtime_config", .nothing("is about where peft computes")),
        peft("target_parameters", .answer("adapters are for modules here: name them by target_modules", harmless: off)),
        peft(
            "ensure_weight_tying",
            .answer("an adapter of a tied table is one of the table, and of the head one of its own", harmless: off)),
        peft("lora_r", .same(as: "peft.r")), peft("lora_rank", .same(as: "peft.r")),
        peft("lora_target_modules", .same(as: "peft.target_modules")),
        peft("lora_modules_to_save", .same(as: "peft.modules_to_save")),
    ]

    /// Keys of configurations without sections.
    private static let flat: [ForeignKey] =
        [
            ("base_model", "model.path"), ("model_name_or_path", "model.path"), ("load_in_4bit", "model.load_in_4bit"),
            ("load_in_8bit", "model.load_in_8bit"), ("finetuning_type", "peft.method"), ("lora_r", "peft.r"),
            ("lora_rank", "peft.r"), ("lora_alpha", "peft.lora_alpha"), ("lora_dropout", "peft.lora_dropout"),
            ("lora_target_modules", "peft.target_modules"), ("lora_modules_to_save", "peft.modules_to_save"),
            ("output_dir", "training.output_dir"), ("num_epochs", "training.num_train_epochs"),
            ("num_train_epochs", "training.num_train_epochs"),
            ("micro_batch_size", "training.per_device_train_batch_size"),
            ("per_device_train_batch_size", "training.per_device_train_batch_size"),
            ("gradient_accumulation_steps", "training.gradient_accumulation_steps"),
            ("learning_rate", "training.learning_rate"), ("lr_scheduler", "training.lr_scheduler_type"),
            ("lr_scheduler_type", "training.lr_scheduler_type"), ("warmup_steps", "training.warmup_steps"),
            ("warmup_ratio", "training.warmup_ratio"), ("optimizer", "training.optim"),
            ("weight_decay", "training.weight_decay"), ("logging_steps", "training.logging_steps"),
            ("save_steps", "training.save_steps"), ("eval_steps", "training.eval_steps"),
            ("gradient_checkpointing", "training.gradient_checkpointing"), ("bf16", "training.bf16"),
            ("seed", "training.seed"),
            ("loraplus_lr_ratio", "training.loraplus_lr_ratio"),
            ("loraplus_lr_embedding", "training.loraplus_lr_embedding"),
        ].map { ForeignKey("", $0.0, .same(as: $0.1)) } + [
            ForeignKey(
                "", "adapter",
                .answer(
                    "the method is peft.method, such as lora; qlora is lora with model.load_in_4bit: true", harmless: []
                )),
            ForeignKey(
                "", "datasets",
                .answer(
                    "files with records are data.train, and templates over their fields data.prompt and data.completion",
                    harmless: [])),
            ForeignKey(
                "", "dataset",
                .answer(
                    "files with records are data.train, and templates over their fields data.prompt and data.completion",
                    harmless: [])),
            ForeignKey(
                "", "template",
                .answer(
                    "the model's own chat template is used where data.messages names a conversation's field; data.chat_template names another",
                    harmless: [])),
            ForeignKey(
                "", "sequence_len",
                .answer(
                    "give data.max_length, and data.max_length_policy: keep_prompt_start for longer texts to be cut at their end",
                    harmless: [])),
            ForeignKey(
                "", "cutoff_len",
                .answer(
                    "give data.max_length, and data.max_length_policy: keep_prompt_start for longer texts to be cut at their end",
                    harmless: [])),
            ForeignKey("", "stage", .answer("peft train fine-tunes on texts", harmless: ["sft", "pt"])),
            ForeignKey(
                "", "lora_target", .answer("give peft.target_modules: a list of names, or all-linear", harmless: [])),
            ForeignKey("", "lora_target_linear", .answer("give peft.target_modules: all-linear", harmless: off)),
            ForeignKey(
                "", "val_set_size",
                .answer(
                    "give data.validation_fraction, the part of the examples that is left for it, or files of their own: data.validation",
                    harmless: off)),
            ForeignKey(
                "", "fp16", .answer("leave it out: computing is in floats of 32 bits", harmless: off + ["auto"])),
            ForeignKey(
                "", "sample_packing",
                .nothing("texts always lie one behind the other without padding, and none sees another")),
            ForeignKey("", "pad_to_sequence_len", .nothing("texts always lie one behind the other without padding")),
            ForeignKey("", "flash_attention", .nothing("attention is always computed without its whole matrix")),
            ForeignKey("", "deepspeed", .nothing(gpu)),
            ForeignKey(
                "", "wandb_*", .nothing("nothing is reported elsewhere: metrics.jsonl in output_dir has it all")),
        ]
}
