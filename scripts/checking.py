"""What the check scripts share: the reference model of a folder, and the comparison of its logits with ours."""

import json
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers

transformers.utils.logging.disable_progress_bar()


def quieten():
    """Lets pass what the libraries say about themselves, and peft's word that it couldn't merge tied embeddings."""
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    warnings.filterwarnings("ignore", message="Unsupported layer type .*(Layer|RMS)Norm")
    warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True` and a tied layer is part")


def reference_gpt2(folder):
    # Without the dtype transformers would compute in that of the files.
    config = transformers.AutoConfig.from_pretrained(folder)
    family = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    if any(name.endswith("ForSequenceClassification") for name in config.architectures or []):
        family = transformers.AutoModelForSequenceClassification
    model, loading = family.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: sorted(map(str, names)) for kind, names in loading.items() if names}
    if wrong:
        sys.exit(f"{folder}: {wrong}")
    model.eval()
    if getattr(config, "quantization_config", None):
        compute_in_floats(model)
    return model


def compute_in_floats(model):
    """Of bitsandbytes' layers that have 8 bits, only training computes what the weights say: eval() rounds inputs too."""
    from bitsandbytes.nn import Linear8bitLt

    for parameter in model.parameters():
        if parameter.is_floating_point():
            # Weights that aren't quantised come in their file's type, whatever was asked for.
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.train()


def outputs(model, sequence):
    ids = torch.tensor([sequence["ids"]])
    if "source" not in sequence:
        return model(input_ids=ids, use_cache=False)
    # Of the decoder, after its encoder has read the source. Nothing is kept, but a prefix goes in by the cache.
    return model(input_ids=torch.tensor([sequence["source"]]), decoder_input_ids=ids)


@torch.no_grad()
def compare(model, file, bound):
    with open(file) as stream:
        sequences = json.load(stream)["sequences"]
    if not sequences:
        sys.exit(f"{file}: no sequences")
    worst = 0.0
    for sequence in sequences:
        ours = torch.tensor(sequence["logits"], dtype=torch.float64)
        theirs = outputs(model, sequence).logits[0].double()
        # The rows of virtual tokens, which stand in front, are nobody's. A classifier has no rows.
        if theirs.dim() == 2:
            theirs = theirs[-len(sequence["ids"]):]
        if ours.dim() == 1 and theirs.dim() == 2:
            theirs = theirs[-1]
        if ours.shape != theirs.shape:
            sys.exit(f"{file}: logits of shape {list(ours.shape)}, the reference's have {list(theirs.shape)}")
        difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        # So that NaN, which no comparison is true of, fails too.
        worst = difference if not difference <= worst else worst
    print(json.dumps({"sequences": len(sequences), "max_relative_error": worst, "bound": bound}))
    if not worst <= bound:
        sys.exit(f"{file}: {worst} is above the bound")
