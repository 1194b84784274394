/// What every key means, as docs/configuration.md has it without its marks; a test compares the two.
enum KeyDescriptions {
    /// The text for a key, of a method where the key belongs to one.
    static func text(of path: String, method: String?) -> String {
        method.flatMap { ofMethods[$0]?[path] } ?? common[path] ?? ""
    }

    private static let common: [String: String] = [
        "task":
            "what is learned: to go on with a text (a model with an encoder reads the prompt with it and learns to write the completion; seq_2_seq_lm insists on one), or to tell a text's label",
        "model.path": "the base model: a folder as transformers saves it, or a name in the local Hub cache",
        "model.init": "random makes new weights from training.seed, so that config.json and a tokenizer are enough",
        "model.load_in_4bit":
            "keeps the weights of linear layers in 4 bits, quantized while they are read (quantization)",
        "model.load_in_8bit": "the same in 8 bits",
        "model.bnb_4bit_quant_type": "how 4 bits stand for numbers; transformers' default is fp4",
        "model.bnb_4bit_use_double_quant": "keeps the scales of blocks in 8 bits",
        "model.bnb_4bit_blocksize":
            "the elements that share a scale: a power of two from 32 to 4096; transformers has no such key",
        "model.llm_int8_skip_modules":
            "in 4 and 8 bits: patterns of modules that stay as they are, in place of the output layer",
        "data.train": "the files to train on, .jsonl, .json, .csv, .tsv or .txt; required for training, see files",
        "data.validation": "the files whose loss is measured while training",
        "data.validation_fraction":
            "instead of validation: this part of the training files' examples, rounded up and drawn by training.seed, is left out of training and evaluated on; validation_records.jsonl in the run's folder names them",
        "data.prompt": "template of what is given",
        "data.completion": "template of what is learned",
        "data.text": "template of a text that is learned as a whole; instead of prompt and completion",
        "data.messages": "the field that holds a conversation; instead of templates, see conversations",
        "data.chat_template":
            "a file with a chat template, or the name of a known one (chatml, llama2, llama3, mistral, zephyr); the model's own if absent",
        "data.loss_on": "what of a conversation is learned; every turn of the assistant if absent",
        "data.format":
            "records of a known form instead of prompt and completion: alpaca has the fields instruction, input (which may be missing or empty) and output, in the words of Stanford's Alpaca",
        "data.choices":
            "what completions are chosen among when evaluated: the name of the field with each record's own answers, or two or more answers for all; see choices",
        "data.max_length": "the most tokens of an example; as many as the model takes if absent",
        "data.max_target_length":
            "the most tokens of a completion, its end included, where the model has an encoder (max_length is that of the prompt then); max_length if absent",
        "data.max_length_policy":
            "what happens to a longer example: it is left out; the end or the start of its prompt (or text) is cut off; or it stops the run. How many were dropped or truncated is reported before training, and by eval",
        "data.shuffle": "whether each epoch has an order of its own, from training.seed",
        "data.group_by_prompt": "whether records with the same prompt stand in the same batches; see shared prompts",
        "data.block_size":
            "lays texts one behind the other and cuts them into blocks of so many tokens, for pretraining",
        "data.label": "template of a text's label",
        "data.label_pattern":
            "a regular expression: the label is what its first group matches in what data.label gives, and records in which it matches nothing are left out",
        "data.labels": "the labels in the order of their numbers; those of the training data if absent, sorted",
        "data.problem_type":
            "whether labels are classes or numbers; if absent, numbers where all are and one of them isn't whole: 0.0 and 1.0 are the classes 0 and 1",
        "peft.method": "full trains every parameter and delivers a model; the others deliver an adapter",
        "peft.init_from": "an adapter's folder to start from; its settings are then the defaults of this section",
        "peft.r": "the rank of the factors",
        "peft.lora_alpha": "the change is multiplied by alpha / r",
        "peft.lora_dropout": "dropout on what goes into A",
        "peft.target_modules": "the layers that are changed, in lora's forms; if absent, lora's",
        "peft.exclude_modules": "layers left out of these, in the same forms",
        "peft.layers_to_transform": "only the layers with these numbers",
        "peft.layers_pattern":
            "the part of the path in front of a layer's number, a regular expression, where it isn't the first number",
        "peft.bias": "which of the model's biases train too",
        "peft.modules_to_save": "modules that train in full and are stored with the adapter",
        "peft.use_rslora": "divides alpha by √r instead of r",
        "peft.rank_pattern.MODULE":
            "another r for the modules whose paths end in the regular expression MODULE; the first that fits counts",
        "peft.alpha_pattern.MODULE": "another alpha, likewise",
        "peft.init_lora_weights":
            "how A and B begin: true, gaussian and orthogonal at a change of 0; false anywhere; pissa and olora with a part of the weight itself, which is taken out of it. What is delivered is an ordinary adapter of the unchanged base, of rank 2r with these two; not so with loftq, see below",
        "peft.loftq_config.loftq_bits": "with loftq: 4 (nf4) or 8 (int8, by rows)",
        "peft.loftq_config.loftq_iter":
            "with loftq: how often weight and pair are made anew from each other, at most 1000",
        "peft.use_dora": "trains the length of each output's weights beside their direction",
        "peft.lora_bias": "gives B a bias",
        "peft.trainable_token_indices":
            "rows of the token embedding that train on their own, and with a shared table in the output layer too; or {wte: […], wpe: […]}",
        "peft.init_r": "the rank of the change of each weight at first",
        "peft.target_r": "the rank at last, on average over the layers",
        "peft.tinit": "steps before the first rank goes",
        "peft.tfinal": "steps at the end in which the choice of ranks stays",
        "peft.deltaT": "steps from one choice to the next",
        "peft.total_step": "the steps that the schedule is made for; those of the run if absent",
        "peft.beta1": "decay of the mean of how much each parameter matters",
        "peft.beta2": "decay of the mean of how far it strays from that",
        "peft.orth_reg_weight":
            "weight of the term that keeps A and B orthogonal; the logged training loss includes it, evaluation doesn't",
        "peft.biases":
            "which biases train: all, or some of query, key, value, attention_output, intermediate, output, norm",
        "peft.layers": "how many of the last blocks train",
        "peft.final_norm": "whether the norm behind the last block trains",
        "peft.head":
            "whether the output layer trains; where its weight is the token embedding it becomes one of its own",
        "peft.feedforward_modules": "those of them whose inputs are scaled instead (GPT-2: mlp.c_proj)",
        "peft.init_ia3_weights": "whether the factors begin at 1; otherwise at random",
        "peft.alpha": "the change is multiplied by alpha / r",
        "peft.rank_dropout": "the share of the change's rows that a step leaves out",
        "peft.module_dropout": "the probability that a step leaves out a layer's change",
        "peft.init_weights": "whether the change begins at 0; otherwise all factors at random",
        "peft.decompose_both": "whether the first factor too is a product of rank r where that is smaller",
        "peft.decompose_factor": "the size that the first factor shall have, or -1 for one near the root",
        "peft.rank_dropout_scale": "whether the rows that rank_dropout keeps are divided by their share",
        "peft.variant":
            "where the defaults of the other keys come from: after the feed-forward part; after attention and feed-forward; beside feed-forward",
        "peft.reduction_factor": "the width divided by this is the size of the bottleneck: 16, with parallel 2",
        "peft.size": "the size itself, instead",
        "peft.non_linearity": "the function in the bottleneck: relu, with houlsby swish",
        "peft.mh_adapter": "whether there is one after attention: with houlsby",
        "peft.cross_adapter": "whether there is one after the attention of a decoder to its encoder's states: no",
        "peft.output_adapter": "whether there is one after the feed-forward part: always",
        "peft.is_parallel": "whether it reads the stream before the sub-layer and its norm: with parallel",
        "peft.original_ln_before":
            "whether it reads the stream after the sub-layer instead of the sub-layer's output: with pfeiffer",
        "peft.original_ln_after": "whether the stream before the sub-layer is added behind it",
        "peft.residual_before_ln":
            "whether the sub-layer's output alone goes past the adapter, rather than what the adapter reads",
        "peft.scaling":
            "what its output is multiplied by: a number, learned, or channel for one learned number a column. 1, with parallel 4",
        "peft.dropout": "dropout on its output",
        "peft.leave_out": "layers without an adapter, counted from 0",
        "peft.num_virtual_tokens": "how many there are",
        "peft.num_transformer_submodules":
            "how peft counts: 2 for a model with an encoder and a decoder, 1 for the others; see models with an encoder",
        "peft.prompt_tuning_init":
            "where they begin: at N(0, 1), at the vectors of a text's tokens, repeated or cut, or at those of random tokens",
        "peft.prompt_tuning_init_text": "the text for TEXT",
        "peft.prefix_placement":
            "for a model with an encoder: where peft puts the prefix, or in front of the keys of every attention, each with a pair of its own (which peft can't load); see models with an encoder",
        "peft.prefix_projection":
            "whether a small network computes them from a table while training; the adapter holds what comes out, and only the run's checkpoints the network, so that a run can be resumed and its adapter can't be trained further",
        "peft.encoder_hidden_size": "the width between the two layers of that network; the model's if absent",
        "peft.encoder_reparameterization_type":
            "the network: three linear layers, or a bidirectional LSTM with two behind it",
        "peft.encoder_num_layers": "the layers of the LSTM",
        "peft.encoder_dropout": "dropout between them",
        "peft.virtual_token_placement":
            "front puts them in front of every sequence, as peft does; template puts them where data.prompt says so, see below",
        "peft.prefix_dropout": "dropout on them",
        "training.output_dir": "the folder for everything that comes out",
        "training.num_train_epochs": "how often the data is gone through",
        "training.max_steps": "the number of optimizer steps, whatever the epochs; -1 is as good as absent",
        "training.per_device_train_batch_size":
            "examples of a micro-batch, among several processes of each; auto: as many as memory allows, see memory and time",
        "training.memory_limit":
            "the memory that the run may take, such as 8GB or 500MB: for auto, and for the warning of --dry-run; what is free if absent",
        "training.max_time":
            "ends the run in time to have taken no longer than this, such as 2h, 1h30m, 90m or 45s, with the last evaluation and a checkpoint, from which --resume with more time goes on. The learning rate's schedule is still that of all steps",
        "training.budget": "with peft compare: the time that all its runs share by successive halving",
        "training.train_batch_tokens":
            "instead of per_device_train_batch_size: a micro-batch has as many examples as have at most so many tokens together. What is in a batch is settled before the first step, so that every epoch has as many; later ones have them in another order",
        "training.train_sampling_strategy":
            "the order of the examples, as data.shuffle says if absent; group_by_length puts those of about the same length together, as transformers does: stretches of up to 50 steps' examples are sorted, the longest of all first",
        "training.group_by_length": "the name that train_sampling_strategy: group_by_length had before transformers 5",
        "training.per_device_eval_batch_size": "examples of a pass in evaluation",
        "training.gradient_accumulation_steps":
            "micro-batches of an optimizer step; the loss is the mean over all their target tokens",
        "training.gradient_checkpointing":
            "computes each block again on the way back instead of keeping what that needs: far less memory, about a quarter more time, the same result",
        "training.bf16":
            "products with weights take numbers rounded to 16 bits and add them up as 32-bit floats, where the processor multiplies such (AVX512-BF16), see products of 16 bits",
        "training.keep_hidden_states":
            "whether the hidden states below what trains are computed once and kept, see kept states",
        "training.hidden_states_memory":
            "how many GB (10⁹ bytes) of them may be in memory, the rest in a scratch file; half of what is free if absent",
        "training.hidden_states_dir": "the folder for that scratch file; output_dir if absent",
        "training.share_prompts":
            "whether what records of a batch begin with in common is computed once; see shared prompts",
        "training.learning_rate": "the peak learning rate; the method's own if absent, see below",
        "training.lr_scheduler_type": "the way of the learning rate, see schedules",
        "training.warmup_steps":
            "steps in which the rate rises from 0; below 1 a share of the run's steps, as transformers takes it",
        "training.warmup_ratio":
            "the share of the run's steps in which the rate rises, as transformers had it before 5; warmup_steps goes first",
        "training.label_smoothing_factor":
            "the share of each label that goes to all entries of the vocabulary alike, see label smoothing and noise",
        "training.neftune_noise_alpha":
            "noise on the embeddings of tokens while training, see label smoothing and noise",
        "training.optim": "the optimizer, see optimizers",
        "training.optim_target_modules":
            "with galore_adamw: the linear layers whose gradients are projected, as a list of parts of their paths or regular expressions for whole paths; one such expression; or all-linear. As in transformers, and not as in target_modules, an entry may stand anywhere in a path",
        "training.optim_args": "settings of an optimizer, such as momentum=0.9, nesterov=true; see optimizers",
        "training.optim_paging_dir": "with a paged optimizer: the folder for its scratch file; output_dir if absent",
        "training.loraplus_lr_ratio":
            "LoRA+: the learning rate of the second factor of each change over that of the first, see LoRA+",
        "training.loraplus_lr_embedding": "with LoRA+: the rate of adapters of embeddings, 1.0e-6 if absent",
        "training.loraplus_weight_decay": "with LoRA+: the decay, in place of weight_decay; none if absent",
        "training.adam_beta1": "decay of the mean of the gradients",
        "training.adam_beta2": "decay of the mean of their squares",
        "training.adam_epsilon":
            "added to the square root of the latter; 1.0e-6 if absent with galore_adamw, as in its reference",
        "training.weight_decay": "on all that trains but biases and norms",
        "training.max_grad_norm": "gradients are scaled down to this norm, all together; 0 leaves them",
        "training.seed": "of new weights, the order of the data, and dropout",
        "training.logging_steps": "steps between two lines of metrics.jsonl",
        "training.report_to":
            "tensorboard, or all, writes event files for TensorBoard too; none if absent, see curves",
        "training.logging_dir":
            "the folder for event files; if absent, what TENSORBOARD_LOGGING_DIR names, or runs in output_dir",
        "training.eval_strategy":
            "no measures nothing while training; steps goes by eval_steps, or logging_steps if absent; epoch is at the end of each",
        "training.save_strategy":
            "no saves no checkpoint but where a run is interrupted; steps goes by save_steps, or 500 if absent; epoch is at the end of each; best is after each evaluation that is better than all before",
        "training.eval_steps": "steps between two evaluations; at the end of each epoch if absent",
        "training.save_steps": "steps between two checkpoints; at the end of each epoch if absent, the last one too",
        "training.save_total_limit":
            "how many checkpoints are kept; all if absent. The newest is, and the best model's",
        "training.eval_on_start": "evaluates before the first step too",
        "training.load_best_model_at_end":
            "delivers the model of the best evaluation instead of the last, see the best model",
        "training.metric_for_best_model":
            "by what it is the best: loss, which is taken if absent, or a measure of the task, with or without eval_ in front",
        "training.greater_is_better":
            "whether more of it is better; if absent, where its name doesn't end in loss, and not for mse",
        "training.early_stopping_patience": "ends the run after so many evaluations in a row that were no better",
        "training.early_stopping_threshold":
            "by more than this an evaluation must be better to count as such for patience; 0 if absent",
        "training.eval_metrics":
            "measures of texts, as of peft eval --metrics: evaluations generate for prompts of the validation data, see texts in evaluations",
        "training.predict_with_generate":
            "true generates without eval_metrics too, and measures ROUGE then",
        "training.eval_generation_samples":
            "for how many prompts an evaluation generates, drawn by the seed; 64 if absent",
        "training.generation_max_new_tokens":
            "tokens of such a text at most; 128 if absent and generation_max_length too",
        "training.generation_max_length":
            "the same with the prompt, or behind an encoder with what the text begins with; no such limit if absent",
        "training.generation_num_beams":
            "beams of their search; 1 if absent, which takes the most likely token",
        "training.lr_scheduler_kwargs.num_cycles": "periods of the cosine; with restarts, how often it begins anew",
        "training.lr_scheduler_kwargs.min_lr": "the least rate",
        "training.lr_scheduler_kwargs.min_lr_rate": "the least rate as a share of the peak",
        "training.lr_scheduler_kwargs.warmup_lr_rate": "what the warm-up begins at, as a share of the peak",
        "training.lr_scheduler_kwargs.lr_end": "the rate at the end",
        "training.lr_scheduler_kwargs.power": "the power of what is left of the run",
        "training.lr_scheduler_kwargs.timescale": "the steps over which the root is taken",
        "training.lr_scheduler_kwargs.num_decay_steps": "the steps at the end in which the rate falls",
        "training.lr_scheduler_kwargs.num_stable_steps": "the steps with the peak rate",
        "training.lr_scheduler_kwargs.warmup_type": "the way up",
        "training.lr_scheduler_kwargs.decay_type": "the way down",
        "training.lr_scheduler_kwargs.min_lr_ratio": "what the rate begins and ends at, as a share of the peak",
        "training.lr_scheduler_kwargs.factor": "what the rate is multiplied by",
        "training.lr_scheduler_kwargs.patience": "the evaluations without a better loss that are put up with",
        "training.lr_scheduler_kwargs.threshold": "how much lower a loss must be to be better",
        "training.lr_scheduler_kwargs.threshold_mode": "whether the threshold is a share of the best loss",
        "training.lr_scheduler_kwargs.cooldown": "the evaluations after a reduction that don't count",
        "training.lr_scheduler_kwargs.eps": "smaller changes of the rate aren't made",
        "training.lr_scheduler_kwargs.mode": "that the loss shall fall",
    ]

    private static let ofMethods: [String: [String: String]] = [
        "lora": [
            "peft.r": "the rank of the change of each weight",
            "peft.target_modules":
                "the layers that get an adapter: a list of names or ends of paths; a regular expression for whole paths; or all-linear. Embeddings and the output layer can be named too (with lm_head the file holds that layer's own weight too, as peft's does). If absent, what peft takes for the model (GPT-2: c_attn)",
        ],
        "adalora": [
            "peft.lora_alpha": "the change is multiplied by alpha / init_r",
            "peft.target_modules":
                "the layers that get an adapter, in lora's forms. If absent, what peft takes for the model (GPT-2: c_attn)",
            "peft.init_lora_weights": "whether training begins at a change of 0",
        ],
        "ln_tuning": [
            "peft.target_modules":
                "the modules whose parameters train: the norms if absent; in lora's forms, and of any kind",
            "peft.exclude_modules": "modules left out of these, in the same forms",
            "peft.modules_to_save": "modules that train in full beside them",
        ],
        "ia3": [
            "peft.target_modules":
                "the layers whose outputs are scaled, in lora's forms. If absent, what peft takes for the model (GPT-2: c_attn and mlp.c_proj)",
            "peft.exclude_modules": "layers left out, in the same forms",
        ],
        "bitfit": [
            "peft.modules_to_save": "modules that train in full beside them"
        ],
        "lokr": [
            "peft.init_weights":
                "whether the change begins at 0 by the first factor, not at all, or as in the LyCORIS library by the second"
        ],
        "adapter": [
            "peft.init_weights":
                "how it begins: N(0, 0.02); He's for the first layer and 0 for the second; N(0, 0.01) cut off at two deviations. bert, with parallel mam_adapter"
        ],
        "prefix_tuning": [
            "peft.init_weights": "zero begins at 0 (of the network: its last layer), otherwise at random",
            "peft.num_virtual_tokens": "how many there are in each layer",
        ],
        "p_tuning_v2": [
            "peft.init_weights": "as in prefix_tuning",
            "peft.num_virtual_tokens": "how many keys and values there are in front of each layer's",
            "peft.prefix_projection": "as in prefix_tuning",
            "peft.encoder_hidden_size": "as in prefix_tuning",
        ],
        "p_tuning": [
            "peft.encoder_hidden_size": "its width; the model's if absent"
        ],
    ]
}
